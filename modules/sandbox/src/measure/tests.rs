//! What shapes say about the meter, on the processor that runs the test.

mod frames;

use wasm_encoder::ValType;

use super::{shapes, tiers};
use crate::artefact::Tier;
use crate::engine::FRAME_RATIO_MAX;
use crate::normalise;

/// Frames below this are all saved registers and alignment, which the smallest weight covers.
const SMALL: usize = 512;

/// Shapes in the short form; `STATION_SHAPES` asks for more, from `STATION_SHAPES_FROM`.
const SHAPES: u64 = 200;

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let from = number("STATION_SHAPES_FROM").unwrap_or(0);
    from..from + number("STATION_SHAPES").unwrap_or(SHAPES)
}

#[test]
fn no_shape_ends_differently_on_the_two_tiers_or_in_the_native_stack() {
    let tally = tiers::Tally::of(seeds());
    println!("{tally:?}");
    let differ = tally.different.len() + tally.wrong.len();
    println!(r#"{{"name":"shapes_that_differ","value":{differ},"unit":"modules","n":{}}}"#, seeds().count());
    assert!(tally.different.is_empty() && tally.wrong.is_empty(), "{tally:?}");
    let many = SHAPES / 10;
    assert!(tally.completed > many && tally.stack_overflow > many && tally.refused < many, "{tally:?}");
}

#[test]
fn shapes_are_modules_of_the_profile_and_the_same_for_the_same_seed() {
    for seed in 0..SHAPES {
        let (shape, endless) = (shapes::shape(seed), shapes::endless(seed));
        let valid = |module: &[u8]| wasmparser::Validator::new_with_features(crate::check::features()).validate_all(module).map(|_| ());
        assert_eq!((valid(&shape).err().map(|e| e.to_string()), valid(&endless).err().map(|e| e.to_string())), (None, None), "{seed}");
        assert_eq!(shape, shapes::shape(seed));
    }
}

#[test]
fn a_byte_of_counted_stack_stands_for_at_most_so_many_bytes_of_native_stack() {
    let mut worst = [(0.0, 0); 2];
    for seed in seeds() {
        let Some(ratios) = tiers::ratios(&shapes::endless(seed)) else { continue };
        for (worst, ratio) in worst.iter_mut().zip(ratios) {
            if ratio > worst.0 {
                *worst = (ratio, seed);
            }
        }
    }
    println!("{worst:?}");
    assert!(worst.iter().all(|(ratio, _)| *ratio <= FRAME_RATIO_MAX as f64), "{worst:?}");
}

#[test]
fn values_that_the_meter_counts_least_stay_below_the_ratio_too() {
    let mut worst = 0.0_f64;
    for (ty, count) in [(ValType::I64, 4_000), (ValType::F64, 2_000), (ValType::V128, 4_000)] {
        let ratios = tiers::ratios(&shapes::paired(ty, count)).unwrap();
        println!("{ty:?} {ratios:?}");
        worst = ratios.into_iter().fold(worst, f64::max);
    }
    assert!(worst <= FRAME_RATIO_MAX as f64, "{worst}");
}

#[test]
fn frames_on_aarch64_are_not_larger_than_the_ratio_allows_either() {
    let mut worst = (0.0, 0);
    for seed in seeds() {
        let Ok(normal) = normalise::module(&shapes::endless(seed)) else { continue };
        for tier in [Tier::Baseline, Tier::Optimised] {
            let (here, there) = (frames::on_x86_64(&normal, tier), frames::on_aarch64(&normal, tier));
            if here.max(there) < SMALL {
                continue;
            }
            let ratio = there as f64 / here as f64;
            if ratio > worst.0 {
                worst = (ratio, seed);
            }
        }
    }
    println!("{worst:?}");
    assert!(worst.0 < 2.0, "{worst:?}");
}
