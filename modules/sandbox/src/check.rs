//! The static checks a module passes before anything compiles it.
//!
//! Guarantees: one pass in linear time over the bytes, with every count bounded before it costs; what passes imports only known
//! functions of the known types, has one memory, `_start`, no start function, and validates with exactly the profile's features.
//! Deliberately lacks limits that come from the job: those are kept when the instance is made.

use wasmparser::{
    ConstExpr, DataKind, Element, ElementItems, ElementKind, ExternalKind, Operator, Parser, Payload, TableInit, TypeRef, ValType, Validator,
    WasmFeatures,
};

use crate::{imports, normalise};

mod foreign;
mod sight;
mod size;

pub use foreign::Origin;
pub use sight::{Sight, look};
pub(crate) use size::too_large;

/// Largest module: twice a Go program, and what a station fetches within its time at a slow line.
pub(crate) const MODULE_BYTES_MAX: usize = 16 << 20;
/// Most functions: a Go program has about ten thousand.
pub(crate) const FUNCTIONS_MAX: u32 = 50_000;
/// Largest function body: compile time grows faster than linearly with it.
pub(crate) const BODY_BYTES_MAX: u64 = 512 << 10;
/// Most locals of a function: keeps its frame within what the stack probes step over quickly.
pub(crate) const LOCALS_MAX: u64 = 4_096;
/// Most locals in all.
pub(crate) const LOCALS_TOTAL_MAX: u64 = 500_000;
/// Most parameters of a type: a small type times many functions otherwise makes an enormous artefact.
pub(crate) const PARAMETERS_MAX: usize = 64;
/// Most results of a type.
pub(crate) const RESULTS_MAX: usize = 8;
/// Most types.
pub(crate) const TYPES_MAX: u32 = 10_000;
/// Most imports: preview1 and ours have 52 names.
pub(crate) const IMPORTS_MAX: u32 = 64;
/// Most tables.
pub(crate) const TABLES_MAX: u32 = 4;
/// Most elements of a table, at the start and later; 8 MiB of ours.
pub(crate) const TABLE_ELEMENTS_MAX: u32 = 1 << 20;
/// Most globals.
pub(crate) const GLOBALS_MAX: u32 = 10_000;
/// Most data and element segments, each kind: Go's linker leaves out zeros, so a small program of it has 24,484.
pub(crate) const SEGMENTS_MAX: u32 = 100_000;
/// Most elements of all segments together, as many as of one table: each is a reference in the instance.
pub(crate) const ELEMENTS_MAX: u64 = TABLE_ELEMENTS_MAX as u64;
/// Most parameters and results of all imports and exports together, by [`Counts::size`]: the parser bounds them itself, and our own exports come
/// on top.
pub(crate) const TYPE_SIZE_MAX: u64 = 900_000;
/// Most pages of a memory: one less than half of what 32 bits address. Above that the engine traps where the specification does not.
pub(crate) const PAGES_MAX: u64 = (1 << 15) - 1;
/// Longest constant expression: a sum of a few globals has a tenth of it.
pub(crate) const CONSTANT_BYTES_MAX: u64 = 256;
/// Most loops around an operator times locals of the function: each loop may merge each local, and compiling that takes more than linear
/// time. A large interpreter has five loops around 500 locals.
pub(crate) const LOOP_LOCALS_MAX: u64 = 20_000;
/// The same for all functions, of which only those with more than [`LOOP_LOCALS_FREE`] count.
pub(crate) const LOOP_LOCALS_TOTAL_MAX: u64 = 200_000;
/// What ordinary functions have.
pub(crate) const LOOP_LOCALS_FREE: u64 = 1_000;
/// Most targets of all `br_table`s: compile time of one is quadratic in bad cases.
pub(crate) const BRANCH_TARGETS_MAX: u64 = 200_000;
/// Deepest nesting of blocks: our compiler keeps a frame for each.
pub(crate) const NESTING_MAX: u32 = 1_000;
/// Names the meter exports under; a guest's own would hide them.
const METER_NAMES: [&str; 2] = [normalise::FUEL, normalise::DEPTH];

/// Why a module is not one that this profile runs. The text is for its author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `custom`: bytes of custom sections, where it would fit without them.
    #[error("the module has {bytes} bytes; {MODULE_BYTES_MAX} is the most{}", size::hint(*custom))]
    TooLarge { bytes: usize, custom: Option<usize> },
    #[error("this is a WebAssembly component; stations run core modules: build for wasm32-wasip1, not wasip2")]
    Component,
    #[error("this is WebAssembly text; assemble it first")]
    Text,
    #[error("this is a compiled artefact; stations take WebAssembly only")]
    Compiled,
    #[error("this is not a WebAssembly module")]
    NotWasm,
    #[error("it imports {module}.{name}{origin}")]
    UnknownImport { module: String, name: String, origin: Origin },
    #[error("it imports {0}.{1} with another type than that function has")]
    ImportType(String, String),
    #[error("it has {count} {what}; {most} is the most")]
    TooMany { what: &'static str, count: u64, most: u64 },
    #[error("it has a start function; a command exports _start instead")]
    StartFunction,
    #[error("it must have exactly one memory of its own and export it as `memory`")]
    Memory,
    #[error("it exports no function _start without parameters and results: build a command, not a library")]
    NoStart,
    #[error("it exports {0}, a name the meter needs")]
    MeterName(String),
    /// `hint` says how to do without, or nothing.
    #[error("it uses {what}, outside this profile{hint}")]
    Feature { what: &'static str, hint: &'static str },
    #[error("it is not valid: {0}")]
    Invalid(String),
    /// Of a job's limits and not of the profile.
    #[error("it needs {}", size::needed(*needs, *limit))]
    MemoryAtStart { needs: u64, limit: u64 },
    /// The same.
    #[error("an instance of it takes {needs} fuel before it runs; the limit is {limit}")]
    FuelAtStart { needs: u64, limit: u64 },
}

/// The profile's features, once for validation here; `engine::features` is the same for the compiler.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::FLOATS
        | WasmFeatures::GC_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::SIMD
        | WasmFeatures::EXTENDED_CONST
}

/// Checks everything that does not need the compiler.
pub(crate) fn module(bytes: &[u8]) -> Result<(), Refusal> {
    header(bytes)?;
    sections(bytes).map_err(|refusal| match refusal {
        Refusal::Invalid(_) => foreign::feature(bytes).unwrap_or(refusal),
        refusal => refusal,
    })
}

fn sections(bytes: &[u8]) -> Result<(), Refusal> {
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(bytes) {
        counts.payload(payload.map_err(invalid)?)?;
    }
    counts.finish()?;
    Validator::new_with_features(features()).validate_all(bytes).map_err(invalid)?;
    Ok(())
}

fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::Invalid(error.to_string())
}

/// Tells apart what people send by mistake.
fn header(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() > MODULE_BYTES_MAX {
        return Err(too_large(bytes));
    }
    match bytes {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', _, _, 1, _, ..] => Err(Refusal::Component),
        [b'W', b'A', b'S', b'M', b'E', b'R', ..] => Err(Refusal::Compiled),
        _ if bytes.trim_ascii_start().starts_with(b"(") || bytes.trim_ascii_start().starts_with(b";;") => Err(Refusal::Text),
        _ => Err(Refusal::NotWasm),
    }
}

fn at_most(what: &'static str, count: u64, most: u64) -> Result<(), Refusal> {
    if count > most { Err(Refusal::TooMany { what, count, most }) } else { Ok(()) }
}

/// What one pass collects. `types` and `functions` hold what `_start` and the imports are looked up in.
#[derive(Default)]
struct Counts {
    /// Parameters and results; `None` where a type has others than numbers.
    types: Vec<Option<(String, String)>>,
    /// Type of each function, imported ones first.
    functions: Vec<u32>,
    /// How many of these are imported, and how many bodies came.
    imported: usize,
    bodies: usize,
    /// Parameters of each type, and these with its results.
    parameters: Vec<u64>,
    values: Vec<u64>,
    /// Of imports and exports so far.
    type_size: u64,
    locals: u64,
    branch_targets: u64,
    elements: u64,
    loop_locals: u64,
    memories: u32,
    memory_exported: bool,
    start_exported: bool,
}

impl Counts {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::TypeSection(section) => {
                at_most("types", section.count().into(), TYPES_MAX.into())?;
                for ty in section.into_iter_err_on_gc_types() {
                    let ty = ty.map_err(invalid)?;
                    at_most("parameters of one type", ty.params().len() as u64, PARAMETERS_MAX as u64)?;
                    at_most("results of one type", ty.results().len() as u64, RESULTS_MAX as u64)?;
                    self.parameters.push(ty.params().len() as u64);
                    self.values.push((ty.params().len() + ty.results().len()) as u64);
                    self.types.push(letters(ty.params()).zip(letters(ty.results())));
                }
            }
            Payload::ImportSection(section) => {
                // Names before counts: who imports hundreds imports somebody else's, and wants to know whose.
                foreign::import(section.clone())?;
                at_most("imports", section.count().into(), IMPORTS_MAX.into())?;
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    at_most("imports", self.functions.len() as u64 + 1, IMPORTS_MAX.into())?;
                    let ty = self.import(import.module, import.name, import.ty)?;
                    self.functions.push(ty);
                    self.size(Some(ty))?;
                }
                self.imported = self.functions.len();
            }
            Payload::FunctionSection(section) => {
                at_most("functions", section.count().into(), FUNCTIONS_MAX.into())?;
                for ty in section {
                    self.functions.push(ty.map_err(invalid)?);
                }
            }
            Payload::TableSection(section) => {
                at_most("tables", section.count().into(), TABLES_MAX.into())?;
                for table in section {
                    let table = table.map_err(invalid)?;
                    at_most("table elements", table.ty.initial, TABLE_ELEMENTS_MAX.into())?;
                    if let TableInit::Expr(expression) = &table.init {
                        constant(expression)?;
                    }
                }
            }
            Payload::MemorySection(section) => {
                self.memories = section.count();
                for memory in section {
                    at_most("pages of memory at the start", memory.map_err(invalid)?.initial, PAGES_MAX)?;
                }
            }
            payload @ (Payload::GlobalSection(_) | Payload::ElementSection(_) | Payload::DataSection(_)) => self.initial(payload)?,
            Payload::ExportSection(section) => {
                at_most("exports", section.count().into(), FUNCTIONS_MAX.into())?;
                for export in section {
                    let export = export.map_err(invalid)?;
                    self.export(export.name, export.kind, export.index)?;
                }
            }
            Payload::StartSection { .. } => return Err(Refusal::StartFunction),
            Payload::CodeSectionEntry(body) => self.body(&body)?,
            _ => {}
        }
        Ok(())
    }

    /// What an instance begins with.
    fn initial(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::GlobalSection(section) => {
                at_most("globals", section.count().into(), GLOBALS_MAX.into())?;
                for global in section {
                    constant(&global.map_err(invalid)?.init_expr)?;
                }
            }
            Payload::ElementSection(section) => {
                at_most("element segments", section.count().into(), SEGMENTS_MAX.into())?;
                for segment in section {
                    self.segment(segment.map_err(invalid)?)?;
                }
            }
            Payload::DataSection(section) => {
                at_most("data segments", section.count().into(), SEGMENTS_MAX.into())?;
                for segment in section {
                    if let DataKind::Active { offset_expr, .. } = segment.map_err(invalid)?.kind {
                        constant(&offset_expr)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn segment(&mut self, segment: Element<'_>) -> Result<(), Refusal> {
        if let ElementKind::Active { offset_expr, .. } = &segment.kind {
            constant(offset_expr)?;
        }
        self.elements += match segment.items {
            ElementItems::Functions(items) => u64::from(items.count()),
            // The engine keeps functions alone: on `table.init` of anything else it would end the process.
            ElementItems::Expressions(ty, _) if !ty.is_func_ref() => {
                return Err(Refusal::Feature { what: "element segments of externref", hint: "" });
            }
            ElementItems::Expressions(_, items) => {
                let count = u64::from(items.count());
                at_most("elements of segments", self.elements + count, ELEMENTS_MAX)?;
                items.into_iter().try_for_each(|item| constant(&item.map_err(invalid)?))?;
                count
            }
        };
        at_most("elements of segments", self.elements, ELEMENTS_MAX)
    }

    /// The type of a known import.
    fn import(&self, module: &str, name: &str, ty: TypeRef) -> Result<u32, Refusal> {
        let other = || Refusal::ImportType(module.to_owned(), name.to_owned());
        let (parameters, returns) = imports::signature(module, name).ok_or_else(other)?;
        let results = if returns { "i" } else { "" };
        match ty {
            TypeRef::Func(index) if self.is_type(index, parameters, results) => Ok(index),
            _ => Err(other()),
        }
    }

    fn is_type(&self, index: u32, parameters: &str, results: &str) -> bool {
        matches!(self.types.get(index as usize), Some(Some((p, r))) if p == parameters && r == results)
    }

    /// Counts an import or export: a function of this type, or anything else.
    fn size(&mut self, function: Option<u32>) -> Result<(), Refusal> {
        let values = |ty: u32| self.values.get(ty as usize).copied().unwrap_or(0);
        self.type_size += function.map_or(1, |ty| 2 + values(ty));
        at_most("parameters and results of imports and exports", self.type_size, TYPE_SIZE_MAX)
    }

    fn export(&mut self, name: &str, kind: ExternalKind, index: u32) -> Result<(), Refusal> {
        self.size(self.functions.get(index as usize).copied().filter(|_| kind == ExternalKind::Func))?;
        match name {
            "memory" => self.memory_exported = kind == ExternalKind::Memory,
            "_start" => {
                let ty = self.functions.get(index as usize).copied();
                self.start_exported = kind == ExternalKind::Func && ty.is_some_and(|ty| self.is_type(ty, "", ""));
            }
            name if METER_NAMES.contains(&name) => return Err(Refusal::MeterName(name.to_owned())),
            _ => {}
        }
        Ok(())
    }

    fn body(&mut self, body: &wasmparser::FunctionBody<'_>) -> Result<(), Refusal> {
        let range = body.range();
        at_most("bytes in one function", range.end - range.start, BODY_BYTES_MAX)?;
        let mut locals = 0_u64;
        for group in body.get_locals_reader().map_err(invalid)? {
            locals += u64::from(group.map_err(invalid)?.0);
            at_most("locals in one function", locals, LOCALS_MAX)?;
        }
        self.locals += locals;
        self.bodies += 1;
        at_most("locals", self.locals, LOCALS_TOTAL_MAX)?;
        let loops = self.operators(body)?;
        let loop_locals = loops * (locals + self.parameters());
        at_most("nested loops times locals in one function", loop_locals, LOOP_LOCALS_MAX)?;
        if loop_locals > LOOP_LOCALS_FREE {
            self.loop_locals += loop_locals;
        }
        at_most("nested loops times locals in all large functions", self.loop_locals, LOOP_LOCALS_TOTAL_MAX)
    }

    /// Parameters of the function whose body came last.
    fn parameters(&self) -> u64 {
        let ty = self.functions.get(self.imported + self.bodies - 1).map(|ty| *ty as usize);
        ty.and_then(|ty| self.parameters.get(ty)).copied().unwrap_or(0)
    }

    /// Counts what costs the compiler; how many loops are around one operator at most.
    fn operators(&mut self, body: &wasmparser::FunctionBody<'_>) -> Result<u64, Refusal> {
        // Of each block, whether it is a loop.
        let mut blocks = Vec::new();
        let (mut loops, mut most) = (0_u64, 0);
        for operator in body.get_operators_reader().map_err(invalid)? {
            match operator.map_err(invalid)? {
                operator @ (Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. }) => {
                    let is_loop = matches!(operator, Operator::Loop { .. });
                    blocks.push(is_loop);
                    at_most("nested blocks", blocks.len() as u64, NESTING_MAX.into())?;
                    loops += u64::from(is_loop);
                    most = most.max(loops);
                }
                Operator::End => loops -= u64::from(blocks.pop().unwrap_or(false)),
                Operator::BrTable { targets } => {
                    self.branch_targets += u64::from(targets.len());
                    at_most("branch table targets", self.branch_targets, BRANCH_TARGETS_MAX)?;
                }
                _ => {}
            }
        }
        Ok(most)
    }

    fn finish(&self) -> Result<(), Refusal> {
        if self.memories != 1 || !self.memory_exported {
            return Err(Refusal::Memory);
        }
        if self.start_exported { Ok(()) } else { Err(Refusal::NoStart) }
    }
}

fn constant(expression: &ConstExpr<'_>) -> Result<(), Refusal> {
    let range = expression.get_binary_reader().range();
    at_most("bytes in a constant expression", range.end - range.start, CONSTANT_BYTES_MAX)
}

/// A type's values as letters, `None` when one is neither i32 nor i64: such a type fits no import.
fn letters(types: &[ValType]) -> Option<String> {
    types
        .iter()
        .map(|ty| match ty {
            ValType::I32 => Some('i'),
            ValType::I64 => Some('I'),
            _ => None,
        })
        .collect()
}
