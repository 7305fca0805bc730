//! Drives the WASI functions as a hostile guest would: a memory and the functions, without an instance. For the fuzz target.
//!
//! Guarantees: the input alone decides what is called, so a run can be repeated. Deliberately lacks the real world's clock, which would
//! sleep, and the host calls, which need a parent.

use std::sync::Arc;

use wasmer::{Function, FunctionEnv, FunctionType, Memory, MemoryType, Pages, Store, Type, Value};

use super::wasi::{self, End, Guest};
use crate::frame::{Start, Turn};
use crate::job::LOG_BYTES_MAX;
use crate::system::{self, Socket};
use crate::{engine, imports};

/// Calls of one run: enough for closing, reading and writing in any order.
const CALLS_MAX: usize = 24;
const PAGE_BYTES: usize = 64 << 10;
const OUTPUT_BYTES: u64 = 4 << 10;
/// Preview1 has no larger errno.
const ERRNO_MAX: i32 = 76;

/// A world to drive, made once for many runs.
struct Driver {
    store: Store,
    env: FunctionEnv<Guest>,
    memory: Memory,
    socket: Arc<Socket>,
    functions: Vec<(&'static str, &'static str, Function)>,
}

impl Driver {
    fn new() -> Self {
        let mut store = Store::new(engine::runner());
        let memory = Memory::new(&mut store, MemoryType::new(Pages(1), Some(Pages(1)), false)).expect("one page");
        let socket = Arc::new(system::pair().expect("a pair of sockets").1);
        let env = FunctionEnv::new(&mut store, guest(&[], &socket, &memory));
        let functions = imports::WASI_FUNCTIONS
            .iter()
            .map(|(name, parameters)| {
                let types = parameters.chars().map(|letter| if letter == 'i' { Type::I32 } else { Type::I64 }).collect::<Vec<_>>();
                let results: &[Type] = if *name == "proc_exit" { &[] } else { &[Type::I32] };
                (*name, *parameters, wasi::function(&mut store, &env, name, &FunctionType::new(types, results)))
            })
            .collect();
        Self { store, env, memory, socket, functions }
    }

    /// One run; what a guest and a requester could see of it.
    fn run(&mut self, bytes: &[u8]) -> (Vec<i32>, Vec<u8>, Vec<u8>, Vec<u8>) {
        let mut script = Script(bytes);
        let input = script.bytes();
        *self.env.as_mut(&mut self.store) = guest(&input, &self.socket, &self.memory);
        let view = self.memory.view(&self.store);
        view.write(0, &[0; PAGE_BYTES]).expect("one page");
        let mut answers = Vec::new();
        while answers.len() < CALLS_MAX && !script.0.is_empty() {
            // What the next call finds in the memory.
            let at = script.number() % PAGE_BYTES as u64;
            let poke = script.bytes();
            let _ = self.memory.view(&self.store).write(at, &poke);
            let (name, parameters, function) = &self.functions[usize::from(script.byte()) % self.functions.len()];
            let arguments = parameters.chars().map(|letter| script.argument(letter)).collect::<Vec<_>>();
            match function.call(&mut self.store, &arguments) {
                Ok(values) => match &*values {
                    [Value::I32(errno @ 0..=ERRNO_MAX)] => answers.push(*errno),
                    values => panic!("{name} answered {values:?}"),
                },
                Err(error) => match error.downcast::<End>() {
                    Ok(End::Exit(_)) if *name == "proc_exit" => break,
                    Ok(End::OutputTooLarge) if *name == "fd_write" => break,
                    other => panic!("{name} ended with {other:?}"),
                },
            }
            let guest = self.env.as_ref(&self.store);
            assert!(guest.output.len() as u64 <= OUTPUT_BYTES && guest.log.len() <= LOG_BYTES_MAX);
        }
        let mut memory = vec![0; PAGE_BYTES];
        self.memory.view(&self.store).read(0, &mut memory).expect("one page");
        let guest = self.env.as_mut(&mut self.store);
        (answers, memory, std::mem::take(&mut guest.output), std::mem::take(&mut guest.log).into())
    }
}

fn guest(input: &[u8], socket: &Arc<Socket>, memory: &Memory) -> Guest {
    let start = Start { input: input.to_vec(), fuel: 0, memory_bytes: PAGE_BYTES as u64, output_bytes: OUTPUT_BYTES, seed: Some([7; 32]) };
    let mut guest = Guest::new(start, Turn(0), socket.clone());
    guest.memory = Some(memory.clone());
    guest
}

/// The input, read as it is needed; zeros after its end.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Up to 127 bytes.
    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte() & 0x7f);
        let (part, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        part.to_vec()
    }

    /// Small numbers are short, so that most calls point into the memory and some far out of it.
    fn number(&mut self) -> u64 {
        let first = self.byte();
        let more = match first {
            0..=0x7f => return u64::from(first),
            0x80..=0xbf => 2,
            0xc0..=0xdf => 4,
            _ => 8,
        };
        (0..more).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn argument(&mut self, letter: char) -> Value {
        let number = self.number();
        if letter == 'i' { Value::I32((number as u32).cast_signed()) } else { Value::I64(number.cast_signed()) }
    }
}

thread_local! {
    static DRIVER: std::cell::RefCell<Driver> = std::cell::RefCell::new(Driver::new());
}

/// Calls WASI functions as the input says, twice; both times they do the same.
pub fn shim(bytes: &[u8]) {
    DRIVER.with_borrow_mut(|driver| {
        let first = driver.run(bytes);
        assert!(first == driver.run(bytes), "a pure job's world repeats itself");
    });
}
