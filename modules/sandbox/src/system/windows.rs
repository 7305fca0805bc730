//! Windows: a process of its own in a job object, and no layer.
//!
//! Guarantees: a worker starts no process, ends with its parent, and has the memory and processor time that its parent gives it; its
//! pipes are all it is handed. Deliberately lacks a word about isolation beyond that, because nothing here keeps a worker that has broken
//! out from its user's files and network.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOB_OBJECT_LIMIT_PROCESS_TIME, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectBasicAccountingInformation, JobObjectExtendedLimitInformation, QueryInformationJobObject,
    SetInformationJobObject,
};

use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

use super::memory::{WORKER_BYTES_MAX, worker_bytes};
use crate::compiler::CompileLimit;
use crate::isolation::{Layers, Purpose};

pub(crate) use super::pipes::{Channel, Socket, pair};

/// A second in the system's unit of processor time.
const TICKS_PER_SECOND: i64 = 10_000_000;
/// What a process ends with that has used up its processor time: `ERROR_NOT_ENOUGH_QUOTA`.
const ENDED_BY_TIME: u32 = 1816;
/// The same for an abort, which is how an allocation fails, and for a stack that ends.
const ENDED_BY_MEMORY: [u32; 2] = [0xc000_0409, 0xc000_00fd];

/// A worker's process, and the job object that bounds it and ends it when the last handle to the job closes.
pub(crate) struct Process {
    child: Child,
    job: OwnedHandle,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

/// This very program, under the name it was started by.
pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// Starts a worker that finds its pipes as standard input and output.
pub(crate) fn start(mut command: Command) -> io::Result<(Process, Channel)> {
    let (ours, theirs) = pair()?;
    // A group of its own, so that Ctrl-C in the console meets no worker.
    let child = command.stdin(Stdio::from(theirs.from)).stdout(Stdio::from(theirs.to)).creation_flags(CREATE_NEW_PROCESS_GROUP).spawn();
    let mut child = child?;
    match job(&child) {
        // Until here it was our own code that ran: it waits for its first frame.
        Ok(job) => Ok((Process { child, job }, ours)),
        Err(error) => {
            // It fails only when the process is gone.
            let _ = child.kill();
            child.wait()?;
            Err(error)
        }
    }
}

/// A job object with this process in it.
#[expect(unsafe_code, reason = "job objects are system calls without a safe wrapper in std")]
fn job(child: &Child) -> io::Result<OwnedHandle> {
    // SAFETY: no attributes, no name; what it returns is owned by nobody else, and is null where it fails. The process is not reaped.
    unsafe {
        let job = CreateJobObjectW(std::ptr::null(), std::ptr::null());
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        let job = OwnedHandle::from_raw_handle(job);
        set(&job, WORKER_BYTES_MAX, None)?;
        done(AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()))?;
        Ok(job)
    }
}

/// Bytes of memory and, where given, processor time in all.
#[expect(unsafe_code, reason = "job objects are system calls without a safe wrapper in std")]
fn set(job: &OwnedHandle, memory_bytes: u64, ticks: Option<i64>) -> io::Result<()> {
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        | JOB_OBJECT_LIMIT_ACTIVE_PROCESS
        | JOB_OBJECT_LIMIT_PROCESS_MEMORY
        | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    limits.BasicLimitInformation.ActiveProcessLimit = 1;
    limits.ProcessMemoryLimit = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
    if let Some(ticks) = ticks {
        limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_PROCESS_TIME;
        limits.BasicLimitInformation.PerProcessUserTimeLimit = ticks;
    }
    // SAFETY: the pointer and the size are those of one local, of the type that this class of information has.
    done(unsafe { SetInformationJobObject(job.as_raw_handle(), JobObjectExtendedLimitInformation, (&raw const limits).cast(), size_of_u32(&limits)) })
}

/// Sets what the worker may use from now on, beside its headroom: bytes of memory, and seconds of processor time on top of what it has
/// used.
#[expect(unsafe_code, reason = "job objects are system calls without a safe wrapper in std")]
pub(crate) fn limit(worker: &Process, memory_bytes: u64, cpu_seconds: u64) -> io::Result<()> {
    let mut used = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
    // SAFETY: the pointer and the size are those of one local, of the type that this class of information has; the length is not asked for.
    done(unsafe {
        let (job, bytes) = (worker.job.as_raw_handle(), size_of_u32(&used));
        QueryInformationJobObject(job, JobObjectBasicAccountingInformation, (&raw mut used).cast(), bytes, std::ptr::null_mut())
    })?;
    let ticks = i64::try_from(cpu_seconds).unwrap_or(i64::MAX).saturating_mul(TICKS_PER_SECOND).saturating_add(used.TotalUserTime);
    set(&worker.job, worker_bytes(memory_bytes), Some(ticks))
}

fn size_of_u32<T>(_: &T) -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `None` when the process was not started by us: somebody who types the hidden argument has no pipes there.
#[expect(unsafe_code, reason = "the type of a handle is a system call without a safe wrapper in std")]
pub(crate) fn shut_in(_: Layers, _: Purpose) -> Option<(Socket, Layers)> {
    let from = io::stdin().as_handle().try_clone_to_owned().ok()?;
    let to = io::stdout().as_handle().try_clone_to_owned().ok()?;
    // SAFETY: both handles are open.
    let are_pipes = [&from, &to].into_iter().all(|handle| unsafe { GetFileType(handle.as_raw_handle()) } == FILE_TYPE_PIPE);
    are_pipes.then(|| (Socket { from: from.into(), to: to.into() }, Layers::default()))
}

/// No layer holds, so there is nothing to close.
pub(crate) fn forbid_new_code(held: Layers) -> Layers {
    held
}

/// The limit that ended a compile worker, if one did.
pub(crate) fn ended(status: ExitStatus) -> Option<CompileLimit> {
    match status.code()?.cast_unsigned() {
        ENDED_BY_TIME => Some(CompileLimit::ProcessorTime),
        code if ENDED_BY_MEMORY.contains(&code) => Some(CompileLimit::Memory),
        _ => None,
    }
}

/// Files of a user's own folder are not for others here.
pub(crate) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}
