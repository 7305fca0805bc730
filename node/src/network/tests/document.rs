//! The numbers that PROTOCOL.md gives for connections, frames and conduct are those of this room.

use std::time::Duration;

use station_protocol::PeerAction;

use super::super::standing::{AWAY, HALF_LIFE, LET_GO, SCORE, points};
use super::super::{codec, config, gossip, metered};
use crate::config::TOPICS_MAX;

const DOCUMENT: &str = include_str!("../../../../protocols/job/PROTOCOL.md");

fn thousands(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn the_page_says_what_conduct_costs() {
    let rows = [
        ("useful", PeerAction::Useful),
        ("tolerable", PeerAction::Tolerable),
        ("annoying", PeerAction::Annoying),
        ("invalid", PeerAction::Invalid),
        ("proven", PeerAction::Proven),
    ];
    for (name, action) in rows {
        let points = points(action);
        let sign = if points < 0.0 { "−" } else { "" };
        let cell = format!("| `{name}` | {sign}{} |", thousands(points.abs() as u64));
        let row = DOCUMENT.lines().find(|line| line.starts_with(&cell)).unwrap_or_else(|| panic!("PROTOCOL.md lacks {cell}"));
        if points < 0.0 {
            // Which one of them in quick succession is the last; the fiftieth is so within half a minute of the first.
            let at_once = (LET_GO / points).ceil() as u64;
            let said: u64 = row.split('|').nth(3).and_then(|cell| cell.trim().parse().ok()).expect("a number");
            assert!(said.abs_diff(at_once) <= 2, "{name}: {at_once} are enough, the page says {said}");
        }
    }
    let page = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((LET_GO, SCORE), (-1_000.0, (-1_000.0, 50.0)));
    assert!(page.contains("within −1,000 and 50. At −1,000 it is *let go* for an hour"));
    assert_eq!((AWAY, HALF_LIFE), (Duration::from_secs(3_600), Duration::from_secs(600)));
    assert!(page.contains("What is past halves every ten minutes"));
}

#[test]
fn the_page_says_what_a_connection_carries() {
    let page = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    let (all, one) = config::CAR_STREAMS_MAX;
    let sentences = [
        format!("A frame has at most {} bytes, more is dropped", thousands(gossip::FRAME_BYTES_MAX as u64)),
        format!(
            "A station reads at most {} messages, {} subscriptions and {} KiB of control",
            gossip::FRAME_MESSAGES_MAX,
            metered::SUBSCRIPTIONS_MAX,
            gossip::CONTROL_BYTES_MAX >> 10
        ),
        format!("answers {} requests of one connection at once", config::WORK_STREAMS_MAX),
        format!("has {one} streams of `car` open to one peer, {} to one network, {all} in all", config::CAR_STREAMS_OF_CLUSTER_MAX),
        format!("A connection ends after {} s in which nobody uses it", config::IDLE_TIMEOUT.as_secs()),
        format!(
            "A frame of `work` is whole within {} s and a second more for each {} KiB",
            codec::GRACE.as_secs(),
            codec::BYTES_PER_SECOND_MIN >> 10
        ),
        format!("`topics` (1 to {TOPICS_MAX} names)"),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "PROTOCOL.md lacks: {sentence}");
    }
}

#[test]
fn the_architecture_says_what_strangers_can_fill_at_the_worst() {
    let sentence = format!("does not compile above {} MiB", thousands(config::MEMORY_WORST_MAX_MIB as u64));
    assert!(include_str!("../../../../ARCHITECTURE.md").contains(&sentence), "ARCHITECTURE.md lacks: {sentence}");
}
