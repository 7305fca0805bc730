//! A compile worker: one module in, one report out.
//!
//! Guarantees: checks come before the compiler. Deliberately lacks limits, which the parent sets, and a word for running out of them: it
//! dies, and the parent sees that.

use std::io;

use super::run;
use crate::check::{self, MODULE_BYTES_MAX, Refusal};
use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES};
use crate::normalise::{self, NormaliseError};
use crate::system::Socket;

/// Longest reason a compile worker gives: it is shown to people, and a module may have names of any length.
pub(crate) const REASON_BYTES_MAX: usize = 512;

pub(super) fn serve(mut socket: &Socket) -> io::Result<()> {
    let request: CompileRequest = frame::read(&mut socket, MODULE_BYTES_MAX + ENVELOPE_BYTES)?;
    let report = compile(&request).unwrap_or_else(|refusal| CompileReport::BadModule(cut(refusal.to_string())));
    frame::write(&mut socket, &report)
}

fn compile(request: &CompileRequest) -> Result<CompileReport, Refusal> {
    check::module(&request.module)?;
    let normal = normalise::module(&request.module).map_err(|error| match error {
        NormaliseError::Reserved(name) => Refusal::MeterName(name),
        NormaliseError::TooMany { what, count, most } => Refusal::TooMany { what, count, most },
        NormaliseError::Unsupported(what) => Refusal::Feature { what, hint: "" },
        NormaliseError::Invalid(reason) => Refusal::Invalid(reason),
    })?;
    // Within one worker, so that both tiers together have the time and memory of one compile.
    for tier in request.wanted.tiers() {
        let made = run::machine_code(&normal, *tier)?;
        if made.bytes.len() as u64 <= request.artefact_bytes {
            return Ok(CompileReport::Artefact(made));
        }
    }
    Ok(CompileReport::TooMuchCode)
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
