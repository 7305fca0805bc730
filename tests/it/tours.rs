//! The README's tours, typed as they stand: each block shows what the text around it promises.
//!
//! The tour of the simulator is minutes long without optimisation: the program `tours` runs it with those beside it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use station_tests::tours::{self, Tour};

/// A folder with `station` in it.
fn programs(dir: &Path) -> PathBuf {
    let programs = dir.join("bin");
    fs::create_dir(&programs).expect("a folder");
    symlink(env!("CARGO_BIN_EXE_station-e2e"), programs.join("station")).expect("a link");
    programs
}

fn run(tour: &Tour<'_>, folder: &Path, dir: &Path, home: Option<&Path>) {
    tour.run(&tours::readme(), folder, &programs(dir), home).unwrap_or_else(|said| panic!("{said}"));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn five_minutes_as_an_operator() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    run(&tours::OPERATOR, dir.path(), dir.path(), Some(dir.path()));
    let home = dir.path().join(".station");
    assert_eq!((mode(&home), mode(&home.join("key"))), (0o700, 0o600));
    assert!(fs::read_to_string(home.join("network.toml")).expect("it is there").contains("ipfs-gateways"));
}

#[test]
fn five_minutes_as_a_researcher() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    run(&tours::RESEARCHER, dir.path(), dir.path(), None);
}

/// Whether modules can be built here, perhaps after the target was fetched.
fn has_target() -> bool {
    Command::new("rustup").args(["target", "add", "wasm32-wasip1"]).output().is_ok_and(|output| output.status.success())
}

#[test]
fn five_minutes_as_a_module_author() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let copy = dir.path().join("station");
    fs::create_dir(&copy).expect("a folder");
    tours::copy_sources(&copy);
    let tour = if has_target() { tours::AUTHOR } else { tours::AUTHOR_WITHOUT_TARGET };
    run(&tour, &copy, dir.path(), None);
}
