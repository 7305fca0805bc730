//! Whose module is compiled when, in a time that the test makes, on the accounts that a station has.

use std::sync::{Mutex, PoisonError};

use station_protocol::accounts::{Accounts, Acquaintance, Charge, Payer};
use station_protocol::cluster::Cluster;
use station_protocol::{NodeId, Time};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const SMALL: usize = 1 << 10;

/// The accounts of a station, and its time.
#[derive(Clone, Debug, Default)]
struct Books(Arc<Mutex<(Accounts, Duration)>>);

#[derive(Debug)]
struct Account {
    books: Books,
    payer: Payer,
}

impl Books {
    fn with<T>(&self, act: impl FnOnce(&mut Accounts, Time) -> T) -> T {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Time(u64::try_from(books.1.as_millis()).unwrap());
        act(&mut books.0, now)
    }

    fn charged(&self) -> u64 {
        self.with(|accounts, _| accounts.figure(Charge::CompileMs).charged)
    }
}

impl Purse for Account {
    fn is_known(&self) -> bool {
        self.payer.acquaintance == Acquaintance::Known
    }

    fn could_pay(&self, ms: u64) -> bool {
        self.books.with(|accounts, now| accounts.could_pay(&self.payer, Charge::CompileMs, ms, now))
    }

    fn pay(&self, ms: u64) -> bool {
        self.books.with(|accounts, now| accounts.charge(&self.payer, Charge::CompileMs, ms, now)).is_ok()
    }

    fn settle(&self, paid_ms: u64, took_ms: u64) {
        self.books.with(|accounts, now| {
            accounts.give_back(&self.payer, Charge::CompileMs, paid_ms, now);
            accounts.owe(&self.payer, Charge::CompileMs, took_ms, now);
        });
    }
}

/// Lanes of modules that are numbers, with a clock.
#[derive(Debug, Default)]
struct Bench {
    lanes: Lanes<u32, ()>,
    books: Books,
    numbers: u64,
}

impl Bench {
    fn now(&self) -> Duration {
        self.books.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn pass(&self, time: Duration) {
        self.books.0.lock().unwrap_or_else(PoisonError::into_inner).1 += time;
    }

    /// `asker` waits for `module`. Its number there.
    fn asks(&mut self, asker: u8, acquaintance: Acquaintance, module: u32) -> Result<u64, Full> {
        self.asks_from(asker, None, acquaintance, module)
    }

    fn asks_from(&mut self, asker: u8, cluster: Option<Cluster>, acquaintance: Acquaintance, module: u32) -> Result<u64, Full> {
        self.numbers += 1;
        let payer = Payer::node(NodeId([asker; 32]), cluster, acquaintance);
        let purse = Arc::new(Account { books: self.books.clone(), payer });
        let waiter = Waiter { number: self.numbers, asker: [asker; 32], purse };
        self.lanes.enter(module, SMALL, waiter, self.now())?;
        Ok(self.numbers)
    }

    fn stranger_asks(&mut self, asker: u8, module: u32) -> u64 {
        self.asks(asker, Acquaintance::Stranger, module).unwrap()
    }

    fn begins(&mut self, module: u32) -> bool {
        self.lanes.look(self.now());
        self.lanes.begin(module, self.now())
    }

    /// A module that runs is compiled for so long, and done.
    fn compiled(&mut self, module: u32, takes: Duration) {
        self.pass(takes);
        self.lanes.ended(module, true, self.now());
    }
}

#[test]
fn who_has_dear_modules_waits_for_its_share_and_others_are_compiled_meanwhile() {
    let mut bench = Bench::default();
    let burst = Duration::from_millis(Charge::CompileMs.payer().burst);
    let first = bench.stranger_asks(1, 10);
    assert!(bench.begins(10));
    bench.compiled(10, burst + burst / 10);
    bench.lanes.leave(10, first);
    // Its share is used up and more: its next module is refused, and nobody else's waits for it.
    let next = bench.stranger_asks(1, 11);
    bench.stranger_asks(2, 20);
    assert!(!bench.begins(11), "it began on nobody's account");
    assert_eq!((bench.lanes.stage(11), bench.lanes.stage(20)), (Some(Stage::Refused), Some(Stage::Waiting)));
    bench.lanes.leave(11, next);
    assert!(bench.begins(20));
    bench.compiled(20, SECOND);
    // What it lacks comes back in a minute.
    bench.pass(Duration::from_secs(60));
    bench.stranger_asks(1, 11);
    assert!(bench.begins(11));
}

#[test]
fn what_is_paid_before_is_settled_with_what_it_took_also_where_it_was_ended() {
    let mut bench = Bench::default();
    bench.stranger_asks(1, 10);
    assert!(bench.begins(10));
    assert_eq!(bench.books.charged(), deposit_ms(SMALL));
    bench.compiled(10, 3 * SECOND);
    assert_eq!(bench.books.charged(), 3_000);
    let number = bench.stranger_asks(2, 20);
    assert!(bench.begins(20));
    bench.pass(SECOND);
    bench.lanes.end(number);
    assert_eq!(bench.lanes.look(bench.now()).end, [20]);
    bench.lanes.ended(20, false, bench.now());
    bench.lanes.leave(20, number);
    assert_eq!((bench.books.charged(), bench.lanes.stage(20)), (4_000, None));
}

#[test]
fn a_module_is_paid_by_who_waits_for_it_longest() {
    let mut bench = Bench::default();
    let (first, _second) = (bench.stranger_asks(1, 10), bench.stranger_asks(2, 10));
    bench.lanes.end(first);
    assert!(bench.begins(10));
    bench.compiled(10, 2 * SECOND);
    let burst = Charge::CompileMs.payer().burst;
    let could_pay_all = |asker| {
        let payer = Payer::node(NodeId([asker; 32]), None, Acquaintance::Stranger);
        bench.books.with(|accounts, now| accounts.could_pay(&payer, Charge::CompileMs, burst, now))
    };
    assert!(could_pay_all(1) && !could_pay_all(2));
}

#[test]
fn an_unknown_requester_has_one_compile_at_a_time() {
    let mut bench = Bench::default();
    bench.stranger_asks(1, 10);
    bench.stranger_asks(1, 11);
    assert!(bench.begins(10));
    // It would be moved aside for somebody else, not for its own.
    bench.pass(2 * SECOND);
    assert!(!bench.begins(11));
    assert_eq!(bench.lanes.running(Lane::Long), None);
    bench.stranger_asks(2, 20);
    assert!(bench.begins(20));
    assert!(bench.lanes.running(Lane::Long).is_some());
    bench.compiled(20, SECOND / 10);
    assert!(!bench.begins(11), "the first still runs, on an account that is not settled");
    bench.compiled(10, SECOND);
    assert!(bench.begins(11));
}

#[test]
fn whom_the_station_knows_waits_for_no_compile_of_somebody_unknown() {
    let mut bench = Bench::default();
    let known = |bench: &mut Bench, module| bench.asks(100, Acquaintance::Known, module).unwrap();
    // Unknown ones in both lanes, and one more that is due first.
    bench.stranger_asks(1, 10);
    assert!(bench.begins(10));
    bench.stranger_asks(2, 20);
    bench.pass(2 * SECOND);
    assert!(bench.begins(20));
    bench.stranger_asks(3, 30);
    known(&mut bench, 40);
    assert_eq!(bench.lanes.look(bench.now()).end, [20], "it makes way at once, not after its quantum");
    bench.lanes.ended(20, false, bench.now());
    assert!(!bench.begins(30) && bench.begins(40));
    // One that is long itself goes on in the long lane, whoever is there.
    bench.stranger_asks(4, 41);
    bench.pass(2 * SECOND);
    assert_eq!(bench.lanes.look(bench.now()).end, [10]);
    bench.lanes.ended(10, false, bench.now());
    assert!(bench.begins(30), "the quick lane is free again");
    assert_eq!(bench.lanes.running(Lane::Long).map(|at| bench.lanes.entries[at].name), Some(40));
    // What made way is compiled in the end.
    bench.compiled(30, SECOND / 10);
    bench.compiled(40, SECOND);
    assert!(bench.begins(41) && (bench.begins(20) || bench.begins(10)));
}

#[test]
fn those_that_are_not_known_get_a_turn_however_many_of_the_others_come() {
    let mut bench = Bench::default();
    bench.stranger_asks(1, 10);
    let mut passed = 0;
    for module in 100.. {
        let number = bench.asks(100, Acquaintance::Known, module).unwrap();
        if bench.begins(10) {
            // Nobody ends what it waited for so long.
            assert_eq!(bench.lanes.look(bench.now()).end, [0; 0]);
            assert!(!bench.begins(module));
            break;
        }
        assert!(bench.begins(module));
        passed += 1;
        bench.compiled(module, SECOND / 10);
        bench.lanes.leave(module, number);
    }
    assert_eq!(passed, UNKNOWN_STRIDE);
}

#[test]
fn however_many_wait_whom_the_station_knows_finds_a_place() {
    let mut bench = Bench::default();
    let places = (0..).take_while(|asker| bench.asks(*asker, Acquaintance::Stranger, u32::from(*asker)).is_ok()).count();
    assert_eq!(places, STRANGERS_WAITING_MAX);
    assert!(bench.asks(200, Acquaintance::Known, 1_000).is_ok());
}

#[test]
fn a_network_that_has_used_its_share_waits_for_itself() {
    let mut bench = Bench::default();
    // Of one network: its keys are as many as it likes, and they fill every place.
    let mut keys = (1..).map(|key| (key, u32::from(key)));
    let mut hog = |bench: &mut Bench| {
        let (key, module) = keys.next().unwrap();
        bench.asks_from(key, Some(Cluster::V4([10, 1, 1])), Acquaintance::Stranger, module).map(|_| module)
    };
    let hogs: Vec<u32> = std::iter::from_fn(|| hog(&mut bench).ok()).collect();
    assert_eq!(hogs.len(), STRANGERS_WAITING_MAX);
    // In both lanes, and one of them has come to its end before.
    assert!(bench.begins(hogs[0]));
    bench.compiled(hogs[0], 25 * SECOND);
    assert!(bench.begins(hogs[1]));
    bench.pass(SECOND);
    assert!(bench.begins(hogs[2]));
    // Somebody from elsewhere takes the place of the last of them, and its turn at once.
    bench.asks_from(200, Some(Cluster::V4([10, 2, 2])), Acquaintance::Stranger, 1_000).unwrap();
    assert_eq!(bench.lanes.stage(hogs[hogs.len() - 1]), Some(Stage::Refused));
    assert_eq!(bench.lanes.look(bench.now()).end, [hogs[2]]);
    bench.lanes.ended(hogs[2], false, bench.now());
    assert!(!bench.begins(hogs[3]) && bench.begins(1_000));
}

#[test]
fn those_that_are_not_known_get_a_turn_in_the_long_lane_too() {
    let mut bench = Bench::default();
    // Goes on in the long lane, and would take for ever if it always began anew.
    bench.stranger_asks(1, 10);
    assert!(bench.begins(10));
    bench.stranger_asks(2, 20);
    bench.pass(2 * SECOND);
    assert!(bench.begins(20));
    bench.compiled(20, SECOND / 10);
    let name = |bench: &Bench, lane| bench.lanes.running(lane).map(|at| bench.lanes.entries[at].name);
    assert_eq!(name(&bench, Lane::Long), Some(10));
    // Of ever new ones whom the station knows, each takes 3 s, and the next one waits behind it.
    let known = |bench: &mut Bench, module: u32| {
        bench.asks(100 + u8::try_from(module % 100).unwrap(), Acquaintance::Known, module).unwrap();
    };
    known(&mut bench, 100);
    assert!(bench.begins(100));
    let mut passed = 0;
    for module in 101.. {
        known(&mut bench, module);
        bench.pass(2 * SECOND);
        let end = bench.lanes.look(bench.now()).end;
        if end.contains(&(module - 1)) {
            // Its turn has come: whoever is long in the quick lane makes way instead of taking the long one.
            bench.lanes.ended(module - 1, false, bench.now());
            break;
        }
        if name(&bench, Lane::Long) == Some(10) {
            assert_eq!(end, [10]);
            bench.lanes.ended(10, false, bench.now());
            assert_eq!(bench.lanes.look(bench.now()).end, [0; 0]);
        }
        assert_eq!(name(&bench, Lane::Long), Some(module - 1));
        passed += 1;
        assert!(passed <= UNKNOWN_STRIDE, "it never has its turn");
        assert!(bench.begins(module));
        bench.compiled(module - 1, SECOND);
        let number = bench.numbers - 1;
        bench.lanes.leave(module - 1, number);
        // In the pause it begins, which is no turn yet: the next one ends it. The last time it is late, and nobody takes the lane from it.
        if passed < UNKNOWN_STRIDE {
            assert!(bench.begins(10));
        }
    }
    assert_eq!(passed, UNKNOWN_STRIDE);
    assert!(bench.begins(10));
    // Now it is let be.
    bench.pass(5 * SECOND);
    assert!(!bench.lanes.look(bench.now()).end.contains(&10));
    bench.compiled(10, SECOND);
    assert_eq!((bench.lanes.stage(10), bench.lanes.passed[Lane::Long as usize]), (Some(Stage::Done), 0));
}

#[test]
fn whoever_came_first_holds_up_nobody_who_waits_for_the_same_module() {
    for acquaintance in [Acquaintance::Known, Acquaintance::Stranger] {
        let mut bench = Bench::default();
        bench.stranger_asks(1, 10);
        assert!(bench.begins(10));
        // The same requester's next one would wait for the first to be settled.
        bench.stranger_asks(1, 11);
        bench.pass(2 * SECOND);
        assert!(!bench.begins(11));
        bench.asks(100, acquaintance, 11).unwrap();
        assert!(bench.begins(11), "{acquaintance:?}");
        let Phase::Running { payer, .. } = &bench.lanes.entries[1].phase else { panic!("it runs") };
        assert_eq!(payer.asker, [100; 32]);
    }
}

#[test]
fn those_whom_the_station_knows_go_by_what_is_left_of_their_own_share() {
    let mut bench = Bench::default();
    let burst = Charge::CompileMs.payer().burst;
    // Three tenths of its share are left to the first, which is more than all of a stranger's; everything to the second.
    let payer = Payer::node(NodeId([101; 32]), None, Acquaintance::Known);
    bench.books.with(|accounts, now| accounts.charge(&payer, Charge::CompileMs, burst * KNOWN_TIMES / 10 * 7, now)).unwrap();
    bench.asks(101, Acquaintance::Known, 10).unwrap();
    bench.asks(102, Acquaintance::Known, 20).unwrap();
    assert!(!bench.begins(10) && bench.begins(20));
}
