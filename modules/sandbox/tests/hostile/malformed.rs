//! Cases 37 to 47: what is no module, or not the one it says it is.

use std::fs;
use std::path::{Path, PathBuf};

use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, Config, Sandbox};

use super::arena::{attack, job, refusal};
use super::common::{command, guest, load, told, worker};

const MEMORY: &str = "(memory (export \"memory\") 1)";

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A command, small enough to be spoilt at every byte.
fn small() -> Vec<u8> {
    text("(module (memory (export \"memory\") 1) (func (export \"_start\") (drop (i32.const 1))))")
}

#[test]
fn case_37_a_module_cut_at_every_byte() {
    let module = small();
    attack(|sandbox| {
        assert!(sandbox.compile(&module).is_ok());
        for cut in 0..module.len() {
            refusal(sandbox, &module[..cut]);
        }
    });
}

#[test]
fn case_38_numbers_longer_than_they_may_be() {
    // The length of a custom section in six bytes, in five with bits that mean nothing, and one that reaches beyond the end.
    let lengths: [&[u8]; 3] = [&[0x81, 0x80, 0x80, 0x80, 0x80, 0x00], &[0x81, 0x80, 0x80, 0x80, 0x70], &[0xff, 0xff, 0xff, 0xff, 0x0f]];
    attack(|sandbox| {
        for length in lengths {
            let module = [&b"\0asm\x01\0\0\0\0"[..], length, &[0]].concat();
            assert!(refusal(sandbox, &module).contains("not valid"), "{length:?}");
        }
        // Five bytes for a small number are allowed.
        let mut padded = small();
        padded.extend_from_slice(&[0, 0x81, 0x80, 0x80, 0x80, 0x00, 0]);
        assert_eq!(job(sandbox, &padded, load()).outcome, Outcome::Completed);
    });
}

#[test]
fn case_39_names_that_are_not_utf_8() {
    let mut module = small();
    let at = module.windows(6).position(|window| window == b"_start").unwrap();
    module[at] = 0xff;
    let import = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01\xff\x01a\0\0";
    attack(|sandbox| {
        assert!(refusal(sandbox, &module).contains("not valid"));
        assert!(refusal(sandbox, import).contains("not valid"));
    });
}

#[test]
fn case_40_exports_of_one_name_and_the_names_of_the_meter() {
    attack(|sandbox| {
        let mut twice =
            text("(module (memory (export \"memory\") 1) (func (export \"_start\")) (func (export \"_start2\")) (func (export \"_start3\")))");
        let at = twice.windows(7).position(|window| window == b"_start3").unwrap();
        twice[at + 6] = b'2';
        assert!(refusal(sandbox, &twice).contains("not valid"));
        let named = |name: &str| guest(&format!("{MEMORY} (global (export \"{name}\") (mut i64) (i64.const -1))"), "(call $tell (i32.const 1))");
        for name in ["station_fuel", "station_depth"] {
            assert!(refusal(sandbox, &named(name)).contains("the meter needs"));
        }
        // Another engine's meter has no meaning here.
        let done = job(sandbox, &named("wasmer_metering_remaining_points"), load());
        assert_eq!((done.outcome, done.output), (Outcome::Completed, vec![1, 0, 0, 0]));
        // The meter's globals come after the guest's: it cannot name them.
        let mut reaching =
            text("(module (memory (export \"memory\") 1) (global (mut i64) (i64.const 0)) (func (export \"_start\") (global.set 0 (i64.const 77))))");
        let at = reaching.windows(2).rposition(|window| window == [0x24, 0]).unwrap();
        for index in [1, 2, 3] {
            reaching[at + 1] = index;
            assert!(refusal(sandbox, &reaching).contains("not valid"), "global {index}");
        }
    });
}

#[test]
fn case_41_a_component() {
    attack(|sandbox| assert!(refusal(sandbox, &text("(component)")).contains("component")));
}

#[test]
fn case_42_webassembly_text() {
    attack(|sandbox| {
        for words in [&b"(module)"[..], b"\n ;; a comment\n(module)"] {
            assert!(refusal(sandbox, words).contains("text"));
        }
    });
}

#[test]
fn case_43_machine_code_in_a_modules_place() {
    attack(|sandbox| {
        let header = [&b"WASMER\0\0"[..], &[0; 64]].concat();
        assert!(refusal(sandbox, &header).contains("compiled artefact"));
        // A real one, as it lies in a cache.
        let folder = tempfile::tempdir().unwrap();
        cached(folder.path()).compile(&small()).unwrap();
        let file = fs::read(artefact(folder.path())).unwrap();
        assert!(refusal(sandbox, &file[48..]).contains("not a WebAssembly module"), "{:?}", &file[48..64]);
    });
}

fn cached(folder: &Path) -> Sandbox {
    Sandbox::new(Config { program: worker(), cache_dir: Some(folder.to_owned()) })
}

/// The same without a program to start: only the cache can answer.
fn offline(folder: &Path) -> Sandbox {
    Sandbox::new(Config { program: "/nonexistent".into(), cache_dir: Some(folder.to_owned()) })
}

fn artefacts(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "artefact")).collect()
}

fn artefact(folder: &Path) -> PathBuf {
    artefacts(folder).pop().unwrap()
}

#[test]
fn case_44_a_cache_file_that_is_corrupt_or_from_elsewhere() {
    attack(|_| {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&folder, &elsewhere] {
            cached(folder.path()).compile(&small()).unwrap();
        }
        let file = artefact(folder.path());
        let good = fs::read(&file).unwrap();
        assert!(offline(folder.path()).compile(&small()).is_ok());
        let changed = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 0x80;
            bytes
        };
        let foreign = fs::read(artefact(elsewhere.path())).unwrap();
        let bad = [changed(0), changed(32), changed(good.len() / 2), changed(good.len() - 1), good[..good.len() - 1].to_vec(), Vec::new(), foreign];
        for bytes in bad {
            fs::write(&file, bytes).unwrap();
            assert!(matches!(offline(folder.path()).compile(&small()), Err(CompileError::Failed(_))));
        }
        let sandbox = cached(folder.path());
        assert_eq!(job(&sandbox, &small(), load()).outcome, Outcome::Completed);
        assert!(offline(folder.path()).compile(&small()).is_ok(), "it was compiled anew and kept");
    });
}

#[test]
fn case_45_one_modules_code_under_the_name_of_another() {
    let (one, other) = (command("(call $tell (i32.const 1))"), command("(call $tell (i32.const 2))"));
    attack(|_| {
        let folder = tempfile::tempdir().unwrap();
        cached(folder.path()).compile(&one).unwrap();
        let first = artefact(folder.path());
        cached(folder.path()).compile(&other).unwrap();
        let second = artefacts(folder.path()).into_iter().find(|path| *path != first).unwrap();
        fs::copy(&first, &second).unwrap();
        assert!(offline(folder.path()).compile(&one).is_ok());
        assert!(matches!(offline(folder.path()).compile(&other), Err(CompileError::Failed(_))));
        assert_eq!(told(&job(&cached(folder.path()), &other, load())), [2]);
    });
}

#[test]
fn case_46_a_custom_section_of_a_hundred_megabytes() {
    // Its length in five bytes, and an empty name.
    let with = |bytes: u32| {
        let length = bytes + 1;
        let leb = (0..5).map(|n| u8::try_from(length >> (7 * n) & 0x7f).unwrap() | if n < 4 { 0x80 } else { 0 }).collect::<Vec<_>>();
        let mut module = [small(), vec![0], leb, vec![0]].concat();
        module.resize(module.len() + bytes as usize, 0x55);
        module
    };
    attack(|sandbox| {
        assert!(refusal(sandbox, &with(100 << 20)).contains("16777216 is the most"));
        assert_eq!(job(sandbox, &with(15 << 20), load()).outcome, Outcome::Completed);
    });
}

#[test]
fn case_47_a_start_function_and_imports_of_the_wrong_type() {
    let import =
        |name: &str, ty: &str| text(&format!("(module (import \"wasi_snapshot_preview1\" \"{name}\" {ty}) {MEMORY} (func (export \"_start\")))"));
    attack(|sandbox| {
        assert!(refusal(sandbox, &guest(&format!("{MEMORY} (start $put2) (func $put2)"), "")).contains("start function"));
        for ty in [
            "(func)",
            "(func (param i64 i32 i32 i32) (result i32))",
            "(func (param i32 i32 i32 i32))",
            "(global i32)",
            "(memory 1)",
            "(table 1 funcref)",
        ] {
            assert!(refusal(sandbox, &import("fd_write", ty)).contains("another type"), "{ty}");
        }
    });
}
