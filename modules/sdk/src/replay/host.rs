//! The host calls answered from the recording of the current thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::{Entry, Observed, Recording};
use crate::MESSAGE_BYTES_MAX;
use crate::errno;
use crate::http::{OPERATION, Request};

// What a station takes, `modules/sandbox/PROFILE.md`: code that asks for more is found out by its tests.
const OPERATION_BYTES_MAX: usize = 64;
const REQUEST_BYTES_MAX: usize = 64 << 10;
const HANDLES_MAX: usize = 64;
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;

/// Most bytes one read answers, so that code which forgets to read on is found out by its tests.
const READ_BYTES_MAX: usize = 1_000;

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    open: BTreeMap<u32, (Vec<u8>, usize)>,
    next: u32,
    waits: Vec<u32>,
    progress: Vec<(u32, String)>,
    checkpoints: Vec<Vec<u8>>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// While it lives, this thread's host calls are answered; a panic in between ends it too.
pub(crate) struct Session;

impl Session {
    pub(crate) fn begin(recording: Recording) -> Self {
        STATE.with_borrow_mut(|state| {
            assert!(state.is_none(), "a replay inside a replay");
            *state = Some(State { entries: recording.entries, next: 1, ..State::default() });
        });
        Self
    }

    /// What the code asked and reported, and the entries (described) that it left.
    pub(crate) fn end<T>(self, value: T) -> (Observed<T>, Vec<String>) {
        let State { entries, waits, progress, checkpoints, .. } = STATE.take().unwrap_or_default();
        (Observed { value, waits, progress, checkpoints }, entries.iter().map(|entry| describe(&entry.op, &entry.request)).collect())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        STATE.set(None);
    }
}

pub(crate) fn submit(op: &str, request: &[u8]) -> i32 {
    STATE.with_borrow_mut(|state| {
        let Some(state) = state else {
            panic!("no recording: run this inside station_sdk::replay::with. Asked for {}", describe(op, request));
        };
        if op.len() > OPERATION_BYTES_MAX || request.len() > REQUEST_BYTES_MAX {
            return -errno::INVAL;
        }
        let Some(at) = state.entries.iter().position(|entry| entry.op == op && entry.request == request) else {
            let known: Vec<String> = state.entries.iter().map(|entry| describe(&entry.op, &entry.request)).collect();
            panic!("not in the recording: {}\nstill unused:\n{}", describe(op, request), known.join("\n"));
        };
        match state.entries.remove(at).result {
            Err(errno) => -errno,
            Ok(stream) => {
                let handle = state.next;
                state.next += 1;
                state.open.insert(handle, (stream, 0));
                i32::try_from(handle).expect("a test opens fewer than 2^31 handles")
            }
        }
    })
}

pub(crate) fn wait(handles: &[u32], timeout_ms: u32) -> i32 {
    on_state(-errno::BADF, |state| {
        state.waits.push(timeout_ms);
        match handles {
            [] => -errno::INVAL,
            _ if handles.len() > HANDLES_MAX => -errno::INVAL,
            _ if handles.iter().any(|handle| !state.open.contains_key(handle)) => -errno::BADF,
            _ => 0,
        }
    })
}

pub(crate) fn read(handle: u32, buffer: &mut [u8]) -> i32 {
    on_state(-errno::BADF, |state| {
        let Some((stream, at)) = state.open.get_mut(&handle) else { return -errno::BADF };
        if buffer.is_empty() {
            return -errno::INVAL;
        }
        let count = (stream.len() - *at).min(buffer.len()).min(READ_BYTES_MAX);
        buffer[..count].copy_from_slice(&stream[*at..*at + count]);
        *at += count;
        i32::try_from(count).expect("at most READ_BYTES_MAX")
    })
}

pub(crate) fn close(handle: u32) -> i32 {
    on_state(0, |state| if state.open.remove(&handle).is_some() { 0 } else { -errno::BADF })
}

pub(crate) fn progress(permille: u32, message: &str) -> i32 {
    on_state(0, |state| {
        if message.len() > MESSAGE_BYTES_MAX {
            return -errno::INVAL;
        }
        state.progress.push((permille, message.to_owned()));
        0
    })
}

pub(crate) fn checkpoint(bytes: &[u8]) -> i32 {
    on_state(0, |state| {
        if bytes.len() > CHECKPOINT_BYTES_MAX {
            return -errno::INVAL;
        }
        state.checkpoints.push(bytes.to_vec());
        0
    })
}

/// `otherwise` when no replay is running: reports of pure code need none.
fn on_state(otherwise: i32, answer: impl FnOnce(&mut State) -> i32) -> i32 {
    STATE.with_borrow_mut(|state| state.as_mut().map_or(otherwise, answer))
}

fn describe(op: &str, request: &[u8]) -> String {
    if op == OPERATION
        && let Ok(request) = serde_ipld_dagcbor::from_slice::<Request>(request)
    {
        return format!("  {op} {request:?}");
    }
    let kind = if serde_ipld_dagcbor::from_slice::<IgnoredAny>(request).is_ok() { "DAG-CBOR" } else { "malformed" };
    format!("  {op} ({} bytes, {kind})", request.len())
}
