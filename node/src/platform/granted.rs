//! Runs one module once and answers its host calls, as far as whoever typed the command granted: `station module run --grant`.
//!
//! Guarantees: the rules of a station hold: what was granted, ports, addresses, the neighbourhood of this machine, `/.well-known/station`, turns,
//! and the bytes that the limits leave. Deliberately lacks what outlives the command: a station's quotas of the day are neither
//! asked nor used, and nothing is written into its ledger.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use station_protocol::bounded::{Name, Text};
use station_protocol::capability::{Capability, Needs};
use station_protocol::content::Content;
use station_protocol::hostcall::FetchError;
use station_protocol::identity::NodeId;
use station_protocol::sampling::TARGET_QUOTA_PER_DAY;
use station_protocol::worker::Execution;
use station_sandbox::{Load, PROFILE, Sandbox};
use tokio::time::Instant;

use super::engine::ProcessEngine;
use super::outside::RealOutside;
use super::trial::{Plan, Trial, TrialError, note_ungranted, said_by};
use crate::api::types::SayingBody;
use crate::clock::Clock;
use crate::engine::{Asker, Engine, EngineError, Own, Reply, Session, Step};
use crate::executor::play;
use crate::hostcalls::{Broker, BrokerConfig, Gate};
use crate::outside::politeness::{Forgetful, Politeness};
use crate::outside::quota::Quotas;
use crate::outside::tls::Tls;
use crate::outside::vicinity::Vicinity;
use crate::results::RequestsRead;
use crate::tasks::Tasks;

/// What a module may contact.
#[derive(Clone, Debug)]
pub struct Granted {
    pub needs: Needs,
    /// Stands in the User-Agent, for whoever runs a target.
    pub contact: Text<128>,
}

/// How the record of requests names one outside of the grant.
const NOT_GRANTED: &str = "not_granted";

/// Nobody's: the requester of a job that no network knows.
const NOBODY: NodeId = NodeId([0; 32]);

/// Runs `module` once, with what is `granted`.
///
/// # Errors
/// When the module is none, or the sandbox failed.
pub async fn run(module: Vec<u8>, plan: Plan, granted: Granted) -> Result<Trial, TrialError> {
    let content = Content { cid: station_car::unixfs::build(&module).root, bytes: module.len() as u64 };
    let job = Execution {
        // No experiment has it: whoever runs a target sees which module asks.
        experiment: content.cid,
        requester: NOBODY,
        contact: granted.contact,
        index: 0,
        module: content,
        profile: Name::new(PROFILE).expect("a profile's name is one"),
        limits: plan.limits.clone(),
        granted: granted.needs,
        pure: false,
        input: plan.stdin,
    };
    let engine = ProcessEngine::new(Sandbox::new(station_sandbox::Config::default()));
    let asker = Asker { requester: NOBODY, purse: Arc::new(Own) };
    let session = engine.open(asker, job.module.cid, module).await.map_err(failed)?;
    let mut session = Heard { session, progress: None };
    let tasks = Tasks::new();
    let mut broker = Broker::new(broker(&tasks), &job);
    let limits = &plan.limits;
    let load = Load {
        input: job.input.clone(),
        fuel: limits.fuel,
        memory_bytes: limits.memory_bytes,
        wall_ms: limits.wall_ms,
        output_bytes: limits.output_bytes,
        pure: None,
    };
    let begun = Instant::now();
    let done = play(&mut session, load, &mut broker).await.map_err(failed)?;
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let requests = RequestsRead::of(&broker.finish());
    let mut ungranted = Vec::new();
    let refused = requests.iter().flat_map(|asked| &asked.records).filter(|record| record.error.as_deref() == Some(NOT_GRANTED));
    refused.for_each(|record| note_ungranted(&mut ungranted, &record.url));
    Ok(Trial { requests, ungranted, progress: session.progress, ..Trial::of(done, plan.form, plan.limits, duration_ms) })
}

/// A session whose guest's progress is heard to the last word: a broker leaves out what comes too often for a person.
struct Heard {
    session: Box<dyn Session>,
    progress: Option<SayingBody>,
}

impl Heard {
    fn hear(progress: &mut Option<SayingBody>, step: &Result<Step, EngineError>) {
        if let Ok(Step::Call(call)) = step {
            *progress = said_by(call).or(progress.take());
        }
    }
}

impl Session for Heard {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        let Self { session, progress } = self;
        Box::pin(async move {
            let step = session.start(load).await;
            Self::hear(progress, &step);
            step
        })
    }

    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        let Self { session, progress } = self;
        Box::pin(async move {
            let step = session.step(reply).await;
            Self::hear(progress, &step);
            step
        })
    }
}

fn broker(tasks: &Tasks) -> BrokerConfig {
    let quotas = Quotas::restore(TARGET_QUOTA_PER_DAY, []);
    BrokerConfig {
        gate: Arc::new(Asked),
        vicinity: Vicinity::new(Arc::new(RealOutside::new(BTreeSet::new()))),
        tls: Tls::default(),
        politeness: Politeness::new(NOBODY, Clock::start(), quotas, Arc::new(Forgetful), tasks.clone()),
    }
}

fn failed(error: EngineError) -> TrialError {
    match error {
        EngineError::BadModule(reason) => TrialError::BadModule(reason),
        error @ EngineError::TooCostly(_) => TrialError::BadModule(error.to_string()),
        error => TrialError::Sandbox(error.to_string()),
    }
}

/// Whoever typed the command: what they granted stands in the job, and its limits bound the bytes.
struct Asked;

impl Gate for Asked {
    fn permits(&self, _: &Execution, _: Capability, _: &str, _: u16) -> bool {
        true
    }

    fn per_day(&self, _: &Execution, _: Capability, _: &str, _: u16) -> Option<u64> {
        None
    }

    fn stations(&self, _: &Execution) -> u64 {
        1
    }

    fn take_bytes(&self, wanted: u64) -> BoxFuture<'_, u64> {
        Box::pin(std::future::ready(wanted))
    }

    fn give_back(&self, _: u64) {}

    fn expect_bytes(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn is_spent(&self) -> bool {
        false
    }

    fn contacted(&self, _: &Execution, _: &str, _: u64, _: Option<FetchError>) {}

    fn moved(&self, _: &Execution, _: u64, _: u64) {}
}

#[cfg(test)]
mod tests;
