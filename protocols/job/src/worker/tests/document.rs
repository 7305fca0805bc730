//! The numbers that PROTOCOL.md gives for stations are the machine's.

use super::super::calls::{CALLS_PER_AUTHOR_MAX, CALLS_PER_TOPIC_MAX};
use super::super::claims::{DIALS_PER_S, STAGGER_MS_MAX};
use super::super::peers::ANSWER_EVERY_MS;
use super::super::questions::AGAIN_MS;
use crate::census::{RECORD_AGE_MS_MAX, RECORD_IPS_MAX};
use crate::time::{HOUR, MINUTE, SECOND};
use crate::work::WAIT_MS;

const DOCUMENT: &str = include_str!("../../../PROTOCOL.md");

fn thousands(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn the_page_says_how_stations_ask_and_answer() {
    let page = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentences = [
        format!("keeps {CALLS_PER_AUTHOR_MAX} Calls of one key and {} of a topic", thousands(CALLS_PER_TOPIC_MAX as u64)),
        format!("Where more than {DIALS_PER_S} stations are asked it waits before"),
        format!("(asked − {DIALS_PER_S}) / {DIALS_PER_S} s and a minute at most"),
        format!("one topic each, twice in {} s", ANSWER_EVERY_MS / SECOND),
        format!("are between {} and {}; what is outside", WAIT_MS.start(), thousands(u64::from(*WAIT_MS.end()))),
        format!("was not answered within {} s is sent once more", AGAIN_MS / SECOND),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "PROTOCOL.md lacks: {sentence}");
    }
    assert_eq!((STAGGER_MS_MAX, RECORD_AGE_MS_MAX, RECORD_IPS_MAX), (MINUTE, 2 * HOUR, 2), "a minute, two hours, two machines");
    assert!(page.contains("lives for two hours after `made`") && page.contains("at most two machines directly"));
}
