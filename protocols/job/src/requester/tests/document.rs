//! The numbers that PROTOCOL.md gives for requesters are the machine's.

use super::super::claim::{BUSY_MS, SPARES, WINDOW_CLAIMS, WINDOW_MS, WINDOW_PER_CLUSTER_MAX, WINDOW_STATIONS};
use super::super::deal::{AHEAD, AHEAD_MS, FIRST_MS, LOSSES_PER_CLUSTER_MAX, LOSSES_PER_NODE_MAX, PAUSE_MS_MAX, WALK_MAX};
use super::super::deliver::FETCHES_MAX;
use super::super::open::{EXECUTIONS_PER_CLAIMANT, RENEW_MS_MAX, RENEW_MS_MIN, WANTED_MAX, WIDEN_BY, WIDEN_MS};
use super::super::overdue::{MODULE_BYTES_PER_MS, OVERDUE_MS_MIN, OVERDUE_TIMES, RECEIPTS_FIRST, RECEIPTS_MIN, UNKNOWN_PART};
use super::super::run::{LOSSES_MAX, VAIN_MAX};
use super::super::settle::{CLOSING_MS, UNREAD_MAX};
use super::super::untold::{UNTOLD_MS, VERDICT_BYTES_MAX};
use super::super::{CLOSED_MAX, OPEN_MAX};
use crate::lease::GRACE_MS;
use crate::log::RULES;
use crate::receipt::INLINE_BYTES_MAX;
use crate::requester::run::attempts_max;
use crate::time::{MINUTE, SECOND};
use crate::verdict::{EXACT_BYTES_MAX, VERDICT_RECEIPTS_MAX};
use crate::work::{HOLDING_MAX, RELAYED_BYTES_MAX};

const DOCUMENT: &str = include_str!("../../../PROTOCOL.md");

fn thousands(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn the_page_says_how_requesters_call_deal_and_tell() {
    let page = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentences = [
        format!("divided by {EXECUTIONS_PER_CLAIMANT}, at most {WANTED_MAX}, and as many"),
        format!(
            "renewed after {}, {}, {} … s and at last every {} min",
            RENEW_MS_MIN / SECOND,
            2 * RENEW_MS_MIN / SECOND,
            4 * RENEW_MS_MIN / SECOND,
            RENEW_MS_MAX / MINUTE
        ),
        format!("when after {} s too few clusters claimed", WIDEN_MS / SECOND),
        format!("At most {UNREAD_MAX} unread ones are kept of one station"),
        format!("of more than {} bytes ({} over a relay)", thousands(VERDICT_BYTES_MAX), thousands(RELAYED_BYTES_MAX / 4)),
        format!("of the last {} experiments that it closed", thousands(CLOSED_MAX)),
        format!("never more than {HOLDING_MAX} at once"),
        format!("from sending it plus {} s", GRACE_MS / SECOND),
        format!("(`rules: {RULES}`)"),
        format!("An output above {} bytes has no fields", thousands(INLINE_BYTES_MAX)),
        format!("or where those are more than {EXACT_BYTES_MAX} to the DAG-CBOR"),
        format!("A list of numbers ends at {}.", thousands(VERDICT_RECEIPTS_MAX)),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "PROTOCOL.md lacks: {sentence}");
    }
    assert!(WIDEN_BY == 4 && page.contains("then `claim_below` is four times as large"));
    assert!(CLOSING_MS == MINUTE / 2 && page.contains("is repeated for half a minute"));
    assert!(UNTOLD_MS == 10 * MINUTE && page.contains("they are told for ten minutes more"));
    const { assert!(OPEN_MAX < CLOSED_MAX) };
    let mut world = super::world::World::new();
    for stations in [1_u16, 3, 100] {
        let id = world.publish(super::world::draft(super::world::fixed(stations), 1));
        let body = &world.machine.view(&id).unwrap().call.body.experiment.body;
        assert_eq!(attempts_max(body), 2 * u32::from(stations) + 8);
    }
    assert!(page.contains("(2N + 8, and fewer where"));
}

#[test]
fn the_page_says_whom_requesters_take_in_and_when_they_deal_again() {
    let page = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((WINDOW_CLAIMS, AHEAD, AHEAD_MS, FIRST_MS, PAUSE_MS_MAX), (4, 2, SECOND, 2 * SECOND, MINUTE));
    assert_eq!((MODULE_BYTES_PER_MS, OVERDUE_TIMES, RECEIPTS_FIRST, RECEIPTS_MIN, OVERDUE_TIMES * UNKNOWN_PART), (1_000, 4, 8, 3, 16));
    assert_eq!(LOSSES_PER_NODE_MAX, 2);
    let sentences = [
        format!(
            "In a topic of {WINDOW_STATIONS} stations and more, claims wait for the first leases until {} s after the first or until four times `wanted`",
            WINDOW_MS / SECOND
        ),
        format!("Of one cluster at most {WINDOW_PER_CLUSTER_MAX} claims are kept"),
        format!("as many as have a job, up to {SPARES}."),
        format!("`busy` is a `wait` of {} s", u64::from(BUSY_MS) / SECOND),
        "at most twice its `capacity` or, of a pure experiment, what it does in a second".to_owned(),
        format!(
            "dealt longer ago than {} s plus 1 s per MB of the module, and than four times what leases of the experiment usually take",
            OVERDUE_MS_MIN / SECOND
        ),
        "Usual is the longest time of the first eight receipts, and then what half of them take".to_owned(),
        "where three have not come yet it is a sixteenth of `wall_ms`".to_owned(),
        format!("up to {VAIN_MAX} of one job"),
        format!("after a pause that doubles up to a minute, at most {LOSSES_PER_CLUSTER_MAX} times, a station at most twice"),
        format!("After {LOSSES_MAX} losses a job is at its end. For two seconds those go first"),
        "one loss in these pauses, however many leases it names; in the bounds of their jobs each of them counts".to_owned(),
        format!("A requester looks at {WALK_MAX} jobs for that with each question"),
        format!("of {FETCHES_MAX} places are for clusters that have none"),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "PROTOCOL.md lacks: {sentence}");
    }
}
