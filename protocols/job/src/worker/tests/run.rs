//! From a Call to a held receipt.

use super::strangers::work_of;
use super::*;
use crate::human::Size;

#[test]
fn a_call_becomes_a_claim_a_lease_an_execution_a_durable_receipt_and_a_delivery_until_held() {
    let lab = Lab::new(REQUESTER, "happy");
    let mut station = Station::new(config());
    station.hear(lab.call(1, station.now));
    assert_eq!(station.judged(), Admission::Accept);
    let (send, claim) = station.claim();
    assert_eq!((claim.experiment, claim.free), (lab.id, 2));
    assert!(claim.holding.is_empty());
    assert!(station.fetches.is_empty(), "nothing is fetched before there is a lease");
    station.answer(send, lab.leases(0, 1, 60_000));
    assert!(station.started.is_empty(), "nothing starts before the module is here");
    station.fetched();
    assert_eq!(station.started.len(), 1);
    station.finish();
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.receipts.len(), 1);
    let delivery = &deliver.receipts[0];
    delivery.receipt.verify(&name("test")).expect("signed by the station");
    assert_eq!(delivery.receipt.body.output, Some(Content::raw(b"output")));
    assert_eq!(delivery.output.as_deref(), Some(&b"output"[..]));
    assert!(deliver.free > 0, "it asks for more in the same round trip");
    assert_eq!(station.worker.outbox_len(), 1);
    station.answer(send, lab.holds(&[0]));
    assert_eq!(station.worker.outbox_len(), 0);
    assert!(!station.disk.keys().any(|key| key.0[0] == b'o'), "held ends the record");
}

#[test]
fn leases_in_an_ack_start_at_once() {
    let lab = Lab::new(REQUESTER, "flow");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(
        send,
        lab.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(lab.batch(7, 2, 60_000));
        }),
    );
    assert_eq!(station.started.len(), 2);
}

#[test]
fn never_more_run_than_there_are_slots() {
    let lab = Lab::new(REQUESTER, "slots");
    let mut station = Station::with_more_leases(config(), &lab, 5, 60_000);
    assert_eq!(station.started.len(), 2);
    station.finish();
    assert_eq!(station.started.len(), 2, "the next one starts when one ends");
}

#[test]
fn what_runs_together_stays_in_the_budget_of_memory() {
    let lab = Lab::new(REQUESTER, "memory");
    let mut policy = config().policy;
    // Room for one guest and a half.
    policy.budget.memory = Size(lab.experiment.body.limits.memory_bytes * 3 / 2);
    let mut station = Station::with_more_leases(Config { policy, ..config() }, &lab, 5, 60_000);
    assert_eq!(station.started.len(), 1);
    station.finish();
    assert_eq!(station.started.len(), 1, "the next one starts when one ends");
}

#[test]
fn a_lease_that_ends_while_running_is_stopped_and_returned_and_gives_no_receipt() {
    let lab = Lab::new(REQUESTER, "expiry");
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &lab, 1, 5_000);
    station.pass(5_000);
    assert_eq!(station.stopped.len(), 1);
    let (_, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::Expired)]);
    station.finish();
    assert_eq!(station.worker.outbox_len(), 0, "what ended too late is not signed");
    assert_eq!(station.worker.running(), 0);
}

#[test]
fn a_lease_that_ends_while_it_waits_is_never_started() {
    let lab = Lab::new(REQUESTER, "queue");
    let mut station = Station::with_more_leases(Config { capacity: 1, ..config() }, &lab, 2, 5_000);
    station.pass(5_000);
    station.finish();
    assert!(station.started.is_empty());
}

#[test]
fn a_report_that_comes_at_the_very_end_of_its_lease_is_not_signed() {
    let lab = Lab::new(REQUESTER, "late");
    let mut station = Station::with_leases(config(), &lab, 1, 5_000);
    station.now = station.now.plus(5_000);
    station.finish();
    assert_eq!(station.worker.outbox_len(), 0);
    assert_eq!(station.deliver().1.returned.to_vec(), [(0, ReturnReason::Expired)]);
}

#[test]
fn a_module_that_cannot_be_had_returns_the_leases_and_rests_the_experiment() {
    let lab = Lab::new(REQUESTER, "fetch");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 2, 60_000));
    let (fetch, _) = station.fetches.pop_front().expect("a fetch");
    station.handle(Event::Fetched { fetch, result: Err(FetchFailure::TimedOut) });
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::FetchFailed), (1, ReturnReason::FetchFailed)]);
    assert_eq!(deliver.free, 0);
    station.answer(send, lab.ack_with(|_| {}));
    station.pass(29 * SECOND);
    assert!(station.sent.is_empty());
    station.pass(SECOND);
    station.claim();
}

#[test]
fn a_module_with_other_bytes_than_named_is_not_asked_for_again() {
    let lab = Lab::new(REQUESTER, "mismatch");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 1, 60_000));
    let (fetch, _) = station.fetches.pop_front().expect("a fetch");
    station.handle(Event::Fetched { fetch, result: Err(FetchFailure::Mismatch) });
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::Declined(crate::work::DeclineReason::Module)));
}

#[test]
fn the_module_is_fetched_once_per_experiment() {
    let lab = Lab::new(REQUESTER, "once");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(1, 1, 60_000))));
    assert!(station.fetches.is_empty());
    assert_eq!(station.started.len(), 1);
}

#[test]
fn a_station_that_failed_itself_returns_the_lease_and_signs_nothing() {
    let lab = Lab::new(REQUESTER, "sandbox");
    let failures = [
        (StationFailure::Sandbox, ReturnReason::StationFailed),
        (StationFailure::Outgrown, ReturnReason::Outgrown),
        (StationFailure::TargetBusy, ReturnReason::TargetBusy),
    ];
    for (failure, reason) in failures {
        let mut station = Station::with_leases(config(), &lab, 1, 60_000);
        let (execution, _) = station.started.pop_front().expect("an execution");
        station.handle(Event::Finished { execution, report: Err(failure) });
        assert_eq!(station.deliver().1.returned.to_vec(), [(0, reason)]);
        assert_eq!(station.worker.outbox_len(), 0);
    }
}

#[test]
fn a_job_that_outgrows_the_sandbox_does_not_keep_the_next_one_waiting() {
    let lab = Lab::new(REQUESTER, "outgrown");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    let (execution, _) = station.started.pop_front().expect("an execution");
    station.handle(Event::Finished { execution, report: Err(StationFailure::Outgrown) });
    let (send, deliver) = station.deliver();
    assert_eq!((deliver.returned.to_vec(), deliver.free > 0), (vec![(0, ReturnReason::Outgrown)], true));
    station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(1, 1, 60_000))));
    assert_eq!(station.started.len(), 1, "at once, and the same experiment");
}

#[test]
fn draining_returns_what_waits_lets_run_what_runs_and_takes_nothing_new() {
    let lab = Lab::new(REQUESTER, "drain");
    let mut station = Station::with_more_leases(config(), &lab, 3, 60_000);
    station.sent.clear();
    station.handle(Event::Drain);
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(3, ReturnReason::Drain)]);
    assert_eq!((deliver.free, deliver.holding.to_vec()), (0, vec![1, 2]));
    station.answer(send, lab.ack_with(|_| {}));
    assert!(!station.worker.is_drained());
    for lease in [1, 2] {
        station.finish();
        let (send, _) = station.deliver();
        station.answer(send, lab.holds(&[lease]));
    }
    assert!(station.worker.is_drained());
    station.pass(MINUTE);
    assert!(station.sent.is_empty());
}

#[test]
fn unknown_requesters_together_get_a_tenth_of_the_turns() {
    let known = Lab::new(REQUESTER, "known");
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &known, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(
        send,
        known.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(known.batch(1, 32, HOUR));
        }),
    );
    let strangers = [Lab::new(3, "stranger"), Lab::new(4, "stranger")];
    for stranger in &strangers {
        station.hear(stranger.call_with(1, START, |call| call.at = List::default()));
        if let Some(out) = station.sent.pop_front() {
            station.answer(out.send, stranger.leases(0, 1, HOUR));
            station.fetched();
        }
    }
    let mut turns = [0, 0];
    for _ in 0..22 {
        let (execution, job) = station.started.pop_front().expect("one runs");
        turns[usize::from(job.requester != known.key.node())] += 1;
        let report = Report { outcome: Outcome::Completed, output: Vec::new(), transcript: Vec::new(), log: Vec::new(), fuel: 1, duration_ms: 1 };
        station.handle(Event::Finished { execution, report: Ok(report) });
    }
    assert!((1..=3).contains(&turns[1]), "known and unknown turns: {turns:?}");
}

#[test]
fn a_lease_number_is_run_to_a_receipt_once_even_if_it_comes_again() {
    let lab = Lab::new(REQUESTER, "again");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(
        send,
        lab.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(lab.batch(0, 1, 60_000));
        }),
    );
    assert!(station.started.is_empty(), "a second receipt for lease 0 would be proof E1 against this station");
    // Nor after a restart.
    let mut station = Station::restored(config(), station.disk, station.now);
    station.hear(lab.call(2, station.now));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 1, 60_000));
    assert!(station.started.is_empty() && station.fetches.is_empty());
}

/// A lab whose jobs may run for so long.
fn lab_with_wall(requester: u8, tag: &str, wall_ms: u64) -> Lab {
    let mut body = experiment(requester, tag);
    body.limits.wall_ms = wall_ms;
    body.deadline = START.plus(12 * HOUR);
    Lab::of(body, requester)
}

/// The station takes one lease of `lab` and has its module.
fn take_one(station: &mut Station, lab: &Lab) {
    if !station.worker.works.contains_key(&lab.id) {
        station.hear(lab.call(1, station.now));
    }
    let claim =
        |out: &Out| if let Request::Claim(claim) = &out.request { (claim.experiment == lab.id).then_some((out.send, claim.free)) } else { None };
    let (send, free) = station.sent.iter().find_map(claim).expect("it claims although its slots are taken");
    assert!(free > 0);
    station.answer(send, lab.leases(0, 1, 4 * HOUR));
    station.fetched();
}

/// From here on a job is a long one.
const LONG: u64 = 5 * SECOND;

/// What the station asked for lately, and of whom.
fn asked(station: &Station) -> Vec<ExperimentId> {
    station.sent.iter().filter_map(|out| work_of(&out.request)).filter(|(_, free, _)| *free > 0).map(|(id, ..)| id).collect()
}

#[test]
fn a_strangers_endless_job_makes_way_for_others_once_it_ran_for_a_minute() {
    let (evil, honest) = (lab_with_wall(41, "endless", HOUR), lab_with_wall(42, "short", MINUTE));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &evil, 1, HOUR);
    let (execution, _) = station.started.pop_front().expect("it runs");
    station.pass(LONG);
    station.sent.clear();
    station.hear(honest.call(1, station.now));
    station.pass(MINUTE - LONG - 1);
    assert!(asked(&station).is_empty(), "a lease that waits might end before its turn");
    station.pass(1);
    take_one(&mut station, &honest);
    assert_eq!(station.stopped, [execution]);
    assert!(station.started.is_empty(), "its slot is taken until it ended");
    station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
    assert_eq!(station.started.len(), 1, "the other's job runs");
    // For as long as it ran nothing more of it is taken.
    station.sent.clear();
    station.pass(30 * SECOND);
    assert!(!asked(&station).contains(&evil.id));
}

#[test]
fn nobody_pushes_out_who_is_known() {
    let (known, stranger) = (Lab::new(REQUESTER, "known"), lab_with_wall(42, "short", SECOND));
    let mut station = Station::with_more_leases(Config { capacity: 1, ..config() }, &known, 1, HOUR);
    take_one(&mut station, &stranger);
    station.pass(10 * MINUTE);
    assert!(station.stopped.is_empty());
}

#[test]
fn a_strangers_job_has_twice_as_long_each_time_it_made_way_for_a_stranger() {
    for made_way in 0..8 {
        let (long, short) = (lab_with_wall(41, "long", 4 * HOUR), lab_with_wall(42, "short", SECOND));
        let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &long, 1, 4 * HOUR);
        station.worker.works.get_mut(&long.id).expect("here").made_way = made_way;
        let minutes = [1, 2, 4, 8, 16, 32, 64, 64][made_way as usize];
        station.pass(minutes * MINUTE - SECOND);
        station.sent.clear();
        station.hear(short.call(1, station.now));
        station.pass(SECOND - 1);
        assert!(asked(&station).is_empty(), "not before {minutes} minutes");
        station.pass(1);
        take_one(&mut station, &short);
        assert_eq!(station.stopped.len(), 1);
        assert_eq!(station.worker.works[&long.id].made_way, made_way + 1);
    }
}

#[test]
fn for_whoever_has_a_history_a_strangers_job_makes_way_after_a_minute_however_often_it_did() {
    let (known, long) = (Lab::new(REQUESTER, "before"), lab_with_wall(41, "long", HOUR));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &known, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, known.holds(&[0]));
    take_one(&mut station, &long);
    station.worker.works.get_mut(&long.id).expect("here").made_way = 6;
    take_one(&mut station, &lab_with_wall(REQUESTER, "after", SECOND));
    station.pass(59 * SECOND);
    assert!(station.stopped.is_empty());
    station.pass(SECOND);
    assert_eq!(station.stopped.len(), 1);
}

impl Station {
    /// The delivery to `lab` that was sent last.
    fn deliver_to(&mut self, lab: &Lab) -> (Ticket, Deliver) {
        let is_theirs = |out: &Out| matches!(&out.request, Request::Deliver(deliver) if deliver.experiment == lab.id);
        let at = self.sent.iter().rposition(is_theirs).expect("a delivery");
        let Some(Out { send, request: Request::Deliver(deliver), .. }) = self.sent.remove(at) else { panic!("it was one") };
        (send, deliver)
    }
}

/// A station of one slot that works for a requester whose receipt it had held, and has a stranger's lease that waits. Whose turn it is next
/// is the known one's.
fn known_before_stranger(known: &Lab, stranger: &Lab) -> Station {
    // Strangers have had their turn.
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &lab_with_wall(43, "first", SECOND), 1, HOUR);
    station.finish();
    take_one(&mut station, known);
    station.finish();
    let (send, _) = station.deliver_to(known);
    let next = known.ack_with(|ack| {
        ack.held = List::first([0]);
        ack.leases = Some(known.batch(1, 1, HOUR));
    });
    station.answer(send, next);
    take_one(&mut station, stranger);
    station
}

#[test]
fn the_slot_of_a_known_requester_is_kept_for_its_next_lease_for_a_second() {
    let (known, stranger) = (Lab::new(REQUESTER, "known"), lab_with_wall(42, "endless", HOUR));
    let mut station = known_before_stranger(&known, &stranger);
    station.finish();
    assert!(station.started.is_empty(), "its next lease is on its way");
    let (send, _) = station.deliver_to(&known);
    let next = known.ack_with(|ack| {
        ack.held = List::first([1]);
        ack.leases = Some(known.batch(2, 1, HOUR));
    });
    station.answer(send, next);
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(known.id));
    station.finish();
    station.pass(SECOND - 1);
    assert!(station.started.is_empty());
    station.pass(1);
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(stranger.id));
}

#[test]
fn where_slots_are_taken_the_stranger_longest_unserved_is_asked_next() {
    let (first, second, new) = (lab_with_wall(41, "first", HOUR), lab_with_wall(42, "second", HOUR), lab_with_wall(43, "new", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &first, 1, 4 * HOUR);
    let (execution, _) = station.started.pop_front().expect("it runs");
    station.pass(MINUTE);
    take_one(&mut station, &second);
    station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
    let (send, _) = station.deliver_to(&first);
    station.answer(send, first.ack_with(|_| {}));
    station.pass(LONG);
    station.hear(new.call(1, station.now));
    station.sent.clear();
    // The first has rested, and the second has had its minute.
    station.pass(MINUTE - LONG);
    assert_eq!(asked(&station), [new.id]);
    // Nobody holds the turn by silence.
    station.pass(3 * SECOND);
    assert!(asked(&station).contains(&first.id));
}

#[test]
fn a_strangers_many_experiments_leave_the_place_behind_its_endless_job_to_another_requester() {
    let (one, two) = (lab_with_wall(41, "one", HOUR), lab_with_wall(41, "two", HOUR));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &one, 1, 4 * HOUR);
    station.sent.clear();
    station.hear(two.call(1, station.now));
    station.pass(2 * MINUTE);
    assert!(asked(&station).is_empty(), "it has its place already");
    let other = lab_with_wall(42, "other", SECOND);
    take_one(&mut station, &other);
    assert_eq!(station.stopped.len(), 1);
}

#[test]
fn a_stranger_is_asked_while_another_ones_job_is_short_and_what_cannot_be_done_behind_a_long_one_is_given_back() {
    let (one, other) = (lab_with_wall(41, "one", HOUR), lab_with_wall(42, "other", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &one, 1, 4 * HOUR);
    station.hear(other.call(1, station.now));
    let claim = |out: &Out| matches!(&out.request, Request::Claim(claim) if claim.experiment == other.id).then_some(out.send);
    let send = station.sent.iter().find_map(claim).expect("short jobs of two strangers take turns");
    // As long as a lease of a second is: it would end before the minute of the other.
    station.answer(send, other.leases(0, 1, 31 * SECOND));
    station.fetched();
    station.sent.clear();
    station.pass(LONG);
    let (_, deliver) = station.deliver_to(&other);
    assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::MadeWay)]);
}

#[test]
fn of_strangers_that_were_never_served_the_shortest_job_goes_first() {
    let (one, long, short) = (lab_with_wall(41, "one", HOUR), lab_with_wall(42, "long", HOUR), lab_with_wall(43, "short", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &one, 1, 4 * HOUR);
    station.pass(LONG);
    station.sent.clear();
    station.hear(long.call(1, station.now));
    station.hear(short.call(1, station.now));
    station.pass(MINUTE - LONG);
    assert_eq!(asked(&station), [short.id]);
}

#[test]
fn a_short_lease_for_which_a_job_makes_way_is_not_given_back_before_that_ended() {
    let (evil, short) = (lab_with_wall(41, "endless", HOUR), lab_with_wall(42, "short", SECOND));
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &evil, 1, HOUR);
    let (execution, _) = station.started.pop_front().expect("it runs");
    station.pass(LONG);
    station.sent.clear();
    station.hear(short.call(1, station.now));
    station.pass(MINUTE - LONG);
    let claim = |out: &Out| matches!(&out.request, Request::Claim(claim) if claim.experiment == short.id).then_some(out.send);
    let send = station.sent.iter().find_map(claim).expect("it is asked");
    station.answer(send, short.leases(0, 1, 31 * SECOND));
    station.fetched();
    assert_eq!(station.stopped, [execution]);
    station.pass(SECOND);
    station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
    assert_eq!(station.started.front().map(|(_, job)| job.experiment), Some(short.id));
}
