//! [`Tasks`]: the one place from which library code spawns, so that dropping a station ends everything it started.
//!
//! libp2p gets it as its executor. Deliberately lacks names and priorities; the simulator wraps it to tag each poll with its node.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

/// A handle to a station's tasks. The tasks end when the last handle outside of them is dropped (see [`Tasks::close`]).
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
}

impl Tasks {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` until it ends or the station does. Must be called within a tokio runtime.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(task);
    }

    /// Ends all tasks. The station calls it when it stops: its tasks may hold handles themselves.
    pub fn close(&self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl libp2p::swarm::Executor for Tasks {
    fn exec(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.spawn(task);
    }
}
