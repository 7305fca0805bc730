//! Experiments as the world's requesters publish them.
//!
//! Guarantees: what honest stations say of each pure job is known beforehand; modules are bundled, so that every station has them, unless an
//! experiment has one of its own.
//! Deliberately lacks times: the plan has them.

use std::collections::BTreeMap;

use cid::Cid;
use ipld_core::ipld::Ipld;
use station_node::station::Handle;
use station_protocol::bounded::{List, Name, Text};
use station_protocol::capability::{Capability, Needs};
use station_protocol::experiment::{Class, Experiment, InputForm, JobsRef, Measurement, OutputForm, Spread};
use station_protocol::identity::Hash32;
use station_protocol::jobs::Jobs;
use station_protocol::limits::Limits;
use station_protocol::requester::Draft;
use station_protocol::{Content, NodeId, Time, codec};

use super::engine::compiler;
use super::plan::{Kind, Target, Work};
use super::resident::Surroundings;
use super::{TOPIC, engine, name};
use crate::net::fabric::NodeIndex;

/// The module of pure work: the world's engine models it.
const PURE: &str = "noop";
/// What that module itself says, whatever it is given: an empty map.
const NOOP_OUTPUT: [u8; 1] = [0xa0];
/// The key of an input that names its target.
const TARGET_KEY: &str = "gateway";

/// Who publishes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publisher {
    pub(super) number: NodeIndex,
    pub(super) node: NodeId,
}

/// Publishes `draft`, whose module may be its own, and tells the ledger.
pub(super) async fn publish(handle: Handle, draft: Draft, module: Option<Vec<u8>>, around: Surroundings, who: Publisher, now_ms: u64) {
    let (ledger, is_modelled) = (around.ledger, around.stepped.is_none());
    let modelled = |index| engine::truth(&draft.module.cid, &draft.jobs.input(index)?, &draft.limits);
    let real = || matches!(draft.class, Class::Pure(_)).then(|| Content::raw(&NOOP_OUTPUT));
    let truth = |index| if is_modelled { modelled(index) } else { real() };
    let truths = (0..draft.jobs.count()).map(truth).collect();
    let (facts, content) = (facts(&draft, who.node), content(&draft));
    if let Some(module) = module
        && let Err(error) = handle.library().keep(&module).await
    {
        return ledger.failed(who.number, &format!("keeping a module: {error}"));
    }
    match handle.publish(draft).await {
        Ok(experiment) => {
            ledger.announced(experiment, facts, content);
            ledger.published(who.number, now_ms, experiment, truths);
        }
        Err(error) => ledger.failed(who.number, &format!("publishing: {error}")),
    }
}

/// What a policy judges of the experiment; what only its requester knows, like the commitment, is left empty.
pub(super) fn facts(draft: &Draft, requester: NodeId) -> Experiment {
    Experiment {
        requester,
        network: name(super::NETWORK),
        topic: draft.topic.clone(),
        name: draft.name.clone(),
        module: draft.module.clone(),
        profile: draft.profile.clone(),
        needs: draft.needs.clone(),
        limits: draft.limits.clone(),
        class: draft.class.clone(),
        jobs: JobsRef { root: draft.jobs.root(), count: draft.jobs.count(), target: draft.target.clone() },
        labels: draft.labels.clone(),
        deadline: Time(0),
        contact: draft.contact.clone(),
        commitment: Hash32([0; 32]),
        input: draft.input,
        output: draft.output,
        previous: None,
    }
}

/// The blocks that are there because of the experiment.
fn content(draft: &Draft) -> Vec<Cid> {
    draft.jobs.blobs().into_iter().map(|(cid, _)| cid).chain([draft.module.cid]).collect()
}

/// The module of the experiment of `work` whose first job has the number `first`, if it is its own.
#[must_use]
pub fn module(work: &Work, first: u64) -> Option<Vec<u8>> {
    if let Kind::Pure { compile_ms: Some(ms), .. } = work.kind { Some(compiler::module(ms, first)) } else { None }
}

/// The experiment of `work` whose first job has the number `first`.
#[must_use]
pub fn draft(work: &Work, first: u64) -> Draft {
    let numbers = first..first + u64::from(work.jobs);
    let (bundled, class, needs, inputs): (_, _, _, Vec<Ipld>) = match &work.kind {
        Kind::Pure { trust, fuel, output_bytes, .. } => {
            (PURE, Class::Pure(*trust), Needs::default(), numbers.map(|number| pure(*fuel, number, *output_bytes)).collect())
        }
        Kind::Measurement { stations, targets } => {
            let inputs = numbers.zip(targets.iter().cycle()).map(|(_, target)| measuring(target)).collect();
            (engine::MEASURING, Class::Measurement(measurement(*stations)), needs(targets), inputs)
        }
    };
    Draft {
        name: Text::cut("sim"),
        topic: name(TOPIC),
        module: module(work, first).map_or_else(|| engine::bundled(bundled), |bytes| content_of(&bytes)),
        profile: Name::new(station_sandbox::PROFILE).expect("the profile's name is a name"),
        target: (bundled == engine::MEASURING).then(|| Text::cut(TARGET_KEY)),
        needs,
        limits: limits(work),
        class,
        labels: work.labels.clone(),
        contact: Text::cut("mailto:sim@example.org"),
        deadline_ms: work.deadline_ms,
        jobs: Jobs::explicit(inputs).expect("small maps are jobs"),
        input: InputForm::DagCbor,
        output: OutputForm::DagCbor,
        previous: None,
        at_once: None,
    }
}

fn content_of(module: &[u8]) -> Content {
    Content { cid: station_car::unixfs::build(module).root, bytes: module.len() as u64 }
}

fn limits(work: &Work) -> Limits {
    let own = Limits { wall_ms: work.wall_ms, ..Limits::default() };
    match &work.kind {
        Kind::Pure { fuel, output_bytes, .. } => Limits { fuel: own.fuel.max(*fuel), output_bytes: own.output_bytes.max(*output_bytes), ..own },
        Kind::Measurement { .. } => own,
    }
}

fn pure(fuel: u64, number: u64, output: u64) -> Ipld {
    let number_of = |value: u64| Ipld::Integer(value.into());
    Ipld::Map(BTreeMap::from([("fuel".into(), number_of(fuel)), ("number".into(), number_of(number)), ("output".into(), number_of(output))]))
}

/// What a lying requester has run: a module that every station has, and an input that costs next to nothing.
pub(super) fn forced() -> (Content, Vec<u8>) {
    (engine::bundled(PURE), codec::encode(&pure(1, 0, engine::OUTPUT_BYTES_MIN)))
}

fn measuring(target: &Target) -> Ipld {
    let text = |text: String| Ipld::String(text);
    Ipld::Map(BTreeMap::from([(TARGET_KEY.into(), text(format!("http://{}", target.host))), ("cid".into(), text(target.cid.to_string()))]))
}

fn measurement(stations: u32) -> Measurement {
    let fields = |names: &[&str]| List::first(names.iter().map(|name| Text::cut(name)));
    Measurement { stations, spread: Spread::Network, exact: fields(&["verdict", "body_sha256"]), report: fields(&["ttfb_ms", "throughput_kbps"]) }
}

/// Nothing but the hosts by name, on the port where they listen.
fn needs(targets: &[Target]) -> Needs {
    let pattern = |target: &Target| format!("{}:80", target.host).parse().expect("a host's name and a port are a pattern");
    Needs::from([(Capability::Http, List::first(targets.iter().map(pattern)))])
}
