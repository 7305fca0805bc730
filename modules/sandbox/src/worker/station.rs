//! The `station_v1` imports: each becomes a frame to the parent, and the guest waits for the reply.
//!
//! Guarantees: pointers are checked and bounds kept before anything is sent; answers are numbers ≥ 0 or negated errnos. Deliberately
//! lacks any meaning of operations.

use wasmer::{Function, FunctionEnv, FunctionEnvMut, RuntimeError, Store};

use super::wasi::{Bytes, End, Guest, cost, errno, split};
use crate::frame::{self, ENVELOPE_BYTES, FromWorker, ToWorker};
use crate::job::{CHECKPOINT_BYTES_MAX, HANDLES_MAX, HostCall, MESSAGE_BYTES_MAX, OPERATION_BYTES_MAX, READ_BYTES_MAX, REQUEST_BYTES_MAX, Reply};

type Env<'a> = FunctionEnvMut<'a, Guest>;
type Called = Result<i32, RuntimeError>;

/// The function of a name.
pub(super) fn function(store: &mut Store, env: &FunctionEnv<Guest>, name: &str) -> Option<Function> {
    Some(match name {
        "submit" => Function::new_typed_with_env(store, env, submit),
        "wait" => Function::new_typed_with_env(store, env, wait),
        "read" => Function::new_typed_with_env(store, env, read),
        "close" => Function::new_typed_with_env(store, env, close),
        "progress" => Function::new_typed_with_env(store, env, progress),
        "checkpoint" => Function::new_typed_with_env(store, env, checkpoint),
        _ => return None,
    })
}

/// Asks the parent, unless the call itself was wrong, and gives the guest a number. `bytes` is what the call carries.
fn ask(guest: &mut Guest, mut memory: Bytes<'_>, bytes: usize, call: Result<HostCall, i32>) -> Called {
    let call = match call {
        Ok(call) => call,
        Err(errno) => return Ok(-errno),
    };
    memory.pay(guest, cost::framed(bytes))?;
    match send(guest, call)? {
        Reply::Number(number) => Ok(number),
        Reply::Bytes(_) => Err(End::Parent.into()),
    }
}

fn send(guest: &mut Guest, call: HostCall) -> Result<Reply, End> {
    let mut socket = &*guest.socket;
    frame::write(&mut socket, &FromWorker::Call(guest.turn, call)).map_err(|_| End::Parent)?;
    match frame::read_one(socket, READ_BYTES_MAX + ENVELOPE_BYTES) {
        Ok(ToWorker::Reply(turn, reply)) => {
            guest.turn = turn;
            Ok(reply)
        }
        _ => Err(End::Parent),
    }
}

/// A length that was checked, or belongs to a call that is wrong.
fn length(of: i32) -> usize {
    of.cast_unsigned() as usize
}

fn text(memory: &Bytes<'_>, at: i32, len: i32, most: usize) -> Result<String, i32> {
    String::from_utf8(memory.copy(at, len, most)?).map_err(|_| errno::INVAL)
}

fn submit(mut env: Env<'_>, op: i32, op_len: i32, request: i32, request_len: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    let call = text(&memory, op, op_len, OPERATION_BYTES_MAX)
        .and_then(|op| Ok(HostCall::Submit { op, request: memory.copy(request, request_len, REQUEST_BYTES_MAX)? }));
    let bytes = length(op_len) + length(request_len);
    ask(guest, memory, bytes, call)
}

fn wait(mut env: Env<'_>, handles: i32, count: i32, timeout_ms: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    if count.cast_unsigned() as usize > HANDLES_MAX {
        return Ok(-errno::INVAL);
    }
    let call = memory.copy(handles, count * 4, HANDLES_MAX * 4).map(|bytes| HostCall::Wait {
        handles: bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        timeout_ms: timeout_ms.cast_unsigned(),
    });
    ask(guest, memory, length(count) * 4, call)
}

fn read(mut env: Env<'_>, handle: i32, buffer: i32, capacity: i32) -> Called {
    let (guest, mut memory) = split(&mut env)?;
    let capacity = capacity.cast_unsigned() as usize;
    if let Err(errno) = memory.check(buffer, capacity) {
        return Ok(-errno);
    }
    let max = capacity.min(READ_BYTES_MAX);
    let call = HostCall::Read { handle: handle.cast_unsigned(), max: u32::try_from(max).unwrap_or(u32::MAX) };
    memory.pay(guest, cost::framed(0))?;
    match send(guest, call)? {
        Reply::Number(number) => Ok(number),
        Reply::Bytes(bytes) if bytes.len() <= max => {
            // How much there is, is known only now; a guest that cannot pay for it does not get it.
            memory.pay(guest, cost::framed(bytes.len()) - cost::framed(0))?;
            memory.put(buffer, &bytes).map_err(|_| End::Parent)?;
            Ok(i32::try_from(bytes.len()).unwrap_or(i32::MAX))
        }
        Reply::Bytes(_) => Err(End::Parent.into()),
    }
}

fn close(mut env: Env<'_>, handle: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    ask(guest, memory, 0, Ok(HostCall::Close { handle: handle.cast_unsigned() }))
}

fn progress(mut env: Env<'_>, permille: i32, message: i32, message_len: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    let call =
        text(&memory, message, message_len, MESSAGE_BYTES_MAX).map(|message| HostCall::Progress { permille: permille.cast_unsigned(), message });
    ask(guest, memory, length(message_len), call)
}

fn checkpoint(mut env: Env<'_>, at: i32, len: i32) -> Called {
    let (guest, memory) = split(&mut env)?;
    let call = memory.copy(at, len, CHECKPOINT_BYTES_MAX).map(|bytes| HostCall::Checkpoint { bytes });
    ask(guest, memory, length(len), call)
}
