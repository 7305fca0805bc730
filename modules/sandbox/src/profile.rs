//! The engine profile `station-wasm-2`: everything that can change what a pure job puts out or what fuel it uses.
//!
//! Guarantees: features and NaN rule stand in `engine`, the meter with its cost table, table and stack limits in `normalise`, the WASI
//! functions in `worker::wasi`, the static checks in `check`; changing one is a new profile. PROFILE.md says all of it to whoever writes
//! another implementation, and tests compare the two. Deliberately lacks the optimisation level:
//! fuel counts WebAssembly operators, so the level changes neither output nor fuel.

use crate::engine;

/// Name of the profile, in experiments and receipts.
pub const PROFILE: &str = "station-wasm-2";

/// The engine's version: artefacts of another one do not load. A test compares it with the lock file.
const WASMER: &str = "7.4.2";
/// What shapes machine code on our side.
const SOURCES: [&str; 9] = [
    include_str!("profile.rs"),
    include_str!("engine.rs"),
    include_str!("check.rs"),
    include_str!("normalise.rs"),
    include_str!("normalise/body.rs"),
    include_str!("normalise/cost.rs"),
    include_str!("normalise/entry.rs"),
    include_str!("normalise/plan.rs"),
    include_str!("normalise/weight.rs"),
];

/// Everything but the module and the tier that an artefact depends on.
pub(crate) fn fingerprint() -> String {
    let sources = SOURCES.join("");
    format!("{PROFILE} wasmer {WASMER} {} {sources}", engine::target())
}

#[cfg(all(test, not(windows)))]
mod page;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_cache_name_is_the_one_that_is_built() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"wasmer\"\nversion = \"{WASMER}\"")));
    }
}
