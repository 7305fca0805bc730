//! A compile worker: one module in, one report out.
//!
//! Guarantees: checks come before the compiler. Deliberately lacks limits, which the parent sets, and a word for running out of them: it
//! dies, and the parent sees that.

use std::io;

use super::{NotCompiled, run};
use crate::artefact::Tier;
use crate::check::{self, MODULE_BYTES_MAX, Refusal};
use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES, Made};
use crate::normalise::{self, NormaliseError};
use crate::system::Socket;

/// Longest reason a compile worker gives: it is shown to people, and a module may have names of any length.
pub(crate) const REASON_BYTES_MAX: usize = 512;

pub(super) fn serve(mut socket: &Socket) -> io::Result<()> {
    let request: CompileRequest = frame::read(&mut socket, MODULE_BYTES_MAX + ENVELOPE_BYTES)?;
    let report = match checked(&request.module) {
        Ok(normal) => compile(&normal, &request, run::machine_code),
        Err(refusal) => CompileReport::BadModule(cut(refusal.to_string())),
    };
    frame::write(&mut socket, &report)
}

/// The normal form of a module of this profile. Only what is refused here is the module's fault.
fn checked(module: &[u8]) -> Result<Vec<u8>, Refusal> {
    check::module(module)?;
    normalise::module(module).map_err(|error| match error {
        NormaliseError::Reserved(name) => Refusal::MeterName(name),
        NormaliseError::TooMany { what, count, most } => Refusal::TooMany { what, count, most },
        NormaliseError::Unsupported(what) => Refusal::Feature { what, hint: "" },
        NormaliseError::Invalid(reason) => Refusal::Invalid(reason),
    })
}

type Compiler = fn(&[u8], Tier) -> Result<Made, NotCompiled>;

/// Within one worker, so that both tiers together have the time and memory of one compile.
fn compile(normal: &[u8], request: &CompileRequest, compiler: Compiler) -> CompileReport {
    for tier in request.wanted.tiers() {
        match compiler(normal, *tier) {
            Ok(made) if made.bytes.len() as u64 <= request.artefact_bytes => return CompileReport::Artefact(made),
            Ok(_) => {}
            Err(NotCompiled(reason)) => return CompileReport::NotCompiled(cut(reason)),
        }
    }
    CompileReport::TooMuchCode
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artefact::Wanted;

    #[test]
    fn what_the_compiler_says_against_a_module_of_the_profile_is_no_bad_module() {
        let request = CompileRequest { module: Vec::new(), wanted: Wanted::Any, artefact_bytes: 1 };
        let report = compile(&[], &request, |_, _| Err(NotCompiled("no registers left".into())));
        assert!(matches!(report, CompileReport::NotCompiled(reason) if reason == "no registers left"));
    }
}
