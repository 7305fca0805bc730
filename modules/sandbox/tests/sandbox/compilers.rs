//! Modules of real compilers pass the static limits, the normaliser and the engine, and do what they are for. See `compilers/README.md`.

use station_protocol::receipt::Outcome;
use station_sandbox::Load;

use super::common::{load, run};

#[test]
fn modules_of_real_compilers_run() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/compilers");
    let mut modules = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let input = "Measured, not believed.\n".repeat(200).into_bytes();
        let expected = input.to_ascii_uppercase();
        let done = run(&std::fs::read(&file).unwrap(), Load { input, memory_bytes: 64 << 20, fuel: 1_000_000_000, ..load() });
        assert_eq!((&done.outcome, done.output == expected), (&Outcome::Completed, true), "{}: {done:?}", file.display());
        println!("{}: fuel {}", file.display(), done.fuel);
        modules += 1;
    }
    assert!(modules >= 2, "{modules}");
}
