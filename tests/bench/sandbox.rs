//! What shutting strangers' code in costs: starting a worker, a step, the meter, compiling, ending a guest.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use station_node::library::BUNDLED;
use station_sandbox::measure::Kernel;
use station_sandbox::{Artefact, Config, Layers, Load, Reply, Sandbox, Session, Step, Tier};

use super::anchors;
use super::figures::{Anchor, Report, median};

/// Name under which this program's workers leave namespaces out.
const WITHOUT_NAMESPACES: &str = "bench-without-namespaces";
/// Bytes of a ping: about what a step's frames have.
const PING_BYTES: usize = 32;

/// A figure, its kernel, and how many rounds of that take about a tenth of a second.
type Metered = (&'static str, &'static str, i32);

/// Long loops, over which the meter's target is defined.
const LOOPS: [Metered; 2] =
    [("metered_ratio_hash", include_str!("kernels/hash.wat"), 1_000), ("metered_ratio_sort", include_str!("kernels/sort.wat"), 100)];
/// Small functions and short runs, where a meter shows most.
const CALLS: [Metered; 2] =
    [("metered_ratio_fib", include_str!("kernels/fib.wat"), 150), ("metered_ratio_switch", include_str!("kernels/switch.wat"), 500)];

/// Becomes a worker when this process was started as one: first in `main`.
pub(crate) fn worker_entry() {
    let name = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if name.ends_with(WITHOUT_NAMESPACES) {
        station_sandbox::worker_entry_with(Layers { namespaces: false, ..Layers::ALL });
    }
    station_sandbox::worker_entry();
}

pub(crate) fn measure(short: bool, report: &mut Report) {
    spawning(short, report);
    steps(short, report);
    meter(short, report);
    compiling(short, report);
    deadlines(short, report);
    jobs(short, report);
    if !short {
        anchors::measure(report);
    }
}

fn guest(body: &str) -> Vec<u8> {
    let text = format!(
        "(module (import \"station_v1\" \"close\" (func $close (param i32) (result i32))) (memory (export \"memory\") 1) (func (export \"_start\") {body}))"
    );
    wat::parse_str(text).expect("a good module")
}

fn load() -> Load {
    Load { input: Vec::new(), fuel: u64::MAX, memory_bytes: 16 << 20, wall_ms: 600_000, output_bytes: 1 << 20, pure: Some([0; 32]) }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// From asking for a session to the guest's first word.
fn to_guest(sandbox: &Sandbox, artefact: &Artefact) -> f64 {
    let begun = Instant::now();
    let mut session = sandbox.open(artefact).expect("a session");
    let step = session.start(load()).expect("a job");
    let took = milliseconds(begun.elapsed());
    assert!(matches!(step, Step::Call(_)), "the guest speaks first");
    took
}

fn spawning(short: bool, report: &mut Report) {
    let n = if short { 20 } else { 200 };
    let sandbox = Sandbox::new(Config::default());
    let artefact = sandbox.compile(&guest("(drop (call $close (i32.const 0)))")).expect("a good module");
    // The first session begins the pool.
    to_guest(&sandbox, &artefact);
    let mut waiting = Vec::new();
    let pooled = (0..n).map(|_| {
        waiting = sandbox.idle_workers();
        waiting.iter().for_each(|process| until_it_waits(*process));
        to_guest(&sandbox, &artefact)
    });
    let pooled = pooled.collect::<Vec<_>>();
    report.add("spawn_to_guest_pooled_p50_ms", median(&pooled), "ms", Some("<= 1.5"), n);
    waiting = sandbox.idle_workers();
    waiting.iter().for_each(|process| until_it_waits(*process));
    let resident = waiting.iter().map(|process| memory(*process).0).collect::<Vec<_>>();
    let private = waiting.iter().map(|process| memory(*process).1).collect::<Vec<_>>();
    report.add("idle_worker_resident_bytes", median(&resident), "bytes", None, resident.len());
    report.add("idle_worker_private_bytes", median(&private), "bytes", None, private.len());

    let folder = tempfile::tempdir().expect("a temporary folder");
    let without = folder.path().join(WITHOUT_NAMESPACES);
    std::os::unix::fs::symlink(std::env::current_exe().expect("this program"), &without).expect("a link");
    // The first session of a sandbox finds nobody waiting.
    let cold = |program: &Path| {
        let sandbox = Sandbox::new(Config { program: program.to_owned(), ..Config::default() });
        to_guest(&sandbox, &artefact)
    };
    let whole = (0..n).map(|_| cold(&Config::default().program)).collect::<Vec<_>>();
    let without = (0..n).map(|_| cold(&without)).collect::<Vec<_>>();
    report.add("spawn_to_guest_cold_p50_ms", median(&whole), "ms", Some("<= 25"), n);
    report.add("spawn_to_guest_cold_no_ns_p50_ms", median(&without), "ms", Some("<= 8"), n);
}

/// Until a worker that was started ahead has shut itself in: then it only waits.
fn until_it_waits(process: u32) {
    let ready = || {
        std::fs::read_to_string(format!("/proc/{process}/status")).is_ok_and(|status| status.contains("Seccomp:\t2") && status.contains("State:\tS"))
    };
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_secs(10), "a worker does not become ready");
        std::thread::yield_now();
    }
}

/// Resident bytes of a process, and those of them that are its own.
#[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
fn memory(process: u32) -> (f64, f64) {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let bytes = |name: &str| {
        let kilobytes = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.map_or(f64::NAN, |kilobytes| (kilobytes << 10) as f64)
    };
    (bytes("VmRSS:"), bytes("RssAnon:"))
}

/// A step: the parent's answer, the guest's next call; beside as many bytes sent to a process that sends them back.
fn steps(short: bool, report: &mut Report) {
    let (batches, count) = if short { (5, 2_000) } else { (25, 10_000) };
    let sandbox = Sandbox::new(Config::default());
    let artefact =
        sandbox.compile_at(&guest("(loop $again (drop (call $close (i32.const 0))) (br $again))"), Tier::Optimised).expect("a good module");
    let mut session = sandbox.open(&artefact).expect("a session");
    session.start(load()).expect("a job");
    let mut pong = Pong::start();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..batches {
        ours.push(microseconds_each(count, || drop(session.step(Reply::Number(0)).expect("a step"))));
        bare.push(microseconds_each(count, || pong.ping()));
    }
    let anchor = Anchor { name: "socketpair_roundtrip_us".into(), value: (median(&bare) * 1_000.0).round() / 1_000.0 };
    report.add_beside("step_roundtrip_us", median(&ours), "us", Some("<= 1.5x"), batches * count, anchor);
    report.add("socketpair_roundtrip_us", median(&bare), "us", None, batches * count);
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn microseconds_each(count: usize, mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..count).for_each(|_| work());
    begun.elapsed().as_secs_f64() * 1e6 / count as f64
}

/// A process that sends back what it gets.
struct Pong {
    child: Child,
    socket: UnixStream,
}

impl Pong {
    fn start() -> Self {
        let (socket, theirs) = UnixStream::pair().expect("a pair of sockets");
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program).arg("pong").stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn().expect("this program starts again");
        Self { child, socket }
    }

    fn ping(&mut self) {
        let mut bytes = [7; PING_BYTES];
        self.socket.write_all(&bytes).and_then(|()| self.socket.read_exact(&mut bytes)).expect("the other end lives");
    }
}

impl Drop for Pong {
    fn drop(&mut self) {
        // It fails only when the process is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other end of [`Pong`]: until its socket closes.
pub(crate) fn pong() {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("standard input is a socket");
    let mut socket = UnixStream::from(socket);
    let mut bytes = [0; PING_BYTES];
    while socket.read_exact(&mut bytes).and_then(|()| socket.write_all(&bytes)).is_ok() {}
}

fn meter(short: bool, report: &mut Report) {
    let runs = if short { 5 } else { 25 };
    for (most, kernels, target) in [("metered_ratio_max", LOOPS, Some("<= 1.35")), ("metered_ratio_calls", CALLS, None)] {
        let ratios = kernels.map(|kernel| ratio(kernel, runs, report));
        report.add(most, ratios.into_iter().fold(0.0, f64::max), "x", target, runs);
    }
}

/// The same kernel with and without the meter, in turns, in this process.
fn ratio((figure, text, rounds): Metered, runs: usize, report: &mut Report) -> f64 {
    let module = wat::parse_str(text).expect("a good module");
    let (mut with, mut without) = (Kernel::new(&module, true), Kernel::new(&module, false));
    assert_eq!(with.run(1).0, without.run(1).0, "the meter changes no result");
    let timed = |kernel: &mut Kernel| {
        let begun = Instant::now();
        kernel.run(rounds);
        milliseconds(begun.elapsed())
    };
    let (metered, plain): (Vec<_>, Vec<_>) = (0..runs).map(|_| (timed(&mut with), timed(&mut without))).unzip();
    let anchor = Anchor { name: "unmetered_ms".into(), value: (median(&plain) * 1_000.0).round() / 1_000.0 };
    let ratio = median(&metered) / median(&plain);
    report.add_beside(figure, ratio, "x", None, runs, anchor);
    ratio
}

/// A bundled module through a compile worker, its start included.
#[expect(clippy::cast_precision_loss, reason = "a module's size")]
fn compiling(short: bool, report: &mut Report) {
    let runs = if short { 2 } else { 9 };
    let module = BUNDLED.iter().map(|module| module.bytes).max_by_key(|bytes| bytes.len()).expect("there are bundled modules");
    for (name, tier) in [("compile_mib_per_s_none", Tier::Baseline), ("compile_mib_per_s_speed", Tier::Optimised)] {
        let once = || {
            // A new sandbox: the old one would answer from its cache.
            let sandbox = Sandbox::new(Config::default());
            let begun = Instant::now();
            sandbox.compile_at(module, tier).expect("a good module");
            module.len() as f64 / f64::from(1 << 20) / begun.elapsed().as_secs_f64()
        };
        let rates = (0..runs).map(|_| once()).collect::<Vec<_>>();
        report.add(name, median(&rates), "MiB/s", None, runs);
    }
}

/// How long after its limit a guest that computes for ever is gone and reaped.
fn deadlines(short: bool, report: &mut Report) {
    let runs = if short { 10 } else { 100 };
    let sandbox = Sandbox::new(Config::default());
    let artefact = sandbox.compile(&guest("(loop $again (br $again))")).expect("a good module");
    let wall_ms = 50;
    let late = (0..runs).map(|_| {
        let mut session = sandbox.open(&artefact).expect("a session");
        let begun = Instant::now();
        session.start(Load { wall_ms, ..load() }).expect("a job");
        milliseconds(begun.elapsed().saturating_sub(Duration::from_millis(wall_ms)))
    });
    let late = late.collect::<Vec<_>>();
    report.add("deadline_to_dead_ms", median(&late), "ms", Some("<= 20"), runs);
    report.add("deadline_to_dead_max_ms", late.iter().copied().fold(0.0, f64::max), "ms", None, runs);
}

/// Jobs that do nothing, one after the other in one session: a fresh instance each.
fn jobs(short: bool, report: &mut Report) {
    let (runs, count) = if short { (3, 1_000_u32) } else { (9, 10_000) };
    let sandbox = Sandbox::new(Config::default());
    let artefact = sandbox.compile(&guest("")).expect("a good module");
    let mut session = sandbox.open(&artefact).expect("a session");
    let job = |session: &mut Session| assert!(matches!(session.start(load()).expect("a job"), Step::Done(_)));
    let rates = (0..runs).map(|_| {
        let begun = Instant::now();
        (0..count).for_each(|_| job(&mut session));
        f64::from(count) / begun.elapsed().as_secs_f64()
    });
    let rates = rates.collect::<Vec<_>>();
    report.add("sandbox_jobs_per_s", median(&rates), "1/s", None, runs);
}
