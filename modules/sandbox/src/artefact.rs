//! [`Artefact`]: machine code of one module, made on this machine.
//!
//! Guarantees: there is no way to make one from bytes that came from elsewhere; only the compile worker's report and the authenticated
//! cache build it. Deliberately lacks serialisation for anybody else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::check::Refusal;

/// Largest artefact: machine code is about four times its module, and a worker holds two copies while it maps one.
pub(crate) const ARTEFACT_BYTES_MAX: usize = 64 << 20;
/// Fuel after which a module's baseline code has cost about a second, more than optimising all but the largest modules does.
pub(crate) const HOT_FUEL: u64 = 1 << 30;

/// How much work the compiler puts into machine code. It changes neither output nor fuel: fuel counts WebAssembly operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// No optimisation: for the first sight of a module.
    Baseline,
    /// Optimised for speed: for modules that have used fuel.
    Optimised,
}

/// Which code a compile worker is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// Baseline code, or where that is larger than is kept optimised code, which is smaller and does the same.
    Any,
    /// Of this tier or none.
    Exactly(Tier),
}

impl Wanted {
    /// What is tried, in this order.
    pub(crate) fn tiers(self) -> &'static [Tier] {
        match self {
            Self::Any => &[Tier::Baseline, Tier::Optimised],
            Self::Exactly(Tier::Baseline) => &[Tier::Baseline],
            Self::Exactly(Tier::Optimised) => &[Tier::Optimised],
        }
    }
}

/// What an instance of a module takes before its first operator. A job with less ends at once: as a bad module where it is the memory, out
/// of fuel where it is the fuel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// For its pages, tables, segments, exports, functions and globals.
    pub fuel: u64,
    /// Of its memory at the start, and of the most that its tables may become.
    pub memory_bytes: u64,
}

impl Needs {
    /// Whether a job with these limits gets to its first operator, or why it does not, for whoever chose the limits.
    pub fn within(self, memory_bytes: u64, fuel: u64) -> Result<(), Refusal> {
        if self.memory_bytes > memory_bytes {
            return Err(Refusal::MemoryAtStart { needs: self.memory_bytes, limit: memory_bytes });
        }
        if self.fuel > fuel { Err(Refusal::FuelAtStart { needs: self.fuel, limit: fuel }) } else { Ok(()) }
    }
}

/// Machine code of one module under this profile, engine version, tier and processor. Cheap to clone.
#[derive(Clone)]
pub struct Artefact {
    pub(crate) bytes: Arc<[u8]>,
    tier: Tier,
    needs: Needs,
    heat: Arc<Heat>,
}

/// What the clones of one artefact know together.
#[derive(Default)]
struct Heat {
    fuel: AtomicU64,
    /// Better code was asked for: once is enough.
    asked: AtomicBool,
}

impl Artefact {
    pub(crate) fn new(bytes: Arc<[u8]>, tier: Tier, needs: Needs) -> Self {
        Self { bytes, tier, needs, heat: Arc::default() }
    }

    /// What a job of it must at least be given.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Which compiler made it.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Bytes of its machine code.
    #[doc(hidden)]
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// A job of it has used this much fuel.
    pub(crate) fn used(&self, fuel: u64) {
        // Wrapping would only make a hot module cold again.
        self.heat.fuel.fetch_add(fuel.min(HOT_FUEL), Ordering::Relaxed);
    }

    /// Whether better code would pay, and was not asked for before.
    pub(crate) fn is_hot(&self) -> bool {
        self.tier == Tier::Baseline && self.heat.fuel.load(Ordering::Relaxed) >= HOT_FUEL && !self.heat.asked.load(Ordering::Relaxed)
    }

    /// Better code is on its way, or cannot be had.
    pub(crate) fn cool(&self) {
        self.heat.asked.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artefact").field("bytes", &self.bytes.len()).field("tier", &self.tier).finish_non_exhaustive()
    }
}
