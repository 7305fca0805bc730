//! One module on both tiers, in this process: how it ends, and how much of the native stack its frames take.
//!
//! Guarantees: engine, meter and native stack are those of a worker. Deliberately lacks imports, a clock and isolation: it runs modules
//! that were made for the purpose.

use wasmer::sys::NativeEngineExt;
use wasmer::sys::vm::TrapCode;
use wasmer::{Engine, Imports, Instance, Module, Store, Value};

use crate::artefact::Tier;
use crate::worker::memory::{Limits, PageLimit};
use crate::{check, engine, normalise};

/// Fuel of a run: some milliseconds.
const FUEL: i64 = 20_000_000;
/// Pages a memory may have.
const PAGES: u32 = 16;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Completed,
    OutOfFuel,
    /// The counted stack ended.
    StackOverflow,
    /// The native stack ended: the counted one does not bound it.
    NativeStack,
    Trapped,
}

/// What a run leaves to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub end: End,
    pub fuel: u64,
    memory: Vec<u8>,
}

/// The same module on the baseline and on the optimised tier; `None` where the profile refuses it.
///
/// # Panics
///
/// When it does not compile or needs imports.
#[must_use]
pub fn both(module: &[u8]) -> Option<[Ended; 2]> {
    check::module(module).ok()?;
    let normal = normalise::module(module).ok()?;
    Some([Tier::Baseline, Tier::Optimised].map(|tier| run(&normal, tier, normalise::DEPTH_UNITS).0))
}

/// How many bytes of native stack stand behind each byte that the meter counts, on both tiers: of a module whose recursion nothing but
/// a stack ends. `None` where the profile refuses it.
///
/// # Panics
///
/// When it does not compile or ends in another way.
#[must_use]
pub fn ratios(module: &[u8]) -> Option<[f64; 2]> {
    let normal = normalise::module(module).ok()?;
    Some([Tier::Baseline, Tier::Optimised].map(|tier| {
        let (ended, left) = run(&normal, tier, i32::MAX);
        assert_eq!(ended.end, End::NativeStack, "{:?}, {left}", ended.fuel);
        engine::STACK_BYTES as f64 / (f64::from(i32::MAX - left) * normalise::UNIT_BYTES as f64)
    }))
}

/// What became of many shapes.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub completed: u64,
    pub out_of_fuel: u64,
    pub stack_overflow: u64,
    /// Refused by the profile: no station runs them.
    pub refused: u64,
    /// Seeds that ended differently on the two tiers, and seeds that ended on one of them as no shape should.
    pub different: Vec<u64>,
    pub wrong: Vec<u64>,
}

impl Tally {
    /// Runs the shapes of these seeds on both tiers.
    pub fn of(seeds: impl IntoIterator<Item = u64>) -> Self {
        let mut tally = Self::default();
        for seed in seeds {
            let Some([baseline, optimised]) = both(&super::shapes::shape(seed)) else {
                tally.refused += 1;
                continue;
            };
            if baseline != optimised {
                tally.different.push(seed);
            }
            match (baseline.end, optimised.end) {
                (End::NativeStack | End::Trapped, _) | (_, End::NativeStack | End::Trapped) => tally.wrong.push(seed),
                (End::Completed, _) => tally.completed += 1,
                (End::OutOfFuel, _) => tally.out_of_fuel += 1,
                (End::StackOverflow, _) => tally.stack_overflow += 1,
            }
        }
        tally
    }
}

/// Also the stack units that were left.
fn run(normal: &[u8], tier: Tier, depth: i32) -> (Ended, i32) {
    let mut engine: Engine = engine::compiler(tier);
    engine.set_tunables(Limits::new(PageLimit::new(PAGES.into())));
    let module = Module::from_binary(&engine, normal).expect("a good module");
    let mut store = Store::new(engine);
    let instance = Instance::new(&mut store, &module, &Imports::new()).expect("it imports nothing");
    let global = |name| instance.exports.get_global(name).expect("the meter's").clone();
    let (fuel, stack) = (global(normalise::FUEL), global(normalise::DEPTH));
    let Value::I64(before) = fuel.get(&mut store) else { panic!("another global") };
    let given = if depth == i32::MAX { i64::MAX } else { FUEL };
    fuel.set(&mut store, Value::I64(given + before)).expect("a mutable i64");
    stack.set(&mut store, Value::I32(depth)).expect("a mutable i32");
    let called = instance.exports.get_function("_start").expect("a command").clone().call(&mut store, &[]);
    let (Value::I64(left), Value::I32(depth)) = (fuel.get(&mut store), stack.get(&mut store)) else { panic!("other globals") };
    let end = match called.map_err(wasmer::RuntimeError::to_trap) {
        Ok(_) => End::Completed,
        Err(Some(TrapCode::StackOverflow)) => End::NativeStack,
        Err(_) if left < 0 => End::OutOfFuel,
        Err(_) if depth < 0 => End::StackOverflow,
        Err(_) => End::Trapped,
    };
    let memory = instance.exports.get_memory("memory").expect("a command").view(&store).copy_to_vec().expect("its bytes");
    (Ended { end, fuel: u64::try_from(given - left.max(0)).unwrap_or(0), memory }, depth)
}
