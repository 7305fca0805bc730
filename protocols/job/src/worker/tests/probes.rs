//! Stations of the sample that are looked for, so that more of the count is believed.

use super::strangers::misled_by;
use super::strangers::{invented, invented_key};
use super::*;
use crate::accounts::{Acquaintance, Payer};
use crate::census::PeerRecord;

/// The probe that is on its way, once one is due.
fn probe(station: &mut Station) -> Option<Out> {
    station.sent.clear();
    station.pass(11 * MINUTE);
    station.sent.drain(..).find(|out| matches!(out.request, Request::Peers { .. }) && !out.at.is_empty())
}

fn muted(station: &Station) -> usize {
    station.worker.gauges().iter().find(|gauge| gauge.what == "muted addresses").map(|gauge| gauge.len).expect("a gauge")
}

#[test]
fn a_probe_that_found_nobody_mutes_and_one_without_an_answer_does_not() {
    let mut station = misled_by(300);
    let before = muted(&station);
    let out = probe(&mut station).expect("a probe");
    station.fail(out.send, SendFailure::NoAnswer);
    assert_eq!(muted(&station), before);
    let out = probe(&mut station).expect("a probe");
    station.fail(out.send, SendFailure::WrongNode);
    assert_eq!(muted(&station), before + 1);
}

#[test]
fn probes_are_dialled_out_of_one_purse_of_a_stranger() {
    let mut station = misled_by(300);
    let payer = Payer::node(station.worker.node, None, Acquaintance::Stranger);
    for round in 0..40_u64 {
        let now = station.now.plus(round * 15 * SECOND);
        let node = key(3).node();
        (0..20_u64).for_each(|net| _ = station.worker.dials.pay(&payer, [address(node, &format!("47.{round}.{net}.1"))], now));
        station.now = now;
        station.sent.clear();
        station.handle(Event::Tick);
        let reached = station.sent.iter().filter(|out| !out.at.is_empty()).count();
        assert!(reached <= 1, "the purse is empty; who is reached outside has another: {reached}");
    }
}

#[test]
fn no_topic_keeps_another_from_reaching_somebody_outside() {
    let topics: Vec<Name> = (0..40).map(|number| name(&format!("topic-{number}"))).collect();
    let mut station = Station::new(Config { reach: Reach::Global, topics: topics.clone(), ..config() });
    station.handle(Event::Connected { node: key(50).node(), topics: topics.clone() });
    let questions: Vec<(Ticket, Name)> = station
        .sent
        .iter()
        .filter_map(|out| if let Request::Peers { topic, .. } = &out.request { Some((out.send, topic.clone())) } else { None })
        .collect();
    for (send, topic) in questions {
        let told = (0..8).map(|number| {
            let PeerRecord { node, at, made, .. } = invented(number).body;
            invented_key(number).sign(&name("test"), PeerRecord { node, topic: topic.clone(), at, made })
        });
        station.answer(send, Response::Peers { time: Time(0), records: List::first(told) });
    }
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..20 {
        station.sent.clear();
        station.pass(MINUTE);
        reached.extend(station.sent.iter().filter(|out| !out.at.is_empty()).filter_map(|out| match &out.request {
            Request::Peers { topic, .. } => Some(topic.clone()),
            _ => None,
        }));
    }
    assert_eq!(reached.len(), topics.len());
}

#[test]
fn only_a_record_of_the_sample_proves_and_who_is_here_is_not_looked_for() {
    let mut station = misled_by(300);
    let before = station.worker.counted(&name("topic"));
    let now = station.now;
    station.worker.probed(&key(99).node(), &name("topic"), true, now);
    assert_eq!(station.worker.counted(&name("topic")), before);
    let nodes: Vec<NodeId> = station.worker.census[&name("topic")].records().map(|record| record.body.node).collect();
    let here = &nodes[..100];
    here.iter().for_each(|node| station.handle(Event::Connected { node: *node, topics: Vec::new() }));
    let mut probes = 0;
    while let Some(out) = probe(&mut station) {
        assert!(!here.contains(&out.to));
        probes += 1;
        station.fail(out.send, SendFailure::NoAnswer);
    }
    assert!(probes > 5, "{probes}");
}

#[test]
fn a_record_is_looked_for_only_where_this_network_reaches() {
    let mut station = Station::new(Config { reach: Reach::Global, ..config() });
    station.handle(Event::Connected { node: key(50).node(), topics: vec![name("topic")] });
    let asked = station.sent.iter().find(|out| matches!(out.request, Request::Peers { .. })).map(|out| out.send).expect("asks for peers");
    let records = (60..180_u8).map(|number| {
        let node = key(number).node();
        let at = List::first(["10.0.0.1".to_owned(), format!("45.{number}.1.1")].map(|ip| address(node, &ip)));
        key(number).sign(&name("test"), PeerRecord { node, topic: name("topic"), at, made: START })
    });
    station.answer(asked, Response::Peers { time: Time(0), records: List::first(records) });
    let out = probe(&mut station).expect("a probe");
    assert_eq!(out.at.iter().map(|address| address.ip().to_string().starts_with("45.")).collect::<Vec<_>>(), [true]);
}

#[test]
fn a_station_whose_neighbours_say_nothing_still_reaches_one_of_the_sample_every_three_minutes() {
    let mut station = Station::new(Config { reach: Reach::Global, ..config() });
    station.handle(Event::Connected { node: key(50).node(), topics: vec![name("topic")] });
    let asked = station.sent.iter().find(|out| matches!(out.request, Request::Peers { .. })).map(|out| out.send).expect("asks for peers");
    station.answer(asked, Response::Peers { time: Time(0), records: List::first((0..8).map(invented)) });
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..4 {
        station.sent.clear();
        station.pass(3 * MINUTE);
        let outside: Vec<NodeId> = station.sent.iter().filter(|out| !out.at.is_empty() && out.to != key(50).node()).map(|out| out.to).collect();
        assert_eq!(outside.len(), 1, "one, and not many");
        reached.extend(outside);
    }
    assert!(reached.len() > 1, "not the same again and again: {reached:?}");
}
