//! The order in which delays fire is upstream's; in virtual time they fire when the clock says so.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use proptest::prelude::*;

use super::Delay;

/// What a case does to one delay, in steps of 20 ms: far enough apart that upstream's thread wakes between two of them.
#[derive(Clone, Copy, Debug)]
struct Plan {
    first: u64,
    reset: Option<u64>,
}

impl Plan {
    fn end(self) -> u64 {
        self.reset.unwrap_or(self.first)
    }
}

const STEP_MS: u64 = 20;

fn step(steps: u64) -> Duration {
    Duration::from_millis(STEP_MS * steps)
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    // Distinct ends: within one instant upstream promises no order either.
    let ends = Just((1..=6).collect::<Vec<u64>>()).prop_shuffle();
    (ends, prop::collection::vec(prop::option::of(1..=8_u64), 6)).prop_map(|(ends, firsts)| {
        ends.into_iter()
            .zip(firsts)
            .map(|(end, first)| first.map_or(Plan { first: end, reset: None }, |first| Plan { first, reset: Some(end) }))
            .collect()
    })
}

async fn order<F: Future<Output = ()> + Unpin>(plans: &[Plan], new: fn(Duration) -> F, reset: fn(&mut F, Duration)) -> Vec<usize> {
    let waiting = FuturesUnordered::new();
    for (index, plan) in plans.iter().enumerate() {
        let mut delay = new(step(plan.first));
        if let Some(end) = plan.reset {
            // It is known to the timer before it is moved.
            assert!(futures::poll!(&mut delay).is_pending());
            reset(&mut delay, step(end));
        }
        waiting.push(async move {
            delay.await;
            index
        });
    }
    waiting.collect().await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delays_fire_in_the_order_of_upstreams(plans in plans()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (ours, upstream) = runtime.block_on(async {
            futures::join!(
                order(&plans, Delay::new, Delay::reset),
                order(&plans, upstream_timer::Delay::new, upstream_timer::Delay::reset),
            )
        });
        let mut expected: Vec<usize> = (0..plans.len()).collect();
        expected.sort_by_key(|index| plans[*index].end());
        prop_assert_eq!(&upstream, &expected);
        prop_assert_eq!(ours, upstream);
    }
}

#[tokio::test(start_paused = true)]
async fn in_virtual_time_an_hour_passes_at_once_and_exactly() {
    let begun = tokio::time::Instant::now();
    Delay::new(Duration::from_secs(3_600)).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(3_600));
}

#[tokio::test(start_paused = true)]
async fn a_delay_of_nothing_is_not_ready_at_once_but_at_the_next_tick() {
    let begun = tokio::time::Instant::now();
    let mut delay = Delay::new(Duration::ZERO);
    assert!(futures::poll!(&mut delay).is_pending());
    delay.await;
    assert_eq!(begun.elapsed(), super::TICK);
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_fired_fires_again_after_a_reset() {
    let begun = tokio::time::Instant::now();
    let mut delay = Delay::new(Duration::from_millis(5));
    (&mut delay).await;
    delay.reset(Duration::from_millis(7));
    assert!(futures::poll!(&mut delay).is_pending());
    delay.await;
    assert_eq!(begun.elapsed(), Duration::from_millis(12));
}

#[tokio::test(start_paused = true)]
async fn the_longest_duration_is_no_overflow() {
    let mut delay = Delay::new(Duration::MAX);
    assert!(futures::poll!(&mut delay).is_pending());
}
