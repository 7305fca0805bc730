//! Cargo, started by a program that cargo started.
//!
//! Guarantees: it builds as it would from a shell. Deliberately lacks an opinion on what to build.

use std::process::Command;

/// Variables that are the user's own, although they look like what cargo tells its programs.
const KEPT: [&str; 3] = ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL"];

/// The cargo that started this program, without what it said about it: build scripts of cryptography look at those variables, and would
/// compile everything above them again, here and then in the next build from a shell.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let told = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_") && !KEPT.contains(&name.as_ref())
    });
    told.for_each(|name| _ = cargo.env_remove(name));
    cargo
}
