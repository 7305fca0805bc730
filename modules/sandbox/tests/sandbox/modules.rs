//! Which modules are refused before anything runs, and what their authors are told.

use super::common::{command, echo, finish, guest, load, sandbox, worker};
use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, Config, Load, Refusal, Sandbox};

fn refusal(module: &[u8]) -> String {
    match sandbox().compile(module) {
        Err(CompileError::BadModule(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn what_is_no_core_module_is_named() {
    assert!(refusal(&text("(component)")).contains("component"));
    assert!(refusal(b"  (module)").contains("text"));
    assert!(refusal(b"WASMER\0\0 and more").contains("compiled artefact"));
    assert!(refusal(b"").contains("not a WebAssembly module"));
    assert!(refusal(b"\x7fELF").contains("not a WebAssembly module"));
}

#[test]
fn unknown_imports_are_named() {
    let import = |module: &str, name: &str, ty: &str| text(&format!("(module (import \"{module}\" \"{name}\" {ty}))"));
    assert!(refusal(&import("env", "launch", "(func)")).contains("imports env.launch, which no station provides"));
    assert!(refusal(&import("wbg", "__wbg_log_1", "(func)")).contains("build for wasm32-wasip1"));
    assert!(refusal(&import("__wbindgen_placeholder__", "__wbindgen_throw", "(func)")).contains("build for wasm32-wasip1"));
    assert!(refusal(&import("station_v1", "close", "(func)")).contains("another type"));
    assert!(refusal(&import("station_v1", "close", "(memory 1)")).contains("another type"));
    assert!(refusal(&import("wasi_snapshot_preview1", "sock_connect", "(func)")).contains("which no station provides"));
}

/// Module, name and type.
type Import = (&'static str, &'static str, &'static str);
/// Imports, what of them is named, and the way out.
type Row = (&'static [Import], &'static str, &'static str);

#[test]
fn whose_names_are_imported_is_told_with_the_way_out() {
    let rows: [Row; 19] = [
        (&[("env", "emscripten_memcpy_js", "(func)")], "env.emscripten_memcpy_js", "-sSTANDALONE_WASM"),
        (&[("env", "__syscall_openat", "(func)")], "env.__syscall_openat", "-sSTANDALONE_WASM"),
        (&[("env", "getTempRet0", "(func)")], "env.getTempRet0", "-sSTANDALONE_WASM"),
        (&[("a", "b", "(func)"), ("a", "a", "(memory 1)")], "a.b", "-sSTANDALONE_WASM"),
        // What tells most is named, wherever it stands.
        (&[("env", "abort", "(func)"), ("env", "invoke_vii", "(func)")], "env.invoke_vii", "-fno-exceptions"),
        (&[("env", "memory", "(memory 1)"), ("env", "_emval_decref", "(func)")], "env._emval_decref", "-sSTANDALONE_WASM"),
        (&[("env", "__cxa_throw", "(func)")], "env.__cxa_throw", "-fno-exceptions"),
        (&[("gojs", "runtime.wasmExit", "(func)")], "gojs.runtime.wasmExit", "GOOS=wasip1"),
        (&[("go", "debug", "(func)")], "go.debug", "GOOS=wasip1"),
        (&[("env", "abort", "(func (param i32 i32 i32 i32))")], "env.abort", "wasi-shim"),
        (&[("env", "seed", "(func (result f64))")], "env.seed", "wasi-shim"),
        (&[("env", "memory", "(memory 1 2 shared)")], "env.memory", "without -pthread"),
        (&[("wasi", "thread-spawn", "(func)")], "wasi.thread-spawn", "without -pthread"),
        (&[("env", "memory", "(memory 1)")], "env.memory", "--import-memory"),
        (&[("wasi_unstable", "fd_write", "(func)")], "wasi_unstable.fd_write", "preview0"),
        (&[("wasi:cli/environment@0.2.0", "get-environment", "(func)")], "wasi:cli/environment@0.2.0.get-environment", "preview2"),
        (&[("wasix_32v1", "fd_dup", "(func)")], "wasix_32v1.fd_dup", "WASIX"),
        (
            &[("wasi_snapshot_preview1", "sched_yield", "(func)"), ("extism:host/env", "input", "(func)")],
            "extism:host/env.input",
            "no station provides",
        ),
        (&[("env", "__cpp_exception", "(tag)")], "it uses exceptions, outside this profile", "build with -fno-exceptions"),
    ];
    for (imports, what, way) in rows {
        let fields = imports.iter().map(|(module, name, ty)| format!("(import \"{module}\" \"{name}\" {ty})")).collect::<String>();
        let refusal = refusal(&text(&format!("(module {fields})")));
        assert!(refusal.contains(what) && refusal.contains(way), "{imports:?}: {refusal}");
    }
    // Hundreds of them are one of these, and not too many.
    let many = (0..548).map(|n| format!("(import \"env\" \"f{n}\" (func))")).collect::<String>();
    let last = "(import \"env\" \"emscripten_resize_heap\" (func))";
    assert!(refusal(&text(&format!("(module {many} {last})"))).contains("it imports env.emscripten_resize_heap from emscripten"));
    assert!(refusal(&text(&format!("(module {many})"))).contains("it imports env.f0, which no station provides"));
    let known = "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))";
    assert!(refusal(&text(&format!("(module {})", known.repeat(65)))).contains("it has 65 imports; 64 is the most"));
}

#[test]
fn the_shape_of_a_command_is_asked_for() {
    let start = "(func (export \"_start\"))";
    let memory = "(memory (export \"memory\") 1)";
    assert!(refusal(&text(&format!("(module {memory})"))).contains("_start"));
    assert!(refusal(&text(&format!("(module {memory} (func (export \"_start\") (param i32)))"))).contains("_start"));
    assert!(refusal(&text(&format!("(module {start})"))).contains("exactly one memory"));
    assert!(refusal(&text(&format!("(module {start} (memory 1))"))).contains("exactly one memory"));
    assert!(refusal(&text(&format!("(module {start} {memory} (memory 1))"))).contains("exactly one memory"));
    assert!(refusal(&text(&format!("(module {start} {memory} (func $s) (start $s))"))).contains("start function"));
    let meter = "(global (export \"station_fuel\") i32 (i32.const 0))";
    assert!(refusal(&text(&format!("(module {start} {memory} {meter})"))).contains("the meter needs"));
}

#[test]
fn features_outside_the_profile_are_refused_by_name() {
    let memory = "(memory (export \"memory\") 1)";
    let rows = [
        ("(memory (export \"memory\") 1 1 shared)", "", "threads", "without -pthread"),
        (memory, "(drop (i32.atomic.load (i32.const 0)))", "threads", "without -pthread"),
        ("(memory (export \"memory\") i64 1)", "", "64-bit memory", "wasm32"),
        ("(memory (export \"memory\") 1) (func $f (return_call $f))", "", "tail calls", "-mno-tail-call"),
        ("(memory (export \"memory\") 1) (tag $t)", "(throw $t)", "exceptions", "-fno-exceptions"),
        (memory, "try catch_all end", "exceptions", "-fno-exceptions"),
        (memory, "(drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))", "relaxed SIMD", "-mno-relaxed-simd"),
        (memory, "(i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) drop drop", "wide arithmetic", "-mno-wide-arithmetic"),
        ("(type (struct)) (memory (export \"memory\") 1)", "", "garbage-collected types", "memory management"),
        (memory, "(drop (ref.i31 (i32.const 0)))", "garbage-collected types", "memory management"),
        ("(type $t (func)) (memory (export \"memory\") 1)", "(call_ref $t (ref.null $t))", "typed function references", ""),
    ];
    for (fields, body, what, way) in rows {
        // The helper functions of `guest` do not fit a 64-bit memory.
        let refusal = refusal(&text(&format!("(module {fields} (func (export \"_start\") {body}))")));
        assert!(refusal.starts_with(&format!("it uses {what}, outside this profile")) && refusal.contains(way), "{fields} {body}: {refusal}");
    }
    // No standard has this.
    assert!(refusal(&command("(i32.const 1)")).starts_with("it is not valid: "));
}

#[test]
fn what_an_instance_needs_is_told_before_a_job_asks_for_less() {
    let sandbox = sandbox();
    let run = |artefact: &_, load| finish(sandbox.open(artefact).unwrap().start(load).unwrap());
    let with = |fields: &str| sandbox.compile(&guest(fields, "")).unwrap();
    // The note's example: 64 MiB and a page.
    let artefact = with("(memory (export \"memory\") 1025)");
    let needs = artefact.needs();
    assert_eq!(needs.memory_bytes, 1_025 << 16);
    let refused = needs.within(64 << 20, u64::MAX).unwrap_err();
    assert_eq!(refused.to_string(), "it needs 64.06 MiB at the start; the limit is 64 MiB");
    for artefact in [artefact, with("(memory (export \"memory\") 2) (table 10 funcref) (data (i32.const 0) \"x\")")] {
        let needs = artefact.needs();
        let load = |memory_bytes, fuel| Load { memory_bytes, fuel, ..load() };
        // Eight for entering `_start` and its end.
        assert_eq!(run(&artefact, load(needs.memory_bytes, needs.fuel + 8)).outcome, Outcome::Completed);
        assert!(needs.within(needs.memory_bytes, needs.fuel).is_ok());
        assert_eq!(run(&artefact, load(needs.memory_bytes - 1, needs.fuel + 8)).outcome, Outcome::BadModule);
        assert!(matches!(needs.within(needs.memory_bytes - 1, 0), Err(Refusal::MemoryAtStart { .. })));
        let starved = run(&artefact, load(needs.memory_bytes, needs.fuel - 1));
        assert_eq!((starved.outcome, starved.fuel), (Outcome::OutOfFuel, needs.fuel - 1));
        let refused = needs.within(needs.memory_bytes, needs.fuel - 1).unwrap_err().to_string();
        assert_eq!(refused, format!("an instance of it takes {} fuel before it runs; the limit is {}", needs.fuel, needs.fuel - 1));
    }
}

#[test]
fn counts_have_limits() {
    let memory = "(memory (export \"memory\") 1)";
    assert!(refusal(&guest(&format!("{memory} (table 1048577 funcref)"), "")).contains("table elements"));
    assert!(refusal(&guest(&format!("{memory} (func (local {}))", "i64 ".repeat(4_097)), "")).contains("locals in one function"));
    assert!(refusal(&guest(&format!("{memory} (func (param {}))", "i64 ".repeat(65)), "")).contains("parameters of one type"));
    assert!(refusal(&command(&("(block ".repeat(1_001) + &")".repeat(1_001)))).contains("nested blocks"));
    assert!(refusal(&command(&"(drop (i32.const 1000000))".repeat(120_000))).contains("bytes in one function"));
    assert!(refusal(&vec![0; (16 << 20) + 1]).contains("16777216 is the most"));
}

#[test]
fn a_module_cut_anywhere_is_refused() {
    let sandbox = sandbox();
    let module = text(
        "(module (import \"station_v1\" \"close\" (func (param i32) (result i32))) (memory (export \"memory\") 1) (func (export \"_start\") (drop (call 0 (i32.const 1)))))",
    );
    assert!(sandbox.compile(&module).is_ok());
    for cut in 0..module.len() {
        assert!(matches!(sandbox.compile(&module[..cut]), Err(CompileError::BadModule(_))), "cut at {cut}");
    }
}

#[test]
fn a_cache_file_that_was_changed_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { program: worker(), cache_dir: Some(folder.path().to_owned()) };
    Sandbox::new(config()).compile(&echo()).unwrap();
    let file =
        std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "artefact")).unwrap();
    let good = std::fs::read(&file).unwrap();

    // With no program to start, only the cache can answer.
    let offline = || Sandbox::new(Config { program: "/nonexistent".into(), ..config() });
    assert!(offline().compile(&echo()).is_ok());
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bad).unwrap();
    assert!(matches!(offline().compile(&echo()), Err(CompileError::Failed(_))));

    let sandbox = Sandbox::new(config());
    let artefact = sandbox.compile(&echo()).unwrap();
    assert_eq!(finish(sandbox.open(&artefact).unwrap().start(load()).unwrap()).outcome, Outcome::Completed);
    assert!(offline().compile(&echo()).is_ok());
}
