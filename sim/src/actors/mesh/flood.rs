//! The Calls of attackers: good in every way that a station can check without asking.
//!
//! Guarantees: key, number, module and addresses decide everything but the times. Deliberately lacks a requester: who is at the address,
//! and what it answers there, is the attacker's business.

use std::collections::BTreeMap;
use std::net::IpAddr;

use station_protocol::address::Address;
use station_protocol::bounded::{List, Name, Text};
use station_protocol::call::{CALL_VALID_MS_MAX, Call, CallState};
use station_protocol::content::{Content, RAW, cid_of};
use station_protocol::experiment::{Class, Experiment, JobsRef, Labels, Trust};
use station_protocol::identity::Hash32;
use station_protocol::limits::Limits;
use station_protocol::time::{HOUR, Time};
use station_protocol::{Signed, SigningKey};

/// The first byte of the addresses: they look like anybody's, and no scenario has stations there.
const NOWHERE: u8 = 77;
/// The deadline, in so many milliseconds: the latest that the rules let pass is later.
const DEADLINE_MS: u64 = HOUR;

/// What a Call is about.
#[derive(Clone, Debug)]
pub(super) struct Subject<'a> {
    pub(super) network: &'a Name,
    pub(super) topic: &'a Name,
    pub(super) module: Content,
    /// Tells the experiments of one key apart.
    pub(super) number: u64,
}

/// Content that nobody has.
pub(super) fn nothing() -> Content {
    Content { cid: cid_of(RAW, b"no module"), bytes: 9 }
}

/// An address at which nobody is, for the node of `key`. One a key: those who share one have a bound of their own.
pub(super) fn nowhere(key: &SigningKey) -> Option<Address> {
    let [a, b, c, ..] = key.node().0;
    at(&IpAddr::from([NOWHERE, a, b, c.max(1)]), 4_710, key)
}

/// Where the node of `key` would be if it were at `ip`.
pub(super) fn at(ip: &IpAddr, port: u16, key: &SigningKey) -> Option<Address> {
    let family = if ip.is_ipv4() { "ip4" } else { "ip6" };
    Address::parse(&format!("/{family}/{ip}/tcp/{port}/p2p/{}", key.node())).ok()
}

/// The first Call of an experiment of `key`, which is to be found at `at`.
pub(super) fn call(subject: &Subject<'_>, key: &SigningKey, at: impl IntoIterator<Item = Address>, now: Time) -> Signed<Call> {
    let experiment = Experiment {
        requester: key.node(),
        network: subject.network.clone(),
        topic: subject.topic.clone(),
        name: Text::cut(&format!("flood {}", subject.number)),
        module: subject.module.clone(),
        profile: Name::new(station_sandbox::PROFILE).expect("the profile's name is a name"),
        needs: BTreeMap::new(),
        limits: Limits::default(),
        class: Class::Pure(Trust::Fixed(3)),
        jobs: JobsRef { root: cid_of(RAW, b"no jobs"), count: 1 << 20, target: None },
        labels: Labels::new(),
        deadline: now.plus(DEADLINE_MS),
        contact: Text::cut("mailto:nobody@example.org"),
        commitment: Hash32([0; 32]),
        input: station_protocol::experiment::InputForm::DagCbor,
        output: station_protocol::experiment::OutputForm::DagCbor,
        previous: None,
    };
    let call = Call {
        experiment: key.sign(subject.network, experiment),
        seq: 1,
        state: CallState::Open,
        claim_below: u64::MAX,
        wanted: 3,
        at: List::first(at),
        nbf: now,
        exp: now.plus(CALL_VALID_MS_MAX),
    };
    key.sign(subject.network, call)
}
