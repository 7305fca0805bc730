//! Long jobs, their slots and their memory: whose turn it is, and what makes way.

use super::strangers::work_of;
use super::*;

/// A lab whose jobs may run for so long.
fn lab_with_wall(requester: u8, tag: &str, wall_ms: u64) -> Lab {
    let mut body = experiment(requester, tag);
    body.limits.wall_ms = wall_ms;
    body.deadline = START.plus(12 * HOUR);
    Lab::of(body, requester)
}

/// The station takes one lease of `lab` and has its module.
fn take_one(station: &mut Station, lab: &Lab) {
    if !station.worker.works.contains_key(&lab.id) {
        station.hear(lab.call(1, station.now));
    }
    let claim =
        |out: &Out| if let Request::Claim(claim) = &out.request { (claim.experiment == lab.id).then_some((out.send, claim.free)) } else { None };
    let (send, free) = station.sent.iter().find_map(claim).expect("it claims although its slots are taken");
    assert!(free > 0);
    station.answer(send, lab.leases(0, 1, 4 * HOUR));
    if !station.fetches.is_empty() {
        station.fetched();
    }
}

/// From here on a job is a long one.
const LONG: u64 = 5 * SECOND;

/// What the station asked for lately, and of whom.
fn asked(station: &Station) -> Vec<ExperimentId> {
    station.sent.iter().filter_map(|out| work_of(&out.request)).filter(|(_, free, _)| *free > 0).map(|(id, ..)| id).collect()
}

#[test]
fn a_strangers_endless_job_makes_way_for_others_once_it_ran_for_a_minute() {
    let (evil, honest) = (lab_with_wall(41, "endless", HOUR), lab_with_wall(42, "short", MINUTE));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &evil, 1, HOUR);
    let (execution, _) = station.started.pop_front().expect("it runs");
    station.pass(LONG);
    station.sent.clear();
    station.hear(honest.call(1, station.now));
    station.pass(MINUTE - LONG - 1);
    assert!(asked(&station).is_empty(), "a lease that waits might end before its turn");
    station.pass(1);
    take_one(&mut station, &honest);
    assert_eq!(station.stopped, [execution]);
    assert!(station.started.is_empty(), "its slot is taken until it ended");
    station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
    assert_eq!(station.started.len(), 1, "the other's job runs");
    // For as long as it ran nothing more of it is taken.
    station.sent.clear();
    station.pass(30 * SECOND);
    assert!(!asked(&station).contains(&evil.id));
}

#[test]
fn for_a_stranger_who_is_known_makes_way_after_four_minutes_and_after_twice_as_long_each_time() {
    for (made_way, minutes) in [(0, 4), (1, 8), (2, 16), (4, 64), (9, 64)] {
        let (known, stranger) = (lab_with_wall(REQUESTER, "known", 4 * HOUR), lab_with_wall(42, "short", SECOND));
        let mut station = Station::with_more_leases(Config { capacity: 1, ..config() }, &known, 1, 4 * HOUR);
        station.worker.works.get_mut(&known.id).expect("here").made_way = made_way;
        take_one(&mut station, &stranger);
        station.pass(minutes * MINUTE - 1);
        assert!(station.stopped.is_empty(), "not before {minutes} minutes");
        station.pass(1);
        assert_eq!(station.stopped.len(), 1);
    }
}

#[test]
fn a_strangers_job_has_twice_as_long_each_time_it_made_way_for_a_stranger() {
    for made_way in 0..8 {
        let (long, short) = (lab_with_wall(41, "long", 4 * HOUR), lab_with_wall(42, "short", SECOND));
        let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &long, 1, 4 * HOUR);
        station.worker.works.get_mut(&long.id).expect("here").made_way = made_way;
        let minutes = [1, 2, 4, 8, 16, 32, 64, 64][made_way as usize];
        station.pass(minutes * MINUTE - SECOND);
        station.sent.clear();
        station.hear(short.call(1, station.now));
        station.pass(SECOND - 1);
        assert!(asked(&station).is_empty(), "not before {minutes} minutes");
        station.pass(1);
        take_one(&mut station, &short);
        assert_eq!(station.stopped.len(), 1);
        assert_eq!(station.worker.works[&long.id].made_way, made_way + 1);
    }
}

#[test]
fn for_whoever_has_a_history_a_strangers_job_makes_way_after_a_minute_however_often_it_did() {
    let (known, long) = (Lab::new(REQUESTER, "before"), lab_with_wall(41, "long", HOUR));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &known, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, known.holds(&[0]));
    take_one(&mut station, &long);
    station.worker.works.get_mut(&long.id).expect("here").made_way = 6;
    take_one(&mut station, &lab_with_wall(REQUESTER, "after", SECOND));
    station.pass(59 * SECOND);
    assert!(station.stopped.is_empty());
    station.pass(SECOND);
    assert_eq!(station.stopped.len(), 1);
}

impl Station {
    /// The delivery to `lab` that was sent last.
    fn deliver_to(&mut self, lab: &Lab) -> (Ticket, Deliver) {
        let is_theirs = |out: &Out| matches!(&out.request, Request::Deliver(deliver) if deliver.experiment == lab.id);
        let at = self.sent.iter().rposition(is_theirs).expect("a delivery");
        let Some(Out { send, request: Request::Deliver(deliver), .. }) = self.sent.remove(at) else { panic!("it was one") };
        (send, deliver)
    }
}

/// A station of one slot that works for a requester whose receipt it had held, and has a stranger's lease that waits. Whose turn it is next
/// is the known one's.
fn known_before_stranger(known: &Lab, stranger: &Lab) -> Station {
    // Strangers have had their turn.
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &lab_with_wall(43, "first", SECOND), 1, HOUR);
    station.finish();
    take_one(&mut station, known);
    station.finish();
    let (send, _) = station.deliver_to(known);
    let next = known.ack_with(|ack| {
        ack.held = List::first([0]);
        ack.leases = Some(known.batch(1, 1, HOUR));
    });
    station.answer(send, next);
    take_one(&mut station, stranger);
    station
}

#[test]
fn the_slot_of_a_known_requester_is_kept_for_its_next_lease_for_a_second() {
    let (known, stranger) = (Lab::new(REQUESTER, "known"), lab_with_wall(42, "endless", HOUR));
    let mut station = known_before_stranger(&known, &stranger);
    station.finish();
    assert!(station.started.is_empty(), "its next lease is on its way");
    let (send, _) = station.deliver_to(&known);
    let next = known.ack_with(|ack| {
        ack.held = List::first([1]);
        ack.leases = Some(known.batch(2, 1, HOUR));
    });
    station.answer(send, next);
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(known.id));
    station.finish();
    station.pass(SECOND - 1);
    assert!(station.started.is_empty());
    station.pass(1);
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(stranger.id));
}

#[test]
fn where_slots_are_taken_the_stranger_longest_unserved_is_asked_next() {
    let (first, second, new) = (lab_with_wall(41, "first", HOUR), lab_with_wall(42, "second", HOUR), lab_with_wall(43, "new", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &first, 1, 4 * HOUR);
    let (execution, _) = station.started.pop_front().expect("it runs");
    station.pass(MINUTE);
    take_one(&mut station, &second);
    station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
    let (send, _) = station.deliver_to(&first);
    station.answer(send, first.ack_with(|_| {}));
    station.pass(LONG);
    station.hear(new.call(1, station.now));
    station.sent.clear();
    // The first has rested, and the second has had its minute.
    station.pass(MINUTE - LONG);
    assert_eq!(asked(&station), [new.id]);
    // Nobody holds the turn by silence.
    station.pass(3 * SECOND);
    assert!(asked(&station).contains(&first.id));
}

#[test]
fn a_strangers_many_experiments_leave_the_place_behind_its_endless_job_to_another_requester() {
    let (one, two) = (lab_with_wall(41, "one", HOUR), lab_with_wall(41, "two", HOUR));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &one, 1, 4 * HOUR);
    station.sent.clear();
    station.hear(two.call(1, station.now));
    station.pass(2 * MINUTE);
    assert!(asked(&station).is_empty(), "it has its place already");
    let other = lab_with_wall(42, "other", SECOND);
    take_one(&mut station, &other);
    assert_eq!(station.stopped.len(), 1);
}

#[test]
fn a_stranger_is_asked_while_another_ones_job_is_short_and_what_cannot_be_done_behind_a_long_one_is_given_back() {
    let (one, other) = (lab_with_wall(41, "one", HOUR), lab_with_wall(42, "other", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &one, 1, 4 * HOUR);
    station.hear(other.call(1, station.now));
    let claim = |out: &Out| matches!(&out.request, Request::Claim(claim) if claim.experiment == other.id).then_some(out.send);
    let send = station.sent.iter().find_map(claim).expect("short jobs of two strangers take turns");
    // As long as a lease of a second is: it would end before the minute of the other.
    station.answer(send, other.leases(0, 1, 31 * SECOND));
    station.fetched();
    station.sent.clear();
    station.pass(LONG);
    let (_, deliver) = station.deliver_to(&other);
    assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::MadeWay)]);
}

#[test]
fn of_strangers_that_were_never_served_the_shortest_job_goes_first() {
    let (one, long, short) = (lab_with_wall(41, "one", HOUR), lab_with_wall(42, "long", HOUR), lab_with_wall(43, "short", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &one, 1, 4 * HOUR);
    station.pass(LONG);
    station.sent.clear();
    station.hear(long.call(1, station.now));
    station.hear(short.call(1, station.now));
    station.pass(MINUTE - LONG);
    assert_eq!(asked(&station), [short.id]);
}

#[test]
fn whoever_answers_without_a_lease_has_had_its_turn() {
    let (long, two, newcomer) =
        (lab_with_wall(41, "long", HOUR), [lab_with_wall(42, "x1", 1), lab_with_wall(42, "x2", 1)], lab_with_wall(43, "new", MINUTE));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &long, 1, 4 * HOUR);
    station.pass(LONG);
    station.sent.clear();
    two.iter().for_each(|lab| station.hear(lab.call(1, station.now)));
    station.hear(newcomer.call(1, station.now));
    station.pass(MINUTE - LONG);
    // Its limit on time is a minute, of which five seconds are left.
    for _ in 0..7 {
        let out = station.sent.pop_front().expect("somebody is asked");
        if out.to == newcomer.key.node() {
            return;
        }
        station.pass(SECOND);
        station.answer(out.send, Response::Wait { ms: 50 });
        station.pass(50);
    }
    panic!("the newcomer is never asked");
}

#[test]
fn fresh_keys_that_come_later_do_not_push_a_newcomer_back() {
    let (long, newcomer) = (lab_with_wall(41, "long", HOUR), lab_with_wall(42, "new", MINUTE));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &long, 1, 4 * HOUR);
    station.pass(LONG);
    station.hear(newcomer.call(1, station.now));
    for fresh in 50..60 {
        station.pass(SECOND);
        station.hear(lab_with_wall(fresh, "fresh", MINUTE - SECOND + 1).call(1, station.now));
    }
    station.sent.clear();
    station.pass(MINUTE - LONG - 10 * SECOND);
    assert_eq!(asked(&station), [newcomer.id]);
}

#[test]
fn a_job_makes_way_for_one_that_waits_for_its_memory_and_nobody_else_takes_it() {
    let with_memory = |number: u8, tag: &str, bytes: u64| {
        let mut body = experiment(number, tag);
        (body.limits.memory_bytes, body.limits.wall_ms, body.deadline) = (bytes, HOUR, START.plus(12 * HOUR));
        Lab::of(body, number)
    };
    let budget = Policy::default().budget.memory.0;
    let halves = [with_memory(41, "half", budget / 2), with_memory(44, "half", budget / 2)];
    let (whole, small) = (with_memory(42, "whole", budget), with_memory(43, "small", budget / 2));
    let mut station = Station::with_leases(Config { capacity: 4, ..config() }, &halves[0], 1, 4 * HOUR);
    take_one(&mut station, &halves[1]);
    let running: Vec<Ticket> = station.started.drain(..).map(|(execution, _)| execution).collect();
    assert_eq!(running.len(), 2);
    station.pass(LONG);
    station.sent.clear();
    station.hear(whole.call(1, station.now));
    assert!(asked(&station).is_empty(), "its memory is taken: a lease would end before its turn");
    station.pass(MINUTE - LONG);
    take_one(&mut station, &whole);
    assert_eq!(station.stopped, running, "slots are free, memory is not");
    take_one(&mut station, &small);
    station.handle(Event::Finished { execution: running[0], report: Err(StationFailure::Stopped) });
    assert!(station.started.is_empty(), "what is free so far is kept");
    station.handle(Event::Finished { execution: running[1], report: Err(StationFailure::Stopped) });
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(whole.id), "it was freed for this one");
    assert_eq!(station.started.len(), 1);
}

#[test]
fn behind_a_long_job_of_a_known_requester_no_stranger_is_asked_before_it_ends() {
    let (known, stranger) = (lab_with_wall(REQUESTER, "known", 3 * MINUTE), lab_with_wall(42, "short", SECOND));
    let mut station = Station::with_more_leases(Config { capacity: 1, ..config() }, &known, 1, HOUR);
    station.pass(LONG);
    station.sent.clear();
    station.hear(stranger.call(1, station.now));
    station.pass(3 * MINUTE - LONG - 1);
    assert!(!asked(&station).contains(&stranger.id));
    station.pass(1);
    assert!(asked(&station).contains(&stranger.id));
}

#[test]
fn a_stranger_of_whom_something_runs_does_not_hold_the_turn_of_others() {
    let (one, more, other) = (lab_with_wall(41, "one", HOUR), lab_with_wall(41, "more", HOUR), lab_with_wall(42, "other", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &one, 1, 4 * HOUR);
    station.hear(more.call(1, station.now));
    station.pass(LONG);
    station.hear(other.call(1, station.now));
    station.sent.clear();
    station.pass(MINUTE - LONG);
    assert_eq!(asked(&station), [other.id]);
}

#[test]
fn a_short_lease_for_which_a_job_makes_way_is_not_given_back_before_that_ended() {
    let (evil, short) = (lab_with_wall(41, "endless", HOUR), lab_with_wall(42, "short", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &evil, 1, HOUR);
    let (execution, _) = station.started.pop_front().expect("it runs");
    station.pass(LONG);
    station.sent.clear();
    station.hear(short.call(1, station.now));
    station.pass(MINUTE - LONG);
    let claim = |out: &Out| matches!(&out.request, Request::Claim(claim) if claim.experiment == short.id).then_some(out.send);
    let send = station.sent.iter().find_map(claim).expect("it is asked");
    station.answer(send, short.leases(0, 1, 31 * SECOND));
    station.fetched();
    assert_eq!(station.stopped, [execution]);
    station.pass(SECOND);
    station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(short.id));
}

#[test]
fn a_slot_is_kept_for_a_newcomer_whose_module_is_on_its_way_and_whose_turn_it_is() {
    let (long, evil, newcomer) = (lab_with_wall(41, "long", HOUR), lab_with_wall(42, "evil", HOUR), lab_with_wall(43, "new", MINUTE));
    for seconds in [0, 1] {
        let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &long, 1, 4 * HOUR);
        let (execution, _) = station.started.pop_front().expect("it runs");
        station.pass(MINUTE);
        take_one(&mut station, &evil);
        station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
        let (execution, _) = station.started.pop_front().expect("it runs");
        let (send, _) = station.deliver_to(&long);
        station.answer(send, long.ack_with(|_| {}));
        // The first one waits again.
        station.pass(MINUTE);
        take_one(&mut station, &long);
        assert_eq!(station.stopped.len(), 2);
        station.sent.clear();
        station.hear(newcomer.call(1, station.now));
        let claim = |out: &Out| matches!(&out.request, Request::Claim(claim) if claim.experiment == newcomer.id).then_some(out.send);
        let send = station.sent.iter().find_map(claim).expect("a slot is about to be free");
        station.answer(send, newcomer.leases(0, 1, 90 * SECOND));
        station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
        assert!(station.started.is_empty(), "its module is on its way");
        station.pass(seconds * SECOND);
        station.fetched();
        let first = if seconds == 0 { newcomer.id } else { long.id };
        assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(first), "a second at most");
    }
}

#[test]
fn a_newcomer_has_its_turn_after_one_job_of_a_known_requester_however_many_it_has() {
    let (known, stranger) = (lab_with_wall(REQUESTER, "known", 40 * SECOND), lab_with_wall(42, "short", MINUTE));
    let mut station = Station::with_more_leases(Config { capacity: 1, ..config() }, &known, 8, HOUR);
    station.pass(4 * SECOND);
    take_one(&mut station, &stranger);
    station.pass(36 * SECOND);
    station.finish();
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(stranger.id), "turns are time");
}

#[test]
fn a_lease_that_waited_until_its_end_is_no_loss() {
    let (long, other) = (lab_with_wall(41, "long", 4 * HOUR), Lab::new(42, "other"));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &long, 1, 4 * HOUR);
    station.hear(other.call(1, station.now));
    let claim = |out: &Out| matches!(&out.request, Request::Claim(claim) if claim.experiment == other.id).then_some(out.send);
    if let Some(send) = station.sent.iter().find_map(claim) {
        station.answer(send, other.leases(0, 1, 2 * SECOND));
        station.fetched();
        station.pass(2 * SECOND);
        let (_, deliver) = station.deliver_to(&other);
        assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::MadeWay)]);
    } else {
        panic!("it is asked: {:?}", station.sent);
    }
}

/// Where all keys of one stranger are.
const EVIL: Cluster = Cluster::V4([203, 0, 113]);
const HONEST: Cluster = Cluster::V4([192, 0, 2]);

#[test]
fn of_a_network_whose_stranger_has_its_turn_no_other_key_is_asked_before_a_newcomer() {
    let (long, newcomer) = (lab_with_wall(41, "long", HOUR), lab_with_wall(42, "new", MINUTE));
    let mut station = Station::new(Config { capacity: 1, ..config() });
    // They came first, and their jobs are shorter; one names where it is, of the other it is known from before.
    let (named, proven) = (lab_with_wall(44, "named", SECOND), lab_with_wall(45, "proven", SECOND));
    station.hear(long.call(1, station.now));
    station.hear(proven.call(1, station.now));
    let claims: Vec<(Ticket, NodeId)> = station.sent.drain(..).map(|out| (out.send, out.to)).collect();
    for (send, to) in claims {
        let answer = if to == proven.key.node() { Response::Wait { ms: 1 } } else { long.leases(0, 1, 4 * HOUR) };
        station.answer_near(EVIL, send, answer);
    }
    station.fetched();
    station.hear(named.call_with(1, station.now, |call| call.at = List::first([address(named.key.node(), "203.0.113.9")])));
    station.pass(LONG);
    station.hear(newcomer.call(1, station.now));
    station.sent.clear();
    station.pass(MINUTE - LONG);
    assert_eq!(asked(&station), [newcomer.id]);
    // A requester that nothing ties to that network is asked as ever.
    let free = lab_with_wall(46, "free", SECOND);
    station.sent.clear();
    station.hear(free.call(1, station.now));
    station.pass(3 * SECOND);
    assert!(asked(&station).contains(&free.id));
    assert!(!asked(&station).iter().any(|id| [named.id, proven.id].contains(id)));
}

/// A station of one slot at which this requester, near `near`, has a history and a lease that runs or waits.
fn take_known(station: &mut Station, lab: &Lab, near: Cluster) {
    station.hear(lab.call(1, station.now));
    let claim = |out: &Out| (out.to == lab.key.node() && matches!(out.request, Request::Claim(_))).then_some(out.send);
    let send = station.sent.iter().find_map(claim).expect("it is asked");
    station.answer_near(near, send, lab.leases(0, 1, HOUR));
    station.fetched();
    station.finish();
    let (send, _) = station.deliver_to(lab);
    station.answer_near(near, send, lab.holds(&[0]));
    station.sent.clear();
}

#[test]
fn known_keys_of_one_network_do_not_fill_the_places_of_those_who_wait() {
    let mut station = Station::new(Config { capacity: 1, ..config() });
    let keys: Vec<Lab> = (60..64).map(|number| lab_with_wall(number, "one of many", MINUTE)).collect();
    let honest = lab_with_wall(42, "honest", MINUTE);
    keys.iter().for_each(|lab| take_known(&mut station, lab, EVIL));
    take_known(&mut station, &honest, HONEST);
    // All of them are asked again, and answer with a lease each; the honest one has none yet.
    station.pass(2 * SECOND);
    let sent: Vec<Out> = station.sent.drain(..).collect();
    assert!(sent.iter().any(|out| out.to == honest.key.node()));
    for out in sent {
        let evil = keys.iter().find(|lab| lab.key.node() == out.to);
        let answer = evil.map_or(Response::Wait { ms: 1_000 }, |lab| lab.leases(1, 1, HOUR));
        station.answer_near(if evil.is_some() { EVIL } else { HONEST }, out.send, answer);
    }
    assert!(station.worker.works.values().filter(|work| !work.leases.is_empty()).count() >= 2, "one runs, and others wait");
    station.pass(SECOND);
    let claim = |out: &Out| (out.to == honest.key.node()).then_some(out.send);
    let send = station.sent.iter().find_map(claim).expect("it is asked although all places are taken");
    station.answer_near(HONEST, send, honest.leases(1, 1, HOUR));
    station.finish();
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(honest.id), "it has every second turn");
}

#[test]
fn a_stranger_beside_a_busy_known_requester_of_its_network_is_asked_when_its_time_comes() {
    let (known, stranger) = (lab_with_wall(60, "known", 3 * MINUTE), lab_with_wall(61, "beside it", SECOND));
    let mut station = Station::new(Config { capacity: 1, ..config() });
    take_known(&mut station, &known, EVIL);
    station.pass(2 * SECOND);
    let (send, _) = station.claim();
    station.answer_near(EVIL, send, known.leases(1, 1, HOUR));
    assert_eq!(station.started.len(), 1);
    station.hear(stranger.call_with(1, station.now, |call| call.at = List::first([address(stranger.key.node(), "203.0.113.9")])));
    station.sent.clear();
    station.pass(3 * MINUTE);
    assert!(asked(&station).contains(&stranger.id));
}
