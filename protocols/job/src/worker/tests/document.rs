//! The numbers that PROTOCOL.md gives for stations are the machine's.

use super::super::calls::{CALLS_PER_AUTHOR_MAX, CALLS_PER_TOPIC_MAX, UNKNOWN, UNKNOWN_RESERVED, UNKNOWN_SHARE};
use super::super::claims::{BACKOFF_MS, DIALS_PER_S, STAGGER_MS_MAX};
use super::super::dials::{DIAL_AFTER_CALL_MS, FAILURES_MAX, MUTE_MS};
use super::super::outbox::{OUTBOX_MAX, OUTBOX_STRANGERS_MAX};
use super::super::peers::{ANSWER_EVERY_MS, OUTSIDE_EVERY_MS, OWN_RECORD_MS};
use super::super::questions::{AGAIN_BYTES_MAX, AGAIN_MS};
use super::super::schedule::KEPT_MS;
use super::super::turns::{KEPT_TURN_MS, UNKNOWN_STRIDE};
use super::super::used::USED_MAX;
use super::super::way::{KNOWN_MAKES_WAY_AFTER_MS, KNOWN_MAKES_WAY_DOUBLINGS, LONG_MS, MAKES_WAY_AFTER_MS, MAKES_WAY_DOUBLINGS};
use crate::census::{RECORD_AGE_MS_MAX, RECORD_IPS_MAX};
use crate::lease::LEASE_MS_MAX;
use crate::time::{DAY, HOUR, MINUTE, SECOND};
use crate::work::WAIT_MS;

const DOCUMENT: &str = include_str!("../../../PROTOCOL.md");

fn thousands(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

/// The page in one line.
fn page() -> String {
    DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_says_how_stations_ask_and_answer() {
    let page = page();
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

#[test]
fn the_page_says_when_jobs_make_way_and_whose_turn_it_is() {
    assert_eq!((MAKES_WAY_AFTER_MS, KNOWN_MAKES_WAY_AFTER_MS), (MINUTE, 4 * MINUTE));
    let (first, known) = (MAKES_WAY_AFTER_MS << MAKES_WAY_DOUBLINGS, KNOWN_MAKES_WAY_AFTER_MS << KNOWN_MAKES_WAY_DOUBLINGS);
    assert!(first == known && (HOUR..HOUR + 5 * MINUTE).contains(&first), "an hour and a little more, longer than any job");
    assert_eq!((UNKNOWN_STRIDE, LONG_MS, KEPT_MS, KEPT_TURN_MS), (10, 5 * SECOND, SECOND, SECOND / 10));
    let sentences = [
        "A job that has run for a minute while another requester's waits",
        "Each time the minute doubles for that experiment, up to an hour;",
        "and it is four minutes where it is the other way round",
        "all strangers together by ten times theirs",
        "Where jobs that have run for five seconds take what a job needs",
        "A slot is kept for a second for whose turn it is",
        "and each tenth of that second counts as a turn",
        // The compiler's turns are of the same stride.
        "who get one turn in eleven",
    ];
    sentences.into_iter().for_each(|sentence| assert!(page().contains(sentence), "PROTOCOL.md lacks: {sentence}"));
}

#[test]
fn the_page_says_what_stations_keep_and_how_long_they_try() {
    assert_eq!((OUTSIDE_EVERY_MS, OWN_RECORD_MS, MUTE_MS, DIAL_AFTER_CALL_MS), (3 * MINUTE, HOUR, 10 * MINUTE, HOUR));
    assert_eq!((FAILURES_MAX, LEASE_MS_MAX, 2 * OUTBOX_STRANGERS_MAX), (5, DAY, OUTBOX_MAX));
    assert_eq!((UNKNOWN.micro_per_ms, UNKNOWN_RESERVED.micro_per_ms, UNKNOWN_SHARE.micro_per_ms), (1_000, 2_000, 1_000 / 8));
    let sentences = [
        "Every three minutes it also reaches one random station".to_owned(),
        "and is made anew each hour and when addresses change".to_owned(),
        "Where a node was not found it is left alone for ten minutes".to_owned(),
        "are dialled until an hour after its `exp`".to_owned(),
        "end with the deadline or after five questions without an answer".to_owned(),
        "from receiving the lease, and a day at most".to_owned(),
        "and gives strangers half of its outbox".to_owned(),
        format!("It remembers the last {} of an experiment that it ran", thousands(USED_MAX as u64)),
        format!("a back-off of 1, 2, 4 … {} s ± 20 %", BACKOFF_MS.1 / SECOND),
        format!("A Claim, and a Deliver of at most {} KiB, that was not", AGAIN_BYTES_MAX >> 10),
        format!(
            "one a second from anybody ({} at once) and two a second more ({} at once) from neighbours within their share of one in 8 s ({} at once)",
            UNKNOWN.burst, UNKNOWN_RESERVED.burst, UNKNOWN_SHARE.burst
        ),
    ];
    sentences.iter().for_each(|sentence| assert!(page().contains(sentence), "PROTOCOL.md lacks: {sentence}"));
}
