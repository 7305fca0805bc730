//! Both machines together: one or two researchers and up to six other stations, on disks that lose what is not durable and a
//! network that loses, delays and repeats; crashes at every moment, clocks that jump, liars and stations that never answer.
//!
//! `faults.rs` draws a case from a seed; `world.rs` and `wire.rs` let it happen; `model.rs` watches what is sent and objects;
//! `ending.rs` waits until the healed world rests and reads the Logs. `STATION_CASES` asks for the long form. Deliberately lacks
//! shrinking: a case is a seed, and a seed that found a fault becomes a test of its own.

mod blobs;
mod disk;
mod ending;
mod faults;
mod hostile;
mod luck;
mod model;
mod station;
mod wire;
mod world;

use station_protocol::Time;
use station_protocol::bounded::List;
use station_protocol::requester::Event;
use station_protocol::worker::Note;

use faults::{Kind, Weather, class, draft};
use hostile::Hostile;
use luck::Luck;
use station::Conduct;
use world::{Happening, START, World};

/// Says which case failed.
struct Case(u64);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case with seed {} failed", self.0);
        }
    }
}

fn run(kind: Kind, seed: u64) -> u64 {
    let case = Case(seed);
    faults::world(kind, Luck::new(case.0)).finish()
}

/// The same world with strangers in it.
fn run_among_strangers(seed: u64) -> u64 {
    let case = Case(seed);
    let mut world = faults::world(Kind::Agreement, Luck::new(case.0));
    world.hostile = Some(Hostile::new(&mut world.luck));
    // Jobs of strangers take turns with those of stations, which may end in time or not.
    world.meddled = true;
    world.after(0, Happening::Hostile);
    world.finish()
}

/// Half of the cases asked for: there are two kinds. The short form ends within seconds; the long form goes on from `STATION_FIRST`.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (first, cases): (u64, u64) = (number("STATION_FIRST").unwrap_or(0), number("STATION_CASES").unwrap_or(200));
    first..first + cases.div_ceil(2)
}

#[test]
fn agreement_survives_whatever_happens_to_stations_network_and_disks() {
    let settled: u64 = seeds().map(|seed| run(Kind::Agreement, seed)).sum();
    assert!(settled > seeds().count() as u64, "most worlds settle some jobs: {settled}");
}

#[test]
fn measurements_survive_whatever_happens_to_stations_network_and_disks() {
    let settled: u64 = seeds().map(|seed| run(Kind::Measurement, seed)).sum();
    assert!(settled > seeds().count() as u64, "most worlds settle some jobs: {settled}");
}

#[test]
fn honest_experiments_survive_lying_requesters_and_peers_and_every_bound_holds() {
    let settled: u64 = seeds().map(run_among_strangers).sum();
    assert!(settled > seeds().count() as u64, "most worlds settle some jobs: {settled}");
}

/// One researcher and honest stations, of which nobody is connected yet.
fn calm(stations: usize) -> World {
    let stations = (0..stations).map(|number| {
        let net = u8::try_from(number).expect("a few");
        station::new(number, net, Conduct::Honest, 2, false, 1, START)
    });
    let mut world = World::new(stations.collect(), Luck::new(1), Weather::CALM);
    world.drafts.insert(0, draft(class(Kind::Agreement, 3), 12, 600_000, None));
    world.notes = Some(Vec::new());
    world.healed_at = Some(START);
    world
}

fn pass(world: &mut World, ms: u64) {
    let until = world.now.plus(ms);
    world.pass_until(until);
}

/// The first time from `since` on that `station` notes something like it.
fn noted(world: &World, station: usize, since: Time, like: impl Fn(&Note) -> bool) -> Option<Time> {
    let notes = world.notes.as_ref().expect("notes are kept");
    notes.iter().find(|(at, by, note)| *at >= since && *by == station && like(note)).map(|(at, ..)| *at)
}

#[test]
fn a_calm_world_settles_every_job_within_a_minute_and_leaves_nothing_behind() {
    let mut world = calm(5);
    world.connect_all();
    world.publish(0);
    pass(&mut world, 60_000);
    assert_eq!(world.model.settled, 12);
    let id = *world.model.known.keys().next().expect("an experiment");
    assert!(world.stations[0].requester.view(&id).expect("its own").status.log.is_some(), "closed long before the deadline");
    assert_eq!(world.finish(), 12);
}

/// How long station 1 waits for work after the answer with its first leases was lost.
fn loss_costs_ms(breaks: bool) -> u64 {
    let mut world = calm(4);
    world.connect_all();
    world.lose_leases_to = Some(1);
    world.loss_breaks = breaks;
    world.publish(0);
    pass(&mut world, 30_000);
    let lost = world.lost_at.expect("an answer was lost");
    noted(&world, 1, lost, |note| matches!(note, Note::Started { .. })).expect("its lease came again").since(lost)
}

#[test]
fn a_leases_answer_lost_with_its_connection_costs_less_than_three_seconds() {
    let cost_ms = loss_costs_ms(true);
    assert!(cost_ms < 3_000, "{cost_ms} ms");
}

#[test]
fn a_leases_answer_lost_in_silence_costs_less_than_three_seconds() {
    let cost_ms = loss_costs_ms(false);
    assert!(cost_ms < 3_000, "{cost_ms} ms");
}

/// Four stations of which a stale count makes hundreds: after one claimed, its cluster was thought enough for jobs it had run itself.
#[test]
fn jobs_that_need_one_more_station_are_offered_to_more_although_as_many_claimed_as_are_missing() {
    assert_eq!(run(Kind::Agreement, 2_175), 6);
}

#[test]
fn a_late_joiner_hears_an_open_call_from_a_neighbour_at_once() {
    let mut world = calm(3);
    world.connect(0, 1);
    // Nobody can finish, so that the Call stays open.
    world.drafts.insert(0, draft(class(Kind::Agreement, 4), 1, 600_000, None));
    world.publish(0);
    pass(&mut world, 100_000);
    world.cut.insert((0, 2));
    let joined = world.now;
    world.connect(1, 2);
    pass(&mut world, 5_000);
    let heard = noted(&world, 2, joined, |note| matches!(note, Note::Heard { .. })).expect("the Call was heard");
    assert!(heard.since(joined) < 1_000, "{} ms", heard.since(joined));
}

#[test]
fn a_call_published_before_any_peer_was_connected_is_claimed_within_ten_seconds_of_the_first_connection() {
    let mut world = calm(2);
    world.publish(0);
    pass(&mut world, 200_000);
    let joined = world.now;
    world.connect(0, 1);
    pass(&mut world, 20_000);
    let started = noted(&world, 1, joined, |note| matches!(note, Note::Started { .. })).expect("the Call was served");
    assert!(started.since(joined) < 10_000, "{} ms", started.since(joined));
}

#[test]
fn a_requester_that_dies_between_a_lease_and_its_answer_gives_the_same_lease_again() {
    let mut world = calm(4);
    world.connect_all();
    world.lose_leases_to = Some(1);
    world.publish(0);
    while world.lost_at.is_none() {
        assert!(world.step(START.plus(30_000)), "somebody is leased a job");
    }
    let leases = &world.model.known.values().next().expect("an experiment").leases;
    let number = *leases.iter().find(|(_, granted)| granted.node == world.stations[1].node).expect("a lease").0;
    let since = world.now;
    world.crash(0);
    pass(&mut world, 21_000);
    world.connect_all();
    pass(&mut world, 10_000);
    assert!(noted(&world, 1, since, |note| matches!(note, Note::Started { lease, .. } if *lease == number)).is_some());
    assert_eq!(world.finish(), 12);
}

/// A world in which station 1 knows of a Call, found nobody at its address, and gave it up for a while.
fn given_up() -> World {
    let mut world = calm(3);
    world.drafts.insert(0, draft(class(Kind::Agreement, 3), 1, 900_000, None));
    world.cut.insert((0, 1));
    world.connect_all();
    world.publish(0);
    pass(&mut world, 60_000);
    assert!(noted(&world, 1, START, |note| matches!(note, Note::Unreachable { .. })).is_some());
    assert_eq!(world.model.settled, 0);
    world
}

#[test]
fn a_requester_that_could_not_be_reached_is_asked_as_soon_as_it_is_connected() {
    let mut world = given_up();
    world.cut.clear();
    let joined = world.now;
    world.connect(0, 1);
    pass(&mut world, 10_000);
    let started = noted(&world, 1, joined, |note| matches!(note, Note::Started { .. })).expect("the Call was served");
    assert!(started.since(joined) < 3_000, "{} ms", started.since(joined));
}

#[test]
fn a_requester_that_could_not_be_reached_is_asked_at_its_new_address_at_once() {
    let mut world = given_up();
    world.cut.clear();
    let moved = world.now;
    let at = station::address(world.stations[0].node, [203, 0, 113, 9]);
    world.hand_requester(0, Event::Addresses(List::first([at])));
    pass(&mut world, 10_000);
    let started = noted(&world, 1, moved, |note| matches!(note, Note::Started { .. })).expect("the Call was served");
    assert!(started.since(moved) < 3_000, "{} ms", started.since(moved));
}
