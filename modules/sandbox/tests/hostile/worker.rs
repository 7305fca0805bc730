//! The tests' hostile worker: see `attempts`. Deliberately does nothing on systems whose calls those are not.

#[cfg(target_os = "linux")]
mod attempts;

fn main() {
    #[cfg(target_os = "linux")]
    attempts::main();
}
