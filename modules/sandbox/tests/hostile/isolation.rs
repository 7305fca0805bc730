//! The cases without WebAssembly: a native program in the guest's place (`attempts.rs` beside this), shut in as the product's workers are.
//!
//! That each layer is what stops it is shown in `tests/sandbox/isolation.rs`; here it is all of them, and what is left behind.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, Config, Done, Load, Own, Sandbox, SandboxError, Step, Wish};

use super::arena::attack;
use super::common::{echo, finish, load};

/// A sandbox whose workers are the hostile program, all layers wanted.
fn hostile<T>(case: impl FnOnce(&Sandbox) -> T) -> T {
    hostile_for(1, case)
}

/// The same with this much processor time for each compile.
fn hostile_for<T>(cpu_seconds: u64, case: impl FnOnce(&Sandbox) -> T) -> T {
    attack(|_| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("seccomp-landlock-namespaces");
        symlink(env!("CARGO_BIN_EXE_station-sandbox-hostile"), &program).unwrap();
        case(&Sandbox::with_compile_limits(Config { program, cache_dir: None }, 64 << 20, cpu_seconds))
    })
}

fn attempt(what: &str) -> Done {
    // Its compile worker would not compile: the code is the product's.
    let artefact = attack(|sandbox| sandbox.compile(&echo()).unwrap());
    hostile(|sandbox| {
        let mut session = sandbox.open(&artefact).unwrap();
        let done = finish(session.start(Load { input: what.into(), wall_ms: 5_000, ..load() }).unwrap());
        let next = finish(session.start(Load { input: b"nothing".to_vec(), ..load() }).unwrap());
        assert_eq!(next.outcome, Outcome::Completed, "the next job of the session");
        done
    })
}

fn is_killed(what: &str) {
    let done = attempt(what);
    assert_eq!((done.outcome, done.fuel, done.output.len()), (Outcome::Killed, load().fuel, 0), "{what}");
}

fn of_the_parent(what: &str) -> String {
    format!("{what} {}", std::process::id())
}

#[test]
fn a_native_stack_or_memory_of_ours_that_ends_is_no_outcome_of_the_job_and_the_next_one_runs() {
    let artefact = attack(|sandbox| sandbox.compile(&echo()).unwrap());
    hostile(|sandbox| {
        let mut session = sandbox.open(&artefact).unwrap();
        let mut ends = |what: &str| {
            let ended = session.start(Load { input: what.into(), wall_ms: 5_000, ..load() });
            let next = finish(session.start(Load { input: b"nothing".to_vec(), ..load() }).unwrap());
            assert_eq!(next.outcome, Outcome::Completed, "the next job of the session");
            ended
        };
        // What a run worker exits with where the engine says that the native stack ended.
        assert!(matches!(ends("exit 72"), Err(SandboxError::NativeStack)));
        // How an allocation that is refused ends a process.
        assert!(matches!(ends("abort"), Err(SandboxError::Memory)));
        // A panic that is no allocation's, where it would abort.
        assert!(matches!(ends("panic"), Ok(Step::Done(Done { outcome: Outcome::Killed, .. }))));
        // The machine's word for a job within its limit, and a worker that only went.
        assert!(matches!(ends("exit 71"), Ok(Step::Done(Done { outcome: Outcome::OutOfMemory, .. }))));
        assert!(matches!(ends("exit"), Ok(Step::Done(Done { outcome: Outcome::Killed, .. }))));
    });
}

#[test]
fn compiles_whose_leases_ended_leave_no_process_and_the_next_module_is_compiled() {
    hostile_for(3_600, |sandbox| {
        let wishes = (0..10).map(|asker| sandbox.wish([asker; 32], Arc::new(Own))).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            for (at, wish) in wishes.iter().enumerate() {
                let module = format!("spin {at}");
                scope.spawn(move || assert_eq!(sandbox.compile_for(module.as_bytes(), wish).err(), Some(CompileError::Ended)));
                while sandbox.compiles().1 <= at {
                    std::thread::yield_now();
                }
            }
            // Those that wait for their turn first: what compiles now is the last to end.
            wishes.iter().rev().for_each(Wish::end);
        });
        let (begun, waiting) = sandbox.compiles();
        assert_eq!(waiting, 0);
        assert_eq!(sandbox.compile(b"speak 3").err(), Some(CompileError::BadModule("xxx".into())));
        assert_eq!(sandbox.compiles(), (begun + 1, 0), "nothing else was left to compile");
    });
}

#[test]
fn isolation_opening_a_file() {
    is_killed("open /etc/passwd");
}

#[test]
fn isolation_making_a_socket() {
    is_killed("socket");
}

#[test]
fn isolation_starting_a_process() {
    is_killed("fork");
}

#[test]
fn isolation_becoming_another_program() {
    is_killed("exec");
}

#[test]
fn isolation_tracing_the_parent() {
    is_killed(&of_the_parent("ptrace-parent"));
}

#[test]
fn isolation_signalling_the_parent() {
    is_killed(&of_the_parent("kill-parent"));
}

#[test]
fn isolation_mapping_memory_that_is_writable_and_executable() {
    is_killed("map-executable");
}

#[test]
fn isolation_making_memory_executable() {
    is_killed("make-executable");
}

#[test]
fn isolation_forging_a_frame() {
    is_killed("forged");
}

#[test]
fn isolation_forging_the_end_of_a_job() {
    // More fuel than there was, an outcome that is the parent's to say, a list without end, and more than one end.
    for what in ["forged-fuel", "forged-outcome", "forged-list", "two-frames"] {
        is_killed(what);
    }
    let artefact = attack(|sandbox| sandbox.compile(&echo()).unwrap());
    let done = hostile(|sandbox| finish(sandbox.open(&artefact).unwrap().start(Load { input: b"honest-frame".to_vec(), ..load() }).unwrap()));
    assert_eq!((done.outcome, done.fuel), (Outcome::Completed, 0));
}

#[test]
fn isolation_answering_the_next_job_before_it_is_asked() {
    let artefact = attack(|sandbox| sandbox.compile(&echo()).unwrap());
    hostile(|sandbox| {
        let mut session = sandbox.open(&artefact).unwrap();
        let first = finish(session.start(Load { input: b"late-frame".to_vec(), ..load() }).unwrap());
        assert_eq!((first.outcome, first.output.len()), (Outcome::Completed, 1 << 15));
        let next = finish(session.start(Load { input: b"nothing".to_vec(), ..load() }).unwrap());
        assert_eq!((next.outcome, next.fuel, next.output), (Outcome::Killed, load().fuel, Vec::new()), "what was said too early is no answer");
        let after = finish(session.start(Load { input: b"speak 4".to_vec(), ..load() }).unwrap());
        assert_eq!((after.outcome, after.output), (Outcome::Completed, b"xxxx".to_vec()));
    });
}

#[test]
fn isolation_a_frame_of_a_gigabyte() {
    is_killed("too-long");
    is_killed("flood");
}

#[test]
fn isolation_leaving_without_a_report() {
    is_killed("exit");
}

#[test]
fn isolation_stopping_itself() {
    let artefact = attack(|sandbox| sandbox.compile(&echo()).unwrap());
    hostile(|sandbox| {
        let mut session = sandbox.open(&artefact).unwrap();
        let done = finish(session.start(Load { input: b"stop".to_vec(), wall_ms: 100, ..load() }).unwrap());
        assert_eq!((done.outcome, done.fuel), (Outcome::TimedOut, load().fuel));
    });
}

#[test]
fn isolation_allocating_ten_gigabytes() {
    let done = attempt("allocate 10240");
    assert_eq!((done.outcome, done.output), (Outcome::Completed, format!("refused {}", libc::ENOMEM).into_bytes()));
}

#[test]
fn isolation_a_fork_bomb() {
    is_killed("fork-bomb");
}

#[test]
fn isolation_writing_to_its_own_memory_file() {
    is_killed("open /proc/self/mem");
}

#[test]
fn isolation_a_compile_worker_that_forges_and_floods() {
    for what in ["garbage", "too-long", "forged", "flood", "exit", "speak 513"] {
        hostile(|sandbox| {
            let result = sandbox.compile(what.as_bytes());
            assert!(matches!(result, Err(CompileError::Failed(_))), "{what}: {result:?}");
            // And the next module is compiled, by the same program.
            assert_eq!(sandbox.compile(b"speak 512").err(), Some(CompileError::BadModule("x".repeat(512))));
        });
    }
}

#[test]
fn isolation_a_compile_worker_that_uses_up_its_limits() {
    use station_sandbox::CompileLimit::{Memory, ProcessorTime, WallTime};
    let ends = |what: &str| match hostile(|sandbox| sandbox.compile(what.as_bytes())) {
        Err(CompileError::TooCostly(limit)) => limit,
        other => panic!("{what}: {other:?}"),
    };
    assert_eq!(ends("stop"), WallTime);
    assert_eq!(ends("hoard"), Memory);
    assert_eq!(ends("recurse"), Memory);
    // Which one comes first on a busy machine is luck.
    assert!(matches!(ends("burn"), ProcessorTime | WallTime));
}

#[test]
fn isolation_machine_code_that_is_none_does_not_open() {
    hostile(|sandbox| {
        let artefact = sandbox.compile(b"forged-artefact").unwrap();
        assert!(matches!(sandbox.open(&artefact), Err(SandboxError::Open(_))));
    });
}
