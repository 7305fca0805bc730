//! The engine profile `station-wasm-1`: everything that can change what a pure job puts out or what fuel it uses.
//!
//! Guarantees: features, NaN rule, cost table, table and stack limits stand here (the WASI functions in `worker::wasi`, the static
//! checks in `check`); changing one is a new profile. Deliberately lacks the optimisation level: fuel counts WebAssembly operators, so
//! the level changes neither output nor fuel.

use std::num::NonZero;
use std::sync::Arc;

use wasmer::LocalFunctionIndex;
use wasmer::sys::wasmparser::{Operator, ValType};
use wasmer::sys::{
    CompilerConfig, Cranelift, CraneliftOptLevel, EngineBuilder, Features, FunctionMiddleware, MiddlewareError, MiddlewareReaderState,
    ModuleMiddleware,
};
use wasmer_middlewares::Metering;

/// Name of the profile, in experiments and receipts.
pub const PROFILE: &str = "station-wasm-1";

/// The guest's native stack: deep enough for any compiled language, and part of the process's memory headroom.
pub(crate) const STACK_BYTES: usize = 2 << 20;

/// Locals that cost nothing: what ordinary functions have.
const LOCALS_FREE: usize = 32;
/// Locals that one injected `nop` pays for, so that a nop's cost is a local's.
const LOCALS_PER_NOP: usize = 8;
/// Cost of a `nop`: compilers do not write them; the surcharge for locals is paid with them.
const NOP_COST: u64 = 8;

/// The engine's version: artefacts of another one do not load. A test compares it with the lock file.
const WASMER: &str = "7.4.2";
/// What shapes machine code on our side.
const SOURCES: [&str; 2] = [include_str!("profile.rs"), include_str!("check.rs")];

/// Everything but the module that an artefact depends on.
pub(crate) fn fingerprint() -> String {
    let sources = SOURCES.join("");
    format!("{PROFILE} wasmer {WASMER} {:?} {sources}", wasmer::sys::Target::default())
}

/// Fuel of one operator. At least 1, or a loop could be free; more where one operator is a call into the runtime or touches memory
/// that it names a length for.
fn cost(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Nop => NOP_COST,
        Operator::Call { .. } | Operator::CallIndirect { .. } => 4,
        Operator::MemorySize { .. } | Operator::TableSize { .. } => 10,
        Operator::TableGet { .. } | Operator::TableSet { .. } | Operator::RefFunc { .. } => 10,
        Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => 50,
        Operator::TableFill { .. } | Operator::TableCopy { .. } | Operator::TableInit { .. } => 50,
        Operator::DataDrop { .. } | Operator::ElemDrop { .. } => 50,
        Operator::MemoryGrow { .. } | Operator::TableGrow { .. } => 1_000,
        _ => 1,
    }
}

/// What modules may use. Off: threads, relaxed SIMD, multi-memory, 64-bit memory, exceptions, tail calls, wide arithmetic.
pub(crate) fn features() -> Features {
    let mut features = Features::none();
    features.multi_value(true).bulk_memory(true).reference_types(true).simd(true).extended_const(true);
    features
}

/// An engine that compiles one module: the meter belongs to one module only.
pub(crate) fn compiler() -> wasmer::Engine {
    let mut compiler = Cranelift::new();
    compiler.canonicalize_nans(true);
    compiler.opt_level(CraneliftOptLevel::Speed);
    // One thread, so that the limit on processor time means the same on every machine.
    compiler.num_threads(NonZero::<usize>::MIN);
    compiler.push_middleware(Arc::new(LocalsSurcharge));
    // Nothing may run before the job's fuel is set.
    compiler.push_middleware(Arc::new(Metering::new(0, cost)));
    EngineBuilder::new(compiler).set_features(Some(features())).engine().into()
}

/// An engine that runs what [`compiler`] made.
pub(crate) fn runner() -> wasmer::Engine {
    EngineBuilder::headless().engine().into()
}

/// Charges functions for zeroing their locals, by `nop`s at their start that the meter after it prices.
#[derive(Debug)]
struct LocalsSurcharge;

impl ModuleMiddleware for LocalsSurcharge {
    fn generate_function_middleware<'a>(&self, _: LocalFunctionIndex) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(FunctionSurcharge { nops: 0 })
    }
}

#[derive(Debug)]
struct FunctionSurcharge {
    /// Still to be put before the next operator.
    nops: usize,
}

impl<'a> FunctionMiddleware<'a> for FunctionSurcharge {
    fn locals_info(&mut self, locals: &[ValType]) {
        self.nops = locals.len().saturating_sub(LOCALS_FREE).div_ceil(LOCALS_PER_NOP);
    }

    fn feed(&mut self, operator: Operator<'a>, state: &mut MiddlewareReaderState<'a>) -> Result<(), MiddlewareError> {
        for _ in 0..std::mem::take(&mut self.nops) {
            state.push_operator(Operator::Nop);
        }
        state.push_operator(operator);
        Ok(())
    }
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
