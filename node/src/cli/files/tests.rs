//! Names that a stranger's experiment file may hold.

use std::os::unix::fs::symlink;

use super::*;

/// A folder with an experiment file and what it may name, in a folder with what it may not.
fn folders() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let inside = dir.path().join("experiment");
    for folder in ["experiment/data", "experiment/.ssh", "private"] {
        fs::create_dir_all(dir.path().join(folder)).expect("a folder");
    }
    for file in ["experiment/mine.wasm", "experiment/data/inputs.csv", "experiment/.ssh/key", "experiment/.env", "private/key"] {
        fs::write(dir.path().join(file), file).expect("written");
    }
    symlink(dir.path().join("private/key"), inside.join("key.csv")).expect("a link");
    symlink("../private", inside.join("linked")).expect("a link");
    symlink(".ssh/key", inside.join("shown.csv")).expect("a link");
    symlink("data/inputs.csv", inside.join("same.csv")).expect("a link");
    let file = inside.join("experiment.toml");
    (dir, file)
}

#[test]
fn what_lies_beside_an_experiment_file_or_below_may_be_named() {
    let (_dir, file) = folders();
    for name in ["mine.wasm", "./mine.wasm", "data/inputs.csv", "data/./inputs.csv", "same.csv"] {
        let path = named(&file, name, false).unwrap_or_else(|failure| panic!("{name}: {}", failure.message));
        assert!(read(&path).is_ok(), "{name}");
    }
}

#[test]
fn what_lies_elsewhere_or_is_hidden_is_refused_with_what_to_do() {
    let (dir, file) = folders();
    let absolute = dir.path().join("private/key");
    let within = dir.path().join("experiment/mine.wasm");
    let absolute = [&absolute, &within].map(|path| path.to_str().expect("UTF-8").to_owned());
    let names = [
        "../private/key",
        "data/../../private/key",
        "data/../mine.wasm",
        "key.csv",
        "linked/key",
        ".env",
        ".ssh/key",
        "shown.csv",
        "data",
        "/dev/zero",
    ];
    for name in names.iter().copied().chain(absolute.iter().map(String::as_str)) {
        let refused = named(&file, name, false).expect_err(name);
        assert!(refused.message.contains("--any-path"), "{name}: {}", refused.message);
        assert!(named(&file, name, true).is_ok(), "{name}: who trusts it may");
    }
    assert!(named(&file, "absent.csv", false).expect_err("not there").message.contains("absent.csv"));
}

#[test]
fn a_file_without_end_is_read_to_the_bound() {
    let refused = read(Path::new("/dev/zero")).expect_err("it has no end");
    assert!(refused.message.contains("16777216"), "{}", refused.message);
}
