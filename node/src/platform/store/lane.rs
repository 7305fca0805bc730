//! [`Lane`]: a thread that reads files, in order, so that reading does not stand in the way of transactions.
//!
//! Guarantees: at most [`WAITING_MAX`] questions wait in a lane; whoever asks above that waits to ask. Deliberately lacks priorities:
//! strangers have a lane of their own.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

use super::files::Files;
use super::gone;
use crate::store::StoreError;

/// Questions that wait in one lane: two for each of the 32 places that strangers have.
const WAITING_MAX: usize = 64;

type Question = Box<dyn FnOnce(&Files) + Send>;

#[derive(Debug)]
pub(super) struct Lane {
    path: String,
    failed: Arc<OnceLock<StoreError>>,
    places: Arc<Semaphore>,
    /// `None` only while being dropped.
    questions: Option<Arc<mpsc::Sender<Question>>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    pub(super) fn begin(name: &str, path: String, files: Arc<Files>, failed: Arc<OnceLock<StoreError>>) -> io::Result<Self> {
        let (sender, questions) = mpsc::channel::<Question>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(question) = questions.recv() {
                question(&files);
            }
        })?;
        Ok(Self { path, failed, places: Arc::new(Semaphore::new(WAITING_MAX)), questions: Some(Arc::new(sender)), thread: Some(thread) })
    }

    pub(super) fn ask<T: Send + 'static>(&self, act: impl FnOnce(&Files) -> T + Send + 'static) -> BoxFuture<'static, Result<T, StoreError>> {
        let (failed, places, path) = (self.failed.clone(), self.places.clone(), self.path.clone());
        // A question that is never asked must not keep the thread from its end.
        let questions = self.questions.as_ref().map(Arc::downgrade);
        async move {
            if let Some(error) = failed.get() {
                return Err(error.clone());
            }
            let _place = places.acquire().await.map_err(|_| gone(&path))?;
            let (reply, answer) = oneshot::channel();
            if let Some(questions) = questions.and_then(|questions| questions.upgrade()) {
                // A thread that is gone drops the reply, which the answer tells.
                let _ = questions.send(Box::new(move |files| drop(reply.send(act(files)))));
            }
            answer.await.map_err(|_| gone(&path))
        }
        .boxed()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.questions.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was told to everyone who waited.
            let _ = thread.join();
        }
    }
}
