//! What happens to worker processes.

use std::fs;
use std::process::Command;
use std::sync::mpsc;

use super::common::{command, echo, finish, load, open, sandbox, worker};
use station_protocol::receipt::Outcome;
use station_sandbox::{Load, SandboxError, Step};

const ENDLESS: &str = "(loop $again (br $again))";
const ASKING: &str = "(drop (call $close (i32.const 1)))";

fn is_alive(process: u32) -> bool {
    fs::metadata(format!("/proc/{process}")).is_ok()
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_guest_that_never_ends_is_timed_out_and_its_process_gone() {
    let mut session = open(&command(ENDLESS));
    let process = session.killer().process().unwrap();
    let done = finish(session.start(Load { fuel: u64::MAX, wall_ms: 200, ..load() }).unwrap());
    assert_eq!((done.outcome, done.fuel), (Outcome::TimedOut, u64::MAX));
    assert!(!is_alive(process));
    assert_eq!(finish(session.start(Load { fuel: 1_000, ..load() }).unwrap()).outcome, Outcome::OutOfFuel);
}

#[test]
fn a_real_sleep_beyond_the_wall_limit_is_timed_out() {
    let sleep = "(i64.store (i32.const 24) (i64.const -1)) (drop (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))";
    let mut session = open(&command(sleep));
    assert_eq!(finish(session.start(Load { pure: None, wall_ms: 100, ..load() }).unwrap()).outcome, Outcome::TimedOut);
}

#[test]
fn a_worker_killed_in_a_job_is_an_outcome_and_the_next_job_runs() {
    let mut session = open(&command(ASKING));
    assert!(matches!(session.start(load()).unwrap(), Step::Call(_)));
    kill(session.killer().process().unwrap());
    let done = finish(session.step(station_sandbox::Reply::Number(0)).unwrap());
    assert_eq!((done.outcome, done.fuel), (Outcome::Killed, load().fuel));
    assert!(matches!(session.start(load()).unwrap(), Step::Call(_)));
    assert_eq!(finish(session.step(station_sandbox::Reply::Number(0)).unwrap()).outcome, Outcome::Completed);
}

#[test]
fn the_killer_ends_a_running_job_and_the_session() {
    let mut session = open(&command(&format!("{ASKING} {ENDLESS}")));
    let killer = session.killer();
    let (to, asked) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // A job that runs, because it has spoken: a kill before it would keep it from starting, which is another outcome.
        let step = session.start(Load { fuel: u64::MAX, ..load() }).unwrap();
        to.send(matches!(step, Step::Call(_))).unwrap();
        let done = finish(session.step(station_sandbox::Reply::Number(0)).unwrap());
        (done.outcome, session.start(load()))
    });
    assert!(asked.recv().unwrap());
    // Before, while or after the reply is written: the job ends the same way.
    killer.kill();
    let (outcome, next) = thread.join().unwrap();
    assert_eq!(outcome, Outcome::Killed);
    assert!(matches!(next, Err(SandboxError::Ended)));
}

#[test]
fn a_dropped_session_leaves_no_process() {
    let sandbox = sandbox();
    let artefact = sandbox.compile(&echo()).unwrap();
    let sessions = (0..3).map(|_| sandbox.open(&artefact).unwrap()).collect::<Vec<_>>();
    let processes = sessions.iter().map(|session| session.killer().process().unwrap()).collect::<Vec<_>>();
    assert!(processes.iter().all(|process| is_alive(*process)));
    drop(sessions);
    assert!(!processes.iter().any(|process| is_alive(*process)));
}

#[test]
fn a_worker_has_no_environment_and_no_descriptors_but_four() {
    let session = open(&echo());
    let process = session.killer().process().unwrap();
    // Not dumpable: its /proc files belong to root. Whoever may look sees nothing of ours.
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"));
    // Its namespaces gave it all of them; root had them before.
    assert!(status.contains("CapEff:\t0000000000000000"));
    if let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) {
        let mut descriptors = descriptors.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
        descriptors.sort();
        assert_eq!(descriptors, ["0", "1", "2", "3"]);
        assert_eq!(fs::read(format!("/proc/{process}/environ")).unwrap(), b"");
        // Its folder is its root, which is empty but for its own descriptors, or the system's where namespaces are refused.
        let cwd = fs::read_link(format!("/proc/{process}/cwd")).unwrap();
        assert_eq!(cwd, fs::read_link(format!("/proc/{process}/root")).unwrap());
    }
}

#[test]
fn the_hidden_argument_does_nothing_without_a_socket() {
    let status = Command::new(worker()).args(["__station_worker", "run"]).stdin(std::process::Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(70));
}
