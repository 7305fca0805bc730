//! PROFILE.md's vectors: modules for each of its rules, and what both tiers make of them.
//!
//! `STATION_BLESS=1 cargo test -p station-sandbox --test sandbox profile` writes the file anew. Only new vectors may appear in it: where the outcome,
//! output or fuel of one changes, that is a new profile with a file of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, Done, HostCall, Load, PROFILE, Reply, Sandbox, Step, Tier};

use super::common::{sandbox, told};

mod calls;
mod code;
mod worlds;

const PAGE: &str = include_str!("../../PROFILE.md");

/// A module, what it is given, and the section of the page that it is about.
struct Case {
    rule: &'static str,
    name: &'static str,
    wat: String,
    load: Load,
}

/// A case with the usual limits.
fn case(rule: &'static str, name: &'static str, wat: impl Into<String>) -> Case {
    let load = Load { input: Vec::new(), fuel: 1_000_000, memory_bytes: 1 << 20, wall_ms: 60_000, output_bytes: 4_096, pure: Some([7; 32]) };
    Case { rule, name, wat: wat.into(), load }
}

impl Case {
    fn fuel(mut self, fuel: u64) -> Self {
        self.load.fuel = fuel;
        self
    }

    fn memory(mut self, bytes: u64) -> Self {
        self.load.memory_bytes = bytes;
        self
    }

    fn output(mut self, bytes: u64) -> Self {
        self.load.output_bytes = bytes;
        self
    }

    fn input(mut self, input: &[u8]) -> Self {
        self.load.input = input.to_vec();
        self
    }
}

/// The smallest command with this body of `_start`, and these fields before it.
fn plain(fields: &str, body: &str) -> String {
    format!("(module (memory (export \"memory\") 1) {fields} (func (export \"_start\") {body}))")
}

/// The same with `$tell`, which puts out four bytes, and these imports. What it uses of the memory begins at 65,000.
fn telling(imports: &str, fields: &str, body: &str) -> String {
    format!(
        "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $fd_write (param i32 i32 i32 i32) (result i32))) {imports}
 (memory (export \"memory\") 1) {fields}
 (func $tell (param i32) (i32.store (i32.const 65000) (i32.const 65008)) (i32.store (i32.const 65004) (i32.const 4))
  (i32.store (i32.const 65008) (local.get 0)) (drop (call $fd_write (i32.const 1) (i32.const 65000) (i32.const 1) (i32.const 65012))))
 (func (export \"_start\") {body}))"
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How the module ends. Progress is answered 0; a module that is refused has an outcome too.
fn run(sandbox: &Sandbox, module: &[u8], load: Load, tier: Tier) -> Done {
    let artefact = match sandbox.compile_at(module, tier) {
        Ok(artefact) => artefact,
        Err(CompileError::BadModule(_)) => return Done { outcome: Outcome::BadModule, output: Vec::new(), log: Vec::new(), fuel: 0 },
        Err(error) => panic!("{error}"),
    };
    let mut session = sandbox.open(&artefact).unwrap();
    let mut step = session.start(load).unwrap();
    loop {
        match step {
            Step::Done(done) => return done,
            Step::Call(HostCall::Progress { .. }) => step = session.step(Reply::Number(0)).unwrap(),
            Step::Call(call) => panic!("{call:?}"),
        }
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("vectors/{PROFILE}.json"))
}

fn cases() -> Vec<Case> {
    [code::cases(), calls::cases(), worlds::cases()].into_iter().flatten().collect()
}

fn vector(sandbox: &Sandbox, case: &Case) -> Value {
    let module = wat::parse_str(&case.wat).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let [baseline, optimised] = [Tier::Baseline, Tier::Optimised].map(|tier| run(sandbox, &module, case.load.clone(), tier));
    assert_eq!(baseline, optimised, "{}", case.name);
    json!({
        "name": case.name,
        "rule": case.rule,
        "wat": case.wat,
        "module": hex(&module),
        "input": hex(&case.load.input),
        "seed": hex(&case.load.pure.unwrap()),
        "limits": { "fuel": case.load.fuel, "memory_bytes": case.load.memory_bytes, "output_bytes": case.load.output_bytes },
        "outcome": baseline.outcome,
        "output": hex(&baseline.output),
        "fuel": baseline.fuel,
    })
}

#[test]
fn the_vectors_of_the_page_are_what_both_tiers_do() {
    let path = file();
    let sandbox = sandbox();
    let vectors = cases().iter().map(|case| vector(&sandbox, case)).collect::<Vec<_>>();
    if std::env::var_os("STATION_BLESS").is_some() {
        // One vector a line: a difference then names its vector.
        let lines = vectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(",\n");
        std::fs::write(path, format!("[\n{lines}\n]\n")).unwrap();
        return;
    }
    let kept: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (kept, found) in kept.iter().zip(&vectors) {
        assert_eq!(kept, found, "what pure jobs put out or use has changed: that is a new profile");
    }
    assert_eq!(kept.len(), vectors.len());
}

#[test]
fn every_section_of_the_page_has_vectors_and_every_outcome_and_trap_one() {
    let cases = cases();
    let rules = cases.iter().map(|case| case.rule).collect::<BTreeSet<_>>();
    let headings =
        PAGE.lines().filter_map(|line| Some(line.strip_prefix("### ").or(line.strip_prefix("## "))?.trim_matches('`'))).collect::<BTreeSet<_>>();
    // These have their rules in the sections below them, or are about the file.
    let others = BTreeSet::from(["Fuel", "Imports", "Vectors"]);
    assert_eq!(rules, headings.difference(&others).copied().collect());
    let names = cases.iter().map(|case| case.name).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), cases.len(), "names are different");
    let kept = std::fs::read_to_string(file()).unwrap();
    for line in PAGE.lines().filter(|line| line.starts_with("| `")) {
        let word = line.trim_start_matches("| `").split('`').next().unwrap();
        if PAGE.contains("| outcome | when | fuel |") && is_end(word) {
            let word = word.trim_matches(['{', '}']).split(':').next().unwrap();
            assert!(kept.contains(&format!("\"{word}\"")), "no vector ends as {word}");
        }
    }
}

/// Whether a row of the page is one of an outcome or a trap.
fn is_end(word: &str) -> bool {
    let ends = PAGE.split("| outcome | when | fuel |").nth(1).and_then(|rest| rest.split("Three other outcomes").next()).unwrap();
    ends.contains(&format!("\n| `{word}` |"))
}

#[test]
fn a_dagger_in_the_page_is_the_price_of_a_host_call() {
    let sandbox = sandbox();
    let fuel = |import: &str, call: &str| {
        let module = wat::parse_str(format!("(module {import} (memory (export \"memory\") 1) (func (export \"_start\") {call}))")).unwrap();
        let load = case("", "", "").load;
        let mut session = sandbox.open(&sandbox.compile(&module).unwrap()).unwrap();
        let mut step = session.start(load).unwrap();
        loop {
            match step {
                Step::Done(done) => return done.fuel,
                Step::Call(_) => step = session.step(Reply::Number(0)).unwrap(),
            }
        }
    };
    let nothing = fuel("", "");
    let mut module = "";
    let mut seen = 0;
    for line in PAGE.lines() {
        if let Some(name) = line.strip_prefix("### `") {
            module = name.trim_end_matches('`');
        }
        let Some((name, rest)) = line.strip_prefix("| `").and_then(|line| line.split_once('`')) else { continue };
        let Some((dagger, parameters)) = rest.split_once("| `").and_then(|(dagger, rest)| Some((dagger.contains('†'), rest.split('`').next()?)))
        else {
            continue;
        };
        if module.is_empty() || name == "proc_exit" || !parameters.bytes().all(|letter| b"iI".contains(&letter)) {
            continue;
        }
        seen += 1;
        let types = parameters.chars().map(|letter| if letter == 'i' { "i32 " } else { "i64 " }).collect::<String>();
        let zeros = parameters.chars().map(|letter| if letter == 'i' { "(i32.const 0)" } else { "(i64.const 0)" }).collect::<String>();
        let import = format!("(import \"{module}\" \"{name}\" (func $f (param {types}) (result i32)))");
        let host = fuel(&import, &format!("(drop (call $f {zeros}))")) - nothing - (parameters.len() as u64 + 4 + 1);
        let step = if module == "station_v1" { 2_000 } else { 0 };
        assert_eq!(host, step + if dagger { 20 } else { 0 }, "{module}.{name}");
    }
    assert_eq!(seen, 45 + 6);
}

#[test]
fn a_name_has_a_bound() {
    let sandbox = sandbox();
    let named = |bytes: usize| {
        let name = "n".repeat(bytes);
        sandbox.compile(&wat::parse_str(plain("", "").replace("(func (export", &format!("(func (export \"{name}\") (export"))).unwrap())
    };
    assert!(named(100_000).is_ok());
    assert!(matches!(named(100_001), Err(CompileError::BadModule(_))));
    // A custom section: its length, the length of its name, the name.
    let custom = |name: &[u8]| {
        let length = |bytes: usize| [0x80 | (bytes & 0x7f) as u8, 0x80 | (bytes >> 7 & 0x7f) as u8, (bytes >> 14) as u8];
        let section = [&length(name.len() + 3)[..], &length(name.len()), name].concat();
        sandbox.compile(&[wat::parse_str(plain("", "")).unwrap(), [vec![0], section].concat()].concat())
    };
    assert!(custom(&[b'n'; 100_000]).is_ok());
    assert!(matches!(custom(&[b'n'; 100_001]), Err(CompileError::BadModule(_))));
    assert!(matches!(custom(&[0xff; 4]), Err(CompileError::BadModule(_))));
}

#[test]
fn the_types_of_imports_and_exports_have_a_bound_together() {
    let sandbox = sandbox();
    // The memory, `_start`, 12,162 functions of 74, and one of the rest.
    let with = |parameters: usize| {
        let exports = (0..12_162).map(|n| format!("(export \"{n}\")")).collect::<String>();
        let wide = format!("(func {exports} (param {}) (result {}) (unreachable))", "i32 ".repeat(64), "i32 ".repeat(8));
        sandbox.compile(&wat::parse_str(plain(&format!("{wide} (func (export \"rest\") (param {}))", "i32 ".repeat(parameters)), "")).unwrap())
    };
    let rest = 900_000 - 1 - 2 - 12_162 * 74 - 2;
    assert!(with(rest).is_ok());
    assert!(matches!(with(rest + 1), Err(CompileError::BadModule(_))));
}

#[test]
fn entropy_of_a_pure_job_is_the_key_stream_in_words() {
    // RFC 8439's ChaCha20 with a key of zeros begins like this, its nonce and counter being zero.
    let import = "(import \"wasi_snapshot_preview1\" \"random_get\" (func $random_get (param i32 i32) (result i32)))";
    let body = "(drop (call $random_get (i32.const 0) (i32.const 5))) (drop (call $random_get (i32.const 8) (i32.const 4)))
        (call $tell (i32.load (i32.const 0))) (call $tell (i32.load (i32.const 4))) (call $tell (i32.load (i32.const 8)))";
    let module = wat::parse_str(telling(import, "", body)).unwrap();
    let done = run(&sandbox(), &module, Load { pure: Some([0; 32]), ..case("", "", "").load }, Tier::Baseline);
    // 76b8e0ad a0f13d90 405d6ae5: five bytes take two words.
    assert_eq!(told(&done), [0x76b8_e0ad_u32, 0xa000_0000, 0x405d_6ae5].map(|word| word.swap_bytes().cast_signed()));
}
