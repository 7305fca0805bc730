//! A whole network's day at one target: who reads, who is let in, and what it sums up to.

use super::*;
use crate::SigningKey;

fn nodes(count: u64) -> Vec<NodeId> {
    let node = |number: u64| SigningKey::from_bytes(&sha256(&[b"sampling", &number.to_be_bytes()])).node();
    (0..count).map(node).collect()
}

/// Requests of everybody who may send any, readings and others, when all use up what they have.
fn day(nodes: &[NodeId], counted: u64, target: &str, day: u64, cap: u64, quota: u64) -> (u64, u64) {
    let readers = nodes.iter().filter(|node| may_read(target, day, node, counted)).count() as u64;
    let requests =
        nodes.iter().filter(|node| may_read(target, day, node, counted)).map(|node| target_share(target, day, node, cap, counted, quota)).sum();
    (readers, requests)
}

#[test]
fn a_sample_asks_its_share_of_the_networks() {
    let experiment = crate::Content::raw(b"experiment").cid;
    let networks = || (0..4_096_u32).map(|net| Cluster::V4([203, (net >> 8) as u8, net as u8]));
    let asked = networks().filter(|cluster| is_sampled(&experiment, cluster, u64::MAX / 8)).count();
    // 512 with a standard deviation of 21.
    assert!((428..=596).contains(&asked), "{asked}");
    assert!(networks().all(|cluster| is_sampled(&experiment, &cluster, u64::MAX)));
}

#[test]
fn the_example_of_the_document_is_what_this_version_computes() {
    let experiment = crate::Content::raw(b"experiment").cid;
    let cluster = Cluster::V4([203, 0, 113]);
    let fraction = fraction("station/claim/1", &[&experiment.to_bytes(), &codec::encode(&cluster)]);
    let line = format!("`{experiment}` and `{{\"v4\": [203, 0, 113]}}` it is `{fraction:016x}`");
    assert!(include_str!("../../PROTOCOL.md").contains(&line), "{line}");
    assert!(is_sampled(&experiment, &cluster, fraction) && !is_sampled(&experiment, &cluster, fraction - 1));
}

#[test]
fn no_network_exceeds_a_cap_by_a_fifth_even_if_everybody_sends_all_it_may() {
    let all = nodes(3_000);
    for stations in [1, 3, 10, 100, 300, 1_000, 3_000] {
        let nodes = &all[..stations];
        for (cap, quota) in
            [(40, 100), (300, 100), (1_000, 100), (2_000, 100), (5_000, 100), (20_000, 100), (86_400, 100), (86_400, 7), (5_000, 1_000)]
        {
            for date in 0..5 {
                let (readers, requests) = day(nodes, stations as u64, &format!("t{cap}.example"), date, cap, quota);
                assert!(readers <= TARGET_STATIONS_MAX + 118, "four standard deviations more at the most: {readers}");
                let most = (cap * 6 / 5).max(readers);
                assert!(readers + requests <= most, "{stations} stations, cap {cap}: {readers} read and {requests} more");
            }
        }
    }
}

#[test]
fn what_is_allowed_is_used() {
    let nodes = nodes(1_000);
    for (stations, cap, least) in
        [(10, 300, 280), (100, 2_000, 1_800), (1_000, 2_000, 700), (1_000, 20_000, 15_000), (1_000, 86_400, 60_000), (100, 86_400, 10_000)]
    {
        let (_, requests) = day(&nodes[..stations], stations as u64, "a.example", 1, cap, 100);
        assert!(requests >= least, "{stations} stations, cap {cap}: {requests}");
    }
}

#[test]
fn a_network_of_addresses_gets_eight_times_what_a_name_gets_and_no_more() {
    let all = nodes(3_000);
    let network = "203.0.114.0/24";
    let sum = |nodes: &[NodeId], counted, quota| nodes.iter().map(|node| network_share(network, 1, node, counted, quota)).sum::<u64>();
    for (stations, quota, expected) in [(1, 100, 800), (10, 100, 8_000), (10, 1_000_000, 691_200), (3_000, 100, 3_000 * 204)] {
        assert_eq!(sum(&all[..stations], stations as u64, quota), expected, "{stations} stations, {quota}");
        assert!(expected <= NETWORK_CAP_PER_DAY);
    }
    // Of 17,496 stations, an eighth more than 15,552, the rule lets 6,912 come, each a hundred times.
    let came = all.iter().filter(|node| network_share(network, 1, node, 15_552, 100) == 100).count();
    let expected = 3_000 * 6_912 / 17_496;
    assert!(came.abs_diff(expected) < 110, "four standard deviations: {came} of {expected}");
    assert!(all.iter().all(|node| !may_read(network, 1, node, 15_552) || network_share(network, 1, node, 15_552, 100) > 0));
}

#[test]
fn a_share_is_never_more_than_the_operators_quota_nor_less_than_a_job() {
    let nodes = nodes(300);
    for (cap, quota) in [(2_000, 100), (86_400, 100), (86_400, 3), (400, 100)] {
        for share in nodes.iter().map(|node| target_share("a.example", 1, node, cap, 300, quota)).filter(|share| *share > 0) {
            assert!(share <= quota && share >= TARGET_SHARE_MIN.min(quota), "cap {cap}: {share}");
        }
    }
    assert!(nodes.iter().all(|node| target_share("a.example", 1, node, 86_400, 300, 0) == 0));
    assert!(nodes.iter().all(|node| target_share("a.example", 1, node, 0, 300, 100) == 0));
}

#[test]
fn a_target_is_a_registrable_domain_or_a_network_however_an_input_writes_it() {
    for (text, target) in [
        ("https://a.b.ipfs.io/x?y#z", "ipfs.io"),
        ("https://ipfs.io", "ipfs.io"),
        ("HTTP://User@WWW.Example.co.uk.:8080/", "example.co.uk"),
        ("www.example.org", "example.org"),
        ("www.example.org:443", "example.org"),
        ("http://1.2.3.4:8080", "1.2.3.0/24"),
        ("1.2.3.4", "1.2.3.0/24"),
        ("http://somebody@1.2.3.4/", "1.2.3.0/24"),
        ("http://[2606:4700:4700:1::1]:80/", "2606:4700:4700::/48"),
        ("2606:4700:4700:1::1", "2606:4700:4700::/48"),
        ("", ""),
        ("://:", ":"),
    ] {
        assert_eq!(target_of(text), target, "{text:?}");
    }
}

#[test]
fn whoever_is_let_in_may_read_and_another_day_lets_others_in() {
    let nodes = nodes(2_000);
    let may = |date: u64| -> Vec<bool> { nodes.iter().map(|node| target_share("a.example", date, node, 2_000, 2_000, 100) > 0).collect() };
    for (node, let_in) in nodes.iter().zip(may(1)) {
        assert!(!let_in || may_read("a.example", 1, node, 2_000));
    }
    assert_ne!(may(1), may(2));
    assert!(nodes.iter().all(|node| !may_read("a.example", 1, node, u64::MAX)));
}

#[test]
fn a_count_that_falls_at_midnight_divides_by_the_day_before() {
    let mut count = LargestCount::default();
    assert_eq!(count.get(), 1);
    for (stations, day, expected) in [(10, 7, 10), (4, 7, 10), (3, 8, 10), (5, 9, 5), (9, 8, 9), (2, 11, 2)] {
        count.note(stations, day);
        assert_eq!(count.get(), expected, "{stations} on day {day}");
    }
}

#[test]
fn a_count_under_a_clock_that_was_a_year_ahead_is_of_today_and_forgotten_in_two_days() {
    let mut count = LargestCount::default();
    for (stations, day, expected) in [(10, 7, 10), (40, 372, 40), (5, 7, 40), (6, 8, 40), (7, 9, 7)] {
        count.note(stations, day);
        assert_eq!(count.get(), expected, "{stations} on day {day}");
    }
}
