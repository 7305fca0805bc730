//! The engine: wasmer with Cranelift, under the profile's features and rules.
//!
//! Guarantees: one place builds compilers and runners. Deliberately lacks Windows, for which wasmer 7 has no compiler: there stations
//! are built without an engine and say so.

use std::num::NonZero;

use wasmer::sys::{Cranelift, CraneliftOptLevel, EngineBuilder, Features};

use crate::artefact::Tier;
use crate::normalise;

/// Why this system has no engine.
pub(crate) const ABSENT: Option<&str> = None;

/// Bytes of real frame for each byte that the meter counts, at most. Of 3,000 random shapes the worst had 1.9 on either tier of x86-64,
/// and frames on 64-bit ARM are at most a tenth larger. A frame of nothing but values that the meter counts at a quarter would have 4,
/// though none was found. The rest is margin. `measure::tests` looks again on each machine.
pub(crate) const FRAME_RATIO_MAX: usize = 6;
/// Beside the frames: what the engine itself puts on the guest's stack, one leaf, and the functions of the runtime that run there.
const STACK_ROOM_BYTES: usize = 2 << 20;
/// The guest's native stack: all that the meter lets a guest use, and the one frame that is there when the meter says no. Part of the
/// process's memory headroom; only what is used is resident.
pub(crate) const STACK_BYTES: usize =
    FRAME_RATIO_MAX * normalise::UNIT_BYTES * (normalise::DEPTH_UNITS as usize + normalise::FRAME_UNITS_MAX as usize) + STACK_ROOM_BYTES;

/// The processor with its features, for which this machine's code is made.
pub(crate) fn target() -> String {
    format!("{:?}", wasmer::sys::Target::default())
}

/// What modules may use. Off: threads, relaxed SIMD, multi-memory, 64-bit memory, exceptions, tail calls, wide arithmetic.
pub(crate) fn features() -> Features {
    let mut features = Features::none();
    features.multi_value(true).bulk_memory(true).reference_types(true).simd(true).extended_const(true);
    features
}

/// An engine that compiles modules in their normal form: the meter is in the module.
pub(crate) fn compiler(tier: Tier) -> wasmer::Engine {
    builder(tier).engine().into()
}

/// The same, for whoever sets a target besides this machine.
pub(crate) fn builder(tier: Tier) -> EngineBuilder {
    let mut compiler = Cranelift::new();
    compiler.canonicalize_nans(true);
    compiler.opt_level(match tier {
        Tier::Baseline => CraneliftOptLevel::None,
        Tier::Optimised => CraneliftOptLevel::Speed,
    });
    // One thread, so that the limit on processor time means the same on every machine.
    compiler.num_threads(NonZero::<usize>::MIN);
    EngineBuilder::new(compiler).set_features(Some(features()))
}

/// An engine that runs what [`compiler`] made.
pub(crate) fn runner() -> wasmer::Engine {
    EngineBuilder::headless().engine().into()
}
