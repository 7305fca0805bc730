//! [`Tasks`]: the one place from which library code spawns, so that dropping a station ends everything it started.
//!
//! libp2p gets it as its executor. Deliberately lacks names and priorities; the simulator wraps each task ([`Tasks::wrapping`]) to
//! tag its polls with their node.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

/// A task on its way to the runtime.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Wrap = dyn Fn(Task) -> Task + Send + Sync;

/// A handle to a station's tasks. The tasks end when the last handle outside of them is dropped (see [`Tasks::close`]).
#[derive(Clone, Default)]
pub struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
    wrap: Option<Arc<Wrap>>,
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").field("set", &self.set).finish_non_exhaustive()
    }
}

impl Tasks {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tasks that each go through `wrap` before they are spawned.
    #[must_use]
    pub fn wrapping(wrap: impl Fn(Task) -> Task + Send + Sync + 'static) -> Self {
        Self { set: Arc::default(), wrap: Some(Arc::new(wrap)) }
    }

    /// Runs `task` until it ends or the station does. Must be called within a tokio runtime.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        match &self.wrap {
            Some(wrap) => set.spawn(wrap(Box::pin(task))),
            None => set.spawn(task),
        };
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn each_task_goes_through_the_wrapper_and_ends_with_the_set() {
        let wrapped = Arc::new(AtomicUsize::new(0));
        let count = wrapped.clone();
        let tasks = Tasks::wrapping(move |task| {
            count.fetch_add(1, Ordering::Relaxed);
            task
        });
        let (done, answer) = oneshot::channel();
        tasks.spawn(async move { done.send(7).expect("it is waited for") });
        assert_eq!(answer.await, Ok(7));
        let (never, answer) = oneshot::channel::<()>();
        tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(never);
        });
        tasks.close();
        assert!(answer.await.is_err(), "the task was dropped");
        assert_eq!(wrapped.load(Ordering::Relaxed), 2);
    }
}
