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
