//! The normaliser: a valid module in, a module with the same behaviour out that counts its own fuel and its own stack.
//!
//! Guarantees: engine independent and deterministic; the output validates under the same features; no import is added and no index of
//! the guest's changes, because what is injected (two globals, two functions, block types) comes after everything the guest can name.
//! Every cycle, in the control flow or through calls, passes a charge of at least 1; operators that work in proportion to a length pay
//! for the length. Fuel below 0 means that it ran out, depth below 0 that the stack did; both end in `unreachable`, and the host reads
//! which. Custom sections are gone; memories and tables have a maximum.
//! Deliberately lacks validation (the input has passed `check::module`), and the job's own memory limit: one artefact serves jobs with
//! different limits, so that limit is set where the instance's memory is made, below the maximum written here.

mod body;
mod cost;
mod plan;
#[cfg(test)]
mod tests;

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, ExportKind, ExportSection, FunctionSection, GlobalSection, GlobalType, MemorySection, Module,
    RawSection, SectionId, StartSection, TableSection, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, Parser, Payload, TypeRef};

use self::body::{Signature, Signatures};
use crate::check::TABLE_ELEMENTS_MAX;

/// Export name of the fuel that is left, a mutable i64. It starts at 0: nothing runs before the host puts fuel in.
pub(crate) const FUEL: &str = "station_fuel";
/// Export name of the stack that is left, a mutable i32 in units of [`body`]'s weights.
pub(crate) const DEPTH: &str = "station_depth";
/// Stack units a fresh instance has. A unit stands for 8 bytes of frame, so this is 4 MiB by the estimate; `engine::STACK_BYTES` is
/// several times that, since frames are the compiler's choice.
pub(crate) const DEPTH_UNITS: i32 = 1 << 19;

/// Most pages of a memory: all that 32 bits address.
const PAGES_MAX: u64 = 1 << 16;

/// Why a module has no normal form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NormaliseError {
    #[error("it exports {0}, a name the meter needs")]
    Reserved(String),
    #[error("it uses {0}, which is outside the profile")]
    Unsupported(&'static str),
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
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::CodeSectionEntry(body) => bodies.push(body),
            payload => parts.take(payload, bytes)?,
        }
    }
    parts.finish(&bodies)
}

/// The module's sections on their way, and what the injected indices are counted from.
#[derive(Default)]
struct Parts<'a> {
    types: TypeSection,
    signatures: Signatures,
    imports: Option<&'a [u8]>,
    /// Type of each function of the module's own.
    functions: Vec<u32>,
    function_imports: u32,
    global_imports: u32,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    start: Option<u32>,
    elements: Option<&'a [u8]>,
    data_count: Option<u32>,
    data: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn take(&mut self, payload: Payload<'a>, bytes: &'a [u8]) -> Result<(), NormaliseError> {
        let mut same = RoundtripReencoder;
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
                        TypeRef::Func(_) => self.function_imports += 1,
                        TypeRef::Global(_) => self.global_imports += 1,
                        _ => return Err(NormaliseError::Unsupported("an imported memory or table")),
                    }
                }
            }
            Payload::FunctionSection(section) => self.functions = section.into_iter().collect::<Result<_, _>>()?,
            Payload::TableSection(section) => {
                for table in section {
                    let mut table = table?;
                    let limit = u64::from(TABLE_ELEMENTS_MAX).max(table.ty.initial);
                    table.ty.maximum = Some(table.ty.maximum.unwrap_or(limit).min(limit));
                    same.parse_table(&mut self.tables, table)?;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let mut memory = memory?;
                    memory.maximum = Some(memory.maximum.unwrap_or(PAGES_MAX));
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

    fn finish(mut self, bodies: &[wasmparser::FunctionBody<'a>]) -> Result<Vec<u8>, NormaliseError> {
        let functions = self.function_imports + u32_of(self.functions.len())?;
        let globals = self.global_imports + self.globals.len();
        let injected = Injected { fuel: globals, depth: globals + 1, charge: functions, grown: functions + 1 };
        let mut code = CodeSection::new();
        for (ty, body) in self.functions.iter().zip(bodies) {
            code.function(&body::function(body, *ty, &mut self.signatures, injected)?);
        }
        for (ty, function) in body::helpers(&mut self.signatures, injected)? {
            code.function(&function);
            self.functions.push(ty);
        }
        std::mem::take(&mut self.signatures).finish(&mut self.types);
        let number = |val_type| GlobalType { val_type, mutable: true, shared: false };
        self.globals.global(number(ValType::I64), &ConstExpr::i64_const(0));
        self.globals.global(number(ValType::I32), &ConstExpr::i32_const(DEPTH_UNITS));
        self.exports.export(FUEL, ExportKind::Global, injected.fuel);
        self.exports.export(DEPTH, ExportKind::Global, injected.depth);
        Ok(self.write(&code))
    }

    /// The sections in the order the format asks for.
    fn write(self, code: &CodeSection) -> Vec<u8> {
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
        if !self.tables.is_empty() {
            module.section(&self.tables);
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
