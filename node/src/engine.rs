//! The seam to the sandbox: [`Engine`] opens a [`Session`], a session runs one job at a time, step by step.
//!
//! `platform::engine` puts worker processes behind it; the simulator puts a cost model behind it. Deliberately lacks host calls:
//! `hostcalls` answers them between steps.

use std::sync::Arc;

use cid::Cid;
use futures::future::BoxFuture;
use station_protocol::identity::NodeId;
use station_protocol::receipt::Outcome;
pub use station_sandbox::{Done, HostCall, Load, Reply, Step};

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
    /// This job needs more stack or memory beside its own than the sandbox sets aside: a mistake of ours, and only for this job.
    #[error("the job outgrew the sandbox: {0}")]
    Outgrown(String),
}

/// Compiles modules and opens sessions for them.
pub trait Engine: Send + Sync + 'static {
    /// A session for one experiment of `requester`: compiles `module` unless a cached artefact of exactly this engine exists. Dropping the
    /// future ends the compile, unless others wait for it.
    fn open(&self, requester: NodeId, cid: Cid, module: Arc<[u8]>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>>;
}

/// One sandboxed process (or its model) serving the jobs of one experiment one after the other. Dropping it kills the process.
pub trait Session: Send {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>>;
    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Result<Step, EngineError>>;
}
