//! When a station asks for work, and what it makes of the answer.

use super::*;
use crate::capability::Capability;
use crate::cluster::Cluster;
use crate::sampling;
use crate::work::DeclineReason;

fn needs_http(tag: &str) -> Lab {
    let mut body = experiment(REQUESTER, tag);
    body.class = Class::Measurement(crate::experiment::Measurement {
        stations: 3,
        spread: crate::experiment::Spread::Network,
        exact: List::default(),
        report: List::default(),
    });
    body.needs = Needs::from([(Capability::Http, List::first(["example.org".parse().expect("a target")]))]);
    Lab::of(body, REQUESTER)
}

#[test]
fn the_default_policy_contacts_nobody_for_an_experiment_that_needs_the_network() {
    let lab = needs_http("http");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    station.pass(MINUTE);
    assert_eq!(station.judged(), Admission::Accept, "what one does not serve is still forwarded");
    assert!(station.sent.is_empty() && station.fetches.is_empty());
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::Declined(DeclineReason::Capability)));
}

#[test]
fn a_policy_that_tells_why_declines_to_the_requester_once() {
    let lab = needs_http("why");
    let mut config = config();
    config.policy.network.tell_why = true;
    let mut station = Station::new(config);
    station.hear(lab.call(1, START));
    let out = station.sent.pop_front().expect("a decline");
    assert!(matches!(out.request, Request::Decline(decline) if decline.reason == DeclineReason::Capability));
    assert_eq!(out.to, lab.key.node());
    station.answer(out.send, Response::Noted);
    station.pass(MINUTE);
    assert!(station.sent.is_empty());
}

#[test]
fn a_policy_that_becomes_stricter_stops_what_runs_and_returns_it() {
    let lab = Lab::new(REQUESTER, "stricter");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    let denying = Policy::parse(&format!("[[deny]]\nrequester = \"{}\"", lab.key.node()), &BTreeMap::new()).expect("a policy");
    station.handle(Event::PolicyChanged { policy: Box::new(denying), capacity: 2 });
    assert_eq!(station.stopped.len(), 1);
    let (_, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(0, crate::work::ReturnReason::Policy)]);
    assert_eq!(deliver.free, 0);
}

#[test]
fn other_profiles_and_labels_are_declined() {
    let mut body = experiment(REQUESTER, "profile");
    body.profile = name("station-wasm-9");
    let profile = Lab::of(body, REQUESTER);
    let mut body = experiment(REQUESTER, "labels");
    body.labels = Labels::of([(name("region"), List::first([name("eu")]))]).unwrap();
    let labels = Lab::of(body, REQUESTER);
    let mut station = Station::new(config());
    for (lab, reason) in [(profile, DeclineReason::Profile), (labels, DeclineReason::Labels)] {
        station.hear(lab.call(1, START));
        assert_eq!(station.worker.standing(&lab.id), Some(Standing::Declined(reason)));
    }
    assert!(station.sent.is_empty());
}

#[test]
fn a_station_outside_the_sample_waits_for_a_wider_call() {
    let lab = Lab::new(REQUESTER, "sample");
    let mut station = Station::new(config());
    station.hear(lab.call_with(1, START, |call| call.claim_below = 0));
    assert!(station.sent.is_empty());
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::NotSampled));
    station.hear(lab.call(2, START));
    station.claim();
}

/// A network that the sample of `lab` under `below` asks, or does not.
fn network(lab: &Lab, below: u64, asked: bool) -> [u8; 3] {
    let all = (0..=255).map(|net| [203, 0, net]);
    all.into_iter().find(|net| sampling::is_sampled(&lab.id, &Cluster::V4(*net), below) == asked).expect("one of 256")
}

fn seen(station: &mut Station, [a, b, c]: [u8; 3]) {
    station.handle(Event::Seen { by: Cluster::V4([192, 0, 2]), ip: std::net::Ipv4Addr::new(a, b, c, 9).into() });
}

const ONE_IN_EIGHT: u64 = u64::MAX / 8;

#[test]
fn a_station_claims_where_the_sample_asks_the_network_that_it_is_seen_in() {
    let lab = Lab::new(REQUESTER, "seen");
    let mut station = Station::new(config());
    station.hear(lab.call_with(1, START, |call| call.claim_below = ONE_IN_EIGHT));
    station.pass(MINUTE);
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::NotSampled), "it does not know where it is");
    seen(&mut station, network(&lab, ONE_IN_EIGHT, false));
    assert!(station.sent.is_empty());
    seen(&mut station, network(&lab, ONE_IN_EIGHT, true));
    station.claim();
}

#[test]
fn only_addresses_are_dialled_where_the_sample_asks_this_station() {
    let lab = Lab::new(REQUESTER, "families");
    let six = Address::parse(&format!("/ip6/2001:db8:7::1/tcp/4001/p2p/{}", lab.key.node())).expect("an address");
    let mut station = Station::new(config());
    seen(&mut station, network(&lab, ONE_IN_EIGHT, true));
    station.hear(lab.call_with(1, START, |call| {
        call.claim_below = ONE_IN_EIGHT;
        call.at = List::first([six.clone(), address(lab.key.node(), "198.51.100.7")]);
    }));
    let at = &station.sent.front().expect("a claim").at;
    assert!(at.iter().eq([&address(lab.key.node(), "198.51.100.7")]), "{at:?}");
    // Where everybody is asked, any way is good.
    let other = Lab::new(REQUESTER, "everybody");
    let mut station = Station::new(config());
    station.hear(other.call_with(1, START, |call| call.at = List::first([six, address(lab.key.node(), "198.51.100.7")])));
    assert_eq!(station.sent.front().expect("a claim").at.len(), 2);
}

#[test]
fn behind_a_relay_it_counts_where_the_station_will_be_seen_and_on_a_private_network_its_key() {
    let relay = key(77).node();
    for (ip, asked) in [("198.51.100.7", true), ("10.0.0.1", false)] {
        let by_key = |number: &u32| {
            let lab = Lab::new(REQUESTER, &number.to_string());
            sampling::is_sampled(&lab.id, &Cluster::Own(key(STATION).node()), ONE_IN_EIGHT) != asked
        };
        let lab = Lab::new(REQUESTER, &(0..1_000).find(by_key).expect("one of a thousand").to_string());
        let mut station = Station::new(config());
        seen(&mut station, network(&lab, ONE_IN_EIGHT, asked));
        let text = format!("/ip4/{ip}/tcp/4001/p2p/{relay}/p2p-circuit/p2p/{}", lab.key.node());
        station.hear(lab.call_with(1, START, |call| {
            call.claim_below = ONE_IN_EIGHT;
            call.at = List::first([Address::parse(&text).expect("an address")]);
        }));
        station.claim();
    }
}

#[test]
fn a_call_without_addresses_is_claimed_by_whoever_is_asked_anywhere() {
    for asked in [false, true] {
        let lab = Lab::new(REQUESTER, "nowhere");
        let mut station = Station::new(config());
        seen(&mut station, network(&lab, ONE_IN_EIGHT, asked));
        station.hear(lab.call_with(1, START, |call| {
            call.claim_below = ONE_IN_EIGHT;
            call.at = List::default();
        }));
        assert_eq!(station.sent.is_empty(), !asked);
    }
}

#[test]
fn who_was_not_sampled_after_all_asks_again_after_a_higher_seq() {
    let lab = Lab::new(REQUESTER, "misled");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.refusal(ClaimRefused::NotSampled, 1));
    station.pass(MINUTE);
    assert!(station.sent.is_empty());
    station.hear(lab.call(2, station.now));
    station.claim();
}

#[test]
fn a_wait_is_kept_to_the_millisecond() {
    let lab = Lab::new(REQUESTER, "wait");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, Response::Wait { ms: 300 });
    station.pass(299);
    assert!(station.sent.is_empty());
    station.pass(1);
    station.claim();
}

#[test]
fn enough_lasts_until_a_higher_seq_and_closed_for_good() {
    let lab = Lab::new(REQUESTER, "refused");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.refusal(ClaimRefused::Enough, 1));
    station.pass(5 * MINUTE);
    assert!(station.sent.is_empty());
    station.hear(lab.call(2, station.now));
    let (send, _) = station.claim();
    station.answer(send, lab.refusal(ClaimRefused::Closed, 2));
    station.hear(lab.call(3, station.now));
    station.pass(MINUTE);
    assert!(station.sent.is_empty());
}

#[test]
fn busy_is_a_wait_of_ten_seconds() {
    let lab = Lab::new(REQUESTER, "busy");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.refusal(ClaimRefused::Busy, 1));
    station.pass(10 * SECOND - 1);
    assert!(station.sent.is_empty());
    station.pass(1);
    station.claim();
}

#[test]
fn a_lost_answer_is_asked_for_again_within_three_seconds_then_less_and_less_often() {
    let lab = Lab::new(REQUESTER, "lost");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (mut send, _) = station.claim();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        station.fail(send, SendFailure::NoAnswer);
        let lost = station.now;
        while station.sent.is_empty() {
            station.pass(100);
        }
        pauses.push(station.now.since(lost));
        send = station.claim().0;
        station.hear(lab.call(1, station.now));
    }
    assert!(pauses[0] <= 1_300, "{pauses:?}");
    assert!(pauses[7] >= 48_000 && pauses[7] <= 72_100, "{pauses:?}");
}

#[test]
fn a_higher_seq_ends_the_back_off() {
    let lab = Lab::new(REQUESTER, "again");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.fail(send, SendFailure::NoAnswer);
    assert!(station.sent.is_empty());
    station.hear(lab.call(2, station.now));
    station.claim();
}

#[test]
fn a_stranger_that_is_not_at_its_address_is_left_alone_there_for_ten_minutes_and_nobody_else_is() {
    let lab = Lab::new(REQUESTER, "dead");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.fail(send, SendFailure::WrongNode);
    let owner = Lab::new(3, "same address");
    station.hear(owner.call(1, station.now));
    let (send, _) = station.claim();
    station.answer(send, owner.refusal(ClaimRefused::Enough, 1));
    let other = Lab::new(REQUESTER, "another experiment");
    station.hear(other.call(1, station.now));
    station.pass(9 * MINUTE);
    assert!(station.sent.is_empty());
    station.hear(other.call(2, station.now));
    station.pass(2 * MINUTE);
    station.claim();
}

#[test]
fn one_request_is_in_flight_per_requester() {
    let mut station = Station::new(config());
    let (a, b) = (Lab::new(REQUESTER, "a"), Lab::new(REQUESTER, "b"));
    station.hear(a.call(1, START));
    station.hear(b.call(1, START));
    assert_eq!(station.sent.len(), 1);
    let (send, claim) = station.claim();
    let (asked, other) = if claim.experiment == a.id { (&a, &b) } else { (&b, &a) };
    station.answer(send, asked.refusal(ClaimRefused::Enough, 1));
    assert_eq!(station.claim().1.experiment, other.id);
}

#[test]
fn leases_signed_by_somebody_else_are_worth_nothing() {
    let lab = Lab::new(REQUESTER, "forged");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, Response::Leases(key(66).sign(&name("test"), lab.batch(0, 1, 60_000))));
    assert!(station.fetches.is_empty());
    assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Invalid)]);
}

#[test]
fn leases_for_another_node_are_worth_nothing() {
    let lab = Lab::new(REQUESTER, "other node");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    let mut batch = lab.batch(0, 1, 60_000);
    batch.node = key(66).node();
    station.answer(send, Response::Leases(lab.key.sign(&name("test"), batch)));
    assert!(station.fetches.is_empty());
    assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Invalid)]);
}

#[test]
fn an_experiment_of_ones_own_is_claimed_at_once_by_an_anchor_and_after_ten_seconds_otherwise() {
    for (anchor, wait_ms) in [(true, 0), (false, 10 * SECOND)] {
        let lab = Lab::new(STATION, "own");
        let mut station = Station::new(Config { anchor, ..config() });
        station.handle(Event::CallHeard { call: Box::new(lab.call(1, START)), via: Via::Own });
        if wait_ms > 0 {
            station.pass(wait_ms - 1);
            assert!(station.sent.is_empty());
            station.pass(1);
        }
        station.claim();
    }
}

#[test]
fn many_sampled_stations_spread_their_first_dial() {
    let lab = Lab::new(REQUESTER, "spread");
    let mut station = Station::new(config());
    for author in 20..220_u8 {
        let node = key(author).node();
        let at = List::first([address(node, &format!("198.51.{author}.1"))]);
        let record = crate::census::PeerRecord { node, topic: name("topic"), at, made: START };
        let answer = Response::Peers { time: Time(0), records: List::first([key(author).sign(&name("test"), record)]) };
        station.worker.peers_answered(key(9).node(), &name("topic"), Ok(answer), START);
    }
    station.drain();
    assert_eq!(station.worker.counted(&name("topic")), 2 * crate::census::PROVED_MIN, "more is not believed unproved");
    station.worker.census.get_mut(&name("topic")).expect("its topic").prove(101);
    assert_eq!(station.worker.counted(&name("topic")), 201);
    station.hear(lab.call(1, START));
    assert!(station.sent.is_empty(), "201 stations wait up to 2.1 s");
    station.pass(2_200);
    station.claim();
}

#[test]
fn an_answer_lost_in_silence_is_asked_for_once_more_and_whichever_comes_first_counts() {
    let lab = Lab::new(REQUESTER, "silence");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (first, claim) = station.claim();
    station.pass(2 * SECOND - 1);
    assert!(station.sent.is_empty(), "an answer may take its time");
    station.pass(1);
    let (second, again) = station.claim();
    assert_eq!(claim, again);
    station.pass(7 * SECOND);
    assert!(station.sent.is_empty(), "not a third time");
    station.answer(second, lab.leases(0, 1, 60_000));
    assert_eq!(station.fetches.len(), 1);
    station.answer(first, lab.leases(1, 1, 60_000));
    assert_eq!(station.worker.works[&lab.id].leases.len(), 1, "the other copy's answer is not looked at");
}

#[test]
fn a_question_has_failed_only_when_both_copies_have() {
    let lab = Lab::new(REQUESTER, "two failures");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (first, _) = station.claim();
    station.pass(2 * SECOND);
    let (second, _) = station.claim();
    station.fail(first, SendFailure::NoAnswer);
    assert!(station.reports().is_empty());
    station.pass(SECOND);
    assert!(station.sent.is_empty());
    station.fail(second, SendFailure::NoAnswer);
    assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Tolerable)]);
    station.pass(2 * SECOND);
    station.claim();
}
