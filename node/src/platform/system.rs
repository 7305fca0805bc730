//! Where operating systems differ in files and signals: one small interface, a room for Unix and one for Windows.
//!
//! Guarantees: on Unix a secret has its mode from the moment it exists, and a folder's entries are durable after [`sync_folder`].
//! Deliberately lacks, on Windows: modes (a user's own folder is not for others there), folders that can be made durable (the system
//! offers no such call), and a signal beside Ctrl-C.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
mod here {
    use super::{File, OpenOptions, Path, io};
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    /// Opens a file that is made, or emptied, with this mode.
    pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path)?;
        // It may have been there.
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        Ok(file)
    }

    /// Who may do what with a file: the lowest nine bits.
    pub(crate) fn mode(path: &Path) -> io::Result<u32> {
        Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
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

    /// Opens a file that is made, or emptied.
    pub(crate) fn create(path: &Path, _: u32) -> io::Result<File> {
        OpenOptions::new().create(true).write(true).truncate(true).open(path)
    }

    /// As of a file that is its owner's.
    pub(crate) fn mode(path: &Path) -> io::Result<u32> {
        std::fs::metadata(path).map(|_| 0o600)
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

pub(crate) use here::{create, mode, sync_folder, terminated};
