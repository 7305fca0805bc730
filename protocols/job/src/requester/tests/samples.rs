//! Whom a Call asks, and who gets in.

use super::world::{World, claim, delivery, draft, fixed, key, measurement, name, numbered, peer, seen};
use crate::cluster::Cluster;
use crate::experiment::ExperimentId;
use crate::receipt::LeaseNumber;
use crate::requester::{Effect, Event, Note, Peer};
use crate::sampling::{is_sampled, ratio};
use crate::time::{MINUTE, SECOND};
use crate::work::{ClaimRefused, Delivery, Lease, Request, Response};

/// The Call's own station.
const OWN: u8 = 200;

impl World {
    fn counts(&mut self, stations: u64) {
        self.handle(Event::Counted { topic: name("topic"), stations });
    }

    fn works_with(&self, node: &crate::NodeId) -> bool {
        self.machine.works_with(node, self.now)
    }

    fn claim_below(&self) -> u64 {
        self.calls().last().expect("a Call").body.claim_below
    }

    /// Stations that the present Call asks, or does not.
    fn stations(&self, id: ExperimentId, asked: bool) -> Vec<u8> {
        (1..OWN).filter(|number| is_sampled(&id, &peer(*number).cluster, self.claim_below()) == asked).collect()
    }

    fn claim_from(&mut self, id: ExperimentId, number: u8, cluster: Cluster) -> Response {
        self.ask(Peer { node: key(number).node(), cluster, is_relayed: false }, Request::Claim(claim(id, &[])))
    }
}

fn refusal(response: Response) -> ClaimRefused {
    match response {
        Response::Refused(refusal) => refusal.body.reason,
        other => panic!("no refusal but {other:?}"),
    }
}

#[test]
fn the_sample_starts_at_four_times_what_is_wanted_and_widens_until_enough_claim() {
    let mut world = World::new();
    world.counts(1_200);
    let id = world.publish(draft(fixed(3), 1));
    assert_eq!(world.claim_below(), ratio(12, 1_200));
    world.pass(2 * SECOND);
    assert_eq!(world.claim_below(), ratio(12, 1_200) * 4);
    let three = world.stations(id, true)[..3].to_vec();
    assert!(three.iter().all(|station| matches!(world.claim(id, *station, &[]), Response::Wait { .. })));
    world.pass(2 * SECOND);
    assert!(three.iter().all(|station| matches!(world.claim(id, *station, &[]), Response::Leases(_))));
    let before = world.claim_below();
    world.pass(10 * SECOND);
    assert_eq!(world.claim_below(), before);
}

#[test]
fn a_large_topic_makes_a_measurement_draw_among_the_first_claims() {
    let mut world = World::new();
    world.counts(80);
    let id = world.publish(draft(measurement(2), 1));
    let asked = world.stations(id, true)[..8].to_vec();
    for station in &asked[..7] {
        assert!(matches!(world.claim(id, *station, &[]), Response::Wait { ms: 2_000 }));
    }
    let mut drawn = 0;
    for station in asked.iter().rev() {
        match world.claim(id, *station, &[]) {
            Response::Leases(_) => drawn += 1,
            other => assert_eq!(refusal(other), ClaimRefused::NotDrawn),
        }
    }
    assert_eq!(drawn, 2);
    world.pass(10 * SECOND);
    let enough =
        asked.iter().filter(|station| matches!(world.claim(id, **station, &[]), Response::Refused(no) if no.body.reason == ClaimRefused::Enough));
    assert_eq!(enough.count(), 6);
}

#[test]
fn the_window_closes_after_two_seconds_with_those_who_came() {
    let mut world = World::new();
    world.counts(80);
    let id = world.publish(draft(measurement(2), 1));
    let asked = world.stations(id, true);
    assert!(matches!(world.claim(id, asked[0], &[]), Response::Wait { ms: 2_000 }));
    world.pass(2 * SECOND);
    assert_eq!(world.leases(id, asked[0]).len(), 1);
    assert_eq!(world.leases(id, asked[1]).len(), 1);
}

#[test]
fn many_keys_of_one_network_neither_close_the_window_nor_win_the_draw() {
    let (mut won, trials) = (0, 40);
    for trial in 0..trials {
        let mut world = World::new();
        world.counts(80);
        let id = world.publish(draft(measurement(2), trial + 1));
        let asked = world.stations(id, true);
        let crowd = peer(asked[0]).cluster;
        for number in 100..180 {
            assert!(matches!(world.claim_from(id, number, crowd), Response::Wait { ms: 2_000 }), "one cluster is not enough");
        }
        for station in &asked[1..4] {
            assert!(matches!(world.claim(id, *station, &[]), Response::Wait { ms: 2_000 }));
        }
        world.pass(2 * SECOND);
        let lucky = (100..180).filter(|number| matches!(world.claim_from(id, *number, crowd), Response::Leases(_))).count();
        assert!(lucky <= 1, "{lucky} of one cluster");
        won += lucky;
    }
    // Two of four clusters are drawn: 20 with a standard deviation of 3.2.
    assert!((8..=32).contains(&won), "{won} of {trials}");
}

#[test]
fn whom_the_call_does_not_ask_is_refused_until_a_wider_one_does() {
    let mut world = World::new();
    world.counts(400);
    let id = world.publish(draft(fixed(3), 1));
    let left_out = world.stations(id, false)[0];
    assert_eq!(refusal(world.claim(id, left_out, &[])), ClaimRefused::NotSampled);
    assert!(!ClaimRefused::NotSampled.is_final());
    // Nobody else comes: in the end everybody is asked.
    world.pass(10 * SECOND);
    assert_eq!(world.claim_below(), u64::MAX);
    assert!(matches!(world.claim(id, left_out, &[]), Response::Wait { .. }));
}

#[test]
fn in_a_large_topic_the_nearest_do_not_get_all_of_a_small_experiment() {
    for (stations, waits) in [(63, false), (64, true)] {
        let mut world = World::new();
        world.counts(stations);
        let id = world.publish(draft(fixed(1), 2));
        let asked = world.stations(id, true);
        let answer = world.claim(id, asked[0], &[]);
        assert_eq!(matches!(answer, Response::Wait { .. }), waits, "{stations} stations");
    }
    let (trials, mut world) = (40, World::new());
    world.counts(64);
    let firsts = (0..trials).filter(|_| {
        let id = world.publish(draft(fixed(1), 1));
        let asked: Vec<u8> = world.stations(id, true).into_iter().take(4).collect();
        asked.iter().for_each(|station| _ = world.claim(id, *station, &[]));
        world.pass(2 * SECOND);
        matches!(world.claim(id, asked[0], &[]), Response::Leases(_))
    });
    // A quarter, with a standard deviation of 2.7.
    let firsts = firsts.count();
    assert!((2..=20).contains(&firsts), "the first to claim got {firsts} of {trials}");
}

#[test]
fn a_small_experiment_in_a_large_topic_is_shared_by_as_many_as_have_something_to_do() {
    let mut world = World::new();
    world.counts(64);
    let id = world.publish(draft(fixed(1), 8));
    let asked = world.stations(id, true);
    asked.iter().for_each(|station| _ = world.claim(id, *station, &[]));
    world.pass(2 * SECOND);
    let leased = asked.iter().filter(|station| matches!(world.claim(id, **station, &[]), Response::Leases(_))).count();
    assert_eq!(leased, asked.len().min(8));
    // Its own station need not wait.
    let id = world.publish(draft(fixed(1), 3));
    assert!(matches!(world.claim(id, OWN, &[]), Response::Leases(_)));
}

#[test]
fn no_key_gets_into_a_sample_that_leaves_its_cluster_out() {
    let mut world = World::new();
    world.counts(400);
    let id = world.publish(draft(fixed(3), 1));
    let cluster = peer(world.stations(id, false)[0]).cluster;
    for number in 1..OWN {
        assert_eq!(refusal(world.claim_from(id, number, cluster)), ClaimRefused::NotSampled);
    }
}

#[test]
fn who_is_seen_behind_a_relay_is_asked_when_everybody_is() {
    let mut world = World::new();
    world.counts(400);
    let id = world.publish(draft(fixed(3), 1));
    let relayed = |world: &mut World, net: u8| world.ask(seen(1, [45, 0, net, 9], Some(100)), Request::Claim(claim(id, &[])));
    // Also where the relay's network is asked: it is not theirs.
    for net in 1..OWN {
        assert_eq!(refusal(relayed(&mut world, net)), ClaimRefused::NotSampled);
    }
    world.pass(10 * SECOND);
    assert!(matches!(relayed(&mut world, 2), Response::Wait { .. }));
    world.pass(2 * SECOND);
    assert!(matches!(relayed(&mut world, 2), Response::Leases(_)));
}

/// Leases for one job of `fixed(3)` that `claimants` get one after the other.
fn seats(claimants: impl IntoIterator<Item = Peer>) -> (usize, World, ExperimentId) {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 1));
    let leased = |world: &mut World, from| matches!(world.ask(from, Request::Claim(claim(id, &[]))), Response::Leases(_));
    let seats = claimants.into_iter().filter(|from| leased(&mut world, *from)).count();
    (seats, world, id)
}

#[test]
fn relays_at_one_address_have_one_seat_together_with_everybody_there() {
    let through = |number: u8, host: u8, relay: u8| seen(number, [45, 0, 7, host], Some(relay));
    assert_eq!(seats([through(1, 9, 101), through(2, 9, 102), through(3, 10, 103), seen(4, [45, 0, 7, 200], None)]).0, 1);
    assert_eq!(seats([through(1, 9, 101), seen(2, [45, 0, 8, 9], Some(101))]).0, 2, "a relay in another network");
}

#[test]
fn ten_keys_of_a_private_source_have_one_seat_on_a_public_network_and_it_is_said() {
    for ip in [[127, 0, 0, 1], [10, 0, 0, 7], [172, 17, 0, 1], [192, 168, 1, 1], [169, 254, 1, 1]] {
        let (seats, world, id) = seats((1..=10).map(|number| seen(number, ip, None)));
        assert_eq!(seats, 1);
        assert_eq!(world.machine.view(&id).unwrap().explanation.unplaced, 10);
        let notes = world.effects.iter().filter(|effect| matches!(effect, Effect::Note(Note::Unplaced { .. }))).count();
        assert_eq!(notes, 1, "the operator is told once");
    }
    assert_eq!(seats((1..=4).map(|number| seen(number, [172, 17, number, 1], Some(100)))).0, 1, "behind relays there too");
}

#[test]
fn who_moves_where_nobody_is_asked_gets_no_more() {
    let mut world = World::new();
    world.counts(60);
    let id = world.publish(draft(fixed(3), 40));
    let (asked, elsewhere) = (world.stations(id, true), peer(world.stations(id, false)[0]).cluster);
    let leases = world.leases(id, asked[0]);
    let receipts = leases.into_iter().map(|(number, lease)| super::world::delivery(id, asked[0], number, lease.index, b"out")).collect();
    assert!(world.deliver_all(id, asked[0], receipts, &[], &[]).refused.is_empty());
    // What it got with the answer goes back.
    world.deliver_all(id, asked[0], Vec::new(), &[], &[1, 2, 3, 4]);
    assert_eq!(refusal(world.claim_from(id, asked[0], elsewhere)), ClaimRefused::NotSampled);
    assert!(!matches!(world.claim_from(id, asked[0], peer(asked[1]).cluster), Response::Refused(_)));
}

#[test]
fn a_requester_takes_its_own_station_in_whatever_the_sample_says() {
    for jobs in 1..20 {
        let mut world = World::new();
        world.counts(4_000);
        let id = world.publish(draft(fixed(1), jobs));
        assert!(matches!(world.claim_from(id, OWN, Cluster::Own(key(OWN).node())), Response::Leases(_)));
    }
}

#[test]
fn a_network_of_many_has_no_more_seats_than_others_when_those_are_on_their_way() {
    let mut world = World::new();
    world.counts(100);
    let id = world.publish(draft(fixed(1), 12));
    let asked = world.stations(id, true);
    let (quick, other) = (asked[0], asked[1]);
    let receipts = |from: u8, leases: &[(LeaseNumber, Lease)]| -> Vec<Delivery> {
        leases.iter().map(|(number, lease)| delivery(id, from, *number, lease.index, b"o")).collect()
    };
    assert!([quick, other].iter().all(|number| matches!(world.claim(id, *number, &[]), Response::Wait { .. })));
    world.pass(2 * SECOND);
    let first = world.leases(id, quick);
    assert!(matches!(world.claim_from(id, OWN + 1, peer(quick).cluster), Response::Wait { .. }));
    let theirs = world.leases(id, other);
    // Four were asked, and two have one seat each.
    assert!(world.deliver(id, quick, receipts(quick, &first)).leases.is_none());
    world.pass(1_900);
    assert!(matches!(world.claim(id, quick, &[]), Response::Wait { .. }));
    assert_eq!(numbered(world.deliver(id, other, receipts(other, &theirs)).leases.expect("alone in its network")).len(), 2);
    // Who has not come by then does not.
    world.pass(101);
    assert_eq!(world.leases(id, quick).len(), 2);
}

#[test]
fn a_requester_works_with_a_station_while_it_has_leases() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (first, second) = (peer(1).node, peer(2).node);
    assert!(!world.works_with(&first));
    world.leases(id, 1);
    assert!(world.works_with(&first) && !world.works_with(&second));
    world.pass(30 * MINUTE);
    assert!(!world.works_with(&first), "a lease that has run out is none");
    world.leases(id, 2);
    assert!(world.works_with(&second));
}

#[test]
fn who_waits_for_its_next_lease_is_worked_with_for_five_minutes_and_so_is_a_bare_claim() {
    let mut world = World::new();
    let mut slow = draft(fixed(1), 3);
    slow.at_once = Some(1);
    slow.limits.wall_ms = 60 * MINUTE;
    let id = world.publish(slow);
    let (worked, waits, has) = (peer(1).node, peer(2).node, peer(3).node);
    let first = world.leases(id, 1);
    // Jobs take their time here, so that the last lease is not overdue while the others wait.
    world.pass(25 * MINUTE);
    let ack = world.deliver(id, 1, vec![delivery(id, 1, first[0].0, first[0].1.index, b"o")]);
    let next = ack.leases.expect("the next job").first;
    world.deliver_all(id, 1, vec![], &[], &[next]);
    // Station 1 has delivered something, and would go first for two seconds.
    world.pass(3 * SECOND);
    world.leases(id, 3);
    for minute in 0..7 {
        for station in [1, 2] {
            assert!(matches!(world.claim(id, station, &[]), Response::Wait { .. }));
        }
        assert!(world.works_with(&has));
        assert_eq!((world.works_with(&worked), world.works_with(&waits)), (minute < 5, minute <= 5), "minute {minute}");
        world.pass(MINUTE);
    }
}

#[test]
fn of_few_stations_everybody_is_asked_at_once() {
    for (stations, all) in [(2, true), (32, true), (33, false)] {
        let mut world = World::new();
        world.counts(stations);
        world.publish(draft(fixed(1), 1));
        assert_eq!(world.calls()[0].body.claim_below == u64::MAX, all, "{stations} stations");
    }
}
