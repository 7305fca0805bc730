use station_node::library::bundled_names;
use station_protocol::bounded::{List, Name, Text};
use station_protocol::content::sha256;
use station_protocol::experiment::{Class, JobsRef, Labels, Measurement, Spread};
use station_protocol::identity::Hash32;
use station_protocol::limits::Limits;
use station_protocol::{Content, SigningKey, Time};

use super::*;

const ALLOWS: &str = "[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [\"a.example\"]\n";

fn node(number: u8) -> NodeId {
    SigningKey::from_bytes(&[number; 32]).node()
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A measurement of `hosts` by station 9.
fn measurement(hosts: &[&str]) -> (ExperimentId, Experiment) {
    let module = bundled_names().remove(&name("gateway-check")).expect("bundled").remove(0);
    let experiment = Experiment {
        requester: node(9),
        network: name("sim"),
        topic: name("sim"),
        name: Text::cut("test"),
        module: Content { cid: module, bytes: 1 },
        profile: name("profile"),
        needs: [(Capability::Http, List::first(hosts.iter().map(|host| host.parse().expect("a pattern"))))].into(),
        limits: Limits::default(),
        class: Class::Measurement(Measurement { stations: 1, spread: Spread::Network, exact: List::default(), report: List::default() }),
        jobs: JobsRef { root: module, count: 1, target: None },
        labels: Labels::new(),
        deadline: Time(0),
        contact: Text::cut("mailto:a@example.org"),
        commitment: Hash32(sha256(&[])),
        input: station_protocol::experiment::InputForm::DagCbor,
        output: station_protocol::experiment::OutputForm::DagCbor,
        previous: None,
    };
    (experiment.id(), experiment)
}

/// Station 1 allows a.example, station 2 nothing; both are asked to measure a.example and b.example.
fn contacts() -> (Contacts, ExperimentId) {
    let mut contacts = Contacts::default();
    contacts.introduce(node(1), Policy::parse(ALLOWS, &bundled_names()).expect("a policy"));
    contacts.introduce(node(2), Policy::default());
    let (id, experiment) = measurement(&["a.example", "c.example"]);
    contacts.published(id, experiment, [Content::raw(b"a job").cid]);
    (contacts, id)
}

fn contact(number: u8, host: &str, experiment: Option<ExperimentId>) -> Contact {
    Contact { host: host.into(), ip: [185, 0, host.as_bytes()[0], 1].into(), cap: 10, day: 7, node: node(number), experiment, is_reading: false }
}

#[test]
fn hosts_at_one_network_have_one_cap_together() {
    let (mut contacts, id) = contacts();
    contacts.network_cap = 10;
    let ask = |number: u8| Contact { ip: [185, 0, 0, number].into(), host: format!("{number}.a.example"), ..contact(1, "a.example", Some(id)) };
    let broken: Vec<usize> =
        (0..14).map(|number| contacts.asked(&ask(number)).iter().filter(|(what, _)| *what == Invariant::TargetCaps).count()).collect();
    assert_eq!(broken, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], "a fifth more is tolerated, and a breach is said once");
    let elsewhere = Contact { ip: [185, 0, 1, 1].into(), host: "b.a.example".into(), ..contact(1, "a.example", Some(id)) };
    assert!(contacts.asked(&elsewhere).iter().all(|(what, _)| *what != Invariant::TargetCaps));
}

#[test]
fn what_is_allowed_and_within_the_cap_breaks_nothing() {
    let (mut contacts, id) = contacts();
    for _ in 0..12 {
        assert_eq!(contacts.asked(&contact(1, "a.example", Some(id))), []);
    }
}

#[test]
fn more_than_a_fifth_beyond_the_cap_of_a_day_is_seen_once_and_readings_count() {
    let (mut contacts, id) = contacts();
    let (ask, read) = (contact(1, "a.example", Some(id)), Contact { is_reading: true, ..contact(1, "a.example", Some(id)) });
    let broken = |all: Vec<Broken>| all.into_iter().map(|(invariant, _)| invariant).collect::<Vec<_>>();
    for _ in 0..6 {
        assert_eq!(contacts.asked(&ask), []);
        assert_eq!(contacts.asked(&read), []);
    }
    let tomorrow = Contact { day: 8, ..ask.clone() };
    assert_eq!(contacts.asked(&tomorrow), [], "another day");
    assert_eq!(broken(contacts.asked(&ask)), [Invariant::TargetCaps]);
    assert_eq!(contacts.asked(&ask), [], "said once");
    let nobody = Contact { cap: 0, ..contact(1, "a.example", Some(id)) };
    assert_eq!(broken(Contacts { asked: BTreeMap::new(), ..contacts }.asked(&nobody)), [Invariant::TargetCaps]);
}

#[test]
fn a_request_that_the_policy_the_experiment_or_nobody_wanted_is_seen() {
    let (mut contacts, id) = contacts();
    let other = measurement(&["other.example"]).0;
    for (number, host, experiment) in [
        (2, "a.example", Some(id)),
        (1, "c.example", Some(id)),
        (1, "b.example", Some(id)),
        (1, "a.example", Some(other)),
        (1, "a.example", None),
        (3, "a.example", Some(id)),
    ] {
        let broken = contacts.asked(&contact(number, host, experiment));
        assert_eq!(broken.iter().map(|(invariant, _)| *invariant).collect::<Vec<_>>(), [Invariant::OnlyWhatPolicyAllows], "{number} {host}");
    }
}

#[test]
fn a_job_or_content_of_an_experiment_that_the_policy_declines_is_seen() {
    let (mut contacts, declined) = contacts();
    let (id, experiment) = measurement(&["a.example"]);
    let (job, both) = (Content::raw(b"another job").cid, Content::raw(b"of both").cid);
    contacts.published(id, experiment, [job, both]);
    contacts.published(declined, measurement(&["a.example", "c.example"]).1, [both]);
    assert_eq!(contacts.started(node(1), &id), None);
    assert!(contacts.started(node(1), &declined).is_some_and(|(invariant, _)| invariant == Invariant::OnlyWhatPolicyAllows));
    assert!(contacts.started(node(2), &id).is_some());
    assert_eq!(contacts.started(node(9), &id), None, "its own");
    assert_eq!(contacts.stored(node(1), &job), None);
    assert_eq!(contacts.stored(node(1), &both), None, "it is there for the one that is allowed");
    assert!(contacts.stored(node(2), &job).is_some_and(|(invariant, _)| invariant == Invariant::OnlyWhatPolicyAllows));
    assert!(contacts.stored(node(2), &both).is_some());
    assert_eq!(contacts.stored(node(9), &job), None, "its own");
    assert_eq!(contacts.stored(node(2), &Content::raw(b"its own output").cid), None);
}
