use super::*;

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn waits(number: u8, known: bool) -> Candidate {
    Candidate { requester: node(number), known, wall_ms: SECOND, ready: true }
}

/// How often each of `waiting` has its turn of `turns`.
fn count(turns: &mut Turns, waiting: &[Candidate], rounds: u64) -> Vec<u64> {
    let mut counts = vec![0; waiting.len()];
    for _ in 0..rounds {
        let chosen = turns.next(waiting).expect("somebody waits");
        turns.take(chosen, 0);
        counts[waiting.iter().position(|candidate| *candidate == chosen).expect("it waits")] += 1;
    }
    counts
}

#[test]
fn a_strangers_job_costs_strangers_ten_turns_a_second() {
    let mut turns = Turns::default();
    let waiting = [waits(1, true), waits(2, false)];
    turns.take(waiting[0], 0);
    turns.ran(Party::Unknown, 60 * SECOND);
    assert_eq!(count(&mut turns, &waiting, 599), [599, 0]);
    assert_eq!(count(&mut turns, &waiting, 3)[1], 1);
}

#[test]
fn a_known_requesters_job_costs_it_a_turn_a_second() {
    let mut turns = Turns::default();
    let waiting = [waits(1, true), waits(2, true)];
    turns.ran(Party::Known(node(1)), 60 * SECOND);
    assert_eq!(count(&mut turns, &waiting, 60), [0, 60]);
}

#[test]
fn a_slot_that_was_kept_idle_is_paid_for_in_turns() {
    let mut turns = Turns::default();
    let waiting = [waits(1, true), waits(2, true)];
    turns.take(waiting[0], 950);
    assert_eq!(count(&mut turns, &waiting, 10), [0, 10]);
}

#[test]
fn who_waited_in_vain_has_its_old_place() {
    let mut turns = Turns::default();
    turns.arrives(node(1), Time(0));
    turns.had_turn(node(1), Time(5_000));
    assert_eq!(turns.place(&node(1), 1), Time(5_001));
    turns.had_none(&node(1));
    assert_eq!(turns.place(&node(1), 1), Time(1));
    turns.kept_in_vain(Party::Known(node(1)), SECOND);
    assert_eq!(turns.order(&waits(1, true)).0, 10);
}

#[test]
fn nobody_is_passed_for_longer_than_its_own_job_may_take() {
    let mut turns = Turns::default();
    turns.arrives(node(1), Time(0));
    let waits = |number: u8, wall_ms| Candidate { wall_ms, ..waits(number, false) };
    let minute = waits(1, 60 * SECOND);
    // A shorter one that came a little later goes before it, one that came after so long does not; a longer one that was there goes after it.
    for (came_ms, wall_ms, passes) in [(1, 59 * SECOND, true), (SECOND, 59 * SECOND, false), (60 * SECOND, 1, false), (0, 3_600 * SECOND, false)] {
        turns.since.remove(&node(2));
        turns.arrives(node(2), Time(came_ms));
        let other = waits(2, wall_ms);
        assert_eq!(turns.next(&[minute, other]) == Some(other), passes, "{came_ms} {wall_ms}");
    }
    turns.arrives(node(2), Time(0));
    turns.had_turn(node(2), Time(60 * SECOND));
    assert_eq!(turns.next(&[waits(2, 1), minute]), Some(minute));
}
