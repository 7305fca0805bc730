//! What guests say of how far they are: when their requester hears of it, and when not.

use super::super::progress::EVERY_MS;
use super::*;
use crate::bounded::Text;
use crate::work::{PROGRESS_MAX, Progress};

fn says(station: &mut Station, execution: Ticket, permille: u32, message: &str) {
    station.handle(Event::Said { execution, saying: Saying { permille, message: Text::cut(message) } });
}

/// What the requester is told next. It has no more work: claims wait.
fn told(station: &mut Station) -> Option<Vec<(u64, u32, String)>> {
    while let Some(Out { send, request, .. }) = station.sent.pop_front() {
        match request {
            Request::Progress(Progress { said, .. }) => {
                station.answer(send, Response::Noted);
                return Some(said.iter().map(|said| (said.lease, said.permille, said.message.as_str().to_owned())).collect());
            }
            Request::Claim(_) => station.answer(send, Response::Wait { ms: 60_000 }),
            other => panic!("expected what a guest said, found {other:?}"),
        }
    }
    None
}

fn connected(lab: &Lab, count: u64) -> Station {
    let mut station = Station::with_leases(Config { capacity: 2, ..config() }, lab, count, HOUR);
    station.handle(Event::Connected { node: lab.key.node(), topics: vec![name("compute")] });
    assert_eq!(told(&mut station), None);
    station
}

#[test]
fn the_requester_hears_the_last_that_a_guest_said_once_in_ten_seconds_and_nothing_twice() {
    let lab = Lab::new(REQUESTER, "progress");
    let mut station = connected(&lab, 1);
    let execution = station.started[0].0;
    says(&mut station, execution, 10, "begins");
    assert_eq!(told(&mut station), Some(vec![(0, 10, "begins".to_owned())]));
    (20..60).for_each(|permille| says(&mut station, execution, permille, "goes on"));
    assert_eq!(told(&mut station), None, "not at once");
    station.pass(EVERY_MS - 1);
    assert_eq!(told(&mut station), None);
    station.pass(1);
    assert_eq!(told(&mut station), Some(vec![(0, 59, "goes on".to_owned())]));
    station.pass(10 * EVERY_MS);
    assert_eq!(told(&mut station), None, "it said nothing more");
}

#[test]
fn nobody_is_dialled_for_what_a_guest_says_and_the_last_of_it_is_told_once_there_is_a_connection() {
    let lab = Lab::new(REQUESTER, "away");
    let mut station = connected(&lab, 1);
    let execution = station.started[0].0;
    station.handle(Event::Disconnected { node: lab.key.node() });
    says(&mut station, execution, 10, "unheard");
    says(&mut station, execution, 20, "kept");
    station.pass(3 * EVERY_MS);
    assert_eq!(told(&mut station), None);
    station.handle(Event::Connected { node: lab.key.node(), topics: vec![name("compute")] });
    assert_eq!(told(&mut station), Some(vec![(0, 20, "kept".to_owned())]));
}

#[test]
fn a_guest_that_speaks_all_the_time_costs_no_look_at_what_else_is_here() {
    let lab = Lab::new(REQUESTER, "chatters");
    let mut station = connected(&lab, 1);
    let execution = station.started[0].0;
    says(&mut station, execution, 1, "told");
    says(&mut station, execution, 2, "waits to be told");
    let before = station.worker.executions.looked();
    (3..1_000).for_each(|permille| says(&mut station, execution, permille, "again"));
    says(&mut station, Ticket(9_999), 1, "nobody");
    assert_eq!(station.worker.executions.looked(), before);
    station.pass(EVERY_MS);
    while let Some(said) = told(&mut station) {
        if said == [(0, 999, "again".to_owned())] {
            return;
        }
    }
    panic!("the last word is told");
}

#[test]
fn an_execution_that_ended_or_never_was_says_nothing() {
    let lab = Lab::new(REQUESTER, "ended");
    let mut station = connected(&lab, 1);
    let execution = station.started[0].0;
    says(&mut station, Ticket(9_999), 1, "nobody");
    assert_eq!(told(&mut station), None);
    station.finish();
    says(&mut station, execution, 999, "too late");
    assert!(station.sent.iter().all(|out| !matches!(out.request, Request::Progress(_))));
}

#[test]
fn one_message_speaks_of_those_that_said_something_new() {
    let lab = Lab::new(REQUESTER, "many");
    let capacity = u32::try_from(PROGRESS_MAX).expect("small") + 9;
    let mut station = Station::with_more_leases(Config { capacity, ..config() }, &lab, 32, HOUR);
    station.handle(Event::Connected { node: lab.key.node(), topics: vec![name("compute")] });
    assert_eq!(told(&mut station), None);
    let executions: Vec<Ticket> = station.started.iter().map(|(execution, _)| *execution).collect();
    assert!(executions.len() > 2, "{}", executions.len());
    says(&mut station, executions[0], 1, "one");
    assert_eq!(told(&mut station).expect("said").len(), 1);
    executions.iter().skip(1).for_each(|execution| says(&mut station, *execution, 2, "each"));
    station.pass(EVERY_MS);
    let all = told(&mut station).expect("said");
    assert_eq!((all.len(), all.iter().all(|(_, permille, _)| *permille == 2)), (executions.len() - 1, true));
}

#[test]
fn a_requester_that_does_not_answer_what_it_is_told_gets_its_receipts_all_the_same() {
    let lab = Lab::new(REQUESTER, "silent");
    let mut station = connected(&lab, 1);
    let execution = station.started[0].0;
    says(&mut station, execution, 10, "begins");
    let told = station.sent.pop_front().expect("it is told");
    assert!(matches!(told.request, Request::Progress(_)));
    station.finish();
    let (_, deliver) = station.deliver();
    assert_eq!(deliver.receipts.len(), 1);
    station.fail(told.send, SendFailure::Unreachable);
    assert!(station.reports().is_empty(), "and nobody is blamed");
}
