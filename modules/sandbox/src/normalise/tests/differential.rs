//! Generated modules: what the normalised one does is what the original does, and the engines count the same fuel and leave
//! the same memory.

use arbitrary::Unstructured;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wasmer::sys::NativeEngineExt;
use wasmer::sys::vm::TrapCode as VmTrap;
use wasmer::{Imports, Value};

use super::*;
use crate::artefact::Tier;
use crate::worker::memory::{Limits, PageLimit};

/// Modules in the short form; `STATION_NORMALISE_MODULES` asks for more.
const MODULES: u64 = 300;
const AMPLE: u64 = 1 << 40;
/// What the original may do before it ends itself; bounds depth, too.
const TERMINATION: u32 = 400;

fn modules() -> u64 {
    std::env::var("STATION_NORMALISE_MODULES").ok().and_then(|n| n.parse().ok()).unwrap_or(MODULES)
}

fn generated(seed: u64) -> Option<wasm_smith::Module> {
    let mut bytes = vec![0; 8_192];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    let config = wasm_smith::Config {
        max_imports: 0,
        min_funcs: 4,
        min_exports: 1,
        max_memory32_bytes: 1 << 20,
        memory_max_size_required: true,
        max_table_elements: 1_000,
        table_max_size_required: true,
        max_tables: 4,
        export_everything: true,
        allow_start_export: false,
        canonicalize_nans: true,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        max_memories: 1,
        ..wasm_smith::Config::default()
    };
    wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()
}

#[test]
fn a_normalised_module_does_what_the_original_does() {
    let (mut compared, mut calls, mut returned, mut trapped) = (0, 0, 0, 0);
    for seed in 0.. {
        if compared == modules() {
            break;
        }
        let Some(mut generated) = generated(seed) else { continue };
        generated.ensure_termination(TERMINATION).unwrap();
        let original = generated.to_bytes();
        let normal = normal(&original);
        let (Some(mut original), Some(mut normal)) = both(&original, &normal, seed) else { continue };
        compared += 1;
        for name in original.functions() {
            let expected = original.call(&name, 1, u64::MAX);
            let (found, fuel) = normal.metered(&name, 1, AMPLE, u64::MAX);
            assert_eq!(found, expected, "seed {seed}, {name}");
            assert_eq!(normal.state(), original.state(), "seed {seed}, after {name}");
            assert!(fuel > 0, "seed {seed}, {name}");
            calls += 1;
            match found {
                Ended::Returned(_) => returned += 1,
                _ => trapped += 1,
            }
        }
    }
    assert!(calls >= compared && returned > calls / 10 && trapped > calls / 100, "{calls} calls, {returned} returned, {trapped} trapped");
}

fn both(original: &[u8], normal: &[u8], seed: u64) -> (Option<Interpreted>, Option<Interpreted>) {
    let (original, normal) = (Interpreted::new(original), Interpreted::new(normal));
    assert_eq!(original.is_some(), normal.is_some(), "seed {seed}");
    (original, normal)
}

#[test]
fn whatever_is_generated_ends_within_steps_its_fuel_pays_for() {
    let mut exhausted = 0;
    for seed in 0..modules() {
        let Some(generated) = generated(seed) else { continue };
        let Some(mut normal) = Interpreted::new(&normal(&generated.to_bytes())) else { continue };
        for name in normal.functions() {
            let (ended, used) = normal.metered(&name, 1, 10_000, 10_000_000);
            assert!(ended != Ended::Unbounded && used <= 10_000, "seed {seed}, {name}: {ended:?}");
            exhausted += u64::from(ended == Ended::OutOfFuel);
        }
    }
    assert!(exhausted > modules() / 10, "{exhausted}");
}

#[test]
fn the_interpreter_and_the_compiler_at_both_levels_count_the_same_fuel() {
    let mut calls = 0;
    for seed in 0..modules() / 3 {
        let Some(mut generated) = generated(seed) else { continue };
        generated.ensure_termination(TERMINATION).unwrap();
        let normal = normal(&generated.to_bytes());
        let Some(mut interpreted) = Interpreted::new(&normal) else { continue };
        let mut compiled = [Tier::Baseline, Tier::Optimised].map(|tier| Compiled::new(&normal, tier));
        for name in interpreted.functions() {
            let (ended, fuel) = interpreted.metered(&name, 1, AMPLE, u64::MAX);
            for compiled in &mut compiled {
                assert_eq!(compiled.metered(&name), (matches!(ended, Ended::Returned(_)), fuel), "seed {seed}, {name}: {ended:?}");
                assert_eq!(compiled.memories(), interpreted.memories(), "seed {seed}, after {name}");
            }
            calls += 1;
        }
    }
    assert!(calls >= modules() / 3, "{calls}");
}

/// Found by seed 6072: an interpreter that reads its own code wrongly at a lane stored far from its address. Both engines, with the meter
/// and without, put it in the same place.
#[test]
fn a_lane_is_stored_beyond_sixteen_bits_of_offset_by_both_engines() {
    let given = text(
        "(module (memory (export \"m\") 2) (func (export \"f\") (local v128)
            (local.set 0 (i16x8.splat (i32.const 7))) (v128.store16_lane offset=70000 3 (i32.const 16) (local.get 0))))",
    );
    let mut expected = vec![0; 2 << 16];
    expected[70_016] = 7;
    let mut original = Interpreted::new(&given).unwrap();
    assert_eq!(original.call("f", 0, u64::MAX), Ended::Returned(vec![]));
    assert_eq!(original.memories(), [("m".to_owned(), expected.clone())]);
    let normal = normal(&given);
    let mut interpreted = Interpreted::new(&normal).unwrap();
    let (ended, fuel) = interpreted.metered("f", 0, AMPLE, u64::MAX);
    assert_eq!((ended, interpreted.memories()), (Ended::Returned(vec![]), original.memories()));
    let mut compiled = Compiled::new(&normal, Tier::Optimised);
    assert_eq!((compiled.metered("f"), compiled.memories()), ((true, fuel), original.memories()));
}

/// A module in the profile's compiler, in this process.
struct Compiled {
    store: wasmer::Store,
    instance: wasmer::Instance,
}

impl Compiled {
    /// On a native stack of a worker's size.
    fn new(bytes: &[u8], tier: Tier) -> Self {
        let mut engine = crate::engine::compiler(tier);
        engine.set_tunables(Limits::new(PageLimit::new((1 << 16).into())));
        let module = wasmer::Module::from_binary(&engine, bytes).unwrap();
        let mut store = wasmer::Store::new(engine);
        let instance = wasmer::Instance::new(&mut store, &module, &Imports::new()).unwrap();
        Self { store, instance }
    }

    /// Whether it returned, and the fuel used.
    fn metered(&mut self, name: &str) -> (bool, u64) {
        let fuel = self.instance.exports.get_global(FUEL).unwrap().clone();
        fuel.set(&mut self.store, Value::I64(i64::try_from(AMPLE).unwrap())).unwrap();
        self.instance.exports.get_global(DEPTH).unwrap().set(&mut self.store, Value::I32(DEPTH_UNITS)).unwrap();
        let function = self.instance.exports.get_function(name).unwrap().clone();
        let mut arguments = function.ty(&self.store).params().iter().map(zero).collect::<Vec<_>>();
        match arguments.first_mut() {
            Some(Value::I32(value)) => *value = 1,
            Some(Value::I64(value)) => *value = 1,
            _ => {}
        }
        let ended = function.call(&mut self.store, &arguments).map(|_| ()).map_err(wasmer::RuntimeError::to_trap);
        assert_ne!(ended, Err(Some(VmTrap::StackOverflow)), "the counted stack ends before the native one");
        let returned = ended.is_ok();
        let Value::I64(left) = fuel.get(&mut self.store) else { panic!("another global") };
        (returned, AMPLE - u64::try_from(left).unwrap())
    }

    fn memories(&self) -> Vec<(String, Vec<u8>)> {
        self.instance.exports.iter().memories().map(|(name, memory)| (name.clone(), memory.view(&self.store).copy_to_vec().unwrap())).collect()
    }
}

fn zero(ty: &wasmer::Type) -> Value {
    match ty {
        wasmer::Type::I32 => Value::I32(0),
        wasmer::Type::I64 => Value::I64(0),
        wasmer::Type::F32 => Value::F32(0.0),
        wasmer::Type::F64 => Value::F64(0.0),
        wasmer::Type::V128 => Value::V128(0),
        wasmer::Type::FuncRef => Value::FuncRef(None),
        wasmer::Type::ExternRef => Value::ExternRef(None),
        wasmer::Type::ExceptionRef => Value::ExceptionRef(None),
    }
}
