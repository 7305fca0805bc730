//! What the filters of this architecture say of a call, asked of the programs themselves: so that it can be told where the kernel is
//! another's, or emulated. That the kernel does as they say is shown in `tests/sandbox/isolation.rs`.

use super::*;

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// As the kernel names this program's architecture (`linux/audit.h`).
const ARCH: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
const OTHER_ARCH: u32 = if cfg!(target_arch = "aarch64") { 0xc000_003e } else { 0xc000_00b7 };

/// Runs a filter as the kernel does, as far as filters of this crate go: loads of words, `and`, jumps, returns.
fn verdict(program: &BpfProgram, arch: u32, call: i64, arguments: [u64; 6]) -> u32 {
    // `struct seccomp_data`: the number, the architecture, the instruction pointer, the arguments.
    let mut data = Vec::new();
    data.extend_from_slice(&u32::try_from(call).unwrap().to_le_bytes());
    data.extend_from_slice(&arch.to_le_bytes());
    data.extend_from_slice(&[0; 8]);
    arguments.iter().for_each(|argument| data.extend_from_slice(&argument.to_le_bytes()));
    let (mut at, mut word) = (0, 0_u32);
    loop {
        let step = &program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
        match step.code {
            0x20 => word = u32::from_le_bytes(data[step.k as usize..][..4].try_into().unwrap()),
            0x54 => word &= step.k,
            0x05 => at += step.k as usize,
            0x15 => at += jump(word == step.k),
            0x25 => at += jump(word > step.k),
            0x35 => at += jump(word >= step.k),
            0x06 => return step.k,
            code => panic!("an operation that no filter of ours has: {code:#x}"),
        }
    }
}

fn says(program: &BpfProgram, call: i64, arguments: [u64; 6]) -> u32 {
    verdict(program, ARCH, call, arguments)
}

const NONE: [u64; 6] = [0; 6];
const EXECUTABLE: [u64; 6] = [0, 4096, (libc::PROT_READ | libc::PROT_EXEC) as u64, 0, 0, 0];

/// Calls that no worker needs, and that every architecture has.
const NEVER: [i64; 16] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_ptrace,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_process_vm_writev,
    libc::SYS_memfd_create,
    libc::SYS_pidfd_open,
];

#[test]
fn every_filter_has_a_program_for_this_architecture() {
    assert!(first(Purpose::Run).is_some() && first(Purpose::Compile).is_some() && second().is_some());
    assert_eq!(answers().map(|answers| answers.len()), Some(3));
}

#[test]
fn listed_calls_are_allowed_and_others_kill() {
    for program in [first(Purpose::Run), first(Purpose::Compile), second()].map(Option::unwrap) {
        assert!(ALWAYS.into_iter().all(|call| says(&program, call, NONE) == ALLOW));
        for call in NEVER {
            assert_eq!(says(&program, call, NONE), KILL, "{call}");
        }
    }
    for program in [first(Purpose::Run).unwrap(), second().unwrap()] {
        for call in [libc::SYS_openat, libc::SYS_statx, libc::SYS_clone, libc::SYS_clone3] {
            assert_eq!(says(&program, call, NONE), KILL, "{call}");
        }
    }
}

#[test]
fn a_call_made_as_another_architecture_makes_it_kills() {
    for program in [first(Purpose::Run), first(Purpose::Compile), second()].map(Option::unwrap).into_iter().chain(answers().unwrap()) {
        for call in ALWAYS {
            assert_eq!(verdict(&program, OTHER_ARCH, call, NONE), KILL);
        }
        // Numbers of x32, which share the architecture's name.
        let x32 = verdict(&program, ARCH, libc::SYS_read | 0x4000_0000, NONE);
        assert!(x32 == KILL || answers().unwrap().contains(&program));
    }
}

#[test]
fn executable_memory_ends_with_the_second_filter() {
    let (before, after) = (first(Purpose::Run).unwrap(), second().unwrap());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        assert_eq!((says(&before, call, EXECUTABLE), says(&after, call, EXECUTABLE)), (ALLOW, KILL));
        assert_eq!(says(&after, call, [0, 4096, libc::PROT_READ as u64, 0, 0, 0]), ALLOW);
    }
    // And with it the way to another filter.
    assert_eq!((says(&before, libc::SYS_seccomp, NONE), says(&after, libc::SYS_seccomp, NONE)), (ALLOW, KILL));
    assert_eq!(says(&after, libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0]), KILL);
}

#[test]
fn arguments_are_looked_at_where_a_call_has_good_and_bad_ones() {
    let program = second().unwrap();
    let own = u64::from(std::process::id());
    assert_eq!([own, own + 1].map(|process| says(&program, libc::SYS_tgkill, [process, 0, 0, 0, 0, 0])), [ALLOW, KILL]);
    let moving = |flags: i32| says(&program, libc::SYS_mremap, [0, 1, 2, flags as u64, 0, 0]);
    assert_eq!([0, libc::MREMAP_MAYMOVE, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED].map(moving), [ALLOW, ALLOW, KILL]);
    assert_eq!([0, 1].map(|limit| says(&program, libc::SYS_prlimit64, [0, 0, limit, 0, 0, 0])), [ALLOW, KILL]);
    let command = |command: i32| says(&program, libc::SYS_fcntl, [0, command as u64, 0, 0, 0, 0]);
    assert_eq!([libc::F_GETFD, libc::F_SETFD].map(command), [ALLOW, KILL]);
}

#[test]
fn a_compiler_may_start_threads_and_nothing_else_that_clone_starts() {
    let program = first(Purpose::Compile).unwrap();
    let thread = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_SYSVSEM;
    let clone = |flags: i32| says(&program, libc::SYS_clone, [flags as u64, 0, 0, 0, 0, 0]);
    assert_eq!(clone(thread), ALLOW);
    // A fork; a thread in a network of its own.
    assert_eq!([libc::SIGCHLD, thread | libc::CLONE_NEWNET].map(clone), [KILL; 2]);
    for ((call, error), answer) in answered().into_iter().zip(answers().unwrap()) {
        // The list lets it through, the answer's own filter refuses it, and the stricter verdict counts.
        assert_eq!(says(&program, call, NONE), ALLOW);
        assert_eq!(says(&answer, call, NONE), libc::SECCOMP_RET_ERRNO | error.cast_unsigned());
        assert_eq!(says(&answer, libc::SYS_read, NONE), ALLOW);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_that_only_old_programs_make_kill_too() {
    let old = [libc::SYS_open, libc::SYS_stat, libc::SYS_fork, libc::SYS_vfork, libc::SYS_epoll_wait, libc::SYS_creat, libc::SYS_unlink];
    for program in [first(Purpose::Run), first(Purpose::Compile), second()].map(Option::unwrap) {
        assert!(old.into_iter().all(|call| says(&program, call, NONE) == KILL));
    }
}
