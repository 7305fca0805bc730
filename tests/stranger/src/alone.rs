//! A network of one's own: the calling test or benchmark runs itself again in a user and network namespace where every IPv4 address is this
//! machine.
//!
//! Guarantees: nothing said there leaves the machine, so that attacks may name any address, and a listener hears every knock at it; each
//! test has its own ports. Where the kernel gives no such namespace the work is left out, and says so. Deliberately lacks root and
//! other machines: all addresses answer from one place.

use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the namespace.
const INSIDE: &str = "STATION_STRANGERS_ALONE";
/// What makes all of IPv4 local, and then becomes the program.
const SETUP: &str = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && exec \"$@\"";

/// Whether this process is in its own network.
#[must_use]
pub fn is_alone() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// This program again, alone.
///
/// # Panics
/// When this program has no path.
#[must_use]
pub fn again() -> Command {
    with(&std::env::current_exe().expect("a program has a path"))
}

/// Another program alone; its arguments are to be added.
#[must_use]
pub fn with(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--kill-child", "sh", "-c", SETUP, "sh"]);
    command.arg(program).env(INSIDE, "1");
    command
}

/// Whether this machine lets its users have networks of their own.
#[must_use]
pub fn is_possible() -> bool {
    let mut tried = Command::new("unshare");
    tried.args(["--user", "--map-root-user", "--net", "sh", "-c", SETUP, "sh", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    tried.status().is_ok_and(|status| status.success())
}

/// Runs the body of a test alone. To be called with a closure from a test function of the same program: its name is the test's.
///
/// # Panics
/// When the test fails there.
pub fn alone<T: FnOnce() -> F, F: Future<Output = ()>>(test: T) {
    if is_alone() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(test());
        return;
    }
    if !is_possible() {
        eprintln!("left out: this machine gives no network namespace to its users");
        return;
    }
    let name = std::any::type_name::<T>();
    // The program's own name comes first, and the closure's place in the function last.
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    let name = name.split_once("::{{closure}}").map_or(name, |(first, _)| first);
    let output = again().args([name, "--exact", "--nocapture"]).output().expect("unshare starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "no test is named {name}: {said}");
}
