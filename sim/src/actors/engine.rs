//! Workers that do not do what they sign: an [`Engine`] around an honest one.
//!
//! Guarantees: whether a job is cheated on depends on the liar's seed and the job's input alone; colluders of one group say the same
//! lie without talking to each other. Deliberately lacks forged receipts: the node signs whatever its engine says, as a real liar's
//! would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use ipld_core::ipld::Ipld;
use station_node::engine::{Asker, Done, Engine, EngineError, Load, Reply, Session, Step};
use station_protocol::codec;
use station_protocol::content::sha256;
use station_protocol::receipt::Outcome;

use crate::scenario::units::Share;

#[cfg(test)]
mod tests;

/// Results remembered for those who copy: more than any scenario has jobs at a time.
const BOARD_MAX: usize = 65_536;
/// Nested lists and maps of an output that are falsified; deeper ones are left alone.
const DEPTH_MAX: usize = 16;
/// What a lazy worker says it used.
const LAZY_FUEL: u64 = 1;

/// How a worker cheats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Runs the job and says something else: a lie of its own.
    WrongResult,
    /// Runs the job and says the lie of its group.
    Collude { group: String },
    /// Says that it ran, with an empty output.
    Lazy,
    /// Says what another station of its operator found, without running.
    Copy(Board),
    /// Takes the lease and never says anything.
    Withhold,
    /// Says the truth this much later.
    Late(Duration),
}

/// What stations of one operator tell each other. Cheap to clone; clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    done: Arc<Mutex<Posted>>,
}

/// By module and the hash of the input.
type Posted = BTreeMap<(Cid, [u8; 32]), Done>;

impl PartialEq for Board {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.done, &other.done)
    }
}

impl Eq for Board {}

impl Board {
    fn read(&self, job: &(Cid, [u8; 32])) -> Option<Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).get(job).cloned()
    }

    fn post(&self, job: (Cid, [u8; 32]), done: &Done) {
        let mut board = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if board.len() < BOARD_MAX {
            board.insert(job, done.clone());
        }
    }
}

/// The engine of a worker that cheats on a share of its jobs.
pub struct Dishonest {
    honest: Arc<dyn Engine>,
    cheat: Cheat,
}

#[derive(Clone, Debug)]
struct Cheat {
    conduct: Conduct,
    rate: Share,
    seed: [u8; 32],
}

impl std::fmt::Debug for Dishonest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dishonest").field("cheat", &self.cheat).finish_non_exhaustive()
    }
}

impl Dishonest {
    /// Cheats with `conduct` on `rate` of its jobs, which `seed` draws.
    #[must_use]
    pub fn new(honest: Arc<dyn Engine>, conduct: Conduct, rate: Share, seed: [u8; 32]) -> Self {
        Self { honest, cheat: Cheat { conduct, rate, seed } }
    }
}

impl Engine for Dishonest {
    fn prepare(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<(), EngineError>> {
        self.honest.prepare(asker, cid, module)
    }

    fn open(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        async move {
            let inner = self.honest.open(asker, cid, module).await?;
            Ok(Box::new(DishonestSession { inner, module: cid, cheat: self.cheat.clone(), lie: None }) as Box<dyn Session>)
        }
        .boxed()
    }
}

struct DishonestSession {
    inner: Box<dyn Session>,
    module: Cid,
    cheat: Cheat,
    /// The job being cheated on: its input's hash.
    lie: Option<[u8; 32]>,
}

impl Session for DishonestSession {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        let input = sha256(&[&load.input]);
        self.lie = self.cheat.is_drawn(&input).then_some(input);
        async move {
            if self.lie.is_some() {
                match &self.cheat.conduct {
                    Conduct::Lazy => return Ok(Step::Done(completed(codec::encode(&Ipld::Map(BTreeMap::new())), LAZY_FUEL))),
                    Conduct::Withhold => return futures::future::pending().await,
                    Conduct::Copy(board) => {
                        if let Some(done) = board.read(&(self.module, input)) {
                            return Ok(Step::Done(done));
                        }
                    }
                    Conduct::WrongResult | Conduct::Collude { .. } | Conduct::Late(_) => {}
                }
            }
            let step = self.inner.start(load).await?;
            Ok(twist(self.cheat.clone(), self.module, self.lie, step).await)
        }
        .boxed()
    }

    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        async move {
            let step = self.inner.step(reply).await?;
            Ok(twist(self.cheat.clone(), self.module, self.lie, step).await)
        }
        .boxed()
    }
}

/// What is said in place of what was found.
async fn twist(cheat: Cheat, module: Cid, lie: Option<[u8; 32]>, step: Step) -> Step {
    let (Step::Done(mut done), Some(input)) = (step.clone(), lie) else { return step };
    match &cheat.conduct {
        Conduct::WrongResult => done.output = falsified(&done.output, &cheat.seed),
        Conduct::Collude { group } => done.output = falsified(&done.output, &sha256(&[group.as_bytes()])),
        Conduct::Late(by) => tokio::time::sleep(*by).await,
        Conduct::Copy(board) => board.post((module, input), &done),
        Conduct::Lazy | Conduct::Withhold => {}
    }
    Step::Done(done)
}

impl Cheat {
    fn is_drawn(&self, input: &[u8; 32]) -> bool {
        let drawn = sha256(&[b"station-sim/cheat", &self.seed, input]);
        let number = u32::from_be_bytes([drawn[0], drawn[1], drawn[2], drawn[3]]);
        u64::from(number) * 1_000_000 / (1 << 32) < u64::from(self.rate.get())
    }
}

fn completed(output: Vec<u8>, fuel: u64) -> Done {
    Done { outcome: Outcome::Completed, output, log: Vec::new(), fuel }
}

/// A lie in the shape of the truth: the same fields with other values, so that a measurement still finds its `exact` fields.
fn falsified(output: &[u8], tag: &[u8; 32]) -> Vec<u8> {
    match codec::decode::<Ipld>(output, output.len()) {
        Ok(value) => codec::encode(&other(value, tag, 0)),
        Err(_) => sha256(&[tag, output]).to_vec(),
    }
}

fn other(value: Ipld, tag: &[u8; 32], depth: usize) -> Ipld {
    let word = || tag[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match value {
        Ipld::Map(map) if depth < DEPTH_MAX && !map.is_empty() => {
            Ipld::Map(map.into_iter().map(|(key, value)| (key, other(value, tag, depth + 1))).collect())
        }
        Ipld::List(list) if depth < DEPTH_MAX && !list.is_empty() => Ipld::List(list.into_iter().map(|value| other(value, tag, depth + 1)).collect()),
        Ipld::Integer(number) => Ipld::Integer(number ^ i128::from(tag[0] | 1)),
        Ipld::Bool(value) => Ipld::Bool(!value),
        Ipld::Bytes(bytes) => Ipld::Bytes(sha256(&[tag, &bytes]).to_vec()),
        Ipld::String(_) | Ipld::Null | Ipld::Float(_) | Ipld::Link(_) | Ipld::Map(_) | Ipld::List(_) => Ipld::String(format!("lie {}", word())),
    }
}
