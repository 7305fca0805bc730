//! [`Liar`]: what an attacker answers in the `work` protocol.
//!
//! Guarantees: every answer is well formed and signed where it must be, so that only the rules can refuse it. What an honest swarm of
//! libp2p's own parts cannot do, it does not either. Deliberately lacks an outbox, a disk and a memory of whom it met.

use std::collections::BTreeMap;

use station_protocol::address::Address;
use station_protocol::bounded::{Bytes, List, Name};
use station_protocol::census::{PeerRecord, SAMPLE_MAX};
use station_protocol::content::sha256;
use station_protocol::experiment::ExperimentId;
use station_protocol::receipt::LeaseNumber;
use station_protocol::sampling::fraction;
use station_protocol::time::Time;
use station_protocol::work::{Ack, LEASES_MAX, Lease, Leases, Request, Response};
use station_protocol::{NodeId, Signed, SigningKey};

use super::{Deeds, Plan, Strategy};

/// Sooner than a station may be told to come again.
const AGAIN_MS: u32 = 50;

#[derive(Debug)]
pub(super) struct Liar {
    network: Name,
    key: SigningKey,
    input: Vec<u8>,
    /// Leases given to whoever asks for so many; none: as many as one answer holds, whoever asks.
    most: Option<u32>,
    /// The next lease of each experiment.
    next: BTreeMap<ExperimentId, LeaseNumber>,
    /// By topic.
    records: BTreeMap<Name, Vec<Signed<PeerRecord>>>,
}

impl Liar {
    /// What `plan` wants said; keys are searched for here, `now` is when their records say that they were made.
    pub(super) fn new(plan: &Plan, now: Time) -> Self {
        let (input, most) = match &plan.strategy {
            Strategy::LyingRequester { input, .. } => (input.clone(), None),
            // As many as are asked for: those are taken, and their module is fetched.
            Strategy::CompileHogs { input, .. } => (input.clone(), Some(1)),
            _ => (Vec::new(), None),
        };
        let keys = if let Strategy::GroundCensus { keys } = plan.strategy { keys } else { 0 };
        let records = plan.topics.iter().map(|topic| (topic.clone(), ground(plan, topic, keys, now))).collect();
        Self { network: plan.network.clone(), key: SigningKey::from_bytes(&plan.secret), input, most, next: BTreeMap::new(), records }
    }

    /// The answer to what `node` asks.
    pub(super) fn answer(&mut self, node: NodeId, request: &Request, deeds: &mut Deeds) -> Response {
        match request {
            Request::Peers { topic, .. } if self.records.get(topic).is_some_and(|records| !records.is_empty()) => {
                let told = &self.records[topic];
                let (time, records) = (told[0].body.made, List::first(told.iter().cloned()));
                deeds.records += records.len() as u64;
                Response::Peers { records, time }
            }
            Request::Claim(claim) if !self.input.is_empty() => {
                let leases = self.leases(claim.experiment, node, claim.free, deeds);
                Response::Leases(self.key.sign(&self.network, leases))
            }
            Request::Deliver(deliver) if !self.input.is_empty() => {
                deeds.unacknowledged += deliver.receipts.len() as u64;
                let leases = Some(self.leases(deliver.experiment, node, deliver.free, deeds));
                let ack = Ack {
                    experiment: deliver.experiment,
                    node,
                    held: List::first([]),
                    refused: List::first([]),
                    again_ms: AGAIN_MS,
                    verdicts: List::first([]),
                    cursor: deliver.cursor,
                    leases,
                    no_more: None,
                };
                Response::Acked(Box::new(self.key.sign(&self.network, ack)))
            }
            Request::Decline(_) | Request::Progress(_) => Response::Noted,
            _ => Response::Unserved,
        }
    }

    /// For longer than any rule lets one last.
    fn leases(&mut self, experiment: ExperimentId, node: NodeId, free: u32, deeds: &mut Deeds) -> Leases {
        let count = self.most.map_or(LEASES_MAX as u64, |most| u64::from(most.min(free)));
        let next = self.next.entry(experiment).or_insert(0);
        let first = *next;
        *next += count;
        deeds.leases += count;
        let input = Bytes::new(self.input.clone()).expect("an input of the simulator is small");
        let leases = List::first((0..count).map(|position| Lease { index: first + position, input: input.clone(), duration_ms: u64::MAX }));
        Leases { experiment, node, first, leases }
    }
}

/// Of `keys` keys those with the smallest hash of the day, as stations at the attacker's own address.
fn ground(plan: &Plan, topic: &Name, keys: u32, now: Time) -> Vec<Signed<PeerRecord>> {
    let key = |number: u32| SigningKey::from_bytes(&sha256(&[b"station-sim/ground", &plan.secret, &number.to_be_bytes()]));
    let hash = |node: &NodeId| fraction("size", &[plan.network.as_bytes(), &[0], topic.as_bytes(), &[0], &now.day().to_be_bytes(), &node.0]);
    let mut found: Vec<(u64, u32)> = (0..keys).map(|number| (hash(&key(number).node()), number)).collect();
    found.sort_unstable();
    let record = |(_, number): (u64, u32)| {
        let key = key(number);
        let at = Address::parse(&format!("{}/p2p/{}", plan.listen, key.node())).ok();
        key.sign(&plan.network, PeerRecord { node: key.node(), topic: topic.clone(), at: List::first(at), made: now })
    };
    found.into_iter().take(SAMPLE_MAX).map(record).collect()
}
