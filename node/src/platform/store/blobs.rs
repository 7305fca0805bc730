//! [`Blobs`]: files named by CID, some durable, some a bounded cache.
//!
//! Guarantees: a file has its name only once its bytes are all there; what is read is re-hashed, and what does not match is absent.
//! Deliberately lacks knowledge of which blobs are still needed: the records say that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cid::Cid;
use station_car::block::{BLOCK_BYTES_MAX, verify};

use crate::platform::system::sync_folder;

pub(super) struct Blobs {
    durable: PathBuf,
    cached: PathBuf,
    temp: PathBuf,
    cache: Cache,
}

/// What is in the cache folder, oldest first.
struct Cache {
    max_bytes: u64,
    bytes: u64,
    next: u64,
    by_age: BTreeMap<u64, (String, u64)>,
    names: BTreeMap<String, u64>,
}

impl Blobs {
    pub(super) fn open(home: &Path, cache_bytes_max: u64) -> io::Result<Self> {
        let [durable, cached, temp] = ["blobs", "cache", "temp"].map(|name| home.join(name));
        // What a crash left half written has no name yet and belongs to nobody.
        match fs::remove_dir_all(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for folder in [&durable, &cached, &temp] {
            fs::create_dir_all(folder)?;
        }
        let mut blobs = Self { cache: Cache::open(&cached, cache_bytes_max)?, durable, cached, temp };
        blobs.make_room(0);
        Ok(blobs)
    }

    /// Writes, fsyncs and renames each, then fsyncs each folder that got a name.
    pub(super) fn write<'a>(&self, blobs: impl Iterator<Item = (&'a Cid, &'a [u8])>) -> io::Result<()> {
        let mut folders = BTreeSet::new();
        for (cid, bytes) in blobs {
            let (folder, name) = self.place(cid);
            if !folder.is_dir() {
                fs::create_dir(&folder)?;
                folders.insert(self.durable.clone());
            }
            let temp = self.temp.join(&name);
            let mut file = File::create(&temp)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temp, folder.join(&name))?;
            folders.insert(folder);
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Takes a name away. One that stays costs space, never correctness.
    pub(super) fn delete(&self, cid: &Cid) {
        let (folder, name) = self.place(cid);
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => tracing::warn!(%cid, %error, "a blob could not be deleted"),
            _ => {}
        }
    }

    /// The bytes of `cid`, if they are here and match it.
    pub(super) fn read(&mut self, cid: &Cid) -> Option<Vec<u8>> {
        let (folder, name) = self.place(cid);
        if let Some(bytes) = read_matching(&folder.join(&name), cid) {
            return Some(bytes);
        }
        self.cache.names.get(&name)?;
        let bytes = read_matching(&self.cached.join(&name), cid);
        if bytes.is_none() {
            self.drop_cached(&name);
        }
        bytes
    }

    /// Keeps `bytes` if there is room once the oldest have gone. A cache that cannot write is an empty one.
    pub(super) fn cache(&mut self, cid: &Cid, bytes: &[u8]) {
        let (_, name) = self.place(cid);
        let length = bytes.len() as u64;
        if self.cache.names.contains_key(&name) || length > self.cache.max_bytes {
            return;
        }
        self.make_room(length);
        let temp = self.temp.join(&name);
        let written = fs::write(&temp, bytes).and_then(|()| fs::rename(&temp, self.cached.join(&name)));
        match written {
            Ok(()) => self.cache.add(name, length),
            Err(error) => tracing::warn!(%cid, %error, "a blob could not be cached"),
        }
    }

    fn make_room(&mut self, length: u64) {
        while self.cache.bytes + length > self.cache.max_bytes {
            let Some((_, (name, _))) = self.cache.by_age.first_key_value() else { return };
            self.drop_cached(&name.clone());
        }
    }

    fn drop_cached(&mut self, name: &str) {
        self.cache.forget(name);
        // One that stays is found again at the next start.
        let _ = fs::remove_file(self.cached.join(name));
    }

    /// Folder and name. Every CID here has a base32 name of lower-case letters and digits; the last characters are as good as random.
    fn place(&self, cid: &Cid) -> (PathBuf, String) {
        let name = cid.into_v1().unwrap_or(*cid).to_string();
        (self.durable.join(&name[name.len() - 2..]), name)
    }
}

impl Cache {
    fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), name, about.len()));
        }
        found.sort();
        let mut cache = Self { max_bytes, bytes: 0, next: 0, by_age: BTreeMap::new(), names: BTreeMap::new() };
        found.into_iter().for_each(|(_, name, bytes)| cache.add(name, bytes));
        Ok(cache)
    }

    fn add(&mut self, name: String, bytes: u64) {
        self.bytes += bytes;
        self.names.insert(name.clone(), self.next);
        self.by_age.insert(self.next, (name, bytes));
        self.next += 1;
    }

    fn forget(&mut self, name: &str) {
        if let Some((_, bytes)) = self.names.remove(name).and_then(|age| self.by_age.remove(&age)) {
            self.bytes -= bytes;
        }
    }
}

/// What cannot be read is absent, as what does not match: the caller fetches it again or reports it missing.
fn read_matching(path: &Path, cid: &Cid) -> Option<Vec<u8>> {
    let length = fs::metadata(path).ok()?.len();
    let bytes = if length <= BLOCK_BYTES_MAX as u64 { fs::read(path) } else { Err(io::ErrorKind::FileTooLarge.into()) };
    let matches = bytes.and_then(|bytes| verify(cid, &bytes).map(|()| bytes).map_err(io::Error::other));
    matches.inspect_err(|error| tracing::warn!(%cid, %error, "a blob on disk is damaged")).ok()
}
