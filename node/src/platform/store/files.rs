//! [`Files`]: blobs named by CID, a bounded cache, and how much room the disk has for both.
//!
//! Guarantees: a file has its name only once its bytes are all there; what is written is what could be read back, and what is read is
//! re-hashed: what does not match is absent. Deliberately lacks knowledge of who owns what: the records beside it say that.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cid::Cid;
use station_car::Dag;
use station_car::block::{BLOCK_BYTES_MAX, verify};

use super::cache::{self, CACHE_FILES_MAX, Cache, cost};
use crate::platform::system::sync_folder;

/// Disk left free for others, and for what a transaction writes beside its records.
pub(super) const RESERVE_BYTES: u64 = 32 << 20;

/// Bytes that the disk under a folder has left.
pub(super) type Free = Box<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// What the store may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Everything in the folder together.
    pub bytes: u64,
    /// The cache's part of it.
    pub cache_bytes: u64,
    pub cache_files: usize,
}

impl Bounds {
    /// A store that may take `bytes`, an eighth of it for what only saves a fetch.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        Self { bytes, cache_bytes: bytes / 8, cache_files: CACHE_FILES_MAX }
    }
}

pub(super) struct Files {
    home: PathBuf,
    durable: PathBuf,
    temp: PathBuf,
    cache: Mutex<Cache>,
    bounds: Bounds,
    free: Free,
    /// What the durable blobs take.
    durable_bytes: AtomicU64,
    /// What the records take.
    record_bytes: AtomicU64,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Files {
    pub(super) fn open(home: &Path, bounds: Bounds, free: Free) -> io::Result<Self> {
        let [durable, cached, temp] = ["blobs", "cache", "temp"].map(|name| home.join(name));
        // What a crash left half written has no name yet and belongs to nobody.
        match fs::remove_dir_all(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for folder in [&durable, &cached, &temp] {
            fs::create_dir_all(folder)?;
        }
        let cache = Cache::open(cached, temp.clone(), bounds.cache_bytes, bounds.cache_files)?;
        let files = Self {
            home: home.to_owned(),
            durable,
            temp,
            cache: Mutex::new(cache),
            bounds,
            free,
            durable_bytes: AtomicU64::new(0),
            record_bytes: AtomicU64::new(0),
        };
        if files.left()? == 0 {
            files.give_up_cache();
        }
        Ok(files)
    }

    /// Deletes every blob that `is_owned` does not know, and counts the rest.
    pub(super) fn sweep(&self, mut is_owned: impl FnMut(&Cid) -> bool) -> io::Result<()> {
        let (mut kept, mut swept) = (0, 0u64);
        for folder in fs::read_dir(&self.durable)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let cid = entry.file_name().to_str().and_then(|name| name.parse::<Cid>().ok());
                match cid {
                    Some(cid) if !is_owned(&cid) => {
                        fs::remove_file(entry.path())?;
                        swept += 1;
                    }
                    _ => kept += cost(entry.metadata()?.len()),
                }
            }
        }
        self.durable_bytes.store(kept, Ordering::Relaxed);
        if swept > 0 {
            tracing::info!(swept, "blobs that no record owns were deleted");
        }
        Ok(())
    }

    /// Writes, fsyncs and renames each, then fsyncs each folder that got a name. A full disk costs the cache first.
    pub(super) fn write<'a>(&self, blobs: impl Iterator<Item = (&'a Cid, &'a [u8])>) -> io::Result<()> {
        let mut folders = BTreeSet::new();
        for (cid, bytes) in blobs {
            verify(cid, bytes).map_err(io::Error::other)?;
            let (folder, name) = self.place(cid);
            if !folder.is_dir() {
                fs::create_dir(&folder)?;
                folders.insert(self.durable.clone());
            }
            let before = fs::metadata(folder.join(&name)).map_or(0, |about| cost(about.len()));
            let temp = self.temp.join(&name);
            write_whole(&temp, bytes).or_else(|error| {
                if error.kind() != io::ErrorKind::StorageFull {
                    return Err(error);
                }
                self.cache().keep_within(0);
                write_whole(&temp, bytes)
            })?;
            fs::rename(&temp, folder.join(&name))?;
            self.durable_bytes.fetch_add(cost(bytes.len() as u64), Ordering::Relaxed);
            self.durable_bytes.fetch_sub(before, Ordering::Relaxed);
            folders.insert(folder);
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Takes a name away. One that stays costs space until the next start, never correctness.
    pub(super) fn delete(&self, cid: &Cid) {
        let (folder, name) = self.place(cid);
        let path = folder.join(name);
        let bytes = fs::metadata(&path).map_or(0, |about| cost(about.len()));
        match fs::remove_file(path) {
            Ok(()) => _ = self.durable_bytes.fetch_sub(bytes, Ordering::Relaxed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%cid, %error, "a blob could not be deleted"),
        }
    }

    /// The bytes of a durable blob, if they are here and match it.
    pub(super) fn read(&self, cid: &Cid) -> Option<Vec<u8>> {
        read(&self.durable, cid)
    }

    /// Whether a file stands where the blob would, and is not it.
    pub(super) fn is_damaged(&self, cid: &Cid) -> bool {
        is_damaged(&self.durable, cid)
    }

    pub(super) fn cache_dag(&self, dag: &Dag) {
        // The cache never fills a disk: whoever cannot ask how full it is caches nothing.
        let room = self.left().map_or(0, |left| left.saturating_add(self.cache().bytes()));
        let room = room.min(self.bounds.bytes.saturating_sub(self.kept()));
        self.cache().put(dag, room);
    }

    pub(super) fn cached(&self, root: Cid) -> Option<Vec<(Cid, Vec<u8>)>> {
        let path = self.cache().path(&root)?;
        let blocks = cache::read(&path, root);
        if blocks.is_none() {
            self.cache().forget(&root);
        }
        blocks
    }

    /// The records take so much.
    pub(super) fn note_records(&self) {
        let bytes = fs::metadata(self.home.join("records.redb")).map_or(0, |about| about.len());
        self.record_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that may still become durable, the cache given up for them.
    pub(super) fn room(&self) -> io::Result<u64> {
        let cached = self.cache().bytes();
        let on_disk = self.left()?.saturating_add(cached);
        Ok(on_disk.min(self.bounds.bytes.saturating_sub(self.kept())))
    }

    /// Makes room for `bytes`, at the cost of the cache; false when there is none. Nothing always has room: it may be what gives room.
    pub(super) fn make_room(&self, bytes: u64) -> io::Result<bool> {
        if bytes == 0 {
            return Ok(true);
        }
        let Some(beside) = self.bounds.bytes.checked_sub(self.kept().saturating_add(bytes)) else { return Ok(false) };
        self.cache().keep_within(beside);
        if self.left()? < bytes {
            self.cache().keep_within(0);
        }
        Ok(self.left()? >= bytes)
    }

    /// Deletes everything that only saves a fetch.
    pub(super) fn give_up_cache(&self) {
        self.cache().keep_within(0);
    }

    fn kept(&self) -> u64 {
        self.durable_bytes.load(Ordering::Relaxed).saturating_add(self.record_bytes.load(Ordering::Relaxed))
    }

    /// What the disk has beyond the reserve.
    fn left(&self) -> io::Result<u64> {
        Ok((self.free)(&self.home)?.saturating_sub(RESERVE_BYTES))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, cid: &Cid) -> (PathBuf, String) {
        place(&self.durable, cid)
    }
}

/// Folder and name of a blob. Every CID here has a base32 name of lower-case letters and digits; the last characters are as good as random.
fn place(durable: &Path, cid: &Cid) -> (PathBuf, String) {
    let name = cid.into_v1().unwrap_or(*cid).to_string();
    (durable.join(&name[name.len() - 2..]), name)
}

/// The bytes of a blob in the folder `durable`, if they are there and match it.
pub(super) fn read(durable: &Path, cid: &Cid) -> Option<Vec<u8>> {
    let (folder, name) = place(durable, cid);
    read_matching(&folder.join(name), cid)
}

/// Whether a file stands there where the blob would, and is not it.
pub(super) fn is_damaged(durable: &Path, cid: &Cid) -> bool {
    let (folder, name) = place(durable, cid);
    folder.join(name).symlink_metadata().is_ok() && read(durable, cid).is_none()
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file would take the room that is missing.
        let _ = fs::remove_file(path);
    }
    written
}

/// What cannot be read is absent, as what does not match: the caller fetches it again or reports it missing.
fn read_matching(path: &Path, cid: &Cid) -> Option<Vec<u8>> {
    let length = fs::metadata(path).ok()?.len();
    let bytes = if length <= BLOCK_BYTES_MAX as u64 { fs::read(path) } else { Err(io::ErrorKind::FileTooLarge.into()) };
    let matches = bytes.and_then(|bytes| verify(cid, &bytes).map(|()| bytes).map_err(io::Error::other));
    matches.inspect_err(|error| tracing::warn!(%cid, %error, "a blob on disk is damaged")).ok()
}
