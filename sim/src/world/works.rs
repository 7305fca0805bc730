//! Experiments as the world's requesters publish them.
//!
//! Guarantees: what honest stations say of each job is known beforehand. Deliberately lacks times: the plan has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipld_core::ipld::Ipld;
use station_node::library::BUNDLED;
use station_node::station::Handle;
use station_protocol::Content;
use station_protocol::bounded::{Name, Text};
use station_protocol::capability::Needs;
use station_protocol::experiment::{Class, Labels};
use station_protocol::jobs::Jobs;
use station_protocol::limits::Limits;
use station_protocol::requester::Draft;

use super::ledger::Ledger;
use super::plan::Work;
use super::{TOPIC, engine, name};
use crate::net::fabric::NodeIndex;

/// Publishes `draft` with the station `number`, and tells the ledger.
pub(super) async fn publish(handle: Handle, draft: Draft, ledger: Arc<Ledger>, number: NodeIndex, now_ms: u64) {
    let truth = |index| engine::truth(&draft.module.cid, &draft.jobs.input(index)?, &draft.limits);
    let truths = (0..draft.jobs.count()).map(truth).collect();
    match handle.publish(draft).await {
        Ok(experiment) => ledger.published(number, now_ms, experiment, truths),
        Err(error) => ledger.failed(number, &format!("publishing: {error}")),
    }
}

/// The experiment of `work` whose first job has the number `first`. Its module is bundled: every station has it.
pub(super) fn draft(work: &Work, first: u64) -> Draft {
    let module = BUNDLED.iter().find(|module| module.name == "noop").expect("noop is bundled");
    let file = station_car::unixfs::build(module.bytes);
    let input =
        |number: u64| Ipld::Map(BTreeMap::from([("fuel".into(), Ipld::Integer(work.fuel.into())), ("number".into(), Ipld::Integer(number.into()))]));
    Draft {
        name: Text::cut("sim"),
        topic: name(TOPIC),
        module: Content { cid: file.root, bytes: module.bytes.len() as u64 },
        profile: Name::new(station_sandbox::PROFILE).expect("the profile's name is a name"),
        needs: Needs::default(),
        limits: Limits { fuel: work.fuel.max(Limits::default().fuel), wall_ms: work.wall_ms, ..Limits::default() },
        class: Class::Pure(work.trust),
        labels: Labels::default(),
        contact: Text::cut("mailto:sim@example.org"),
        deadline_ms: work.deadline_ms,
        jobs: Jobs::explicit((first..first + u64::from(work.jobs)).map(input).collect()).expect("small maps are jobs"),
        target: None,
        previous: None,
        at_once: None,
    }
}
