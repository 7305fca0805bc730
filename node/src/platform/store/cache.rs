//! [`Cache`]: whole DAGs that only save a fetch, one file each.
//!
//! Guarantees: what it costs is bounded as the disk counts it, in blocks and inodes, and so is its index in memory; the oldest go
//! first; what is read is re-hashed against the root's CID. Deliberately lacks durability: nothing is fsynced.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cid::Cid;
use station_car::Dag;

use crate::store::pack;

/// What a file takes on the disk is a multiple of this: the block of ext4, XFS, APFS and NTFS.
const BLOCK_BYTES: u64 = 4 << 10;
/// What a file costs beside its blocks: its inode, its name in the folder, its place in the index.
const ENTRY_BYTES: u64 = 1 << 10;
/// Files in the cache, whatever their size: an index of a megabyte, and as many modules as a station has experiments in months.
pub(super) const CACHE_FILES_MAX: usize = 4_096;

/// What a file of `bytes` takes on the disk.
pub(super) fn cost(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES).saturating_add(ENTRY_BYTES)
}

/// What is in the cache folder, oldest first.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    temp: PathBuf,
    max_bytes: u64,
    max_files: usize,
    /// The costs of all files.
    bytes: u64,
    next: u64,
    by_age: BTreeMap<u64, (String, u64)>,
    names: BTreeMap<String, u64>,
}

impl Cache {
    pub(super) fn open(folder: PathBuf, temp: PathBuf, max_bytes: u64, max_files: usize) -> io::Result<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), name, about.len()));
        }
        found.sort();
        let mut cache = Self { folder, temp, max_bytes, max_files, bytes: 0, next: 0, by_age: BTreeMap::new(), names: BTreeMap::new() };
        found.into_iter().for_each(|(_, name, bytes)| cache.add(name, bytes));
        cache.keep_within(u64::MAX);
        Ok(cache)
    }

    /// What all of it costs.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps a DAG if it can within `room`; losing one costs a second fetch, nothing else.
    pub(super) fn put(&mut self, dag: &Dag, room: u64) {
        let name = name(&dag.root);
        let Some(bytes) = pack::pack(dag) else {
            tracing::warn!(what = "cache", cid = %dag.root, "what was fetched is no DAG and is not cached");
            return;
        };
        let length = bytes.len() as u64;
        if cost(length) > self.max_bytes.min(room) || self.names.contains_key(&name) {
            return;
        }
        self.keep_within(room - cost(length));
        let written = self.write(&name, &bytes).or_else(|error| {
            if error.kind() != io::ErrorKind::StorageFull {
                return Err(error);
            }
            self.keep_within(0);
            self.write(&name, &bytes)
        });
        match written {
            Ok(()) => self.add(name, length),
            Err(error) => tracing::warn!(what = "cache", cid = %dag.root, %error, "content could not be cached"),
        }
        self.keep_within(room);
    }

    /// The file of a DAG, if there is one.
    pub(super) fn path(&self, root: &Cid) -> Option<PathBuf> {
        let name = name(root);
        self.names.contains_key(&name).then(|| self.folder.join(name))
    }

    /// Drops a damaged file, so that a good one can take its place.
    pub(super) fn forget(&mut self, root: &Cid) {
        self.remove(&name(root));
    }

    /// Drops the oldest until the rest costs at most `bytes` and keeps its own bounds.
    pub(super) fn keep_within(&mut self, bytes: u64) {
        while self.bytes > bytes.min(self.max_bytes) || self.names.len() > self.max_files {
            let Some((_, (name, _))) = self.by_age.first_key_value() else { return };
            self.remove(&name.clone());
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // What is to stay is written there too, by another thread and under the same CID.
        let temp = self.temp.join(format!("cache-{name}"));
        let written = fs::write(&temp, bytes).and_then(|()| fs::rename(&temp, self.folder.join(name)));
        if written.is_err() {
            // Half a file would take the room that is missing.
            let _ = fs::remove_file(&temp);
        }
        written
    }

    fn add(&mut self, name: String, bytes: u64) {
        self.bytes += cost(bytes);
        self.names.insert(name.clone(), self.next);
        self.by_age.insert(self.next, (name, cost(bytes)));
        self.next += 1;
    }

    fn remove(&mut self, name: &str) {
        if let Some((_, bytes)) = self.names.remove(name).and_then(|age| self.by_age.remove(&age)) {
            self.bytes -= bytes;
        }
        // One that stays is found again at the next start.
        let _ = fs::remove_file(self.folder.join(name));
    }
}

/// The pack at `path`, checked block by block.
pub(super) fn read(path: &Path, root: Cid) -> Option<Vec<(Cid, Vec<u8>)>> {
    let blocks = fs::read(path).and_then(|bytes| pack::unpack(root, &bytes).map_err(io::Error::other));
    blocks.inspect_err(|error| tracing::warn!(%root, %error, "cached content is damaged")).ok()
}

fn name(root: &Cid) -> String {
    root.into_v1().unwrap_or(*root).to_string()
}
