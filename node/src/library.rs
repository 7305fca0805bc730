//! [`Library`]: content by CID as whole bytes, from the modules bundled with the station and from its store.
//!
//! What is handed in belongs to a record of the library's own until the process ends; an experiment that needs it owns it itself from
//! its publication on. Guarantees: bytes are re-hashed against their CID before anyone runs them; what no experiment took is gone after
//! the next start. Deliberately lacks the network: `content` fetches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cid::Cid;
use station_protocol::Content;
use station_protocol::bounded::Name;
use station_protocol::durable::Key;

use crate::content;
use crate::store::{Batch, ROOM_BYTES_MIN, Store, StoreError, Table};

/// A module that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

/// The modules in `modules/dist`, built from this repository (see `modules.lock` there).
pub const BUNDLED: [Bundled; 3] = [
    Bundled { name: "gateway-check", bytes: include_bytes!("../../modules/dist/gateway-check.wasm") },
    Bundled { name: "noop", bytes: include_bytes!("../../modules/dist/noop.wasm") },
    Bundled { name: "primes", bytes: include_bytes!("../../modules/dist/primes.wasm") },
];

/// Bundled modules by name with the CIDs of this and earlier releases: what a policy's names mean.
#[must_use]
pub fn bundled_names() -> BTreeMap<Name, Vec<Cid>> {
    // Hashing megabytes once is enough.
    static NAMES: OnceLock<BTreeMap<Name, Vec<Cid>>> = OnceLock::new();
    let named = |module: &Bundled| (Name::new(module.name).expect("bundled names are names"), vec![station_car::unixfs::build(module.bytes).root]);
    NAMES.get_or_init(|| BUNDLED.iter().map(named).collect()).clone()
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Library {
    bundled: Arc<BTreeMap<Cid, &'static [u8]>>,
    /// What this process keeps: the blocks by root.
    kept: Arc<Mutex<BTreeMap<Cid, Vec<Cid>>>>,
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("bundled", &self.bundled.len()).finish_non_exhaustive()
    }
}

impl Library {
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        let bundled = BUNDLED.iter().map(|module| (station_car::unixfs::build(module.bytes).root, module.bytes)).collect();
        Self { bundled: Arc::new(bundled), kept: Arc::default(), store }
    }

    /// Lets go what earlier processes kept: to be called once, before anything is kept.
    pub async fn forget_earlier(&self) -> Result<(), StoreError> {
        let deletes = self.store.load(Table::Library).await?.into_iter().map(|(key, _)| (Table::Library, key)).collect();
        self.store.commit(Batch { deletes, ..Batch::default() }).await?;
        Ok(())
    }

    /// The bundled module under `cid`.
    #[must_use]
    pub fn bundled(&self, cid: &Cid) -> Option<&'static [u8]> {
        self.bundled.get(cid).copied()
    }

    /// Whether `content` says another size of a bundled module than it has: who has to fetch it finds that out, and all must say the same.
    #[must_use]
    pub fn contradicts(&self, content: &Content) -> bool {
        self.bundled(&content.cid).is_some_and(|bytes| bytes.len() as u64 != content.bytes)
    }

    /// The file under `content`, if every block of it is here.
    pub async fn file(&self, content: &Content) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.bundled(&content.cid) {
            return Ok(Some(bytes.to_vec()));
        }
        content::file(&*self.store, content).await
    }

    /// The file under `cid`, if the program brings it or every block of it is durable here.
    pub async fn find(&self, cid: Cid) -> Result<Option<Content>, StoreError> {
        if let Some(bytes) = self.bundled(&cid) {
            return Ok(Some(Content { cid, bytes: bytes.len() as u64 }));
        }
        Ok(content::length(&*self.store, cid).await?.map(|bytes| Content { cid, bytes }))
    }

    /// Whether [`Library::file`] would find it.
    pub async fn has(&self, content: &Content) -> Result<bool, StoreError> {
        if self.bundled(&content.cid).is_some() {
            return Ok(true);
        }
        content::is_here(&*self.store, content).await
    }

    /// Makes `bytes` durable as a file, for as long as this process lives, and says under which CID.
    pub async fn keep(&self, bytes: &[u8]) -> Result<Content, StoreError> {
        let file = station_car::unixfs::build(bytes);
        let content = Content { cid: file.root, bytes: bytes.len() as u64 };
        if !self.bundled.contains_key(&content.cid) {
            self.keep_blocks(content.cid, file.blocks).await?;
        }
        Ok(content)
    }

    /// Keeps a file that is here, and says of which blocks it is made; of none when the program brings it or it is not here whole.
    pub async fn hold(&self, content: &Content) -> Result<Vec<Cid>, StoreError> {
        if self.bundled.contains_key(&content.cid) {
            return Ok(Vec::new());
        }
        if let Some(blocks) = self.kept().get(&content.cid) {
            return Ok(blocks.clone());
        }
        match content::blocks(&*self.store, content).await? {
            Some(blocks) => self.keep_blocks(content.cid, blocks).await,
            None => Ok(Vec::new()),
        }
    }

    async fn keep_blocks(&self, root: Cid, blobs: Vec<(Cid, Vec<u8>)>) -> Result<Vec<Cid>, StoreError> {
        let bytes: u64 = blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        if self.store.room().await? < bytes.saturating_add(ROOM_BYTES_MIN) {
            // Asked before, because a Commit without room ends the station.
            return Err(StoreError::Full { path: "this station".to_owned(), reason: format!("{bytes} bytes are to be kept") });
        }
        let key = Key(root.to_bytes());
        let cids: Vec<Cid> = blobs.iter().map(|(cid, _)| *cid).collect();
        let owns = cids.iter().map(|cid| (Table::Library, key.clone(), *cid)).collect();
        self.store.commit(Batch { blobs, owns, puts: vec![(Table::Library, key, Vec::new())], ..Batch::default() }).await?;
        self.kept().insert(root, cids.clone());
        Ok(cids)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Cid, Vec<Cid>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
