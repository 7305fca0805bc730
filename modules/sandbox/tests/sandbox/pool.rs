//! Workers that wait for a session, and what becomes of workers when their parent goes or somebody asks everybody to end.
#![expect(unsafe_code, reason = "waiting for the end of a process that is nobody's child is a system call without a safe wrapper")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};

use super::common::{command, echo, finish, load, open, sandbox, told, worker};
use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, Config, Load, Reply, Sandbox, Step};

fn is_alive(process: u32) -> bool {
    fs::metadata(format!("/proc/{process}")).is_ok()
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
}

/// A process that can be waited for, whoever its parent is.
struct Watched(OwnedFd);

impl Watched {
    fn new(process: u32) -> Self {
        // SAFETY: the call takes numbers; what it returns is a descriptor of ours, or negative.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
        assert!(descriptor >= 0, "process {process} is gone already");
        // SAFETY: as above.
        Self(unsafe { OwnedFd::from_raw_fd(i32::try_from(descriptor).unwrap()) })
    }

    /// Waits until it has ended.
    fn ends(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which lives until the call is over.
        unsafe { libc::poll(&raw mut poll, 1, 60_000) == 1 }
    }
}

/// A sandbox with a full pool, which begins with the first session.
fn with_pool() -> Sandbox {
    let sandbox = sandbox();
    drop(sandbox.open(&sandbox.compile(&echo()).unwrap()).unwrap());
    sandbox
}

#[test]
fn nobody_waits_before_the_first_session() {
    let sandbox = sandbox();
    let artefact = sandbox.compile(&echo()).unwrap();
    assert_eq!(sandbox.idle_workers(), [0; 0]);
    drop(sandbox.open(&artefact).unwrap());
    assert_eq!(sandbox.idle_workers().len(), 2);
}

#[test]
fn a_session_gets_a_worker_that_waited_and_another_takes_its_place() {
    let sandbox = with_pool();
    let (one, other) = (sandbox.compile(&echo()).unwrap(), sandbox.compile(&command("(call $tell (i32.const 1))")).unwrap());
    let mut served = BTreeSet::new();
    for artefact in [&one, &other, &one, &other, &one] {
        let waiting = sandbox.idle_workers();
        let mut session = sandbox.open(artefact).unwrap();
        let process = session.killer().process().unwrap();
        assert_eq!(process, waiting[0], "the one that waited longest");
        assert_eq!(finish(session.start(load()).unwrap()).outcome, Outcome::Completed);
        // Never two experiments in one process.
        assert!(served.insert(process));
        let now = sandbox.idle_workers();
        assert_eq!(now.len(), 2);
        assert!(!now.contains(&process));
        drop(session);
        assert!(!is_alive(process));
    }
}

#[test]
fn sessions_get_new_workers_when_nobody_waits() {
    let sandbox = with_pool();
    let artefact = sandbox.compile(&echo()).unwrap();
    let mut sessions = (0..6).map(|_| sandbox.open(&artefact).unwrap()).collect::<Vec<_>>();
    let processes = sessions.iter().map(|session| session.killer().process().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(processes.len(), 6);
    assert!(sessions.iter_mut().all(|session| finish(session.start(load()).unwrap()).outcome == Outcome::Completed));
}

#[test]
fn workers_that_wait_are_shut_in_already() {
    let sandbox = with_pool();
    let isolation = sandbox.isolation();
    for process in sandbox.idle_workers() {
        // Its first word comes after the artefact, so this looks from outside, once it sleeps in its first read.
        let state = || fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let mut status = state();
        while !status.contains("NoNewPrivs:\t1") || !status.contains("Seccomp:\t2") {
            std::thread::yield_now();
            status = state();
        }
        assert!(isolation < station_sandbox::Isolation::Full || status.contains("CapEff:\t0000000000000000"));
    }
}

#[test]
fn workers_that_wait_end_with_the_sandbox() {
    let sandbox = with_pool();
    let waiting = sandbox.idle_workers();
    assert!(waiting.iter().all(|process| is_alive(*process)));
    // A session keeps the thread that started its worker, and with it the pool.
    let session = sandbox.open(&sandbox.compile(&echo()).unwrap()).unwrap();
    drop(sandbox);
    let process = session.killer().process().unwrap();
    assert!(is_alive(process));
    drop(session);
    assert!(!waiting.into_iter().chain([process]).any(is_alive));
}

#[test]
fn a_worker_that_died_while_it_waited_is_reaped_and_replaced() {
    let sandbox = with_pool();
    let artefact = sandbox.compile(&echo()).unwrap();
    let waiting = sandbox.idle_workers();
    let watched = waiting.iter().map(|process| Watched::new(*process)).collect::<Vec<_>>();
    waiting.iter().for_each(|process| kill(*process));
    assert!(watched.iter().all(Watched::ends));
    let mut session = sandbox.open(&artefact).unwrap();
    assert_eq!(finish(session.start(load()).unwrap()).outcome, Outcome::Completed);
    assert!(!waiting.iter().any(|process| is_alive(*process)), "no zombie is left");
    assert_eq!(sandbox.idle_workers().len(), 2);
}

#[test]
fn workers_die_with_a_parent_that_is_killed() {
    // A station in small: a pool, a session that waits, one that computes. It says who they are and then does nothing.
    let mut parent = Command::new(env!("CARGO_BIN_EXE_station-sandbox-hostile"))
        .arg("parent")
        .arg(worker())
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let processes = line.split_whitespace().map(|id| id.parse::<u32>().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(processes.len(), 4, "{line}");
    let watched = processes.iter().map(|process| Watched::new(*process)).collect::<Vec<_>>();
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(watched.iter().all(Watched::ends));
}

#[test]
fn ctrl_c_in_a_terminal_ends_neither_jobs_nor_compiles() {
    use std::os::unix::process::CommandExt;
    // The parent hears the signals and goes on, as a station that finishes what it began; its compile worker signals the group too.
    let folder = tempfile::tempdir().unwrap();
    let native = folder.path().join("none");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_station-sandbox-hostile"), &native).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_station-sandbox-hostile"));
    command.arg("promise").arg(worker()).arg(native).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut parent = command.spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "Call(Close { handle: 1 })");
    for signal in ["-INT", "-TERM", "-HUP", "-QUIT"] {
        assert!(Command::new("kill").args([signal, "--", &format!("-{}", parent.id())]).status().unwrap().success());
    }
    parent.stdin.take().unwrap().write_all(b"\n").unwrap();
    let job = lines.next().unwrap();
    assert!(job.starts_with("Done(Done { outcome: Completed,"), "{job}");
    assert_eq!(lines.next().unwrap(), "Some(BadModule(\"done\"))");
    assert!(parent.wait().unwrap().success());
}

#[test]
fn a_worker_is_in_a_group_of_its_own_and_ignores_what_is_sent_to_it_alone() {
    let mut session = open(&command("(call $tell (call $close (i32.const 1)))"));
    assert!(matches!(session.start(load()).unwrap(), Step::Call(_)));
    let process = session.killer().process().unwrap();
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // After the name, which ends with the last bracket: state, parent, group.
    let group = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap();
    assert_eq!(group, process.to_string());
    for signal in ["-INT", "-TERM", "-HUP", "-QUIT"] {
        assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
    }
    assert_eq!(told(&finish(session.step(Reply::Number(5)).unwrap())), [5]);
    // Its parent's word holds.
    assert!(matches!(session.start(load()).unwrap(), Step::Call(_)));
    let watched = Watched::new(process);
    session.killer().kill();
    assert!(watched.ends());
}

#[test]
fn workers_of_both_kinds_ignore_what_is_sent_to_them_alone() {
    let folder = tempfile::tempdir().unwrap();
    let native = folder.path().join("seccomp-landlock-namespaces");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_station-sandbox-hostile"), &native).unwrap();
    let hostile = Sandbox::new(Config { program: native, cache_dir: None });
    assert_eq!(hostile.compile(b"signals").err(), Some(CompileError::BadModule("done".into())));
    let mut session = hostile.open(&sandbox().compile(&echo()).unwrap()).unwrap();
    assert_eq!(finish(session.start(Load { input: b"signals".to_vec(), ..load() }).unwrap()).output, b"done");
}
