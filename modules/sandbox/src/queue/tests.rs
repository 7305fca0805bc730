//! Who is compiled when, with a compiler that does what the test says.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use super::lanes::{Own, WAITING_MAX, WAITING_PER_ASKER_MAX};
use super::*;
use crate::artefact::{Artefact, Needs, Tier};
use crate::cache::Key;

const LARGE: usize = 1 << 20;

/// A quick lane in which everything is long at once.
fn impatient() -> Arc<Queue> {
    Arc::new(Queue::over(Lanes::with_quantum(Duration::ZERO)))
}

/// A quick lane in which nothing is.
fn patient() -> Arc<Queue> {
    Arc::new(Queue::over(Lanes::with_quantum(Duration::MAX)))
}

/// Of somebody who pays everything.
fn wish(queue: &Arc<Queue>, asker: Asker) -> Wish {
    queue.wish(asker, Arc::new(Own))
}

fn name(of: &str) -> Name {
    Key::new(of.as_bytes()).name(Tier::Baseline)
}

fn artefact() -> Known {
    Ok(Artefact::new(Arc::from(&b"code"[..]), Tier::Baseline, Needs::default()))
}

/// A compile that takes until it is killed or released.
fn slow(killer: &Killer, released: &AtomicBool) -> Known {
    while !killer.is_ended() && !released.load(Ordering::Relaxed) {
        thread::yield_now();
    }
    if released.load(Ordering::Relaxed) { artefact() } else { Err(CompileError::Failed("ended".into())) }
}

/// A thread that waits for a slow module.
fn asks(queue: &Arc<Queue>, wish: &Wish, of: &str, released: &Arc<AtomicBool>) -> JoinHandle<Known> {
    let (queue, wish, name, released) = (queue.clone(), wish.clone(), name(of), released.clone());
    thread::spawn(move || queue.get(name, LARGE, &wish, |killer| slow(killer, &released)))
}

/// How often a test looks before it says that what it waits for does not come: minutes.
const LOOKS_MAX: u64 = 1 << 28;

/// Until that many compiles have begun and that many threads wait.
fn until(queue: &Queue, begun: u64, waiting: usize) {
    let is_so = || (queue.begun(), queue.waiting()) == (begun, waiting);
    for _ in 0..LOOKS_MAX {
        if is_so() {
            return;
        }
        thread::yield_now();
    }
    panic!("{begun} compiles and {waiting} who wait are expected; there are {} and {}", queue.begun(), queue.waiting());
}

#[test]
fn leases_that_end_while_they_compile_leave_nothing_behind_for_an_honest_job() {
    let (queue, never) = (patient(), Arc::default());
    let wishes = (0..10).map(|asker| wish(&queue, [asker; 32])).collect::<Vec<_>>();
    let mut threads = Vec::new();
    for (at, wish) in wishes.iter().enumerate() {
        threads.push(asks(&queue, wish, &format!("hog {at}"), &never));
        until(&queue, 1, at + 1);
    }
    // The one that compiles is the last to end: the others never begin.
    wishes.iter().rev().for_each(Wish::end);
    threads.into_iter().for_each(|thread| assert!(matches!(thread.join().unwrap(), Err(CompileError::Ended))));
    assert_eq!((queue.begun(), queue.waiting()), (1, 0));
    assert!(queue.get(name("honest"), 1, &wish(&queue, [99; 32]), |_| artefact()).is_ok());
    assert_eq!((queue.begun(), queue.waiting()), (2, 0));
}

#[test]
fn a_small_module_passes_a_long_one_and_those_that_wait_behind_it() {
    let (queue, released, never) = (impatient(), Arc::default(), Arc::default());
    let wishes = (0..4).map(|asker| wish(&queue, [asker; 32])).collect::<Vec<_>>();
    let long = asks(&queue, &wishes[0], "long", &released);
    until(&queue, 1, 1);
    // The second goes on where the first was; the third finds no lane and makes way; so does the fourth.
    let hogs = (1..4).map(|at| asks(&queue, &wishes[at], &format!("hog {at}"), &never)).collect::<Vec<_>>();
    until(&queue, 4, 4);
    assert!(queue.get(name("small"), 1, &wish(&queue, [99; 32]), |_| artefact()).is_ok());
    assert!(!long.is_finished(), "it was not ended for the small one");
    released.store(true, Ordering::Relaxed);
    assert!(long.join().unwrap().is_ok());
    wishes.iter().for_each(Wish::end);
    hogs.into_iter().for_each(|hog| assert!(hog.join().unwrap().is_err()));
}

#[test]
fn what_made_way_is_compiled_in_the_end() {
    let (queue, released, second) = (impatient(), Arc::default(), Arc::default());
    let long = asks(&queue, &wish(&queue, [1; 32]), "long", &released);
    until(&queue, 1, 1);
    let moved = asks(&queue, &wish(&queue, [2; 32]), "moved", &second);
    until(&queue, 2, 2);
    assert!(queue.get(name("small"), 1, &wish(&queue, [3; 32]), |_| artefact()).is_ok());
    released.store(true, Ordering::Relaxed);
    second.store(true, Ordering::Relaxed);
    assert!(long.join().unwrap().is_ok() && moved.join().unwrap().is_ok());
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn a_module_is_compiled_once_for_all_who_wait_and_goes_on_while_one_of_them_does() {
    let (queue, released) = (patient(), Arc::default());
    let wishes = [wish(&queue, [1; 32]), wish(&queue, [2; 32])];
    let first = asks(&queue, &wishes[0], "shared", &released);
    until(&queue, 1, 1);
    let second = asks(&queue, &wishes[1], "shared", &released);
    until(&queue, 1, 2);
    wishes[0].end();
    released.store(true, Ordering::Relaxed);
    assert!(matches!(first.join().unwrap(), Err(CompileError::Ended)));
    assert!(second.join().unwrap().is_ok());
    assert_eq!((queue.begun(), queue.waiting()), (1, 0));
}

#[test]
fn an_asker_waits_for_a_few_modules_and_all_together_for_some() {
    let (queue, never) = (patient(), Arc::default());
    let (mut threads, mut wishes) = (Vec::new(), Vec::new());
    let busy = |wish: &Wish, of: &str| queue.get(name(of), LARGE, wish, |_| artefact()).err();
    'askers: for asker in 0.. {
        for at in 0..WAITING_PER_ASKER_MAX {
            if threads.len() == WAITING_MAX {
                break 'askers;
            }
            wishes.push(wish(&queue, [asker; 32]));
            threads.push(asks(&queue, &wishes[threads.len()], &format!("{asker} {at}"), &never));
            until(&queue, 1, threads.len());
        }
        if threads.len() < WAITING_MAX {
            assert_eq!(busy(&wish(&queue, [asker; 32]), "one more"), Some(CompileError::Busy));
        }
    }
    assert_eq!(busy(&wish(&queue, [200; 32]), "another"), Some(CompileError::Busy));
    wishes.iter().rev().for_each(Wish::end);
    threads.into_iter().for_each(|thread| assert!(thread.join().unwrap().is_err()));
    assert!(busy(&wish(&queue, [200; 32]), "another").is_none());
}

#[test]
fn whoever_comes_while_an_unwanted_compile_ends_is_not_told_that_it_failed() {
    let queue = patient();
    let (first, second) = (wish(&queue, [1; 32]), wish(&queue, [2; 32]));
    let (ended, go) = mpsc::channel::<()>();
    let (own, shared) = (queue.clone(), first.clone());
    let thread = thread::spawn(move || {
        own.get(name("module"), LARGE, &shared, |killer| {
            while !killer.is_ended() {
                thread::yield_now();
            }
            // Ended, and not yet gone.
            go.recv().unwrap();
            Err(CompileError::Failed("ended".into()))
        })
    });
    until(&queue, 1, 1);
    first.end();
    let (own, again) = (queue.clone(), second.clone());
    let late = thread::spawn(move || own.get(name("module"), LARGE, &again, |_| artefact()));
    until(&queue, 1, 2);
    ended.send(()).unwrap();
    assert!(matches!(thread.join().unwrap(), Err(CompileError::Ended)));
    assert!(late.join().unwrap().is_ok());
}

/// Nobody's money.
#[derive(Debug)]
struct Nothing;

impl Purse for Nothing {
    fn is_known(&self) -> bool {
        false
    }

    fn could_pay(&self, _: u64) -> bool {
        false
    }

    fn pay(&self, _: u64) -> bool {
        false
    }

    fn settle(&self, _: u64, _: u64) {
        panic!("nothing was compiled")
    }
}

#[test]
fn who_cannot_pay_is_sent_away_and_compiled_for_once_somebody_pays() {
    let queue = patient();
    let poor = queue.wish([1; 32], Arc::new(Nothing));
    assert!(matches!(queue.get(name("module"), LARGE, &poor, |_| artefact()), Err(CompileError::Unpaid)));
    assert_eq!((queue.begun(), queue.waiting()), (0, 0));
    assert!(queue.get(name("module"), LARGE, &wish(&queue, [2; 32]), |_| artefact()).is_ok());
}
