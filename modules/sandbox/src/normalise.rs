//! The normaliser: a valid module in, a module with the same behaviour out that counts its own fuel and its own stack.
//!
//! Guarantees: engine independent and deterministic; the output validates under the same features; no import is added and no index of
//! the guest's changes, because what is injected (two globals, two functions, block types) comes after everything the guest can name.
//! Every cycle, in the control flow or through calls, passes a charge of at least 1; operators that work in proportion to a length pay
//! for the length. Fuel below 0 means that it ran out, depth below 0 that the stack did; both end in `unreachable`, and the host reads
//! which. Custom sections are gone; memories and tables have a maximum.
//! What is not valid has no normal form: types are followed by the validator itself. Deliberately lacks the job's own memory limit: one
//! artefact serves jobs with different limits, so that limit is set where the instance's memory is made, below the maximum written here.

mod body;
pub(crate) mod cost;
pub(crate) mod entry;
pub(crate) mod plan;
#[cfg(test)]
mod tests;
pub(crate) mod weight;

use std::collections::BTreeSet;

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, ExportKind, ExportSection, FunctionSection, GlobalSection, GlobalType, MemorySection, Module,
    RawSection, SectionId, StartSection, TableSection, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, FuncValidatorAllocations, Parser, Payload, TypeRef, ValidPayload, Validator};

use self::body::{Bodies, Signature, Signatures, Source};
use self::entry::Entry;
use crate::check::{self, TABLE_ELEMENTS_MAX};

/// Export name of the fuel that is left, a mutable i64. It starts at what making the instance costs, below zero: nothing runs before the
/// host has added a job's fuel to it.
pub(crate) const FUEL: &str = "station_fuel";
/// Export name of the stack that is left, a mutable i32 in units of [`weight`].
pub(crate) const DEPTH: &str = "station_depth";
/// Bytes of frame that a unit stands for: one number.
pub(crate) const UNIT_BYTES: usize = 8;
/// Stack units a fresh instance has: 4 MiB by the estimate. `engine::STACK_BYTES` is several times that, since frames are the compiler's
/// choice.
pub(crate) const DEPTH_UNITS: i32 = 1 << 19;
/// Most stack units of one function: a quarter of all. A frame is there before its function finds that the stack is used up, so the
/// native stack has room for one more; code that people write stays below a tenth of this.
pub(crate) const FRAME_UNITS_MAX: u64 = 1 << 17;
/// Most stack units of a function that calls nothing and is not counted: one such frame is on the stack at a time.
pub(crate) const LEAF_UNITS_MAX: u64 = 1 << 10;

/// Pages that 32 bits address: the maximum of a memory that names none. What a job may have is less, see `check::PAGES_MAX`.
const PAGES_ADDRESSED: u64 = 1 << 16;
/// Elements by which a table without a maximum of its own may grow.
pub(crate) const TABLE_GROWTH: u64 = 1 << 15;

/// Why a module has no normal form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NormaliseError {
    #[error("it exports {0}, a name the meter needs")]
    Reserved(String),
    #[error("it uses {0}, which is outside the profile")]
    Unsupported(&'static str),
    #[error("it has {count} {what}; {most} is the most")]
    TooMany { what: &'static str, count: u64, most: u64 },
    #[error("{0}")]
    Invalid(String),
}

impl From<wasmparser::Error> for NormaliseError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<reencode::Error> for NormaliseError {
    fn from(error: reencode::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Where the injected items are.
#[derive(Clone, Copy, Debug, Default)]
struct Injected {
    fuel: u32,
    depth: u32,
    /// `(i64) -> ()`: charges that much.
    charge: u32,
    /// `(i32, i64) -> (i32)`: returns the first, and charges the second unless that is −1.
    grown: u32,
}

/// The normal form of a valid module.
pub(crate) fn module(bytes: &[u8]) -> Result<Vec<u8>, NormaliseError> {
    let mut parts = Parts::default();
    let mut bodies = Vec::new();
    let mut validator = Validator::new_with_features(check::features());
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => bodies.push(Source { function, body }),
            _ => parts.take(payload, bytes)?,
        }
    }
    parts.finish(bodies)
}

/// The module's sections on their way, and what the injected indices are counted from.
#[derive(Default)]
struct Parts<'a> {
    types: TypeSection,
    signatures: Signatures,
    imports: Option<&'a [u8]>,
    /// Type of each function of the module's own.
    functions: Vec<u32>,
    /// Type of each imported function.
    function_imports: Vec<u32>,
    global_imports: u32,
    tables: Vec<wasmparser::Table<'a>>,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    start: Option<u32>,
    elements: Option<&'a [u8]>,
    data_count: Option<u32>,
    data: Option<&'a [u8]>,
    entry: Entry,
}

impl<'a> Parts<'a> {
    fn take(&mut self, payload: Payload<'a>, bytes: &'a [u8]) -> Result<(), NormaliseError> {
        let mut same = RoundtripReencoder;
        self.entry.take(&payload)?;
        let part = |range: std::ops::Range<u64>| slice(bytes, &range);
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    for ty in group?.into_types() {
                        let CompositeInnerType::Func(ty) = ty.composite_type.inner else { return Err(NormaliseError::Unsupported("a type of data")) };
                        self.signatures.push(Signature::new(&ty)?);
                    }
                }
                same.parse_type_section(&mut self.types, section)?;
            }
            Payload::ImportSection(section) => {
                self.imports = Some(part(section.range())?);
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) => self.function_imports.push(ty),
                        TypeRef::Global(_) => self.global_imports += 1,
                        _ => return Err(NormaliseError::Unsupported("an imported memory or table")),
                    }
                }
            }
            Payload::FunctionSection(section) => self.functions = section.into_iter().collect::<Result<_, _>>()?,
            Payload::TableSection(section) => self.tables = section.into_iter().collect::<Result<_, _>>()?,
            Payload::MemorySection(section) => {
                for memory in section {
                    let mut memory = memory?;
                    memory.maximum = Some(memory.maximum.unwrap_or(PAGES_ADDRESSED));
                    self.memories.memory(same.memory_type(memory)?);
                }
            }
            Payload::GlobalSection(section) => same.parse_global_section(&mut self.globals, section)?,
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let name = export?.name;
                    if name == FUEL || name == DEPTH {
                        return Err(NormaliseError::Reserved(name.to_owned()));
                    }
                }
                same.parse_export_section(&mut self.exports, section)?;
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => self.elements = Some(part(section.range())?),
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::DataSection(section) => self.data = Some(part(section.range())?),
            Payload::TagSection(_) => return Err(NormaliseError::Unsupported("exceptions")),
            // The code section's own header, custom sections and the end carry nothing over.
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self, sources: Vec<Source<'a>>) -> Result<Vec<u8>, NormaliseError> {
        let types = self.function_imports.iter().chain(&self.functions).copied().collect::<Vec<_>>();
        let (functions, globals) = (u32_of(types.len())?, self.global_imports + self.globals.len());
        let injected = Injected { fuel: globals, depth: globals + 1, charge: functions, grown: functions + 1 };
        let allocations = FuncValidatorAllocations::default();
        let mut bodies = Bodies { signatures: std::mem::take(&mut self.signatures), types, injected, allocations, grown: BTreeSet::new() };
        let mut code = CodeSection::new();
        for (ty, source) in self.functions.iter().zip(sources) {
            code.function(&bodies.function(source, *ty)?);
        }
        let tables = self.tables(&bodies.grown)?;
        let mut signatures = bodies.signatures;
        for (ty, function) in body::helpers(&mut signatures, injected)? {
            code.function(&function);
            self.functions.push(ty);
        }
        signatures.finish(&mut self.types);
        let number = |val_type| GlobalType { val_type, mutable: true, shared: false };
        self.globals.global(number(ValType::I64), &ConstExpr::i64_const(self.entry.fuel_at_start()));
        self.globals.global(number(ValType::I32), &ConstExpr::i32_const(DEPTH_UNITS));
        self.exports.export(FUEL, ExportKind::Global, injected.fuel);
        self.exports.export(DEPTH, ExportKind::Global, injected.depth);
        Ok(self.write(&tables, &code))
    }

    /// The tables, each with a maximum, which the job's memory pays for: the initial size where nothing grows it, the guest's own maximum,
    /// or some more elements where it names none.
    fn tables(&mut self, grown: &BTreeSet<u32>) -> Result<TableSection, NormaliseError> {
        let (mut tables, mut same) = (TableSection::new(), RoundtripReencoder);
        for (index, mut table) in (0..).zip(std::mem::take(&mut self.tables)) {
            let initial = table.ty.initial;
            let most = table.ty.maximum.unwrap_or(initial + TABLE_GROWTH).min(u64::from(TABLE_ELEMENTS_MAX)).max(initial);
            table.ty.maximum = Some(if grown.contains(&index) { most } else { initial });
            same.parse_table(&mut tables, table)?;
        }
        Ok(tables)
    }

    /// The sections in the order the format asks for.
    fn write(self, tables: &TableSection, code: &CodeSection) -> Vec<u8> {
        let mut module = Module::new();
        let raw = |id: SectionId, data: Option<&'a [u8]>| data.map(|data| RawSection { id: id.into(), data });
        module.section(&self.types);
        if let Some(section) = raw(SectionId::Import, self.imports) {
            module.section(&section);
        }
        let mut functions = FunctionSection::new();
        for ty in &self.functions {
            functions.function(*ty);
        }
        module.section(&functions);
        if !tables.is_empty() {
            module.section(tables);
        }
        if !self.memories.is_empty() {
            module.section(&self.memories);
        }
        module.section(&self.globals).section(&self.exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        if let Some(section) = raw(SectionId::Element, self.elements) {
            module.section(&section);
        }
        if let Some(count) = self.data_count {
            module.section(&DataCountSection { count });
        }
        module.section(code);
        if let Some(section) = raw(SectionId::Data, self.data) {
            module.section(&section);
        }
        module.finish()
    }
}

fn slice<'a>(bytes: &'a [u8], range: &std::ops::Range<u64>) -> Result<&'a [u8], NormaliseError> {
    let at = |n: u64| usize::try_from(n).ok();
    at(range.start)
        .zip(at(range.end))
        .and_then(|(from, to)| bytes.get(from..to))
        .ok_or_else(|| NormaliseError::Invalid("a section outside the module".into()))
}

fn u32_of(count: usize) -> Result<u32, NormaliseError> {
    u32::try_from(count).map_err(|_| NormaliseError::Unsupported("more than 2^32 items"))
}
