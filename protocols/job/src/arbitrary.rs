//! Strategies for every message, for the tests of this crate.
//!
//! Guarantees: each value is within its bounds and signed values verify on [`network`]. Deliberately lacks values that only a
//! machine could have made (leases that match a Call, receipts that match a lease): those tests build their own.

use std::collections::BTreeMap;

use cid::Cid;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use crate::address::Address;
use crate::bounded::{Bytes, List, Name, Text};
use crate::call::{Call, CallState};
use crate::capability::{Capability, Needs, TargetPattern};
use crate::census::{PeerRecord, RecordTag};
use crate::cluster::Cluster;
use crate::content::{Content, DAG_CBOR, DAG_PB, RAW, cid_of};
use crate::experiment::{Class, Experiment, InputForm, JobsRef, Labels, Measurement, OutputForm, Spread, Trust};
use crate::identity::{Body, Hash32, NodeId, Signed, SigningKey};
use crate::limits::Limits;
use crate::log::{Entry, HeldReceipt, Lost, Page, Root, SettledJob};
use crate::receipt::{Isolation, Outcome, Receipt, Trap};
use crate::time::Time;
use crate::verdict::{Canonical, Decision, Group, JobVerdict, Leases as LeaseNumbers, Stratum};
use crate::work::{
    Ack, Claim, ClaimRefused, Decline, DeclineReason, Deliver, Delivery, Lease, Leases, Progress, ReceiptRefused, Refusal, Request, Response,
    ReturnReason, Said, Status,
};

/// The network that signed values are signed for.
pub(crate) fn network() -> Name {
    Name::new("test").expect("a name")
}

/// One of 256 keys.
pub(crate) fn key() -> impl Strategy<Value = SigningKey> {
    any::<u8>().prop_map(|seed| SigningKey::from_bytes(&[seed; 32]))
}

pub(crate) fn node() -> impl Strategy<Value = NodeId> {
    key().prop_map(|key| key.node())
}

/// `body` signed by any key.
pub(crate) fn signed<T: Body + std::fmt::Debug>(body: impl Strategy<Value = T>) -> impl Strategy<Value = Signed<T>> {
    (key(), body).prop_map(|(key, body)| key.sign(&network(), body))
}

/// Lower-case letters and digits.
fn word(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    vec(prop_oneof![8 => b'a'..=b'z', 1 => b'0'..=b'9'], length).prop_map(|bytes| String::from_utf8(bytes).expect("ASCII"))
}

pub(crate) fn name() -> impl Strategy<Value = Name> {
    (word(1..=6), prop_oneof![Just(""), Just("-"), Just("."), Just("_")]).prop_map(|(word, end)| Name::new(word + end).expect("a name"))
}

pub(crate) fn text<const MAX: usize>() -> impl Strategy<Value = Text<MAX>> {
    vec(any::<char>(), 0..8).prop_map(|text| Text::cut(&text.into_iter().collect::<String>()))
}

pub(crate) fn hash() -> impl Strategy<Value = Hash32> {
    any::<[u8; 32]>().prop_map(Hash32)
}

pub(crate) fn cid() -> impl Strategy<Value = Cid> {
    (prop_oneof![Just(RAW), Just(DAG_CBOR), Just(DAG_PB)], any::<[u8; 4]>()).prop_map(|(codec, bytes)| cid_of(codec, &bytes))
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    (cid(), any::<u64>()).prop_map(|(cid, bytes)| Content { cid, bytes })
}

pub(crate) fn time() -> impl Strategy<Value = Time> {
    any::<u64>().prop_map(Time)
}

fn bytes<const MAX: usize>() -> impl Strategy<Value = Bytes<MAX>> {
    vec(any::<u8>(), 0..40).prop_map(|bytes| Bytes::new(bytes).expect("short"))
}

/// Up to three of `item`.
fn list<T: std::fmt::Debug, const MAX: usize>(item: impl Strategy<Value = T>) -> impl Strategy<Value = List<T, MAX>> {
    vec(item, 0..=3).prop_map(List::first)
}

pub(crate) fn pattern() -> impl Strategy<Value = TargetPattern> {
    let text = prop_oneof![
        Just("*".to_owned()),
        Just("[2001:db8::1]:443".to_owned()),
        word(1..=6).prop_map(|word| format!("{word}.example")),
        word(1..=6).prop_map(|word| format!("*.{word}.example")),
        (any::<u8>(), 1u16..).prop_map(|(byte, port)| format!("10.0.0.{byte}:{port}")),
    ];
    text.prop_map(|text| text.parse().expect("a pattern"))
}

pub(crate) fn labels() -> impl Strategy<Value = Labels> {
    btree_map(name(), list(name()), 0..3).prop_map(|labels| Labels::of(labels).expect("few"))
}

fn needs() -> impl Strategy<Value = Needs> {
    list(pattern()).prop_map(|patterns| if patterns.is_empty() { Needs::new() } else { [(Capability::Http, patterns)].into() })
}

/// An address that leads to `node`, direct or relayed.
pub(crate) fn address(node: NodeId) -> impl Strategy<Value = Address> {
    (any::<[u8; 4]>(), 1u16.., of(self::node())).prop_map(move |([a, b, c, d], port, relay)| {
        let via = relay.map_or(String::new(), |relay| format!("/p2p/{relay}/p2p-circuit"));
        Address::parse(&format!("/ip4/{a}.{b}.{c}.{d}/udp/{port}/quic-v1{via}/p2p/{node}")).expect("an address")
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    any::<[u64; 5]>().prop_map(|[fuel, memory_bytes, wall_ms, output_bytes, in_bytes]| Limits { fuel, memory_bytes, wall_ms, output_bytes, in_bytes })
}

fn class() -> impl Strategy<Value = Class> {
    let trust = prop_oneof![Just(Trust::Final), Just(Trust::Standard), Just(Trust::Cheap), any::<u16>().prop_map(Trust::Fixed)];
    let measurement = (any::<u32>(), list(text()), list(text()));
    let measurement = measurement.prop_map(|(stations, exact, report)| Measurement { stations, spread: Spread::Network, exact, report });
    prop_oneof![
        trust.prop_map(Class::Pure),
        measurement.prop_map(Class::Measurement),
        content().prop_map(|verifier| Class::SelfVerifying { verifier }),
    ]
}

prop_compose! {
    fn jobs()(root in cid(), count in any::<u64>(), target in of(text())) -> JobsRef {
        JobsRef { root, count, target }
    }
}

fn input_form() -> impl Strategy<Value = InputForm> {
    prop_oneof![Just(InputForm::DagCbor), Just(InputForm::Json)]
}

fn output_form() -> impl Strategy<Value = OutputForm> {
    prop_oneof![Just(OutputForm::DagCbor), Just(OutputForm::Json), Just(OutputForm::Text), Just(OutputForm::Bytes)]
}

prop_compose! {
    pub(crate) fn experiment()(
        (requester, network, topic, name) in (node(), name(), name(), text()),
        (module, profile, needs, limits) in (content(), name(), needs(), limits()),
        (class, jobs, labels, deadline) in (class(), jobs(), labels(), time()),
        (contact, commitment, previous) in (text(), hash(), of(cid())),
        (input, output) in (input_form(), output_form()),
    ) -> Experiment {
        Experiment {
            requester, network, topic, name, module, profile, needs, limits, class, jobs, labels, deadline, contact, commitment, input, output, previous,
        }
    }
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    let state = prop_oneof![Just(CallState::Open), cid().prop_map(|log| CallState::Closed { log })];
    (signed(experiment()), any::<(u64, u64, u32)>(), state, time(), time()).prop_flat_map(
        |(experiment, (seq, claim_below, wanted), state, nbf, exp)| {
            list(address(experiment.author)).prop_map(move |at| Call {
                experiment: experiment.clone(),
                seq,
                state: state.clone(),
                claim_below,
                wanted,
                at,
                nbf,
                exp,
            })
        },
    )
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Completed),
        any::<u32>().prop_map(Outcome::Exited),
        Just(Outcome::Trapped(Trap::Unreachable)),
        Just(Outcome::OutOfFuel),
        Just(Outcome::Refused(Capability::Http)),
        Just(Outcome::TimedOut),
    ]
}

fn isolation() -> impl Strategy<Value = Isolation> {
    prop_oneof![Just(Isolation::ProcessOnly), Just(Isolation::Partial), Just(Isolation::Full)]
}

prop_compose! {
    pub(crate) fn receipt()(
        (experiment, index, lease, node) in (cid(), any::<u64>(), any::<u64>(), node()),
        (profile, isolation, outcome, output, transcript) in (name(), isolation(), outcome(), of(content()), of(content())),
        (fuel, started_ms, duration_ms, software) in (any::<u64>(), any::<u64>(), any::<u64>(), text()),
    ) -> Receipt {
        Receipt { experiment, index, lease, node, profile, isolation, outcome, output, transcript, fuel, started_ms, duration_ms, software }
    }
}

fn lease_numbers() -> impl Strategy<Value = LeaseNumbers> {
    list(any::<u64>())
}

prop_compose! {
    fn group()(outcome in outcome(), exact in btree_map(text(), bytes(), 0..3), receipts in lease_numbers()) -> Group {
        Group { outcome, exact, receipts }
    }
}

prop_compose! {
    fn stratum()(region in of(name()), groups in list(group()), certified in any::<bool>()) -> Stratum {
        Stratum { region, groups, certified }
    }
}

pub(crate) fn verdict() -> impl Strategy<Value = JobVerdict> {
    let canonical = (outcome(), of(content()), any::<u64>()).prop_map(|(outcome, output, fuel)| Canonical { outcome, output, fuel });
    let agreed = (canonical, lease_numbers(), lease_numbers(), any::<bool>());
    let decision = prop_oneof![
        agreed.prop_map(|(canonical, certificate, against, answers)| {
            if answers { Decision::Agreed { canonical, certificate, against } } else { Decision::Failed { canonical, certificate, against } }
        }),
        (list(stratum()), lease_numbers()).prop_map(|(strata, unusable)| Decision::Measured { strata, unusable }),
        (any::<u32>(), lease_numbers()).prop_map(|(groups, receipts)| Decision::Undecided { groups, receipts }),
        lease_numbers().prop_map(|receipts| Decision::Expired { receipts }),
    ];
    (any::<u64>(), decision).prop_map(|(index, decision)| JobVerdict { index, decision })
}

fn lease() -> impl Strategy<Value = Lease> {
    (any::<u64>(), bytes(), any::<u64>()).prop_map(|(index, input, duration_ms)| Lease { index, input, duration_ms })
}

prop_compose! {
    pub(crate) fn leases()(experiment in cid(), node in node(), first in any::<u64>(), leases in list(lease())) -> Leases {
        Leases { experiment, node, first, leases }
    }
}

fn claim_refused() -> impl Strategy<Value = ClaimRefused> {
    prop_oneof![
        Just(ClaimRefused::Enough),
        Just(ClaimRefused::NotSampled),
        Just(ClaimRefused::ClusterTaken),
        Just(ClaimRefused::Closed),
        Just(ClaimRefused::Busy)
    ]
}

prop_compose! {
    pub(crate) fn refusal()(experiment in cid(), node in node(), reason in claim_refused(), seq in any::<u64>()) -> Refusal {
        Refusal { experiment, node, reason, seq }
    }
}

prop_compose! {
    pub(crate) fn ack()(
        (experiment, node, held) in (cid(), node(), lease_numbers()),
        refused in list((any::<u64>(), prop_oneof![Just(ReceiptRefused::Late), Just(ReceiptRefused::Contradiction)])),
        (again_ms, verdicts, cursor, leases, no_more) in (any::<u32>(), list(verdict()), any::<u64>(), of(leases()), of(claim_refused())),
    ) -> Ack {
        Ack { experiment, node, held: List::first(held), refused, again_ms, verdicts, cursor, leases, no_more }
    }
}

prop_compose! {
    pub(crate) fn claim()(
        (experiment, capacity, free, holding) in (cid(), any::<u32>(), any::<u32>(), list(any::<u64>())),
        (profiles, isolation, labels, policy) in (list(name()), isolation(), labels(), hash()),
    ) -> Claim {
        Claim { experiment, capacity, free, holding, profiles, isolation, labels, policy }
    }
}

prop_compose! {
    fn delivery()(receipt in signed(receipt()), output in of(bytes()), transcript in of(bytes()), log in of(bytes())) -> Delivery {
        Delivery { receipt, output, transcript, log }
    }
}

prop_compose! {
    pub(crate) fn deliver()(
        (experiment, receipts, holding) in (cid(), list(delivery()), list(any::<u64>())),
        (free, cursor) in any::<(u32, u64)>(),
        returned in list((any::<u64>(), prop_oneof![Just(ReturnReason::Drain), Just(ReturnReason::FetchFailed)])),
    ) -> Deliver {
        Deliver { experiment, receipts, holding, free, cursor, returned }
    }
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let said = (any::<u64>(), any::<u32>(), "[a-z %é]{0,60}");
    let said = said.prop_map(|(lease, permille, message)| Said { lease, permille, message: Text::cut(&message) });
    let progress = (cid(), list(said));
    let decline = (cid(), prop_oneof![Just(DeclineReason::Capability), Just(DeclineReason::Labels)]);
    prop_oneof![
        (name(), list((cid(), any::<u64>()))).prop_map(|(topic, have)| Request::Calls { topic, have }),
        (name(), list(any::<u64>().prop_map(RecordTag))).prop_map(|(topic, have)| Request::Peers { topic, have }),
        claim().prop_map(Request::Claim),
        progress.prop_map(|(experiment, said)| Request::Progress(Progress { experiment, said })),
        decline.prop_map(|(experiment, reason)| Request::Decline(Decline { experiment, reason })),
        deliver().prop_map(Request::Deliver),
        cid().prop_map(|experiment| Request::Status { experiment }),
    ]
}

pub(crate) fn peer_record() -> impl Strategy<Value = PeerRecord> {
    (node(), name(), time())
        .prop_flat_map(|(node, topic, made)| list(address(node)).prop_map(move |at| PeerRecord { node, topic: topic.clone(), at, made }))
}

prop_compose! {
    fn status()(experiment in cid(), counts in any::<[u64; 5]>(), claimants in any::<u32>(), log in of(cid())) -> Status {
        let [jobs, settled, held, outstanding, pages] = counts;
        Status { experiment, jobs, settled, held, outstanding, claimants, pages, log }
    }
}

pub(crate) fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        list(signed(call())).prop_map(|calls| Response::Calls { calls }),
        (list(signed(peer_record())), any::<u64>()).prop_map(|(records, time)| Response::Peers { records, time: Time(time) }),
        signed(leases()).prop_map(Response::Leases),
        any::<u32>().prop_map(|ms| Response::Wait { ms }),
        signed(refusal()).prop_map(Response::Refused),
        signed(ack()).prop_map(|ack| Response::Acked(Box::new(ack))),
        status().prop_map(Response::Status),
        Just(Response::Noted),
        Just(Response::Unserved),
    ]
}

fn cluster() -> impl Strategy<Value = Cluster> {
    prop_oneof![any::<[u8; 3]>().prop_map(Cluster::V4), any::<[u8; 6]>().prop_map(Cluster::V6), Just(Cluster::Private), node().prop_map(Cluster::Own),]
}

prop_compose! {
    fn held_receipt()(
        (receipt, cluster, labels) in (signed(receipt()), cluster(), labels()), (dealt, came) in (any::<u64>(), any::<u64>()),
        output in of(bytes()), transcript in of(bytes()),
    ) -> HeldReceipt {
        HeldReceipt { receipt, cluster, dealt: Time(dealt), came: Time(came), labels, output, transcript }
    }
}

pub(crate) fn page() -> impl Strategy<Value = Page> {
    let lost = vec((any::<u64>(), node(), prop_oneof![Just(Lost::Expired), Just(Lost::Returned), Just(Lost::MadeWay)]), 0..3);
    let settled = (verdict(), bytes(), vec(held_receipt(), 0..3), lost);
    let settled = settled.prop_map(|(verdict, input, receipts, lost)| SettledJob { verdict, input, receipts, lost });
    let entry = prop_oneof![settled.prop_map(|job| Entry::Settled(Box::new(job))), held_receipt().prop_map(|receipt| Entry::Late(Box::new(receipt)))];
    (cid(), any::<u64>(), vec(entry, 0..3)).prop_map(|(experiment, number, entries)| Page { experiment, number, entries })
}

prop_compose! {
    pub(crate) fn root()(
        experiment in signed(experiment()), pages in list(cid()), secret in hash(), rules in any::<u32>(), (settled, expired) in any::<(u64, u64)>(),
    ) -> Root {
        Root { experiment, pages, secret, rules, settled, expired }
    }
}

/// Some input of a job: text under text.
pub(crate) fn input() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(word(0..=5), word(0..=12), 0..4)
}
