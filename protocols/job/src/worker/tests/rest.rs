//! Why a station takes no work, and that it takes none.

use super::*;
use crate::clock::Shift;
use crate::human::{Hours, Span};
use crate::work::ReturnReason;

fn rests(station: &Station) -> Option<Rest> {
    station.worker.rest()
}

/// A policy that works in these hours of the UTC day. The tests begin at 08:00.
fn hours(text: &str) -> Policy {
    let mut policy = Policy::default();
    policy.budget.hours = text.parse::<Hours>().expect("hours");
    policy
}

/// A station that hears a Call while it rests claims nothing for a quarter of an hour.
fn claims_nothing(station: &mut Station, tag: &str) {
    station.hear(Lab::new(REQUESTER, tag).call(1, station.now));
    station.pass(15 * MINUTE);
    assert!(station.sent.is_empty(), "{tag}: {:?}", station.sent);
}

#[test]
fn a_paused_station_claims_nothing_until_it_is_resumed_and_then_at_once() {
    let mut station = Station::new(config());
    station.handle(Event::Pause { until: None });
    assert_eq!(rests(&station), Some(Rest::Paused { until: None }));
    claims_nothing(&mut station, "paused");
    station.hear(Lab::new(REQUESTER, "later").call(1, station.now));
    station.handle(Event::Resume);
    assert_eq!(rests(&station), None);
    station.claim();
}

#[test]
fn a_pause_with_an_end_ends_by_itself() {
    let lab = Lab::new(REQUESTER, "end");
    let mut station = Station::new(config());
    let until = START.plus(Span(5 * MINUTE).0);
    station.handle(Event::Pause { until: Some(until) });
    station.hear(lab.call(1, START));
    station.pass(5 * MINUTE - 1);
    assert!(station.sent.is_empty());
    station.pass(1);
    station.claim();
    assert!(!station.disk.contains_key(&super::super::rest::pause_key()), "its record is gone");
    let notes = station.notes();
    assert!(notes.contains(&&Note::Rests(Some(Rest::Paused { until: Some(until) }))) && notes.contains(&&Note::Rests(None)), "{notes:?}");
}

#[test]
fn a_pause_holds_over_a_restart_and_its_end_too() {
    for (until, later_ms, paused) in [(None, 30 * 24 * HOUR, true), (Some(START.plus(HOUR)), HOUR - 1, true), (Some(START.plus(HOUR)), HOUR, false)] {
        let mut station = Station::new(config());
        station.handle(Event::Pause { until });
        let now = START.plus(later_ms);
        let again = Station::restored(config(), station.disk, now);
        assert_eq!(rests(&again), paused.then_some(Rest::Paused { until }), "{until:?} after {later_ms} ms");
    }
}

#[test]
fn whoever_pauses_finishes_what_runs_and_gives_back_what_waits() {
    let lab = Lab::new(REQUESTER, "busy");
    let mut station = Station::with_more_leases(config(), &lab, 3, 60_000);
    station.sent.clear();
    station.handle(Event::Pause { until: None });
    assert!(station.stopped.is_empty(), "what runs is let run");
    let (send, deliver) = station.deliver();
    assert_eq!((deliver.returned.to_vec(), deliver.free), (vec![(3, ReturnReason::Drain)], 0));
    // An answer that was on its way brings more: it goes back too.
    station.answer(send, lab.ack_with(|_| {}));
    for lease in [1, 2] {
        station.finish();
        let (send, deliver) = station.deliver();
        assert_eq!(deliver.free, 0);
        station.answer(send, lab.holds(&[lease]));
    }
    station.pass(MINUTE);
    assert!(station.sent.is_empty() && station.started.is_empty());
    assert!(!station.worker.is_drained(), "it runs on");
}

#[test]
fn leases_that_come_after_a_pause_go_back_unrun() {
    let lab = Lab::new(REQUESTER, "late answer");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.handle(Event::Pause { until: None });
    station.answer(send, lab.leases(0, 1, 60_000));
    assert!(station.fetches.is_empty() && station.started.is_empty());
    let (_, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::Drain)]);
}

#[test]
fn outside_the_operators_hours_nothing_is_claimed_and_when_they_begin_at_once() {
    let lab = Lab::new(REQUESTER, "hours");
    let mut station = Station::new(Config { policy: hours("08:30-09:00"), ..config() });
    let opens = START.plus(30 * MINUTE);
    assert_eq!(rests(&station), Some(Rest::Hours { from: opens }));
    station.hear(lab.call_with(1, START, |call| call.exp = START.plus(2 * HOUR)));
    station.pass(30 * MINUTE - 1);
    assert!(station.sent.is_empty());
    station.pass(1);
    station.claim();
    station.pass(30 * MINUTE);
    assert_eq!(rests(&station), Some(Rest::Hours { from: opens.plus(24 * HOUR) }));
    station.handle(Event::PolicyChanged { policy: Box::new(hours("00:00-24:00")), capacity: 2 });
    assert_eq!(rests(&station), None, "a changed policy is in force at once");
}

#[test]
fn on_battery_and_without_room_on_the_disk_nothing_is_claimed_unless_the_policy_works_on_battery() {
    let mut station = Station::new(config());
    station.handle(Event::OnBattery(true));
    assert_eq!(rests(&station), Some(Rest::Battery));
    claims_nothing(&mut station, "battery");
    let mut policy = Policy::default();
    policy.budget.on_battery = true;
    station.handle(Event::PolicyChanged { policy: Box::new(policy), capacity: 2 });
    station.handle(Event::Room(false));
    assert_eq!(rests(&station), Some(Rest::Disk));
    claims_nothing(&mut station, "disk");
    station.handle(Event::Room(true));
    assert_eq!(rests(&station), None);
}

#[test]
fn a_machine_that_can_run_nothing_claims_nothing_until_it_can() {
    let mut station = Station::new(config());
    station.handle(Event::Fit(false));
    assert_eq!(rests(&station), Some(Rest::Unfit));
    claims_nothing(&mut station, "unfit");
    station.handle(Event::Fit(true));
    assert_eq!(rests(&station), None);
}

#[test]
fn hours_and_pauses_are_of_the_worlds_time_also_after_it_was_set() {
    let set = START.plus(5 * HOUR);
    let mut station = Station::new(Config { policy: hours("13:30-14:00"), ..config() });
    let opens = |station: &Station| if let Some(Rest::Hours { from }) = rests(station) { from } else { Time(0) };
    let first = opens(&station);
    station.handle(Event::Clock(Shift::between(START, first)));
    assert_eq!(rests(&station), None, "the machine's clock says that they began");
    station.handle(Event::Pause { until: Some(first.plus(MINUTE)) });
    station.pass(MINUTE - 1);
    assert!(matches!(rests(&station), Some(Rest::Paused { .. })));
    station.pass(1);
    assert_eq!(rests(&station), None, "it ends by the world's time");
    station.handle(Event::Clock(Shift::between(START.plus(MINUTE), set.plus(5 * HOUR))));
    assert!(matches!(rests(&station), Some(Rest::Hours { .. })), "they are over");
}

#[test]
fn fewer_slots_let_run_what_runs_and_start_nothing_beyond_them() {
    let lab = Lab::new(REQUESTER, "slots");
    let mut station = Station::with_more_leases(config(), &lab, 2, 60_000);
    assert_eq!(station.worker.running(), 2);
    station.handle(Event::PolicyChanged { policy: Box::default(), capacity: 1 });
    assert!(station.stopped.is_empty());
    station.sent.clear();
    station.finish();
    let (send, deliver) = station.deliver();
    assert_eq!(station.worker.slots().0, 1);
    station.answer(
        send,
        lab.ack_with(|ack| {
            ack.held = List::first([1]);
            ack.leases = Some(lab.batch(3, u64::from(deliver.free.min(1)), 60_000));
        }),
    );
    assert_eq!(station.worker.running(), 1, "the one slot is taken");
}
