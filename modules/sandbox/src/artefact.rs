//! [`Artefact`]: machine code of one module, made on this machine.
//!
//! Guarantees: there is no way to make one from bytes that came from elsewhere; only the compile worker's report and the authenticated
//! cache build it. Deliberately lacks serialisation for anybody else.

use std::fmt;
use std::sync::Arc;

/// Largest artefact: machine code is about four times its module, and a worker holds two copies while it maps one.
pub(crate) const ARTEFACT_BYTES_MAX: usize = 64 << 20;

/// Machine code of one module under this profile, engine version and processor. Cheap to clone.
#[derive(Clone)]
pub struct Artefact {
    pub(crate) bytes: Arc<[u8]>,
}

impl fmt::Debug for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artefact").field("bytes", &self.bytes.len()).finish()
    }
}
