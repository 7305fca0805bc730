//! Who waits for the compiler, with an engine that says what it is asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use station_protocol::accounts::Charge;
use station_protocol::address::Reach;
use station_protocol::policy::Policy;

use super::super::Happened;
use super::*;
use crate::clock::{Clock, NOON};
use crate::engine::{Engine, Session};
use crate::ledger::Ledger;
use crate::library::{BUNDLED, Library};
use crate::operator::Host;
use crate::outside::fake::Fake;
use crate::store::MemoryStore;
use crate::tasks::Tasks;

const FIRST: NodeId = NodeId([1; 32]);
const SECOND: NodeId = NodeId([2; 32]);

/// Takes so many milliseconds for each module that it does not have yet, and has them paid.
#[derive(Clone, Default)]
struct Compiler {
    takes_ms: u64,
    asked: Arc<AtomicUsize>,
    made: Arc<Mutex<Vec<Cid>>>,
}

impl Engine for Compiler {
    fn prepare(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<(), EngineError>> {
        async move {
            let deposit = deposit_ms(module.len());
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.made.lock().expect("no test panicked").contains(&cid) {
                return Ok(());
            }
            if !asker.purse.pay(deposit) {
                return Err(EngineError::NotNow("nobody pays".into()));
            }
            tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_millis(self.takes_ms)).await;
            asker.purse.settle(deposit, self.takes_ms);
            self.made.lock().expect("no test panicked").push(cid);
            Ok(())
        }
        .boxed()
    }

    fn open(&self, _: Asker, _: Cid, _: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        unreachable!("nothing is run here")
    }
}

fn module(number: usize) -> Content {
    let bytes = BUNDLED[number].bytes;
    Content { cid: station_car::unixfs::build(bytes).root, bytes: bytes.len() as u64 }
}

async fn executor(takes_ms: u64) -> (Executor, Compiler, Ledger) {
    let (store, compiler, ledger) = (Arc::new(MemoryStore::default()), Compiler { takes_ms, ..Compiler::default() }, Ledger::new(Reach::Any, []));
    let host = Host::new(Arc::new(Fake::default()), NodeId([9; 32]), Policy::default(), Clock::at(NOON), store.clone(), Tasks::new()).await;
    let host = host.expect("the disk works");
    (Executor::new(Arc::new(compiler.clone()), Library::new(store), host, ledger.clone(), Tasks::new()), compiler, ledger)
}

fn ready(fetch: Ticket) -> Happened {
    Happened::Module { fetch, result: Ok(()) }
}

fn charged(ledger: &Ledger) -> (u64, u64) {
    let figure = ledger.figures().into_iter().find(|(charge, _)| *charge == Charge::CompileMs).expect("all kinds are there").1;
    (figure.charged, figure.refused)
}

#[tokio::test(start_paused = true)]
async fn who_has_dear_modules_waits_while_those_of_others_are_compiled() {
    let burst = Charge::CompileMs.payer().burst;
    let (mut executor, _, ledger) = executor(burst).await;
    executor.prepare(Ticket(1), FIRST, module(0));
    assert_eq!(executor.next().await, ready(Ticket(1)));
    assert_eq!(charged(&ledger), (burst, 0));
    // The first has nothing left for the next one. Whoever comes later is served before.
    executor.prepare(Ticket(2), FIRST, module(1));
    tokio::time::advance(WAIT / 2).await;
    executor.prepare(Ticket(3), SECOND, module(2));
    let begun = tokio::time::Instant::now();
    assert_eq!(executor.next().await, ready(Ticket(3)));
    assert_eq!(begun.elapsed(), Duration::from_millis(burst), "it did not wait for the other one");
    assert_eq!(executor.next().await, ready(Ticket(2)));
    assert_eq!(charged(&ledger), (3 * burst, deposit_ms(BUNDLED[1].bytes.len())));
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_compiled_is_ready_for_who_could_not_pay_for_it() {
    let (mut executor, compiler, ledger) = executor(0).await;
    executor.prepare(Ticket(1), FIRST, module(0));
    assert_eq!(executor.next().await, ready(Ticket(1)));
    ledger.purse(SECOND).settle(0, Charge::CompileMs.payer().burst);
    let begun = tokio::time::Instant::now();
    executor.prepare(Ticket(2), SECOND, module(0));
    assert_eq!(executor.next().await, ready(Ticket(2)));
    assert_eq!((begun.elapsed(), compiler.asked.load(Ordering::Relaxed)), (Duration::ZERO, 2));
}

#[tokio::test(start_paused = true)]
async fn what_no_lease_waits_for_any_more_is_not_compiled() {
    let (mut executor, compiler, ledger) = executor(1).await;
    ledger.purse(FIRST).settle(0, Charge::CompileMs.payer().burst);
    executor.prepare(Ticket(1), FIRST, module(0));
    tokio::time::advance(WAIT / 2).await;
    executor.end_preparing(|_| true);
    executor.end_preparing(|ticket| ticket != Ticket(1));
    assert_eq!(executor.next().await, Happened::Module { fetch: Ticket(1), result: Err(FetchFailure::Unwanted) });
    assert_eq!(compiler.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn strangers_modules_take_no_room_of_those_whom_the_station_knows() {
    let (executor, _, ledger) = executor(0).await;
    let large = Content { bytes: 8 << 20, ..module(0) };
    let asker = |node| Asker { requester: node, purse: ledger.purse(node) };
    let room = |node| executor.preparing.yard.room(&asker(node), &large).now_or_never();
    let taken: Vec<_> = std::iter::from_fn(|| room(FIRST)).collect();
    assert_eq!(taken.len(), 3);
    assert!(room(SECOND).is_none());
    ledger.connected(SECOND, station_protocol::cluster::Cluster::Own(SECOND));
    ledger.knows(SECOND, true);
    assert!(room(SECOND).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_large_module_is_not_passed_for_ever_by_small_ones() {
    let (executor, _, ledger) = executor(0).await;
    let yard = &executor.preparing.yard;
    let asker = Asker { requester: FIRST, purse: ledger.purse(FIRST) };
    let (small, largest) = (Content { bytes: 1 << 20, ..module(0) }, Content { bytes: COMPILING_BYTES_MAX as u64, ..module(0) });
    let first = yard.room(&asker, &small).await;
    let mut large = Box::pin(yard.room(&asker, &largest));
    assert!((&mut large).now_or_never().is_none());
    let mut next = Box::pin(yard.room(&asker, &small));
    assert!((&mut next).now_or_never().is_none(), "a small one that came later took what the large one waits for");
    drop(first);
    assert!(large.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_not_here_is_not_ready_for_jobs() {
    let (mut executor, compiler, _) = executor(0).await;
    let lost = Content { cid: station_car::unixfs::build(&[1; 100]).root, bytes: 100 };
    executor.prepare(Ticket(1), FIRST, lost);
    assert_eq!(executor.next().await, Happened::Module { fetch: Ticket(1), result: Err(FetchFailure::NotFound) });
    assert_eq!(compiler.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_put_off_leaves_the_room_to_others_meanwhile() {
    let (mut executor, compiler, ledger) = executor(0).await;
    // Compiled as far as anybody knows, and lost since: only the compiler finds that nobody can pay.
    executor.preparing.yard.remember(module(0).cid);
    ledger.purse(FIRST).settle(0, Charge::CompileMs.payer().burst);
    executor.prepare(Ticket(1), FIRST, module(0));
    while compiler.asked.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(executor.preparing.yard.strangers.available_permits(), ROOM_KIB);
    assert_eq!(executor.next().await, ready(Ticket(1)));
}
