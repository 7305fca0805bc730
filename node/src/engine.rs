//! The seam to the sandbox: [`Engine`] opens a [`Session`], a session runs one job at a time, step by step.
//!
//! `platform::engine` puts worker processes behind it; the simulator puts a cost model behind it. Deliberately lacks host calls:
//! `hostcalls` answers them between steps.

use std::sync::Arc;

use cid::Cid;
use futures::future::BoxFuture;
use station_protocol::identity::NodeId;
use station_protocol::receipt::Outcome;
pub use station_sandbox::{Done, HostCall, Load, Own, Purse, Reply, Step};

/// The sandbox, not the guest, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The module does not pass the static checks or does not compile; every station of this profile says so.
    #[error("the module is not one this engine profile runs: {0}")]
    BadModule(String),
    /// Compiling the module takes more than a station gives; where that is differs between machines.
    #[error("compiling the module ended with {0:?}")]
    TooCostly(Outcome),
    #[error("the sandbox failed: {0}")]
    Failed(String),
    /// The module has to be compiled and cannot be now: too many wait, or nobody pays for it. It goes another time.
    #[error("the module is not compiled now: {0}")]
    NotNow(String),
    /// This job needs more stack or memory beside its own than the sandbox sets aside: a mistake of ours, and only for this job.
    #[error("the job outgrew the sandbox: {0}")]
    Outgrown(String),
}

/// For whom a module is compiled, and who pays for that.
#[derive(Clone, Debug)]
pub struct Asker {
    pub requester: NodeId,
    pub purse: Arc<dyn Purse>,
}

/// Compiles modules and opens sessions for them.
pub trait Engine: Send + Sync + 'static {
    /// Compiles `module` unless a cached artefact of exactly this engine exists, so that sessions open at once. Dropping the future ends the
    /// compile, unless others wait for it. An engine that compiles nothing is always prepared.
    fn prepare(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<(), EngineError>> {
        let _ = (asker, cid, module);
        Box::pin(std::future::ready(Ok(())))
    }

    /// A session for one experiment. Compiles as [`Engine::prepare`] does where that is still to be done.
    fn open(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>>;
}

/// One sandboxed process (or its model) serving the jobs of one experiment one after the other. Dropping it kills the process.
pub trait Session: Send {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>>;
    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Result<Step, EngineError>>;
    /// The process that serves the session now, and its processor time so far in milliseconds, as the system counts it; nothing where it
    /// does not tell.
    fn cpu(&self) -> Option<(u32, u64)> {
        None
    }
}
