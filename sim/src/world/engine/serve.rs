//! [`serve`]: the sandbox's process of a run with real modules, at the other end of the pipe that `stepped` writes to.
//!
//! Guarantees: one answer per question, in order; it ends with its input. Deliberately lacks virtual time: guests run in the machine's.

use std::collections::BTreeMap;
use std::io::{self, stdin, stdout};

use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, CompileLimit, Config, Load, Sandbox, SandboxError, Session, Step};

use super::stepped::{Ask, Said, WALL_MS, read, write};

/// Serves over the standard streams until the run has no more questions. The program must have called
/// [`station_sandbox::worker_entry`] before.
pub fn serve() -> io::Result<()> {
    let sandbox = Sandbox::new(Config::default());
    let mut sessions = BTreeMap::new();
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    // The end of the input is the end of the run.
    loop {
        match read(&mut input) {
            Ok(ask) => write(&mut output, &answer(&sandbox, &mut sessions, ask))?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn answer(sandbox: &Sandbox, sessions: &mut BTreeMap<u64, Session>, ask: Ask) -> Said {
    match ask {
        Ask::Open { session, module } => match open(sandbox, &module) {
            Ok(opened) => {
                sessions.insert(session, opened);
                Said::Nothing
            }
            Err(said) => said,
        },
        Ask::Start { session, input, fuel, memory_bytes, output_bytes, pure } => {
            let load = Load { input, fuel, memory_bytes, wall_ms: WALL_MS, output_bytes, pure };
            stepped(sessions.get_mut(&session).map(|session| session.start(load)))
        }
        Ask::Step { session, reply } => stepped(sessions.get_mut(&session).map(|session| session.step(reply))),
        Ask::Close { session } => {
            sessions.remove(&session);
            Said::Nothing
        }
    }
}

fn open(sandbox: &Sandbox, module: &[u8]) -> Result<Session, Said> {
    let artefact = sandbox.compile(module).map_err(|error| match error {
        CompileError::BadModule(reason) => Said::BadModule(reason),
        CompileError::TooCostly(CompileLimit::ProcessorTime | CompileLimit::WallTime) => Said::TooCostly(Outcome::TimedOut),
        CompileError::TooCostly(CompileLimit::Memory | CompileLimit::MachineCode) => Said::TooCostly(Outcome::OutOfMemory),
        error @ (CompileError::Failed(_) | CompileError::Busy | CompileError::Unpaid | CompileError::Ended) => Said::Failed(error.to_string()),
    })?;
    sandbox.open(&artefact).map_err(|error| Said::Failed(error.to_string()))
}

fn stepped(step: Option<Result<Step, SandboxError>>) -> Said {
    match step {
        None => Said::Failed("there is no such session".into()),
        Some(Ok(Step::Call(call))) => Said::Call(call),
        Some(Ok(Step::Done(done))) => Said::Done(done),
        Some(Err(error)) => Said::Failed(error.to_string()),
    }
}
