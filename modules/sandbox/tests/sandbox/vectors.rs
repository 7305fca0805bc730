//! Vectors of the engine profile: programs, and what they put out and use.
//!
//! The file is named after the profile. Where output or fuel of a program changes, so does what stations agree on: that is a new
//! profile with a file of its own, never an edit of this one.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use station_sandbox::{Done, HostCall, Load, PROFILE, Reply, Step};

use super::common::{command, echo, guest, load, open};

const VECTORS: &str = include_str!("vectors/station-wasm-2.txt");

/// Name, module, input.
pub(crate) fn programs() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let memory = "(memory (export \"memory\") 1)";
    vec![
        ("empty", command(""), Vec::new()),
        ("echo", echo(), (0..5_000_u32).map(|n| n.to_le_bytes()[0]).collect()),
        (
            "hash",
            command(
                "(local.set $i (i32.const 10000)) (local.set $n (i32.const 0x811c9dc5))
                 (loop $more
                    (local.set $n (i32.mul (i32.xor (local.get $n) (i32.and (local.get $i) (i32.const 255))) (i32.const 0x01000193)))
                    (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
                 (call $tell (local.get $n))",
            ),
            Vec::new(),
        ),
        (
            "recursion",
            guest(
                &format!(
                    "{memory} (func $fib (param i32) (result i32)
                        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
                            (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))"
                ),
                "(call $tell (call $fib (i32.const 15)))",
            ),
            Vec::new(),
        ),
        ("endless-recursion", guest(&format!("{memory} (func $deep (call $deep))"), "(call $deep)"), Vec::new()),
        ("endless-loop", command("(loop $again (br $again))"), Vec::new()),
        (
            "switch",
            guest(
                &format!(
                    "{memory} (func $arm (param i32) (result i32)
                        (block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 10))) (return (i32.mul (local.get 0) (i32.const 7)))) (i32.const 30))"
                ),
                "(call $tell (call $arm (i32.const 0))) (call $tell (call $arm (i32.const 1))) (call $tell (call $arm (i32.const 2)))",
            ),
            Vec::new(),
        ),
        (
            "bulk",
            guest(
                &format!("{memory} (table 1 10 funcref)"),
                "(memory.fill (i32.const 0) (i32.const 7) (i32.const 10000)) (memory.copy (i32.const 20000) (i32.const 0) (i32.const 999))
                 (call $tell (memory.grow (i32.const 3))) (call $tell (memory.grow (i32.const 65535)))
                 (call $tell (table.grow (ref.null func) (i32.const 5))) (call $tell (i32.load (i32.const 20900)))",
            ),
            Vec::new(),
        ),
        ("float", command("(call $tell (i32.reinterpret_f32 (f32.div (f32.const 0) (f32.sqrt (f32.const -0)))))"), Vec::new()),
        ("seed", command("(drop (call $random_get (i32.const 0) (i32.const 32))) (call $put (i32.const 1) (i32.const 0) (i32.const 32))"), Vec::new()),
        ("trap", command("(drop (i32.div_u (i32.const 1) (local.get $i)))"), Vec::new()),
    ]
}

/// The modules that come with every station: real code of a real compiler. Rebuilding them changes the vectors without a new profile,
/// and is the only thing that may.
fn bundled() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let dist = |name: &str| std::fs::read(format!("{}/../dist/{name}.wasm", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let interval = serde_ipld_dagcbor::to_vec(&BTreeMap::from([("from", 2_u32), ("to", 20_000)])).unwrap();
    let gateway = [("gateway", "https://gateway.example"), ("cid", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")];
    let gateway = serde_ipld_dagcbor::to_vec(&BTreeMap::from(gateway)).unwrap();
    vec![("noop", dist("noop"), Vec::new()), ("primes", dist("primes"), interval), ("gateway-check", dist("gateway-check"), gateway)]
}

/// Runs a job whose operations are all refused.
fn run_alone(module: &[u8], load: Load) -> Done {
    let mut session = open(module);
    let mut step = session.start(load).unwrap();
    loop {
        step = match step {
            Step::Done(done) => return done,
            Step::Call(HostCall::Progress { .. } | HostCall::Close { .. }) => session.step(Reply::Number(0)).unwrap(),
            // "Not permitted": preview1's number 63.
            Step::Call(_) => session.step(Reply::Number(-63)).unwrap(),
        };
    }
}

#[test]
fn output_and_fuel_of_the_vectors_belong_to_the_profile() {
    assert_eq!(PROFILE, "station-wasm-2", "a new profile has a new file of vectors");
    let mut found = String::new();
    for (name, module, input) in programs().into_iter().chain(bundled()) {
        let done = run_alone(&module, Load { input, ..load() });
        let hash = Sha256::digest(&done.output).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        found += &format!("{name} {:?} {hash} {}\n", done.outcome, done.fuel);
    }
    assert_eq!(found, VECTORS, "what pure jobs put out or use has changed: that is a new profile");
}
