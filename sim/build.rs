//! Exports the symbols that the simulator's binary replaces, and notes what it is built from.
//!
//! Crates that look `getrandom` up at run time find only what is in the executable's dynamic symbol table, and linkers do not promise
//! to put it there.

use std::fs;
use std::process::Command;

fn main() {
    for symbol in ["clock_gettime", "getrandom", "syscall", "pthread_create"] {
        println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={symbol}");
    }
    let lock = "../Cargo.lock";
    let hash = fs::read(lock).map_or_else(|_| "none".to_owned(), |bytes| fingerprint(&bytes));
    println!("cargo::rustc-env=STATION_LOCK_HASH={hash}");
    println!("cargo::rustc-env=STATION_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
    for path in ["build.rs", lock, "../.git/HEAD", "../.git/logs/HEAD"] {
        println!("cargo::rerun-if-changed={path}");
    }
}

/// The commit that is checked out, where git is there to say.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// FNV-1a, 64 bits: it names a lock file, nobody is to be kept from forging one.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
