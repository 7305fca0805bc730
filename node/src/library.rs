//! [`Library`]: content by CID as whole bytes, from the modules bundled with the station and from its store.
//!
//! Guarantees: bytes are re-hashed against their CID before anyone runs them. Deliberately lacks the network: `content` fetches.

use std::collections::BTreeMap;
use std::sync::Arc;

use cid::Cid;
use station_protocol::Content;
use station_protocol::bounded::Name;

use crate::content;
use crate::store::{Batch, Store, StoreError};

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
    BUNDLED
        .iter()
        .map(|module| (Name::new(module.name).expect("bundled names are names"), vec![station_car::unixfs::build(module.bytes).root]))
        .collect()
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Library {
    bundled: Arc<BTreeMap<Cid, &'static [u8]>>,
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
        Self { bundled: Arc::new(bundled), store }
    }

    /// The bundled module under `cid`.
    #[must_use]
    pub fn bundled(&self, cid: &Cid) -> Option<&'static [u8]> {
        self.bundled.get(cid).copied()
    }

    /// The file under `content`, if every block of it is here.
    pub async fn file(&self, content: &Content) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.bundled(&content.cid) {
            return Ok(Some(bytes.to_vec()));
        }
        content::file(&*self.store, content).await
    }

    /// Makes `bytes` durable as a file and says under which CID.
    pub async fn keep(&self, bytes: &[u8]) -> Result<Content, StoreError> {
        let file = station_car::unixfs::build(bytes);
        let content = Content { cid: file.root, bytes: bytes.len() as u64 };
        if !self.bundled.contains_key(&content.cid) {
            self.store.commit(Batch { blobs: file.blocks, ..Batch::default() }).await?;
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests;
