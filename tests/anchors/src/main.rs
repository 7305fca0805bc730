//! Other engines on the benchmark's kernels: what their ways of ending a guest cost, one JSON object per line.
//!
//! Guarantees: each engine's counted and uncounted runs take turns in one process. Deliberately lacks any use of the project's crates.

use std::sync::Arc;
use std::time::Instant;

use wasmer::sys::{CompilerConfig, Cranelift, CraneliftOptLevel, EngineBuilder};
use wasmer_middlewares::Metering;

const RUNS: usize = 25;
/// Kernels with the rounds that the project's own benchmark runs.
const KERNELS: [(&str, &str, i32); 4] = [
    ("hash", include_str!("../../bench/kernels/hash.wat"), 1_000),
    ("sort", include_str!("../../bench/kernels/sort.wat"), 100),
    ("fib", include_str!("../../bench/kernels/fib.wat"), 150),
    ("switch", include_str!("../../bench/kernels/switch.wat"), 500),
];

type Kernel = Box<dyn FnMut(i32) -> i32>;

fn main() {
    for (name, text, rounds) in KERNELS {
        let module = wat::parse_str(text).expect("a good module");
        let kernels: [(&str, Kernel); 5] = [
            ("wasmtime", in_wasmtime(&module, |_| {})),
            ("wasmtime_fuel", in_wasmtime(&module, |config| _ = config.consume_fuel(true))),
            ("wasmtime_epochs", in_wasmtime(&module, |config| _ = config.epoch_interruption(true))),
            ("wasmer", in_wasmer(&module, false)),
            ("wasmer_metering", in_wasmer(&module, true)),
        ];
        report(name, rounds, kernels);
    }
}

/// Milliseconds of the uncounted runs, and how many times as long the counted ones take.
fn report(kernel: &str, rounds: i32, mut kernels: [(&str, Kernel); 5]) {
    let mut times = vec![Vec::new(); kernels.len()];
    // A kernel goes on where it stopped: each engine's first round is compared.
    let firsts: Vec<i32> = kernels.iter_mut().map(|(_, run)| run(1)).collect();
    assert!(firsts.iter().all(|first| *first == firsts[0]), "all engines agree: {firsts:?}");
    for _ in 0..RUNS {
        for ((_, run), times) in kernels.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            run(rounds);
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    let rows = [
        (format!("anchor_{kernel}_wasmtime_ms"), medians[0], "ms"),
        (format!("anchor_{kernel}_wasmtime_fuel_ratio"), medians[1] / medians[0], "x"),
        (format!("anchor_{kernel}_wasmtime_epochs_ratio"), medians[2] / medians[0], "x"),
        (format!("anchor_{kernel}_wasmer_ms"), medians[3], "ms"),
        (format!("anchor_{kernel}_wasmer_metering_ratio"), medians[4] / medians[3], "x"),
    ];
    for (name, value, unit) in rows {
        println!("{}", serde_json::json!({ "name": name, "value": value, "unit": unit, "n": RUNS }));
    }
}

fn in_wasmtime(module: &[u8], configure: impl FnOnce(&mut wasmtime::Config)) -> Kernel {
    let mut config = wasmtime::Config::new();
    config.cranelift_opt_level(wasmtime::OptLevel::Speed).cranelift_nan_canonicalization(true);
    configure(&mut config);
    let engine = wasmtime::Engine::new(&config).expect("a good configuration");
    let module = wasmtime::Module::from_binary(&engine, module).expect("a good module");
    let mut store = wasmtime::Store::new(&engine, ());
    // Refused where it does not count; where it counts there is enough.
    let _ = store.set_fuel(u64::MAX);
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("it imports nothing");
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run").expect("it exports run");
    Box::new(move |rounds| run.call(&mut store, rounds).expect("it does not trap"))
}

fn in_wasmer(module: &[u8], metered: bool) -> Kernel {
    let mut compiler = Cranelift::new();
    compiler.canonicalize_nans(true);
    compiler.opt_level(CraneliftOptLevel::Speed);
    if metered {
        compiler.push_middleware(Arc::new(Metering::new(u64::MAX, |_| 1)));
    }
    let engine: wasmer::Engine = EngineBuilder::new(compiler).engine().into();
    let module = wasmer::Module::from_binary(&engine, module).expect("a good module");
    let mut store = wasmer::Store::new(engine);
    let instance = wasmer::Instance::new(&mut store, &module, &wasmer::Imports::new()).expect("it imports nothing");
    let run = instance.exports.get_typed_function::<i32, i32>(&store, "run").expect("it exports run");
    Box::new(move |rounds| run.call(&mut store, rounds).expect("it does not trap"))
}
