//! A Log that was tampered with does not verify, and says why.

use std::collections::BTreeMap;

use cid::Cid;

use super::world::*;
use crate::bounded::{Bytes, List};
use crate::content::Content;
use crate::experiment::ExperimentId;
use crate::jobs::{BLOCK_BYTES_MAX, Jobs};
use crate::log::{
    Entry, HELD_RECEIPT_BYTES_MAX, JOB_RECEIPTS_BYTES_MAX, LogError, Lost, PAGE_BYTES_MAX, PAGES_MAX, Page, Root, SettledJob, verify, verify_closed,
};
use crate::requester::{CLOSED_MAX, Effect, Event};
use crate::time::SECOND;
use crate::verdict::{Decision, VERDICT_EXACT_BYTES_MAX};

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
        verify(&root, &pages, |_| None, None).map(|_| ())
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
    let output = |_: &mut Root, pages: &mut Vec<Page>| job(pages).receipts[0].output = Some(Bytes::new(b"tuo".to_vec()).unwrap());
    assert_eq!(with(&output), Err(LogError::Output(lease)));
    let transcript = |_: &mut Root, pages: &mut Vec<Page>| job(pages).receipts[0].transcript = Some(Bytes::new(b"t".to_vec()).unwrap());
    assert_eq!(with(&transcript), Err(LogError::Output(lease)));
    let lost = |_: &mut Root, pages: &mut Vec<Page>| job(pages).lost.push((lease, key(1).node(), Lost::Expired));
    assert_eq!(with(&lost), Err(LogError::Lost(lease)));
    let twice = |_: &mut Root, pages: &mut Vec<Page>| {
        let receipt = job(pages).receipts[0].clone();
        job(pages).receipts.push(receipt);
    };
    assert_eq!(with(&twice), Err(LogError::Receipt(lease)));
}

/// The Call that closed an experiment, in its encoding.
fn closing(world: &World, id: &ExperimentId) -> Vec<u8> {
    crate::codec::encode(&world.machine.view(id).unwrap().call)
}

/// A closed measurement of two jobs, with outputs beside their receipts and in blobs, a transcript, a lost lease and a late receipt.
fn varied() -> (World, ExperimentId) {
    let mut world = World::new();
    let mut large = draft(measurement(2), 2);
    large.limits.output_bytes = 1 << 20;
    let id = world.publish(large);
    let (lost, _) = world.leases(id, 3).remove(0);
    world.deliver_all(id, 3, vec![], &[], &[lost]);
    // For two seconds who has delivered something goes first.
    world.pass(3 * SECOND);
    for station in [1, 2] {
        let mut hand = world.leases(id, station);
        while let Some((number, lease)) = hand.pop() {
            let output = if lease.index == 0 { vec![station; 60] } else { vec![7; 70_000] };
            let mut body = receipt(id, station, number, lease.index, &output);
            body.transcript = Some(Content::raw(b"said"));
            let inline = (output.len() < 1_000).then_some(&output[..]);
            let mut given = signed(station, body, inline);
            given.transcript = Some(Bytes::new(b"said".to_vec()).unwrap());
            let ack = world.deliver(id, station, vec![given]);
            let fetch = world.effects.iter().rev().find_map(|effect| match effect {
                Effect::Fetch { fetch, .. } => Some(*fetch),
                _ => None,
            });
            if let Some(fetch) = fetch.filter(|_| lease.index == 1) {
                world.handle(Event::Fetched { fetch, result: Ok(output) });
            }
            hand.extend(ack.leases.map(numbered).unwrap_or_default());
        }
    }
    (world, id)
}

#[test]
fn of_a_closed_log_and_all_its_parts_no_byte_can_be_flipped() {
    let (world, id) = varied();
    let call = closing(&world, &id);
    let verify = |call: &[u8], blobs: &BTreeMap<Cid, Vec<u8>>| verify_closed(call, |cid| blobs.get(cid).cloned());
    let summary = verify(&call, &world.blobs).unwrap();
    assert_eq!((summary.settled, summary.receipts, summary.absent, summary.inputs), (2, 4, 0, true));
    let (mut flips, mut accepted) = (0, 0);
    let bits = |at: usize| 1_u8 << (at % 8);
    for at in 0..call.len() {
        let mut call = call.clone();
        call[at] ^= bits(at);
        (flips, accepted) = (flips + 1, accepted + u32::from(verify(&call, &world.blobs).is_ok()));
    }
    for cid in world.blobs.keys() {
        // Of a large output, which is hashed as one, every 997th byte.
        let step = if world.blobs[cid].len() > 10_000 { 997 } else { 1 };
        for at in (0..world.blobs[cid].len()).step_by(step) {
            let mut blobs = world.blobs.clone();
            blobs.get_mut(cid).unwrap()[at] ^= bits(at);
            (flips, accepted) = (flips + 1, accepted + u32::from(verify(&call, &blobs).is_ok()));
        }
    }
    assert!(flips > 3_000, "{flips}");
    println!(r#"{{"name":"forged_logs_accepted","value":{accepted},"unit":"logs","n":{flips}}}"#);
    assert_eq!(accepted, 0, "of {flips} flips");
    for cid in world.blobs.keys() {
        let mut blobs = world.blobs.clone();
        blobs.remove(cid);
        let is_whole = verify(&call, &blobs).is_ok_and(|summary| summary.inputs && summary.absent == 0);
        assert!(!is_whole, "a part is missing and nothing is said");
    }
}

/// A requester may forge: it hashes and signs the root and its pages anew. What is not its own word it cannot change.
#[test]
fn a_requester_that_rewrites_its_log_can_change_only_its_own_words() {
    let (world, id) = varied();
    let (root, pages) = world.log(&id);
    let bytes = crate::codec::encode(&pages[0]);
    let jobs = Jobs::read(&root.experiment.body.jobs.root, |cid| world.blobs.get(cid).cloned()).unwrap();
    let own_words = |page: &Page| {
        let mut page = page.clone();
        for entry in &mut page.entries {
            let receipts = match entry {
                Entry::Settled(job) => {
                    job.lost.clear();
                    &mut job.receipts[..]
                }
                Entry::Late(held) => std::slice::from_mut(&mut **held),
            };
            for held in receipts {
                held.cluster = crate::cluster::Cluster::Private;
                (held.dealt, held.came) = (START, START);
                held.labels = crate::experiment::Labels::new();
            }
        }
        page
    };
    let mut accepted = 0;
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok(page) = crate::codec::decode::<Page>(&bytes, PAGE_BYTES_MAX) else { continue };
        if verify(&root, [&page], |cid| world.blobs.get(cid).cloned(), Some(&jobs)).is_ok() {
            accepted += 1;
            assert_eq!(own_words(&page), own_words(&pages[0]), "byte {at}");
        }
    }
    assert!(accepted > 0, "clusters, labels and lost leases are the requester's word");
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
    assert_eq!(verify(&root, &pages, |_| None, None).unwrap().receipts, 1_350);
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
    assert!(verify(&root, &pages, |cid| world.blobs.get(cid).cloned(), None).is_ok());
    assert!(matches!(verify(&root, &pages, |_| None, None), Err(LogError::Verdict(0))));
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
    assert_eq!(verify(&root, &pages, |_| None, None).unwrap().settled, 900);
}

/// The longest receipt that is held: of this profile and network, with every number as long as it gets.
#[test]
fn a_held_receipt_is_no_larger_than_its_bound() {
    let mut body = receipt(crate::content::cid_of(crate::content::DAG_CBOR, b"x"), 1, u64::MAX, u64::MAX, b"output");
    body.profile = name(&"p".repeat(64));
    body.outcome = crate::receipt::Outcome::Trapped(crate::receipt::Trap::BadConversionToInteger);
    body.output = body.output.map(|output| Content { bytes: u64::MAX, ..output });
    body.transcript = body.output.clone();
    (body.fuel, body.started_ms, body.duration_ms) = (u64::MAX, u64::MAX, u64::MAX);
    body.software = crate::bounded::Text::cut(&"s".repeat(32));
    let region = crate::experiment::Labels::of([(name("region"), List::first([name(&"r".repeat(64))]))]).unwrap();
    let held = crate::log::HeldReceipt {
        receipt: key(1).sign(&name("test"), body),
        cluster: crate::cluster::Cluster::Own(key(1).node()),
        dealt: crate::Time(u64::MAX),
        came: crate::Time(u64::MAX),
        labels: region,
        output: None,
        transcript: None,
    };
    let bytes = crate::codec::encode(&held).len();
    assert!((HELD_RECEIPT_BYTES_MAX * 3 / 4..=HELD_RECEIPT_BYTES_MAX).contains(&bytes), "{bytes}");
    // One entry of the Log with as many as there may be, the largest verdict, and all else.
    let rest = VERDICT_EXACT_BYTES_MAX + (64 << 10) + crate::work::INPUT_BYTES_MAX + 60 * super::super::run::LOST_MAX;
    assert!(JOB_RECEIPTS_BYTES_MAX + rest <= BLOCK_BYTES_MAX);
}

#[test]
fn an_experiment_is_closed_while_its_root_has_room_for_all_that_is_open() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 4));
    let hand = world.leases(id, 1);
    let (number, index) = (hand[0].0, hand[0].1.index);
    world.deliver(id, 1, vec![delivery(id, 1, number, index, b"o")]);
    let room = PAGES_MAX - super::super::settle::PAGES_KEPT;
    let any = Content::raw(b"page").cid;
    world.machine.open.get_mut(&id).unwrap().pages = vec![any; room - 1];
    world.handle(Event::Tick);
    assert!(world.machine.open.contains_key(&id));
    world.machine.open.get_mut(&id).unwrap().pages.push(any);
    world.handle(Event::Tick);
    let log = world.machine.view(&id).unwrap().status.log.expect("closed");
    let root = Root::read(&log, &world.blobs[&log]).unwrap();
    assert_eq!(root.pages.len(), room + 1, "what was open has a page of its own");
}

#[test]
fn what_a_requester_signs_anew_in_its_log_is_found() {
    let (world, id, root, pages) = closed();
    let net = name("test");
    let jobs = |count: i128| Jobs::explicit((0..count).map(ipld_core::ipld::Ipld::Integer).collect()).unwrap();
    let check = |root: &Root, pages: &[Page], jobs: &Jobs| verify(root, pages, |_| None, Some(jobs)).map(|_| ());
    assert_eq!(check(&root, &pages, &jobs(10)), Ok(()));
    let others = Jobs::explicit((1..11).map(ipld_core::ipld::Ipld::Integer).collect()).unwrap();
    assert_eq!(check(&root, &pages, &others), Err(LogError::Jobs));
    let mut other = root.clone();
    other.experiment = key(1).sign(&net, root.experiment.body.clone());
    assert_eq!(check(&other, &pages, &jobs(10)), Err(LogError::ExperimentSignature));
    let mut more = root.experiment.body.clone();
    more.jobs.count = 11;
    other.experiment = key(200).sign(&net, more);
    assert_eq!(check(&other, &pages, &jobs(10)), Err(LogError::Jobs));
    // Receipts that their stations signed for something else, or that others signed.
    let with = |change: &dyn Fn(&mut SettledJob)| {
        let mut pages = pages.clone();
        change(job(&mut pages));
        check(&root, &pages, &jobs(10))
    };
    let first = job(&mut pages.clone()).receipts[0].receipt.body.clone();
    let station = (1..4).find(|number| key(*number).node() == first.node).unwrap();
    let signed = |by: u8, change: &dyn Fn(&mut crate::receipt::Receipt)| {
        let mut body = first.clone();
        change(&mut body);
        with(&|job| job.receipts[0].receipt = key(by).sign(&net, body.clone()))
    };
    let refused = Err(LogError::Receipt(first.lease));
    assert_eq!(signed(station, &|_| {}), Ok(()));
    assert_eq!(signed(station, &|body| body.experiment = Content::raw(b"other").cid), refused);
    assert_eq!(signed(station, &|body| body.profile = name("other")), refused);
    assert_eq!(signed(9, &|_| {}), refused);
    assert_eq!(signed(station, &|body| body.index += 1), refused);
    let twice = |job: &mut SettledJob| job.lost = vec![(1_000, key(1).node(), Lost::Expired); 2];
    assert_eq!(with(&twice), Err(LogError::Lost(1_000)));
    let mut again = pages.clone();
    let (index, input) = (job(&mut again).verdict.index, job(&mut again).input.clone());
    let verdict = crate::verdict::JobVerdict { index, decision: Decision::Expired { receipts: List::default() } };
    again[0].entries.push(Entry::Settled(Box::new(SettledJob { verdict, input, receipts: Vec::new(), lost: Vec::new() })));
    assert_eq!(check(&root, &again, &jobs(10)), Err(LogError::Job(index)));
    // The Call that closed it names this Log, and is the requester's.
    let log = world.machine.view(&id).unwrap().status.log.unwrap();
    let call = world.machine.view(&id).unwrap().call;
    assert_eq!(root.is_closed_by(&call, &log), Ok(()));
    assert_eq!(root.is_closed_by(&call, &Content::raw(b"other").cid), Err(LogError::Call));
    assert_eq!(root.is_closed_by(&key(1).sign(&net, call.body), &log), Err(LogError::Call));
}
