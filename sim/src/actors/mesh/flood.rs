//! The Calls of a flood: good in every way that a station can check without asking, from keys that nobody will meet again.
//!
//! Guarantees: `key` decides everything but the times. Deliberately lacks a requester: at its address is nobody, so that each station
//! that believes it dials in vain.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use station_protocol::address::Address;
use station_protocol::bounded::{List, Name, Text};
use station_protocol::call::{CALL_VALID_MS_MAX, Call, CallState};
use station_protocol::content::{Content, RAW, cid_of};
use station_protocol::experiment::{Class, Experiment, JobsRef, Trust};
use station_protocol::identity::Hash32;
use station_protocol::limits::Limits;
use station_protocol::time::{HOUR, Time};
use station_protocol::{Signed, SigningKey};

/// The first byte of the addresses: they look like anybody's, and no scenario has stations there.
const NOWHERE: u8 = 77;

/// A Call of the key with the secret `key`.
pub(super) fn call(network: &Name, topic: &Name, key: &[u8; 32], now: Time) -> Signed<Call> {
    let [a, b, c, ..] = *key;
    let key = SigningKey::from_bytes(key);
    let experiment = Experiment {
        requester: key.node(),
        network: network.clone(),
        topic: topic.clone(),
        name: Text::cut("flood"),
        module: Content { cid: cid_of(RAW, b"no module"), bytes: 9 },
        profile: Name::new(station_sandbox::PROFILE).expect("the profile's name is a name"),
        needs: BTreeMap::new(),
        limits: Limits::default(),
        class: Class::Pure(Trust::Fixed(3)),
        jobs: JobsRef { root: cid_of(RAW, b"no jobs"), count: 1, target: None },
        labels: BTreeMap::new(),
        deadline: now.plus(HOUR),
        contact: Text::cut("mailto:nobody@example.org"),
        commitment: Hash32([0; 32]),
        previous: None,
    };
    // One address a Call: those who share one have a bound of their own.
    let at = Address::parse(&format!("/ip4/{}/tcp/4710/p2p/{}", Ipv4Addr::new(NOWHERE, a, b, c.max(1)), key.node()));
    let call = Call {
        experiment: key.sign(network, experiment),
        seq: 1,
        state: CallState::Open,
        claim_below: u64::MAX,
        wanted: 3,
        at: List::first(at),
        nbf: now,
        exp: now.plus(CALL_VALID_MS_MAX),
    };
    key.sign(network, call)
}
