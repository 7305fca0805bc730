//! What a guest that owns its process can do: nothing.
//!
//! The hostile worker (`tests/hostile`) shuts itself in by the product's code, with the layers its file name lists. Each defence is tried
//! with its layer and without it, so that a test here fails when a layer does nothing.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::common::{echo, finish, load, sandbox, worker};
use station_protocol::receipt::{Isolation, Outcome};
use station_sandbox::{Artefact, CompileError, Config, Done, Load, Sandbox, SandboxError};

const ALL: &str = "seccomp-landlock-namespaces";

/// Hostile workers of one test.
struct Hostile {
    folder: tempfile::TempDir,
    artefact: Artefact,
}

impl Hostile {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), artefact: sandbox().compile(&echo()).unwrap() }
    }

    fn sandbox(&self, layers: &str) -> Sandbox {
        let program = self.folder.path().join(layers);
        if !program.exists() {
            symlink(PathBuf::from(env!("CARGO_BIN_EXE_station-sandbox-hostile")), &program).unwrap();
        }
        Sandbox::new(Config { program, cache_dir: None })
    }

    fn attempt(&self, layers: &str, what: &str) -> Done {
        let mut session = self.sandbox(layers).open(&self.artefact).unwrap();
        let done = finish(session.start(Load { input: what.into(), ..load() }).unwrap());
        // The next job of the same session gets an answer, whatever happened.
        let next = finish(session.start(Load { input: b"nothing".to_vec(), ..load() }).unwrap());
        assert_eq!(next.outcome, Outcome::Completed, "after {what}");
        done
    }

    /// The error number that the kernel refused it with; `None` where it was done.
    fn refusal(&self, layers: &str, what: &str) -> Option<i32> {
        let done = self.attempt(layers, what);
        assert_eq!(done.outcome, Outcome::Completed, "{what} with {layers}");
        String::from_utf8(done.output).unwrap().strip_prefix("refused ").map(|number| number.parse().unwrap())
    }

    fn reaches(&self, layers: &str) -> bool {
        self.sandbox(layers).isolation() != Isolation::ProcessOnly
    }
}

fn own_process(what: &str) -> String {
    format!("{what} {}", std::process::id())
}

#[test]
fn the_level_is_what_this_machine_allows() {
    let hostile = Hostile::new();
    let landlock = hostile.refusal("none", "landlock-version 1").is_none();
    let namespaces = hostile.refusal("none", "unshare").is_none();
    assert!(hostile.reaches("seccomp"));
    assert_eq!((hostile.reaches("landlock"), hostile.reaches("namespaces")), (landlock, namespaces));
    let expected = if landlock && namespaces { Isolation::Full } else { Isolation::Partial };
    assert_eq!((sandbox().isolation(), hostile.sandbox(ALL).isolation()), (expected, expected));
    assert_eq!(hostile.sandbox("none").isolation(), Isolation::ProcessOnly);
}

#[test]
fn a_program_that_is_no_worker_has_no_isolation_to_report() {
    let sandbox = Sandbox::new(Config { program: "/bin/true".into(), cache_dir: None });
    assert_eq!(sandbox.isolation(), Isolation::ProcessOnly);
}

#[test]
fn system_calls_that_are_not_listed_kill_the_process_and_the_next_job_runs() {
    let hostile = Hostile::new();
    let attempts = [
        "open /etc/passwd".into(),
        "open /proc/self/mem".into(),
        "open-parent".into(),
        "socket".into(),
        "connect 1".into(),
        "fork".into(),
        "fork-bomb".into(),
        "thread".into(),
        "exec".into(),
        own_process("ptrace-parent"),
        own_process("kill-parent"),
        "map-executable".into(),
        "make-executable".into(),
        "move-mapping".into(),
        "filter".into(),
        "unshare".into(),
        "setns".into(),
        "raise-memory".into(),
        "stop-by-kill".into(),
    ];
    for what in attempts {
        for layers in [ALL, "seccomp"] {
            let done = hostile.attempt(layers, &what);
            assert_eq!((done.outcome, done.fuel), (Outcome::Killed, load().fuel), "{what} with {layers}");
        }
        // Without the filter the process lives, refused or not: it is the filter that killed it above.
        assert_eq!(hostile.attempt("landlock-namespaces", &what).outcome, Outcome::Completed, "{what}");
    }
}

#[test]
fn the_first_filter_holds_before_the_first_frame() {
    let hostile = Hostile::new();
    assert!(hostile.sandbox("landlock-namespaces-early").open(&hostile.artefact).is_ok());
    for layers in ["seccomp-landlock-namespaces-early", "seccomp-early"] {
        assert!(matches!(hostile.sandbox(layers).open(&hostile.artefact), Err(SandboxError::Open(_))));
    }
}

#[test]
fn a_compile_worker_has_a_list_of_its_own() {
    let hostile = Hostile::new();
    let compile = |layers: &str, what: &str| hostile.sandbox(layers).compile(what.as_bytes()).err().unwrap();
    for what in [
        "socket",
        "connect 1",
        "fork",
        "exec",
        "unshare",
        "setns",
        "raise-memory",
        "filter",
        &own_process("kill-parent"),
        &own_process("ptrace-parent"),
    ] {
        let failed = compile(ALL, what);
        assert!(matches!(&failed, CompileError::Failed(why) if why.contains("signal: 31")), "{what}: {failed}");
        assert!(matches!(compile("landlock-namespaces", what), CompileError::BadModule(_)), "{what}");
    }
    // Its libraries ask for files and do without them.
    let refused = |error: i32| CompileError::BadModule(format!("refused {error}"));
    assert_eq!(compile("seccomp", "open /etc/passwd"), refused(libc::EACCES));
    assert_eq!(compile("seccomp", "thread"), refused(libc::ENOSYS));
    assert_eq!(compile("none", "open /etc/passwd"), CompileError::BadModule("done".into()));
}

#[test]
fn landlock_alone_refuses_files_connections_and_signals() {
    let hostile = Hostile::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!("connect {}", server.local_addr().unwrap().port());
    // Version of landlock, what it refuses from then on, and how.
    let attempts = [
        (1, "open /etc/passwd".into(), libc::EACCES),
        (1, "open /proc/self/mem".into(), libc::EACCES),
        (1, "open-parent".into(), libc::EACCES),
        (4, connect.clone(), libc::EACCES),
        (6, own_process("kill-parent"), libc::EPERM),
    ];
    for (version, what, error) in attempts {
        if hostile.refusal("none", &format!("landlock-version {version}")).is_none() {
            assert_eq!(hostile.refusal("landlock", &what), Some(error), "{what}");
        }
    }
    assert_eq!(hostile.refusal("none", "open /etc/passwd"), None);
    assert_eq!(hostile.refusal("none", &connect), None);
    assert_eq!(hostile.refusal("none", &own_process("kill-parent")), None);
}

#[test]
fn namespaces_alone_leave_no_files_and_no_network() {
    let hostile = Hostile::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!("connect {}", server.local_addr().unwrap().port());
    if hostile.reaches("namespaces") {
        assert_eq!(hostile.refusal("namespaces", "open /etc/passwd"), Some(libc::ENOENT));
        assert_eq!(hostile.refusal("namespaces", &connect), Some(libc::ENETUNREACH));
    }
    assert_eq!(hostile.refusal("none", &connect), None);
}

#[test]
fn limits_hold_without_any_layer() {
    let hostile = Hostile::new();
    for layers in [ALL, "none"] {
        assert_eq!(hostile.refusal(layers, "allocate 10240"), Some(libc::ENOMEM));
        assert_eq!(hostile.refusal(layers, "allocate 64"), None);
    }
    // A hard limit above the soft one, or a capability, would let it.
    assert_eq!(hostile.refusal("none", "raise-memory"), Some(libc::EPERM));
}

#[test]
fn a_job_may_have_more_memory_than_the_one_before() {
    let hostile = Hostile::new();
    let mut session = hostile.sandbox(ALL).open(&hostile.artefact).unwrap();
    let mut outputs = Vec::new();
    for memory_bytes in [64 << 20, 1 << 30, 64 << 20] {
        let load = Load { input: b"allocate 512".to_vec(), memory_bytes, ..load() };
        outputs.push(finish(session.start(load).unwrap()).output);
    }
    assert_eq!(outputs, [b"refused 12".to_vec(), b"done".to_vec(), b"refused 12".to_vec()]);
}

#[test]
fn a_process_that_forges_floods_or_leaves_is_killed_and_charged() {
    let hostile = Hostile::new();
    for what in ["garbage", "too-long", "forged", "flood", "exit"] {
        let done = hostile.attempt(ALL, what);
        assert_eq!((done.outcome, done.fuel, done.output.len()), (Outcome::Killed, load().fuel, 0), "{what}");
    }
}

#[test]
fn a_process_that_stops_itself_is_late_and_gone() {
    let hostile = Hostile::new();
    let mut session = hostile.sandbox(ALL).open(&hostile.artefact).unwrap();
    let process = session.killer().process().unwrap();
    let done = finish(session.start(Load { input: b"stop".to_vec(), wall_ms: 300, ..load() }).unwrap());
    assert_eq!((done.outcome, done.fuel), (Outcome::TimedOut, load().fuel));
    assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
    assert_eq!(finish(session.start(Load { input: b"nothing".to_vec(), ..load() }).unwrap()).outcome, Outcome::Completed);
}

#[test]
fn nothing_of_the_hostile_worker_is_in_the_products_entry() {
    // The product's worker runs the guest it was given: the same input is only bytes to it.
    let mut session = sandbox().open(&Hostile::new().artefact).unwrap();
    assert!(worker().ends_with("station-sandbox-worker"));
    let done = finish(session.start(Load { input: b"exit".to_vec(), ..load() }).unwrap());
    assert_eq!((done.outcome, done.output), (Outcome::Completed, b"exit".to_vec()));
}
