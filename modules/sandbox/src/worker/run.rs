//! The engine in a worker's hands: a compile worker's machine code; and a run worker, which maps one artefact, then runs job after job,
//! each in a store and instance of its own.
//!
//! Guarantees: the guest's only export that is called is `_start`; a report says exactly how much fuel was used. Deliberately lacks a
//! clock that ends a run: the parent kills the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use station_protocol::receipt::{Outcome, Trap};
use wasmer::sys::NativeEngineExt;
use wasmer::sys::vm::TrapCode;
use wasmer::{
    Engine, ExportIndex, ExternType, FunctionEnv, GlobalInit, Imports, Instance, InstantiationError, LinkError, Module, RuntimeError, Store, Value,
};

use super::memory::{Limits, PageLimit};
use super::wasi::{End, Guest};
use super::{EXIT_NATIVE_STACK, EXIT_OUT_OF_MEMORY, Native, NativeGuest, NotCompiled, station, wasi};
use crate::artefact::{ARTEFACT_BYTES_MAX, Needs, Tier};
use crate::check::{PAGES_MAX, Refusal, TABLE_ELEMENTS_MAX};
use crate::frame::{self, ENVELOPE_BYTES, FromWorker, Made, Start, ToWorker, Turn};
use crate::isolation::Layers;
use crate::job::Done;
use crate::system::{self, Socket};
use crate::{engine, imports, normalise};

pub(crate) const PAGE_BYTES: u64 = 64 << 10;
/// Memory that a table's element takes, at the start and when it grows: the job pays for the most that its tables may become.
pub(crate) const TABLE_ELEMENT_BYTES: u64 = 16;

/// Compiles a module in its normal form. It is of the profile, so that a reason against it is the compiler's own and no fault of the module.
pub(super) fn machine_code(normal: &[u8], tier: Tier) -> Result<Made, NotCompiled> {
    let module = Module::from_binary(&engine::compiler(tier), normal).map_err(|error| match error {
        // The system refused the memory, not the compiler the module.
        wasmer::CompileError::Resource(_) => std::process::exit(EXIT_OUT_OF_MEMORY),
        error => NotCompiled(error.to_string()),
    })?;
    let needs = needs(&module).map_err(|error| NotCompiled(error.to_string()))?;
    let bytes = module.serialize().map_err(|error| NotCompiled(error.to_string()))?.to_vec();
    Ok(Made { bytes, tier, needs })
}

pub(super) fn serve(socket: Socket, held: Layers, native: Option<NativeGuest>) -> io::Result<()> {
    let socket = Arc::new(socket);
    let ToWorker::Open(artefact) = frame::read(&mut &*socket, ARTEFACT_BYTES_MAX + ENVELOPE_BYTES)? else { return Err(rule("open")) };
    let pages = PageLimit::new(AtomicU32::new(0));
    let mut engine = engine::runner();
    engine.set_tunables(Limits::new(pages.clone()));
    let module = load(&engine, &artefact).ok_or_else(|| rule("artefact"))?;
    drop(artefact);
    // The last machine code of this process is mapped.
    let held = system::forbid_new_code(held);
    frame::write(&mut &*socket, &FromWorker::Ready(held))?;
    loop {
        let (turn, start) = match frame::read_one(&*socket, usize::MAX)? {
            ToWorker::Start(turn, start) => (turn, start),
            ToWorker::Open(_) | ToWorker::Reply(..) => return Err(rule("start")),
        };
        let (turn, done) = match native {
            Some(guest) => {
                let output = guest(Native { input: &start.input, turn: turn.0, socket: &socket });
                (turn, Done { outcome: Outcome::Completed, output, log: Vec::new(), fuel: 0 })
            }
            None => job(&engine, &module, &pages, &socket, turn, start)?,
        };
        frame::write(&mut &*socket, &FromWorker::Done(turn, done))?;
    }
}

fn rule(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("out of order: {what}"))
}

#[expect(unsafe_code, reason = "mapping machine code is what an artefact is for")]
fn load(engine: &Engine, artefact: &[u8]) -> Option<Module> {
    // SAFETY: the parent passes only what its own compile worker made or what its cache authenticated with a key of this machine, under
    // a name that covers the engine's version and this processor's features.
    unsafe { Module::deserialize(engine, artefact) }.ok()
}

/// Runs one job: the last turn of it, and how it ended. An error is the worker's, and ends it.
fn job(engine: &Engine, module: &Module, pages: &PageLimit, socket: &Arc<Socket>, turn: Turn, start: Start) -> io::Result<(Turn, Done)> {
    let fuel = start.fuel;
    let unstarted = |outcome, fuel| Ok((turn, Done { outcome, output: Vec::new(), log: Vec::new(), fuel }));
    // More fuel than half of 2^64 is never used up.
    let total = i64::try_from(fuel).unwrap_or(i64::MAX);
    let needs = needs(module)?;
    match needs.within(start.memory_bytes, total.unsigned_abs()) {
        Ok(()) => {}
        Err(Refusal::FuelAtStart { .. }) => return unstarted(Outcome::OutOfFuel, fuel),
        Err(_) => return unstarted(Outcome::BadModule, 0),
    }
    let given = total.saturating_sub_unsigned(needs.fuel);
    // What the tables leave.
    let limit = start.memory_bytes.saturating_sub(table_bytes(module)) / PAGE_BYTES;
    pages.store(u32::try_from(limit.min(PAGES_MAX)).unwrap_or(u32::MAX), Ordering::Relaxed);
    let mut store = Store::new(engine.clone());
    let guest = FunctionEnv::new(&mut store, Guest::new(start, turn, socket.clone()));
    let (ended, metered) = execute(&mut store, &guest, module, given)?;
    let guest = guest.as_mut(&mut store);
    let outcome = match ended {
        Ok(()) => Outcome::Completed,
        Err(error) => match error.downcast::<End>() {
            Ok(End::Exit(0)) => Outcome::Completed,
            Ok(End::Exit(code)) => Outcome::Exited(code),
            Ok(End::OutputTooLarge) => Outcome::OutputTooLarge,
            Ok(End::OutOfFuel) => Outcome::OutOfFuel,
            Ok(End::Parent) => return Err(io::ErrorKind::BrokenPipe.into()),
            // The counted stack ends first; where this one ends is the machine's affair, and nothing to sign.
            Err(error) if error.clone().to_trap() == Some(TrapCode::StackOverflow) => std::process::exit(EXIT_NATIVE_STACK),
            Err(_) if metered.left.is_none() => Outcome::OutOfFuel,
            Err(_) if metered.overflowed => Outcome::StackOverflow,
            Err(error) => trapped(error.to_trap()),
        },
    };
    let (output, log) = (std::mem::take(&mut guest.output), std::mem::take(&mut guest.log).into());
    Ok((guest.turn, Done { outcome, output, log, fuel: metered.left.map_or(fuel, |left| total.unsigned_abs().saturating_sub(left)) }))
}

/// What an instance takes before it runs.
fn needs(module: &Module) -> io::Result<Needs> {
    let pages = module.info().memories.values().map(|memory| u64::from(memory.minimum.0)).sum::<u64>();
    Ok(Needs { fuel: fuel_at_start(module)?.unsigned_abs(), memory_bytes: pages * PAGE_BYTES + table_bytes(module) })
}

/// Memory of the most that the tables may become.
fn table_bytes(module: &Module) -> u64 {
    module.info().tables.values().map(|table| u64::from(table.maximum.unwrap_or(TABLE_ELEMENTS_MAX)) * TABLE_ELEMENT_BYTES).sum()
}

/// What the meter's global starts at: below zero by what making an instance costs.
fn fuel_at_start(module: &Module) -> io::Result<i64> {
    let info = module.info();
    let Some(ExportIndex::Global(global)) = info.exports.get(normalise::FUEL) else { return Err(rule("meter")) };
    match info.local_global_index(*global).and_then(|local| info.global_initializers.get(local)) {
        Some(GlobalInit::I64Const(fuel)) => Ok(*fuel),
        _ => Err(rule("meter")),
    }
}

/// What the meter in the module says after a run.
struct Metered {
    /// Fuel that is left, or `None` when it ran out.
    left: Option<u64>,
    /// Whether the counted stack ran out.
    overflowed: bool,
}

/// Makes an instance and calls `_start`.
fn execute(store: &mut Store, guest: &FunctionEnv<Guest>, module: &Module, given: i64) -> io::Result<(Result<(), RuntimeError>, Metered)> {
    let imports = link(store, guest, module)?;
    let instance = match Instance::new(store, module, &imports) {
        Ok(instance) => instance,
        // A segment that does not fit: the guest's own doing, before its first operator.
        Err(InstantiationError::Start(trap) | InstantiationError::Link(LinkError::Trap(trap))) => {
            return Ok((Err(trap), Metered { left: u64::try_from(given).ok(), overflowed: false }));
        }
        Err(InstantiationError::Link(LinkError::Resource(_))) => std::process::exit(EXIT_OUT_OF_MEMORY),
        Err(error) => return Err(io::Error::other(error.to_string())),
    };
    let left = instance.exports.get_global(normalise::FUEL).map_err(io::Error::other)?.clone();
    let depth = instance.exports.get_global(normalise::DEPTH).map_err(io::Error::other)?.clone();
    left.set(store, Value::I64(given)).map_err(io::Error::other)?;
    guest.as_mut(store).fuel = Some(left.clone());
    guest.as_mut(store).memory = Some(instance.exports.get_memory("memory").map_err(io::Error::other)?.clone());
    let main = instance.exports.get_typed_function::<(), ()>(store, "_start").map_err(io::Error::other)?;
    let ended = main.call(store);
    let (Value::I64(left), Value::I32(depth)) = (left.get(store), depth.get(store)) else { return Err(rule("meter")) };
    Ok((ended, Metered { left: u64::try_from(left).ok(), overflowed: depth < 0 }))
}

/// The imports of this module, and no others: making all of them would cost more than a small job.
fn link(store: &mut Store, guest: &FunctionEnv<Guest>, module: &Module) -> io::Result<Imports> {
    let mut linked = Imports::new();
    for import in module.imports() {
        let ExternType::Function(ty) = import.ty() else { return Err(rule("import")) };
        let function = match import.module() {
            imports::WASI => wasi::function(store, guest, import.name(), ty),
            imports::STATION => station::function(store, guest, import.name()).ok_or_else(|| rule("import"))?,
            _ => return Err(rule("import")),
        };
        linked.define(import.module(), import.name(), function);
    }
    Ok(linked)
}

fn trapped(code: Option<TrapCode>) -> Outcome {
    Outcome::Trapped(match code {
        Some(TrapCode::HeapAccessOutOfBounds) => Trap::MemoryOutOfBounds,
        Some(TrapCode::TableAccessOutOfBounds) => Trap::TableOutOfBounds,
        Some(TrapCode::IndirectCallToNull) => Trap::IndirectCallToNull,
        Some(TrapCode::BadSignature) => Trap::BadSignature,
        Some(TrapCode::IntegerOverflow) => Trap::IntegerOverflow,
        Some(TrapCode::IntegerDivisionByZero) => Trap::IntegerDivisionByZero,
        Some(TrapCode::BadConversionToInteger) => Trap::BadConversionToInteger,
        Some(TrapCode::UnreachableCodeReached) => Trap::Unreachable,
        Some(_) | None => Trap::Other,
    })
}
