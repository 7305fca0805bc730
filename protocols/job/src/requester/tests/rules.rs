//! Rule by rule.

use super::world::*;
use crate::call::{CALL_BYTES_MAX, CallState};
use crate::content::Content;
use crate::durable::Ticket;
use crate::experiment::{Class, ExperimentId, Labels, Measurement};
use crate::log;
use crate::peer_action::PeerAction;
use crate::requester::{Effect, Event, Peer, PublishError};
use crate::time::{HOUR, MINUTE, SECOND};
use crate::verdict::Decision;
use crate::work::{ClaimRefused, ReceiptRefused, Response};

fn refusal(response: Response) -> ClaimRefused {
    match response {
        Response::Refused(refusal) => refusal.body.reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn three_stations_settle_everything_and_the_log_verifies() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 40));
    assert_eq!(world.calls().len(), 1);
    world.run_all(id, &[1, 2, 3]);
    assert_eq!(world.settled().len(), 40);
    let closed = world.calls().pop().unwrap();
    let CallState::Closed { .. } = closed.body.state else { panic!("not closed") };
    assert!(crate::call::check_decoded(&closed, &name("test"), &name("topic")).is_ok());
    let (root, pages) = world.log(&id);
    let summary = log::verify(&root, &pages, |cid| world.blobs.get(cid).cloned(), None).unwrap();
    assert_eq!((summary.settled, summary.expired, summary.receipts), (40, 0, 120));
    // Only the closed record is left, and what owns its Log and its jobs.
    assert_eq!(world.left_behind(), 0);
}

#[test]
fn nothing_is_said_before_it_is_durable() {
    let mut world = World::new();
    world.prompt = false;
    world.handle(Event::Publish { publish: Ticket(0), draft: Box::new(draft(fixed(1), 1)), module: Vec::new() });
    assert!(world.effects.is_empty());
    world.sync();
    let id = world.calls()[0].body.id();
    world.handle(Event::Asked { ask: Ticket(1), from: peer(1), request: crate::work::Request::Claim(claim(id, &[])) });
    assert!(world.answer_to(Ticket(1)).is_none());
    world.crash();
    world.sync();
    // The lease that was never sent is dealt again, under a number that nobody saw.
    world.prompt = true;
    assert_eq!(world.leases(id, 1).len(), 1);
}

#[test]
fn a_newcomer_gets_one_lease_and_more_as_it_proves_itself() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 400));
    let first = world.leases(id, 1);
    assert_eq!(first.len(), 1);
    let mut hand = first;
    // It asks for four.
    for expected in [2, 4] {
        let deliveries = hand.iter().map(|(number, lease)| delivery(id, 1, *number, lease.index, b"o")).collect();
        hand = numbered(world.deliver(id, 1, deliveries).leases.unwrap());
        assert_eq!(hand.len(), expected);
    }
}

#[test]
fn leases_that_got_lost_on_the_way_are_sent_again_with_their_numbers_and_renewed_once() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 4));
    let first = world.leases(id, 1);
    world.pass(10 * SECOND);
    assert_eq!(world.leases(id, 1), first);
    world.pass(10 * SECOND);
    let third = world.leases(id, 1);
    assert_eq!(third[0].0, first[0].0);
    assert_eq!(third[0].1.duration_ms, first[0].1.duration_ms - 10 * SECOND);
    let held = [first[0].0];
    assert!(matches!(world.claim(id, 1, &held), Response::Wait { .. }));
}

#[test]
fn one_cluster_has_one_seat_per_job() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    world.leases(id, 1);
    let neighbour = Peer { node: key(2).node(), cluster: peer(1).cluster, is_relayed: false };
    let request = crate::work::Request::Claim(claim(id, &[]));
    assert!(matches!(world.ask(neighbour, request), Response::Wait { .. }));
    assert_eq!(world.leases(id, 3).len(), 1);
}

/// What a station gets that is in the cluster of station 1.
fn granted(world: &mut World, id: ExperimentId, number: u8) -> usize {
    let sibling = Peer { node: key(number).node(), cluster: peer(1).cluster, is_relayed: false };
    match world.ask(sibling, crate::work::Request::Claim(claim(id, &[]))) {
        Response::Leases(leases) => leases.body.leases.len(),
        Response::Wait { .. } => 0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cluster_of_many_has_no_more_seats_than_others_until_they_leave_work_lying() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 10));
    let (number, lease) = world.leases(id, 1).remove(0);
    let ack = world.deliver_all(id, 1, vec![delivery(id, 1, number, lease.index, b"o")], &[], &[]);
    let next = numbered(ack.leases.expect("nobody else asked"));
    assert_eq!(next.len(), 2);
    assert_eq!((world.leases(id, 20).len(), world.leases(id, 30).len(), granted(&mut world, id, 2)), (1, 1, 0));
    let receipts = next.iter().map(|(number, lease)| delivery(id, 1, *number, lease.index, b"o")).collect();
    // It has three where the others have one on average, and one of its own to come.
    assert!(world.deliver_all(id, 1, receipts, &[], &[]).leases.is_none());
    assert_eq!((2..=10).map(|number| granted(&mut world, id, number)).sum::<usize>(), 0);
    world.pass(2_001);
    assert!(granted(&mut world, id, 3) > 0);
}

#[test]
fn stations_of_one_cluster_share_what_one_of_them_may_have_while_work_is_scarce() {
    let mut world = World::new();
    let scarce = world.publish(draft(fixed(3), 10));
    let (number, lease) = world.leases(scarce, 1).remove(0);
    // Nine more keys get nothing, and somebody else gets as much as the first.
    assert_eq!((2..=10).map(|number| granted(&mut world, scarce, number)).sum::<usize>(), 0);
    assert_eq!(world.leases(scarce, 20).len(), 1);
    // One receipt held is two leases, for all of them together.
    world.deliver_all(scarce, 1, vec![delivery(scarce, 1, number, lease.index, b"o")], &[], &[]);
    let again: usize = (2..=10).map(|number| granted(&mut world, scarce, number)).sum();
    assert!(again <= 2, "{again}");
    // Where there is work for everybody, each proves itself.
    let plenty = world.publish(draft(fixed(3), 400));
    assert_eq!(world.leases(plenty, 1).len(), 1);
    assert_eq!((2..=4).map(|number| granted(&mut world, plenty, number)).sum::<usize>(), 3);
}

#[test]
fn an_expired_lease_is_dealt_to_another_station_and_its_receipt_comes_too_late() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (number, lease) = world.leases(id, 1).remove(0);
    assert!(matches!(world.claim(id, 2, &[]), Response::Wait { .. }));
    world.pass(lease.duration_ms + 5 * SECOND);
    let again = world.leases(id, 2);
    assert_eq!((again[0].1.index, again[0].0), (0, number + 1));
    let ack = world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"o")]);
    assert_eq!(ack.refused.to_vec(), vec![(number, ReceiptRefused::Late)]);
    assert!(world.settled().is_empty());
    let ack = world.deliver(id, 2, vec![delivery(id, 2, again[0].0, 0, b"o")]);
    assert_eq!(ack.held.to_vec(), vec![again[0].0]);
    assert_eq!(world.settled(), vec![0]);
}

#[test]
fn a_returned_lease_goes_to_another_station_at_once() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (number, _) = world.leases(id, 1).remove(0);
    world.claim(id, 2, &[]);
    world.deliver_all(id, 1, vec![], &[], &[number]);
    assert_eq!(world.leases(id, 2)[0].1.index, 0);
}

#[test]
fn a_job_that_everybody_returns_is_kept_for_others_until_the_deadline() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let mut returned = 0;
    for round in 0.. {
        assert!(round < 2_000, "it never ends");
        let station = 1 + (round % 20) as u8;
        match world.claim(id, station, &[]) {
            Response::Leases(leases) => {
                world.deliver_all(id, station, vec![], &[], &[leases.body.first]);
                returned += 1;
            }
            Response::Wait { .. } => world.pass(MINUTE / 2),
            Response::Refused(refusal) if refusal.body.reason == ClaimRefused::NothingLeft => world.pass(MINUTE / 2),
            Response::Refused(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(returned, 40, "twice each");
    let (root, pages) = world.log(&id);
    assert_eq!((root.settled, root.expired, world.now >= START.plus(HOUR)), (0, 1, true));
    assert!(log::verify(&root, &pages, |_| None, None).is_ok());
}

#[test]
fn who_returns_all_it_gets_uses_up_no_job_and_those_who_delivered_something_go_first() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 3));
    let honest = world.leases(id, 100);
    for station in 1..61 {
        let Response::Leases(leases) = world.claim(id, station, &[]) else { continue };
        world.deliver_all(id, station, vec![], &[], &[leases.body.first]);
    }
    let mut hand = honest;
    while !hand.is_empty() {
        let receipts = hand.iter().map(|(number, lease)| delivery(id, 100, *number, lease.index, b"o")).collect();
        hand = world.deliver(id, 100, receipts).leases.map(numbered).unwrap_or_default();
        // Whoever returns and asks again at once gets nothing meanwhile.
        assert!((1..61).all(|station| !matches!(world.claim(id, station, &[]), Response::Leases(_))));
    }
    let (root, pages) = world.log(&id);
    assert_eq!((root.settled, root.expired), (3, 0));
    assert!(log::verify(&root, &pages, |_| None, None).is_ok());
}

#[test]
fn deliveries_are_idempotent_by_lease_number() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let (number, _) = world.leases(id, 1).remove(0);
    for _ in 0..3 {
        let ack = world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"o")]);
        assert_eq!(ack.held.to_vec(), vec![number]);
    }
    assert_eq!(world.machine.view(&id).unwrap().status.held, 1);
}

#[test]
fn two_different_receipts_for_one_lease_are_proof_against_their_author_alone() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let (number, _) = world.leases(id, 1).remove(0);
    world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"o")]);
    let forged = signed(2, receipt(id, 1, number, 0, b"p"), Some(b"p"));
    world.deliver(id, 2, vec![forged]);
    let proven = |world: &World| world.effects.iter().filter(|effect| matches!(effect, Effect::Report { action: PeerAction::Proven, .. })).count();
    assert_eq!(proven(&world), 0);
    let ack = world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"p")]);
    assert_eq!(ack.refused.to_vec(), vec![(number, ReceiptRefused::Contradiction)]);
    assert_eq!(proven(&world), 1);
}

#[test]
fn bad_receipts_are_refused_by_reason_and_their_job_is_free_again() {
    let wrong = |id, number, change: &dyn Fn(&mut crate::receipt::Receipt)| {
        let mut body = receipt(id, 1, number, 0, b"o");
        change(&mut body);
        signed(1, body, Some(b"o"))
    };
    let other = crate::content::cid_of(crate::content::RAW, b"other");
    type Change = Box<dyn Fn(&mut crate::receipt::Receipt)>;
    let cases: Vec<(ReceiptRefused, Change)> = vec![
        (ReceiptRefused::Mismatch, Box::new(|body| body.index = 1)),
        (ReceiptRefused::Mismatch, Box::new(move |body| body.experiment = other)),
        (ReceiptRefused::Mismatch, Box::new(|body| body.profile = name("another"))),
        (ReceiptRefused::Signature, Box::new(|body| body.node = key(9).node())),
        (ReceiptRefused::Output, Box::new(|body| body.output = Some(Content::raw(b"p")))),
        (ReceiptRefused::Output, Box::new(|body| body.output = None)),
        (ReceiptRefused::NoLease, Box::new(|body| body.lease = 77)),
    ];
    for (reason, change) in cases {
        let mut world = World::new();
        let id = world.publish(draft(fixed(1), 1));
        let (number, _) = world.leases(id, 1).remove(0);
        let ack = world.deliver_all(id, 1, vec![wrong(id, number, &change)], &[number], &[]);
        assert_eq!(ack.refused.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), vec![reason]);
        assert!(world.settled().is_empty());
        if reason != ReceiptRefused::NoLease {
            assert_eq!(world.leases(id, 2).len(), 1);
        }
    }
}

#[test]
fn somebody_elses_lease_is_no_lease() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let (number, _) = world.leases(id, 1).remove(0);
    world.leases(id, 2);
    let ack = world.deliver(id, 2, vec![delivery(id, 2, number, 0, b"o")]);
    assert_eq!(ack.refused.to_vec(), vec![(number, ReceiptRefused::NoLease)]);
}

#[test]
fn an_output_that_is_not_inline_is_fetched_and_held_only_when_it_is_right() {
    let big = vec![7; 65_000];
    for good in [true, false] {
        let mut world = World::new();
        let mut draft = draft(fixed(1), 1);
        draft.limits.output_bytes = 1 << 20;
        let id = world.publish(draft);
        let (number, _) = world.leases(id, 1).remove(0);
        let receipt = signed(1, receipt(id, 1, number, 0, &big), None);
        let ack = world.deliver(id, 1, vec![receipt.clone()]);
        assert!(ack.held.is_empty() && ack.refused.is_empty());
        let fetch = world.effects.iter().find_map(|effect| match effect {
            Effect::Fetch { fetch, .. } => Some(*fetch),
            _ => None,
        });
        let bytes = if good { big.clone() } else { vec![8; 65_000] };
        world.handle(Event::Fetched { fetch: fetch.unwrap(), result: Ok(bytes) });
        let ack = world.deliver(id, 1, vec![receipt]);
        assert_eq!(ack.held.len(), usize::from(good));
        assert_eq!(ack.refused.len(), usize::from(!good));
        assert_eq!(world.settled().len(), usize::from(good));
    }
}

#[test]
fn an_output_that_does_not_come_in_five_minutes_ends_its_receipt() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (number, lease) = world.leases(id, 1).remove(0);
    let receipt = signed(1, receipt(id, 1, number, 0, b"o"), None);
    world.deliver(id, 1, vec![receipt.clone()]);
    world.pass(lease.duration_ms + 10 * SECOND);
    assert!(world.deliver(id, 1, vec![receipt.clone()]).refused.is_empty());
    world.pass(5 * MINUTE);
    assert_eq!(world.deliver(id, 1, vec![receipt]).refused.to_vec(), vec![(number, ReceiptRefused::Late)]);
}

#[test]
fn disagreement_draws_more_executions_until_enough_agree() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    for (station, output) in [(1, b"good"), (2, b"evil")] {
        let (number, _) = world.leases(id, station).remove(0);
        world.deliver(id, station, vec![delivery(id, station, number, 0, output)]);
    }
    assert!(world.settled().is_empty());
    let (number, _) = world.leases(id, 3).remove(0);
    let ack = world.deliver(id, 3, vec![delivery(id, 3, number, 0, b"good")]);
    let Decision::Agreed { certificate, against, .. } = &ack.verdicts[0].decision else { panic!("no agreement") };
    assert_eq!((certificate.to_vec(), against.to_vec()), (vec![0, 2], vec![1]));
}

#[test]
fn verdicts_are_told_once_to_those_who_took_part_and_to_nobody_else() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 3));
    let (number, _) = world.leases(id, 1).remove(0);
    world.claim(id, 2, &[]);
    let ack = world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"o")]);
    assert_eq!((ack.verdicts.len(), ack.cursor), (1, 1));
    let leases = numbered(ack.leases.unwrap());
    assert!(world.deliver(id, 2, vec![]).verdicts.is_empty());
    let mut deliver = |cursor| {
        let holding = leases.iter().map(|(number, _)| *number);
        let request = crate::work::Deliver {
            experiment: id,
            receipts: Default::default(),
            holding: crate::bounded::List::first(holding),
            free: 0,
            cursor,
            returned: Default::default(),
        };
        match world.ask(peer(1), crate::work::Request::Deliver(request)) {
            Response::Acked(ack) => ack.body.verdicts.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((deliver(0), deliver(1)), (1, 0));
}

#[test]
fn calls_are_renewed_with_back_off_and_never_twice_the_same() {
    let mut world = World::new();
    world.publish(draft(fixed(1), 1));
    world.pass(61 * SECOND);
    let seqs: Vec<u64> = world.calls().iter().map(|call| call.body.seq).collect();
    assert_eq!(seqs, vec![1, 2, 3, 4, 5]);
    assert!(world.calls().iter().all(|call| crate::codec::encode(call).len() <= CALL_BYTES_MAX));
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    let mut key = [0; 32];
    key[..20].fill(0x0b);
    let mac = super::super::claim::hmac(&key, b"Hi There");
    assert_eq!(mac[..8], [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53]);
}

#[test]
fn claims_without_the_profile_or_the_labels_are_refused_for_good() {
    let mut world = World::new();
    let mut labelled = draft(fixed(1), 1);
    labelled.labels = Labels::of([(name("region"), crate::bounded::List::first([name("eu")]))]).unwrap();
    let id = world.publish(labelled);
    let mut request = claim(id, &[]);
    assert_eq!(refusal(world.ask(peer(1), crate::work::Request::Claim(request.clone()))), ClaimRefused::Labels);
    request.profiles = crate::bounded::List::default();
    assert_eq!(refusal(world.ask(peer(1), crate::work::Request::Claim(request))), ClaimRefused::Profile);
    let unknown = crate::content::cid_of(crate::content::RAW, b"x");
    assert_eq!(refusal(world.claim(unknown, 1, &[])), ClaimRefused::Unknown);
}

#[test]
fn a_cancelled_experiment_closes_at_once_and_late_work_is_refused() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 10));
    let (number, _) = world.leases(id, 1).remove(0);
    let (second, _) = world.leases(id, 2).remove(0);
    world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"o")]);
    world.handle(Event::Cancel { experiment: id });
    let ack = world.deliver(id, 2, vec![delivery(id, 2, second, 0, b"o")]);
    assert_eq!((ack.refused.to_vec(), ack.no_more), (vec![(second, ReceiptRefused::Closed)], Some(ClaimRefused::Closed)));
    assert_eq!(world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"o")]).held.to_vec(), vec![number]);
    assert_eq!(refusal(world.claim(id, 3, &[])), ClaimRefused::Closed);
    let (root, pages) = world.log(&id);
    assert_eq!((root.settled, root.expired, pages[0].entries.len()), (0, 10, 1));
    assert!(log::verify(&root, &pages, |_| None, None).is_ok());
}

#[test]
fn a_measurement_with_too_few_stations_ends_at_its_deadline_with_what_there_is() {
    let mut world = World::new();
    let id = world.publish(draft(measurement(5), 2));
    for station in 1..=2 {
        let (number, lease) = world.leases(id, station).remove(0);
        world.deliver(id, station, vec![delivery(id, station, number, lease.index, b"o")]);
    }
    world.pass(3_600_000 + 31 * SECOND);
    let (root, pages) = world.log(&id);
    assert_eq!(root.settled + root.expired, 2);
    assert!(root.settled >= 1);
    assert!(log::verify(&root, &pages, |_| None, None).is_ok());
}

#[test]
fn a_closed_call_is_repeated_for_half_a_minute_with_rising_seq() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    world.handle(Event::Cancel { experiment: id });
    let before = world.calls().len();
    world.pass(10 * MINUTE);
    let calls = world.calls();
    assert_eq!(calls.len() - before, 4);
    assert!(calls.windows(2).all(|pair| pair[0].body.seq < pair[1].body.seq));
    assert_eq!(world.machine.next_deadline(), None);
}

#[test]
fn after_a_crash_everything_goes_on_with_a_higher_seq_and_the_same_leases() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 3));
    let first = world.leases(id, 1);
    let second = world.leases(id, 2);
    world.deliver(id, 2, vec![delivery(id, 2, second[0].0, second[0].1.index, b"o")]);
    let seq = world.calls().last().unwrap().body.seq;
    world.crash();
    assert_eq!(world.calls().last().unwrap().body.seq, seq + 1);
    assert_eq!(world.leases(id, 1)[0].0, first[0].0);
    let ack = world.deliver(id, 1, vec![delivery(id, 1, first[0].0, first[0].1.index, b"o")]);
    assert_eq!(ack.held.to_vec(), vec![first[0].0]);
    assert_eq!(world.settled(), vec![0]);
    world.crash();
    assert_eq!(world.machine.view(&id).unwrap().status.settled, 1);
    world.run_all(id, &[1, 2]);
    let log = world.machine.view(&id).unwrap().status.log;
    world.crash();
    assert_eq!(world.machine.view(&id).unwrap().status.log, log);
    assert_eq!(world.settled().len(), 3);
}

#[test]
fn an_experiment_whose_call_would_be_too_large_names_its_largest_field() {
    let mut world = World::new();
    let mut large = draft(fixed(1), 1);
    let values = |label: usize| (0..4).map(move |value| name(&format!("{label}{}{value}", "v".repeat(25))));
    large.labels = Labels::of((0..16).map(|label| (name(&format!("label{label}")), crate::bounded::List::first(values(label))))).unwrap();
    large.class = match measurement(3) {
        Class::Measurement(measurement) => {
            let long = |count: usize| crate::bounded::List::first((0..count).map(|number| crate::bounded::Text::cut(&format!("{number:x>60}"))));
            Class::Measurement(Measurement { exact: long(12), report: long(12), ..measurement })
        }
        other => other,
    };
    assert!(matches!(world.try_publish(large), Err(PublishError::TooLarge { field: "where.labels", .. })));
    assert!(world.disk.is_empty() && world.calls().is_empty());
}

#[test]
fn what_is_not_decided_here_is_not_published() {
    let mut world = World::new();
    let trust = crate::experiment::Class::Pure(crate::experiment::Trust::Standard);
    assert_eq!(world.try_publish(draft(trust, 1)), Err(PublishError::TrustNotImplemented));
    let verified = crate::experiment::Class::SelfVerifying { verifier: Content::raw(b"v") };
    assert_eq!(world.try_publish(draft(verified, 1)), Err(PublishError::SelfVerifyingNotImplemented));
}

#[test]
fn a_relayed_station_gets_answers_that_fit_a_relayed_frame() {
    let mut world = World::new();
    let mut wide = draft(fixed(1), 1);
    let input = ipld_core::ipld::Ipld::Bytes(vec![0; 12 << 10]);
    wide.jobs = crate::jobs::Jobs::explicit(vec![input; 64]).unwrap();
    let id = world.publish(wide);
    let relayed = seen(1, [45, 0, 7, 9], Some(9));
    let mut hand = match world.ask(relayed, crate::work::Request::Claim(claim(id, &[]))) {
        Response::Leases(leases) => numbered(leases.body),
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        let receipts = hand.iter().map(|(number, lease)| delivery(id, 1, *number, lease.index, b"o")).collect();
        let deliver = crate::work::Deliver {
            experiment: id,
            receipts: crate::bounded::List::new(receipts).unwrap(),
            holding: Default::default(),
            free: 4,
            cursor: 0,
            returned: Default::default(),
        };
        let answer = world.ask(relayed, crate::work::Request::Deliver(deliver));
        assert!(crate::codec::encode(&answer).len() <= crate::work::RELAYED_BYTES_MAX);
        let Response::Acked(ack) = answer else { panic!("no Ack") };
        hand = numbered(ack.body.leases.unwrap());
    }
}
