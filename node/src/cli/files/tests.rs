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

#[test]
fn a_file_in_another_encoding_is_refused_by_its_line_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("e.toml");
    fs::write(&file, b"module = \"noop\"\nname = \"M\xfcnchen\"\n").expect("written");
    let latin = read_text(&file).expect_err("Latin-1").message;
    assert!(latin.contains("line 2") && latin.contains("'ü' in Latin-1") && latin.contains("iconv"), "{latin}");
    fs::write(&file, "module = \"noop\"\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).expect("written");
    let wide = read_text(&file).expect_err("UTF-16").message;
    assert!(wide.contains("line 1: the file is written in UTF-16"), "{wide}");
}

#[test]
fn a_list_longer_than_other_files_is_read_piece_by_piece_and_named_where_it_is_wrong() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("list.ndjson");
    let mut text = "\"https://host.example/with-a-path-that-makes-it-longer\"\n".repeat(320_000);
    assert!(text.len() as u64 > FILE_BYTES_MAX);
    fs::write(&file, &text).expect("written");
    assert_eq!(read_inputs(&file, FileKind::Ndjson).map_err(|failure| failure.message).expect("it is read").count(), 320_000);
    text.push_str("oops\n");
    fs::write(&file, &text).expect("written");
    let refused = read_inputs(&file, FileKind::Ndjson).expect_err("no JSON").message;
    assert!(refused.contains("list.ndjson: line 320001 of the inputs: not JSON"), "{refused}");
}

#[test]
fn what_has_no_end_is_refused_and_never_cut() {
    for path in ["standard input", "/dev/zero"] {
        let refused = whole(io::repeat(0), Path::new(path)).expect_err("too long").message;
        assert!(refused.contains(path) && refused.contains("16777216"), "{refused}");
    }
    let most = usize::try_from(FILE_BYTES_MAX).expect("a small number");
    assert_eq!(whole(io::repeat(0).take(FILE_BYTES_MAX), Path::new("-")).map(|bytes| bytes.len()).ok(), Some(most));
}
