//! What makes way, and what is left of it.

use super::*;

fn lab_with_wall(requester: u8, tag: &str, wall_ms: u64) -> Lab {
    let mut body = experiment(requester, tag);
    body.limits.wall_ms = wall_ms;
    body.deadline = START.plus(12 * HOUR);
    Lab::of(body, requester)
}

/// The station takes leases from `first` on of `lab`, which it has not heard of.
fn take(station: &mut Station, lab: &Lab, count: u64, duration_ms: u64) {
    station.hear(lab.call(1, station.now));
    let claim = |out: &Out| matches!(&out.request, Request::Claim(claim) if claim.experiment == lab.id).then_some(out.send);
    let send = station.sent.iter().find_map(claim).expect("it is asked");
    station.answer(send, lab.leases(0, count, duration_ms));
    station.fetched();
}

fn numbers(station: &Station, lab: &Lab) -> Vec<u64> {
    station.worker.works[&lab.id].leases.keys().copied().collect()
}

/// A station of one slot, where a known requester's job runs and has two more leases, which end after so long.
fn known_with_queue(known: &Lab, first: u64, others: u64) -> Station {
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, known, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    let more = known.ack_with(|ack| {
        ack.held = List::first([0]);
        let mut batch = known.batch(1, 3, others);
        let mut leases = batch.leases.to_vec();
        leases[0].duration_ms = 4 * HOUR;
        leases[1].duration_ms = first;
        batch.leases = List::first(leases);
        ack.leases = Some(batch);
    });
    station.answer(send, more);
    station
}

#[test]
fn of_a_job_that_makes_way_the_leases_behind_it_stay_and_rest_but_for_those_that_cannot_be_done_any_more() {
    let (known, stranger) = (lab_with_wall(REQUESTER, "known", HOUR), lab_with_wall(42, "short", SECOND));
    // The second would end before it is done after the rest, and the third would not.
    let mut station = known_with_queue(&known, HOUR + 5 * MINUTE, 4 * HOUR);
    assert_eq!(numbers(&station, &known), [1, 2, 3]);
    take(&mut station, &stranger, 1, 4 * HOUR);
    station.pass(4 * MINUTE);
    assert_eq!(station.stopped.len(), 1);
    assert_eq!(numbers(&station, &known), [3]);
    let returned: Vec<u64> =
        station.notes().iter().filter_map(|note| if let Note::Returned { lease, .. } = note { Some(*lease) } else { None }).collect();
    assert_eq!(returned, [1, 2]);
    let (execution, _) = station.started.pop_front().expect("it ran");
    station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(stranger.id));
    station.finish();
    station.pass(4 * MINUTE - 2);
    assert!(station.started.is_empty(), "it rests for as long as its job ran");
    station.pass(2);
    assert_eq!(station.started.front().map(|(_, job)| (job.experiment, job.index)), Some((known.id, 3)));
}

#[test]
fn behind_a_long_job_only_the_leases_that_end_too_early_are_given_back() {
    let (long, other) = (lab_with_wall(41, "long", HOUR), lab_with_wall(42, "other", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &long, 1, 4 * HOUR);
    take(&mut station, &other, 1, 31 * SECOND);
    let work = station.worker.works.get_mut(&other.id).expect("here");
    let early = work.leases[&0].clone();
    work.leases.insert(7, early.lasting(4 * HOUR));
    station.pass(5 * SECOND);
    assert_eq!(numbers(&station, &other), [7]);
}

#[test]
fn what_runs_beyond_fewer_slots_is_let_run_although_others_wait() {
    let (long, other) = (lab_with_wall(41, "long", 4 * HOUR), lab_with_wall(42, "other", MINUTE));
    let mut station = Station::with_leases(Config { capacity: 3, ..config() }, &long, 3, 12 * HOUR);
    take(&mut station, &other, 1, 12 * HOUR);
    assert_eq!((station.started.len(), station.worker.works[&other.id].leases.len()), (3, 1));
    station.handle(Event::PolicyChanged { policy: Box::new(config().policy), capacity: 1 });
    station.pass(2 * HOUR);
    assert!(station.stopped.is_empty(), "no end of one would leave a slot");
}

#[test]
fn memory_that_was_freed_for_a_job_gives_it_no_slot_that_is_not_there_any_more() {
    let (long, other) = (lab_with_wall(41, "long", 4 * HOUR), lab_with_wall(42, "other", MINUTE));
    let mut station = Station::with_leases(Config { capacity: 2, ..config() }, &long, 2, 12 * HOUR);
    take(&mut station, &other, 1, 12 * HOUR);
    assert_eq!(station.started.len(), 2);
    station.worker.reserved = Some(other.id);
    station.handle(Event::PolicyChanged { policy: Box::new(config().policy), capacity: 1 });
    assert_eq!((station.started.len(), station.worker.reserved), (2, None));
}

#[test]
fn a_module_that_is_another_than_was_named_is_declined_aloud_where_the_operator_tells_why() {
    let lab = Lab::new(REQUESTER, "damaged");
    for tells in [false, true] {
        let mut config = config();
        config.policy.network.tell_why = tells;
        let mut station = Station::new(config);
        station.hear(lab.call(1, station.now));
        let (send, _) = station.claim();
        station.answer(send, lab.leases(0, 1, HOUR));
        let (fetch, _) = station.fetches.pop_front().expect("a fetch");
        station.handle(Event::Fetched { fetch, result: Err(FetchFailure::Mismatch) });
        let is_told = |out: &Out| matches!(&out.request, Request::Decline(decline) if decline.reason == DeclineReason::Module);
        assert_eq!(station.sent.iter().any(is_told), tells);
        if tells {
            let Out { send, .. } = station.sent.pop_front().expect("the decline");
            station.answer(send, Response::Noted);
        }
        assert_eq!(station.deliver().1.returned.to_vec(), [(0, ReturnReason::FetchFailed)]);
    }
}
