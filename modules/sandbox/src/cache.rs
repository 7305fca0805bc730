//! Artefacts kept in memory and on disk, and refused modules remembered.
//!
//! Guarantees: the name of an entry covers everything its bytes depend on, the tier included; a file counts only with the right HMAC-SHA-256 under a key
//! that is made on this machine and never leaves it; memory, refusals and disk are bounded. Deliberately best-effort on disk: a cache
//! that cannot be read or written only costs compiling again.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use crate::artefact::{ARTEFACT_BYTES_MAX, Artefact, Needs, Tier};
use crate::compiler::CompileError;
use crate::{profile, system};

/// Artefacts kept in memory: the experiments a station serves at a time are few.
const MEMORY_ENTRIES_MAX: usize = 16;
/// Bytes of artefacts kept in memory.
pub const CACHED_BYTES_MAX: usize = 128 << 20;
/// Refused modules remembered, so that a bad module costs one compile worker and not one per Call: about a megabyte with their reasons.
const REFUSALS_MAX: usize = 1_024;
/// Bytes on disk; the oldest files go first.
const DISK_BYTES_MAX: u64 = 1 << 30;
/// Name of the key file in the cache's folder.
const KEY_FILE: &str = "artefact.key";
/// Ending of the artefact files.
const ENDING: &str = "artefact";
/// Length of the key and of the code before an artefact.
const CODE_BYTES: usize = 32;
/// What stands between them: the needs, two numbers.
const NEEDS_BYTES: usize = 16;

/// A module with everything but the tier that shapes its artefact.
pub(crate) struct Key {
    shared: [u8; CODE_BYTES],
}

/// What a module and everything else that shapes its artefact hash to, and which tier is part of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    hash: [u8; CODE_BYTES],
    tier: Tier,
}

impl Key {
    pub(crate) fn new(module: &[u8]) -> Self {
        static PROFILE: OnceLock<[u8; CODE_BYTES]> = OnceLock::new();
        let profile = PROFILE.get_or_init(|| Sha256::digest(profile::fingerprint()).into());
        Self { shared: Sha256::new_with_prefix(profile).chain_update(module).finalize().into() }
    }

    /// The name of the module's artefact of this tier.
    pub(crate) fn name(&self, tier: Tier) -> Name {
        let tier_byte = match tier {
            Tier::Baseline => [0],
            Tier::Optimised => [1],
        };
        Name { hash: Sha256::new_with_prefix(self.shared).chain_update(tier_byte).finalize().into(), tier }
    }
}

/// What is known of a module: its artefact, or why it has none.
pub(crate) type Known = Result<Artefact, CompileError>;

pub(crate) struct Cache {
    disk: Option<Disk>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The most recently used last.
    artefacts: VecDeque<(Name, Artefact)>,
    refusals: VecDeque<(Name, CompileError)>,
}

struct Disk {
    folder: PathBuf,
    key: [u8; CODE_BYTES],
    bytes_max: u64,
}

impl Cache {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { disk: folder.and_then(|folder| Disk::open(folder, DISK_BYTES_MAX)), memory: Mutex::default() }
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
            // It may go better next time.
            Err(CompileError::Failed(_) | CompileError::Busy | CompileError::Unpaid | CompileError::Ended) => {}
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
        while self.artefacts.len() > MEMORY_ENTRIES_MAX || (bytes > CACHED_BYTES_MAX && self.artefacts.len() > 1) {
            bytes -= self.artefacts.pop_front().map_or(0, |entry| entry.1.bytes.len());
        }
    }
}

impl Disk {
    fn open(folder: PathBuf, bytes_max: u64) -> Option<Self> {
        fs::create_dir_all(&folder).ok()?;
        let key = key(&folder.join(KEY_FILE))?;
        Some(Self { folder, key, bytes_max })
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(format!("{}.{ENDING}", hex(&name.hash)))
    }

    /// The artefact of a file that was written with our key under this name.
    fn read(&self, name: &Name) -> Option<Artefact> {
        let file = fs::File::open(self.path(name)).ok()?;
        let mut bytes = Vec::new();
        file.take((ARTEFACT_BYTES_MAX + NEEDS_BYTES + CODE_BYTES + 1) as u64).read_to_end(&mut bytes).ok()?;
        let (code, kept) = bytes.split_at_checked(CODE_BYTES)?;
        let (needs, artefact) = kept.split_first_chunk::<NEEDS_BYTES>()?;
        let genuine = artefact.len() <= ARTEFACT_BYTES_MAX && same(code, &hmac(&self.key, &[&name.hash, needs, artefact]));
        genuine.then(|| Artefact::new(Arc::from(artefact), name.tier, needs_of(*needs)))
    }

    fn write(&self, name: &Name, artefact: &Artefact) {
        self.make_room((CODE_BYTES + NEEDS_BYTES + artefact.bytes.len()) as u64);
        let needs = needs_bytes(artefact.needs());
        let path = self.path(name);
        let temporary = path.with_extension(format!("{}.new", std::process::id()));
        let code = hmac(&self.key, &[&name.hash, &needs, &artefact.bytes]);
        let written = system::owner_only(OpenOptions::new().write(true).create(true).truncate(true)).open(&temporary).and_then(|mut file| {
            file.write_all(&code)?;
            file.write_all(&needs)?;
            file.write_all(&artefact.bytes)?;
            fs::rename(&temporary, &path)
        });
        if written.is_err() {
            // Nothing more can be done about a file that cannot be removed either.
            let _ = fs::remove_file(&temporary);
        }
    }

    /// Removes the oldest files until another one of `wanted` bytes fits.
    fn make_room(&self, wanted: u64) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == ENDING))
            .filter_map(|entry| entry.metadata().ok().and_then(|data| Some((data.modified().ok()?, data.len(), entry.path()))))
            .collect::<Vec<_>>();
        files.sort();
        let mut bytes = files.iter().map(|file| file.1).sum::<u64>();
        for (_, len, path) in files {
            if bytes + wanted <= self.bytes_max {
                return;
            }
            if fs::remove_file(path).is_ok() {
                bytes -= len;
            }
        }
    }
}

fn needs_bytes(needs: Needs) -> [u8; NEEDS_BYTES] {
    (u128::from(needs.memory_bytes) << 64 | u128::from(needs.fuel)).to_le_bytes()
}

fn needs_of(bytes: [u8; NEEDS_BYTES]) -> Needs {
    let both = u128::from_le_bytes(bytes);
    Needs { fuel: both as u64, memory_bytes: (both >> 64) as u64 }
}

/// The key in the file, or a new one.
fn key(path: &Path) -> Option<[u8; CODE_BYTES]> {
    if let Ok(bytes) = fs::read(path)
        && let Ok(key) = <[u8; CODE_BYTES]>::try_from(bytes)
    {
        return Some(key);
    }
    let mut key = [0; CODE_BYTES];
    getrandom::fill(&mut key).ok()?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    // A file left by a crash may be readable by others: it must not be reused.
    let _ = fs::remove_file(&temporary);
    system::owner_only(OpenOptions::new().write(true).create_new(true)).open(&temporary).and_then(|mut file| file.write_all(&key)).ok()?;
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

    fn artefact(bytes: &[u8]) -> Artefact {
        Artefact::new(Arc::from(bytes), Tier::Baseline, Needs { fuel: u64::MAX - 1, memory_bytes: 7 })
    }

    fn name(number: u8) -> Name {
        Name { hash: [number; 32], tier: Tier::Baseline }
    }

    #[test]
    fn a_file_that_was_changed_renamed_or_written_under_another_key_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path().to_owned(), DISK_BYTES_MAX).unwrap();
        disk.write(&name(1), &artefact(b"machine code"));
        assert_eq!(disk.read(&name(1)).map(|read| read.needs()), Some(artefact(b"").needs()));
        fs::copy(disk.path(&name(1)), disk.path(&name(2))).unwrap();
        assert!(disk.read(&name(2)).is_none());
        let good = fs::read(disk.path(&name(1))).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(disk.path(&name(1)), bytes).unwrap();
            assert!(disk.read(&name(1)).is_none(), "byte {at}");
        }
        fs::write(disk.path(&name(1)), good).unwrap();
        assert!(disk.read(&name(1)).is_some());
        fs::remove_file(folder.path().join(KEY_FILE)).unwrap();
        assert!(Disk::open(folder.path().to_owned(), DISK_BYTES_MAX).unwrap().read(&name(1)).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn the_key_survives_and_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let first = Disk::open(folder.path().to_owned(), DISK_BYTES_MAX).unwrap();
        let again = Disk::open(folder.path().to_owned(), DISK_BYTES_MAX).unwrap();
        assert_eq!(first.key, again.key);
        assert_eq!(fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_tier_and_the_module_are_part_of_the_name() {
        let (one, other) = (Key::new(b"one"), Key::new(b"other"));
        let names = [one.name(Tier::Baseline), one.name(Tier::Optimised), other.name(Tier::Baseline), other.name(Tier::Optimised)];
        let different = names.iter().map(|name| name.hash).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(different.len(), names.len());
        assert_eq!(Key::new(b"one").name(Tier::Baseline), names[0]);
    }

    #[test]
    fn the_oldest_files_go_when_the_disk_is_full_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        // Room for three files of 52 bytes, with the code and the needs before each.
        let disk = Disk::open(folder.path().to_owned(), 300).unwrap();
        for number in 1..=3 {
            disk.write(&name(number), &artefact(&[number; 52]));
            let written = fs::File::options().write(true).open(disk.path(&name(number))).unwrap();
            written.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(10 - number))).unwrap();
        }
        assert!((1..=3).all(|number| disk.read(&name(number)).is_some()));
        disk.write(&name(4), &artefact(&[4; 52]));
        // 3 is the oldest by its date.
        let kept = (1..=4).filter(|number| disk.read(&name(*number)).is_some()).collect::<Vec<_>>();
        assert_eq!(kept, [1, 2, 4]);
        let bytes =
            fs::read_dir(folder.path()).unwrap().flatten().filter(|file| file.file_name() != KEY_FILE).map(|file| file.metadata().unwrap().len());
        assert_eq!(bytes.sum::<u64>(), 300);
        assert!(folder.path().join(KEY_FILE).exists());
    }

    #[test]
    fn memory_forgets_the_least_recently_used() {
        let mut memory = Memory::default();
        for number in 0..u8::try_from(MEMORY_ENTRIES_MAX).unwrap() {
            memory.put(name(number), artefact(b""));
        }
        assert!(memory.get(&name(0)).is_some());
        memory.put(name(255), artefact(b""));
        assert!(memory.get(&name(0)).is_some());
        assert!(memory.get(&name(1)).is_none());
    }

    #[test]
    fn memory_is_bounded_in_bytes_but_keeps_the_newest() {
        let mut memory = Memory::default();
        let large = artefact(&vec![0; CACHED_BYTES_MAX / 2 + 1]);
        memory.put(name(1), large.clone());
        memory.put(name(2), large);
        assert!(memory.get(&name(1)).is_none());
        assert!(memory.get(&name(2)).is_some());
    }

    #[test]
    fn refusals_are_remembered_up_to_a_number_and_our_own_failures_not_at_all() {
        let cache = Cache::new(None);
        let bad = || Err(CompileError::BadModule("no".into()));
        let numbered = |number: u32| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_le_bytes());
            Name { hash, tier: Tier::Baseline }
        };
        for number in 0..=u32::try_from(REFUSALS_MAX).unwrap() {
            cache.put(numbered(number), &bad());
        }
        assert!(cache.get(&numbered(0)).is_none());
        assert_eq!(cache.get(&numbered(1)).map(Result::err), Some(bad().err()));
        cache.put(numbered(u32::MAX), &Err(CompileError::Failed("ours".into())));
        assert!(cache.get(&numbered(u32::MAX)).is_none());
    }
}
