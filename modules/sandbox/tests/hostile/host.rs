//! Cases 48 to 60: guests that misuse what the host gives them.

use station_protocol::receipt::Outcome;
use station_sandbox::{CHECKPOINT_BYTES_MAX, HostCall, LOG_BYTES_MAX, Load, READ_BYTES_MAX, REQUEST_BYTES_MAX, Reply, Step};

use super::arena::{answer, attack, endless, job, session};
use super::common::{command, finish, guest, load, run, told};

const MEMORY: &str = "(memory (export \"memory\") 1)";

/// A call, a million times.
fn flood(call: &str) -> Vec<u8> {
    command(&format!(
        "(local.set $i (i32.const 1000000)) (loop $more (drop {call}) (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
    ))
}

/// The parent answers as it likes; the guest's time and fuel go on.
fn is_ended(module: &[u8]) {
    attack(|sandbox| {
        let mut session = session(sandbox, module);
        let (done, calls) = answer(&mut session, endless(), -6);
        assert_eq!((done.outcome, done.fuel), (Outcome::TimedOut, u64::MAX));
        assert!(calls > 10);
        let (done, _) = answer(&mut session, Load { fuel: 1_000, ..load() }, -6);
        assert_eq!((done.outcome, done.fuel), (Outcome::OutOfFuel, 1_000));
    });
}

#[test]
fn case_48_a_million_operations() {
    is_ended(&flood("(call $submit (i32.const 0) (i32.const 10) (i32.const 0) (i32.const 100))"));
}

#[test]
fn case_49_handles_that_were_never_given_or_are_closed_twice() {
    let module = command(
        "(call $tell (call $close (i32.const -1))) (call $tell (call $close (i32.const -1)))
         (call $tell (call $read (i32.const 0x7fffffff) (i32.const 0) (i32.const 16)))
         (i32.store (i32.const 0) (i32.const 9)) (i32.store (i32.const 4) (i32.const 9))
         (call $tell (call $wait (i32.const 0) (i32.const 2) (i32.const -1)))",
    );
    attack(|sandbox| {
        let mut session = session(sandbox, &module);
        let mut step = session.start(load()).unwrap();
        let calls = [
            HostCall::Close { handle: u32::MAX },
            HostCall::Close { handle: u32::MAX },
            HostCall::Read { handle: 0x7fff_ffff, max: 16 },
            HostCall::Wait { handles: vec![9, 9], timeout_ms: u32::MAX },
        ];
        for call in calls {
            assert_eq!(step, Step::Call(call));
            step = session.step(Reply::Number(-8)).unwrap();
        }
        let done = finish(step);
        assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![-8; 4]));
    });
}

#[test]
fn case_50_pointers_and_lengths_that_overflow() {
    let calls = [
        ("(call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 0))", 21),
        // Of a million buffers, and of 2^32 − 1, the first 1,024 are looked at: the third lies outside, and from 1,000 on all are empty.
        ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1048576) (i32.const 0))", 21),
        ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0))", 21),
        ("(call $fd_write (i32.const 1) (i32.const 1000) (i32.const -1) (i32.const 0))", 28),
        ("(call $fd_read (i32.const 0) (i32.const 1000) (i32.const 1025) (i32.const 0))", 28),
        // A buffer of 2^32 − 1 bytes from 8.
        ("(call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 0))", 21),
        ("(call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 0))", 21),
        // Its result at the last byte.
        ("(call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 65535))", 21),
        ("(call $random_get (i32.const -1) (i32.const 1))", 21),
        ("(call $submit (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))", -28),
        ("(call $submit (i32.const 0) (i32.const 1) (i32.const 65000) (i32.const 1000))", -21),
        ("(call $submit (i32.const 0) (i32.const 1) (i32.const 0) (i32.const -1))", -28),
        ("(call $wait (i32.const 0) (i32.const -1) (i32.const 0))", -28),
        ("(call $wait (i32.const -4) (i32.const 1) (i32.const 0))", -21),
        ("(call $read (i32.const 1) (i32.const 65536) (i32.const 1))", -21),
        ("(call $read (i32.const 1) (i32.const 0) (i32.const -1))", -21),
        ("(call $progress (i32.const 1) (i32.const -1) (i32.const 1))", -21),
        ("(call $checkpoint (i32.const -1) (i32.const 2))", -21),
        // At an odd address, and with buffers that overlap: both are allowed.
        ("(call $fd_write (i32.const 2) (i32.const 33) (i32.const 0) (i32.const 41))", 0),
        ("(call $fd_write (i32.const 2) (i32.const 48) (i32.const 2) (i32.const 41))", 0),
    ];
    let body = calls.map(|(call, _)| format!("(call $tell {call})")).concat();
    let data = "(data (i32.const 16) \"\\08\\00\\00\\00\\ff\\ff\\ff\\ff\") (data (i32.const 48) \"\\00\\00\\00\\00\\08\\00\\00\\00\\04\\00\\00\\00\\08\\00\\00\\00\")";
    let module = guest(&format!("{MEMORY} {data}"), &body);
    let done = attack(|sandbox| job(sandbox, &module, load()));
    assert_eq!(done.outcome, Outcome::Completed);
    assert_eq!(told(&done), calls.map(|(_, errno)| errno));
}

#[test]
fn case_51_a_buffer_that_is_its_own_description() {
    // Eight bytes at 0 say: read eight bytes to 0. The second vector is overwritten by the first while it is used.
    let module = guest(
        &format!("{MEMORY} (data (i32.const 0) \"\\00\\00\\00\\00\\10\\00\\00\\00\\00\\00\\00\\00\\10\\00\\00\\00\")"),
        "(call $tell (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 100))) (call $tell (i32.load (i32.const 100)))
         (call $put (i32.const 1) (i32.const 0) (i32.const 16))",
    );
    let input = (0..32).map(|n| 0xe0 | n).collect::<Vec<u8>>();
    let done = attack(|sandbox| job(sandbox, &module, Load { input: input.clone(), ..load() }));
    // Read where the description said when the call was made, twice sixteen bytes.
    assert_eq!(done.outcome, Outcome::Completed);
    assert_eq!(done.output, [&[0, 0, 0, 0, 32, 0, 0, 0], &input[16..]].concat());
}

#[test]
fn case_52_ten_gigabytes_of_output() {
    let module = command("(loop $again (call $put (i32.const 1) (i32.const 0) (i32.const 60000)) (br $again))");
    attack(|sandbox| {
        let done = job(sandbox, &module, Load { fuel: u64::MAX, output_bytes: 1 << 20, ..load() });
        assert_eq!(done.outcome, Outcome::OutputTooLarge);
        assert!(done.output.len() <= 1 << 20);
        // All of it with one call.
        let vectors = "(data (i32.const 0) \"\\00\\00\\00\\00\\00\\00\\ff\\00\")";
        let module = guest(
            &format!("(memory (export \"memory\") 256) {vectors}"),
            "(local.set $i (i32.const 1023))
             (loop $more (i64.store (i32.shl (local.get $i) (i32.const 3)) (i64.load (i32.const 0)))
                (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
             (call $tell (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 16384)))",
        );
        assert_eq!(job(sandbox, &module, Load { memory_bytes: 32 << 20, ..load() }).outcome, Outcome::OutputTooLarge);
    });
}

#[test]
fn case_53_a_flood_of_log_lines() {
    let module = flood("(call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))");
    attack(|sandbox| assert!(job(sandbox, &module, Load { fuel: 20_000_000, ..load() }).log.len() <= LOG_BYTES_MAX));
    let long = command("(call $put (i32.const 2) (i32.const 0) (i32.const 60000)) (call $tell (i32.const 1))");
    let done = attack(|sandbox| job(sandbox, &long, load()));
    assert_eq!((done.outcome.clone(), done.log.len(), told(&done)), (Outcome::Completed, LOG_BYTES_MAX, vec![1]));
}

#[test]
fn case_54_a_flood_of_progress() {
    is_ended(&flood("(call $progress (i32.const 1001) (i32.const 0) (i32.const 256))"));
}

#[test]
fn case_55_a_checkpoint_that_is_too_large() {
    let module = guest(
        "(memory (export \"memory\") 32)",
        &format!(
            "(call $tell (call $checkpoint (i32.const 0) (i32.const {}))) (call $tell (call $checkpoint (i32.const 0) (i32.const {CHECKPOINT_BYTES_MAX})))",
            CHECKPOINT_BYTES_MAX + 1
        ),
    );
    attack(|sandbox| {
        let mut session = session(sandbox, &module);
        // The first did not reach the parent.
        let Step::Call(HostCall::Checkpoint { bytes }) = session.start(load()).unwrap() else { panic!("no checkpoint") };
        assert_eq!(bytes.len(), CHECKPOINT_BYTES_MAX);
        assert_eq!(told(&finish(session.step(Reply::Number(0)).unwrap())), [-28, 0]);
    });
}

/// A guest that sends a request and puts out what these bytes and a filling are, up to the largest request.
fn speaks(start: &str, filling: u8) -> Vec<u8> {
    guest(
        &format!("(memory (export \"memory\") 2) (data (i32.const 16) \"{start}\")"),
        &format!(
            "(memory.fill (i32.const 32) (i32.const {filling}) (i32.const {}))
             (call $tell (call $submit (i32.const 0) (i32.const 10) (i32.const 16) (i32.const {REQUEST_BYTES_MAX})))
             (call $put (i32.const 1) (i32.const 16) (i32.const 60000))",
            REQUEST_BYTES_MAX
        ),
    )
}

/// Requests and output are bytes here: nothing of the sandbox looks into them.
fn passes(module: &[u8], filling: u8) {
    attack(|sandbox| {
        let mut session = session(sandbox, module);
        let Step::Call(HostCall::Submit { request, .. }) = session.start(load()).unwrap() else { panic!("no request") };
        assert_eq!((request.len(), request[100]), (REQUEST_BYTES_MAX, filling));
        let done = finish(session.step(Reply::Number(-28)).unwrap());
        assert_eq!((done.outcome, done.output.len()), (Outcome::Completed, 60_004));
    });
}

#[test]
fn case_56_lists_in_lists_in_lists() {
    passes(&speaks("\\81\\81\\81\\81", 0x81), 0x81);
}

#[test]
fn case_57_a_list_of_two_to_the_sixty_third_items() {
    passes(&speaks("\\9b\\80\\00\\00\\00\\00\\00\\00\\00", 0), 0);
}

#[test]
fn case_58_entropy_for_the_whole_memory() {
    let module = command(
        "(call $tell (call $random_get (i32.const 0) (i32.const 65537))) (call $tell (call $random_get (i32.const 0) (i32.const -1)))
         (call $tell (call $random_get (i32.const 0) (i32.const 65536)))",
    );
    // Outside of the memory twice; the last one fills what `tell` uses, and is told all the same.
    let done = attack(|sandbox| job(sandbox, &module, load()));
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![21, 21, 0]));
    // More than a piece of ours: all of it is filled.
    let module = guest(
        "(memory (export \"memory\") 4)",
        "(call $tell (call $random_get (i32.const 1000) (i32.const 200000))) (call $put (i32.const 1) (i32.const 200984) (i32.const 16))",
    );
    let done = attack(|sandbox| job(sandbox, &module, load()));
    assert_eq!((&done.outcome, &done.output[..4]), (&Outcome::Completed, &[0; 4][..]));
    assert_ne!(done.output[4..], [0; 16]);
}

#[test]
fn case_59_two_to_the_thirty_first_subscriptions() {
    let poll = |count: &str| format!("(call $tell (call $poll_oneoff (i32.const 0) (i32.const 8192) (i32.const {count}) (i32.const 16384)))");
    let module = command(&[poll("0x80000000"), poll("0x7fffffff"), poll("-1"), poll("65"), poll("0"), poll("64")].concat());
    let done = attack(|sandbox| job(sandbox, &module, load()));
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![28, 28, 28, 28, 28, 0]));
}

#[test]
fn case_60_reading_after_the_end() {
    let module = guest(
        &format!("{MEMORY} (data (i32.const 0) \"\\40\\00\\00\\00\\04\\00\\00\\00\")"),
        "(local.set $i (i32.const 5))
         (loop $more
            (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (call $tell (i32.load (i32.const 8)))
            (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))",
    );
    let done = attack(|sandbox| job(sandbox, &module, Load { input: vec![1; 6], ..load() }));
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![4, 2, 0, 0, 0]));
    // In a sandbox and a session of its own it is the same.
    assert_eq!(told(&attack(|_| run(&module, load()))), [0; 5]);
}

#[test]
fn a_read_answers_no_more_than_was_asked_for() {
    let module = guest("(memory (export \"memory\") 16)", "(call $tell (call $read (i32.const 1) (i32.const 0) (i32.const 1000000)))");
    attack(|sandbox| {
        let mut session = session(sandbox, &module);
        let max = u32::try_from(READ_BYTES_MAX).unwrap();
        assert_eq!(session.start(load()).unwrap(), Step::Call(HostCall::Read { handle: 1, max }));
        assert!(session.step(Reply::Bytes(vec![0; READ_BYTES_MAX + 1])).is_err());
        assert_eq!(told(&finish(session.step(Reply::Bytes(vec![0; READ_BYTES_MAX])).unwrap())), [i32::try_from(max).unwrap()]);
    });
}
