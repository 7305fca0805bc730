//! What making an instance costs: the fuel that is used before the first operator, and the memory that is taken beside the memory.
//!
//! Guarantees: both follow from the module alone, so every station counts the same; the host reads the fuel from the initial value of
//! the meter's global, and refuses to make an instance that cannot pay. Deliberately lacks bounds: `check` has them.

use wasmparser::{DataKind, ElementItems, Payload};

use super::NormaliseError;
use super::cost::{PAGE, TABLE_ELEMENT};

/// Fuel per element of a segment: it becomes a reference, and is set in its table.
pub(crate) const ELEMENT: u64 = 8;
/// Bytes of data for one fuel, as for bulk operators.
pub(crate) const BYTES_PER_FUEL: u64 = 8;
/// Fuel per data or element segment.
pub(crate) const SEGMENT: u64 = 200;
/// Fuel per export: the instance has a table of their names.
pub(crate) const EXPORT: u64 = 500;
/// Fuel per function or global: each has a place in the instance.
pub(crate) const ITEM: u64 = 10;

/// Fuel of an instance, added up section by section.
#[derive(Default)]
pub(super) struct Entry {
    fuel: u64,
}

impl Entry {
    /// Takes one section's cost. Every count has fewer than 2^32 items, so that nothing wraps.
    pub(super) fn take(&mut self, payload: &Payload<'_>) -> Result<(), NormaliseError> {
        let fuel = match payload {
            Payload::FunctionSection(section) => ITEM * u64::from(section.count()),
            Payload::GlobalSection(section) => ITEM * u64::from(section.count()),
            Payload::ExportSection(section) => EXPORT * u64::from(section.count()),
            Payload::MemorySection(section) => {
                let pages = section.clone().into_iter().map(|memory| Ok(memory?.initial)).sum::<wasmparser::Result<u64>>()?;
                pages.saturating_mul(PAGE.unsigned_abs())
            }
            Payload::TableSection(section) => {
                let elements = section.clone().into_iter().map(|table| Ok(table?.ty.initial)).sum::<wasmparser::Result<u64>>()?;
                elements.saturating_mul(TABLE_ELEMENT.unsigned_abs())
            }
            Payload::ElementSection(section) => {
                let mut fuel = SEGMENT * u64::from(section.count());
                for segment in section.clone() {
                    fuel += ELEMENT
                        * u64::from(match segment?.items {
                            ElementItems::Functions(items) => items.count(),
                            ElementItems::Expressions(_, items) => items.count(),
                        });
                }
                fuel
            }
            Payload::DataSection(section) => {
                let mut fuel = SEGMENT * u64::from(section.count());
                for segment in section.clone() {
                    let segment = segment?;
                    // A passive one is not copied yet; it pays when it is.
                    if matches!(segment.kind, DataKind::Active { .. }) {
                        fuel += segment.data.len() as u64 / BYTES_PER_FUEL;
                    }
                }
                fuel
            }
            _ => 0,
        };
        self.fuel = self.fuel.saturating_add(fuel);
        Ok(())
    }

    /// What the meter's global starts at: below zero by what the instance costs.
    pub(super) fn fuel_at_start(&self) -> i64 {
        i64::try_from(self.fuel).map_or(i64::MIN + 1, |fuel| -fuel)
    }
}
