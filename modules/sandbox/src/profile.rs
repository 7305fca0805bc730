//! The engine profile `station-wasm-1`: everything that can change what a pure job puts out or what fuel it uses.
//!
//! Guarantees: features and NaN rule stand here, the meter with its cost table, table and stack limits in `normalise`, the WASI
//! functions in `worker::wasi`, the static checks in `check`; changing one is a new profile. Deliberately lacks the optimisation level:
//! fuel counts WebAssembly operators, so the level changes neither output nor fuel.

use std::num::NonZero;

use wasmer::sys::{Cranelift, CraneliftOptLevel, EngineBuilder, Features};

use crate::artefact::Tier;

/// Name of the profile, in experiments and receipts.
pub const PROFILE: &str = "station-wasm-1";

/// The guest's native stack: four times what `normalise::DEPTH_UNITS` stand for, so that the counted stack ends before this one, and
/// part of the process's memory headroom. Only what is used is resident.
pub(crate) const STACK_BYTES: usize = 16 << 20;

/// The engine's version: artefacts of another one do not load. A test compares it with the lock file.
const WASMER: &str = "7.4.2";
/// What shapes machine code on our side.
const SOURCES: [&str; 6] = [
    include_str!("profile.rs"),
    include_str!("check.rs"),
    include_str!("normalise.rs"),
    include_str!("normalise/body.rs"),
    include_str!("normalise/cost.rs"),
    include_str!("normalise/plan.rs"),
];

/// Everything but the module and the tier that an artefact depends on.
pub(crate) fn fingerprint() -> String {
    let sources = SOURCES.join("");
    format!("{PROFILE} wasmer {WASMER} {:?} {sources}", wasmer::sys::Target::default())
}

/// What modules may use. Off: threads, relaxed SIMD, multi-memory, 64-bit memory, exceptions, tail calls, wide arithmetic.
pub(crate) fn features() -> Features {
    let mut features = Features::none();
    features.multi_value(true).bulk_memory(true).reference_types(true).simd(true).extended_const(true);
    features
}

/// An engine that compiles modules in their normal form: the meter is in the module.
pub(crate) fn compiler(tier: Tier) -> wasmer::Engine {
    let mut compiler = Cranelift::new();
    compiler.canonicalize_nans(true);
    compiler.opt_level(match tier {
        Tier::Baseline => CraneliftOptLevel::None,
        Tier::Optimised => CraneliftOptLevel::Speed,
    });
    // One thread, so that the limit on processor time means the same on every machine.
    compiler.num_threads(NonZero::<usize>::MIN);
    EngineBuilder::new(compiler).set_features(Some(features())).engine().into()
}

/// An engine that runs what [`compiler`] made.
pub(crate) fn runner() -> wasmer::Engine {
    EngineBuilder::headless().engine().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_cache_name_is_the_one_that_is_built() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"wasmer\"\nversion = \"{WASMER}\"")));
    }
}
