//! What a module author uses: [`run`] for input and output, [`http`] for the network, [`progress`] and [`checkpoint`] to report,
//! [`log!`] to say something.
//!
//! A module is an ordinary program: its job's input comes as DAG-CBOR on standard input, its result leaves as DAG-CBOR on standard
//! output, standard error is its log. Everything else it asks of the station goes through the `station_v1` imports. On any other
//! target the same calls are answered from a [`replay::Recording`], so `cargo test` runs the very code that stations run.
//!
//! Guarantees: no panic on what a host answers. Deliberately lacks sockets, files, threads and clocks of its own: what the station
//! did not grant does not exist, and times come from the host, which measures at the socket.

use std::io::{Read as _, Write as _};
use std::process;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub mod errno;
pub mod http;
#[cfg(not(target_arch = "wasm32"))]
pub mod replay;

mod backend;

/// Longest message of [`progress`]: one line. A host takes no longer one.
pub const MESSAGE_BYTES_MAX: usize = 256;
/// Exit code of a module whose input is not what it expects, or that cannot write its output.
const EXIT_BAD_INPUT: i32 = 2;

/// Reads the job's input, calls `job`, and writes what it returns: the whole of a module's `main`.
///
/// `In` and `Out` must be maps (structs with named fields). An input that does not fit `In` ends the module with exit code 2 and a
/// line in the log. A fault of the thing measured belongs in `Out`, as data; panic only for bugs.
pub fn run<In: DeserializeOwned, Out: Serialize>(job: impl FnOnce(In) -> Out) {
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().lock().read_to_end(&mut input) {
        fail("cannot read the input", &error.to_string());
    }
    match run_on(&input, job) {
        Ok(output) => {
            let mut stdout = std::io::stdout().lock();
            if let Err(error) = stdout.write_all(&output).and_then(|()| stdout.flush()) {
                fail("cannot write the output", &error.to_string());
            }
        }
        Err(error) => fail("the job does not fit this module", &error.to_string()),
    }
}

/// [`run`] on bytes, for tests: canonical DAG-CBOR in, canonical DAG-CBOR out.
pub fn run_on<In: DeserializeOwned, Out: Serialize>(input: &[u8], job: impl FnOnce(In) -> Out) -> Result<Vec<u8>, JobError> {
    encoded(&job(decode(input)?)).map_err(JobError::Output)
}

/// A value from its DAG-CBOR: for modules that meet such bytes elsewhere than in their input.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JobError> {
    decoded(bytes).map_err(JobError::Input)
}

/// A value, or in words why these bytes are none of its type.
pub(crate) fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_ipld_dagcbor::from_slice(bytes).map_err(|error| match error {
        // The crate would show it as Rust code.
        serde_ipld_dagcbor::DecodeError::Msg(words) => words,
        other => other.to_string(),
    })
}

/// Canonical bytes, or in words why the value has none.
pub(crate) fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    serde_ipld_dagcbor::to_vec(value).map_err(|error| match error {
        serde_ipld_dagcbor::EncodeError::Msg(words) => words,
        other @ serde_ipld_dagcbor::EncodeError::Write(_) => other.to_string(),
    })
}

/// Why a job's bytes could not be turned into the module's types or back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("input: {0}")]
    Input(String),
    #[error("output: {0}")]
    Output(String),
}

fn fail(what: &str, why: &str) -> ! {
    log(&format!("{what}: {why}"));
    process::exit(EXIT_BAD_INPUT)
}

/// Tells whoever watches how far this job is: `permille` of 1,000, and a few words, of which the first [`MESSAGE_BYTES_MAX`] bytes
/// travel. The host may drop reports that come too often.
pub fn progress(permille: u32, message: &str) {
    backend::progress(permille, &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]);
}

/// Gives the host `bytes` to keep beside the job as its partial result; a later one replaces it.
///
/// # Errors
/// The host's errno (see [`mod@errno`]), for instance when the bytes are more than it keeps.
pub fn checkpoint(bytes: &[u8]) -> Result<(), i32> {
    errno::check(backend::checkpoint(bytes)).map(|_| ())
}

/// Writes one line to the job's log; [`log!`] formats.
pub fn log(line: &str) {
    // A log that cannot be written must not fail the job.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes one formatted line to the job's log (standard error). The host keeps the last few kilobytes.
#[macro_export]
macro_rules! log {
    ($($part:tt)*) => { $crate::log(&format!($($part)*)) };
}

/// Compiles the README's first example with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests;
