//! Artefacts kept in memory and on disk, and refused modules remembered.
//!
//! Guarantees: the name of an entry covers everything its bytes depend on; a file counts only with the right HMAC-SHA-256 under a key
//! that is made on this machine and never leaves it; memory, refusals and disk are bounded. Deliberately best-effort on disk: a cache
//! that cannot be read or written only costs compiling again.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::artefact::{ARTEFACT_BYTES_MAX, Artefact};
use crate::profile;

/// Artefacts kept in memory: the experiments a station serves at a time are few.
const MEMORY_ENTRIES_MAX: usize = 16;
/// Bytes of artefacts kept in memory.
const MEMORY_BYTES_MAX: usize = 128 << 20;
/// Refused modules remembered, so that a bad module costs one compile worker and not one per Call.
const REFUSALS_MAX: usize = 256;
/// Bytes on disk; the oldest files go first.
const DISK_BYTES_MAX: u64 = 1 << 30;
/// Name of the key file in the cache's folder.
const KEY_FILE: &str = "artefact.key";
/// Ending of the artefact files.
const ENDING: &str = "artefact";
/// Length of the key and of the code before an artefact.
const CODE_BYTES: usize = 32;

/// What a module and everything else that shapes its artefact hash to.
pub(crate) type Name = [u8; 32];

/// The name of a module's artefact.
pub(crate) fn name(module: &[u8]) -> Name {
    let mut hash = Sha256::new();
    for part in [profile::fingerprint().as_bytes(), module] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What is known of a module.
pub(crate) type Known = Result<Artefact, String>;

pub(crate) struct Cache {
    disk: Option<Disk>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The most recently used last.
    artefacts: VecDeque<(Name, Artefact)>,
    refusals: VecDeque<(Name, String)>,
}

struct Disk {
    folder: PathBuf,
    key: [u8; CODE_BYTES],
}

impl Cache {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { disk: folder.and_then(Disk::open), memory: Mutex::default() }
    }

    /// What is known without compiling.
    pub(crate) fn get(&self, name: &Name) -> Option<Known> {
        if let Some(known) = self.lock().get(name) {
            return Some(known);
        }
        let artefact = self.disk.as_ref()?.read(name)?;
        self.lock().put(*name, artefact.clone());
        Some(Ok(artefact))
    }

    pub(crate) fn put(&self, name: Name, known: &Known) {
        match known {
            Ok(artefact) => {
                self.lock().put(name, artefact.clone());
                if let Some(disk) = &self.disk {
                    disk.write(&name, artefact);
                }
            }
            Err(reason) => {
                let mut memory = self.lock();
                memory.refusals.push_back((name, reason.clone()));
                if memory.refusals.len() > REFUSALS_MAX {
                    memory.refusals.pop_front();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn get(&mut self, name: &Name) -> Option<Known> {
        if let Some(at) = self.artefacts.iter().position(|entry| entry.0 == *name) {
            let entry = self.artefacts.remove(at)?;
            let artefact = entry.1.clone();
            self.artefacts.push_back(entry);
            return Some(Ok(artefact));
        }
        self.refusals.iter().find(|entry| entry.0 == *name).map(|entry| Err(entry.1.clone()))
    }

    fn put(&mut self, name: Name, artefact: Artefact) {
        self.artefacts.retain(|entry| entry.0 != name);
        self.artefacts.push_back((name, artefact));
        let mut bytes = self.artefacts.iter().map(|entry| entry.1.bytes.len()).sum::<usize>();
        while self.artefacts.len() > MEMORY_ENTRIES_MAX || (bytes > MEMORY_BYTES_MAX && self.artefacts.len() > 1) {
            bytes -= self.artefacts.pop_front().map_or(0, |entry| entry.1.bytes.len());
        }
    }
}

impl Disk {
    fn open(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).ok()?;
        let key = key(&folder.join(KEY_FILE))?;
        Some(Self { folder, key })
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(format!("{}.{ENDING}", hex(name)))
    }

    /// The artefact of a file that was written with our key under this name.
    fn read(&self, name: &Name) -> Option<Artefact> {
        let file = fs::File::open(self.path(name)).ok()?;
        let mut bytes = Vec::new();
        file.take((ARTEFACT_BYTES_MAX + CODE_BYTES + 1) as u64).read_to_end(&mut bytes).ok()?;
        let (code, artefact) = bytes.split_at_checked(CODE_BYTES)?;
        let genuine = artefact.len() <= ARTEFACT_BYTES_MAX && same(code, &hmac(&self.key, &[name, artefact]));
        genuine.then(|| Artefact { bytes: Arc::from(artefact) })
    }

    fn write(&self, name: &Name, artefact: &Artefact) {
        self.make_room();
        let path = self.path(name);
        let temporary = path.with_extension(format!("{}.new", std::process::id()));
        let code = hmac(&self.key, &[name, &artefact.bytes]);
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).and_then(|mut file| {
            file.write_all(&code)?;
            file.write_all(&artefact.bytes)?;
            fs::rename(&temporary, &path)
        });
        if written.is_err() {
            // Nothing more can be done about a file that cannot be removed either.
            let _ = fs::remove_file(&temporary);
        }
    }

    /// Removes the oldest files until another artefact fits.
    fn make_room(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == ENDING))
            .filter_map(|entry| entry.metadata().ok().and_then(|data| Some((data.modified().ok()?, data.len(), entry.path()))))
            .collect::<Vec<_>>();
        files.sort();
        let mut bytes = files.iter().map(|file| file.1).sum::<u64>();
        for (_, len, path) in files {
            if bytes + (ARTEFACT_BYTES_MAX as u64) <= DISK_BYTES_MAX {
                return;
            }
            if fs::remove_file(path).is_ok() {
                bytes -= len;
            }
        }
    }
}

/// The key in the file, or a new one.
fn key(path: &Path) -> Option<[u8; CODE_BYTES]> {
    if let Ok(bytes) = fs::read(path)
        && let Ok(key) = <[u8; CODE_BYTES]>::try_from(bytes)
    {
        return Some(key);
    }
    let mut key = [0; CODE_BYTES];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key)).ok()?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    // A file left by a crash may be readable by others: it must not be reused.
    let _ = fs::remove_file(&temporary);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| file.write_all(&key)).ok()?;
    fs::rename(&temporary, path).ok()?;
    Some(key)
}

/// HMAC-SHA-256 (RFC 2104) over the parts; callers pass parts whose lengths are fixed but for the last.
fn hmac(key: &[u8; CODE_BYTES], parts: &[&[u8]]) -> [u8; CODE_BYTES] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        Sha256::new_with_prefix(block)
    };
    let mut inner = pad(0x36);
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = pad(0x5c);
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_rfc_4231_case_1_padded_to_our_key_length() {
        let mut key = [0; CODE_BYTES];
        key[..20].fill(0x0b);
        assert_eq!(hex(&hmac(&key, &[b"Hi ", b"There"])), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn a_file_that_was_changed_or_renamed_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path().to_owned()).unwrap();
        let artefact = Artefact { bytes: Arc::from(&b"machine code"[..]) };
        disk.write(&[1; 32], &artefact);
        assert!(disk.read(&[1; 32]).is_some());
        fs::copy(disk.path(&[1; 32]), disk.path(&[2; 32])).unwrap();
        assert!(disk.read(&[2; 32]).is_none());
        let mut bytes = fs::read(disk.path(&[1; 32])).unwrap();
        bytes[40] ^= 1;
        fs::write(disk.path(&[1; 32]), bytes).unwrap();
        assert!(disk.read(&[1; 32]).is_none());
    }

    #[test]
    fn the_key_survives_and_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let first = Disk::open(folder.path().to_owned()).unwrap();
        let again = Disk::open(folder.path().to_owned()).unwrap();
        assert_eq!(first.key, again.key);
        assert_eq!(fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn memory_forgets_the_least_recently_used() {
        let mut memory = Memory::default();
        let artefact = Artefact { bytes: Arc::from(&b""[..]) };
        for number in 0..MEMORY_ENTRIES_MAX {
            memory.put([u8::try_from(number).unwrap(); 32], artefact.clone());
        }
        assert!(memory.get(&[0; 32]).is_some());
        memory.put([255; 32], artefact);
        assert!(memory.get(&[0; 32]).is_some());
        assert!(memory.get(&[1; 32]).is_none());
    }
}
