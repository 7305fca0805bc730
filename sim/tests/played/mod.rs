//! A scenario played by the program, for the tests that look at what came of it.

use std::fs;
use std::process::Command;

use serde_json::Value;

/// Runs `text` and gives its result, whether the checks hold or not.
pub(crate) fn run(text: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("played.toml");
    fs::write(&file, text).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_station-sim")).arg("run").arg(file).arg("--json").output().expect("the binary starts");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(result["failures"], serde_json::json!([]));
    result
}

/// The checks that failed, of at least one.
pub(crate) fn failed(result: &Value) -> Vec<Value> {
    let checks = result["metrics"]["checks"].as_array().expect("a list");
    assert!(!checks.is_empty());
    checks.iter().filter(|check| check["passed"] != true).cloned().collect()
}
