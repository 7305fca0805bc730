//! WASI preview1 as far as a command without files needs it, written by hand.
//!
//! Guarantees: every name of preview1 links; standard input is the job's, output and log are bounded; a pure job sees a clock that
//! starts at a constant and moves only by its own sleeps, and entropy from its seed; a pointer outside the memory is an errno.
//! Deliberately lacks files, sockets, signals, arguments beyond a fixed one, and an environment: none is there to leak.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wasmer::{Function, FunctionEnv, FunctionEnvMut, FunctionType, Global, Memory, MemoryView, RuntimeError, Store, StoreMut, Value};

use crate::frame::{Start, Turn};
use crate::job::LOG_BYTES_MAX;
use crate::system::Socket;

pub(crate) mod poll;

/// Fuel that a guest pays for what the host does for it, besides the call itself. About ten nanoseconds each, as for the dearest operators.
pub(crate) mod cost {
    /// For any call that touches the guest's memory.
    pub(crate) const CALL: u64 = 20;
    /// For each buffer of a vector, empty or not.
    pub(crate) const VECTOR: u64 = 8;
    /// For each subscription of a poll.
    pub(crate) const SUBSCRIPTION: u64 = 32;
    /// Bytes copied between the guest and the host for one fuel, as bulk operators.
    pub(crate) const BYTES_PER_FUEL: u64 = 8;
    /// For a call that the parent answers: two frames between processes.
    pub(crate) const STEP: u64 = 2_000;
    /// Bytes in such a frame for one fuel.
    pub(crate) const STEP_BYTES_PER_FUEL: u64 = 2;

    pub(crate) fn copied(bytes: usize) -> u64 {
        bytes as u64 / BYTES_PER_FUEL
    }

    /// Bytes of entropy: one fuel each.
    pub(crate) fn random(bytes: usize) -> u64 {
        bytes as u64
    }

    /// Bytes in frames between processes: encoded, sent, read and checked.
    pub(crate) fn framed(bytes: usize) -> u64 {
        STEP + bytes as u64 / STEP_BYTES_PER_FUEL
    }
}

/// Error numbers of preview1 that this shim and the host calls answer with.
pub(crate) mod errno {
    pub(crate) const SUCCESS: i32 = 0;
    pub(crate) const BADF: i32 = 8;
    pub(crate) const FAULT: i32 = 21;
    pub(crate) const INVAL: i32 = 28;
    pub(crate) const NOSYS: i32 = 52;
    pub(crate) const NOTDIR: i32 = 54;
    pub(crate) const NOTSOCK: i32 = 57;
    pub(crate) const NOTSUP: i32 = 58;
    pub(crate) const SPIPE: i32 = 70;
}

/// The one argument: programs expect a name at the first place.
const ARGUMENT: &[u8] = b"module\0";
/// Where a pure job's clock starts: a constant after 2001, because programs treat 0 as "no clock".
pub(crate) const PURE_EPOCH_NS: u64 = 1_000_000_000_000_000_000;
/// The resolution that `clock_res_get` tells.
pub(crate) const CLOCK_RESOLUTION_NS: u64 = 1_000;
/// Most buffers in one read or write: what POSIX systems take. Of more, the first ones are taken, as a short read or write.
pub(crate) const VECTORS_MAX: u32 = 1_024;
/// Bytes copied at once between the guest's memory and a buffer of ours.
const CHUNK_BYTES: usize = 64 << 10;
/// `fd_read` and `fd_write` among the rights of a descriptor, and polling it.
const RIGHT_READ: u64 = 1 << 1;
const RIGHT_WRITE: u64 = 1 << 6;
const RIGHT_POLL: u64 = 1 << 27;

/// Why the guest's `_start` ended early by our doing.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the guest exited with {0}")]
    Exit(u32),
    #[error("the guest wrote more output than its limit")]
    OutputTooLarge,
    #[error("the guest could not pay for what it asked of the host")]
    OutOfFuel,
    #[error("the parent is gone or broke the rules")]
    Parent,
}

impl From<End> for RuntimeError {
    fn from(end: End) -> Self {
        Self::user(Box::new(end))
    }
}

/// What the imports of one instance share.
pub(super) struct Guest {
    /// Set once the instance exists; nothing runs before.
    pub(super) memory: Option<Memory>,
    /// The meter's global; set with the memory.
    pub(super) fuel: Option<Global>,
    pub(super) socket: Arc<Socket>,
    /// Of the parent's last frame.
    pub(super) turn: Turn,
    pub(super) output: Vec<u8>,
    /// The last of what the guest wrote there.
    pub(super) log: VecDeque<u8>,
    input: Vec<u8>,
    input_at: usize,
    output_bytes_max: u64,
    open: [bool; 3],
    world: World,
}

/// Clock and entropy.
enum World {
    Pure { now_ns: u64, entropy: Box<ChaCha20Rng> },
    Real { started: Instant },
}

impl Guest {
    pub(super) fn new(start: Start, turn: Turn, socket: Arc<Socket>) -> Self {
        let world = match start.seed {
            Some(seed) => World::Pure { now_ns: PURE_EPOCH_NS, entropy: Box::new(ChaCha20Rng::from_seed(seed)) },
            None => World::Real { started: Instant::now() },
        };
        Self {
            memory: None,
            fuel: None,
            socket,
            turn,
            output: Vec::new(),
            log: VecDeque::new(),
            input: start.input,
            input_at: 0,
            output_bytes_max: start.output_bytes,
            open: [true; 3],
            world,
        }
    }

    fn is_open(&self, fd: i32) -> bool {
        usize::try_from(fd).is_ok_and(|fd| self.open.get(fd) == Some(&true))
    }

    /// Nanoseconds of a clock, or `None` for a clock that is not there.
    fn now_ns(&self, clock: i32) -> Option<u64> {
        match (&self.world, clock) {
            (World::Pure { now_ns, .. }, 0 | 1) => Some(*now_ns),
            (World::Real { .. }, 0) => SystemTime::now().duration_since(UNIX_EPOCH).ok().map(nanoseconds),
            // Not from 0, which some runtimes take for a clock that failed.
            (World::Real { started }, 1) => Some(nanoseconds(started.elapsed()) + 1_000_000_000),
            _ => None,
        }
    }

    fn sleep(&mut self, ns: u64) {
        match &mut self.world {
            World::Pure { now_ns, .. } => *now_ns = now_ns.saturating_add(ns),
            World::Real { .. } => std::thread::sleep(Duration::from_nanos(ns)),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), i32> {
        match &mut self.world {
            World::Pure { entropy, .. } => {
                entropy.fill_bytes(bytes);
                Ok(())
            }
            World::Real { .. } => getrandom::fill(bytes).map_err(|_| errno::NOSYS),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The guest's memory with checked access; every failure is `FAULT`.
pub(super) struct Bytes<'a> {
    store: StoreMut<'a>,
    memory: Memory,
}

impl Bytes<'_> {
    /// Takes fuel from the guest before something is done for it. What it pays follows from its own arguments and data.
    pub(super) fn pay(&mut self, guest: &Guest, fuel: u64) -> Result<(), End> {
        let Some(global) = &guest.fuel else { return Ok(()) };
        let Value::I64(left) = global.get(&mut self.store) else { return Err(End::Parent) };
        let left = left.saturating_sub_unsigned(fuel);
        global.set(&mut self.store, Value::I64(left)).map_err(|_| End::Parent)?;
        if left < 0 { Err(End::OutOfFuel) } else { Ok(()) }
    }

    fn view(&self) -> MemoryView<'_> {
        self.memory.view(&self.store)
    }

    pub(super) fn get(&self, at: i32, into: &mut [u8]) -> Result<(), i32> {
        self.view().read(u64::from(at.cast_unsigned()), into).map_err(|_| errno::FAULT)
    }

    pub(super) fn put(&self, at: i32, bytes: &[u8]) -> Result<(), i32> {
        self.view().write(u64::from(at.cast_unsigned()), bytes).map_err(|_| errno::FAULT)
    }

    pub(super) fn put_u32(&self, at: i32, value: u32) -> Result<(), i32> {
        self.put(at, &value.to_le_bytes())
    }

    fn put_u64(&self, at: i32, value: u64) -> Result<(), i32> {
        self.put(at, &value.to_le_bytes())
    }

    /// A copy of `len` bytes; `INVAL` above `most`, which bounds what we allocate.
    pub(super) fn copy(&self, at: i32, len: i32, most: usize) -> Result<Vec<u8>, i32> {
        let len = len.cast_unsigned() as usize;
        if len > most {
            return Err(errno::INVAL);
        }
        self.check(at, len)?;
        let mut bytes = vec![0; len];
        self.get(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Whether `len` bytes from `at` lie in the memory.
    pub(super) fn check(&self, at: i32, len: usize) -> Result<(), i32> {
        let end = u64::from(at.cast_unsigned()) + len as u64;
        if end > self.view().data_size() { Err(errno::FAULT) } else { Ok(()) }
    }

    /// The (pointer, length) pairs of a vector of buffers, all of them inside the memory: at most [`VECTORS_MAX`], the first ones. Where
    /// these are empty and there are more, a short answer would be none, which means an end: `INVAL`. Each is paid before the list is read,
    /// also where the call then fails.
    fn vectors(&mut self, guest: &Guest, at: i32, count: i32) -> Result<Result<Vec<(i32, usize)>, i32>, End> {
        let count = count.cast_unsigned();
        let taken = count.min(VECTORS_MAX);
        self.pay(guest, u64::from(taken) * cost::VECTOR)?;
        Ok(self.pairs(at, taken, taken < count))
    }

    fn pairs(&self, at: i32, taken: u32, are_more: bool) -> Result<Vec<(i32, usize)>, i32> {
        let table = self.copy(at, taken.cast_signed() * 8, VECTORS_MAX as usize * 8)?;
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let pairs = table.chunks_exact(8).map(|pair| (word(&pair[..4]).cast_signed(), word(&pair[4..]) as usize)).collect::<Vec<_>>();
        pairs.iter().try_for_each(|(at, len)| self.check(*at, *len))?;
        if are_more && pairs.iter().all(|pair| pair.1 == 0) { Err(errno::INVAL) } else { Ok(pairs) }
    }
}

/// The shared state and the memory of the instance that called, which pays for the call.
pub(super) fn split<'a>(env: &'a mut FunctionEnvMut<'_, Guest>) -> Result<(&'a mut Guest, Bytes<'a>), End> {
    let (guest, store) = env.data_and_store_mut();
    let memory = guest.memory.clone().ok_or(End::Parent)?;
    let mut bytes = Bytes { store, memory };
    bytes.pay(guest, cost::CALL)?;
    Ok((guest, bytes))
}

/// An errno as preview1 returns it.
fn answer(result: Result<(), i32>) -> i32 {
    result.err().unwrap_or(errno::SUCCESS)
}

type Env<'a> = FunctionEnvMut<'a, Guest>;
type Called = Result<i32, RuntimeError>;

/// The function of a name; names without one here answer an errno that says why.
pub(super) fn function(store: &mut Store, env: &FunctionEnv<Guest>, name: &str, ty: &FunctionType) -> Function {
    let make = Maker { store, env };
    match name {
        "args_get" => Function::new_typed_with_env(make.store, make.env, args_get),
        "args_sizes_get" => Function::new_typed_with_env(make.store, make.env, args_sizes_get),
        "environ_get" => Function::new_typed_with_env(make.store, make.env, |_: Env<'_>, _: i32, _: i32| 0),
        "environ_sizes_get" => Function::new_typed_with_env(make.store, make.env, environ_sizes_get),
        "clock_res_get" => Function::new_typed_with_env(make.store, make.env, clock_res_get),
        "clock_time_get" => Function::new_typed_with_env(make.store, make.env, clock_time_get),
        "fd_close" => Function::new_typed_with_env(make.store, make.env, fd_close),
        "fd_fdstat_get" => Function::new_typed_with_env(make.store, make.env, fd_fdstat_get),
        "fd_fdstat_set_flags" => Function::new_typed_with_env(make.store, make.env, |env: Env<'_>, fd: i32, _: i32| open(&env, fd)),
        "fd_filestat_get" => Function::new_typed_with_env(make.store, make.env, fd_filestat_get),
        "fd_prestat_get" => Function::new_typed_with_env(make.store, make.env, |_: Env<'_>, _: i32, _: i32| errno::BADF),
        "fd_read" => Function::new_typed_with_env(make.store, make.env, fd_read),
        "fd_write" => Function::new_typed_with_env(make.store, make.env, fd_write),
        "poll_oneoff" => Function::new_typed_with_env(make.store, make.env, poll::poll_oneoff),
        "proc_exit" => Function::new_typed_with_env(make.store, make.env, proc_exit),
        "random_get" => Function::new_typed_with_env(make.store, make.env, random_get),
        "sched_yield" => Function::new_typed_with_env(make.store, make.env, |_: Env<'_>| errno::SUCCESS),
        name => make.absent(ty, refusal(name)),
    }
}

struct Maker<'a> {
    store: &'a mut Store,
    env: &'a FunctionEnv<Guest>,
}

impl Maker<'_> {
    /// A function that only answers an errno: `BADF` for a descriptor that is not open, else the one given.
    fn absent(self, ty: &FunctionType, refusal: Refusal) -> Function {
        Function::new_with_env(self.store, self.env, ty, move |env, values| {
            let open = matches!(values.first(), Some(Value::I32(fd)) if env.data().is_open(*fd));
            let number = if refusal.needs_descriptor && !open { errno::BADF } else { refusal.errno };
            Ok(vec![Value::I32(number)])
        })
    }
}

/// What a function that is not there answers.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) needs_descriptor: bool,
    pub(crate) errno: i32,
}

pub(crate) fn refusal(name: &str) -> Refusal {
    let (needs_descriptor, errno) = match name {
        "fd_seek" | "fd_tell" | "fd_pread" | "fd_pwrite" | "fd_advise" => (true, errno::SPIPE),
        "fd_readdir" | "fd_prestat_dir_name" => (true, errno::NOTDIR),
        name if name.starts_with("path_") => (true, errno::NOTDIR),
        name if name.starts_with("sock_") => (true, errno::NOTSOCK),
        name if name.starts_with("fd_") => (true, errno::NOTSUP),
        _ => (false, errno::NOSYS),
    };
    Refusal { needs_descriptor, errno }
}

fn open(env: &Env<'_>, fd: i32) -> i32 {
    if env.data().is_open(fd) { errno::SUCCESS } else { errno::BADF }
}

fn args_get(mut env: Env<'_>, pointers: i32, bytes: i32) -> Called {
    let (_, memory) = split(&mut env)?;
    Ok(answer(memory.put_u32(pointers, bytes.cast_unsigned()).and_then(|()| memory.put(bytes, ARGUMENT))))
}

fn args_sizes_get(mut env: Env<'_>, count: i32, size: i32) -> Called {
    let (_, memory) = split(&mut env)?;
    Ok(answer(memory.put_u32(count, 1).and_then(|()| memory.put(size, &7_u32.to_le_bytes()))))
}

fn environ_sizes_get(mut env: Env<'_>, count: i32, size: i32) -> Called {
    let (_, memory) = split(&mut env)?;
    Ok(answer(memory.put_u32(count, 0).and_then(|()| memory.put_u32(size, 0))))
}

fn clock_res_get(mut env: Env<'_>, clock: i32, at: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    let known = guest.now_ns(clock).map(|_| CLOCK_RESOLUTION_NS).ok_or(errno::INVAL);
    Ok(answer(known.and_then(|ns| memory.put_u64(at, ns))))
}

fn clock_time_get(mut env: Env<'_>, clock: i32, _precision: i64, at: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    Ok(answer(guest.now_ns(clock).ok_or(errno::INVAL).and_then(|ns| memory.put_u64(at, ns))))
}

fn fd_close(mut env: Env<'_>, fd: i32) -> i32 {
    if open(&env, fd) != errno::SUCCESS {
        return errno::BADF;
    }
    env.data_mut().open[fd.cast_unsigned() as usize] = false;
    errno::SUCCESS
}

/// Type unknown: neither a terminal, which would make output line-buffered, nor a file, which would be sought in.
fn fd_fdstat_get(mut env: Env<'_>, fd: i32, at: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    if !guest.is_open(fd) {
        return Ok(errno::BADF);
    }
    let mut stat = [0; 24];
    let right = if fd == 0 { RIGHT_READ } else { RIGHT_WRITE };
    stat[8..16].copy_from_slice(&(right | RIGHT_POLL).to_le_bytes());
    Ok(answer(memory.put(at, &stat)))
}

fn fd_filestat_get(mut env: Env<'_>, fd: i32, at: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    if !guest.is_open(fd) {
        return Ok(errno::BADF);
    }
    let mut stat = [0; 64];
    // One link.
    stat[24] = 1;
    Ok(answer(memory.put(at, &stat)))
}

fn fd_read(mut env: Env<'_>, fd: i32, vectors: i32, count: i32, read: i32) -> Called {
    let (guest, mut memory) = split(&mut env)?;
    if fd != 0 || !guest.is_open(fd) {
        return Ok(errno::BADF);
    }
    let vectors = match memory.vectors(guest, vectors, count)?.and_then(|vectors| memory.check(read, 4).map(|()| vectors)) {
        Ok(vectors) => vectors,
        Err(errno) => return Ok(errno),
    };
    let wanted = vectors.iter().map(|vector| vector.1).fold(0, usize::saturating_add).min(guest.input.len() - guest.input_at);
    memory.pay(guest, cost::copied(wanted))?;
    let before = guest.input_at;
    for (at, len) in vectors {
        let rest = &guest.input[guest.input_at..];
        let part = &rest[..len.min(rest.len())];
        memory.put(at, part).map_err(|_| End::Parent)?;
        guest.input_at += part.len();
    }
    Ok(answer(memory.put_u32(read, u32::try_from(guest.input_at - before).unwrap_or(u32::MAX))))
}

fn fd_write(mut env: Env<'_>, fd: i32, vectors: i32, count: i32, written: i32) -> Called {
    let (guest, mut memory) = split(&mut env)?;
    if !guest.is_open(fd) || fd == 0 {
        return Ok(errno::BADF);
    }
    let vectors = match memory.vectors(guest, vectors, count)?.and_then(|vectors| memory.check(written, 4).map(|()| vectors)) {
        Ok(vectors) => vectors,
        Err(errno) => return Ok(errno),
    };
    let total = vectors.iter().map(|vector| vector.1).fold(0, usize::saturating_add);
    // More than there are numbers for: an errno, but for the output, whose limit is far below.
    let sum = u32::try_from(total).unwrap_or(u32::MAX);
    if fd != 1 && total > sum as usize {
        return Ok(errno::INVAL);
    }
    // What is above its limit is not copied, and ends the job or is dropped.
    let kept = if fd == 1 { total.min(usize::try_from(guest.output_bytes_max).unwrap_or(usize::MAX)) } else { total.min(LOG_BYTES_MAX) };
    memory.pay(guest, cost::copied(kept))?;
    if fd == 1 {
        for (at, len) in vectors {
            if guest.output.len() as u64 + len as u64 > guest.output_bytes_max {
                return Err(End::OutputTooLarge.into());
            }
            append(&memory, at, len, &mut guest.output)?;
        }
    } else {
        log(&memory, &vectors, total - kept, &mut guest.log)?;
    }
    Ok(answer(memory.put_u32(written, sum)))
}

/// Keeps the end of a log. `left_out` bytes of the write are no part of it.
fn log(memory: &Bytes<'_>, vectors: &[(i32, usize)], mut left_out: usize, to: &mut VecDeque<u8>) -> Result<(), End> {
    let mut written = Vec::new();
    for (at, len) in vectors {
        let skipped = left_out.min(*len);
        left_out -= skipped;
        // Within the buffer, which was checked.
        append(memory, at.wrapping_add(skipped as i32), len - skipped, &mut written)?;
    }
    to.drain(..(to.len() + written.len()).saturating_sub(LOG_BYTES_MAX));
    to.extend(written);
    Ok(())
}

/// Copies in chunks, so that a guest cannot make us allocate what it only claims to have.
fn append(memory: &Bytes<'_>, at: i32, len: usize, to: &mut Vec<u8>) -> Result<(), End> {
    let mut at = at.cast_unsigned() as usize;
    let end = at + len;
    while at < end {
        let part = (end - at).min(CHUNK_BYTES);
        let from = to.len();
        to.resize(from + part, 0);
        // Checked when the vectors were read; the guest does not run meanwhile.
        memory.view().read(at as u64, &mut to[from..]).map_err(|_| End::Parent)?;
        at += part;
    }
    Ok(())
}

fn proc_exit(_: Env<'_>, code: i32) -> Result<(), RuntimeError> {
    Err(End::Exit(code.cast_unsigned()).into())
}

/// Paid before, in whole; filled piece by piece, so that the guest's length is no length of ours.
fn random_get(mut env: Env<'_>, at: i32, len: i32) -> Called {
    let (guest, mut memory) = split(&mut env)?;
    let len = len.cast_unsigned() as usize;
    if let Err(errno) = memory.check(at, len) {
        return Ok(errno);
    }
    memory.pay(guest, cost::random(len))?;
    let mut bytes = vec![0; len.min(CHUNK_BYTES)];
    let mut done = 0;
    while done < len {
        let part = &mut bytes[..(len - done).min(CHUNK_BYTES)];
        if let Err(errno) = guest.fill(part).and_then(|()| memory.put(at.wrapping_add(done as i32), part)) {
            return Ok(errno);
        }
        done += part.len();
    }
    Ok(errno::SUCCESS)
}
