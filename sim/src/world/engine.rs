//! [`CostEngine`]: an engine that knows what a job costs instead of running it.
//!
//! Guarantees: output and fuel of a pure job depend on module and input alone, so that honest stations agree byte for byte; the job
//! takes fuel ÷ speed of virtual time, and its module is compiled before, once ([`compiler`]). A job of the module `gateway-check` makes
//! that module's host calls ([`gateway`]). Deliberately lacks limits but fuel and wall clock.

use std::sync::OnceLock;
use std::time::Duration;

use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use ipld_core::ipld::Ipld;
use serde::{Deserialize, Serialize};
use station_node::engine::{Asker, Done, Engine, EngineError, Load, Reply, Session, Step};
use station_node::library::BUNDLED;
use station_protocol::Content;
use station_protocol::codec;
use station_protocol::content::sha256;
use station_protocol::limits::Limits;
use station_protocol::receipt::Outcome;
use station_protocol::work::INPUT_BYTES_MAX;

pub mod compiler;
pub mod gateway;
pub mod serve;
pub mod stepped;

use compiler::Compiler;
use gateway::GatewayCheck;

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
    /// Bytes of its output, encoded: at least [`OUTPUT_BYTES_MIN`].
    pub output: u64,
}

/// A hash that tells two jobs apart, as a byte string.
pub const OUTPUT_BYTES_MIN: u64 = 9;

/// The bundled module that a modelled measurement is of.
pub const MEASURING: &str = "gateway-check";

/// The CID of the bundled module `name`.
///
/// # Panics
/// When no module of this name is bundled.
#[must_use]
pub fn bundled(name: &str) -> Content {
    let module = BUNDLED.iter().find(|module| module.name == name).expect("the module is bundled");
    Content { cid: station_car::unixfs::build(module.bytes).root, bytes: module.bytes.len() as u64 }
}

fn is_measuring(cid: &Cid) -> bool {
    static CID: OnceLock<Cid> = OnceLock::new();
    CID.get_or_init(|| bundled(MEASURING).cid) == cid
}

/// Fuel that the reference machine burns in a millisecond.
pub const FUEL_PER_MS: u64 = 1_000_000;

/// One station's processor.
#[derive(Clone, Debug)]
pub struct CostEngine {
    fuel_per_ms: u64,
    compiler: Compiler,
}

impl CostEngine {
    /// One that burns so much, and compiles as much faster or slower than the reference machine.
    #[must_use]
    pub fn new(fuel_per_ms: u64) -> Self {
        Self { fuel_per_ms, compiler: Compiler::default() }
    }
}

impl Engine for CostEngine {
    fn prepare(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<(), EngineError>> {
        let ms = (compiler::takes_ms(&module).saturating_mul(FUEL_PER_MS)).div_ceil(self.fuel_per_ms);
        async move { self.compiler.compile(asker, cid, module.len(), ms).await }.boxed()
    }

    fn open(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        let session = CostSession { cid, fuel_per_ms: self.fuel_per_ms, check: None };
        async move {
            self.prepare(asker, cid, module).await?;
            tokio::time::sleep(OPEN).await;
            Ok(Box::new(session) as Box<dyn Session>)
        }
        .boxed()
    }
}

struct CostSession {
    cid: Cid,
    fuel_per_ms: u64,
    /// The measurement that runs.
    check: Option<GatewayCheck>,
}

impl Session for CostSession {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        if is_measuring(&self.cid) {
            let (check, step) = GatewayCheck::begin(&load.input);
            self.check = check;
            let burning = Duration::from_millis(gateway::FUEL.div_ceil(self.fuel_per_ms));
            return async move {
                tokio::time::sleep(burning).await;
                Ok(step)
            }
            .boxed();
        }
        let done = done(&self.cid, &load);
        let burning = Duration::from_millis(done.fuel.div_ceil(self.fuel_per_ms));
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

    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        let step = match &mut self.check {
            Some(check) => Ok(check.answered(reply)),
            None => Err(EngineError::Failed("a modelled pure job makes no host calls, so there is nothing to answer".into())),
        };
        std::future::ready(step).boxed()
    }
}

/// How the job ends: its result is a hash of what it was given.
fn done(cid: &Cid, load: &Load) -> Done {
    let end = |outcome, fuel| Done { outcome, output: Vec::new(), log: Vec::new(), fuel };
    let Ok(input) = codec::decode::<Input>(&load.input, INPUT_BYTES_MAX) else { return end(Outcome::Exited(BAD_INPUT), 1) };
    if input.fuel > load.fuel {
        return end(Outcome::OutOfFuel, load.fuel);
    }
    if input.output > load.output_bytes {
        return end(Outcome::OutputTooLarge, input.fuel);
    }
    Done { output: output(cid, &load.input, input.output), ..end(Outcome::Completed, input.fuel) }
}

/// `bytes` bytes: a hash of everything, and no more luck than that.
fn output(cid: &Cid, input: &[u8], bytes: u64) -> Vec<u8> {
    let result = sha256(&[b"station-sim\0output\0", &cid.to_bytes(), input]);
    let bytes = usize::try_from(bytes.max(OUTPUT_BYTES_MIN)).unwrap_or(usize::MAX);
    let head = match bytes {
        ..=24 => 1,
        25..=257 => 2,
        258..=65_538 => 3,
        _ => 5,
    };
    codec::encode(&Ipld::Bytes(result.iter().copied().cycle().take(bytes - head).collect()))
}

/// What every honest station says of a job; none where the limits end it, which depends on the station's speed.
#[must_use]
pub fn truth(cid: &Cid, input: &[u8], limits: &Limits) -> Option<Content> {
    let Input { fuel, output: bytes, .. } = codec::decode::<Input>(input, INPUT_BYTES_MAX).ok()?;
    (fuel <= limits.fuel && bytes <= limits.output_bytes).then(|| Content::raw(&output(cid, input, bytes)))
}
