//! Cases 1 to 10: guests that want time.

use station_protocol::receipt::{Outcome, Trap};
use station_sandbox::Load;

use super::arena::{attack, endless, job, never_ends, refusal};
use super::common::{command, finish, guest, load, told};

const MEMORY: &str = "(memory (export \"memory\") 1)";

#[test]
fn case_01_an_endless_loop() {
    never_ends(&command("(loop $again (br $again))"));
}

#[test]
fn case_02_an_endless_loop_in_a_start_function_never_runs() {
    let module = guest(&format!("{MEMORY} (func $s (loop $again (br $again))) (start $s)"), "");
    attack(|sandbox| assert!(refusal(sandbox, &module).contains("start function")));
}

#[test]
fn case_03_an_exported_allocator_that_loops_is_never_called() {
    let exports = ["malloc", "__wbindgen_malloc", "allocate", "_initialize"]
        .map(|name| format!("(func (export \"{name}\") (param i32) (result i32) (loop $again (br $again)) (i32.const 0))"));
    let module = guest(&format!("{MEMORY} {}", exports.concat()), "(call $tell (i32.const 3))");
    let done = attack(|sandbox| job(sandbox, &module, load()));
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![3]));
}

#[test]
fn case_04_a_loop_that_fills_all_memory() {
    never_ends(&command("(loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $again))"));
}

#[test]
fn case_05_a_loop_of_calls_into_the_engine() {
    never_ends(&guest(
        &format!("{MEMORY} (data $d \"x\") (elem $e func $put) (table 1 funcref)"),
        "(loop $again (drop (memory.grow (i32.const 0))) (data.drop $d) (elem.drop $e) (drop (table.grow (ref.null func) (i32.const 0))) (br $again))",
    ));
}

#[test]
fn case_06_a_loop_that_asks_for_the_size_of_memory() {
    never_ends(&command("(loop $again (drop (memory.size)) (br $again))"));
}

#[test]
fn case_07_a_sleep_for_ever() {
    let module = command(
        "(i64.store (i32.const 24) (i64.const -1))
         (call $tell (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))",
    );
    attack(|sandbox| {
        let late = job(sandbox, &module, Load { pure: None, ..endless() });
        assert_eq!((late.outcome, late.fuel), (Outcome::TimedOut, u64::MAX));
        // A pure job's clock moves by the sleep, and nobody waits.
        let done = job(sandbox, &module, load());
        assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![0]));
    });
}

#[test]
fn case_08_a_flood_of_yields() {
    never_ends(&guest(
        &format!("(import \"wasi_snapshot_preview1\" \"sched_yield\" (func $yield (result i32))) {MEMORY}"),
        "(loop $again (drop (call $yield)) (br $again))",
    ));
}

#[test]
fn case_09_functions_that_call_each_other_for_ever() {
    let module = guest(&format!("{MEMORY} (func $ping (call $pong)) (func $pong (call $ping))"), "(call $ping)");
    attack(|sandbox| {
        let first = job(sandbox, &module, load());
        assert_eq!(first.outcome, Outcome::StackOverflow);
        assert_eq!(job(sandbox, &module, load()), first, "at the same place each time");
    });
}

#[test]
fn case_10_fuel_never_wraps() {
    attack(|sandbox| {
        // The largest length there is, again and again: it is paid for before it is found to be outside.
        let fill = command("(memory.fill (i32.const 0) (i32.const 1) (i32.const -1))");
        let done = job(sandbox, &fill, Load { fuel: 1_000, ..load() });
        assert_eq!((done.outcome, done.fuel), (Outcome::OutOfFuel, 1_000));
        let done = job(sandbox, &fill, Load { fuel: u64::MAX, ..load() });
        assert_eq!(done.outcome, Outcome::Trapped(Trap::MemoryOutOfBounds));
        assert!(done.fuel < 1 << 33, "{}", done.fuel);
        // Operators that do nothing are not free.
        let nothing = command("(loop $again (nop) (block) (br $again))");
        for fuel in [0, 1, 2, 1_000] {
            let done = job(sandbox, &nothing, Load { fuel, ..load() });
            assert_eq!((done.outcome, done.fuel), (Outcome::OutOfFuel, fuel));
        }
        let mut session = super::arena::session(sandbox, &nothing);
        let done = finish(session.start(Load { fuel: 1 << 63, ..endless() }).unwrap());
        assert_eq!((done.outcome, done.fuel), (Outcome::TimedOut, 1 << 63));
    });
}

#[test]
fn host_calls_cost_what_they_do() {
    let fuel = |body: &str| {
        let done = attack(|sandbox| job(sandbox, &command(body), load()));
        assert_eq!(done.outcome, Outcome::Completed, "{body}");
        done.fuel
    };
    let random = |bytes: u32| fuel(&format!("(drop (call $random_get (i32.const 0) (i32.const {bytes})))"));
    assert_eq!(random(65_536) - random(536), 65_000);
    // A kilobyte to standard error, in one buffer, in one and 1,023 empty ones, and to nowhere.
    let written = |bytes: u32, vectors: u32| {
        fuel(&format!(
            "(i32.store (i32.const 4) (i32.const {bytes})) (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const {vectors}) (i32.const 32000)))"
        ))
    };
    assert_eq!(written(8_000, 1) - written(0, 1), 1_000);
    assert_eq!(written(8_000, 1_000) - written(8_000, 1), 999 * 8);
    // Who fails pays for the buffers that he named, too.
    let failed = |vectors: u32| fuel(&format!("(drop (call $fd_write (i32.const 2) (i32.const 65535) (i32.const {vectors}) (i32.const 0)))"));
    assert_eq!(failed(1_000) - failed(1), 999 * 8);
    let polled = |count: u32| fuel(&format!("(drop (call $poll_oneoff (i32.const 0) (i32.const 8000) (i32.const {count}) (i32.const 32000)))"));
    assert_eq!(polled(64) - polled(1), 63 * 32);
}

#[test]
fn a_flood_of_dear_host_calls_runs_out_of_fuel() {
    never_ends(&command("(loop $again (drop (call $random_get (i32.const 0) (i32.const 65536))) (br $again))"));
    never_ends(&command("(loop $again (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1024) (i32.const 32000))) (br $again))"));
    // The last of the buffers is outside the memory; the list itself is; there is no place for the answer.
    let last = "(i32.store (i32.const 8184) (i32.const -1)) (i32.store (i32.const 8188) (i32.const 9))";
    for (what, list, answer) in [(last, 0, 32_000), ("", 65_535, 32_000), ("", 0, 65_535)] {
        for (name, fd) in [("fd_write", 2), ("fd_read", 0)] {
            let call = format!("(call ${name} (i32.const {fd}) (i32.const {list}) (i32.const 1024) (i32.const {answer}))");
            never_ends(&command(&format!("{what} (loop $again (if (i32.ne {call} (i32.const 21)) (then (unreachable))) (br $again))")));
        }
    }
    never_ends(&command("(loop $again (drop (call $poll_oneoff (i32.const 0) (i32.const 8000) (i32.const 64) (i32.const 32000))) (br $again))"));
}
