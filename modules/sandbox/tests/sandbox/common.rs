//! What the tests share: guests in WebAssembly text, and a sandbox whose workers are this crate's smallest program.

use std::path::PathBuf;

use station_sandbox::{Config, Done, Load, Sandbox, Session, Step};

/// A sandbox that keeps artefacts in memory only.
pub(crate) fn sandbox() -> Sandbox {
    Sandbox::new(Config { program: worker(), cache_dir: None })
}

/// The program that becomes a worker.
pub(crate) fn worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_station-sandbox-worker"))
}

/// A command with one memory page, the usual imports, and this body of `_start` (with two locals `$i`, `$n`).
pub(crate) fn command(body: &str) -> Vec<u8> {
    guest("(memory (export \"memory\") 1)", body)
}

/// The same with other fields in place of the memory.
pub(crate) fn guest(fields: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
            (import "station_v1" "submit" (func $submit (param i32 i32 i32 i32) (result i32)))
            (import "station_v1" "wait" (func $wait (param i32 i32 i32) (result i32)))
            (import "station_v1" "read" (func $read (param i32 i32 i32) (result i32)))
            (import "station_v1" "close" (func $close (param i32) (result i32)))
            (import "station_v1" "progress" (func $progress (param i32 i32 i32) (result i32)))
            (import "station_v1" "checkpoint" (func $checkpoint (param i32 i32) (result i32)))
            {fields}
            ;; Writes $len bytes at $at to a descriptor, with the vector at 65500.
            (func $put (param $fd i32) (param $at i32) (param $len i32)
                (i32.store (i32.const 65500) (local.get $at))
                (i32.store (i32.const 65504) (local.get $len))
                (drop (call $fd_write (local.get $fd) (i32.const 65500) (i32.const 1) (i32.const 65508))))
            ;; Writes a number to standard output, four bytes.
            (func $tell (param $n i32)
                (i32.store (i32.const 65520) (local.get $n))
                (call $put (i32.const 1) (i32.const 65520) (i32.const 4)))
            (func (export "_start") (local $i i32) (local $n i32) {body}))"#
    );
    wat::parse_str(text).unwrap()
}

/// Copies standard input to standard output.
pub(crate) fn echo() -> Vec<u8> {
    command(
        "(i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 1024))
         (loop $more
            (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (local.set $n (i32.load (i32.const 8)))
            (call $put (i32.const 1) (i32.const 16) (local.get $n))
            (br_if $more (local.get $n)))",
    )
}

/// A pure job with room to spare.
pub(crate) fn load() -> Load {
    Load { input: Vec::new(), fuel: 100_000_000, memory_bytes: 4 << 20, wall_ms: 60_000, output_bytes: 64 << 10, pure: Some([7; 32]) }
}

pub(crate) fn open(module: &[u8]) -> Session {
    let sandbox = sandbox();
    sandbox.open(&sandbox.compile(module).unwrap()).unwrap()
}

/// Runs a job that makes no host call.
pub(crate) fn run(module: &[u8], load: Load) -> Done {
    finish(open(module).start(load).unwrap())
}

pub(crate) fn finish(step: Step) -> Done {
    match step {
        Step::Done(done) => done,
        Step::Call(call) => panic!("a host call where none was expected: {call:?}"),
    }
}

/// The numbers a guest told.
pub(crate) fn told(done: &Done) -> Vec<i32> {
    done.output.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
