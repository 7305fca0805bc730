//! What strangers ask for and answer: leases, claims, places, and the compiler.

use station_stranger::alone::alone;
use station_stranger::attacks::labels::{Labels, work_with};
use station_stranger::attacks::leases::{leave_returned_leases, over_lease};
use station_stranger::attacks::modules::hog_the_compiler;
use station_stranger::attacks::places::{hold_handshakes, hold_places};
use station_stranger::world::World;

use super::{honest_work_settles, many, program, seconds};

/// Receipts that a station keeps for one it does not know.
const OUTBOX_UNKNOWN_MAX: u64 = 64;

#[test]
fn leases_that_nobody_asked_for_fill_no_outbox() {
    alone(|| async {
        let world = World::start(program()).await;
        let leased = over_lease(&world, seconds(5, 300)).await;
        assert!(leased.answers > 0, "the target claims: {leased:?}");
        assert!(leased.outbox_most <= OUTBOX_UNKNOWN_MAX, "{leased:?}");
        assert_eq!(leased.far_deadline, None, "no receipt is kept for ever: {leased:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn a_requester_that_is_gone_is_not_dialled_for_ever() {
    alone(|| async {
        let world = World::start(program()).await;
        let returned = leave_returned_leases(&world, many(2, 20), seconds(4, 660)).await;
        assert!(returned.claims > 0, "{returned:?}");
        // Five failures with pauses between them, for each; all is forgotten some minutes after the deadline.
        assert!(returned.knocks as u64 <= 8 * returned.experiments, "{returned:?}");
        assert!(super::many(true, returned.late_knocks == 0 && returned.remembered == 0), "{returned:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn labels_of_a_claim_are_checked_whenever_they_come_and_results_stay_readable() {
    alone(|| async {
        for kind in [Labels::Huge, Labels::HugeLater, Labels::Most] {
            let world = World::start(program()).await;
            let labelled = work_with(&world, kind, 1, seconds(5, 30)).await;
            assert!(labelled.claims > 0, "{labelled:?}");
            assert_eq!(labelled.verify, 0, "{kind:?}: {labelled:?}");
            // 4 where strangers were refused: jobs without an answer, said so.
            assert!(matches!(labelled.results, 0 | 4), "{kind:?}: {labelled:?}");
            assert!(labelled.after_mb - labelled.before_mb < 64.0, "{kind:?}: {labelled:?}");
        }
    });
}

#[test]
fn a_receipt_that_says_it_took_for_ever_stops_nobody() {
    alone(|| async {
        let world = World::start(program()).await;
        let labelled = work_with(&world, Labels::Most, u64::MAX, seconds(3, 10)).await;
        assert!(labelled.leases > 0, "{labelled:?}");
        assert_eq!(labelled.verify, 0, "{labelled:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn many_keys_of_one_network_leave_room_for_others() {
    alone(|| async {
        let world = World::start(program()).await;
        let held = hold_places(&world, many(80, 1_000), many(5, 100)).await;
        assert_eq!(held.refused, 0, "{held:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn handshakes_that_do_not_end_leave_room_for_others() {
    alone(|| async {
        let world = World::start(program()).await;
        let held = hold_handshakes(&world, many(200, 1_000), many(5, 100)).await;
        assert_eq!(held.refused, 0, "{held:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn modules_that_are_slow_to_compile_do_not_stop_an_honest_one() {
    alone(|| async {
        let world = World::start(program()).await;
        let (_liars, _) = hog_the_compiler(&world, many(4, 10)).await;
        honest_work_settles(&world).await;
        let status = world.status().await;
        let charged = status["accounts"]["compile milliseconds"]["charged"].as_u64();
        assert!(charged.is_some_and(|ms| ms > 0), "whoever has modules compiled pays for it: {}", status["accounts"]);
    });
}
