//! Files that a command reads: bounded, and what an experiment file names only where its author may point.
//!
//! Guarantees: no more than [`FILE_BYTES_MAX`] are read of anything, devices without end too; a name in a stranger's file leads to a
//! plain file in that file's folder, over no link out of it and to nothing hidden, unless the owner says otherwise. Deliberately lacks
//! protection from programs of this very user that change links meanwhile.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use station_protocol::experiment::file::{FileError, FileKind, Listed, Reader, not_utf8};

use super::output::Failure;
use crate::api::BODY_BYTES_MAX;

/// What a running station takes in one request is all that a file can be of use for.
const FILE_BYTES_MAX: u64 = BODY_BYTES_MAX as u64;

/// Bytes of a long file that are read at once.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// A whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    whole(File::open(path).map_err(|error| failure(path, &error))?, path)
}

/// All that `source` has, which is called `path`.
fn whole(source: impl Read, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    source.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failure(path, &error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::new(format!("{}: more than {FILE_BYTES_MAX} bytes, which is the most that a station takes", path.display())));
    }
    Ok(bytes)
}

/// A whole file of text.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = read(path)?;
    if let Some((line, reason)) = not_utf8(&bytes) {
        return Err(Failure::new(format!("{}: line {line}: {reason}", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(format!("{}: it is not text in UTF-8", path.display())))
}

/// What a guest gets on standard input: a whole file, or all that comes on this program's where the path is `-`.
pub(super) fn read_stdin(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") { whole(io::stdin().lock(), Path::new("standard input")) } else { read(path) }
}

/// A file of inputs, read piece by piece: never all of it is in memory as text.
pub(super) fn read_inputs(path: &Path, kind: FileKind) -> Result<Listed, Failure> {
    let named = |error: FileError| Failure::new(format!("{}: {error}", path.display()));
    let mut file = File::open(path).map_err(|error| failure(path, &error))?;
    let mut reader = Reader::new(kind);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).map_err(|error| failure(path, &error))? {
            0 => return reader.finish().map_err(named),
            length => reader.push(&piece[..length]).map_err(named)?,
        }
    }
}

/// The file that `name` means in the experiment file at `file`. What it holds is published, and somebody else may have written the
/// name: without `anywhere` it must lie in the same folder or below.
pub(super) fn named(file: &Path, name: &str, anywhere: bool) -> Result<PathBuf, Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = folder.join(name);
    if anywhere {
        return Ok(path);
    }
    let refused = |why: &str| {
        Failure::new(format!(
            "{}: it names {name:?}, {why}; what it names is published for everybody. Copy it beside the file, or add --any-path if you trust it",
            file.display()
        ))
    };
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused("a path out of its folder"));
    }
    let (whole, home) =
        (fs::canonicalize(&path).map_err(|error| failure(&path, &error))?, fs::canonicalize(folder).map_err(|error| failure(folder, &error))?);
    let Ok(inside) = whole.strip_prefix(&home) else { return Err(refused("a link out of its folder")) };
    if inside.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b".")) {
        return Err(refused("a hidden file"));
    }
    if !fs::metadata(&whole).is_ok_and(|about| about.is_file()) {
        return Err(refused("which is no plain file"));
    }
    Ok(whole)
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
