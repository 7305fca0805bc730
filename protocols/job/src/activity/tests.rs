use super::*;
use crate::content::{RAW, cid_of};
use crate::identity::SigningKey;

const START: Time = Time(1_800_000_000_000);

fn who(requester: u64, module: &[u8]) -> Who {
    let seed = crate::content::sha256(&[&requester.to_be_bytes()]);
    Who { requester: SigningKey::from_bytes(&seed).node(), module: cid_of(RAW, module) }
}

/// Without the cost of making a key.
fn stranger(number: u64) -> Who {
    Who { requester: NodeId(crate::content::sha256(&[&number.to_be_bytes()])), module: cid_of(RAW, b"module") }
}

fn sum(activity: &Activity, of: impl Fn(&Row) -> u64) -> u64 {
    activity.since(Time(0)).flat_map(|(_, page)| page.rows.values().chain([&page.others])).map(of).sum()
}

fn rows(activity: &Activity) -> usize {
    activity.since(Time(0)).map(|(_, page)| page.rows.len()).sum()
}

fn restarted(activity: &mut Activity, disk: &mut BTreeMap<Key, Vec<u8>>, now: Time) -> Activity {
    let changes = activity.changes(now);
    disk.extend(changes.puts);
    changes.deletes.iter().for_each(|key| _ = disk.remove(key));
    let (again, unread) = Activity::restore(disk.clone());
    assert_eq!(unread, Vec::<String>::new());
    again
}

#[test]
fn what_was_done_is_a_row_per_requester_module_and_hour() {
    let mut activity = Activity::default();
    let (first, second) = (who(1, b"a"), who(2, b"a"));
    activity.ran(first, Ended::Completed, Some(1_500), 2_000, START);
    activity.ran(first, Ended::TimedOut, None, 60_000, START.plus(1));
    activity.contacted(first, "dweb.link", 700, None, START.plus(2));
    activity.contacted(first, "dweb.link", 0, Some(FetchError::Quota), START.plus(3));
    activity.moved(first, 900, 90, START.plus(4));
    activity.ran(second, Ended::Stopped, Some(1), 1, START.plus(5));
    activity.declined(DeclineReason::Capability, START.plus(6));
    let pages: Vec<(Span, &Page)> = activity.since(Time(0)).collect();
    let [(span, page)] = pages.as_slice() else { panic!("one hour: {pages:?}") };
    assert_eq!((*span, page.rows.len(), page.declined[&DeclineReason::Capability]), (Span::Hour(START.0 / HOUR), 2, 1));
    let row = &page.rows[&first];
    assert_eq!((row.jobs(), row.cpu_ms, row.cpu_unknown, row.slot_ms, row.in_bytes, row.out_bytes), (2, 61_500, 1, 62_000, 900, 90));
    assert_eq!((row.first, row.last), (START, START.plus(4)));
    let contact = &row.hosts[&Text::cut("dweb.link")];
    assert_eq!((contact.requests, contact.bytes, contact.refused.clone()), (1, 700, [(FetchError::Quota, 1)].into()));
}

#[test]
fn hours_become_days_and_nothing_is_lost_over_restarts() {
    let (mut activity, mut disk) = (Activity::default(), BTreeMap::new());
    for hour in 0..100 {
        let now = START.plus(hour * HOUR);
        activity.ran(who(hour % 3, b"m"), Ended::Completed, Some(10), 20, now);
        activity = restarted(&mut activity, &mut disk, now);
    }
    let hours = activity.since(Time(0)).filter(|(span, _)| matches!(span, Span::Hour(_))).count();
    assert!(hours as u64 <= HOURS_KEPT && disk.len() < 32, "{hours} hours, {} records", disk.len());
    assert_eq!((sum(&activity, Row::jobs), sum(&activity, |row| row.cpu_ms)), (100, 1_000));
    let recent = START.plus(90 * HOUR);
    assert!(activity.since(recent).all(|(span, _)| span.begins() >= recent.minus(HOUR)));
}

#[test]
fn a_second_look_writes_nothing_and_a_broken_record_is_told() {
    let mut activity = Activity::default();
    activity.ran(who(1, b"m"), Ended::Completed, None, 1, START);
    assert!(activity.is_due(START));
    let changes = activity.changes(START);
    assert_eq!(changes.puts.len(), 1);
    assert_eq!((activity.is_due(START.plus(DAY)), activity.changes(START)), (false, Changes::default()));
    for request in 0..10_000 {
        activity.contacted(who(1, b"m"), "a.example", 1, None, START.plus(request));
    }
    assert!(!activity.is_due(START.plus(WRITE_EVERY_MS - 1)), "however much is done");
    assert!(activity.is_due(START.plus(WRITE_EVERY_MS)));
    let (key, _) = changes.puts[0].clone();
    let (empty, unread) = Activity::restore([(key, b"nonsense".to_vec()), (Key(b"quota/x".to_vec()), vec![1])]);
    assert_eq!((rows(&empty), unread.len()), (0, 1));
}

#[test]
fn ten_thousand_keys_fill_no_more_than_the_bound_and_sums_stay_right() {
    let (mut activity, mut disk) = (Activity::default(), BTreeMap::new());
    let long = "h".repeat(300);
    let mut jobs = 0;
    for number in 0..10_000_u64 {
        // Two thousand days, five keys a day; each asks for twenty names of the longest.
        let now = START.plus(number / 5 * DAY + number % 5 * HOUR);
        activity.ran(stranger(number), Ended::Completed, Some(1), 1, now);
        jobs += 1;
        for host in 0..20_u64 {
            activity.contacted(stranger(number), &format!("{number}-{host}-{long}"), 1, None, now);
        }
        let gauge = activity.gauge();
        assert!(!gauge.is_exceeded(), "{gauge:?}");
        if number % 500 == 0 {
            activity = restarted(&mut activity, &mut disk, now);
        }
    }
    assert_eq!((sum(&activity, Row::jobs), sum(&activity, |row| row.cpu_ms)), (jobs, jobs));
    let contacts = |row: &Row| row.hosts.values().chain([&row.elsewhere]).map(|contact| contact.requests).sum::<u64>();
    assert_eq!(sum(&activity, contacts), jobs * 20);
    restarted(&mut activity, &mut disk, START.plus(3_000 * DAY));
    let written: usize = disk.values().map(Vec::len).sum();
    assert!(written <= BYTES_MAX && disk.values().all(|record| record.len() <= RECORD_BYTES_MAX), "{written} bytes on disk");
}

#[test]
fn many_keys_with_nothing_done_take_no_name_from_who_had_much_done() {
    let mut activity = Activity::default();
    let regular = who(1, b"primes");
    activity.ran(regular, Ended::Completed, Some(60_000), 60_000, START);
    for number in 0..1_000 {
        activity.ran(stranger(number), Ended::Completed, Some(1), 1, START);
    }
    let (_, page) = activity.since(Time(0)).next().expect("an hour");
    assert_eq!((page.rows.len(), page.rows[&regular].jobs()), (ROWS_PER_HOUR, 1));
    assert_eq!(page.others.jobs() + page.rows.values().map(Row::jobs).sum::<u64>(), 1_001);
}

#[test]
fn names_that_were_only_refused_make_way_for_hosts_that_were_contacted() {
    let mut activity = Activity::default();
    let guest = who(1, b"m");
    activity.contacted(guest, "real.example", 10, None, START);
    for number in 0..100 {
        activity.contacted(guest, &format!("{number}.example"), 0, Some(FetchError::NotGranted), START);
    }
    let (_, page) = activity.since(Time(0)).next().expect("an hour");
    let row = &page.rows[&guest];
    assert_eq!((row.hosts.len(), row.hosts[&Text::cut("real.example")].requests), (1 + REFUSED_HOSTS_PER_ROW, 1));
    let refused = |contact: &Contact| contact.refused.values().sum::<u64>();
    assert_eq!(row.hosts.values().map(refused).sum::<u64>() + refused(&row.elsewhere), 100);
}

#[test]
fn full_pages_fit_their_records() {
    let mut activity = Activity::default();
    let long = "h".repeat(253);
    for day in 0..2 {
        for number in 0..200 {
            let now = START.plus(day * 2 * DAY + number % 24 * HOUR);
            activity.ran(stranger(number), Ended::Completed, Some(number), number, now);
            for host in 0..HOSTS_PER_ROW {
                activity.contacted(stranger(number), &format!("{host:02}{}", &long[2..]), 1, None, now);
            }
        }
    }
    assert!(activity.changes(START.plus(9 * DAY)).puts.iter().all(|(_, record)| record.len() <= RECORD_BYTES_MAX));
}

#[test]
fn what_a_clock_a_year_ahead_wrote_is_of_now_over_a_restart_too() {
    for restarts in [false, true] {
        let (mut activity, mut disk, ahead) = (Activity::default(), BTreeMap::new(), START.plus(365 * DAY));
        for now in [START.minus(HOUR), START, ahead] {
            activity.ran(who(1, b"m"), Ended::Completed, Some(10), 20, now);
        }
        if restarts {
            activity = restarted(&mut activity, &mut disk, ahead.plus(HOURS_KEPT * HOUR));
        }
        let now = START.plus(HOUR);
        activity.ran(who(1, b"m"), Ended::Completed, Some(10), 20, now);
        activity.ran(who(1, b"m"), Ended::Completed, Some(10), 20, now.plus(HOUR));
        let seen = now.plus(HOUR);
        assert!(activity.since(Time(0)).all(|(span, page)| span.begins() <= seen && page.rows.values().all(|row| row.last <= seen)), "{restarts}");
        assert_eq!(sum(&activity, Row::jobs), 5, "{restarts}");
        // Three days later nothing of it is recent.
        activity.declined(DeclineReason::Budget, START.plus(3 * DAY));
        assert!(activity.since(START.plus(2 * DAY)).all(|(_, page)| page.rows.is_empty()), "{restarts}");
    }
}

#[test]
fn a_machine_that_boots_in_1970_keeps_its_days() {
    let mut activity = Activity::default();
    for day in 0..10 {
        activity.ran(who(1, b"m"), Ended::Completed, Some(10), 20, START.plus(day * DAY));
    }
    let before: Vec<Span> = activity.since(Time(0)).map(|(span, _)| span).collect();
    for minute in 0..180 {
        activity.declined(DeclineReason::Budget, Time(minute * MINUTE));
    }
    assert!(before.iter().all(|span| activity.since(Time(0)).any(|(found, _)| found == *span)));
}
