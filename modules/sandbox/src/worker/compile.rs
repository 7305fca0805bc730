//! A compile worker: one module in, one report out.
//!
//! Guarantees: checks come before the compiler, and the process cannot outgrow its memory and processor time. Deliberately lacks a
//! word for running out of either: it dies, and the parent sees that.

use std::io;

use wasmer::Module;

use super::{Socket, limits};
use crate::check::{self, MODULE_BYTES_MAX, Refusal};
use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES};
use crate::profile;

/// Memory of a compile worker: a module of 16 MiB needs well under half of it.
const MEMORY_BYTES: u64 = 1 << 30;

pub(super) fn serve(mut socket: &Socket) -> io::Result<()> {
    let request: CompileRequest = frame::read(&mut socket, MODULE_BYTES_MAX + ENVELOPE_BYTES)?;
    limits::compile(MEMORY_BYTES, crate::sandbox::compile_seconds(request.module.len())).ok_or_else(io::Error::last_os_error)?;
    let report = match compile(&request.module) {
        Ok(artefact) => CompileReport::Artefact(artefact),
        Err(refusal) => CompileReport::BadModule(refusal.to_string()),
    };
    frame::write(&mut socket, &report)
}

fn compile(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    check::module(bytes)?;
    let module = Module::from_binary(&profile::compiler(), bytes).map_err(|error| Refusal::NotCompiled(error.to_string()))?;
    let artefact = module.serialize().map_err(|error| Refusal::NotCompiled(error.to_string()))?;
    Ok(artefact.to_vec())
}
