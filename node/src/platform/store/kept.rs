//! [`Kept`]: the store of a home whose station does not run, to be read.
//!
//! Guarantees: nothing in the folder is made, changed or deleted, with one exception: records that a crash left are mended first, as every start
//! does. Several may read at once, and none while a station runs. Deliberately lacks the cache and everything that writes.

use std::fmt;
use std::fs::{File, TryLockError};
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};

use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use redb::{DatabaseError, ReadOnlyDatabase};
use station_car::Dag;

use super::tables::{load, owned};
use super::{broken, database, files, unopened};
use station_protocol::durable::Key;

use crate::store::{Batch, Blocks, Gone, Records, Store, StoreError, Table};

pub struct Kept {
    path: String,
    blobs: PathBuf,
    /// Nothing where no station ever ran.
    records: Option<ReadOnlyDatabase>,
    /// Locked; last, so that it is freed after the records are closed.
    _lock: Option<File>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Kept {
    /// Opens what is in the folder `home`, which may not be there.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let path = home.display().to_string();
        let empty = |lock| Self { path: path.clone(), blobs: home.join("blobs"), records: None, _lock: lock };
        let lock = match File::open(home.join("lock")) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty(None)),
            Err(error) => return Err(broken(&path, &error)),
        };
        match lock.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path }),
            Err(TryLockError::Error(error)) => return Err(broken(&path, &error)),
        }
        let file = home.join("records.redb");
        if !file.exists() {
            return Ok(empty(Some(lock)));
        }
        let records = records(&file).map_err(|error| unopened(&path, &error.into()))?;
        Ok(Self { records: Some(records), ..empty(Some(lock)) })
    }

    /// What `look` finds, or `nothing` where no transaction ever was.
    fn read<T>(&self, nothing: T, look: impl FnOnce(&ReadOnlyDatabase) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let Some(records) = &self.records else { return Ok(nothing) };
        match look(records) {
            Err(redb::Error::TableDoesNotExist(_)) => Ok(nothing),
            found => found.map_err(|error| unopened(&self.path, &error)),
        }
    }
}

fn records(file: &Path) -> Result<ReadOnlyDatabase, DatabaseError> {
    match database().open_read_only(file) {
        Err(DatabaseError::RepairAborted) => {
            drop(database().open(file)?);
            database().open_read_only(file)
        }
        opened => opened,
    }
}

/// What is small and near is read at once: there is no station that waits.
impl Store for Kept {
    fn commit(&self, _: Batch) -> BoxFuture<'static, Result<Gone, StoreError>> {
        let reason = "it is open for reading alone".to_owned();
        ready(Err(StoreError::Failed { path: self.path.clone(), reason })).boxed()
    }

    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>> {
        ready(self.read(Records::new(), |records| load(records, table))).boxed()
    }

    fn owned(&self, table: Table, by: fn(&Key) -> bool) -> BoxFuture<'static, Result<Vec<Cid>, StoreError>> {
        ready(self.read(Vec::new(), |records| owned(records, table, by))).boxed()
    }

    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        ready(Ok(files::read(&self.blobs, &cid))).boxed()
    }

    fn is_damaged(&self, cid: Cid) -> BoxFuture<'static, Result<bool, StoreError>> {
        ready(Ok(files::is_damaged(&self.blobs, &cid))).boxed()
    }

    fn serve(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.blob(cid)
    }

    fn cache(&self, _: Dag) -> BoxFuture<'static, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }

    fn cached(&self, _: Cid) -> BoxFuture<'static, Result<Option<Blocks>, StoreError>> {
        ready(Ok(None)).boxed()
    }

    fn room(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        ready(Ok(0)).boxed()
    }
}
