//! What guests say of how far they are, as their requester hears it.

use super::world::*;
use crate::bounded::{List, Text};
use crate::requester::SAID_MAX;
use crate::work::{Progress, Request, Response, Said};

fn said(lease: u64, permille: u32, message: &str) -> Said {
    Said { lease, permille, message: Text::cut(message) }
}

#[test]
fn who_has_a_lease_is_heard_by_its_last_word_and_nobody_else() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 4));
    let (lease, job) = world.leases(id, 1).remove(0);
    let mut tell = |number: u8, words: Vec<Said>| {
        let request = Request::Progress(Progress { experiment: id, said: List::first(words) });
        assert!(matches!(world.ask(peer(number), request), Response::Noted));
        world.machine.view(&id).unwrap().said
    };
    assert_eq!(tell(2, vec![said(lease, 900, "not mine")]), [], "another's lease");
    assert_eq!(tell(1, vec![said(lease + 1, 900, "none")]), [], "a lease that is not");
    tell(1, vec![said(lease, 10, "first")]);
    let heard = tell(1, vec![said(lease, 5_000, "last")]);
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].lease, heard[0].index, heard[0].node), (lease, job.index, peer(1).node));
    assert_eq!((heard[0].permille, heard[0].message.as_str()), (1_000, "last"));
    world.deliver(id, 1, vec![delivery(id, 1, lease, job.index, b"x")]);
    assert_eq!(world.machine.view(&id).unwrap().said, [], "it ended");
}

#[test]
fn what_is_shown_is_bounded_and_an_unknown_experiment_is_answered_all_the_same() {
    let mut world = World::new();
    let id = world.publish(draft(measurement(200), 1));
    for number in 1..=100 {
        if let Response::Leases(leases) = world.claim(id, number, &[]) {
            let words = numbered(leases.body).into_iter().map(|(lease, _)| said(lease, 1, &"m".repeat(256)));
            world.ask(peer(number), Request::Progress(Progress { experiment: id, said: List::first(words) }));
        }
    }
    assert_eq!(world.machine.view(&id).unwrap().said.len(), SAID_MAX);
    let nothing = Progress { experiment: crate::content::cid_of(crate::content::DAG_CBOR, b"nothing"), said: List::default() };
    assert!(matches!(world.ask(peer(1), Request::Progress(nothing)), Response::Noted));
}
