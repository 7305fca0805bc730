//! A compile worker: one module in, one report out.
//!
//! Guarantees: checks come before the compiler. Deliberately lacks limits, which the parent sets, and a word for running out of them: it
//! dies, and the parent sees that.

use std::io;

use super::run;
use crate::artefact::{ARTEFACT_BYTES_MAX, Tier};
use crate::check::{self, MODULE_BYTES_MAX, Refusal};
use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES};
use crate::normalise::{self, NormaliseError};
use crate::system::Socket;

/// Longest reason a compile worker gives: it is shown to people, and a module may have names of any length.
pub(crate) const REASON_BYTES_MAX: usize = 512;

pub(super) fn serve(mut socket: &Socket) -> io::Result<()> {
    let request: CompileRequest = frame::read(&mut socket, MODULE_BYTES_MAX + ENVELOPE_BYTES)?;
    let report = match compile(&request.module, request.tier) {
        Ok(artefact) => CompileReport::Artefact(artefact),
        Err(refusal) => CompileReport::BadModule(cut(refusal.to_string())),
    };
    frame::write(&mut socket, &report)
}

fn compile(bytes: &[u8], tier: Tier) -> Result<Vec<u8>, Refusal> {
    check::module(bytes)?;
    let normal = normalise::module(bytes).map_err(|error| match error {
        NormaliseError::Reserved(name) => Refusal::MeterName(name),
        NormaliseError::TooMany { what, count, most } => Refusal::TooMany { what, count, most },
        error => Refusal::Invalid(error.to_string()),
    })?;
    let artefact = run::machine_code(&normal, tier)?;
    if artefact.len() > ARTEFACT_BYTES_MAX {
        return Err(Refusal::TooMany { what: "bytes of machine code", count: artefact.len() as u64, most: ARTEFACT_BYTES_MAX as u64 });
    }
    Ok(artefact)
}

/// Cut before the limit, between characters.
fn cut(mut reason: String) -> String {
    if reason.len() > REASON_BYTES_MAX {
        let dots = "…";
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX - dots.len()));
        reason += dots;
    }
    reason
}
