//! [`Limits`] of one execution, as the experiment states them and the sandbox keeps them.
//!
//! Guarantees: every limit is a number with a named ceiling. Deliberately lacks anything that depends on the machine.

use serde::{Deserialize, Serialize};

use crate::human::{Size, Span};

/// What one execution may use. The guest sees only limits that come from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Metered Wasm work; see the engine profile's cost table.
    pub fuel: u64,
    /// Linear memory.
    pub memory_bytes: u64,
    /// Wall clock from start to end, host calls included.
    pub wall_ms: u64,
    /// Bytes of standard output.
    pub output_bytes: u64,
    /// Bytes that host calls may bring in from the network.
    pub in_bytes: u64,
}

impl Default for Limits {
    /// Enough for a small probe; a volunteer's machine notices nothing.
    fn default() -> Self {
        Self { fuel: 1_000_000_000, memory_bytes: 64 << 20, wall_ms: 60_000, output_bytes: 64 << 10, in_bytes: 20 << 20 }
    }
}

/// The most any experiment may ask for: a guess at what a volunteer's desktop shares without being noticed. An output is one block
/// (1 MiB), so that its CID is the hash of its bytes.
pub const LIMITS_MAX: Limits =
    Limits { fuel: 10_000_000_000_000, memory_bytes: 4 << 30, wall_ms: 3_600_000, output_bytes: 1 << 20, in_bytes: 4 << 30 };

/// A limit is zero where work needs some, or above [`LIMITS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct LimitError {
    pub name: &'static str,
    pub value: u64,
    pub min: u64,
    pub max: u64,
}

impl LimitError {
    fn words(&self) -> String {
        let written = |value| written(self.name, value);
        format!("{} is {}, outside {} to {}", self.name, written(self.value), written(self.min), written(self.max))
    }
}

/// A limit as the experiment file has it: a size, a span, or a number.
fn written(name: &str, value: u64) -> String {
    match name {
        "fuel" => value.to_string(),
        "wall" => Span(value).to_string(),
        _ => Size(value).to_string(),
    }
}

impl Limits {
    /// Refuses limits outside their ceilings. `in_bytes` may be zero.
    pub fn check(&self) -> Result<(), LimitError> {
        let rows = [
            ("fuel", self.fuel, 1, LIMITS_MAX.fuel),
            ("memory", self.memory_bytes, 1, LIMITS_MAX.memory_bytes),
            ("wall", self.wall_ms, 1, LIMITS_MAX.wall_ms),
            ("output", self.output_bytes, 1, LIMITS_MAX.output_bytes),
            ("bytes_in", self.in_bytes, 0, LIMITS_MAX.in_bytes),
        ];
        for (name, value, min, max) in rows {
            if value < min || value > max {
                return Err(LimitError { name, value, min, max });
            }
        }
        Ok(())
    }
}
