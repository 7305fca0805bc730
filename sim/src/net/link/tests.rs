use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const GBIT: u64 = 1_000_000_000;

fn ms(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

fn way(latency_ms: u64, loss: &str) -> Way {
    Way { latency: ms(latency_ms), jitter: "0%".parse().unwrap(), loss: loss.parse().unwrap() }
}

fn luck() -> Luck {
    Luck::new(7, "link", "test")
}

/// The arrival of the last of `bytes` written at once at `now`.
fn write(stream: &mut Stream, now: Nanos, bytes: u64, way: &Way, lines: &mut (Line, Line), luck: &mut Luck) -> Nanos {
    let mut left = bytes;
    let mut arrived = now;
    while left > 0 {
        let chunk = left.min(CHUNK_BYTES_MAX);
        arrived = stream.send(now, chunk, way, &mut lines.0, &mut lines.1, luck).arrived;
        left -= chunk;
    }
    arrived
}

#[test]
fn a_small_message_takes_the_latency_and_its_time_on_both_lines() {
    let mut lines = (Line::new(8_000_000), Line::new(80_000_000));
    let chunk = Stream::new(Tcp::Slowstart).send(ms(5), 1_000, &way(40, "0%"), &mut lines.0, &mut lines.1, &mut luck());
    assert_eq!(chunk, Chunk { sent: ms(6), arrived: ms(46) + Nanos::from_micros(100) });
}

#[test]
fn slow_start_doubles_per_round_trip_and_forgets_when_idle() {
    let mut lines = (Line::new(GBIT), Line::new(GBIT));
    let (way, mut luck) = (way(50, "0%"), luck());
    let mut stream = Stream::new(Tcp::Slowstart);
    // 10 segments, then 20, then 40: 100,000 bytes need three windows, hence two round trips more than the latency.
    let first = write(&mut stream, ms(0), 100_000, &way, &mut lines, &mut luck);
    assert!((ms(250)..ms(255)).contains(&first), "{first:?}");
    // The window is warm now: the same bytes again need less.
    let warm = write(&mut stream, ms(300), 100_000, &way, &mut lines, &mut luck) - ms(300);
    assert!(warm < ms(160), "{warm:?}");
    let idle = write(&mut stream, ms(5_000), 100_000, &way, &mut lines, &mut luck) - ms(5_000);
    assert!((ms(250)..ms(255)).contains(&idle), "{idle:?}");
    // Without it the lines alone count.
    let mut lines = (Line::new(GBIT), Line::new(GBIT));
    let open = write(&mut Stream::new(Tcp::None), ms(0), 100_000, &way, &mut lines, &mut luck);
    assert!(open < ms(53), "{open:?}");
}

#[test]
fn a_window_is_not_exceeded_by_more_than_a_chunk() {
    let (way, mut luck) = (way(50, "0%"), luck());
    let mut lines = (Line::new(100 * GBIT), Line::new(100 * GBIT));
    let mut stream = Stream::new(Tcp::Slowstart);
    let first_round = (0..20).filter(|_| stream.send(ms(0), 1_448, &way, &mut lines.0, &mut lines.1, &mut luck).sent < ms(100)).count();
    assert_eq!(first_round, 10);
}

#[test]
fn a_lost_segment_costs_a_round_trip_or_a_time_out_and_never_bytes() {
    let (clean, lossy) = (way(50, "0%"), way(50, "10%"));
    let mut luck = luck();
    let (mut whole, mut tail) = (Vec::new(), Vec::new());
    for run in 0..400 {
        let mut lines = (Line::new(GBIT), Line::new(GBIT));
        let bytes = if run % 2 == 0 { 10 * SEGMENT_BYTES } else { 100 };
        let expected = Stream::new(Tcp::Slowstart).send(ms(0), bytes, &clean, &mut lines.0, &mut lines.1, &mut luck).arrived;
        let mut lines = (Line::new(GBIT), Line::new(GBIT));
        let late = Stream::new(Tcp::Slowstart).send(ms(0), bytes, &lossy, &mut lines.0, &mut lines.1, &mut luck).arrived - expected;
        if run % 2 == 0 { whole.push(late) } else { tail.push(late) }
    }
    // Ten segments: later ones report the loss, so the least delay is one round trip. One alone waits for the time-out.
    let least = |delays: &[Nanos]| delays.iter().copied().filter(|delay| *delay > Nanos::ZERO).min();
    assert_eq!(least(&whole), Some(ms(100)));
    assert_eq!(least(&tail), Some(ms(300)));
    let lost = |delays: &[Nanos]| delays.iter().filter(|delay| **delay > Nanos::ZERO).count();
    // 1 − 0.9¹⁰ = 65 % and 10 % of 200.
    assert!((100..160).contains(&lost(&whole)), "{}", lost(&whole));
    assert!((8..36).contains(&lost(&tail)), "{}", lost(&tail));
}

#[test]
fn a_loss_halves_the_window() {
    let mut luck = luck();
    let mut lines = (Line::new(GBIT), Line::new(GBIT));
    let mut stream = Stream::new(Tcp::Slowstart);
    write(&mut stream, ms(0), 200_000, &way(10, "0%"), &mut lines, &mut luck);
    let before = stream.window;
    stream.send(ms(200), CHUNK_BYTES_MAX, &way(10, "100%"), &mut lines.0, &mut lines.1, &mut luck);
    assert_eq!(stream.window, (before / 2).max(2 * SEGMENT_BYTES));
}

#[test]
fn datagrams_are_lost_as_often_as_said_and_take_the_latency() {
    let mut luck = luck();
    let way = way(20, "30%");
    let mut lines = (Line::new(GBIT), Line::new(GBIT));
    let arrived: Vec<_> = (0..2_000_u64).filter_map(|n| Some(way.datagram(ms(n), 100, &mut lines.0, &mut lines.1, &mut luck)? - ms(n))).collect();
    assert!((1_300..1_500).contains(&arrived.len()), "{}", arrived.len());
    assert!(arrived.iter().all(|delay| (ms(20)..ms(21)).contains(delay)));
}

#[test]
fn an_opening_segment_waits_a_second_for_each_loss() {
    let mut luck = luck();
    let mut delays: Vec<_> = (0..200).map(|_| way(20, "30%").opening(ms(0), &mut luck)).collect();
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(&delays[..3], &[ms(20), ms(1_020), ms(3_020)]);
}

#[test]
fn two_streams_share_a_line_chunk_by_chunk() {
    let mut lines = (Line::new(8_000_000), Line::new(GBIT));
    let (way, mut luck) = (way(1, "0%"), luck());
    let (mut a, mut b) = (Stream::new(Tcp::None), Stream::new(Tcp::None));
    let (mut last_a, mut last_b) = (Nanos::ZERO, Nanos::ZERO);
    for _ in 0..50 {
        last_a = a.send(ms(0), 10_000, &way, &mut lines.0, &mut lines.1, &mut luck).arrived;
        last_b = b.send(ms(0), 10_000, &way, &mut lines.0, &mut lines.1, &mut luck).arrived;
    }
    // A megabyte in all at a megabyte per second: both are done at its end, neither in half the time.
    assert!(last_a > ms(985) && last_b > ms(995) && last_b < ms(1_005), "{last_a:?} {last_b:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, rng_seed: RngSeed::Fixed(0x117), ..ProptestConfig::default() })]

    #[test]
    fn order_is_kept_the_latency_is_the_floor_and_the_rate_the_ceiling(
        sends in prop::collection::vec((0..300_u64, 1..=CHUNK_BYTES_MAX), 1..40),
        latency in 1..200_u64, up in 1..100_u64, down in 1..100_u64, jitter in 0..=100_u32, loss in 0..=30_u32, slow in any::<bool>(), seed in any::<u64>(),
    ) {
        let way = Way {
            latency: ms(latency),
            jitter: Jitter::Share(Share::millionths(jitter * 10_000).unwrap()),
            loss: Share::millionths(loss * 10_000).unwrap(),
        };
        let run = || {
            let (mut luck, mut stream) = (Luck::new(seed, "link", ""), Stream::new(if slow { Tcp::Slowstart } else { Tcp::None }));
            let (mut up, mut down) = (Line::new(up * 1_000_000), Line::new(down * 1_000_000));
            let mut now = 0;
            let chunks: Vec<_> = sends.iter().map(|(wait, bytes)| {
                now += wait;
                (ms(now), *bytes, stream.send(ms(now), *bytes, &way, &mut up, &mut down, &mut luck))
            }).collect();
            chunks
        };
        let chunks = run();
        prop_assert_eq!(&run(), &chunks, "the same luck, the same arrivals");
        let slower = Line::new(up.min(down) * 1_000_000);
        let (mut last, mut total) = (Nanos::ZERO, 0);
        for (at, bytes, chunk) in &chunks {
            prop_assert!(chunk.sent >= *at && chunk.arrived >= chunk.sent + way.latency, "the latency is the floor");
            prop_assert!(chunk.arrived >= *at + way.latency + Line::new(up * 1_000_000).span(*bytes) );
            prop_assert!(chunk.arrived >= last, "order is kept");
            last = chunk.arrived;
            total += bytes;
        }
        prop_assert!(last >= chunks[0].0 + way.latency + slower.span(total) , "no more bytes than the slower line carries");
    }
}
