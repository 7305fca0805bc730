//! The public preview1 test suite's cases that a world without files can have, rewritten; each test names the case it stands for.
//!
//! Cases that open a file or a directory are left out: no descriptor but the three standard ones ever exists. What such a case asks of
//! a descriptor that is no file is asked of those three.

use super::common::{finish, guest, load, open, told};
use station_protocol::receipt::Outcome;
use station_sandbox::{Done, Load};

const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const NOSYS: i32 = 52;
const NOTDIR: i32 = 54;
const NOTSOCK: i32 = 57;
const NOTSUP: i32 = 58;
const SPIPE: i32 = 70;

/// A function of preview1 under its own name, with parameters as letters (`i` = i32, `I` = i64).
fn import(name: &str, parameters: &str) -> String {
    let parameters = parameters.chars().map(|letter| if letter == 'i' { "i32 " } else { "i64 " }).collect::<String>();
    format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name}_ (param {parameters}) (result i32)))")
}

fn run(imports: &[(&str, &str)], data: &str, body: &str, load: Load) -> Done {
    let imports = imports.iter().map(|(name, parameters)| import(name, parameters)).collect::<String>();
    finish(open(&guest(&format!("{imports} (memory (export \"memory\") 1) {data}"), body)).start(load).unwrap())
}

/// What calls answered.
fn answers(imports: &[(&str, &str)], calls: &[&str]) -> Vec<i32> {
    let body = calls.iter().map(|call| format!("(call $tell {call})")).collect::<String>();
    let done = run(imports, "", &body, load());
    assert_eq!(done.outcome, Outcome::Completed);
    told(&done)
}

#[test]
fn args_get_and_args_sizes_get_agree() {
    let done = run(
        &[("args_get", "ii"), ("args_sizes_get", "ii")],
        "",
        "(call $tell (call $args_sizes_get_ (i32.const 0) (i32.const 4))) (call $put (i32.const 1) (i32.const 0) (i32.const 8))
         (call $tell (call $args_get_ (i32.const 16) (i32.const 100))) (call $put (i32.const 1) (i32.const 16) (i32.const 4))
         (call $put (i32.const 1) (i32.const 100) (i32.load (i32.const 4)))",
        load(),
    );
    assert_eq!(done.output, [&[0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0][..], b"module\0"].concat());
    let outside = ["(call $args_sizes_get_ (i32.const 65534) (i32.const 0))", "(call $args_get_ (i32.const 0) (i32.const 65530))"];
    assert_eq!(answers(&[("args_get", "ii"), ("args_sizes_get", "ii")], &outside), [FAULT; 2]);
}

#[test]
fn environ_sizes_get_no_variables() {
    let done = run(
        &[("environ_get", "ii"), ("environ_sizes_get", "ii")],
        "(data (i32.const 0) \"\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\")",
        "(call $tell (call $environ_sizes_get_ (i32.const 0) (i32.const 4))) (call $tell (call $environ_get_ (i32.const 8) (i32.const 8)))
         (call $put (i32.const 1) (i32.const 0) (i32.const 10))",
        load(),
    );
    assert_eq!(done.output, [&[0; 16][..], &[0xff, 0xff]].concat());
}

#[test]
fn fd_write_to_stdout_and_to_an_invalid_fd() {
    let done = run(
        &[],
        "(data (i32.const 0) \"\\10\\00\\00\\00\\05\\00\\00\\00\\15\\00\\00\\00\\01\\00\\00\\00hello\\n\")",
        "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 64))) (call $put (i32.const 1) (i32.const 64) (i32.const 4))
         (call $tell (call $fd_write (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64)))
         (call $tell (call $fd_write (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 64)))
         (call $tell (call $fd_write (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 64)))
         (call $tell (call $fd_read (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
         (call $tell (call $fd_read (i32.const 9) (i32.const 0) (i32.const 1) (i32.const 64)))",
        load(),
    );
    assert_eq!(done.output[..10], *b"hello\n\x06\0\0\0");
    assert_eq!(told(&Done { output: done.output[10..].to_vec(), ..done }), [BADF; 5]);
}

/// Writes one byte of `value` with each of 1,025 buffers, all of which name the byte at 60,000, and puts out how that went.
fn buffers(call: &str) -> String {
    format!(
        "(loop $more
            (i32.store (i32.shl (local.get $i) (i32.const 3)) (i32.const 60000))
            (i32.store offset=4 (i32.shl (local.get $i) (i32.const 3)) (i32.const 1))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1025))))
         (i32.store8 (i32.const 60000) (i32.const 0x78)) (local.set $n {call}) (call $tell (local.get $n)) (call $tell (i32.load (i32.const 60004)))"
    )
}

#[test]
fn of_more_buffers_than_a_call_takes_the_first_are_written_and_read() {
    let write = |count: u32| buffers(&format!("(call $fd_write (i32.const 1) (i32.const 0) (i32.const {count}) (i32.const 60004))"));
    for (count, written) in [(1_023, 1_023), (1_024, 1_024), (1_025, 1_024), (u32::MAX, 1_024)] {
        let done = run(&[], "", &write(count), load());
        assert_eq!(done.output, [&vec![b'x'; written][..], &[0; 4], &u32::try_from(written).unwrap().to_le_bytes()].concat(), "{count}");
    }
    let read = buffers("(call $fd_read (i32.const 0) (i32.const 0) (i32.const 1025) (i32.const 60004))");
    let done = run(&[], "", &read, Load { input: vec![7; 2_000], ..load() });
    assert_eq!(told(&done), [0, 1_024]);
}

#[test]
fn proc_exit_success_and_failure() {
    let exit = |code: u32| run(&[], "", &format!("(call $proc_exit (i32.const {code})) unreachable"), load()).outcome;
    assert_eq!([exit(0), exit(33), exit(u32::MAX)], [Outcome::Completed, Outcome::Exited(33), Outcome::Exited(u32::MAX)]);
}

#[test]
fn random_get_of_no_and_of_some_length() {
    for pure in [Some([1; 32]), None] {
        let done = run(
            &[],
            "",
            "(call $tell (call $random_get (i32.const 0) (i32.const 0))) (call $put (i32.const 1) (i32.const 0) (i32.const 1))
             (call $tell (call $random_get (i32.const 0) (i32.const 32))) (call $put (i32.const 1) (i32.const 0) (i32.const 32))
             (call $put (i32.const 1) (i32.const 32) (i32.const 1))
             (call $tell (call $random_get (i32.const 65536) (i32.const 0)))",
            Load { pure, ..load() },
        );
        assert_eq!(done.output[..9], [0; 9]);
        assert_ne!(done.output[9..41], [0; 32]);
        // One byte after them is untouched, and nothing may be asked for at the end.
        assert_eq!(done.output[41..], [0; 5]);
    }
}

#[test]
fn big_random_buf() {
    // The suite asks for 1,024 bytes and looks for one that is not zero.
    let done = run(
        &[],
        "",
        "(call $tell (call $random_get (i32.const 0) (i32.const 1024))) (call $put (i32.const 1) (i32.const 0) (i32.const 1024))",
        load(),
    );
    assert_eq!(done.output[..4], [0; 4]);
    assert!(done.output[4..].iter().collect::<std::collections::BTreeSet<_>>().len() > 100);
}

#[test]
fn sched_yield() {
    assert_eq!(answers(&[("sched_yield", "")], &["(call $sched_yield_)"]), [0]);
}

#[test]
fn clock_getres_and_gettime_of_both_clocks() {
    for pure in [Some([1; 32]), None] {
        for clock in [0, 1] {
            let done = run(
                &[("clock_res_get", "ii")],
                "",
                &format!(
                    "(call $tell (call $clock_res_get_ (i32.const {clock}) (i32.const 0))) (call $put (i32.const 1) (i32.const 0) (i32.const 8))
                     (call $tell (call $clock_time_get (i32.const {clock}) (i64.const 1) (i32.const 0))) (call $put (i32.const 1) (i32.const 0) (i32.const 8))
                     (call $tell (call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const 0))) (call $put (i32.const 1) (i32.const 0) (i32.const 8))"
                ),
                Load { pure, ..load() },
            );
            let number = |at: usize| u64::from_le_bytes(done.output[at..at + 8].try_into().unwrap());
            assert_eq!([done.output[0], done.output[12], done.output[24]], [0; 3]);
            assert!(number(4) > 0, "a resolution");
            assert!(number(16) > 0 && number(28) >= number(16), "a clock that does not go back");
        }
    }
}

#[test]
fn clocks_of_processes_and_threads_are_not_there() {
    let call = |clock: i32| {
        [
            format!("(call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const 0))"),
            format!("(call $clock_res_get_ (i32.const {clock}) (i32.const 0))"),
        ]
    };
    let calls = [2, 3, 4, -1].map(call).concat();
    let calls = calls.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(answers(&[("clock_res_get", "ii")], &calls), [INVAL; 8]);
}

/// 48 bytes: user data, what is waited for, and a clock or a descriptor.
fn subscription(user: u64, kind: u8, what: u32, timeout_ns: u64, flags: u16) -> String {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&user.to_le_bytes());
    bytes[8] = kind;
    bytes[16..20].copy_from_slice(&what.to_le_bytes());
    bytes[24..32].copy_from_slice(&timeout_ns.to_le_bytes());
    bytes[40..42].copy_from_slice(&flags.to_le_bytes());
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// (user data, errno, kind, bytes) of the events of one poll, after the poll's own answer.
fn poll(subscriptions: &[String], load: Load) -> (i32, Vec<(u64, u16, u8, u64)>) {
    let done = run(
        &[],
        &format!("(data (i32.const 0) \"{}\")", subscriptions.concat()),
        &format!(
            "(call $tell (call $poll_oneoff (i32.const 0) (i32.const 8192) (i32.const {}) (i32.const 4096)))
             (call $put (i32.const 1) (i32.const 8192) (i32.mul (i32.load (i32.const 4096)) (i32.const 32)))",
            subscriptions.len()
        ),
        load,
    );
    assert_eq!(done.outcome, Outcome::Completed);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let event = |event: &[u8]| (number(&event[..8]), u16::from_le_bytes([event[8], event[9]]), event[10], number(&event[16..24]));
    (i32::from_le_bytes(done.output[..4].try_into().unwrap()), done.output[4..].chunks_exact(32).map(event).collect())
}

#[test]
fn poll_oneoff_stdio() {
    const CLOCK: u64 = 0x1_2345_6780;
    const STDIN: u64 = 0x8_7654_3210;
    for pure in [Some([1; 32]), None] {
        let load = || Load { input: vec![7; 5], pure, ..load() };
        // A second is not waited for when standard input is ready.
        let read = [subscription(CLOCK, 0, 1, 1_000_000_000, 0), subscription(STDIN, 1, 0, 0, 0)];
        assert_eq!(poll(&read, load()), (0, vec![(STDIN, 0, 1, 5)]));
        let write = [subscription(1, 2, 1, 0, 0), subscription(2, 2, 2, 0, 0), subscription(CLOCK, 0, 1, 1_000_000_000, 0)];
        assert_eq!(poll(&write, load()), (0, vec![(1, 0, 2, 0), (2, 0, 2, 0)]));
        // Time-outs alone: the shortest ends it, and those that end with it are told.
        let clocks = [subscription(1, 0, 1, 3_000_000, 0), subscription(2, 0, 1, 2_000_000, 0), subscription(3, 0, 0, 2_000_000, 0)];
        assert_eq!(poll(&clocks, load()), (0, vec![(2, 0, 0, 0), (3, 0, 0, 0)]));
        // A moment that has passed is now.
        assert_eq!(poll(&[subscription(9, 0, 0, 5, 1)], load()), (0, vec![(9, 0, 0, 0)]));
    }
}

#[test]
fn poll_oneoff_of_what_cannot_be_waited_for() {
    let badf = u16::try_from(BADF).unwrap();
    let rows = [
        (subscription(1, 1, 7, 0, 0), (0, vec![(1, badf, 1, 5)])),
        (subscription(1, 1, 1, 0, 0), (0, vec![(1, badf, 1, 5)])),
        (subscription(1, 2, 0, 0, 0), (0, vec![(1, badf, 2, 0)])),
        (subscription(1, 0, 9, 5, 0), (0, vec![(1, u16::try_from(INVAL).unwrap(), 0, 0)])),
        (subscription(1, 3, 0, 0, 0), (INVAL, Vec::new())),
    ];
    for (one, expected) in rows {
        let (answer, events) = poll(std::slice::from_ref(&one), Load { input: vec![7; 5], ..load() });
        let found = events.into_iter().map(|(user, errno, kind, bytes)| (user, errno, kind, if errno == badf && kind == 1 { 5 } else { bytes }));
        assert_eq!((answer, found.collect::<Vec<_>>()), expected, "{one}");
    }
}

#[test]
fn sock_shutdown_of_no_socket_and_of_an_invalid_fd() {
    let imports = [("sock_shutdown", "ii"), ("sock_accept", "iii"), ("sock_recv", "iiiiii"), ("sock_send", "iiiii")];
    let zeros = |count: usize| "(i32.const 0)".repeat(count);
    let calls = [
        format!("(call $sock_shutdown_ (i32.const 1) {})", zeros(1)),
        format!("(call $sock_accept_ (i32.const 0) {})", zeros(2)),
        format!("(call $sock_recv_ (i32.const 0) {})", zeros(5)),
        format!("(call $sock_send_ (i32.const 2) {})", zeros(4)),
        format!("(call $sock_shutdown_ (i32.const 3) {})", zeros(1)),
        format!("(call $sock_accept_ (i32.const -1) {})", zeros(2)),
        format!("(call $sock_recv_ (i32.const 99) {})", zeros(5)),
        format!("(call $sock_send_ (i32.const 3) {})", zeros(4)),
    ];
    let found = answers(&imports, &calls.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(found, [[NOTSOCK; 4], [BADF; 4]].concat());
}

#[test]
fn isatty_is_no_and_each_descriptor_has_its_rights() {
    let done = run(
        &[("fd_fdstat_get", "ii")],
        "",
        "(loop $more
            (call $tell (call $fd_fdstat_get_ (local.get $i) (i32.const 0))) (call $put (i32.const 1) (i32.const 0) (i32.const 24))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
         (call $tell (call $fd_fdstat_get_ (i32.const 3) (i32.const 0))) (call $tell (call $fd_fdstat_get_ (i32.const 1) (i32.const 65530)))",
        load(),
    );
    let stats = done.output[..84].chunks_exact(28).collect::<Vec<_>>();
    for (stat, right) in stats.iter().zip([1_u64 << 1, 1 << 6, 1 << 6]) {
        assert_eq!(stat[..4], [0; 4]);
        // 2 is a terminal: not one of them, nor may any be sought in.
        assert_ne!(stat[4], 2);
        let rights = u64::from_le_bytes(stat[12..20].try_into().unwrap());
        assert_eq!(rights & (1 << 1 | 1 << 2 | 1 << 6), right);
    }
    assert_eq!(done.output[84..], [BADF.to_le_bytes(), FAULT.to_le_bytes()].concat());
}

#[test]
fn stdio_that_was_closed_stays_closed() {
    let imports = [("fd_close", "i"), ("fd_fdstat_get", "ii"), ("fd_filestat_get", "ii"), ("fd_fdstat_set_flags", "ii"), ("fd_seek", "iIii")];
    let calls = [
        "(call $fd_filestat_get_ (i32.const 0) (i32.const 0))",
        "(call $fd_close_ (i32.const 0))",
        "(call $fd_close_ (i32.const 0))",
        "(call $fd_fdstat_get_ (i32.const 0) (i32.const 0))",
        "(call $fd_filestat_get_ (i32.const 0) (i32.const 0))",
        "(call $fd_fdstat_set_flags_ (i32.const 0) (i32.const 0))",
        "(call $fd_read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))",
        "(call $fd_seek_ (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0))",
        "(call $fd_close_ (i32.const 2))",
        "(call $fd_write (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 64))",
        "(call $fd_close_ (i32.const 3))",
        "(call $fd_close_ (i32.const -1))",
    ];
    assert_eq!(answers(&imports, &calls), [0, 0, BADF, BADF, BADF, BADF, BADF, BADF, 0, BADF, BADF, BADF]);
}

#[test]
fn what_only_files_can_do_is_refused_on_stdio() {
    let imports = [
        ("fd_seek", "iIii"),
        ("fd_tell", "ii"),
        ("fd_pread", "iiiIi"),
        ("fd_pwrite", "iiiIi"),
        ("fd_advise", "iIIi"),
        ("fd_readdir", "iiiIi"),
        ("fd_allocate", "iII"),
        ("fd_sync", "i"),
        ("fd_datasync", "i"),
        ("fd_filestat_set_size", "iI"),
        ("fd_filestat_set_times", "iIIi"),
        ("fd_fdstat_set_rights", "iII"),
        ("fd_renumber", "ii"),
    ];
    let zero =
        |parameters: &str| parameters.chars().skip(1).map(|letter| if letter == 'i' { "(i32.const 0)" } else { "(i64.const 0)" }).collect::<String>();
    let call = |fd: i32| imports.map(|(name, parameters)| format!("(call ${name}_ (i32.const {fd}) {})", zero(parameters)));
    let found = |fd: i32| answers(&imports, &call(fd).iter().map(String::as_str).collect::<Vec<_>>());
    let open = [SPIPE, SPIPE, SPIPE, SPIPE, SPIPE, NOTDIR, NOTSUP, NOTSUP, NOTSUP, NOTSUP, NOTSUP, NOTSUP, NOTSUP];
    for fd in 0..3 {
        assert_eq!(found(fd), open, "descriptor {fd}");
    }
    // dangling_fd: numbers that were never opened.
    assert_eq!(found(3), [BADF; 13]);
    assert_eq!(found(i32::MAX), [BADF; 13]);
}

#[test]
fn there_is_no_preopened_directory_and_no_path() {
    let imports = [
        ("fd_prestat_get", "ii"),
        ("fd_prestat_dir_name", "iii"),
        ("path_create_directory", "iii"),
        ("path_filestat_get", "iiiii"),
        ("path_filestat_set_times", "iiiiIIi"),
        ("path_link", "iiiiiii"),
        ("path_open", "iiiiiIIii"),
        ("path_readlink", "iiiiii"),
        ("path_remove_directory", "iii"),
        ("path_rename", "iiiiii"),
        ("path_unlink_file", "iii"),
    ];
    let zero =
        |parameters: &str| parameters.chars().skip(1).map(|letter| if letter == 'i' { "(i32.const 0)" } else { "(i64.const 0)" }).collect::<String>();
    let found = |fd: i32| {
        let calls = imports.map(|(name, parameters)| format!("(call ${name}_ (i32.const {fd}) {})", zero(parameters)));
        answers(&imports, &calls.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // close_preopen, path_open_preopen: the first number after the standard ones is not open.
    assert_eq!(found(3), [BADF; 11]);
    // path_open_dirfd_not_dir: an open descriptor that is no directory.
    assert_eq!(found(0), [vec![BADF], vec![NOTDIR; 10]].concat());
}

#[test]
fn signals_do_not_exist() {
    assert_eq!(answers(&[("proc_raise", "i")], &["(call $proc_raise_ (i32.const 9))"]), [NOSYS]);
}
