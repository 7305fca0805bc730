//! Which Calls are kept and forwarded.

use super::*;

#[test]
fn the_highest_seq_wins_and_an_older_one_is_ignored() {
    let lab = Lab::new(REQUESTER, "seq");
    let mut station = Station::new(config());
    station.hear(lab.call(5, START));
    station.hear(lab.call(4, START));
    assert_eq!(station.judged(), Admission::Ignore);
    station.hear(lab.call(6, START));
    assert_eq!(station.judged(), Admission::Accept);
    assert_eq!(station.worker.summaries().next().map(|summary| summary.seq), Some(6));
}

#[test]
fn two_bodies_of_one_seq_prove_the_author_a_liar_and_the_first_counts() {
    let lab = Lab::new(REQUESTER, "liar");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    station.hear(lab.call_with(1, START, |call| call.claim_below = 9));
    assert_eq!(station.judged(), Admission::Ignore);
    assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Proven)]);
    let log = crate::content::cid_of(crate::content::DAG_CBOR, b"log");
    let changes: [&dyn Fn(&mut Call); 2] = [&|call| call.state = CallState::Closed { log }, &|call| call.at = List::default()];
    for change in changes {
        let mut station = Station::new(config());
        station.hear(lab.call(1, START));
        station.hear(lab.call_with(1, START, change));
        assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Proven)]);
    }
}

#[test]
fn a_call_signed_again_after_a_crash_is_ignored_and_nobody_is_blamed() {
    let lab = Lab::new(REQUESTER, "crashed");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    station.hear(lab.call_with(1, START.plus(SECOND), |call| call.wanted = 9));
    assert_eq!(station.judged(), Admission::Ignore);
    assert_eq!(station.reports(), []);
}

#[test]
fn a_call_ahead_of_its_time_or_past_it_is_ignored_beyond_half_a_minute() {
    let lab = Lab::new(REQUESTER, "clock");
    for (nbf, admission) in [
        (START.plus(31 * SECOND), Admission::Ignore),
        (START.plus(29 * SECOND), Admission::Accept),
        (START.minus(10 * MINUTE + 31 * SECOND), Admission::Ignore),
        (START.minus(10 * MINUTE + 29 * SECOND), Admission::Accept),
    ] {
        let mut station = Station::new(config());
        station.hear(lab.call(1, nbf));
        assert_eq!(station.judged(), admission, "not before {nbf:?}");
    }
}

#[test]
fn a_call_of_a_topic_that_is_not_ours_is_ignored() {
    let mut body = experiment(REQUESTER, "elsewhere");
    body.topic = name("elsewhere");
    let mut station = Station::new(config());
    station.hear(Lab::of(body, REQUESTER).call(1, START));
    assert_eq!(station.judged(), Admission::Ignore);
    assert!(station.sent.is_empty());
}

/// Whether a Call of an unknown author is taken that comes through this neighbour.
fn is_taken(station: &mut Station, author: u8, from: u8) -> bool {
    station.hear_from(Lab::new(author, "quota").call_with(1, station.now, |call| call.at = List::default()), key(from).node());
    station.judged() == Admission::Accept
}

#[test]
fn unknown_authors_together_get_twenty_four_at_once_and_three_a_second() {
    let mut station = Station::new(config());
    assert_eq!((10..60).filter(|author| is_taken(&mut station, *author, *author)).count(), 8 + 16);
    station.pass(3 * SECOND);
    assert_eq!((60..90).filter(|author| is_taken(&mut station, *author, *author)).count(), 3 + 6);
}

#[test]
fn a_flood_of_unknown_authors_by_one_neighbour_leaves_room_for_what_another_says() {
    let mut station = Station::new(config());
    // The flood gets what anybody may say and its own share.
    assert_eq!((10..40).filter(|author| is_taken(&mut station, *author, 99)).count(), 8 + 4);
    for second in 0..40 {
        station.pass(SECOND);
        for author in [100 + second, 140 + second, 180 + second] {
            is_taken(&mut station, author, 99);
        }
    }
    // Somebody else's first Calls still pass, all four of them.
    assert_eq!((220..230).filter(|author| is_taken(&mut station, *author, 98)).count(), 4);
}

#[test]
fn keys_of_one_network_have_one_share_of_the_reserve_together() {
    let mut station = Station::new(config());
    let near = Some(Cluster::V4([45, 6, 6]));
    let mut taken = 0;
    for author in 10..70 {
        station.hear_near(Lab::new(author, "quota").call_with(1, station.now, |call| call.at = List::default()), key(author).node(), near);
        taken += usize::from(station.judged() == Admission::Accept);
    }
    assert_eq!(taken, 8 + 4, "what anybody may say, and one share");
    assert!(is_taken(&mut station, 100, 100), "another's is left");
}

#[test]
fn two_calls_a_second_through_every_neighbour_leave_room_for_an_unknown_requester_beside_the_station() {
    let mut station = Station::new(config());
    let mut taken = 0;
    // Ten neighbours forward two new authors' Calls a second, which whoever brings first has brought.
    for second in 0..80_u8 {
        station.pass(SECOND);
        for author in [second, 80 + second] {
            is_taken(&mut station, author, 240 + author % 10);
        }
        if second % 10 == 9 {
            taken += u32::from(is_taken(&mut station, 200 + second / 10, 99));
        }
    }
    assert_eq!(taken, 8, "every one of its experiments");
}

#[test]
fn one_neighbour_may_forward_four_a_second() {
    let lab = Lab::new(REQUESTER, "held before");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.holds(&[0]));
    station.pass(10 * SECOND);
    // Its author is known now, so that only the neighbour's own rate is left.
    let mut accepted = 0;
    for seq in 2..40 {
        station.hear_from(lab.call(seq, station.now), key(99).node());
        accepted += u32::from(station.judged() == Admission::Accept);
    }
    assert_eq!(accepted, 16);
    station.pass(SECOND);
    for seq in 40..60 {
        station.hear_from(lab.call(seq, station.now), key(99).node());
        accepted += u32::from(station.judged() == Admission::Accept);
    }
    assert_eq!(accepted, 20);
}

#[test]
fn an_author_gets_four_open_calls_and_a_closed_one_makes_room() {
    let mut station = Station::new(config());
    let labs: Vec<Lab> = ["a", "b", "c", "d", "e"].iter().map(|tag| Lab::new(REQUESTER, tag)).collect();
    for lab in &labs[..4] {
        station.hear(lab.call(1, START));
        assert_eq!(station.judged(), Admission::Accept);
    }
    station.hear(labs[4].call(1, START));
    assert_eq!(station.judged(), Admission::Ignore);
    let log = Content::raw(b"log").cid;
    station.hear(labs[0].call_with(2, START, |call| call.state = CallState::Closed { log }));
    station.hear(labs[4].call(1, START));
    assert_eq!(station.judged(), Admission::Accept);
}

#[test]
fn calls_that_name_somebody_elses_address_leave_the_table_open_to_its_owner() {
    let mut station = Station::new(config());
    for author in 10..16 {
        station.hear_from(Lab::new(author, "same address").call(1, START), key(author).node());
        assert_eq!(station.judged(), Admission::Accept);
    }
}

#[test]
fn a_call_is_forgotten_half_a_minute_after_its_end() {
    let lab = Lab::new(REQUESTER, "end");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.refusal(ClaimRefused::Enough, 1));
    station.pass(10 * MINUTE + 20 * SECOND);
    assert_eq!(station.worker.summaries().count(), 1);
    station.pass(30 * SECOND);
    assert_eq!(station.worker.summaries().count(), 0);
}
