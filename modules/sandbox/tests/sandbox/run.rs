//! What guests do and what is said of it.

use super::common::{command, echo, finish, guest, load, open, run, sandbox, told};
use station_protocol::receipt::{Outcome, Trap};
use station_sandbox::{HostCall, LOG_BYTES_MAX, Load, Reply, SandboxError, Step, Tier};

#[test]
fn standard_input_comes_out_as_standard_output() {
    let input = (0..5_000_u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>();
    let done = run(&echo(), Load { input: input.clone(), ..load() });
    assert_eq!(done.outcome, Outcome::Completed);
    assert_eq!(done.output, input);
    assert!(done.fuel > 0);
}

#[test]
fn an_exit_code_is_an_outcome() {
    assert_eq!(run(&command("(call $proc_exit (i32.const 42))"), load()).outcome, Outcome::Exited(42));
    assert_eq!(run(&command("(call $proc_exit (i32.const 0)) unreachable"), load()).outcome, Outcome::Completed);
}

#[test]
fn every_trap_has_its_name_and_uses_the_same_fuel_again() {
    let fields = "(memory (export \"memory\") 1) (table 2 funcref) (elem (i32.const 1) $put) (type $none (func))";
    let rows = [
        ("unreachable", Trap::Unreachable),
        ("(drop (i32.load (i32.const 65536)))", Trap::MemoryOutOfBounds),
        ("(drop (i32.load (i32.const -1)))", Trap::MemoryOutOfBounds),
        ("(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))", Trap::MemoryOutOfBounds),
        ("(call_indirect (type $none) (i32.const 9))", Trap::TableOutOfBounds),
        ("(call_indirect (type $none) (i32.const 0))", Trap::IndirectCallToNull),
        ("(call_indirect (type $none) (i32.const 1))", Trap::BadSignature),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", Trap::IntegerOverflow),
        ("(drop (i32.div_u (i32.const 1) (local.get $i)))", Trap::IntegerDivisionByZero),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", Trap::BadConversionToInteger),
    ];
    for (body, trap) in rows {
        let module = guest(fields, body);
        let mut session = open(&module);
        let first = finish(session.start(load()).unwrap());
        assert_eq!(first.outcome, Outcome::Trapped(trap), "{body}");
        assert_eq!(finish(session.start(load()).unwrap()), first, "{body}");
    }
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let done = run(&command("(loop $again (br $again))"), load());
    assert_eq!((done.outcome, done.fuel), (Outcome::OutOfFuel, load().fuel));
}

#[test]
fn fuel_is_the_same_each_time_and_one_less_is_not_enough() {
    let module = command("(local.set $i (i32.const 1000)) (loop $more (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))");
    let mut session = open(&module);
    let first = finish(session.start(load()).unwrap());
    assert_eq!(first.outcome, Outcome::Completed);
    assert_eq!(finish(session.start(load()).unwrap()), first);
    assert_eq!(run(&module, load()), first);
    assert_eq!(finish(session.start(Load { fuel: first.fuel, ..load() }).unwrap()), first);
    assert_eq!(finish(session.start(Load { fuel: first.fuel - 1, ..load() }).unwrap()).outcome, Outcome::OutOfFuel);
}

#[test]
fn a_function_pays_for_its_locals() {
    let with = |locals: &str| run(&guest(&format!("(memory (export \"memory\") 1) (func $f (local {locals}))"), "(call $f)"), load()).fuel;
    assert_eq!(with(&"i64 ".repeat(32)), with(""));
    assert_eq!(with(&"i64 ".repeat(32 + 800)), with("") + 800);
}

#[test]
fn memory_beyond_the_job_limit_is_refused_to_the_guest() {
    let grow = |delta: u32| format!("(call $tell (memory.grow (i32.const {delta})))");
    let done = run(&command(&(grow(63) + &grow(1) + &grow(65_535))), Load { memory_bytes: 64 << 16, ..load() });
    assert_eq!(done.outcome, Outcome::Completed);
    assert_eq!(told(&done), [1, -1, -1]);
}

#[test]
fn a_module_that_starts_with_more_memory_than_the_job_gives_does_not_run() {
    let module = guest("(memory (export \"memory\") 65)", "");
    assert_eq!(run(&module, Load { memory_bytes: 64 << 16, ..load() }).outcome, Outcome::BadModule);
    assert_eq!(run(&module, Load { memory_bytes: 65 << 16, ..load() }).outcome, Outcome::Completed);
}

#[test]
fn a_table_without_maximum_grows_up_to_ours_and_no_further() {
    let grow = |delta: &str| format!("(call $tell (table.grow (ref.null func) (i32.const {delta})))");
    let module = guest("(memory (export \"memory\") 1) (table 1 funcref)", &(grow("0xffffffff") + &grow("32768") + &grow("1")));
    let done = run(&module, load());
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![-1, 1, -1]));
}

#[test]
fn recursion_without_end_is_a_stack_overflow_and_the_session_goes_on() {
    let module = guest(
        "(memory (export \"memory\") 1) (func $deep (param i32) (call $deep (local.get 0)) (call $tell (local.get 0)))",
        "(call $deep (i32.const 1))",
    );
    let mut session = open(&module);
    let process = session.killer().process();
    assert_eq!(finish(session.start(load()).unwrap()).outcome, Outcome::StackOverflow);
    assert_eq!(finish(session.start(load()).unwrap()).outcome, Outcome::StackOverflow);
    assert_eq!(session.killer().process(), process);
}

#[test]
fn the_counted_stack_ends_before_the_native_one_whatever_the_frames_are() {
    let sandbox = sandbox();
    let memory = "(memory (export \"memory\") 1)";
    let many = |n: u32, one: &dyn Fn(u32) -> String| (0..n).map(one).collect::<String>();
    let functions = [
        // Nothing but the return address.
        "(func $deep (call $deep))".to_owned(),
        // Arguments on the stack.
        format!("(func $deep (param {}) (call $deep {}))", "i64 ".repeat(64), "(i64.const 1) ".repeat(64)),
        // Every local lives across the call.
        format!(
            "(func $deep (local {}) {} (call $deep) {})",
            "i64 ".repeat(1_000),
            many(1_000, &|n| format!("(local.set {n} (i64.load (i32.const {})))", n * 8)),
            many(1_000, &|n| format!("(i64.store (i32.const {}) (local.get {n}))", n * 8)),
        ),
        // The same for vectors and for values on the operand stack.
        format!(
            "(func $deep (local {}) {} (call $deep) {})",
            "v128 ".repeat(500),
            many(500, &|n| format!("(local.set {n} (v128.load (i32.const {})))", n * 16)),
            many(500, &|n| format!("(v128.store (i32.const {}) (local.get {n}))", n * 16)),
        ),
        format!(
            "(func $deep {} (call $deep) {})",
            many(1_000, &|n| format!("(i32.const 0) (i64.load (i32.const {}))", n * 8)),
            "(i64.store) ".repeat(1_000),
        ),
        // Results returned through memory.
        format!("(func $deep (result {}) (call $deep))", "i64 ".repeat(8)),
    ];
    for function in functions {
        let drops = if function.contains("(result") { "(drop) ".repeat(8) } else { String::new() };
        let call = if function.contains("(param") { format!("(call $deep {})", "(i64.const 1) ".repeat(64)) } else { "(call $deep)".into() };
        let module = guest(&format!("{memory} {function}"), &format!("{call} {drops}"));
        for tier in [Tier::Baseline, Tier::Optimised] {
            let artefact = sandbox.compile_at(&module, tier).unwrap();
            let done = finish(sandbox.open(&artefact).unwrap().start(Load { fuel: 1 << 40, ..load() }).unwrap());
            assert_eq!(done.outcome, Outcome::StackOverflow, "{tier:?} {}", &function[..60.min(function.len())]);
            assert!(done.fuel < 1 << 40);
        }
    }
}

#[test]
fn output_ends_at_its_limit_and_the_log_is_cut_in_silence() {
    let flood = |fd: u32, times: u32| {
        format!(
            "(local.set $i (i32.const {times})) (loop $more (call $put (i32.const {fd}) (i32.const 0) (i32.const 4096)) (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
        )
    };
    assert_eq!(run(&command(&flood(1, 16)), load()).output.len(), 64 << 10);
    assert_eq!(run(&command(&flood(1, 17)), load()).outcome, Outcome::OutputTooLarge);
    let done = run(&command(&flood(2, 1_000)), load());
    assert_eq!((done.outcome, done.log.len()), (Outcome::Completed, LOG_BYTES_MAX));
}

#[test]
fn the_log_keeps_what_was_written_last() {
    // Numbers of four bytes, then two buffers of which the first is longer than the log.
    let numbers = "(loop $more (i32.store (i32.const 0) (local.get $i)) (call $put (i32.const 2) (i32.const 0) (i32.const 4)) (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000))))";
    let done = run(&command(numbers), load());
    let last = (5_000 - LOG_BYTES_MAX as u32 / 4..5_000).flat_map(u32::to_le_bytes).collect::<Vec<_>>();
    assert_eq!((done.outcome, done.log), (Outcome::Completed, last));
    let long = "(memory.fill (i32.const 100) (i32.const 0x61) (i32.const 20000)) (i32.store8 (i32.const 20099) (i32.const 0x62))
        (i64.store (i32.const 0) (i64.const 0x00004e2000000064)) (i64.store (i32.const 8) (i64.const 0x00000003000000c8)) (i64.store (i32.const 16) (i64.const 0x0000000100004e83))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 3) (i32.const 32))) (call $tell (i32.load (i32.const 32)))";
    let done = run(&command(long), load());
    assert_eq!(super::common::told(&done), [20_004]);
    assert_eq!(done.log, [vec![b'a'; LOG_BYTES_MAX - 5], b"baaab".to_vec()].concat());
}

#[test]
fn pointers_outside_the_memory_are_an_errno_everywhere() {
    let calls = [
        ("(call $fd_read (i32.const 0) (i32.const -8) (i32.const 1) (i32.const 0))", 21),
        ("(call $fd_read (i32.const 0) (i32.const 0) (i32.const 0x7fffffff) (i32.const 0))", 28),
        ("(call $fd_write (i32.const 1) (i32.const 65535) (i32.const 1) (i32.const 0))", 21),
        ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const -1))", 21),
        ("(call $random_get (i32.const 65535) (i32.const 2))", 21),
        ("(call $random_get (i32.const 0) (i32.const -1))", 21),
        ("(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const -4))", 21),
        ("(call $clock_time_get (i32.const 9) (i64.const 0) (i32.const 0))", 28),
        ("(call $poll_oneoff (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 0))", 21),
        ("(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 0x7fffffff) (i32.const 0))", 28),
        ("(call $submit (i32.const -1) (i32.const 4) (i32.const 0) (i32.const 0))", -21),
        ("(call $submit (i32.const 0) (i32.const 0xffffffff) (i32.const 0) (i32.const 0))", -28),
        ("(call $wait (i32.const 65534) (i32.const 1) (i32.const 0))", -21),
        ("(call $wait (i32.const 0) (i32.const 0x40000001) (i32.const 0))", -28),
        ("(call $read (i32.const 1) (i32.const 65535) (i32.const 2))", -21),
        ("(call $progress (i32.const 1) (i32.const 0) (i32.const 257))", -28),
        ("(call $checkpoint (i32.const 65535) (i32.const 2))", -21),
    ];
    let body = calls.map(|(call, _)| format!("(call $tell {call})")).concat();
    let done = run(&command(&body), load());
    assert_eq!(done.outcome, Outcome::Completed);
    assert_eq!(told(&done), calls.map(|(_, errno)| errno));
}

#[test]
fn host_calls_reach_the_parent_and_replies_the_guest() {
    let module = guest(
        "(memory (export \"memory\") 1) (data (i32.const 0) \"http.fetchask\\05\\00\\00\\00\\06\\00\\00\\00\")",
        "(call $tell (call $submit (i32.const 0) (i32.const 10) (i32.const 10) (i32.const 3)))
         (call $tell (call $wait (i32.const 13) (i32.const 2) (i32.const 1500)))
         (local.set $n (call $read (i32.const 6) (i32.const 100) (i32.const 50)))
         (call $put (i32.const 1) (i32.const 100) (local.get $n))
         (call $tell (call $close (i32.const 6)))
         (call $tell (call $progress (i32.const 500) (i32.const 10) (i32.const 3)))
         (call $tell (call $checkpoint (i32.const 10) (i32.const 3)))",
    );
    let mut session = open(&module);
    let mut step = session.start(load()).unwrap();
    let conversation = [
        (HostCall::Submit { op: "http.fetch".into(), request: b"ask".to_vec() }, Reply::Number(6)),
        (HostCall::Wait { handles: vec![5, 6], timeout_ms: 1_500 }, Reply::Number(1)),
        (HostCall::Read { handle: 6, max: 50 }, Reply::Bytes(b"body".to_vec())),
        (HostCall::Close { handle: 6 }, Reply::Number(0)),
        (HostCall::Progress { permille: 500, message: "ask".into() }, Reply::Number(0)),
        (HostCall::Checkpoint { bytes: b"ask".to_vec() }, Reply::Number(-63)),
    ];
    for (call, reply) in conversation {
        assert_eq!(step, Step::Call(call));
        step = session.step(reply).unwrap();
    }
    let done = finish(step);
    assert_eq!(done.outcome, Outcome::Completed);
    assert_eq!(done.output, [&[6, 0, 0, 0, 1, 0, 0, 0][..], b"body", &[0; 8], &(-63_i32).to_le_bytes()].concat());
}

#[test]
fn a_reply_that_does_not_fit_the_call_is_refused_and_the_right_one_still_taken() {
    let mut session = open(&command("(call $tell (call $close (i32.const 1)))"));
    assert!(matches!(session.step(Reply::Number(0)), Err(SandboxError::OutOfOrder)));
    assert!(matches!(session.start(load()).unwrap(), Step::Call(HostCall::Close { handle: 1 })));
    assert!(matches!(session.start(load()), Err(SandboxError::OutOfOrder)));
    assert!(matches!(session.step(Reply::Bytes(vec![1])), Err(SandboxError::OutOfOrder)));
    assert_eq!(told(&finish(session.step(Reply::Number(3)).unwrap())), [3]);
}

#[test]
fn a_pure_job_sees_only_its_seed() {
    let module = command(
        "(drop (call $random_get (i32.const 0) (i32.const 32))) (call $put (i32.const 1) (i32.const 0) (i32.const 32))
         (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0))) (call $put (i32.const 1) (i32.const 0) (i32.const 8))",
    );
    let mut session = open(&module);
    let first = finish(session.start(load()).unwrap());
    assert_eq!(finish(session.start(load()).unwrap()), first);
    let other = finish(session.start(Load { pure: Some([8; 32]), ..load() }).unwrap());
    assert_ne!(other.output[..32], first.output[..32]);
    assert_eq!(other.output[32..], 1_000_000_000_000_000_000_u64.to_le_bytes());
    let real = finish(session.start(Load { pure: None, ..load() }).unwrap());
    assert_ne!(real.output[..32], first.output[..32]);
    assert_ne!(real.output[32..], first.output[32..]);
}

#[test]
fn a_pure_job_that_sleeps_for_a_year_moves_its_clock_and_nothing_else() {
    // One subscription at 0 (all zero: clock 0, relative), 31,536,000 s.
    let module = command(
        "(i64.store (i32.const 24) (i64.const 31536000000000000))
         (call $tell (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))
         (call $tell (i32.load (i32.const 200)))
         (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0))) (call $put (i32.const 1) (i32.const 0) (i32.const 8))",
    );
    let done = run(&module, load());
    assert_eq!(done.output, [&[0, 0, 0, 0, 1, 0, 0, 0][..], &1_031_536_000_000_000_000_u64.to_le_bytes()].concat());
}
