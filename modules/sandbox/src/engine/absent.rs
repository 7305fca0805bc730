//! No engine: wasmer 7 has no compiler for Windows.
//!
//! Guarantees: the parent says so before it starts a worker. Deliberately lacks all that `engine` has.

/// Why this system has no engine.
pub(crate) const ABSENT: Option<&str> = Some("this build runs no modules: its WebAssembly engine, wasmer 7, has no compiler for this system");

/// There is no machine code to name.
pub(crate) fn target() -> String {
    String::new()
}
