//! Quotas and buckets with time as an argument.

use url::Url;

use super::*;

fn target(url: &str) -> Target {
    Target::of(&Origin::of(&Url::parse(url).unwrap()).unwrap(), false)
}

#[test]
fn a_target_is_a_registrable_domain_or_a_network() {
    for (url, expected) in [
        ("https://a.b.ipfs.io/x", "ipfs.io"),
        ("https://ipfs.io", "ipfs.io"),
        ("https://www.example.co.uk", "example.co.uk"),
        ("http://1.2.3.4:8080", "1.2.3.0/24"),
        ("http://[2606:4700:4700:1::1]", "2606:4700:4700::/48"),
    ] {
        assert_eq!(target(url).as_str(), expected);
    }
    let origin = Origin::of(&Url::parse("http://127.0.0.1:8080").unwrap()).unwrap();
    assert_eq!(Target::of(&origin, true).as_str(), "127.0.0.1:8080");
}

#[test]
fn a_quota_ends_and_comes_back_the_next_day() {
    let mut quotas = Quotas::restore(25, []);
    let one = target("https://one.example");
    let mut records = Vec::new();
    for _ in 0..25 {
        records.extend(quotas.take(&one, 7).unwrap().map(|record| record.reserved));
    }
    assert_eq!(records, [10, 20, 25], "a write per block, never above the quota");
    assert_eq!(quotas.take(&one, 7), Err(QuotaRefused::UsedUp));
    assert!(quotas.take(&target("https://two.example"), 7).is_ok());
    assert!(quotas.take(&one, 8).is_ok());
    for _ in 0..24 {
        quotas.take(&one, 8).unwrap();
    }
    assert_eq!(quotas.take(&one, 7), Err(QuotaRefused::UsedUp), "a clock set back gives nothing anew");
}

#[test]
fn a_crash_loses_requests_but_never_gains_any() {
    let one = target("https://one.example");
    for before in 1..=100 {
        let mut quotas = Quotas::restore(100, []);
        let mut last = None;
        for _ in 0..before {
            last = quotas.take(&one, 7).unwrap().or(last);
        }
        let mut restored = Quotas::restore(100, last);
        let mut after = 0;
        while restored.take(&one, 7).is_ok() {
            after += 1;
        }
        assert!(before + after <= 100 && before + after > 100 - BLOCK, "{before} + {after}");
    }
}

#[test]
fn what_a_file_said_is_written_once_and_forgotten_the_next_day() {
    let (mut quotas, one) = (Quotas::restore(100, []), target("https://one.example"));
    let begun = quotas.begin_reading(5, &one, 7, 1).unwrap();
    assert_eq!((begun.reserved, begun.cap, &begun.read[..]), (5, None, &[Reading { origin: 1, known: false }][..]));
    assert_eq!(Quotas::restore(100, [begun]).word(&one, 7, 1), Word::Asked, "whose answer is not there was asked all the same");
    let record = quotas.learn(&one, 7, 1, 40).unwrap();
    assert_eq!((record.cap, &record.read[..]), (Some(40), &[Reading { origin: 1, known: true }][..]));
    quotas.begin_reading(5, &one, 7, 2).unwrap();
    assert_eq!(quotas.learn(&one, 7, 2, 400).unwrap().cap, Some(40), "another origin can only lower it");
    assert_eq!((quotas.learned(&one, 7), quotas.learned(&one, 8)), (Some(40), None));
    assert_eq!((quotas.word(&one, 7, 1), quotas.word(&one, 7, 3), quotas.word(&one, 8, 1)), (Word::Known, Word::Unasked, Word::Unasked));
    let restored = Quotas::restore(100, [record]);
    assert_eq!((restored.learned(&one, 7), restored.word(&one, 7, 1)), (Some(40), Word::Known));
    assert!(quotas.take(&one, 8).is_ok());
    assert_eq!(quotas.learned(&one, 8), None);
}

#[test]
fn readings_are_requests_of_the_quota_and_their_origins_are_bounded() {
    let (mut quotas, one) = (Quotas::restore(100, []), target("https://one.example"));
    assert!(quotas.begin_reading(0, &one, 7, 0).is_ok(), "the first is what the cap has room for beside the shares");
    assert_eq!(quotas.begin_reading(1, &one, 7, 1), Err(QuotaRefused::UsedUp));
    for origin in 1..ORIGINS_MAX as u64 {
        quotas.begin_reading(1_000, &one, 7, origin).unwrap();
    }
    assert_eq!(quotas.begin_reading(1_000, &one, 7, 1_000), Err(QuotaRefused::TooManyOrigins));
    assert_eq!(quotas.take_of(ORIGINS_MAX as u64, &one, 7), Err(QuotaRefused::UsedUp));
    let record = quotas.learn(&one, 7, 1, 40).unwrap();
    assert!(station_protocol::codec::encode(&record).len() < 3 << 10);
}

#[test]
fn a_network_has_an_account_beside_the_one_of_its_name() {
    let named = target("http://1.2.3.4");
    let network = Target::at("::ffff:1.2.3.9".parse().unwrap());
    assert_eq!((network.as_str(), network.drawn_by(), named.drawn_by()), ("at 1.2.3.0/24", "1.2.3.0/24", "1.2.3.0/24"));
    assert!(network.is_network() && !named.is_network() && named != network);
    assert_eq!(Target::at("2606:4700:4700:1::1".parse().unwrap()).drawn_by(), "2606:4700:4700::/48");
    let mut buckets = Buckets::default();
    let waits: Vec<u64> = (0..23).map(|_| buckets.take(&network, Time(1_000_000)).unwrap()).collect();
    assert_eq!((&waits[..20], &waits[20..]), (&[0; 20][..], &[250, 500, 750][..]));
}

#[test]
fn targets_of_days_gone_by_are_named_once_so_that_the_disk_forgets_them() {
    let (mut quotas, one, two) = (Quotas::restore(100, []), target("https://one.example"), target("https://two.example"));
    assert!(quotas.turn(7).is_empty());
    quotas.take(&one, 7).unwrap();
    quotas.take(&two, 9).unwrap();
    assert_eq!((quotas.turn(8), quotas.turn(8), quotas.turn(7)), (vec![one], vec![], vec![]));
    assert_eq!(quotas.targets.len(), 1);
}

#[test]
fn more_targets_than_are_remembered_are_refused_until_the_next_day() {
    let mut quotas = Quotas::restore(100, []);
    for number in 0..TARGETS_MAX {
        quotas.take(&target(&format!("https://t{number}.example")), 7).unwrap();
    }
    assert_eq!(quotas.take(&target("https://more.example"), 7), Err(QuotaRefused::TooManyTargets));
    assert!(quotas.take(&target("https://more.example"), 8).is_ok());
    assert_eq!(quotas.targets.len(), 1);
}

#[test]
fn more_targets_asked_at_once_than_are_remembered_are_refused_until_others_are_forgotten() {
    let (mut buckets, now) = (Buckets::default(), Time(1_000_000));
    for number in 0..TARGETS_MAX {
        buckets.take(&Target::filed(format!("t{number}.example")), now).unwrap();
    }
    let more = Target::filed("more.example".to_owned());
    assert_eq!(buckets.take(&more, now), Err(QuotaRefused::TooManyTargets));
    assert_eq!(buckets.take(&more, now.plus(INTERVAL_MS)), Ok(0));
    assert_eq!(buckets.full_at.len(), 1);
}

#[test]
fn five_at_once_then_one_a_second_across_everything() {
    let (one, other) = (target("https://a.one.example"), target("https://two.other"));
    let mut buckets = Buckets::default();
    let now = Time(1_000_000);
    let waits: Vec<u64> = (0..8).map(|_| buckets.take(&one, now).unwrap()).collect();
    assert_eq!(waits, [0, 0, 0, 0, 0, 1_000, 2_000, 3_000]);
    assert_eq!(buckets.take(&other, now), Ok(0));
    assert_eq!(buckets.take(&one, now.plus(60_000)), Ok(0));
    while buckets.take(&other, now).is_ok() {}
    assert_eq!(buckets.take(&other, now), Err(QuotaRefused::QueueTooLong));
    assert_eq!(buckets.take(&other, now.plus(1_000)), Ok(WAIT_MS_MAX), "a refusal takes no token");
}

#[test]
fn a_stated_cap_is_a_number_in_toml_and_nothing_else() {
    for (file, cap) in [
        ("cap = 10", Some(10)),
        ("# we are small\ncap = 0\n", Some(0)),
        ("cap = 5\nlater = 'key'\n", Some(5)),
        ("", None),
        ("cap = -1", None),
        ("cap = '10'", None),
        ("cap = 1.5", None),
        ("<html>cap = 1</html>", None),
    ] {
        assert_eq!(stated_cap(file), cap, "{file}");
    }
}

/// A day's bytes with every reservation made durable at once; and how many writes that took.
fn take_all(bytes: &mut DailyBytes, wanted: u64, budget: u64, day: u64) -> (u64, u64) {
    let (mut all, mut writes) = (0, 0);
    loop {
        match bytes.take(wanted, budget, day) {
            Some(0) => return (all, writes),
            Some(taken) => all += taken,
            None => {
                bytes.reserved(bytes.clone().lacking(wanted, budget, day).expect("what take lacked"));
                writes += 1;
            }
        }
    }
}

#[test]
fn a_days_bytes_are_the_budget_in_few_writes_and_come_back_the_next_day() {
    let budget = 2 << 30;
    let mut bytes = DailyBytes::default();
    let (all, writes) = take_all(&mut bytes, 16 << 10, budget, 7);
    assert_eq!(all, budget);
    assert!(writes <= BYTES_BLOCKS + 1, "{writes}");
    assert!(bytes.is_spent(budget, 7));
    assert_eq!(bytes.take(1, budget, 6), Some(0), "a clock set back gives nothing anew");
    assert!(!bytes.is_spent(budget + 1, 7), "an operator may raise the budget");
    assert!(!bytes.is_spent(budget, 8));
}

#[test]
fn a_small_budget_is_never_exceeded_by_a_block() {
    let mut bytes = DailyBytes::default();
    assert_eq!(take_all(&mut bytes, 1 << 20, 1_000, 7).0, 1_000);
    assert_eq!(DailyBytes::default().take(1, 0, 7), Some(0));
}

#[test]
fn nothing_is_taken_that_is_not_reserved() {
    let mut bytes = DailyBytes::default();
    bytes.give_back(5, 7);
    assert_eq!(bytes.take(1_000, 1 << 30, 7), None);
    let record = bytes.lacking(1_000, 1 << 30, 7).expect("it lacks a reservation");
    assert_eq!(record, BytesRecord { day: CountedDay::of(7), reserved: 1_000 + (16 << 20) - 1 });
    bytes.reserved(BytesRecord { day: CountedDay::of(6), ..record });
    assert_eq!(bytes.take(1_000, 1 << 30, 7), None, "yesterday's says nothing of today");
    bytes.reserved(record);
    assert_eq!(bytes.take(1_000, 1 << 30, 7), Some(1_000));
    bytes.give_back(400, 7);
    assert_eq!(bytes.take(400 + (16 << 20) - 1, 1 << 30, 7), Some(400 + (16 << 20) - 1), "what came back is there again");
    assert_eq!(bytes.take(1, 1 << 30, 7), None);
}

#[test]
fn half_a_block_is_reserved_ahead_until_the_budget_ends() {
    let budget = 64 << 20;
    let mut bytes = DailyBytes::default();
    let mut writes = 0;
    for _ in 0..128 {
        if let Some(record) = bytes.ahead(budget, 7) {
            bytes.reserved(record);
            writes += 1;
        }
        assert_eq!(bytes.take(512 << 10, budget, 7), Some(512 << 10), "no need to wait");
    }
    assert!(writes <= 65 && bytes.is_spent(budget, 7), "{writes}");
    assert_eq!(bytes.ahead(budget, 7), None);
}

#[test]
fn what_was_reserved_counts_as_used_after_a_crash() {
    let budget = 1 << 30;
    let record = DailyBytes::default().lacking(1, budget, 7).expect("nothing is reserved yet");
    let mut restored = DailyBytes::restore(Some(record));
    let (all, _) = take_all(&mut restored, 1 << 20, budget, 7);
    assert!(all < budget && all + (budget / BYTES_BLOCKS) >= budget, "{all}");
    assert_eq!(take_all(&mut DailyBytes::restore(Some(BytesRecord::spent(7))), 1, budget, 7).0, 0);
    assert_eq!(DailyBytes::restore(Some(BytesRecord::spent(7))).lacking(1, budget, 8).map(|record| record.day), Some(CountedDay::of(8)));
}

/// A quota of one target that was used up on day 372, and what a restart finds of it.
fn used_up_ahead(one: &Target) -> [Quotas; 2] {
    let (mut quotas, mut last) = (Quotas::restore(25, []), None);
    quotas.turn(372);
    quotas.begin_reading(25, &target("https://two.example"), 372, 1).unwrap();
    for _ in 0..25 {
        last = quotas.take(one, 372).unwrap().or(last);
    }
    [quotas, Quotas::restore(25, last)]
}

#[test]
fn a_quota_used_under_a_clock_a_year_ahead_is_todays_and_comes_back_tomorrow() {
    let (one, two) = (target("https://one.example"), target("https://two.example"));
    for mut quotas in used_up_ahead(&one) {
        assert_eq!((quotas.turn(7), quotas.take(&one, 7)), (vec![], Err(QuotaRefused::UsedUp)), "what was used stays used");
        quotas.turn(8);
        assert_eq!((quotas.take(&one, 8).is_ok(), quotas.word(&two, 8, 1)), (true, Word::Unasked), "no year of waiting");
        assert_eq!(quotas.turn(9), std::slice::from_ref(&one), "days end again");
    }
}

#[test]
fn a_quota_stays_used_where_the_clock_is_wrong_only_until_it_is_told_the_time() {
    let one = target("https://one.example");
    for mut quotas in used_up_ahead(&one) {
        for day in [0, 372] {
            assert_eq!((quotas.turn(day), quotas.take(&one, day)), (vec![], Err(QuotaRefused::UsedUp)));
        }
        assert!(quotas.turn(373).contains(&one));
    }
}

#[test]
fn bytes_used_under_a_clock_a_year_ahead_are_todays_and_come_back_tomorrow() {
    let mut bytes = DailyBytes::restore(Some(BytesRecord { day: CountedDay::of(372), reserved: 1 << 20 }));
    assert_eq!((bytes.used(7), bytes.is_spent(1 << 20, 7)), (1 << 20, true), "what was used stays used");
    assert!(!bytes.is_spent(1 << 20, 8), "no year of waiting");
    assert_eq!(bytes.lacking(10, 1 << 20, 8).map(|record| record.day), Some(CountedDay::of(8)));
}
