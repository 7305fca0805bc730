//! A Log that was tampered with does not verify, and says why.

use super::world::*;
use crate::bounded::List;
use crate::experiment::ExperimentId;
use crate::log::{Entry, LogError, PAGE_BYTES_MAX, Page, Root, SettledJob, verify};
use crate::requester::{CLOSED_MAX, Event};
use crate::verdict::Decision;

fn closed() -> (World, ExperimentId, Root, Vec<Page>) {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 10));
    world.run_all(id, &[1, 2, 3]);
    let (root, pages) = world.log(&id);
    (world, id, root, pages)
}

fn job(pages: &mut [Page]) -> &mut SettledJob {
    match &mut pages[0].entries[0] {
        Entry::Settled(job) => job,
        Entry::Late(_) => panic!("the first entry is a verdict"),
    }
}

#[test]
fn what_was_changed_in_a_log_is_found() {
    let (_, _, root, pages) = closed();
    let with = |change: &dyn Fn(&mut Root, &mut Vec<Page>)| {
        let (mut root, mut pages) = (root.clone(), pages.clone());
        change(&mut root, &mut pages);
        verify(&root, &pages, |_| None).map(|_| ())
    };
    assert_eq!(with(&|_, _| {}), Ok(()));
    assert_eq!(with(&|root, _| root.rules = 2), Err(LogError::Rules(2)));
    assert_eq!(with(&|root, _| root.secret.0[0] ^= 1), Err(LogError::Secret));
    assert_eq!(with(&|root, _| root.experiment.signature.0[0] ^= 1), Err(LogError::ExperimentSignature));
    assert_eq!(with(&|_, pages| pages.clear()), Err(LogError::Pages { named: 1, found: 0 }));
    assert_eq!(with(&|_, pages| pages[0].number = 1), Err(LogError::Page(0)));
    assert_eq!(with(&|root, _| root.settled = 9), Err(LogError::Counts { settled: 9, expired: 0 }));
    let index = job(&mut pages.clone()).verdict.index;
    assert_eq!(with(&|_, pages| _ = job(pages).receipts.pop()), Err(LogError::Verdict(index)));
    assert_eq!(
        with(&|_, pages| job(pages).verdict.decision = Decision::Undecided { groups: 2, receipts: List::default() }),
        Err(LogError::Verdict(index))
    );
    assert_eq!(with(&|_, pages| job(pages).verdict.index = 99), Err(LogError::Job(99)));
    let lease = job(&mut pages.clone()).receipts[0].receipt.body.lease;
    assert_eq!(with(&|_, pages| job(pages).receipts[0].receipt.body.fuel = 8), Err(LogError::Receipt(lease)));
    let twice = |_: &mut Root, pages: &mut Vec<Page>| {
        let receipt = job(pages).receipts[0].clone();
        job(pages).receipts.push(receipt);
    };
    assert_eq!(with(&twice), Err(LogError::Receipt(lease)));
}

#[test]
fn equal_outputs_stand_in_an_entry_once_and_pages_stay_within_their_size() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 450));
    world.run_all(id, &[1, 2, 3]);
    let (root, pages) = world.log(&id);
    assert!(pages.len() > 1);
    assert!(root.pages.iter().all(|cid| world.blobs[cid].len() <= PAGE_BYTES_MAX));
    let outputs = |job: &SettledJob| job.receipts.iter().filter(|held| held.output.is_some()).count();
    let all = pages.iter().flat_map(|page| &page.entries);
    assert!(all.into_iter().all(|entry| matches!(entry, Entry::Settled(job) if outputs(job) == 1)));
    assert_eq!(verify(&root, &pages, |_| None).unwrap().receipts, 1_350);
    assert_eq!(world.left_behind(), 0);
}

#[test]
fn large_outputs_of_a_measurement_stand_in_blobs_and_the_verdict_still_verifies() {
    let mut world = World::new();
    let id = world.publish(draft(measurement(4), 1));
    for station in 1..=4 {
        let (number, _) = world.leases(id, station).remove(0);
        let output = crate::codec::encode(&std::collections::BTreeMap::from([
            ("body", "x".repeat(50_000 + usize::from(station))),
            ("verdict", "ok".to_owned()),
        ]));
        world.deliver(id, station, vec![delivery(id, station, number, 0, &output)]);
    }
    let (root, pages) = world.log(&id);
    assert!(root.pages.iter().all(|cid| world.blobs[cid].len() <= PAGE_BYTES_MAX));
    let Entry::Settled(job) = &pages[0].entries[0] else { panic!("no verdict") };
    let Decision::Measured { strata, .. } = &job.verdict.decision else { panic!("not measured") };
    assert!(strata[0].certified && strata[0].groups.len() == 1);
    assert!(verify(&root, &pages, |cid| world.blobs.get(cid).cloned()).is_ok());
    assert!(matches!(verify(&root, &pages, |_| None), Err(LogError::Verdict(0))));
}

#[test]
fn a_forgotten_experiment_takes_its_log_and_its_jobs_with_it() {
    let mut world = World::new();
    for number in 0..i128::try_from(CLOSED_MAX).unwrap() {
        let id = world.publish(draft(fixed(1), 1 + number % 2));
        world.handle(Event::Cancel { experiment: id });
    }
    let (records, blobs) = (world.disk.len(), world.blobs.len());
    for jobs in [1, 2] {
        let id = world.publish(draft(fixed(1), jobs));
        world.handle(Event::Cancel { experiment: id });
    }
    assert_eq!((world.disk.len(), world.blobs.len()), (records, blobs), "two came and two went");
}

#[test]
fn a_crash_between_pages_loses_nothing_and_settles_nothing_twice() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 900));
    let mut hand = world.leases(id, 1);
    while world.settled().len() < 600 {
        let receipts = hand.iter().take(64).map(|(number, lease)| delivery(id, 1, *number, lease.index, b"o")).collect();
        hand = numbered(world.deliver(id, 1, receipts).leases.unwrap());
    }
    assert!(!world.machine.view(&id).unwrap().pages.is_empty());
    world.crash();
    world.run_all(id, &[1]);
    let mut settled = world.settled();
    settled.sort_unstable();
    assert_eq!(settled, (0..900).collect::<Vec<_>>());
    let (root, pages) = world.log(&id);
    assert_eq!(verify(&root, &pages, |_| None).unwrap().settled, 900);
}
