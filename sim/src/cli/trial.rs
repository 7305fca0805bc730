//! `trial`: tries to break a run from inside, so that a test sees each guard refuse.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::Failure;
use super::run::prepared;
use crate::det::watchdog::Watchdog;
use crate::det::{self, Machine, clock, threads};

#[derive(Debug, Args)]
pub(super) struct Trial {
    /// What to break.
    #[arg(value_enum)]
    what: Guard,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Guard {
    /// Start a thread during a run.
    Thread,
    /// Start a run with a second thread there already.
    Threads,
    /// Count the threads at once after one has prepared something, many times.
    Joined,
    /// Use a hash map before the run.
    Map,
    /// Wait for the clock in a loop.
    Clock,
    /// Tasks that wake themselves for ever.
    Polls,
    /// A second run.
    Second,
    /// Break nothing: draws, times and a sleep are printed.
    Nothing,
}

/// Threads that prepare nothing: one in some hundred is still listed when it has been joined.
const JOINED: u32 = 1_000;

impl Trial {
    pub(super) fn execute(self, machine: Machine) -> Result<(), Failure> {
        match self.what {
            Guard::Threads => {
                let _forever = std::thread::spawn(std::thread::park);
                let _run = det::start(1, machine)?;
            }
            Guard::Joined => {
                let counts: std::collections::BTreeSet<_> = (0..JOINED).map(|_| (prepared(|| ()), threads::count()).1).collect();
                println!("{counts:?}");
            }
            Guard::Map => {
                let _keys = std::collections::hash_map::RandomState::new();
                let _run = det::start(1, machine)?;
            }
            Guard::Thread => {
                let _run = det::start(1, machine)?;
                let _started = std::thread::spawn(|| ());
            }
            Guard::Second => {
                drop(det::start(1, machine)?);
                let _run = det::start(1, machine)?;
            }
            Guard::Clock => {
                let _run = det::start(1, machine)?;
                let begun = Instant::now();
                while begun.elapsed().is_zero() {}
            }
            Guard::Polls => in_run(machine, Restless(Watchdog::new(1_000_000)))?,
            Guard::Nothing => in_run(machine, async {
                let begun = Instant::now();
                tokio::time::sleep(std::time::Duration::from_secs(3_600)).await;
                let mut drawn = [0; 8];
                getrandom::fill(&mut drawn)?;
                println!("{:?} {:?} {drawn:?}", begun.elapsed(), std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?);
                Ok::<_, Failure>(())
            })??,
        }
        Ok(())
    }
}

fn in_run<F: Future>(machine: Machine, body: F) -> Result<F::Output, Failure> {
    let _run = det::start(1, machine)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(async {
        clock::follow();
        body.await
    }))
}

/// Wakes itself whenever it is polled.
struct Restless(Watchdog);

impl Future for Restless {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.polled(7);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
