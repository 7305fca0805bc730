//! Where the cases are fought: one sandbox for all, and a look at what the process holds before and after each.
#![expect(unsafe_code, reason = "giving free memory back to the system, so that what is resident is what is held, is a call without a safe wrapper")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};

use station_protocol::receipt::Outcome;
use station_sandbox::{Artefact, CompileError, Done, Load, Reply, Sandbox, Session, Step};

use super::common::{echo, finish, load, sandbox};

/// How much more memory the process may hold after a case: the sandbox keeps up to 128 MiB of artefacts, and allocators keep some.
const RESIDENT_MORE_MAX: u64 = 160 << 20;

struct Arena {
    sandbox: Sandbox,
    echo: Artefact,
}

/// Runs a case with the sandbox that all share, then the next job, and checks that nothing of the case is left.
pub(crate) fn attack<T>(case: impl FnOnce(&Sandbox) -> T) -> T {
    static ARENA: OnceLock<Mutex<Arena>> = OnceLock::new();
    let arena = ARENA.get_or_init(|| {
        let sandbox = sandbox();
        let echo = sandbox.compile(&echo()).unwrap();
        // The first session fills the pool.
        drop(sandbox.open(&echo).unwrap());
        Mutex::new(Arena { sandbox, echo })
    });
    // A case that failed before says nothing about this one.
    let arena = arena.lock().unwrap_or_else(PoisonError::into_inner);
    let before = Held::now(&arena.sandbox);
    let result = case(&arena.sandbox);
    let next = finish(arena.sandbox.open(&arena.echo).unwrap().start(Load { input: b"next".to_vec(), ..load() }).unwrap());
    assert_eq!((next.outcome, next.output), (Outcome::Completed, b"next".to_vec()), "the next job");
    let after = Held::now(&arena.sandbox);
    assert_eq!(after.descriptors, before.descriptors, "descriptors");
    assert!(after.resident < before.resident + RESIDENT_MORE_MAX, "{} bytes resident, {} before", after.resident, before.resident);
    result
}

/// What this process holds.
pub(crate) struct Held {
    pub(crate) descriptors: usize,
    pub(crate) resident: u64,
}

impl Held {
    /// Also checks that all children are workers that wait for a session.
    pub(crate) fn now(sandbox: &Sandbox) -> Self {
        sandbox.wait_for_background();
        let ready = sandbox.idle_workers().into_iter().collect::<BTreeSet<_>>();
        assert_eq!(children(), ready, "processes beside the ones that wait");
        // SAFETY: it touches only what is free.
        unsafe { libc::malloc_trim(0) };
        let pages = fs::read_to_string("/proc/self/statm").unwrap().split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        Self { descriptors: fs::read_dir("/proc/self/fd").unwrap().count(), resident: pages * 4096 }
    }
}

/// Children of all threads of this process, the dead but not reaped ones too.
fn children() -> BTreeSet<u32> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

/// Compiles and runs a guest that makes no host call.
pub(crate) fn job(sandbox: &Sandbox, module: &[u8], load: Load) -> Done {
    finish(session(sandbox, module).start(load).unwrap())
}

pub(crate) fn session(sandbox: &Sandbox, module: &[u8]) -> Session {
    sandbox.open(&sandbox.compile(module).unwrap()).unwrap()
}

/// Answers every call with this number until the guest ends; how many there were.
pub(crate) fn answer(session: &mut Session, load: Load, number: i32) -> (Done, usize) {
    let mut step = session.start(load).unwrap();
    let mut calls = 0;
    loop {
        match step {
            Step::Done(done) => return (done, calls),
            Step::Call(_) => step = session.step(Reply::Number(number)).unwrap(),
        }
        calls += 1;
    }
}

/// Why a module was refused.
pub(crate) fn refusal(sandbox: &Sandbox, module: &[u8]) -> String {
    match sandbox.compile(module) {
        Err(CompileError::BadModule(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// A command whose functions take and return nothing, with these locals and bodies (without their last `end`). Written without text,
/// because the text of large ones takes long to read.
pub(crate) fn module(functions: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    let mut types = wasm_encoder::TypeSection::new();
    types.ty().function([], []);
    let mut declared = wasm_encoder::FunctionSection::new();
    let mut code = wasm_encoder::CodeSection::new();
    for (locals, body) in functions {
        declared.function(0);
        let mut function = wasm_encoder::Function::new([(*locals, wasm_encoder::ValType::I64)]);
        function.raw(body.iter().copied());
        function.instruction(&wasm_encoder::Instruction::End);
        code.function(&function);
    }
    let mut memories = wasm_encoder::MemorySection::new();
    memories.memory(wasm_encoder::MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut exports = wasm_encoder::ExportSection::new();
    exports.export("memory", wasm_encoder::ExportKind::Memory, 0).export("_start", wasm_encoder::ExportKind::Func, 0);
    module.section(&types).section(&declared).section(&memories).section(&exports).section(&code);
    module.finish()
}

/// Fuel that does not run out before the wall limit, and a short wall limit.
pub(crate) fn endless() -> Load {
    Load { fuel: u64::MAX, wall_ms: 100, ..load() }
}

/// A guest that never ends runs out of fuel, and out of time where it has fuel without end.
pub(crate) fn never_ends(module: &[u8]) {
    attack(|sandbox| {
        let mut session = session(sandbox, module);
        let done = finish(session.start(Load { fuel: 3_000_000, ..load() }).unwrap());
        assert_eq!((done.outcome, done.fuel), (Outcome::OutOfFuel, 3_000_000));
        let done = finish(session.start(endless()).unwrap());
        assert_eq!((done.outcome, done.fuel), (Outcome::TimedOut, u64::MAX));
    });
}
