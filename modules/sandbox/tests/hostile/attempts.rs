//! The tests' hostile worker: a native program in a worker's place that does what a guest would do who has broken out of WebAssembly.
//!
//! Guarantees: it shuts itself in by the product's own code, with the layers that its file name lists (`seccomp-landlock-namespaces`),
//! and tries what the job's input (as a compile worker: the module) names; a socket before its first frame where its name ends in `-early`. Deliberately does no harm where nothing stops it: what it tries on others has no effect.
#![expect(unsafe_code, reason = "it makes system calls as a guest that owns the process would")]

use std::ffi::CString;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use station_sandbox::{BEFORE_THE_FIRST_FRAME, Config, Layers, Load, Native, Sandbox};

pub(crate) fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("parent") => return parent(),
        Some("promise") => return promise(),
        _ => {}
    }
    let name = std::env::args().next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let has = |layer| name.split('-').any(|part| part == layer);
    let wanted = Layers { seccomp: has("seccomp"), landlock: has("landlock"), namespaces: has("namespaces") };
    station_sandbox::native_guest_entry(wanted, |native| {
        let name = std::env::args().next().unwrap_or_default();
        let input = match native.input {
            BEFORE_THE_FIRST_FRAME if name.ends_with("-early") => b"socket",
            BEFORE_THE_FIRST_FRAME => return Vec::new(),
            input => input,
        };
        let input = String::from_utf8_lossy(input);
        let (what, argument) = input.split_once(' ').unwrap_or((&input, ""));
        if what == "speak" {
            return vec![b'x'; argument.parse().unwrap_or(0)];
        }
        let result = attempt(what, argument, native);
        let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        if result >= 0 { b"done".to_vec() } else { format!("refused {error}").into_bytes() }
    });
}

/// Owns sandboxed workers of the program in its second argument, says which, and waits to be killed.
fn parent() {
    let program = std::env::args_os().nth(2).unwrap_or_default().into();
    let sandbox = Sandbox::new(Config { program, cache_dir: None });
    // A command that never ends: (loop (br 0)).
    let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\x07\x13\x02\x06memory\x02\0\x06_start\0\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";
    let artefact = sandbox.compile(module).expect("the module is good");
    let waiting = sandbox.open(&artefact).expect("a session");
    let mut computing = sandbox.open(&artefact).expect("a session");
    let sessions = [&waiting, &computing].map(|session| session.killer().process().unwrap_or(0));
    let processes = sandbox.idle_workers().into_iter().chain(sessions).map(|process| process.to_string()).collect::<Vec<_>>();
    println!("{}", processes.join(" "));
    let load = Load { input: Vec::new(), fuel: u64::MAX, memory_bytes: 1 << 20, wall_ms: 600_000, output_bytes: 0, pure: None };
    let _ = computing.start(load);
}

/// Hears what asks it to end and goes on, as a station that finishes its jobs. Runs a job of the program in its second argument, which
/// asks for something and waits until a line comes; then compiles with the program in its third. Says how both ended.
fn promise() {
    extern "C" fn heard(_: libc::c_int) {}
    for signal in ENDINGS {
        // Not ignored, which a child would inherit.
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(signal, heard as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    }
    let program = |at| Config { program: std::env::args_os().nth(at).unwrap_or_default().into(), cache_dir: None };
    let sandbox = Sandbox::new(program(2));
    // (drop (call $close (i32.const 1)))
    let module = b"\0asm\x01\0\0\0\x01\x09\x02\x60\x01\x7f\x01\x7f\x60\0\0\x02\x14\x01\x0astation_v1\x05close\0\0\x03\x02\x01\x01\x05\x03\x01\0\x01\x07\x13\x02\x06memory\x02\0\x06_start\0\x01\x0a\x09\x01\x07\0\x41\x01\x10\0\x1a\x0b";
    let artefact = sandbox.compile(module).expect("the module is good");
    let mut session = sandbox.open(&artefact).expect("a session");
    let load = Load { input: Vec::new(), fuel: 1 << 20, memory_bytes: 1 << 20, wall_ms: 600_000, output_bytes: 0, pure: None };
    let asked = session.start(load).expect("a step");
    println!("{asked:?}");
    let _ = std::io::stdin().read_line(&mut String::new());
    println!("{:?}", session.step(station_sandbox::Reply::Number(0)).expect("a step"));
    println!("{:?}", Sandbox::new(program(3)).compile(b"signal-group").err());
}

fn attempt(what: &str, argument: &str, native: Native<'_>) -> i64 {
    let Native { socket, turn, .. } = native;
    let number = || argument.parse::<i64>().unwrap_or(0);
    // SAFETY: each call gets pointers to values that outlive it, or none. What they do to this process is the point.
    unsafe {
        match what {
            "open" => {
                let path = CString::new(argument).unwrap_or_default();
                i64::from(libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))
            }
            "open-parent" => {
                let path = CString::new(format!("/proc/{}/fd", libc::getppid())).unwrap_or_default();
                i64::from(libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))
            }
            "socket" => i64::from(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)),
            "connect" => connect(u16::try_from(number()).unwrap_or(0)),
            "fork" => fork(),
            "fork-bomb" => (0..32).map(|_| fork()).min().unwrap_or(0),
            "thread" => libc::syscall(libc::SYS_clone3, std::ptr::null::<u8>(), 0_usize),
            "exec" => i64::from(libc::execve(c"/nowhere".as_ptr(), std::ptr::null(), std::ptr::null())),
            "ptrace-parent" => libc::ptrace(libc::PTRACE_SEIZE, number() as libc::pid_t, 0_usize, 0_usize),
            "kill-parent" => i64::from(libc::kill(number() as libc::pid_t, 0)),
            "map-executable" => {
                let at = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, PRIVATE, -1, 0);
                at as i64 >> 63
            }
            "make-executable" => {
                let at = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, PRIVATE, -1, 0);
                i64::from(libc::mprotect(at, 4096, libc::PROT_READ | libc::PROT_EXEC))
            }
            "move-mapping" => {
                let from = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, PRIVATE, -1, 0);
                let to = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, PRIVATE, -1, 0);
                libc::mremap(from, 4096, 4096, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, to) as i64 >> 63
            }
            "filter" => i64::from(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
            "unshare" => i64::from(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWNS)),
            "setns" => i64::from(libc::setns(3, 0)),
            "landlock-version" => libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, 1_u32) - number(),
            "raise-memory" => {
                let limit = libc::rlimit { rlim_cur: 1 << 40, rlim_max: 1 << 40 };
                i64::from(libc::setrlimit(libc::RLIMIT_DATA, &raw const limit))
            }
            "allocate" => allocate(number()),
            "signals" => i64::from(ENDINGS.iter().map(|signal| libc::raise(*signal)).min().unwrap_or(-1)),
            // To its parent's group, as a terminal does.
            "signal-group" => {
                let group = libc::getpgid(libc::getppid());
                i64::from(ENDINGS.iter().map(|signal| libc::kill(-group, *signal)).min().unwrap_or(-1))
            }
            "exit" => libc::_exit(i32::try_from(number()).unwrap_or(0)),
            "abort" => libc::abort(),
            "panic" => panics(),
            "spin" => loop {
                std::hint::spin_loop();
            },
            "stop" => libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGSTOP),
            "stop-by-kill" => i64::from(libc::kill(libc::getpid(), libc::SIGCONT)),
            "garbage" => say(socket, b"\x04\x00\x00\x00\xff\xff\xff\xff"),
            "too-long" => say(socket, &[0xff; 4]),
            // A word of the protocol in the wrong place.
            "forged" => say(socket, b"\x27\x00\x00\x00\xa1eReady\xa3hlandlock\xf5gseccomp\xf5jnamespaces\xf5"),
            // Ends of a job: more fuel than there was, a word that is the parent's, a list without end.
            "forged-fuel" => say(socket, &end(turn, b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x40", "completed")),
            "forged-outcome" => say(socket, &end(turn, b"\0", b"\x40", "timed_out")),
            "forged-list" => say(socket, &frame("Call", turn, b"\xa1dWait\xa2ghandles\x9b\x80\0\0\0\0\0\0\0")),
            // What the two above are made of, and no lie: it shows that they are refused for what they say.
            "honest-frame" => {
                say(socket, &honest(turn));
                libc::_exit(0)
            }
            "two-frames" => say(socket, &honest(turn).repeat(2)),
            // The end of this job, so long that it is read alone, and what shall pass for the end of the next one.
            "late-frame" => {
                let long = [&b"\x59\x80\0"[..], &[b'x'; 1 << 15]].concat();
                say(socket, &[end(turn, b"\0", &long, "completed"), end(turn, b"\0", b"\x44late", "completed")].concat());
                loop {
                    libc::sched_yield();
                }
            }
            // Four bytes that are no machine code.
            "forged-artefact" => say(socket, &framed(b"\xa1hArtefact\xa3dtierhBaselineebytesDnoneeneeds\xa2dfuel\0lmemory_bytes\0")),
            "burn" => burn(),
            "hoard" => hoard(),
            "recurse" => recurse(&[0; 4096]),
            "flood" => (0..1_024).map(|_| say(socket, &[0; 1 << 20])).min().unwrap_or(0),
            _ => -1,
        }
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap_or(0).to_le_bytes(), body].concat()
}

/// `{name: [turn, said]}`, the names and `said` already encoded.
fn frame(name: &str, turn: u64, said: &[u8]) -> Vec<u8> {
    // Turns are drawn from all 64 bits: one that would be written shorter is rarer than this test is run.
    framed(&[b"\xa1\x64", name.as_bytes(), b"\x82\x1b", &turn.to_be_bytes(), said].concat())
}

/// The end of a job.
fn end(turn: u64, fuel: &[u8], output: &[u8], outcome: &str) -> Vec<u8> {
    let outcome = [&[0x60 | u8::try_from(outcome.len()).unwrap_or(0)], outcome.as_bytes()].concat();
    frame("Done", turn, &[b"\xa4clog@dfuel", fuel, b"foutput", output, b"goutcome", &outcome].concat())
}

fn honest(turn: u64) -> Vec<u8> {
    end(turn, b"\0", b"\x40", "completed")
}

fn burn() -> i64 {
    loop {
        std::hint::black_box(0);
    }
}

/// Allocates as the compiler would, until the allocator gives up.
fn hoard() -> i64 {
    let mut kept = Vec::new();
    loop {
        // Never written to: a busy machine refuses it as soon as an idle one.
        kept.push(std::hint::black_box(Vec::<u8>::with_capacity(16 << 20)));
    }
}

/// Uses up the stack.
fn recurse(above: &[u8; 4096]) -> i64 {
    if std::hint::black_box(false) {
        return 0;
    }
    let own = std::hint::black_box([above[0].wrapping_add(1); 4096]);
    std::hint::black_box(recurse(&own) + i64::from(own[7]))
}

/// What asks a program to end.
const ENDINGS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

const PRIVATE: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

fn say(mut socket: &UnixStream, bytes: &[u8]) -> i64 {
    if socket.write_all(bytes).is_ok() { 0 } else { -1 }
}

unsafe fn fork() -> i64 {
    // SAFETY: the child does nothing but end, and is reaped.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(0);
        }
        if child > 0 {
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        i64::from(child)
    }
}

unsafe fn connect(port: u16) -> i64 {
    // SAFETY: the address is a local of the size that the call is told.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_port = port.to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        i64::from(libc::connect(socket, (&raw const address).cast(), size_of::<libc::sockaddr_in>() as libc::socklen_t))
    }
}

/// Maps this many MiB, without touching them: the limit counts what is mapped for writing.
unsafe fn allocate(mebibytes: i64) -> i64 {
    // SAFETY: new mappings at addresses that the kernel picks.
    let piece = || unsafe { libc::mmap(std::ptr::null_mut(), 64 << 20, libc::PROT_READ | libc::PROT_WRITE, PRIVATE, -1, 0) };
    (0..mebibytes / 64).map(|_| piece() as i64 >> 63).min().unwrap_or(0)
}

/// As the engine's own functions are called: a panic that left it would abort.
extern "C" fn panics() -> i64 {
    panic!("of the engine")
}
