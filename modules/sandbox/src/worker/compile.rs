//! A compile worker: one module in, one report out.
//!
//! Guarantees: checks come before the compiler. Deliberately lacks limits, which the parent sets, and a word for running out of them: it
//! dies, and the parent sees that.

use std::io;

use wasmer::Module;

use super::Socket;
use crate::check::{self, MODULE_BYTES_MAX, Refusal};
use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES};
use crate::normalise::{self, NormaliseError};
use crate::profile;

pub(super) fn serve(mut socket: &Socket) -> io::Result<()> {
    let request: CompileRequest = frame::read(&mut socket, MODULE_BYTES_MAX + ENVELOPE_BYTES)?;
    let report = match compile(&request.module) {
        Ok(artefact) => CompileReport::Artefact(artefact),
        Err(refusal) => CompileReport::BadModule(refusal.to_string()),
    };
    frame::write(&mut socket, &report)
}

fn compile(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    check::module(bytes)?;
    let normal = normalise::module(bytes).map_err(|error| match error {
        NormaliseError::Reserved(name) => Refusal::MeterName(name),
        error => Refusal::Invalid(error.to_string()),
    })?;
    let module = Module::from_binary(&profile::compiler(), &normal).map_err(|error| Refusal::NotCompiled(error.to_string()))?;
    let artefact = module.serialize().map_err(|error| Refusal::NotCompiled(error.to_string()))?;
    Ok(artefact.to_vec())
}
