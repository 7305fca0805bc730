use super::*;
use crate::cluster::Cluster;

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn network(number: u8) -> Near {
    Near { cluster: Cluster::V4([192, 0, number]), is_relayed: false }
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
    turns.ran(node(2), Near::own(node(2)), false, 60 * SECOND);
    assert_eq!(count(&mut turns, &waiting, 599), [599, 0]);
    assert_eq!(count(&mut turns, &waiting, 3)[1], 1);
}

#[test]
fn a_known_requesters_job_costs_it_a_turn_a_second() {
    let mut turns = Turns::default();
    let waiting = [waits(1, true), waits(2, true)];
    turns.ran(node(1), Near::own(node(1)), true, 60 * SECOND);
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
    turns.arrives(node(1), Vec::new(), Time(0));
    turns.is_at(node(1), network(7));
    turns.had_turn(node(1), Time(5_000));
    assert_eq!(turns.place(&node(1), 1), Time(5_001));
    turns.had_none(&node(1));
    assert_eq!(turns.place(&node(1), 1), Time(1));
    // Not where another of its network had one since: the network's stays.
    turns.had_turn(node(1), Time(6_000));
    turns.arrives(node(2), Vec::new(), Time(0));
    turns.is_at(node(2), network(7));
    turns.had_turn(node(2), Time(7_000));
    turns.had_none(&node(1));
    assert_eq!(turns.place(&node(1), 1), Time(7_001));
    turns.kept_in_vain(node(1), true, SECOND);
    assert_eq!(turns.order(&waits(1, true)).0, 10);
}

#[test]
fn nine_known_keys_of_one_network_have_one_half_beside_one_of_another() {
    let mut turns = Turns::default();
    let waiting: Vec<Candidate> = (1..=10).map(|number| waits(number, true)).collect();
    for candidate in &waiting {
        turns.arrives(candidate.requester, Vec::new(), Time(0));
        turns.is_at(candidate.requester, network(if candidate.requester == node(10) { 2 } else { 1 }));
    }
    let counts = count(&mut turns, &waiting, 180);
    assert_eq!(counts[9], 90);
    assert_eq!(counts[..9], [10; 9], "and among them the half is shared evenly");
    // What one of them ran is paid by its network, and within it by itself.
    turns.ran(node(1), network(1), true, 20 * SECOND);
    let counts = count(&mut turns, &waiting, 20 + 16);
    assert_eq!((counts[9], counts[0]), (28, 0));
}

#[test]
fn who_comes_through_a_networks_relays_runs_up_no_debt_of_those_who_are_there() {
    let mut turns = Turns::default();
    let relayed = Near { is_relayed: true, ..network(1) };
    for (number, near) in [(1, relayed), (2, network(1)), (3, network(2))] {
        turns.arrives(node(number), Vec::new(), Time(0));
        turns.is_at(node(number), near);
    }
    turns.ran(node(1), relayed, true, 60 * SECOND);
    // It moves on, and what it ran is charged to where it was when it began.
    turns.is_at(node(1), Near { is_relayed: true, ..network(2) });
    turns.ran(node(1), relayed, true, 60 * SECOND);
    assert_eq!([2, 3].map(|number| turns.order(&waits(number, true)).0), [0, 0]);
}

#[test]
fn a_network_of_strangers_stands_in_line_once() {
    let mut turns = Turns::default();
    // The first of a network has its turn, and answers from there; the others say that they are there, or have answered before.
    for number in 1..=3 {
        turns.arrives(node(number), vec![network(1)], Time(0));
    }
    turns.arrives(node(4), vec![network(2)], Time(2_000));
    turns.had_turn(node(1), Time(1_000));
    assert_eq!(turns.place(&node(2), 0), Time(0), "a name alone is charged to nobody");
    turns.is_at(node(1), network(1));
    assert_eq!([2, 3, 4].map(|number| turns.place(&node(number), 0)), [Time(1_000), Time(1_000), Time(2_000)]);
    turns.had_turn(node(1), Time(3_000));
    assert_eq!(turns.next(&[1, 2, 3, 4].map(|number| waits(number, false))), Some(waits(4, false)));
    // Where one is proven to be, it is no longer where its Call said.
    turns.is_at(node(3), network(3));
    assert_eq!(turns.place(&node(3), 0), Time(0));
    // A name takes no one's place: only its own author stands behind for it.
    turns.arrives(node(5), vec![network(2), network(1)], Time(0));
    turns.had_turn(node(5), Time(9_000));
    assert_eq!(turns.place(&node(4), 0), Time(2_000));
}

#[test]
fn networks_of_which_nobody_is_here_are_forgotten() {
    let mut turns = Turns::default();
    turns.arrives(node(1), Vec::new(), Time(0));
    turns.is_at(node(1), network(1));
    turns.take(waits(1, true), 0);
    turns.had_turn(node(1), Time(1));
    turns.retain(|_| true);
    assert_eq!((turns.of_networks.len(), turns.within.len()), (1, 1));
    turns.retain(|_| false);
    assert!(turns.of_networks.is_empty() && turns.within.is_empty() && turns.places.is_empty() && turns.of_requesters.is_empty());
}

#[test]
fn nobody_is_passed_for_longer_than_its_own_job_may_take() {
    let mut turns = Turns::default();
    turns.arrives(node(1), Vec::new(), Time(0));
    let waits = |number: u8, wall_ms| Candidate { wall_ms, ..waits(number, false) };
    let minute = waits(1, 60 * SECOND);
    // A shorter one that came a little later goes before it, one that came after so long does not; a longer one that was there goes after it.
    for (came_ms, wall_ms, passes) in [(1, 59 * SECOND, true), (SECOND, 59 * SECOND, false), (60 * SECOND, 1, false), (0, 3_600 * SECOND, false)] {
        turns.of_requesters.remove(&node(2));
        turns.arrives(node(2), Vec::new(), Time(came_ms));
        let other = waits(2, wall_ms);
        assert_eq!(turns.next(&[minute, other]) == Some(other), passes, "{came_ms} {wall_ms}");
    }
    turns.arrives(node(2), Vec::new(), Time(0));
    turns.had_turn(node(2), Time(60 * SECOND));
    assert_eq!(turns.next(&[waits(2, 1), minute]), Some(minute));
}
