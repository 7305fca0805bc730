//! The same scenario and seed are the same run, whatever the process around it.

use std::collections::BTreeSet;
use std::process::Command;

/// The trace hash of a small mesh, from a process in a folder and with an environment of its own.
fn hash(seed: u32, fidelity: &str, environment: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_station-sim"))
        .args(["mesh", "--stations", "8", "--duration", "40", "--warmup", "25", "--every", "4000", "--json"])
        .args(["--fidelity", fidelity, "--seed", &seed.to_string()])
        .current_dir(&folder)
        .env("SOMETHING_ELSE", environment)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["failures"], serde_json::json!([]));
    assert!(result["metrics"]["jobs"]["agreed"].as_u64() > Some(0), "work was done: {result}");
    result["trace_hash"].as_str().expect("a hash").to_owned()
}

#[test]
fn two_processes_with_one_seed_have_one_hash_and_other_seeds_and_fidelities_have_others() {
    let mut hashes = BTreeSet::new();
    for fidelity in ["full", "fast"] {
        let first = hash(1, fidelity, "one");
        assert_eq!(first, hash(1, fidelity, &"two ".repeat(2_000)), "{fidelity}");
        hashes.insert(first);
        hashes.insert(hash(2, fidelity, "one"));
    }
    assert_eq!(hashes.len(), 4);
}
