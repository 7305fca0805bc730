//! `station-sim`: the binary that replaces the clock and the entropy of its own process.
//!
//! Four functions of the C library are defined here, so that every `Instant::now`, `SystemTime::now`, `RandomState` and `getrandom`
//! of every crate asks the simulation: `clock_gettime`, `getrandom`, `syscall` (getrandom 0.2 enters the kernel by its number) and
//! `pthread_create` (a run has one thread). Outside of a run each does what the C library does.
//!
//! Guarantees: what a simulation answers is decided in `station_sim::det`; this is the only file with `unsafe`. Deliberately lacks
//! everything else: whether these definitions are in effect is checked by the canary, at each start.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use station_sim::det::{self, clock::Which, threads};

/// Thousands of stations allocate half of what they do in small pieces: less memory and time than with the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    station_sim::cli::main(det::Machine { monotonic_ns, processor_ns, resident_bytes })
}

/// The machine's own monotonic clock, past the replaced one.
fn monotonic_ns() -> u64 {
    real_clock_ns(libc::CLOCK_MONOTONIC)
}

fn processor_ns() -> u64 {
    real_clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn real_clock_ns(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to a place that holds one.
    unsafe { real_syscall(libc::SYS_clock_gettime, [c_long::from(id), (&raw mut time) as c_long, 0, 0, 0, 0]) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Memory of this process that is in RAM now.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    // SAFETY: sysconf reads a constant of the machine.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.unwrap_or(0) * u64::try_from(page).unwrap_or(4_096)
}

/// The C library's `clock_gettime`, with the simulation's time inside a run.
///
/// # Safety
/// As the C library's: `time` points to a timespec.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(id: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let which = match id {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Some(Which::Wall),
        libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_MONOTONIC_RAW | libc::CLOCK_BOOTTIME => Some(Which::Monotonic),
        // Processor time stays real: nothing decides by it.
        _ => None,
    };
    match which.and_then(det::clock::read) {
        Some(now) => {
            let (tv_sec, tv_nsec) = (now.as_secs().cast_signed(), c_long::from(now.subsec_nanos().cast_signed()));
            // SAFETY: the caller's promise.
            unsafe { time.write(libc::timespec { tv_sec, tv_nsec }) };
            0
        }
        // SAFETY: the caller's promise, handed on.
        None => unsafe { real_syscall(libc::SYS_clock_gettime, [c_long::from(id), time as c_long, 0, 0, 0, 0]) as c_int },
    }
}

/// The C library's `getrandom`, with the simulation's luck inside a run.
///
/// # Safety
/// As the C library's: `buffer` has room for `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, bytes: usize, flags: u32) -> isize {
    // SAFETY: the caller's promise, handed on.
    unsafe { syscall(libc::SYS_getrandom, buffer as c_long, bytes as c_long, c_long::from(flags), 0, 0, 0) as isize }
}

/// The C library's `syscall`: all but `getrandom` goes to it. On the supported machines variadic arguments travel as named ones do.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(number: c_long, a: c_long, b: c_long, c: c_long, d: c_long, e: c_long, f: c_long) -> c_long {
    if number == libc::SYS_getrandom && det::entropy::is_seeded() && a != 0 && b > 0 {
        // SAFETY: the caller promised `b` bytes at `a`; zeroed first, because they may never have been written.
        let buffer = unsafe {
            std::ptr::write_bytes(a as *mut u8, 0, b as usize);
            std::slice::from_raw_parts_mut(a as *mut u8, b as usize)
        };
        det::entropy::fill(buffer);
        return b;
    }
    // SAFETY: the caller's promise, handed on.
    unsafe { real_syscall(number, [a, b, c, d, e, f]) }
}

/// The C library's `pthread_create`; inside a run it ends the process instead, with a sentence.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(thread: *mut c_void, attributes: *const c_void, start: *mut c_void, argument: *mut c_void) -> c_int {
    if det::is_active() {
        threads::refuse();
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    type Real = unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void, *mut c_void) -> c_int;
    // SAFETY: the next definition of this name is the C library's, which has this signature; the arguments are the caller's.
    unsafe { std::mem::transmute::<usize, Real>(next(c"pthread_create", &NEXT))(thread, attributes, start, argument) }
}

/// The C library's own `syscall`.
///
/// # Safety
/// As the C library's.
unsafe fn real_syscall(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> c_long {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    type Real = unsafe extern "C" fn(c_long, ...) -> c_long;
    // SAFETY: the next definition of this name is the C library's, which has this signature; the arguments are the caller's.
    unsafe { std::mem::transmute::<usize, Real>(next(c"syscall", &NEXT))(number, a, b, c, d, e, f) }
}

/// The address of the C library's definition of a function that this binary defines too.
fn next(name: &CStr, known: &AtomicUsize) -> usize {
    let address = known.load(Ordering::Relaxed);
    if address != 0 {
        return address;
    }
    // SAFETY: the name ends in zero; looking up has no other condition.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast::<c_char>()) } as usize;
    if address == 0 {
        // No panic: its message would ask for the time again.
        // SAFETY: abort has no condition.
        unsafe { libc::abort() };
    }
    known.store(address, Ordering::Relaxed);
    address
}
