//! Who makes room where there are as many claimants as there may be, what is given back together, and how far is looked for work.

use super::super::claim::CLAIMANTS_MAX;
use super::super::deal::WALK_MAX;
use super::super::run::{Claimant, Losses, OpenJob, Run};
use super::world::*;
use crate::bounded::List;
use crate::cluster::Cluster;
use crate::experiment::{ExperimentId, Labels};
use crate::receipt::LeaseNumber;
use crate::requester::Peer;
use crate::time::{DAY, MINUTE, SECOND, Time};
use crate::work::{Claim, ClaimRefused, Deliver, Request, Response, ReturnReason};

fn run(world: &mut World, id: ExperimentId) -> &mut Run {
    world.machine.open.get_mut(&id).expect("open")
}

/// A node for each number, in a network of its own. Nobody has its key.
fn nobody(number: usize) -> Peer {
    let [.., high, low] = (number as u64).to_be_bytes();
    let node = crate::NodeId(crate::content::sha256(&[&number.to_be_bytes()]));
    Peer { node, cluster: Cluster::V4([200, high, low]), is_relayed: false }
}

/// An experiment whose claimants are all there may be, each in a network of its own, heard from just now.
fn full(world: &mut World) -> ExperimentId {
    let id = world.publish(draft(fixed(1), 1_000_000));
    for number in 0..CLAIMANTS_MAX {
        let (from, now) = (nobody(number), world.now);
        run(world, id).claimants.insert(from.node, Claimant::new(from, Labels::new(), 1, now));
    }
    id
}

/// Room for somebody of a network that has no claimant.
fn makes_room(world: &mut World, id: ExperimentId) -> Result<(), ClaimRefused> {
    let machine = &mut world.machine;
    machine.open.get_mut(&id).expect("open").make_room(&mut machine.cx, peer(1).cluster, world.now)
}

#[test]
fn who_is_not_heard_from_any_more_makes_room_wherever_it_is() {
    let mut world = World::new();
    let id = full(&mut world);
    world.now = world.now.plus(3 * MINUTE);
    let (gone, now) = (nobody(7), world.now);
    run(&mut world, id).claimants.iter_mut().filter(|(node, _)| **node != gone.node).for_each(|(_, claimant)| claimant.seen = now);
    assert_eq!(makes_room(&mut world, id), Ok(()));
    assert!(!run(&mut world, id).claimants.contains_key(&gone.node));
}

#[test]
fn who_has_a_lease_makes_no_room_where_each_is_alone_in_its_network_and_the_requester_says_that_it_is_busy() {
    let mut world = World::new();
    let id = full(&mut world);
    let idle = nobody(9);
    run(&mut world, id).claimants.iter_mut().filter(|(node, _)| **node != idle.node).for_each(|(_, claimant)| _ = claimant.outstanding.insert(5));
    let last = nobody(CLAIMANTS_MAX - 1).node;
    assert_eq!(makes_room(&mut world, id), Ok(()));
    assert!(!run(&mut world, id).claimants.contains_key(&idle.node) && run(&mut world, id).claimants.contains_key(&last));
    // Whoever took its place has a lease, too.
    run(&mut world, id).claimants.values_mut().for_each(|claimant| _ = claimant.outstanding.insert(5));
    assert_eq!(makes_room(&mut world, id), Err(ClaimRefused::Busy));
    assert!(!ClaimRefused::Busy.ends_with_a_higher_seq(), "no Call is made for it");
}

#[test]
fn what_a_station_delivers_that_made_room_for_another_has_its_labels() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let labels = Labels::of([(name("region"), List::first([name("eu")]))]).expect("few");
    let Response::Leases(leases) = world.ask(peer(1), Request::Claim(Claim { labels: labels.clone(), ..claim(id, &[]) })) else { panic!("a lease") };
    run(&mut world, id).claimants.remove(&peer(1).node);
    world.deliver(id, 1, vec![delivery(id, 1, leases.body.first, 0, b"o")]);
    assert_eq!(run(&mut world, id).open[&0].receipts[0].labels, labels);
}

#[test]
fn what_one_delivery_gives_back_is_one_loss_however_many_leases_it_names() {
    for (reason, is_blamed) in [(ReturnReason::MadeWay, false), (ReturnReason::Drain, true)] {
        let mut world = World::new();
        let id = world.publish(draft(fixed(1), 100));
        world.ask(peer(1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
        run(&mut world, id).claimants.get_mut(&peer(1).node).expect("it claimed").held = 10;
        let numbers: Vec<LeaseNumber> = world.leases(id, 1).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers.len(), 4);
        let returned = List::first(numbers.into_iter().map(|number| (number, reason)));
        let deliver = Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor: 0, returned };
        world.ask(peer(1), Request::Deliver(deliver));
        let now = world.now;
        let run = run(&mut world, id);
        let claimant = &run.claimants[&peer(1).node];
        assert_eq!((claimant.losses, claimant.made_way), if is_blamed { (1, 0) } else { (0, 1) });
        assert_eq!((claimant.paused_until, run.leases.len()), (now.plus(SECOND), 0));
        let newcomer = Claimant::new(Peer { cluster: peer(1).cluster, ..peer(2) }, Labels::new(), 1, now);
        assert_eq!(run.losers.paused_until(&newcomer), now.plus(SECOND), "its network waits as long");
    }
}

/// What `from`, of whom many receipts are held, gets by claiming as much as one answer may have.
fn takes_all(world: &mut World, id: ExperimentId, from: Peer) -> Vec<LeaseNumber> {
    let asks = |free| Request::Claim(Claim { capacity: 64, free, ..claim(id, &[]) });
    world.ask(from, asks(0));
    if let Some(claimant) = run(world, id).claimants.get_mut(&from.node) {
        claimant.held = 100;
    }
    match world.ask(from, asks(32)) {
        Response::Leases(leases) => numbered(leases.body).into_iter().map(|(number, _)| number).collect(),
        Response::Wait { .. } | Response::Refused(_) => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn leases_that_one_delivery_gives_back_count_for_each_of_their_jobs() {
    let mut world = World::new();
    let mut long = draft(fixed(1), 32);
    long.deadline_ms = DAY;
    let id = world.publish(long);
    let mut given_back = 0;
    for number in 50..60 {
        let from = Peer { cluster: peer(1).cluster, ..peer(number) };
        for time in 0..3 {
            world.pass(2 * MINUTE);
            let numbers = takes_all(&mut world, id, from);
            let may_have = if time < 2 && given_back < 16 { 32 } else { 0 };
            assert_eq!(numbers.len(), may_have, "of a job a station loses two, its network sixteen");
            if numbers.is_empty() {
                continue;
            }
            let returned = List::first(numbers.into_iter().map(|number| (number, ReturnReason::Drain)));
            let deliver = Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor: 0, returned };
            world.ask(from, Request::Deliver(deliver));
            given_back += 1;
            for job in run(&mut world, id).open.values() {
                assert_eq!((job.lost_all, job.losses[&from.cluster].count, job.lost.len()), (given_back, given_back, given_back as usize));
            }
        }
    }
    assert_eq!(given_back, 16);
    assert_eq!(takes_all(&mut world, id, peer(2)).len(), 32, "others get all of them");
}

#[test]
fn to_find_that_nothing_is_left_one_answer_looks_at_a_bounded_number_of_jobs() {
    let mut world = World::new();
    let jobs = 2 * WALK_MAX as u64 + 88;
    let id = world.publish(draft(fixed(1), i128::from(jobs)));
    world.ask(peer(1), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
    let lost = Losses { count: 16, ready: Time(0) };
    for index in 0..jobs {
        let job = OpenJob { losses: [(peer(1).cluster, lost)].into(), lacking: 1, ..OpenJob::default() };
        run(&mut world, id).open.insert(index, job);
    }
    let done = |world: &mut World| run(world, id).claimants[&peer(1).node].done;
    for answers in 1..=2 {
        assert!(matches!(world.claim(id, 1, &[]), Response::Wait { .. }));
        assert_eq!(done(&mut world), answers * WALK_MAX as u64);
    }
    for _ in 0..2 {
        let Response::Refused(refusal) = world.claim(id, 1, &[]) else { panic!("all were looked at") };
        assert_eq!((refusal.body.reason, done(&mut world)), (ClaimRefused::NothingLeft, jobs), "and none of them twice");
    }
    // Elsewhere it has lost nothing.
    let elsewhere = Peer { cluster: Cluster::V4([9, 9, 9]), ..peer(1) };
    assert!(matches!(world.ask(elsewhere, Request::Claim(claim(id, &[]))), Response::Wait { .. }));
    assert_eq!(done(&mut world), 0);
}
