use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const MBIT: u64 = 1_000_000;

fn ms(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

#[test]
fn bytes_take_their_time_and_wait_for_those_before_them() {
    let mut line = Line::new(8 * MBIT);
    assert_eq!(line.pass(ms(0), ms(0), 1_000), ms(1));
    assert_eq!(line.pass(ms(0), ms(0), 2_000), ms(3));
    assert_eq!(line.pass(ms(10), ms(10), 1_000), ms(11), "an idle line serves at once");
}

#[test]
fn what_arrives_earlier_passes_before_what_was_reserved_earlier() {
    let mut line = Line::new(8 * MBIT);
    assert_eq!(line.pass(ms(0), ms(150), 10_000), ms(160));
    assert_eq!(line.pass(ms(0), ms(10), 10_000), ms(20), "the line is idle until the far chunk comes");
    assert_eq!(line.pass(ms(0), ms(145), 10_000), ms(165), "half before the far chunk, half after it");
}

#[test]
fn the_past_is_forgotten_and_pieces_are_joined() {
    let mut line = Line::new(8 * MBIT);
    for step in 0..100 {
        line.pass(ms(0), ms(step), 1_000);
    }
    assert_eq!(line.taken.len(), 1, "they touch");
    line.pass(ms(500), ms(500), 1_000);
    assert_eq!(line.taken.len(), 1);
    assert_eq!(line.busy_until(), ms(501));
}

#[test]
fn a_line_with_too_many_pieces_gives_gaps_up_and_keeps_its_rate() {
    let mut line = Line::new(8 * MBIT);
    for step in 0..2 * PIECES_MAX as u64 {
        assert_eq!(line.pass(ms(0), ms(10 * step), 1_000), ms(10 * step + 1));
        assert!(line.taken.len() <= PIECES_MAX + 1);
    }
    // The first gap was given up: what comes at 1 ms waits until the first gap that is still known.
    assert!(line.pass(ms(0), ms(1), 1_000) > ms(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, rng_seed: RngSeed::Fixed(0x11e), ..ProptestConfig::default() })]

    #[test]
    fn the_rate_is_never_exceeded_and_the_line_never_idles_with_work(
        chunks in prop::collection::vec((0..50_u64, 0..200_u64, 1..20_000_u64), 1..60), mbit in 1..50_u64,
    ) {
        let mut line = Line::new(mbit * MBIT);
        let (mut now, mut total) = (0, 0);
        let mut last = Nanos::ZERO;
        for (wait, ahead, bytes) in &chunks {
            now += wait;
            let at = ms(now + ahead);
            let done = line.pass(ms(now), at, *bytes);
            prop_assert!(done >= at + line.span(*bytes), "not faster than an idle line");
            last = last.max(done);
            total += line.span(*bytes).0;
        }
        let first = chunks.iter().scan(0, |now, (wait, ahead, _)| { *now += wait; Some(*now + ahead) }).min().unwrap_or(0);
        prop_assert!(last.0 - ms(first).0 >= total, "all bytes need at least their spans");
        prop_assert_eq!(line.busy_until(), last);
        // All there at once: the line is done exactly when it has worked for their spans.
        let mut full = Line::new(mbit * MBIT);
        let done = chunks.iter().map(|(_, _, bytes)| full.pass(Nanos::ZERO, Nanos::ZERO, *bytes)).max();
        prop_assert_eq!(done, Some(Nanos(total)));
    }
}
