//! Vectors of what a guest sees of the host: input and output, WASI, the station, and floats.

use super::{Case, case, telling};

pub(super) fn cases() -> Vec<Case> {
    [ends(), floats(), streams(), descriptors(), time(), entropy(), station()].into_iter().flatten().collect()
}

const WASI: &str = "wasi_snapshot_preview1";

/// The import of a function, under its own name.
fn import(module: &str, name: &str, parameters: &str) -> String {
    let types = parameters.chars().map(|letter| if letter == 'i' { "i32 " } else { "i64 " }).collect::<String>();
    let result = if name == "proc_exit" { "" } else { "(result i32)" };
    format!("(import \"{module}\" \"{name}\" (func ${name} (param {types}) {result}))")
}

fn wasi(name: &'static str, imports: &[(&str, &str)], body: &str) -> Case {
    let imports = imports.iter().map(|(name, parameters)| import(WASI, name, parameters)).collect::<String>();
    case("wasi_snapshot_preview1", name, telling(&imports, "", body))
}

/// Puts out four bytes of memory for each of these addresses.
fn show(addresses: impl IntoIterator<Item = u32>) -> String {
    addresses.into_iter().map(|at| format!("(call $tell (i32.load (i32.const {at})))")).collect()
}

fn ends() -> Vec<Case> {
    let exit = |name, code: &str| {
        case(
            "A run",
            name,
            telling(&import(WASI, "proc_exit", "i"), "", &format!("(call $tell (i32.const 7)) (call $proc_exit (i32.const {code})) (unreachable)")),
        )
    };
    let flood = "(loop $l (call $tell (i32.const 0x01020304)) (br $l))";
    vec![
        exit("exit-0", "0"),
        exit("exit-7", "7"),
        exit("exit-4294967295", "-1"),
        case("A run", "output-before-a-trap", telling("", "", "(call $tell (i32.const 5)) (unreachable)")),
        case("A run", "output-before-the-fuel-ends", telling("", "", flood)).fuel(9_700).output(1 << 20),
        case("A run", "output-too-large", telling("", "", flood)).output(10),
        case("A run", "output-that-just-fits", telling("", "", "(call $tell (i32.const 1)) (call $tell (i32.const 2))")).output(8),
    ]
}

fn floats() -> Vec<Case> {
    // A NaN with a sign and a payload goes through each operator.
    let f32s = |name, body: &str| {
        case(
            "Floats",
            name,
            telling(
                "",
                &format!("(func $f (param $x f32) (result f32) {body})"),
                "(call $tell (i32.reinterpret_f32 (call $f (f32.reinterpret_i32 (i32.const 0xffc12345)))))",
            ),
        )
    };
    let f64s = |name, body: &str| {
        let start = "(local i64) (local.set 0 (i64.reinterpret_f64 (call $f (f64.reinterpret_i64 (i64.const 0xfff4123456789abc))))) (call $tell (i32.wrap_i64 (local.get 0))) (call $tell (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))";
        case("Floats", name, telling("", &format!("(func $f (param $x f64) (result f64) {body})"), start))
    };
    let lanes = |name, body: &str| {
        let fields = format!("(func $f (param $x v128) (result v128) {body})");
        let start = "(v128.store (i32.const 0) (call $f (v128.const i32x4 0xffc12345 0x7f812345 0x3f800000 0x80000000)))";
        case("Floats", name, telling("", &fields, &format!("{start} {}", show([0, 4, 8, 12]))))
    };
    vec![
        f32s("nan-add", "(f32.add (local.get $x) (f32.const 1))"),
        f32s("nan-sub", "(f32.sub (f32.const 1) (local.get $x))"),
        f32s("nan-mul", "(f32.mul (local.get $x) (local.get $x))"),
        f32s("nan-div", "(f32.div (local.get $x) (f32.const 2))"),
        f32s("nan-min", "(f32.min (local.get $x) (f32.const 2))"),
        f32s("nan-max", "(f32.max (f32.const 2) (local.get $x))"),
        f32s("nan-sqrt", "(f32.sqrt (local.get $x))"),
        f32s("nan-ceil", "(f32.ceil (local.get $x))"),
        f32s("nan-nearest", "(f32.nearest (local.get $x))"),
        f32s("nan-made-of-numbers", "(f32.div (f32.const 0) (f32.const -0))"),
        f32s("nan-neg-keeps", "(f32.neg (local.get $x))"),
        f32s("nan-abs-keeps", "(f32.abs (local.get $x))"),
        f32s("nan-copysign-keeps", "(f32.copysign (local.get $x) (f32.const 1))"),
        f32s("nan-demoted", "(f32.demote_f64 (f64.promote_f32 (local.get $x)))"),
        f32s("subnormal", "(f32.div (f32.const 0x1p-126) (f32.const 3))"),
        f64s("nan-64-add", "(f64.add (local.get $x) (f64.const 1))"),
        f64s("nan-64-floor", "(f64.floor (local.get $x))"),
        f64s("nan-64-trunc", "(f64.trunc (local.get $x))"),
        f64s("nan-64-promoted", "(f64.promote_f32 (f32.reinterpret_i32 (i32.const 0xffc12345)))"),
        f64s("nan-64-select-keeps", "(select (local.get $x) (f64.const 1) (i32.const 1))"),
        lanes("nan-lanes-add", "(f32x4.add (local.get $x) (v128.const f32x4 1 1 1 1))"),
        lanes("nan-lanes-min", "(f32x4.min (local.get $x) (v128.const f32x4 1 1 2 0))"),
        lanes("nan-lanes-pmin-keeps", "(f32x4.pmin (local.get $x) (v128.const f32x4 1 1 2 0))"),
        lanes("nan-lanes-pmax-keeps", "(f32x4.pmax (v128.const f32x4 1 1 2 0) (local.get $x))"),
        lanes("nan-lanes-neg-keeps", "(f32x4.neg (local.get $x))"),
        lanes("nan-lanes-wide-sqrt", "(f64x2.sqrt (local.get $x))"),
        lanes("nan-lanes-demoted", "(f32x4.demote_f64x2_zero (f64x2.promote_low_f32x4 (local.get $x)))"),
    ]
}

/// Sets up one buffer at 0: this many bytes from 100.
fn buffer(bytes: u32) -> String {
    format!("(i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const {bytes}))")
}

fn streams() -> Vec<Case> {
    let read = ("fd_read", "iiii");
    let reads = |name, body: String| wasi(name, &[read], &body).input(b"what the lease's input is");
    let call = |count: &str| {
        format!("(call $tell (call $fd_read (i32.const 0) (i32.const 0) (i32.const {count}) (i32.const 64))) (call $tell (i32.load (i32.const 64)))")
    };
    let two = "(i64.store (i32.const 8) (i64.const 0x0000000700000090)) ";
    let write = |fd: u32, vectors: i32, count: i32, result: i32| {
        format!("(call $tell (call $fd_write (i32.const {fd}) (i32.const {vectors}) (i32.const {count}) (i32.const {result})))")
    };
    // 1,025 buffers of a byte at 60,000.
    let buffers = "(local $i i32) (i32.store8 (i32.const 60000) (i32.const 0x78)) (loop $l (i64.store (i32.shl (local.get $i) (i32.const 3)) (i64.const 0x10000ea60)) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1025))))";
    vec![
        reads("read-a-part-and-the-rest-and-the-end", [buffer(16), call("1"), call("1"), call("1"), show([100, 104])].concat()),
        reads("read-into-two-buffers", [buffer(5), two.into(), call("2"), show([100, 104, 144, 148])].concat()),
        reads("read-into-none", call("0")),
        reads(
            "read-what-is-not-there",
            [
                "(call $tell (call $fd_read (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64)))",
                "(call $tell (call $fd_read (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 64)))",
                "(call $tell (call $fd_read (i32.const 0) (i32.const 65533) (i32.const 1) (i32.const 64)))",
                "(call $tell (call $fd_read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65533)))",
                "(i32.store (i32.const 4) (i32.const 65537)) (call $tell (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64)))",
            ]
            .concat(),
        ),
        wasi(
            "write-two-buffers",
            &[],
            &[buffer(5), two.into(), "(i64.store (i32.const 100) (i64.const 0x4847464544434241)) ".into(), write(1, 0, 2, 64), show([64])].concat(),
        ),
        wasi(
            "write-what-is-not-there",
            &[],
            &[write(0, 0, 0, 64), write(3, 0, 0, 64), write(1, -1, 1, 64), write(1, 0, 0, 65533), write(1, 65536, 0, 64), write(1, 65537, 0, 64)]
                .concat(),
        ),
        wasi("write-more-buffers-than-are-taken", &[], &format!("{buffers} {} {}", write(1, 0, 1_025, 60_004), show([60_004]))),
        wasi("write-more-buffers-than-are-taken-all-empty", &[], &write(1, 0, 1_025, 60_004)),
        wasi(
            "read-into-more-buffers-than-are-taken",
            &[read],
            &format!("{buffers} (call $tell (call $fd_read (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 60004))) {}", show([60_004])),
        )
        .input(&[7; 1_100]),
        wasi(
            "the-log-is-no-output-and-is-cut",
            &[],
            &[buffer(20_000), write(2, 0, 1, 64), show([64]), write(2, 0, 1, 64), write(2, 0, 0, 64)].concat(),
        ),
        wasi("a-buffer-that-does-not-fit-is-not-written-at-all", &[], &[buffer(5), two.into(), write(1, 0, 2, 64)].concat()).output(11),
        wasi("buffers-are-paid-where-the-write-fails", &[], &[write(1, 65_000, 1_000, 64), write(1, 0, 4, -4)].concat()),
        wasi("buffers-that-cannot-be-paid", &[], &write(1, 65_000, 1_000, 64)).fuel(11_300),
        wasi("a-write-that-cannot-be-paid", &[], &[buffer(40_000), write(2, 0, 1, 64)].concat()).fuel(11_300),
    ]
}

fn descriptors() -> Vec<Case> {
    let answers = |name, imports: &[(&str, &str)], calls: &[&str]| {
        wasi(name, imports, &calls.iter().map(|call| format!("(call $tell {call})")).collect::<String>())
    };
    let zero =
        |parameters: &str| parameters.chars().skip(1).map(|letter| if letter == 'i' { "(i32.const 0)" } else { "(i64.const 0)" }).collect::<String>();
    let absent = [
        ("fd_seek", "iIii"),
        ("fd_readdir", "iiiIi"),
        ("fd_sync", "i"),
        ("path_open", "iiiiiIIii"),
        ("path_symlink", "iiiii"),
        ("sock_send", "iiiii"),
    ];
    let absences = [0, 3]
        .iter()
        .flat_map(|fd| absent.map(|(name, parameters)| format!("(call ${name} (i32.const {fd}) {})", zero(parameters))))
        .collect::<Vec<_>>();
    let absences = absences.iter().map(String::as_str).chain(["(call $proc_raise (i32.const 0))"]).collect::<Vec<_>>();
    let imports = [&absent[..], &[("proc_raise", "i")]].concat();
    vec![
        wasi(
            "arguments-and-environment",
            &[("args_sizes_get", "ii"), ("args_get", "ii"), ("environ_sizes_get", "ii"), ("environ_get", "ii")],
            &format!(
                "(call $tell (call $args_sizes_get (i32.const 0) (i32.const 4))) (call $tell (call $args_get (i32.const 8) (i32.const 16))) (call $tell (call $environ_sizes_get (i32.const 32) (i32.const 36))) (call $tell (call $environ_get (i32.const 40) (i32.const 44))) (call $tell (call $args_get (i32.const 0) (i32.const 65530))) {}",
                show([0, 4, 8, 16, 20, 32, 36])
            ),
        ),
        wasi(
            "what-descriptors-are",
            &[("fd_fdstat_get", "ii"), ("fd_filestat_get", "ii"), ("fd_prestat_get", "ii"), ("fd_fdstat_set_flags", "ii")],
            &format!(
                "(call $tell (call $fd_fdstat_get (i32.const 0) (i32.const 0))) (call $tell (call $fd_fdstat_get (i32.const 2) (i32.const 24))) (call $tell (call $fd_fdstat_get (i32.const 3) (i32.const 24))) (call $tell (call $fd_filestat_get (i32.const 1) (i32.const 64))) (call $tell (call $fd_prestat_get (i32.const 3) (i32.const 0))) (call $tell (call $fd_fdstat_set_flags (i32.const 1) (i32.const 4))) {}",
                show([0, 8, 12, 16, 32, 36, 64, 88])
            ),
        ),
        answers(
            "closing",
            &[("fd_close", "i"), ("fd_read", "iiii"), ("fd_fdstat_set_flags", "ii")],
            &[
                "(call $fd_close (i32.const 0))",
                "(call $fd_close (i32.const 0))",
                "(call $fd_read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
                "(call $fd_fdstat_set_flags (i32.const 0) (i32.const 0))",
                "(call $fd_close (i32.const -1))",
            ],
        ),
        answers("what-is-absent", &imports, &absences),
        wasi("yielding", &[("sched_yield", "")], "(call $tell (call $sched_yield))"),
    ]
}

fn time() -> Vec<Case> {
    let clocks = [("clock_time_get", "iIi"), ("clock_res_get", "ii"), ("poll_oneoff", "iiii")];
    let now = |clock: i32, at: u32| format!("(call $tell (call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const {at})))");
    // A subscription of 48 bytes at this place: user data, kind, clock or descriptor, time, flags.
    let subscription = |at: u32, user: u32, kind: u32, what: u32, time: u64, flags: u32| {
        format!(
            "(i64.store (i32.const {at}) (i64.const {user})) (i32.store (i32.const {}) (i32.const {kind})) (i32.store (i32.const {}) (i32.const {what})) (i64.store (i32.const {}) (i64.const {time})) (i32.store (i32.const {}) (i32.const {flags}))",
            at + 8,
            at + 16,
            at + 24,
            at + 40
        )
    };
    let poll = |count: u32| format!("(call $tell (call $poll_oneoff (i32.const 0) (i32.const 1024) (i32.const {count}) (i32.const 900)))");
    let events = |count: u32| format!("{} {}", show([900]), show((0..count).flat_map(|n| [0, 8, 16].map(|at| 1_024 + 32 * n + at))));
    vec![
        wasi(
            "clocks",
            &clocks,
            &[
                now(0, 0),
                now(1, 8),
                now(2, 16),
                "(call $tell (call $clock_res_get (i32.const 1) (i32.const 24)))".into(),
                "(call $tell (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 65529)))".into(),
                show([0, 4, 8, 12, 24]),
            ]
            .concat(),
        ),
        wasi(
            "a-sleep-moves-both-clocks",
            &clocks,
            &[subscription(0, 9, 0, 1, 31_536_000_000_000_000, 0), poll(1), events(1), now(0, 0), show([0, 4])].concat(),
        ),
        wasi(
            "a-sleep-until-a-time",
            &clocks,
            &[subscription(0, 9, 0, 0, 1_000_000_000_000_000_005, 1), poll(1), now(0, 200), show([200]), poll(1), now(0, 200), show([200])].concat(),
        ),
        wasi(
            "the-shortest-sleep-and-its-equals",
            &clocks,
            &[
                subscription(0, 1, 0, 0, 9, 0),
                subscription(48, 2, 0, 1, 5, 0),
                subscription(96, 3, 0, 0, 5, 0),
                poll(3),
                events(2),
                now(0, 200),
                show([200]),
            ]
            .concat(),
        ),
        wasi(
            "what-is-ready-ends-a-sleep",
            &clocks,
            &[
                subscription(0, 1, 0, 0, 9, 0),
                subscription(48, 2, 1, 0, 0, 0),
                subscription(96, 3, 2, 1, 0, 0),
                subscription(144, 4, 2, 0, 0, 0),
                subscription(192, 5, 1, 7, 0, 0),
                subscription(240, 6, 0, 5, 1, 0),
                poll(6),
                events(5),
                now(0, 400),
                show([400]),
            ]
            .concat(),
        )
        .input(b"four"),
        wasi(
            "events-over-subscriptions",
            &clocks,
            &[
                subscription(0, 1, 2, 1, 0, 0),
                subscription(48, 2, 1, 0, 0, 0),
                subscription(96, 3, 2, 2, 0, 0),
                "(call $tell (call $poll_oneoff (i32.const 0) (i32.const 40) (i32.const 3) (i32.const 900)))".into(),
                show([900, 40, 48, 72, 80, 104, 112]),
            ]
            .concat(),
        ),
        wasi(
            "polls-that-are-none",
            &clocks,
            &[
                poll(0),
                poll(65),
                subscription(0, 1, 3, 0, 0, 0),
                poll(1),
                "(call $tell (call $poll_oneoff (i32.const 65500) (i32.const 0) (i32.const 1) (i32.const 0)))".into(),
            ]
            .concat(),
        ),
    ]
}

fn entropy() -> Vec<Case> {
    let random = [("random_get", "ii")];
    let get = |at: u32, bytes: u32| format!("(call $tell (call $random_get (i32.const {at}) (i32.const {bytes})))");
    vec![
        wasi("entropy-in-words", &random, &[get(0, 5), get(8, 4), get(16, 0), get(16, 16), show([0, 4, 8, 16, 20, 24, 28])].concat()),
        wasi("entropy-of-any-length", &random, &[get(0, 65_536), get(0, 65_537), get(0, 8), show([0, 4])].concat()),
        wasi("entropy-that-cannot-be-paid", &random, &get(0, 60_000)).fuel(60_000),
    ]
}

fn station() -> Vec<Case> {
    let functions = [("submit", "iiii"), ("wait", "iii"), ("read", "iii"), ("close", "i"), ("progress", "iii"), ("checkpoint", "ii")];
    let imports = functions.iter().map(|(name, parameters)| import("station_v1", name, parameters)).collect::<String>();
    let of = |name, calls: &[&str]| {
        case("station_v1", name, telling(&imports, "", &calls.iter().map(|call| format!("(call $tell {call})")).collect::<String>()))
    };
    vec![
        of(
            "progress",
            &["(call $progress (i32.const 500) (i32.const 100) (i32.const 0))", "(call $progress (i32.const 500) (i32.const 100) (i32.const 25))"],
        ),
        of("progress-that-cannot-be-paid", &["(call $progress (i32.const 500) (i32.const 100) (i32.const 0))"]).fuel(11_000),
        of(
            "arguments-that-are-wrong",
            &[
                "(call $submit (i32.const 0) (i32.const 65) (i32.const 0) (i32.const 0))",
                "(call $submit (i32.const -1) (i32.const 4) (i32.const 0) (i32.const 0))",
                "(call $submit (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 65537))",
                "(call $submit (i32.const 0) (i32.const 4) (i32.const 60000) (i32.const 65536))",
                "(call $wait (i32.const 0) (i32.const 65) (i32.const 0))",
                "(call $wait (i32.const 65533) (i32.const 1) (i32.const 0))",
                "(call $read (i32.const 1) (i32.const 65535) (i32.const 2))",
                "(call $progress (i32.const 1) (i32.const 0) (i32.const 257))",
                "(call $checkpoint (i32.const 0) (i32.const 1048577))",
                "(call $checkpoint (i32.const 65535) (i32.const 2))",
            ],
        ),
        case(
            "station_v1",
            "text-that-is-none",
            telling(
                &imports,
                "",
                "(i32.store8 (i32.const 0) (i32.const 0xff)) (call $tell (call $submit (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))) (call $tell (call $progress (i32.const 0) (i32.const 0) (i32.const 1)))",
            ),
        ),
    ]
}
