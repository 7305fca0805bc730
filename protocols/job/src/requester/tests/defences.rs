//! What one station, and one network, may have of an experiment, whatever it says and however often.

use super::super::claim::CLAIMANTS_MAX;
use super::super::claim::wait_ms;
use super::super::deal::{HELD_BYTES_ALL_MAX, HELD_BYTES_MAX, HELD_BYTES_SHARE};
use super::super::losers::Losers;
use super::super::records::{Tag, key as record_key};
use super::super::run::{Claimant, LOSERS_MAX, LOSSES_MAX, LOST_MAX, Losses, Run, Window};
use super::world::*;
use crate::bounded::List;
use crate::cluster::Cluster;
use crate::content::Content;
use crate::experiment::{ExperimentId, Labels};
use crate::log::Lost;
use crate::peer_action::PeerAction;
use crate::receipt::LeaseNumber;
use crate::requester::{Effect, Event, OPEN_MAX, Peer, PublishError};
use crate::time::{MINUTE, SECOND};
use crate::work::{Ack, Claim, ClaimRefused, Deliver, Delivery, HOLDING_MAX, LEASES_MAX, RELAYED_BYTES_MAX, ReceiptRefused, Request, Response};

fn leased(response: Response) -> Vec<(LeaseNumber, u64)> {
    match response {
        Response::Leases(leases) => numbered(leases.body).into_iter().map(|(number, lease)| (number, lease.index)).collect(),
        Response::Wait { .. } => Vec::new(),
        Response::Refused(refusal) if refusal.body.reason == ClaimRefused::NothingLeft => Vec::new(),
        other => panic!("no leases but {other:?}"),
    }
}

fn run(world: &mut World, id: ExperimentId) -> &mut Run {
    world.machine.open.get_mut(&id).expect("open")
}

fn claimant(world: &mut World, id: ExperimentId, number: u8) -> &mut Claimant {
    run(world, id).claimants.get_mut(&peer(number).node).expect("it claimed")
}

/// Another key in the network of `neighbour`, or a station that moved there.
fn sibling(number: u8, neighbour: u8) -> Peer {
    Peer { cluster: peer(neighbour).cluster, ..peer(number) }
}

fn claims(world: &mut World, id: ExperimentId, from: Peer) -> Response {
    world.ask(from, Request::Claim(claim(id, &[])))
}

fn reports(world: &World, of: u8) -> Vec<PeerAction> {
    let report = |effect: &Effect| match effect {
        Effect::Report { node, action } if *node == peer(of).node => Some(*action),
        _ => None,
    };
    world.effects.iter().filter_map(report).collect()
}

fn fetches(world: &World) -> Vec<crate::durable::Ticket> {
    let fetch = |effect: &Effect| if let Effect::Fetch { fetch, .. } = effect { Some(*fetch) } else { None };
    world.effects.iter().filter_map(fetch).collect()
}

/// A good receipt whose output is somewhere else.
fn absent(id: ExperimentId, station: u8, (number, index): (LeaseNumber, u64)) -> Delivery {
    signed(station, receipt(id, station, number, index, b"o"), None)
}

/// Returns every lease that `from` has.
fn returns(world: &mut World, id: ExperimentId, from: Peer, leases: &[(LeaseNumber, u64)]) {
    let returned = List::first(leases.iter().map(|(number, _)| (*number, crate::work::ReturnReason::Drain)));
    let deliver = Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor: 0, returned };
    world.ask(from, Request::Deliver(deliver));
}

#[test]
fn who_moves_without_leases_is_where_it_moved_to_and_with_leases_where_it_got_them() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    world.ask(peer(1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
    assert_eq!(leased(world.claim(id, 2, &[])).len(), 1);
    assert_eq!(leased(claims(&mut world, id, sibling(1, 2))), [], "its new network has the job");
    // With a lease.
    let held = leased(claims(&mut world, id, peer(3)));
    assert_eq!(held.len(), 1);
    world.ask(sibling(3, 4), Request::Claim(claim(id, &[held[0].0])));
    assert_eq!(claimant(&mut world, id, 3).cluster, peer(3).cluster);
}

#[test]
fn past_the_deadline_nobody_is_taken_in_and_nothing_is_dealt() {
    let mut world = World::new();
    let mut short = draft(fixed(1), 100);
    short.deadline_ms = 20_000;
    let id = world.publish(short);
    let first = leased(world.claim(id, 1, &[]));
    claimant(&mut world, id, 1).held = 10;
    world.pass(20_001);
    assert!(world.machine.open.contains_key(&id), "what is leased may still be delivered");
    match world.claim(id, 2, &[]) {
        Response::Refused(refusal) => assert_eq!(refusal.body.reason, ClaimRefused::Closed),
        other => panic!("taken in: {other:?}"),
    }
    assert_eq!(leased(world.claim(id, 1, &[first[0].0])), []);
}

#[test]
fn a_station_without_work_waits_longer_each_time_and_after_a_loss_as_long_as_its_pause() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let first = leased(world.claim(id, 1, &[]));
    let wait = |response: Response| if let Response::Wait { ms } = response { ms } else { panic!("{response:?}") };
    assert_eq!([(); 6].map(|()| wait(world.claim(id, 2, &[]))), [50, 100, 200, 400, 800, 1_000]);
    for _ in 0..2 {
        let again = leased(world.claim(id, 1, &[]));
        assert_eq!(again[0].1, first[0].1);
        returns(&mut world, id, peer(1), &again);
        world.pass(5 * SECOND);
    }
    let last = leased(world.claim(id, 2, &[]));
    returns(&mut world, id, peer(2), &last);
    let waits = wait(world.claim(id, 2, &[]));
    assert_eq!(waits, 1_000, "not what it waited before");
    assert_eq!((wait_ms(0), wait_ms(u64::MAX)), (50, 60_000));
}

#[test]
fn only_who_has_a_lease_returns_it_and_not_after_it_named_a_receipt() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let lease = leased(world.claim(id, 1, &[]))[0];
    returns(&mut world, id, peer(2), &[lease]);
    assert!(world.deliver(id, 1, vec![absent(id, 1, lease)]).refused.is_empty());
    returns(&mut world, id, peer(1), &[lease]);
    let fetch = fetches(&world)[0];
    world.handle(Event::Fetched { fetch, result: Ok(b"o".to_vec()) });
    assert_eq!(world.settled(), [0]);
}

#[test]
fn an_output_is_asked_for_once_and_whoever_serves_another_is_reported() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let lease = leased(world.claim(id, 1, &[]))[0];
    for _ in 0..3 {
        world.deliver(id, 1, vec![absent(id, 1, lease)]);
    }
    assert_eq!(fetches(&world).len(), 1);
    let fetch = fetches(&world)[0];
    world.handle(Event::Fetched { fetch, result: Ok(b"p".to_vec()) });
    assert_eq!(reports(&world, 1), [PeerAction::Invalid]);
}

#[test]
fn fetches_end_with_their_lease_and_with_their_experiment() {
    for cancel in [false, true] {
        let mut world = World::new();
        let id = world.publish(draft(fixed(1), 1));
        let lease = leased(world.claim(id, 1, &[]))[0];
        world.deliver(id, 1, vec![absent(id, 1, lease)]);
        assert_eq!(world.machine.cx.fetches.len(), 1);
        if cancel {
            world.handle(Event::Cancel { experiment: id });
            assert_eq!(world.left_behind(), 0, "its claimants left the disk too");
        } else {
            world.pass(6 * MINUTE);
            assert!(reports(&world, 1).contains(&PeerAction::Tolerable));
        }
        assert_eq!(world.machine.cx.fetches.len(), 0);
    }
}

#[test]
fn a_receipt_is_signed_by_its_deliverer_and_within_the_limits() {
    let case = |change: &dyn Fn(&mut Delivery), by: u8| {
        let mut world = World::new();
        let id = world.publish(draft(fixed(1), 1));
        let (number, index) = leased(world.claim(id, 1, &[]))[0];
        let mut body = receipt(id, 1, number, index, b"o");
        let mut unsigned = signed(1, body.clone(), Some(b"o"));
        change(&mut unsigned);
        body.clone_from(&unsigned.receipt.body);
        let mut delivery = Delivery { receipt: key(by).sign(&name("test"), body), ..unsigned.clone() };
        if unsigned.receipt.signature.0 == [0; 64] {
            delivery.receipt.signature.0[7] ^= 1;
        }
        let ack = world.deliver(id, 1, vec![delivery]);
        assert!(reports(&world, 1).contains(&PeerAction::Invalid));
        ack.refused.iter().map(|(_, reason)| *reason).collect::<Vec<_>>()
    };
    let huge = |bytes: u64| Some(Content { bytes, ..Content::raw(b"huge") });
    assert_eq!(case(&|_| {}, 2), [ReceiptRefused::Signature]);
    assert_eq!(case(&|delivery| delivery.receipt.signature.0 = [0; 64], 1), [ReceiptRefused::Signature]);
    let large = |delivery: &mut Delivery| (delivery.receipt.body.output, delivery.output) = (huge((64 << 10) + 1), None);
    assert_eq!(case(&large, 1), [ReceiptRefused::Output]);
    assert_eq!(case(&|delivery| delivery.receipt.body.transcript = huge((1 << 20) + 1), 1), [ReceiptRefused::Output]);
}

#[test]
fn another_receipt_for_a_named_lease_is_proof() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (number, index) = leased(world.claim(id, 1, &[]))[0];
    world.deliver(id, 1, vec![absent(id, 1, (number, index))]);
    let contradiction = delivery(id, 1, number, index, b"p");
    let ack = world.deliver(id, 1, vec![contradiction]);
    assert_eq!(ack.refused.to_vec(), [(number, ReceiptRefused::Contradiction)]);
    assert_eq!(reports(&world, 1), [PeerAction::Proven]);
}

#[test]
fn networks_that_lost_are_bounded_and_a_delivery_ends_the_pause_of_its_network() {
    let mut losers = Losers::default();
    for number in 0..2_100_u16 {
        let [a, b] = number.to_be_bytes();
        losers.lost(Cluster::V4([46, a, b]), START.plus(u64::from(number)));
    }
    let of = |ip: [u8; 4]| Claimant::new(seen(1, ip, None), Labels::new(), 1, START);
    assert_eq!(losers.paused_until(&of([46, 0, 1, 1])).0, 0, "the first were forgotten");
    let last = of([46, 8, 51, 1]);
    assert!(losers.paused_until(&last) > START);
    assert_eq!(losers.paused_until(&Claimant { held: 1, ..of([46, 8, 51, 1]) }).0, 0, "who proved itself waits for its own losses");
    losers.delivered(last.cluster);
    assert_eq!(losers.paused_until(&last).0, 0);
}

#[test]
fn who_wants_no_leases_gets_none_again_and_what_it_says_it_holds_counts() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 100));
    assert_eq!(leased(world.claim(id, 1, &[])).len(), 1);
    assert_eq!(leased(world.ask(peer(1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }))), []);
    assert_eq!(leased(world.claim(id, 2, &[77])), [], "a newcomer has one lease, which it says it has");
    // A lease with a named receipt is not over.
    let lease = leased(world.claim(id, 3, &[]))[0];
    assert!(world.deliver(id, 3, vec![absent(id, 3, lease)]).leases.is_none());
}

#[test]
fn one_answer_has_thirty_two_leases_and_one_station_two_hundred_and_fifty_six() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 2_000));
    let asks = |world: &mut World, holding: &[LeaseNumber]| {
        let claim = Claim { capacity: u32::MAX, free: u32::MAX, ..claim(id, holding) };
        leased(world.ask(peer(1), Request::Claim(claim)))
    };
    let mut held: Vec<LeaseNumber> = asks(&mut world, &[]).into_iter().map(|(number, _)| number).collect();
    claimant(&mut world, id, 1).held = 10_000;
    for _ in 0..12 {
        let more = asks(&mut world, &held);
        assert!(more.len() <= LEASES_MAX);
        held.extend(more.iter().map(|(number, _)| *number));
        assert_eq!(run(&mut world, id).leases.len(), held.len(), "none is dealt that is not told");
    }
    assert_eq!(held.len(), HOLDING_MAX);
}

#[test]
fn leases_fit_a_relayed_frame_the_first_time_and_again() {
    let mut world = World::new();
    let mut wide = draft(fixed(1), 1);
    wide.jobs = crate::jobs::Jobs::explicit(vec![ipld_core::ipld::Ipld::Bytes(vec![0; 12 << 10]); 64]).unwrap();
    let id = world.publish(wide);
    let relayed = seen(1, [45, 0, 1, 9], Some(9));
    let asks = |world: &mut World, holding: &[LeaseNumber]| {
        let answer = world.ask(relayed, Request::Claim(Claim { capacity: 64, free: 64, ..claim(id, holding) }));
        assert!(crate::codec::encode(&answer).len() <= RELAYED_BYTES_MAX);
        leased(answer).into_iter().map(|(number, _)| number).collect::<Vec<_>>()
    };
    let mut held = asks(&mut world, &[]);
    run(&mut world, id).claimants.get_mut(&relayed.node).unwrap().held = 100;
    for _ in 0..8 {
        held.extend(asks(&mut world, &held.clone()));
    }
    assert!(held.len() > 8);
    assert_eq!(asks(&mut world, &[]), held[..2]);
}

#[test]
fn while_memory_is_full_of_receipts_no_job_is_opened() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 4));
    run(&mut world, id).held_bytes = HELD_BYTES_MAX;
    assert_eq!(leased(world.claim(id, 1, &[])), []);
    run(&mut world, id).held_bytes = 0;
    assert_eq!(leased(world.claim(id, 1, &[])).len(), 1);
}

#[test]
fn while_all_experiments_together_fill_memory_with_receipts_each_goes_on_with_its_share() {
    let mut world = World::new();
    let ids = [4, 5, 6].map(|jobs| world.publish(draft(fixed(1), jobs)));
    for id in &ids[..2] {
        run(&mut world, *id).held_bytes = HELD_BYTES_ALL_MAX / 2;
    }
    run(&mut world, ids[2]).held_bytes = HELD_BYTES_SHARE;
    assert_eq!(leased(world.claim(ids[2], 1, &[])), []);
    run(&mut world, ids[2]).held_bytes = HELD_BYTES_SHARE - 1;
    assert_eq!(leased(world.claim(ids[2], 1, &[])).len(), 1);
}

#[test]
fn a_job_goes_to_a_network_once_whatever_its_stations_did_before_and_to_a_station_once_wherever_it_moves() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let known = |world: &mut World, node: crate::NodeId| run(world, id).claimants.get_mut(&node).unwrap().held = 50;
    world.ask(sibling(2, 1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
    let lease = leased(world.claim(id, 1, &[]))[0];
    known(&mut world, peer(1).node);
    known(&mut world, peer(2).node);
    assert_eq!(leased(claims(&mut world, id, sibling(2, 1))), []);
    world.deliver(id, 1, vec![delivery(id, 1, lease.0, lease.1, b"o")]);
    assert_eq!(leased(claims(&mut world, id, sibling(1, 7))), [], "it did this job elsewhere");
    assert_eq!(leased(claims(&mut world, id, sibling(2, 8))).len(), 1);
}

#[test]
fn a_station_loses_a_job_twice_and_a_network_sixteen_times_and_others_still_get_it() {
    let mut world = World::new();
    let mut long = draft(fixed(1), 1);
    long.deadline_ms = crate::time::DAY;
    let id = world.publish(long);
    let mut lost = 0;
    for number in 50..70 {
        for _ in 0..3 {
            world.pass(2 * MINUTE);
            let leases = leased(claims(&mut world, id, sibling(number, 1)));
            let mine = run(&mut world, id).open.values().flat_map(|job| &job.lost).filter(|(_, node, _)| *node == peer(number).node).count();
            assert!(leases.is_empty() || mine < 2, "a third time");
            lost += leases.len();
            returns(&mut world, id, sibling(number, 1), &leases);
        }
    }
    assert_eq!(lost, 16);
    assert_eq!(leased(world.claim(id, 2, &[])).len(), 1);
}

#[test]
fn a_network_that_lost_a_job_waits_for_it_although_its_other_stations_proved_themselves() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    for number in [2, 3] {
        world.ask(sibling(number, 1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
        claimant(&mut world, id, number).held = 50;
    }
    for number in [2, 3] {
        let leases = leased(claims(&mut world, id, sibling(number, 1)));
        assert_eq!(leases.len(), 1, "at once the first time");
        returns(&mut world, id, sibling(number, 1), &leases);
    }
    world.ask(sibling(4, 1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
    claimant(&mut world, id, 4).held = 50;
    assert_eq!(leased(claims(&mut world, id, sibling(4, 1))), []);
    world.pass(SECOND);
    assert_eq!(leased(claims(&mut world, id, sibling(4, 1))).len(), 1);
}

#[test]
fn the_losses_that_the_log_names_of_a_job_are_bounded() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let leases = leased(world.claim(id, 1, &[]));
    let job = run(&mut world, id).open.get_mut(&0).unwrap();
    job.lost = vec![(1_000_000, peer(9).node, Lost::Returned); LOST_MAX];
    returns(&mut world, id, peer(1), &leases);
    assert_eq!(run(&mut world, id).open[&0].lost.len(), LOST_MAX);
}

#[test]
fn a_job_that_every_station_returns_ends_some_day() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 2));
    let leases = leased(world.claim(id, 1, &[]));
    run(&mut world, id).open.get_mut(&leases[0].1).expect("open").lost_all = LOSSES_MAX - 2;
    returns(&mut world, id, peer(1), &leases);
    assert_eq!(run(&mut world, id).settled.len(), 0);
    let leases = leased(world.claim(id, 2, &[]));
    returns(&mut world, id, peer(2), &leases);
    assert_eq!(run(&mut world, id).settled.len(), 1);
}

#[test]
fn of_one_job_the_losses_of_a_bounded_number_of_networks_are_remembered_and_those_with_the_fewest_make_room() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let leases = leased(world.claim(id, 1, &[]));
    let job = run(&mut world, id).open.get_mut(&0).expect("open");
    let lost = |count| Losses { count, ready: START };
    job.losses = (0..LOSERS_MAX).map(|number| (Cluster::V4([9, 9, number as u8]), lost(if number == 7 { 1 } else { 5 }))).collect();
    let fewest = Cluster::V4([9, 9, 7]);
    job.losses.insert(peer(1).cluster, lost(3));
    job.losses.remove(&Cluster::V4([9, 9, 8]));
    returns(&mut world, id, peer(1), &leases);
    let job = &run(&mut world, id).open[&0];
    assert_eq!(job.losses.len(), LOSERS_MAX);
    assert!(job.losses.contains_key(&fewest), "there was room");
    let leases = leased(world.claim(id, 2, &[]));
    run(&mut world, id).open.get_mut(&0).expect("open").losses.insert(peer(2).cluster, lost(1));
    returns(&mut world, id, peer(2), &leases);
    let job = &run(&mut world, id).open[&0];
    assert!(job.losses.len() == LOSERS_MAX && !job.losses.contains_key(&fewest) && job.losses.contains_key(&peer(2).cluster));
}

#[test]
fn receipts_that_count_for_nothing_use_up_no_attempts_of_others() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    for station in 10..30 {
        let leases = leased(world.claim(id, station, &[]));
        let body = crate::receipt::Receipt {
            outcome: crate::receipt::Outcome::TimedOut,
            output: None,
            ..receipt(id, station, leases[0].0, leases[0].1, b"")
        };
        world.deliver(id, station, vec![signed(station, body, None)]);
    }
    assert_eq!(run(&mut world, id).settled.len(), 0);
    for station in [1, 2] {
        let leases = leased(world.claim(id, station, &[]));
        world.deliver(id, station, vec![delivery(id, station, leases[0].0, leases[0].1, b"o")]);
    }
    let agreed = world
        .effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Note(crate::requester::Note::Settled { verdict, .. }) if verdict.decision.agreement().is_some()));
    assert_eq!(agreed.count(), 1);
    // They end some day all the same.
    let most = run_vain();
    assert!(most <= 64 + 12, "{most}");
}

/// How many receipts one job takes of stations that say nothing else.
fn run_vain() -> usize {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let mut taken = 0;
    for station in 1..=255 {
        let leases = match world.claim(id, station, &[]) {
            Response::Leases(leases) => numbered(leases.body),
            _ => return taken,
        };
        let Some((number, lease)) = leases.first() else { return taken };
        let body =
            crate::receipt::Receipt { outcome: crate::receipt::Outcome::Killed, output: None, ..receipt(id, station, *number, lease.index, b"") };
        world.deliver(id, station, vec![signed(station, body, None)]);
        taken += 1;
    }
    taken
}

#[test]
fn whoever_says_that_its_jobs_make_way_waits_longer_each_time_and_is_not_blamed() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 8));
    for seconds in [1, 2, 4] {
        let leases = leased(world.claim(id, 1, &[]));
        assert_eq!(leases.len(), 1);
        let returned = List::first([(leases[0].0, crate::work::ReturnReason::MadeWay)]);
        let deliver = Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor: 0, returned };
        world.ask(peer(1), Request::Deliver(deliver));
        let (now, claimant) = (world.now, claimant(&mut world, id, 1));
        assert_eq!((claimant.losses, claimant.paused_until), (0, now.plus(seconds * SECOND)));
        world.pass(MINUTE);
    }
}

#[test]
fn jobs_of_which_a_station_has_done_its_part_hide_no_later_ones_that_name_a_target() {
    let mut world = World::new();
    let inputs = (0..600).map(|number| {
        let host = ipld_core::ipld::Ipld::String(format!("h{number}.example.com"));
        ipld_core::ipld::Ipld::Map(std::collections::BTreeMap::from([("host".into(), host)]))
    });
    let jobs = crate::jobs::Jobs::explicit(inputs.collect()).expect("jobs");
    let id = world.publish(crate::requester::Draft { jobs, target: Some(crate::bounded::Text::cut("host")), ..draft(fixed(2), 1) });
    world.ask(peer(1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
    claimant(&mut world, id, 1).held = 10_000;
    let mut done = 0;
    loop {
        let leases = leased(world.claim(id, 1, &[]));
        if leases.is_empty() {
            break;
        }
        done += leases.len();
        world.deliver(id, 1, leases.iter().map(|(number, index)| delivery(id, 1, *number, *index, b"o")).collect());
    }
    assert_eq!(done, 600);
}

#[test]
fn verdicts_that_nobody_reads_are_bounded_and_fit_a_relayed_frame() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 600));
    let relayed = Peer { is_relayed: true, ..peer(1) };
    let mut hand = leased(world.claim(id, 1, &[]));
    let mut largest: Option<Ack> = None;
    while run(&mut world, id).settled.len() < 500 {
        let receipts = hand.iter().map(|(number, index)| delivery(id, 1, *number, *index, b"o"));
        let deliver =
            Deliver { experiment: id, receipts: List::first(receipts), holding: List::default(), free: 4, cursor: 0, returned: List::default() };
        let Response::Acked(ack) = world.ask(relayed, Request::Deliver(deliver)) else { panic!("no Ack") };
        hand = ack.body.leases.clone().map(numbered).into_iter().flatten().map(|(number, lease)| (number, lease.index)).collect();
        largest = Some(ack.body);
    }
    assert_eq!(claimant(&mut world, id, 1).unread.len(), 256);
    let ack = largest.unwrap();
    let bytes: usize = ack.verdicts.iter().map(|verdict| crate::codec::encode(verdict).len()).sum();
    assert!(bytes <= RELAYED_BYTES_MAX / 4 && ack.cursor < 500, "{bytes} bytes, and the rest with the next");
}

#[test]
fn topics_and_open_experiments_are_bounded() {
    let mut world = World::new();
    for number in 0..600 {
        world.handle(Event::Counted { topic: name(&format!("topic-{number}")), stations: 3 });
    }
    assert!(world.machine.cx.stations.len() <= 256);
    for _ in 0..OPEN_MAX {
        world.publish(draft(fixed(1), 1));
    }
    assert_eq!(world.try_publish(draft(fixed(1), 1)), Err(PublishError::TooManyOpen(OPEN_MAX)));
}

/// A node for each number, in `cluster`. Nobody has its key.
fn nobody(number: usize, cluster: Cluster) -> Peer {
    Peer { node: crate::NodeId(crate::content::sha256(&[&number.to_be_bytes()])), cluster, is_relayed: false }
}

#[test]
fn the_idlest_of_the_largest_network_makes_room_and_leaves_the_disk() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1_000_000));
    let idlest = 1_234;
    for number in 0..CLAIMANTS_MAX {
        let from = nobody(number, peer(if number < 1_500 { 1 } else { 2 }).cluster);
        let mut claimant = Claimant::new(from, Labels::new(), 1, world.now);
        claimant.held = u64::from(number != idlest && number < 1_500);
        run(&mut world, id).claimants.insert(from.node, claimant);
    }
    let goes = nobody(idlest, peer(1).cluster).node;
    let record = record_key(Tag::Node, &id, &goes.0);
    world.disk.insert(record.clone(), Vec::new());
    claims(&mut world, id, peer(3));
    let run = run(&mut world, id);
    assert!(run.claimants.len() == CLAIMANTS_MAX && run.claimants.contains_key(&peer(3).node));
    assert!(!run.claimants.contains_key(&goes) && !world.disk.contains_key(&record));
}

#[test]
fn claims_of_a_window_are_bounded_and_those_of_one_network_are_few() {
    let mut world = World::new();
    world.handle(Event::Counted { topic: name("topic"), stations: 80 });
    let id = world.publish(draft(fixed(1), 100_000));
    let waiting = |world: &mut World| match &run(world, id).window {
        Window::Collecting { claims, .. } => claims.len(),
        other => panic!("{other:?}"),
    };
    for number in 0..20 {
        assert!(matches!(claims(&mut world, id, nobody(number, peer(1).cluster)), Response::Wait { .. }));
    }
    assert_eq!(waiting(&mut world), 16);
    let now = world.now;
    let Window::Collecting { claims: collected, .. } = &mut run(&mut world, id).window else { panic!("no window") };
    for number in 16..CLAIMANTS_MAX {
        let from = nobody(100 + number, peer(2 + (number % 100) as u8).cluster);
        collected.insert(from.node, Claimant::new(from, Labels::new(), 1, now));
    }
    claims(&mut world, id, peer(150));
    assert_eq!(waiting(&mut world), CLAIMANTS_MAX);
}
