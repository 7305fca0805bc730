//! What a station does when its clock steps: it slept, or was set.

use super::*;
use crate::clock::Shift;

/// The world is `ahead` of the station's own time from now on.
fn step(station: &mut Station, world: Time) {
    station.handle(Event::Clock(Shift::between(station.now, world)));
}

#[test]
fn after_an_hours_sleep_a_station_hears_calls_again() {
    let lab = Lab::new(REQUESTER, "slept");
    let mut station = Station::new(config());
    let awake = START.plus(HOUR - MINUTE);
    station.hear(lab.call(1, awake));
    assert_eq!(station.judged(), Admission::Ignore, "from the future, by the clock of before");
    let ahead_ms = i64::try_from(HOUR - MINUTE).expect("small");
    assert!(station.notes().contains(&&Note::Untimely { experiment: lab.id, requester: lab.key.node(), ahead_ms }), "whoever looks is told why");
    step(&mut station, awake);
    station.hear(lab.call(1, awake));
    assert_eq!(station.judged(), Admission::Accept);
    let (_, claim) = station.claim();
    assert_eq!(claim.experiment, lab.id);
}

#[test]
fn a_clock_that_is_set_back_makes_no_station_deaf_and_no_call_late() {
    let mut body = experiment(REQUESTER, "back");
    let world = START.minus(2 * HOUR);
    body.deadline = world.plus(30 * MINUTE);
    let lab = Lab::of(body, REQUESTER);
    let mut station = Station::new(config());
    station.hear(lab.call(1, world));
    assert_eq!(station.judged(), Admission::Ignore, "long over, by the clock of before");
    step(&mut station, world);
    station.hear(lab.call(1, world));
    assert_eq!(station.judged(), Admission::Accept);
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::Open));
}

#[test]
fn what_was_late_by_a_wrong_clock_is_open_by_the_right_one() {
    let mut body = experiment(REQUESTER, "late");
    body.deadline = START.plus(MINUTE);
    let lab = Lab::of(body, REQUESTER);
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let right = station.now;
    step(&mut station, right.plus(5 * MINUTE));
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::Late));
    step(&mut station, right);
    assert_ne!(station.worker.standing(&lab.id), Some(Standing::Late));
}

#[test]
fn a_lease_lasts_as_long_as_it_was_given_whatever_sets_the_clock() {
    for world in [START.plus(HOUR - MINUTE), START.minus(HOUR)] {
        let lab = Lab::new(REQUESTER, "lease");
        let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &lab, 1, 5_000);
        step(&mut station, world);
        station.pass(4_999);
        assert!(station.stopped.is_empty(), "{world:?}: not before its time");
        station.pass(1);
        assert_eq!(station.stopped.len(), 1, "{world:?}: and at its time");
    }
}

/// The station's own records as it tells them to a neighbour.
fn told(station: &mut Station, by: u8) -> Vec<Time> {
    station.handle(Event::Asked { ask: Ticket(9), from: key(by).node(), request: Request::Peers { topic: name("topic"), have: List::default() } });
    let Some(Effect::Answer { response: Response::Peers { records, .. }, .. }) = station.others.pop() else { panic!("no records") };
    records.iter().filter(|record| record.body.node == key(STATION).node()).map(|record| record.body.made).collect()
}

#[test]
fn its_own_records_have_the_new_time_forwards_and_backwards() {
    let mut station = Station::new(config());
    for (by, world) in [(50, START.plus(3 * HOUR)), (51, START.minus(3 * HOUR))] {
        step(&mut station, world);
        assert_eq!(told(&mut station, by), [world], "neither over nor of the future for others");
    }
}

#[test]
fn an_answer_about_peers_has_the_worlds_time_and_that_of_others_is_told_to_the_driver() {
    let mut station = Station::new(config());
    step(&mut station, START.plus(HOUR));
    station.handle(Event::Asked { ask: Ticket(9), from: key(50).node(), request: Request::Peers { topic: name("topic"), have: List::default() } });
    let Some(Effect::Answer { response: Response::Peers { time, .. }, .. }) = station.others.pop() else { panic!("no answer") };
    assert_eq!(time, START.plus(HOUR));
    let neighbour = key(60).node();
    station.handle(Event::Connected { node: neighbour, topics: vec![name("topic")] });
    let asked = station.sent.iter().find(|out| out.to == neighbour && matches!(out.request, Request::Peers { .. })).expect("a question").send;
    station.answer(asked, Response::Peers { time: Time(7), records: List::default() });
    let heard = |effect: &Effect| matches!(effect, Effect::PeerTime { node, time: Time(7) } if *node == neighbour);
    assert!(station.others.iter().any(heard));
}

#[test]
fn neighbours_are_asked_at_once_for_the_calls_that_were_not_heard() {
    let mut station = Station::new(config());
    station.handle(Event::Connected { node: key(60).node(), topics: vec![name("topic")] });
    let questions: Vec<Ticket> = station.sent.drain(..).map(|out| out.send).collect();
    for send in questions {
        station.answer(send, Response::Unserved);
    }
    let world = station.now.plus(HOUR);
    step(&mut station, world);
    assert!(station.sent.iter().any(|out| matches!(out.request, Request::Calls { .. })), "{:?}", station.sent);
}
