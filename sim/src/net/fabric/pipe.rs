//! [`Pipe`]: one direction of a connection, bytes with their arrival times.
//!
//! Guarantees: bytes come out in order, none before its time; at most [`PIPE_BYTES_MAX`] wait to be read. Deliberately lacks windows
//! and acknowledgements: what they cost in time is in the arrival times.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::{Fabric, Path, lock};
use crate::det::trace::{Kind, content};
use crate::net::link::{CHUNK_BYTES_MAX, Stream, Tcp};

/// Bytes written and not yet read: what Linux's send and receive buffers hold together before it enlarges them.
pub(crate) const PIPE_BYTES_MAX: usize = 256 << 10;
/// A buffer that grew beyond this is given back when it is empty.
const BUFFER_KEPT: usize = 4 << 10;
/// The arrival of what a partition holds.
const HELD: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Pipe {
    path: Path,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stream: Stream,
    buffer: VecDeque<u8>,
    /// Arrival in ms and number of bytes.
    marks: VecDeque<(u64, usize)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    scheduled: bool,
    held: bool,
    end: End,
    /// The writer hears of it at this time.
    reader_gone_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// Nothing more is written; the reader hears of it at this time.
    At(u64),
}

impl Pipe {
    pub(crate) fn new(path: Path, tcp: Tcp) -> Arc<Self> {
        let state = State {
            stream: Stream::new(tcp),
            buffer: VecDeque::new(),
            marks: VecDeque::new(),
            reader: None,
            writer: None,
            scheduled: false,
            held: false,
            end: End::Open,
            reader_gone_ms: None,
        };
        Arc::new(Self { path, state: Mutex::new(state) })
    }

    /// Writes as much as there is room for, at most one chunk.
    pub(crate) fn poll_write(self: &Arc<Self>, fabric: &Fabric, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.state);
        if state.end != End::Open || state.reader_gone_ms.is_some_and(|at| at <= fabric.now_ms()) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = (PIPE_BYTES_MAX - state.buffer.len()).min(CHUNK_BYTES_MAX as usize);
        if room == 0 {
            let old = state.writer.replace(context.waker().clone());
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let taken = &bytes[..room.min(bytes.len())];
        fabric.event(self.path.from, Kind::Wrote, content(taken));
        if state.reader_gone_ms.is_some() {
            return Poll::Ready(Ok(taken.len()));
        }
        state.buffer.extend(taken);
        let at = self.arrival(&mut state, fabric, taken.len());
        match state.marks.back_mut() {
            Some((last, count)) if *last == at => *count += taken.len(),
            _ => state.marks.push_back((at, taken.len())),
        }
        let schedule = self.must_schedule(&mut state, at);
        drop(state);
        if schedule {
            fabric.schedule(at, self.clone());
        }
        Poll::Ready(Ok(taken.len()))
    }

    /// Reads what has arrived; 0 bytes when the other side has ended.
    pub(crate) fn poll_read(self: &Arc<Self>, fabric: &Fabric, context: &Context<'_>, into: &mut [u8]) -> Poll<usize> {
        let now = fabric.now_ms();
        let mut state = lock(&self.state);
        let mut read = 0;
        while read < into.len() {
            let Some((at, count)) = state.marks.front_mut() else { break };
            if *at > now {
                break;
            }
            let part = (*count).min(into.len() - read);
            *count -= part;
            if *count == 0 {
                state.marks.pop_front();
            }
            take(&mut state.buffer, &mut into[read..read + part]);
            read += part;
        }
        if read > 0 {
            if state.buffer.is_empty() && state.buffer.capacity() > BUFFER_KEPT {
                state.buffer = VecDeque::new();
            }
            let writer = state.writer.take();
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(read);
        }
        if state.marks.is_empty() && matches!(state.end, End::At(at) if at <= now) {
            return Poll::Ready(0);
        }
        let old = state.reader.replace(context.waker().clone());
        let next = state.next_ms();
        let schedule = next.filter(|at| self.must_schedule(&mut state, *at));
        drop(state);
        drop(old);
        if let Some(at) = schedule {
            fabric.schedule(at, self.clone());
        }
        Poll::Pending
    }

    /// Nothing more will be written. The reader hears of it after the bytes before.
    pub(crate) fn finish(self: &Arc<Self>, fabric: &Fabric) {
        let mut state = lock(&self.state);
        if state.end != End::Open {
            return;
        }
        let at = self.arrival(&mut state, fabric, 0);
        state.end = End::At(at);
        let schedule = self.must_schedule(&mut state, at);
        drop(state);
        if schedule {
            fabric.schedule(at, self.clone());
        }
        fabric.event(self.path.from, Kind::Ended, u64::from(self.path.to));
    }

    /// Nobody reads any more. The writer's next write fails once it can have heard of it.
    pub(crate) fn abandon(&self, fabric: &Fabric) {
        let mut state = lock(&self.state);
        if state.reader_gone_ms.is_none() {
            state.reader_gone_ms = Some(fabric.signal(self.path.to, self.path.from).unwrap_or(HELD));
            state.buffer = VecDeque::new();
            state.marks = VecDeque::new();
            let wakers = (state.writer.take(), state.reader.take());
            drop(state);
            if let Some(writer) = wakers.0 {
                writer.wake();
            }
        }
    }

    /// The pump says that it is time.
    pub(super) fn arrive(&self) {
        let mut state = lock(&self.state);
        state.scheduled = false;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The cut that held this is mended, perhaps.
    pub(super) fn release(self: Arc<Self>, fabric: &Fabric) {
        let mut state = lock(&self.state);
        state.held = false;
        let held: usize = state.marks.iter().filter(|(at, _)| *at == HELD).map(|(_, count)| count).sum();
        state.marks.retain(|(at, _)| *at != HELD);
        let mut left = held;
        while left > 0 {
            let bytes = left.min(CHUNK_BYTES_MAX as usize);
            let at = self.arrival(&mut state, fabric, bytes);
            state.marks.push_back((at, bytes));
            left -= bytes;
        }
        if state.end == End::At(HELD) {
            let at = self.arrival(&mut state, fabric, 0);
            state.end = End::At(at);
        }
        if state.reader_gone_ms == Some(HELD) {
            state.reader_gone_ms = fabric.signal(self.path.to, self.path.from).or(Some(HELD));
        }
        let next = state.next_ms().filter(|at| self.must_schedule(&mut state, *at));
        drop(state);
        if let Some(at) = next {
            fabric.schedule(at, self);
        }
    }

    /// When `bytes` written now arrive, after all before them.
    fn arrival(self: &Arc<Self>, state: &mut State, fabric: &Fabric, bytes: usize) -> u64 {
        let carried = if state.held { None } else { fabric.carry(self.path, &mut state.stream, bytes) };
        carried.unwrap_or_else(|| {
            if !state.held {
                state.held = true;
                fabric.hold(self.clone());
            }
            HELD
        })
    }

    /// Whether somebody waits who is not yet told of `at`.
    fn must_schedule(&self, state: &mut State, at: u64) -> bool {
        let must = state.reader.is_some() && !state.scheduled && at != HELD;
        state.scheduled |= must;
        must
    }
}

impl State {
    /// The next arrival.
    fn next_ms(&self) -> Option<u64> {
        match (self.marks.front(), self.end) {
            (Some((at, _)), _) => Some(*at),
            (None, End::At(at)) => Some(at),
            (None, End::Open) => None,
        }
    }
}

fn take(buffer: &mut VecDeque<u8>, into: &mut [u8]) {
    let (front, back) = buffer.as_slices();
    let first = front.len().min(into.len());
    into[..first].copy_from_slice(&front[..first]);
    let rest = into.len() - first;
    into[first..].copy_from_slice(&back[..rest]);
    buffer.drain(..into.len());
}
