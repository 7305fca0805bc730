//! The engine's place where there is none: wasmer 7 has no compiler for Windows.
//!
//! Guarantees: nothing runs, and whoever asks is told why. Deliberately lacks another engine, whose output or fuel could differ.

use std::io;

use super::{NativeGuest, NotCompiled};
use crate::artefact::Tier;
use crate::engine::ABSENT;
use crate::frame::Made;
use crate::isolation::Layers;
use crate::system::Socket;

/// Parents do not get this far: see `compiler`.
pub(super) fn machine_code(_: &[u8], _: Tier) -> Result<Made, NotCompiled> {
    Err(NotCompiled(ABSENT.unwrap_or_default().into()))
}

pub(super) fn serve(_: Socket, _: Layers, _: Option<NativeGuest>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
