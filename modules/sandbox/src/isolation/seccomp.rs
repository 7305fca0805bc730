//! Seccomp: the list of system calls a worker may make; any other kills the process.
//!
//! Guarantees: a filter that was installed stays, and a second one only narrows it. A run worker gets one before it reads its first
//! byte and one after the artefact is mapped, under which executable memory cannot be had. Deliberately lacks refusing with an error
//! where a guest would profit from trying again; the exceptions are calls that a compile worker's libraries make and can do without.

use std::collections::BTreeMap;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};

use super::Purpose;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that every worker may make in any way: its socket (it has no other descriptor that leads anywhere), memory that is given
/// back, signals it receives, time, entropy, its end.
const ALWAYS: [i64; 29] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The first filter. Whether it holds.
pub(super) fn enter(purpose: Purpose) -> bool {
    // Answers come before the list: the first filter would not let the second one be installed.
    let answers = match purpose {
        Purpose::Run => Some(Vec::new()),
        Purpose::Compile => answers(),
    };
    answers.zip(first(purpose)).is_some_and(|(answers, list)| answers.iter().chain([&list]).all(install))
}

/// The second filter of a run worker. Whether it holds.
pub(super) fn forbid_new_code() -> bool {
    second().is_some_and(|list| install(&list))
}

fn first(purpose: Purpose) -> Option<BpfProgram> {
    let mut rules = always()?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, Vec::new());
    }
    match purpose {
        // The second filter needs them, and forbids them.
        Purpose::Run => {
            rules.insert(libc::SYS_seccomp, Vec::new());
            rules.insert(libc::SYS_prctl, vec![rule(&[(0, Dword, Eq, libc::PR_SET_NO_NEW_PRIVS as u64)])?]);
        }
        Purpose::Compile => threads(&mut rules)?,
    }
    program(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

fn second() -> Option<BpfProgram> {
    let mut rules = always()?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![rule(&[(2, Dword, MaskedEq(libc::PROT_EXEC as u64), 0)])?]);
    }
    program(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

fn always() -> Option<Rules> {
    let mut rules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect::<Rules>();
    // Growing in place or elsewhere, as `realloc` does; not onto a chosen address and not leaving the old mapping behind.
    rules.insert(libc::SYS_mremap, vec![rule(&[(3, Dword, Eq, libc::MREMAP_MAYMOVE as u64)])?, rule(&[(3, Dword, Eq, 0)])?]);
    // Reading its own limits; the parent sets them.
    rules.insert(libc::SYS_prlimit64, vec![rule(&[(0, Dword, Eq, 0), (2, Qword, Eq, 0)])?]);
    // Only to end itself: `abort`.
    rules.insert(libc::SYS_tgkill, vec![rule(&[(0, Dword, Eq, u64::from(std::process::id()))])?]);
    rules.insert(libc::SYS_fcntl, vec![rule(&[(1, Dword, Eq, libc::F_GETFD as u64)])?]);
    Some(rules)
}

/// The compiler's libraries start threads, with names, and ask for the number of processors.
fn threads(rules: &mut Rules) -> Option<()> {
    let thread = (libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND) as u64;
    let spaces = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNET;
    rules.insert(libc::SYS_clone, vec![rule(&[(0, Dword, MaskedEq(thread | spaces as u64), thread)])?]);
    rules.insert(libc::SYS_prctl, vec![rule(&[(0, Dword, Eq, libc::PR_SET_NAME as u64)])?]);
    for call in answered() {
        rules.insert(call.0, Vec::new());
    }
    Some(())
}

/// Calls answered with an error, in a filter of its own: the strictest verdict of all filters counts.
fn answered() -> [(i64, i32); 3] {
    // Flags of `clone3` are in memory, where no filter sees them; the C library falls back to `clone`.
    [(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_openat, libc::EACCES), (libc::SYS_statx, libc::EACCES)]
}

fn answers() -> Option<Vec<BpfProgram>> {
    let answer =
        |(call, error): (i64, i32)| program(Rules::from([(call, Vec::new())]), SeccompAction::Allow, SeccompAction::Errno(error.cast_unsigned()));
    answered().into_iter().map(answer).collect()
}

/// A rule that holds when all of (argument, width, comparison, value) do.
fn rule(conditions: &[(u8, SeccompCmpArgLen, SeccompCmpOp, u64)]) -> Option<SeccompRule> {
    let conditions =
        conditions.iter().map(|(argument, width, operation, value)| SeccompCondition::new(*argument, width.clone(), operation.clone(), *value).ok());
    SeccompRule::new(conditions.collect::<Option<_>>()?).ok()
}

/// For the architecture of this program alone: a call made as another one makes it kills the process.
fn program(rules: Rules, otherwise: SeccompAction, listed: SeccompAction) -> Option<BpfProgram> {
    let target = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    BpfProgram::try_from(SeccompFilter::new(rules, otherwise, listed, target).ok()?).ok()
}

fn install(program: &BpfProgram) -> bool {
    seccompiler::apply_filter(program).is_ok()
}

#[cfg(test)]
mod tests;
