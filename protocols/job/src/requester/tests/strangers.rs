//! What stations that lie cost: labels, losses, fetches, forged receipts.

use super::world::*;
use crate::bounded::List;
use crate::cluster::Cluster;
use crate::content::Content;
use crate::experiment::{ExperimentId, Labels};
use crate::jobs::BLOCK_BYTES_MAX;
use crate::log::{self, Entry};
use crate::peer_action::PeerAction;
use crate::receipt::LeaseNumber;
use crate::requester::{Effect, Event, Peer, PublishError};
use crate::time::{MINUTE, SECOND};
use crate::verdict::Decision;
use crate::work::{Claim, ClaimRefused, Delivery, ReceiptRefused, Request, Response};

/// As many bytes as labels may have, in as many as there may be: the first is where the station says that it is.
fn wide(region: &str) -> Labels {
    let of = |label: &str, value: String| (name(label), List::first([name(&value)]));
    let many = (0..15).map(|number| of(&format!("label{number}"), "v".repeat(64)));
    Labels::of(many.chain([of("region", region.to_owned())])).unwrap()
}

fn labelled(id: ExperimentId, labels: Labels) -> Request {
    Request::Claim(Claim { labels, ..claim(id, &[]) })
}

fn leased(response: Response) -> Vec<(LeaseNumber, u64)> {
    match response {
        Response::Leases(leases) => numbered(leases.body).into_iter().map(|(number, lease)| (number, lease.index)).collect(),
        other => panic!("no leases but {other:?}"),
    }
}

/// Another key in the network of `neighbour`.
fn sibling(number: u8, neighbour: u8) -> Peer {
    Peer { node: key(number).node(), cluster: peer(neighbour).cluster, is_relayed: false }
}

fn reports(world: &World, of: u8) -> Vec<PeerAction> {
    let of = key(of).node();
    let report = |effect: &Effect| match effect {
        Effect::Report { node, action } if *node == of => Some(*action),
        _ => None,
    };
    world.effects.iter().filter_map(report).collect()
}

#[test]
fn labels_are_those_of_the_first_claim_and_a_receipt_keeps_what_is_of_interest() {
    let mut world = World::new();
    let id = world.publish(draft(measurement(1), 1));
    // The only job is taken when it comes, so that nothing is outstanding when it claims again.
    let other = leased(world.ask(peer(2), labelled(id, Labels::new())));
    assert!(matches!(world.ask(peer(1), labelled(id, wide("eu"))), Response::Wait { .. }));
    assert!(matches!(world.ask(peer(1), labelled(id, wide("us"))), Response::Wait { .. }));
    world.deliver_all(id, 2, vec![], &[], &[other[0].0]);
    let (number, index) = leased(world.ask(peer(1), labelled(id, wide("asia"))))[0];
    world.deliver(id, 1, vec![delivery(id, 1, number, index, b"o")]);
    let (_, pages) = world.log(&id);
    let Entry::Settled(job) = &pages[0].entries[0] else { panic!("no verdict") };
    assert_eq!(job.receipts[0].labels, Labels::of([(name("region"), List::first([name("eu")]))]).unwrap());
    let Decision::Measured { strata, .. } = &job.verdict.decision else { panic!("not measured") };
    assert_eq!(strata[0].region, Some(name("eu")));
}

#[test]
fn a_later_claim_must_follow_the_rules_of_the_first() {
    let mut world = World::new();
    let mut asks = draft(fixed(1), 2);
    asks.labels = Labels::of([(name("region"), List::first([name("eu")]))]).unwrap();
    let id = world.publish(asks);
    assert!(matches!(world.ask(peer(1), labelled(id, wide("eu"))), Response::Leases(_)));
    match world.ask(peer(1), labelled(id, wide("us"))) {
        Response::Refused(refusal) => assert_eq!(refusal.body.reason, ClaimRefused::Labels),
        other => panic!("not refused: {other:?}"),
    }
}

/// The largest entry that strangers can make: as many receipts as one job may have, each with its own output, labels and lost leases.
#[test]
fn every_page_can_be_read_back_whatever_stations_say() {
    let mut world = World::new();
    let mut large = draft(measurement(100), 1);
    let of = |label: u8| (name(&format!("{label:a>32}")), List::first((0..8).map(|value| name(&format!("{value:b>6}")))));
    large.labels = Labels::of((0..16).map(of)).unwrap();
    let labels = large.labels.clone();
    let id = world.publish(large);
    for station in 0..199 {
        let node = crate::SigningKey::from_bytes(&[station + 1; 32]).node();
        let from = Peer { node, cluster: Cluster::V4([46, 0, station]), is_relayed: false };
        let Response::Leases(leases) = world.ask(from, labelled(id, labels.clone())) else { break };
        let (number, lease) = numbered(leases.body).remove(0);
        let mut output = vec![station; 40_000];
        output[0] = 1;
        let deliver = crate::work::Deliver {
            experiment: id,
            receipts: List::first([delivery(id, station + 1, number, lease.index, &output)]),
            holding: List::default(),
            free: 4,
            cursor: 0,
            returned: List::default(),
        };
        world.ask(from, Request::Deliver(deliver));
    }
    let (root, pages) = world.log(&id);
    assert!(root.pages.iter().all(|cid| world.blobs[cid].len() <= BLOCK_BYTES_MAX));
    assert_eq!(log::verify(&root, &pages, |cid| world.blobs.get(cid).cloned(), None).unwrap().receipts, 100);
}

#[test]
fn an_experiment_whose_receipts_would_not_fit_the_log_is_not_published() {
    let mut world = World::new();
    let mut large = draft(measurement(1_000), 1);
    let of = |label: u8| (name(&format!("{label:a>32}")), List::first((0..8).map(|value| name(&format!("{value:b>6}")))));
    assert!(world.try_publish(large.clone()).is_ok());
    large.labels = Labels::of((0..16).map(of)).unwrap();
    match world.try_publish(large) {
        Err(PublishError::TooManyReceipts { executions: 1_000, most }) => assert!((300..1_000).contains(&most), "{most}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_keys_of_one_network_lose_is_one_attempt_and_does_not_keep_others_waiting() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let mut lost = 0;
    // Far more keys than a job has attempts; each takes what it gets and returns it.
    for number in 50..120 {
        let from = sibling(number, 1);
        let Response::Leases(leases) = world.ask(from, Request::Claim(claim(id, &[]))) else { continue };
        let returned = List::first([(leases.body.first, crate::work::ReturnReason::Drain)]);
        let deliver = crate::work::Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor: 0, returned };
        world.ask(from, Request::Deliver(deliver));
        lost += 1;
        world.pass(MINUTE / 2);
    }
    assert!((2..=16).contains(&lost), "{lost}");
    assert!(world.settled().is_empty(), "its attempts are not used up");
    let hand = world.leases(id, 2);
    world.deliver(id, 2, vec![delivery(id, 2, hand[0].0, hand[0].1.index, b"o")]);
    let (_, pages) = world.log(&id);
    let Entry::Settled(job) = &pages[0].entries[0] else { panic!("no verdict") };
    assert!(matches!(job.verdict.decision, Decision::Agreed { .. }) && job.lost.len() == lost);
}

#[test]
fn a_newcomer_waits_for_what_others_of_its_network_lost_and_nobody_else_does() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 40));
    for number in 50..53 {
        let from = sibling(number, 1);
        let Response::Leases(leases) = world.ask(from, Request::Claim(claim(id, &[]))) else { panic!("there is work") };
        let returned = List::first([(leases.body.first, crate::work::ReturnReason::Drain)]);
        let deliver = crate::work::Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor: 0, returned };
        world.ask(from, Request::Deliver(deliver));
        assert!(matches!(world.ask(sibling(number + 50, 1), Request::Claim(claim(id, &[]))), Response::Wait { .. }), "a new key");
        assert!(matches!(world.claim(id, number + 100, &[]), Response::Leases(_)), "another network");
        world.pass(10 * SECOND);
    }
}

/// A receipt that names an output which is not beside it.
fn absent(id: ExperimentId, station: u8, number: LeaseNumber, index: u64) -> Delivery {
    let mut body = receipt(id, station, number, index, b"");
    body.output = Some(Content::raw(&[station; 70_000]));
    signed(station, body, None)
}

#[test]
fn keys_of_one_network_that_serve_nothing_cannot_hold_all_fetches() {
    let mut world = World::new();
    let mut large = draft(fixed(1), 20_000);
    large.limits.output_bytes = 1 << 20;
    let id = world.publish(large);
    let deliver = |world: &mut World, from: Peer, receipt: Delivery| {
        let receipts = List::first([receipt]);
        let deliver = crate::work::Deliver { experiment: id, receipts, holding: List::default(), free: 0, cursor: 0, returned: List::default() };
        world.ask(from, Request::Deliver(deliver))
    };
    for network in 1..=9 {
        for key in 0..20 {
            let number = 10 + network * 20 + key;
            let from = Peer { node: self::key(number).node(), cluster: Cluster::V4([46, 0, network]), is_relayed: false };
            let (lease, index) = leased(world.ask(from, Request::Claim(claim(id, &[]))))[0];
            deliver(&mut world, from, absent(id, number, lease, index));
        }
    }
    let fetches = |world: &World| world.effects.iter().filter(|effect| matches!(effect, Effect::Fetch { .. })).count();
    assert_eq!(fetches(&world), 6 * 8 + 3, "eight of a network, and one of each where only the last places are left");
    let (lease, index) = leased(world.claim(id, 1, &[]))[0];
    let before = fetches(&world);
    deliver(&mut world, peer(1), absent(id, 1, lease, index));
    assert_eq!(fetches(&world), before + 1, "an honest one of another network is fetched at once");
}

#[test]
fn of_a_delivery_with_a_forged_receipt_the_rest_is_not_verified_and_it_is_told() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 200));
    let hand = world.leases(id, 1);
    let first = delivery(id, 1, hand[0].0, hand[0].1.index, b"o");
    let ack = world.deliver(id, 1, vec![first.clone()]);
    let more: Vec<_> = ack.leases.map(numbered).expect("more work");
    let mut forged = first.clone();
    forged.receipt.body.fuel = 9;
    let honest = more.iter().map(|(number, lease)| delivery(id, 1, *number, lease.index, b"o"));
    let ack = world.deliver(id, 1, std::iter::repeat_n(forged.clone(), 40).chain(honest).collect());
    assert_eq!((ack.refused.to_vec(), ack.held.to_vec()), (vec![(hand[0].0, ReceiptRefused::Signature)], vec![]));
    assert_eq!(reports(&world, 1).iter().filter(|action| **action == PeerAction::Invalid).count(), 1);
    // The honest ones come again.
    let again = more.iter().map(|(number, lease)| delivery(id, 1, *number, lease.index, b"o")).collect();
    assert_eq!(world.deliver(id, 1, again).held.len(), more.len());
    // Somebody else's receipt is nobody's proof.
    let ack = world.deliver(id, 2, vec![forged]);
    assert_eq!(ack.refused[0].1, ReceiptRefused::Signature);
    assert_eq!(reports(&world, 2), [PeerAction::Invalid]);
}

#[test]
fn a_station_that_says_it_took_for_ever_is_believed_a_day() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 10));
    let (number, lease) = world.leases(id, 1).remove(0);
    let mut body = receipt(id, 1, number, lease.index, b"o");
    body.duration_ms = u64::MAX;
    assert_eq!(world.deliver(id, 1, vec![signed(1, body, Some(b"o"))]).held.to_vec(), [number]);
    assert!(world.machine.open[&id].claimants[&peer(1).node].execution_ms <= crate::lease::LEASE_MS_MAX);
}

#[test]
fn claimants_are_bounded_and_the_largest_network_makes_room_for_others() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1_000_000));
    let most = super::super::claim::CLAIMANTS_MAX;
    let run = world.machine.open.get_mut(&id).unwrap();
    // Each has a lease, so that none is idle.
    for number in 0..most as u64 {
        let node = crate::NodeId(crate::content::sha256(&[&number.to_be_bytes()]));
        let from = Peer { node, cluster: peer(1).cluster, is_relayed: false };
        let mut claimant = super::super::run::Claimant::new(from, Labels::new(), 1, world.now);
        claimant.outstanding.insert(1_000_000 + number);
        run.claimants.insert(node, claimant);
    }
    match world.ask(sibling(2, 1), Request::Claim(claim(id, &[]))) {
        Response::Refused(refusal) => assert_eq!(refusal.body.reason, ClaimRefused::ClusterTaken),
        other => panic!("not refused: {other:?}"),
    }
    for number in 2..20 {
        assert!(matches!(world.claim(id, number, &[]), Response::Leases(_)), "station {number}");
        assert_eq!(world.machine.open[&id].claimants.len(), most);
    }
}

#[test]
fn a_draw_among_more_than_there_is_room_for_makes_room() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1_000_000));
    let most = super::super::claim::CLAIMANTS_MAX;
    // While the topic is small there is no window, and who wants no lease yet is taken in all the same.
    for number in 0..most as u64 {
        let node = crate::NodeId(crate::content::sha256(&[&number.to_be_bytes()]));
        let from = Peer { node, cluster: peer(1).cluster, is_relayed: false };
        // The first and the last ask, the others stand for more of the same.
        if number == 0 || number == most as u64 - 1 {
            assert!(matches!(world.ask(from, Request::Claim(Claim { free: 0, ..claim(id, &[]) })), Response::Wait { .. }));
        } else {
            let claimant = super::super::run::Claimant::new(from, Labels::new(), 1, world.now);
            world.machine.open.get_mut(&id).unwrap().claimants.insert(node, claimant);
        }
    }
    assert_eq!(world.machine.open[&id].claimants.len(), most);
    world.handle(Event::Counted { topic: name("topic"), stations: super::super::claim::WINDOW_STATIONS });
    for number in 2..20 {
        assert!(matches!(world.claim(id, number, &[]), Response::Wait { .. }), "station {number} waits for the draw");
    }
    world.pass(3 * SECOND);
    assert_eq!(world.machine.open[&id].claimants.len(), most);
    for number in 2..20 {
        assert!(matches!(world.claim(id, number, &[]), Response::Leases(_)), "station {number} was drawn");
    }
}

#[test]
fn outputs_that_fill_memory_stand_in_blobs() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 4));
    let (number, index) = leased(world.claim(id, 1, &[]))[0];
    world.machine.open.get_mut(&id).unwrap().held_bytes = super::super::deal::HELD_BYTES_MAX;
    let output = [7; 5_000];
    world.deliver(id, 1, vec![delivery(id, 1, number, index, &output)]);
    assert!(world.blobs.contains_key(&Content::raw(&output).cid));
    let job = &world.machine.open[&id].open[&index];
    assert!(job.receipts[0].output.is_none());
}
