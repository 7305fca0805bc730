use super::*;

#[test]
fn what_people_write_means_what_it_says() {
    for (text, bits) in [("20mbit", 20_000_000), ("1gbit", 1_000_000_000), ("56kbit", 56_000), ("1500bit", 1_500)] {
        assert_eq!(text.parse(), Ok(Rate(bits)), "{text}");
    }
    for (text, millionths) in [("0%", 0), ("5%", 50_000), ("0.1%", 1_000), ("99.9999%", 999_999), ("100%", 1_000_000), ("12.5%", 125_000)] {
        assert_eq!(text.parse::<Share>().map(Share::get), Ok(millionths), "{text}");
    }
    for (text, count, per_ms) in [("10/s", 10, 1_000), ("1/m", 1, 60_000), ("3/10s", 3, 10_000), ("2/100ms", 2, 100)] {
        assert_eq!(text.parse(), Ok(Frequency { count, per_ms }), "{text}");
    }
    assert_eq!("5%".parse::<Jitter>().unwrap(), Jitter::Share(Share(50_000)));
    assert_eq!("10ms".parse::<Jitter>().unwrap(), Jitter::Span(Span(10)));
    assert_eq!("3-5".parse::<Seeds>().unwrap().iter().collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!("7".parse::<Seeds>().unwrap().iter().collect::<Vec<_>>(), [7]);
}

#[test]
fn what_is_written_reads_back() {
    for bits in [1_000, 1_500, 20_000_000, 2_500_000_000] {
        assert_eq!(Rate(bits).to_string().parse(), Ok(Rate(bits)));
    }
    for millionths in [0, 1, 10, 12_345, 500_000, 999_999, 1_000_000] {
        assert_eq!(Share(millionths).to_string().parse(), Ok(Share(millionths)));
    }
    for (count, per_ms) in [(1, 1), (10, 1_000), (3, 10_000), (7, 1_500), (1, 60_000), (2, 86_400_000)] {
        let frequency = Frequency { count, per_ms };
        assert_eq!(frequency.to_string().parse(), Ok(frequency));
    }
    for text in ["1-20", "7", "0-0"] {
        let seeds: Seeds = text.parse().unwrap();
        assert_eq!(seeds.to_string().parse(), Ok(seeds));
    }
}

#[test]
fn what_is_not_a_value_says_what_to_write() {
    for text in ["20", "mbit", "20 parsecs", "1bit", "9999999gbit", "-1mbit", "1.5mbit"] {
        let error = text.parse::<Rate>().unwrap_err().to_string();
        assert!(error.contains(text) && error.contains("20mbit"), "{error}");
    }
    for text in ["5", "0.05", "101%", "-1%", "1.00001%", ".5%", "5.%", "100.0001%"] {
        let error = text.parse::<Share>().unwrap_err().to_string();
        assert!(error.contains("0.1%"), "{error}");
    }
    for text in ["10", "0/s", "1/0s", "1/", "/s", "1/parsec"] {
        assert!(text.parse::<Frequency>().is_err(), "{text}");
    }
    for text in ["5-3", "a", "1-", "0-10000", "18446744073709551615"] {
        assert!(text.parse::<Seeds>().is_err(), "{text}");
    }
    assert!("5".parse::<Jitter>().is_err());
}

#[test]
fn a_share_of_a_whole_is_rounded_to_the_nearest() {
    let share = |text: &str| text.parse::<Share>().unwrap();
    assert_eq!(share("20%").of(50), 10);
    assert_eq!(share("50%").of(5), 3);
    assert_eq!(share("33%").of(10), 3);
    assert_eq!(Share::NONE.of(u64::MAX), 0);
    assert_eq!(Share::ALL.of(u64::MAX), u64::MAX);
}
