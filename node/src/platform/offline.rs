//! Reads experiments from a home whose station does not run: results outlive the process that collected them.
//!
//! Guarantees: performs nothing that the restored machine asks for. Deliberately lacks writing.

use std::sync::Arc;

use cid::Cid;
use station_protocol::SigningKey;
use station_protocol::requester::{self, Requester};

use super::home::{Home, HomeError};
use super::store::{Bounds, RedbStore};
use crate::clock;
use crate::results::Results;
use crate::station::{HandleError, logs, settled};
use crate::store::{Store, StoreError, Table};

/// Why results are not read.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Restore(#[from] station_protocol::durable::RestoreError),
    #[error(transparent)]
    Read(#[from] HandleError),
    #[error("{0:?} is not an experiment's id")]
    NotAnId(String),
}

/// The results of experiment `id`, from the store in `home`.
pub async fn results(home: &Home, id: &str) -> Result<Results, OfflineError> {
    let id: Cid = id.parse().map_err(|_| OfflineError::NotAnId(id.to_owned()))?;
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(&home.private_folder("store")?, Bounds::of(home.config()?.disk.0)).await?);
    let config = requester::Config { network: home.network()?.name };
    let records = store.load(Table::Requester).await?;
    let requester = Requester::restore(config, SigningKey::from_bytes(&home.key()?), [0; 32], records.into_iter(), clock::machine())?;
    let view = requester.view(&id).ok_or(HandleError::Unknown(id))?;
    let settled = settled(&*store, &view).await?;
    Ok(Results::of(&view, &settled, &logs(&*store, &view).await?))
}
