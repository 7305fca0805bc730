use super::*;

#[test]
fn what_people_write_means_what_it_says() {
    let sizes = [("0B", 0), ("64MiB", 64 << 20), ("2 GiB", 2 << 30), ("10kB", 10_000), ("1_000MB", 1_000_000_000)];
    for (text, bytes) in sizes {
        assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
    }
    let spans = [("250ms", 250), ("60s", 60_000), ("10m", 600_000), ("2h", 7_200_000), ("7d", 604_800_000)];
    for (text, ms) in spans {
        assert_eq!(text.parse(), Ok(Span(ms)), "{text}");
    }
    let cores = [("1 core", 1_000), ("2 cores", 2_000), ("0.5 cores", 500), ("0.125core", 125), ("1000 cores", 1_000_000)];
    for (text, millicores) in cores {
        assert_eq!(text.parse(), Ok(Cores(millicores)), "{text}");
    }
}

#[test]
fn what_is_written_reads_back() {
    for bytes in [0, 1, 999, 1_000, 1_024, 1_500, 64 << 20, 3 << 30, u64::MAX] {
        assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        assert_eq!(Span(bytes).to_string().parse(), Ok(Span(bytes)));
    }
    for millicores in [1, 10, 500, 1_000, 1_250, 1_000_000] {
        assert_eq!(Cores(millicores).to_string().parse(), Ok(Cores(millicores)));
    }
    for hours in ["00:00-24:00", "22:30-06:00", "09:00-17:59"] {
        assert_eq!(hours.parse::<Hours>().unwrap().to_string(), hours);
    }
}

#[test]
fn anything_else_is_refused_with_what_to_write() {
    for text in ["", "64", "MiB", "64 mib", "-1B", "1.5GiB", "_1B", "99999999999GiB", "1é"] {
        assert!(text.parse::<Size>().unwrap_err().to_string().contains("64MiB"), "{text}");
    }
    for text in ["", "10", "10M", "10 minutes", "1w", "999999999999d"] {
        assert!(text.parse::<Span>().unwrap_err().to_string().contains("10m"), "{text}");
    }
    for text in ["", "1", "core", "-1 core", "1. core", ".5 core", "0.1234 core", "0 cores", "0.0 cores", "1001 cores", "5000000 cores", "1e3 cores"]
    {
        assert!(text.parse::<Cores>().unwrap_err().to_string().contains("1 core"), "{text}");
    }
    for text in ["", "08:00", "8:00-9:00", "08:00-08:00", "24:00-06:00", "00:60-01:00", "00:00-24:01", "25:00-26:00", "+8:00-09:00"] {
        assert!(text.parse::<Hours>().unwrap_err().to_string().contains("22:00-06:00"), "{text}");
    }
}

#[test]
fn hours_may_cross_midnight() {
    let at = |hour: u64, minute: u64| Time(20_000 * DAY + hour * HOUR + minute * MINUTE + 59_999);
    let night: Hours = "22:00-06:00".parse().unwrap();
    assert!(night.contain(at(22, 0)) && night.contain(at(0, 0)) && night.contain(at(5, 59)));
    assert!(!night.contain(at(6, 0)) && !night.contain(at(21, 59)));
    let day: Hours = "08:30-17:00".parse().unwrap();
    assert!(day.contain(at(8, 30)) && day.contain(at(16, 59)));
    assert!(!day.contain(at(8, 29)) && !day.contain(at(17, 0)));
    assert!((0..24).all(|hour| Hours::ALWAYS.contain(at(hour, 59))));
}

#[test]
fn moments_are_counted_from_the_epoch() {
    // Expected values are those of `date -u -d … +%s`.
    let rows = [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:00:00Z", 951_825_600),
        ("2000-03-01T00:00:00Z", 951_868_800),
        ("2026-12-31T00:00:00Z", 1_798_675_200),
        ("2026-12-31T01:30:00+01:30", 1_798_675_200),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
    ];
    for (text, seconds) in rows {
        assert_eq!(moment(text), Ok(Time(seconds * SECOND)), "{text}");
    }
    for text in ["", "tomorrow", "2026-12-31", "2026-12-31T00:00:00", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
        assert!(moment(text).unwrap_err().to_string().contains("2026-12-31T00:00:00Z"), "{text}");
    }
}

#[test]
fn a_time_is_written_as_the_moment_it_is() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_825_600_001, "2000-02-29T12:00:00.001Z"),
        (1_798_675_200_000, "2026-12-31T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] {
        assert_eq!(rfc3339(Time(ms)), text);
        assert_eq!(moment(text), Ok(Time(ms / 1_000 * 1_000)));
    }
    for day in (0..60_000).step_by(7) {
        assert_eq!(moment(&rfc3339(Time(day * DAY))), Ok(Time(day * DAY)));
    }
    assert!(rfc3339(Time(u64::MAX)).ends_with('Z'), "whatever a record says");
}

#[test]
fn hours_change_at_their_ends_and_never_where_they_are_the_whole_day() {
    let hours = |text: &str| text.parse::<Hours>().expect("hours");
    let at = |minute: u64| Time(40 * DAY + minute * MINUTE);
    let cases = [
        ("22:00-06:00", at(0), at(6 * 60)),
        ("22:00-06:00", at(6 * 60), at(22 * 60)),
        ("22:00-06:00", at(23 * 60), at(30 * 60)),
        ("08:00-24:00", at(9 * 60), at(24 * 60)),
        ("08:00-24:00", at(0), at(8 * 60)),
    ];
    for (text, now, change) in cases {
        let hours = hours(text);
        assert_eq!(hours.change_after(now), Some(change), "{text}");
        assert_ne!(hours.contain(change), hours.contain(Time(change.0 - 1)), "{text}: it is a change");
    }
    assert_eq!(Hours::ALWAYS.change_after(at(5)), None);
}
