//! Where operating systems differ in files and signals: one small interface, a room for Unix and one for Windows.
//!
//! Guarantees: on Unix a secret has its mode from the moment it exists, what is made is new whatever lay under its name, and a folder's
//! entries are durable after [`sync_folder`].
//! Deliberately lacks, on Windows: modes (a user's own folder is not for others there), folders that can be made durable (the system
//! offers no such call), and a signal beside Ctrl-C.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
mod here {
    use super::{File, OpenOptions, Path, io};
    use std::fs::{DirBuilder, Permissions, set_permissions};
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    /// Makes a file for its owner alone. What lay under its name goes, and the system makes it anew or not at all (`O_EXCL`, which
    /// follows no link): nobody who left a file or a link there can read or choose what is written.
    pub(crate) fn create(path: &Path) -> io::Result<File> {
        super::remove_if_there(path)?;
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
    }

    /// A folder for its owner alone: made so, or made so again.
    pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => set_permissions(path, Permissions::from_mode(0o700)),
            made => made,
        }
    }

    /// Who may do what with a file or folder: the lowest nine bits.
    pub(crate) fn mode(about: &std::fs::Metadata) -> u32 {
        about.permissions().mode() & 0o777
    }

    /// Makes names in a folder durable.
    pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Waits for the system's wish that the program ends.
    pub(crate) async fn terminated() {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut term) => _ = term.recv().await,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(windows)]
mod here {
    use super::{File, OpenOptions, Path, io};

    /// Makes a file that was not there.
    pub(crate) fn create(path: &Path) -> io::Result<File> {
        super::remove_if_there(path)?;
        OpenOptions::new().create_new(true).write(true).open(path)
    }

    /// A folder that is its owner's as the ones above it are.
    pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    /// As of a file that is its owner's.
    pub(crate) fn mode(_: &std::fs::Metadata) -> u32 {
        0o600
    }

    /// Nothing: see above.
    pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Never: Ctrl-C is all there is.
    pub(crate) async fn terminated() {
        std::future::pending().await
    }
}

pub(crate) use here::{create, mode, private_folder, sync_folder, terminated};

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
