//! What is seen of a module without compiling it: for whoever must not wait, or asks what it may do.
//!
//! Guarantees: the checks of [`super::module`], in this process and in linear time. Deliberately lacks the rest of what a job takes before its
//! first operator: the compiler's output says that.

use wasmparser::{Parser, Payload};

use super::{Refusal, invalid, module};

/// Bytes of a page of memory.
const PAGE_BYTES: u64 = 64 << 10;

/// What a module of this profile says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// What it imports, in its order: like `station_v1.submit`.
    pub imports: Vec<String>,
    /// Of its memory at the start, without its tables: a job with less never begins.
    pub memory_bytes: u64,
}

/// Checks `bytes` as a station does before it compiles them.
///
/// # Errors
/// When this profile does not run such a module.
pub fn look(bytes: &[u8]) -> Result<Sight, Refusal> {
    module(bytes)?;
    let mut sight = Sight::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    sight.imports.push(format!("{}.{}", import.module, import.name));
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    sight.memory_bytes = sight.memory_bytes.saturating_add(memory.map_err(invalid)?.initial.saturating_mul(PAGE_BYTES));
                }
            }
            _ => {}
        }
    }
    Ok(sight)
}
