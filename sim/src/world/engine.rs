//! [`CostEngine`]: an engine that knows what a job costs instead of running it.
//!
//! Guarantees: output and fuel depend on module and input alone, so that honest stations agree byte for byte; the job takes fuel ÷
//! speed of virtual time. Deliberately lacks host calls and limits but fuel: a real engine in a small run shows those.

use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use station_node::engine::{Done, Engine, EngineError, Load, Reply, Session, Step};
use station_protocol::Content;
use station_protocol::codec;
use station_protocol::content::sha256;
use station_protocol::limits::Limits;
use station_protocol::receipt::Outcome;
use station_protocol::work::INPUT_BYTES_MAX;

/// Starting a process and giving it a compiled module.
const OPEN: Duration = Duration::from_millis(5);
/// How a job exits that cannot read its input.
const BAD_INPUT: u32 = 2;

/// What a modelled job is given: it says itself what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub fuel: u64,
    /// So that no two jobs are the same.
    pub number: u64,
}

/// One station's processor.
#[derive(Clone, Copy, Debug)]
pub struct CostEngine {
    pub fuel_per_ms: u64,
}

impl Engine for CostEngine {
    fn open(&self, cid: Cid, _: Arc<[u8]>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        let session = CostSession { cid, engine: *self };
        async move {
            tokio::time::sleep(OPEN).await;
            Ok(Box::new(session) as Box<dyn Session>)
        }
        .boxed()
    }
}

struct CostSession {
    cid: Cid,
    engine: CostEngine,
}

impl Session for CostSession {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        let done = done(&self.cid, &load);
        let burning = Duration::from_millis(done.fuel.div_ceil(self.engine.fuel_per_ms));
        let limit = Duration::from_millis(load.wall_ms);
        async move {
            tokio::time::sleep(burning.min(limit)).await;
            if burning > limit {
                return Ok(Step::Done(Done { outcome: Outcome::TimedOut, output: Vec::new(), ..done }));
            }
            Ok(Step::Done(done))
        }
        .boxed()
    }

    fn step(&mut self, _: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        async { Err(EngineError::Failed("a modelled job makes no host calls, so there is nothing to answer".into())) }.boxed()
    }
}

/// How the job ends: its result is a hash of what it was given.
fn done(cid: &Cid, load: &Load) -> Done {
    let end = |outcome, fuel| Done { outcome, output: Vec::new(), log: Vec::new(), fuel };
    let Ok(input) = codec::decode::<Input>(&load.input, INPUT_BYTES_MAX) else { return end(Outcome::Exited(BAD_INPUT), 1) };
    if input.fuel > load.fuel {
        return end(Outcome::OutOfFuel, load.fuel);
    }
    Done { output: output(cid, &load.input), ..end(Outcome::Completed, input.fuel) }
}

fn output(cid: &Cid, input: &[u8]) -> Vec<u8> {
    let result = sha256(&[b"station-sim\0output\0", &cid.to_bytes(), input]);
    codec::encode(&result[..8].to_vec())
}

/// What every honest station says of a job; none where the limits end it, which depends on the station's speed.
#[must_use]
pub fn truth(cid: &Cid, input: &[u8], limits: &Limits) -> Option<Content> {
    let fuel = codec::decode::<Input>(input, INPUT_BYTES_MAX).ok()?.fuel;
    (fuel <= limits.fuel).then(|| Content::raw(&output(cid, input)))
}
