//! Two compilers, one result; and when the better code comes.

use super::common::{command, finish, guest, load, sandbox, worker};
use super::vectors::programs;
use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, CompileLimit, Config, Load, Purse, Sandbox, Tier};
use std::sync::Arc;

#[test]
fn both_tiers_put_out_the_same_and_use_the_same_fuel() {
    let sandbox = sandbox();
    for (name, module, input) in programs() {
        let [baseline, optimised] = [Tier::Baseline, Tier::Optimised].map(|tier| {
            let artefact = sandbox.compile_at(&module, tier).unwrap();
            assert_eq!(artefact.tier(), tier);
            finish(sandbox.open(&artefact).unwrap().start(Load { input: input.clone(), ..load() }).unwrap())
        });
        assert_eq!(baseline, optimised, "{name}");
    }
}

/// A guest that never ends, and a load that makes it hot: all of its fuel is charged.
fn hot() -> (Vec<u8>, Load) {
    (command("(loop $again (br $again))"), Load { fuel: u64::MAX, wall_ms: 50, ..load() })
}

#[test]
fn a_module_that_used_fuel_gets_better_code_in_the_background() {
    let sandbox = sandbox();
    let (module, load) = hot();
    let first = sandbox.compile(&module).unwrap();
    assert_eq!(first.tier(), Tier::Baseline);
    sandbox.wait_for_background();
    assert_eq!(sandbox.compile(&module).unwrap().tier(), Tier::Baseline, "it has not been used");
    let mut session = sandbox.open(&first).unwrap();
    assert_eq!(finish(session.start(load).unwrap()).outcome, Outcome::TimedOut);
    // Whoever asks now is not kept waiting; whoever asks later gets it.
    assert_eq!(sandbox.compile(&module).unwrap().tier(), Tier::Baseline);
    sandbox.wait_for_background();
    let better = sandbox.compile(&module).unwrap();
    assert_eq!(better.tier(), Tier::Optimised);
    assert_eq!(finish(sandbox.open(&better).unwrap().start(super::common::load()).unwrap()).outcome, Outcome::OutOfFuel);
}

/// Of somebody whom the station does not know: it can pay, and nobody asks it.
#[derive(Debug)]
struct Stranger;

impl Purse for Stranger {
    fn is_known(&self) -> bool {
        false
    }

    fn could_pay(&self, _: u64) -> bool {
        true
    }

    fn pay(&self, _: u64) -> bool {
        panic!("the module is compiled already")
    }

    fn settle(&self, _: u64, _: u64) {}
}

#[test]
fn a_stranger_has_no_code_made_better_outside_the_queue() {
    let sandbox = sandbox();
    let (module, load) = hot();
    let first = sandbox.compile(&module).unwrap();
    let mut session = sandbox.open(&first).unwrap();
    assert_eq!(finish(session.start(load).unwrap()).outcome, Outcome::TimedOut);
    for _ in 0..2 {
        let wish = sandbox.wish([1; 32], Arc::new(Stranger));
        assert_eq!(sandbox.compile_for(&module, &wish).unwrap().tier(), Tier::Baseline);
        sandbox.wait_for_background();
    }
}

/// A function that does one thing again and again, which an optimiser does once.
fn repetitive() -> Vec<u8> {
    let again = "(local.set $i (i32.xor (local.get $i) (i32.trunc_sat_f64_u (f64.sqrt (local.get $x)))))".repeat(3_000);
    guest(
        &format!("(memory (export \"memory\") 1) (func $again (param $x f64) (result i32) (local $i i32) {again} (local.get $i))"),
        "(call $tell (call $again (f64.const 49)))",
    )
}

#[test]
fn where_baseline_code_is_too_large_optimised_code_is_made_and_does_the_same() {
    let module = repetitive();
    // How much there is, differs between kinds of processors.
    let [optimised, baseline] = [Tier::Optimised, Tier::Baseline].map(|tier| sandbox().compile_at(&module, tier).unwrap().code_bytes());
    assert!(optimised < baseline);
    let room = usize::midpoint(optimised, baseline);
    let folder = tempfile::tempdir().unwrap();
    let config = |program| Config { program, cache_dir: Some(folder.path().to_owned()) };
    let small = Sandbox::with_artefact_limit(config(worker()), room);
    let too_much = Some(CompileError::TooCostly(CompileLimit::MachineCode));
    assert_eq!(small.compile_at(&module, Tier::Baseline).err(), too_much);
    let begun = small.compiles().0;
    let artefact = small.compile(&module);
    // The refusal of the tier alone was remembered for the tier; a sandbox of its own shows what a station does.
    assert_eq!((artefact.err(), small.compiles().0), (too_much.clone(), begun));
    let small = Sandbox::with_artefact_limit(config(worker()), room);
    let artefact = small.compile(&module).unwrap();
    assert_eq!(artefact.tier(), Tier::Optimised);
    let run = |sandbox: &Sandbox, artefact: &_| finish(sandbox.open(artefact).unwrap().start(super::common::load()).unwrap());
    let large = sandbox();
    let baseline = large.compile(&module).unwrap();
    assert_eq!(baseline.tier(), Tier::Baseline);
    assert_eq!(run(&small, &artefact), run(&large, &baseline));
    // Made once, kept as what it is.
    assert_eq!(small.compile(&module).unwrap().tier(), Tier::Optimised);
    assert_eq!(small.compiles().0, 1);
    let offline = Sandbox::with_artefact_limit(config("/nonexistent".into()), room);
    assert_eq!(offline.compile(&module).unwrap().tier(), Tier::Optimised);
    // Where no tier fits, the module is told so, and it is not tried again.
    let none = Sandbox::with_artefact_limit(Config { program: worker(), cache_dir: None }, 1 << 10);
    for _ in 0..2 {
        let refused = none.compile(&module).unwrap_err();
        assert_eq!(refused.to_string(), "compiling it takes more than the 64 MiB of machine code that a station keeps of a module");
        assert_eq!((Some(refused), none.compiles().0), (too_much.clone(), 1));
    }
}

#[test]
fn better_code_is_kept_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let config = |program| Config { program, cache_dir: Some(folder.path().to_owned()) };
    let (module, _) = hot();
    let first = Sandbox::new(config(worker()));
    first.compile(&module).unwrap();
    first.compile_at(&module, Tier::Optimised).unwrap();
    // With no program to start, only the cache can answer.
    let offline = Sandbox::new(config("/nonexistent".into()));
    assert_eq!(offline.compile(&module).unwrap().tier(), Tier::Optimised);
    assert_eq!(offline.compile_at(&module, Tier::Baseline).unwrap().tier(), Tier::Baseline);
}

#[test]
fn a_sandbox_that_goes_ends_what_it_compiles_in_the_background() {
    let sandbox = sandbox();
    // Large enough to be compiled for a while.
    let sum = "(local.set $i (i32.add (i32.mul (local.get $i) (local.get $n)) (i32.const 3)))".repeat(20_000);
    let module = command(&format!("(loop $again (br $again)) {sum}"));
    let artefact = sandbox.compile(&module).unwrap();
    finish(sandbox.open(&artefact).unwrap().start(hot().1).unwrap());
    assert_eq!(sandbox.compile(&module).unwrap().tier(), Tier::Baseline);
    // Returns only when its worker and thread are gone.
    drop(sandbox);
}

#[test]
fn a_reason_of_any_length_is_a_reason() {
    let sandbox = sandbox();
    let reason = |name: &str| {
        let import = format!("(module (import \"env\" \"{name}\" (func)) (memory (export \"memory\") 1) (func (export \"_start\")))");
        match sandbox.compile(&wat::parse_str(import).unwrap()) {
            Err(CompileError::BadModule(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(!reason(&"n".repeat(400)).ends_with('…'));
    for long in ["n".repeat(500), "n".repeat(90_000), "ü".repeat(300), "語".repeat(301), format!("n{}", "語".repeat(301))] {
        let reason = reason(&long);
        assert!(reason.len() <= 512 && reason.len() > 505 && reason.ends_with('…'), "{reason}");
    }
}

#[test]
fn a_module_that_cost_too_much_costs_nothing_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("seccomp");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_station-sandbox-hostile"), &program).unwrap();
    let sandbox = Sandbox::with_compile_limits(Config { program: program.clone(), cache_dir: None }, 64 << 20, 10);
    let first = sandbox.compile(b"hoard").err();
    assert!(matches!(first, Some(CompileError::TooCostly(_))), "{first:?}");
    std::fs::remove_file(program).unwrap();
    assert_eq!(sandbox.compile(b"hoard").err(), first);
    assert!(matches!(sandbox.compile(b"another").err(), Some(CompileError::Failed(_))));
}
