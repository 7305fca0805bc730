//! [`Offline`]: experiments in a home whose station does not run: results and Logs outlive the process that collected them.
//!
//! Guarantees: performs nothing that the restored machine asks for; changes nothing in the home, but that records which a crash left are mended;
//! needs no network file. Deliberately lacks writing.

use std::sync::Arc;

use cid::Cid;
use station_protocol::bounded::Name;
use station_protocol::durable::Key;
use station_protocol::requester::{self, Requester, View};
use station_protocol::{ExperimentId, SigningKey};

use super::damage;
use super::home::{Home, HomeError};
use super::store::Kept;
use crate::api::explain::{self, Facts};
use crate::api::types::{ExperimentBody, VerificationBody};
use crate::clock;
use crate::results::Results;
use crate::station::{Around, HandleError, results, verified};
use crate::store::{Store, StoreError, Table};

/// Why experiments are not read.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Damaged(String),
    #[error(transparent)]
    Read(Box<HandleError>),
    #[error("{0:?} is not an experiment's id")]
    NotAnId(String),
}

impl From<HandleError> for OfflineError {
    fn from(error: HandleError) -> Self {
        Self::Read(Box::new(error))
    }
}

/// What the store in a home has of its requester's experiments.
pub struct Offline {
    store: Arc<dyn Store>,
    requester: Requester,
    /// What an open experiment waits for.
    advice: String,
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offline").finish_non_exhaustive()
    }
}

impl Offline {
    /// Of the station in `home`, which must not run.
    pub async fn open(home: &Home) -> Result<Self, OfflineError> {
        let key = SigningKey::from_bytes(&home.key()?);
        let damaged = |error: StoreError| damage::of_store(home, &error).map_or(OfflineError::Store(error), OfflineError::Damaged);
        let store: Arc<dyn Store> = Arc::new(Kept::open(&home.path("store")).map_err(damaged)?);
        let records = store.load(Table::Requester).await.map_err(damaged)?;
        let restore = |network: Name, records: Vec<(Key, Vec<u8>)>| {
            let restored = Requester::restore(requester::Config { network }, key.clone(), [0; 32], records.into_iter(), clock::machine());
            restored.map_err(|error| OfflineError::Damaged(damage::of(home, &error.to_string())))
        };
        let requester = match home.network() {
            Ok(network) => restore(network.name, records)?,
            // The experiments name it.
            Err(_) => {
                let unnamed = restore(Name::new("unnamed").expect("a name"), records.clone())?;
                let view = unnamed.experiments().next().and_then(|id| unnamed.view(&id));
                view.map_or(Ok(unnamed), |view| restore(view.call.body.experiment.body.network.clone(), records))?
            }
        };
        let advice = format!("no station runs from this home: go on with `{}`, or with `{}`", home.call("publish --resume"), home.call("run"));
        Ok(Self { store, requester, advice })
    }

    /// Its experiments, the newest first.
    #[must_use]
    pub fn experiments(&self) -> Vec<ExperimentBody> {
        let mut bodies: Vec<_> = self.requester.experiments().filter_map(|id| Some(self.body(&self.requester.view(&id)?))).collect();
        bodies.sort_by(|a, b| (b.published, &b.experiment).cmp(&(a.published, &a.experiment)));
        bodies
    }

    fn body(&self, view: &View) -> ExperimentBody {
        let topics = [view.call.body.experiment.body.topic.clone()];
        let body = explain::experiment(&Facts { view, around: Around::default(), topics: &topics });
        let advice = if body.closed { Vec::new() } else { vec![self.advice.clone()] };
        ExperimentBody { advice, outstanding: 0, ..body }
    }

    pub async fn results(&self, id: &str) -> Result<Results, OfflineError> {
        let (_, view) = self.view(id)?;
        Ok(results(&*self.store, &view).await?)
    }

    /// Checks everything that the Log of a closed experiment proves.
    pub async fn verify(&self, id: &str) -> Result<VerificationBody, OfflineError> {
        let (id, view) = self.view(id)?;
        Ok(explain::verification(id.to_string(), &verified(&*self.store, &view).await?))
    }

    fn view(&self, id: &str) -> Result<(ExperimentId, View), OfflineError> {
        let id: Cid = id.parse().map_err(|_| OfflineError::NotAnId(id.to_owned()))?;
        Ok((id, self.requester.view(&id).ok_or(HandleError::Unknown(id))?))
    }
}
