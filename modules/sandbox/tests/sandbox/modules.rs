//! Which modules are refused before anything runs, and what their authors are told.

use super::common::{command, echo, finish, guest, load, sandbox, worker};
use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, Config, Sandbox};

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
fn features_outside_the_profile_are_refused() {
    let rows = [
        ("(memory (export \"memory\") 1 1 shared)", ""),
        ("(memory (export \"memory\") i64 1)", ""),
        ("(memory (export \"memory\") 1) (func $f (return_call $f))", ""),
        ("(memory (export \"memory\") 1) (tag $t)", "(throw $t)"),
        ("(memory (export \"memory\") 1)", "(drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))"),
    ];
    for (fields, body) in rows {
        // The helper functions of `guest` do not fit a 64-bit memory.
        let module = text(&format!("(module {fields} (func (export \"_start\") {body}))"));
        assert!(refusal(&module).contains("not valid"), "{fields} {body}");
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
