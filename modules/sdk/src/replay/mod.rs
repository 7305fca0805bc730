//! The host of `cargo test`: a [`Recording`] says what each request is answered with, and [`with`] runs code against it.
//!
//! Guarantees: a request that the recording does not hold, or an answer that nobody asked for, fails the test with a message that
//! names it. Deliberately lacks a network: nothing here can leave the process. Panics are its way of reporting, as in any test helper.

use crate::http::{self, Head, Request};

pub(crate) mod host;

/// What the host answers: a list of (operation, request) → result. Each entry answers once; the first that matches is taken.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    op: String,
    request: Vec<u8>,
    result: Result<Vec<u8>, i32>,
}

impl Recording {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `request` is answered with `head` and `body`. `head.bytes` is set to the body's length.
    ///
    /// # Panics
    /// Never: requests and heads are plain data.
    #[must_use]
    pub fn http(self, request: &Request, head: Head, body: &[u8]) -> Self {
        let request = serde_ipld_dagcbor::to_vec(request).expect("a request is plain data");
        let head = Head { bytes: body.len() as u64, ..head };
        self.operation(http::OPERATION, &request, Ok(http::frame(&head, body)))
    }

    /// Any operation by name: `request` in canonical DAG-CBOR is answered with the bytes a guest will read, or with an error number.
    #[must_use]
    pub fn operation(mut self, op: &str, request: &[u8], result: Result<Vec<u8>, i32>) -> Self {
        self.entries.push(Entry { op: op.to_owned(), request: request.to_vec(), result });
        self
    }
}

/// What [`observe`] saw of the code it ran.
#[derive(Clone, Debug)]
pub struct Observed<T> {
    pub value: T,
    /// Milliseconds that each wait for an answer would have lasted at most.
    pub waits: Vec<u32>,
    /// Each (permille, message) reported.
    pub progress: Vec<(u32, String)>,
    pub checkpoints: Vec<Vec<u8>>,
}

/// Runs `code` with its host calls answered from `recording`.
///
/// # Panics
/// When the code asks for what is not recorded, or leaves an entry unused.
pub fn with<T>(recording: Recording, code: impl FnOnce() -> T) -> T {
    observe(recording, code).value
}

/// As [`with`], and tells what the code reported.
///
/// # Panics
/// As [`with`].
pub fn observe<T>(recording: Recording, code: impl FnOnce() -> T) -> Observed<T> {
    let session = host::Session::begin(recording);
    let (observed, unused) = session.end(code());
    assert!(unused.is_empty(), "the recording holds answers that nobody asked for:\n{}", unused.join("\n"));
    observed
}
