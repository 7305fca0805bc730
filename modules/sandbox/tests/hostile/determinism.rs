//! The same module in both tiers, fresh and from the cache: output and fuel are the same.

use station_protocol::receipt::Outcome;
use station_sandbox::{Config, Done, Sandbox, Tier};

use super::arena::{attack, refusal};
use super::common::{finish, guest, load, worker};

const MEMORY: &str = "(memory (export \"memory\") 1)";

fn everywhere(module: &[u8]) -> Done {
    attack(|_| {
        let folder = tempfile::tempdir().unwrap();
        let mut found = Vec::new();
        for _cold_then_cached in 0..2 {
            for tier in [Tier::Baseline, Tier::Optimised] {
                let sandbox = Sandbox::new(Config { program: worker(), cache_dir: Some(folder.path().to_owned()) });
                let artefact = sandbox.compile_at(module, tier).unwrap();
                assert_eq!(artefact.tier(), tier);
                found.push(finish(sandbox.open(&artefact).unwrap().start(load()).unwrap()));
            }
        }
        assert!(found.iter().all(|done| *done == found[0]), "{found:?}");
        found.remove(0)
    })
}

#[test]
fn determinism_the_bits_of_a_nan_are_the_same_everywhere() {
    let signs = ["(f64.const 0)", "(f64.const -0)", "(f64.const inf)", "(f64.const nan:0x4000000000001)", "(f64.const -nan:0x7)"];
    let operations = ["f64.div", "f64.mul", "f64.add", "f64.sub", "f64.min", "f64.max"];
    let mut body = String::new();
    for operation in operations {
        for (a, b) in signs.iter().flat_map(|a| signs.iter().map(move |b| (a, b))) {
            body += &format!(
                "(i64.store (i32.const 0) (i64.reinterpret_f64 ({operation} {a} {b}))) (call $put (i32.const 1) (i32.const 0) (i32.const 8))"
            );
        }
    }
    let done = everywhere(&guest(MEMORY, &body));
    assert_eq!((done.outcome, done.output.len()), (Outcome::Completed, operations.len() * 25 * 8));
    // Zero by zero: the canonical one.
    assert_eq!(done.output[..8], 0x7ff8_0000_0000_0000_u64.to_le_bytes());
}

#[test]
fn determinism_a_trap_an_overflow_and_an_exit_come_at_the_same_fuel() {
    let bodies = [
        ("(call $deep (i32.const 1))", Outcome::StackOverflow),
        ("(loop $again (br $again))", Outcome::OutOfFuel),
        ("(call $proc_exit (i32.const 3))", Outcome::Exited(3)),
    ];
    for (body, outcome) in bodies {
        let module = guest(&format!("{MEMORY} (func $deep (param i32) (call $deep (i32.add (local.get 0) (i32.const 1))))"), body);
        assert_eq!(everywhere(&module).outcome, outcome);
    }
}

#[test]
fn determinism_relaxed_operators_are_refused() {
    let module = guest(MEMORY, "(drop (f32x4.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)))");
    attack(|sandbox| assert!(refusal(sandbox, &module).contains("it uses relaxed SIMD, outside this profile")));
}

#[test]
fn nothing_is_left_of_three_hundred_jobs_and_sessions() {
    let module = guest(MEMORY, "(call $put (i32.const 1) (i32.const 0) (i32.const 60000))");
    attack(|sandbox| {
        let artefact = sandbox.compile(&module).unwrap();
        let round = |count: usize| {
            for _ in 0..count {
                let mut session = sandbox.open(&artefact).unwrap();
                for _ in 0..3 {
                    assert_eq!(finish(session.start(load()).unwrap()).outcome, Outcome::Completed);
                }
            }
            super::arena::Held::now(sandbox)
        };
        let (before, after) = (round(20), round(80));
        assert_eq!(after.descriptors, before.descriptors);
        assert!(after.resident < before.resident + (4 << 20), "{} bytes resident, {} before", after.resident, before.resident);
    });
}
