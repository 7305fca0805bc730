//! Cases 27 to 36: modules that want the compiler's time and memory.
//!
//! A small one compiles; a large one is refused before it is compiled, or ends with the name of the limit that it reached.

use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, CompileLimit, Config, Sandbox};

use super::arena::{attack, job, module, refusal};
use super::common::{command, finish, guest, load, worker};

const MEMORY: &str = "(memory (export \"memory\") 1)";

/// Compiles it as the product does, and runs it.
fn compiles(module: &[u8]) {
    attack(|sandbox| assert_eq!(job(sandbox, module, load()).outcome, Outcome::Completed));
}

/// Compiles it with a second of processor time: that is enough, or the limit has its name. Either way the next job runs.
fn is_bounded(module: &[u8]) {
    use CompileLimit::{ProcessorTime, WallTime};
    attack(|_| {
        let sandbox = Sandbox::with_compile_limits(Config { program: worker(), cache_dir: None }, 704 << 20, 1);
        match sandbox.compile(module) {
            Ok(artefact) => assert_eq!(finish(sandbox.open(&artefact).unwrap().start(load()).unwrap()).outcome, Outcome::Completed),
            // Which one comes first on a busy machine is luck.
            Err(error) => assert!(matches!(error, CompileError::TooCostly(ProcessorTime | WallTime)), "{error:?}"),
        }
    });
}

#[test]
fn case_27_fifteen_thousand_blocks_that_each_set_a_local() {
    compiles(&command(&"(block (local.set $i (i32.add (local.get $i) (local.get $n))))".repeat(15_000)));
}

#[test]
fn case_28_twenty_thousand_empty_loops() {
    compiles(&command(&"(loop)".repeat(1_000)));
    // Three bytes each: `loop`, no result, `end`. The compiler's time grows with their square, so that what fits one function is bounded
    // by its time alone, and by that on any machine; its memory grows with their number, and with few of them does not end it first.
    let loops = |count: usize| module(&[(0, [0x03, 0x40, 0x0b].repeat(count))]);
    is_bounded(&loops(20_000));
    attack(|_| {
        let sandbox = Sandbox::with_compile_limits(Config { program: worker(), cache_dir: None }, 704 << 20, 1);
        let ended = sandbox.compile(&loops(60_000)).map(|_| ());
        assert!(matches!(ended, Err(CompileError::TooCostly(CompileLimit::ProcessorTime | CompileLimit::WallTime))), "{ended:?}");
    });
}

#[test]
fn case_29_many_values_that_live_across_many_branches() {
    let locals = 200;
    let sets = (0..locals).map(|n| format!("(local.set {n} (i32.add (local.get {}) (local.get $i)))", (n * 7 + 3) % locals)).collect::<String>();
    let arms = format!("(if (local.get $i) (then {sets}) (else (local.set $i (i32.const 1))))").repeat(20);
    let module = guest(&format!("{MEMORY} (func $f (param $i i32) (local {}) {arms})", "i32 ".repeat(locals)), "(call $f (i32.const 1))");
    compiles(&module);
}

#[test]
fn case_30_branch_tables_with_very_many_targets() {
    let table = |targets: usize| format!("(block (block (br_table {} (local.get $i))))", "0 1 ".repeat(targets / 2));
    let large = guest(&format!("{MEMORY} (func (param $i i32) {})", table(200_002)), "");
    attack(|sandbox| assert!(refusal(sandbox, &large).contains("branch table targets")));
    // Rows of 256: the shape of which 256 once took a compiler minutes.
    compiles(&guest(&format!("{MEMORY} (func (param $i i32) {})", table(256).repeat(32)), ""));
}

#[test]
fn case_31_one_function_of_seven_megabytes() {
    // A constant of one byte, and dropping it.
    let module = module(&[(0, [0x41, 0x00, 0x1a].repeat(2_500_000))]);
    assert!(module.len() > 7_000_000);
    attack(|sandbox| assert!(refusal(sandbox, &module).contains("bytes in one function")));
}

#[test]
fn case_32_a_type_with_very_many_parameters_times_very_many_functions() {
    let with = |parameters: usize, functions: usize| {
        let ty = format!("(type $t (func (param {})))", "i64 ".repeat(parameters));
        guest(&format!("{ty} {MEMORY} {}", "(func (type $t))".repeat(functions)), "")
    };
    attack(|sandbox| assert!(refusal(sandbox, &with(1_000, 50_000)).contains("parameters of one type")));
    compiles(&with(64, 2_000));
}

#[test]
fn case_33_a_million_functions() {
    // Written by hand, because the text of it would be large: types, a million functions of type 0, and nothing else.
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".to_vec();
    // The count in three bytes, and a byte for each.
    module.extend_from_slice(&[0x03, 0xc3, 0x84, 0x3d, 0xc0, 0x84, 0x3d]);
    module.resize(module.len() + 1_000_000, 0);
    attack(|sandbox| assert!(refusal(sandbox, &module).contains("it has 1000000 functions")));
}

#[test]
fn case_34_very_many_divisions() {
    let divisions = "(local.set $a (i64.rem_s (local.get $a) (local.get $b)))".repeat(20_000);
    compiles(&guest(&format!("{MEMORY} (func $f (param $a i64) (param $b i64) {divisions})"), "(call $f (i64.const 9) (i64.const 5))"));
}

#[test]
fn case_35_very_many_locals_in_very_many_functions() {
    let with = |locals: u32, functions: usize| module(&vec![(locals, Vec::new()); functions]);
    attack(|sandbox| {
        assert!(refusal(sandbox, &with(50_000, 20)).contains("locals in one function"));
        assert!(refusal(sandbox, &with(4_096, 123)).contains("locals; 500000 is the most"));
    });
    is_bounded(&with(4_096, 122));
}

#[test]
fn case_36_more_machine_code_than_the_compiler_has_time_for() {
    // The larger of two locals by the smaller, 60,000 times, in thirty functions: 13 MB, and several times that in machine code.
    let body = [0x20, 0x00, 0x20, 0x01, 0x81, 0x21, 0x00].repeat(60_000);
    let module = module(&vec![(2, body); 30]);
    attack(|_| {
        let sandbox = Sandbox::with_compile_limits(Config { program: worker(), cache_dir: None }, 704 << 20, 1);
        assert!(matches!(sandbox.compile(&module), Err(CompileError::TooCostly(CompileLimit::ProcessorTime | CompileLimit::WallTime))));
    });
}

#[test]
fn case_37_loops_within_loops_times_locals() {
    let with = |loops: usize, locals: usize| {
        let sets = (0..locals).map(|n| format!("(local.set {n} (i32.add (local.get {n}) (i32.const 1)))")).collect::<String>();
        let (open, close) = ("(loop ".repeat(loops), "(br_if 0 (local.get 0)))".repeat(loops));
        guest(&format!("{MEMORY} (func (local {}) {open} {sets} {close})", "i32 ".repeat(locals)), "")
    };
    attack(|sandbox| assert!(refusal(sandbox, &with(990, 64)).contains("nested loops times locals in one function")));
    compiles(&with(10, 400));
}

#[test]
fn case_38_sixteen_thousand_choices_in_a_function_that_calls_nothing() {
    // Each sets one local on both ways; the meter charges on each.
    let choice =
        "(if (local.get 0) (then (local.set 1 (i32.add (local.get 1) (i32.const 3)))) (else (local.set 1 (i32.mul (local.get 1) (i32.const 5)))))";
    let module = guest(&format!("{MEMORY} (func (param i32) (local i32) {})", choice.repeat(16_000)), "");
    attack(|_| {
        let sandbox = Sandbox::with_compile_limits(Config { program: worker(), cache_dir: None }, 704 << 20, 300);
        let compiled = sandbox.compile(&module).map(|_| ());
        assert!(compiled.is_ok(), "{compiled:?}");
    });
}
