use super::*;

fn near(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() <= by
}

#[test]
fn quantiles_are_those_of_the_stations_results() {
    let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
    let quantiles = Quantiles::of(&values).unwrap();
    assert_eq!((quantiles.n, quantiles.min, quantiles.p50, quantiles.p90, quantiles.p99, quantiles.max), (100, 1.0, 50.5, 90.5, 99.5, 100.0));
    assert_eq!(Quantiles::of(&[1.0, 2.0]).map(|two| two.p50), station_node::results::Quantiles::of(vec![2.0, 1.0]).map(|two| two.p50));
    assert_eq!(crate::world::outcome::Quantiles::of([2, 1]).p50, 1.5, "of counts too");
    assert!(near(quantiles.mean, 50.5, 1e-9));
    assert_eq!(Quantiles::of(&[3.0]).map(|one| (one.p50, one.p99)), Some((3.0, 3.0)));
    assert_eq!(Quantiles::of(&[f64::NAN]), None);
}

/// NIST/SEMATECH e-Handbook, 1.3.5.2, confidence limits for the mean, ZARR13.DAT: 195 values, mean 9.261460, deviation 0.022789,
/// limits 9.258242 and 9.264679. The data are replaced by two values that give the same moments.
#[test]
fn a_confidence_interval_is_that_of_the_handbook() {
    let (mean, deviation) = (9.261_460_f64, 0.022_789_f64);
    // 97 values on either side and one in the middle: their sum of squares is 194 × step².
    let step = deviation;
    let values: Vec<f64> = (0..195)
        .map(|i| {
            if i == 194 {
                mean
            } else if i % 2 == 0 {
                mean + step
            } else {
                mean - step
            }
        })
        .collect();
    let estimate = Estimate::of(&values).unwrap();
    assert!(near(estimate.mean, mean, 1e-9) && near(estimate.deviation.unwrap(), deviation, 1e-9));
    let (low, high) = estimate.interval().unwrap();
    // The table's next lower step, 120 degrees, makes it wider by less than one part in a hundred.
    assert!(near(low, 9.258_242, 3e-5) && near(high, 9.264_679, 3e-5), "{low} {high}");
    assert!(low <= 9.258_242 && high >= 9.264_678, "never narrower");
}

/// Worked by hand: 2, 4, 4, 4, 5, 5, 7, 9 have mean 5 and squares 32, so the deviation is √(32/7) = 2.138 and with t₇ = 2.365 the half
/// is 2.365 × 2.138 ÷ √8 = 1.788.
#[test]
fn a_small_sample_uses_students_t() {
    let estimate = Estimate::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
    assert!(near(estimate.mean, 5.0, 1e-12) && near(estimate.deviation.unwrap(), 2.138, 5e-4) && near(estimate.half.unwrap(), 1.788, 1e-3));
    let one = Estimate::of(&[3.0]).unwrap();
    assert_eq!((one.deviation, one.half, one.interval()), (None, None, None));
    assert_eq!(Estimate::of(&[]), None);
}

#[test]
fn the_table_of_students_t_is_the_inverse_of_the_integral() {
    let below = |t: f64, freedom: u32| {
        let f = f64::from(freedom);
        let density = |x: f64| (1.0 + x * x / f).powf(-(f + 1.0) / 2.0);
        // ∫₀^∞ by x = u / (1 − u), so that no gamma function is needed.
        let whole = simpson(|u| if u >= 1.0 { 0.0 } else { density(u / (1.0 - u)) / (1.0 - u).powi(2) }, 1.0, 20_000);
        0.5 + 0.5 * simpson(density, t, 20_000) / whole
    };
    for freedom in (2..=30).chain([40, 60, 120]) {
        let t = student(freedom as usize);
        assert!(near(below(t, freedom), 0.975, 6e-5), "{freedom}: {t}");
    }
    // One degree is Cauchy's distribution: tan(0.475 π).
    assert!(near(student(1), (0.475 * std::f64::consts::PI).tan(), 5e-4));
    assert!((1..500).all(|freedom| student(freedom) >= student(freedom + 1)), "it never grows");
}

fn simpson(f: impl Fn(f64) -> f64, to: f64, steps: u32) -> f64 {
    let h = to / f64::from(steps);
    let inner: f64 = (1..steps).map(|i| f(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    (f(0.0) + inner + f(to)) * h / 3.0
}

fn arm(values: &[f64]) -> Vec<(u64, f64)> {
    (1..).zip(values.iter().copied()).collect()
}

#[test]
fn one_seed_never_shows_that_something_is_better() {
    for seeds in 1..SEEDS_MIN {
        let first: Vec<f64> = (0..seeds).map(|i| 100.0 + 0.001 * i as f64).collect();
        let second: Vec<f64> = first.iter().map(|value| value / 100.0).collect();
        assert_eq!(paired(&arm(&first), &arm(&second), Better::Lower).unwrap().verdict, Verdict::TooFewSeeds);
    }
    assert_eq!(paired(&[(1, 1.0)], &[(2, 1.0)], Better::Lower), None);
}

/// Student's own example (1908, the sleep data): extra hours of sleep of ten patients with two drugs. Mean difference 1.58, deviation
/// 1.23, t = 4.06, 95 % interval 0.70 to 2.46.
#[test]
fn students_sleepers_sleep_longer_with_the_second_drug() {
    let first = arm(&[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]);
    let second = arm(&[1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]);
    let comparison = paired(&first, &second, Better::Higher).unwrap();
    let (low, high) = comparison.difference.interval().unwrap();
    assert!(near(comparison.difference.mean, 1.58, 1e-9) && near(comparison.difference.deviation.unwrap(), 1.23, 5e-3));
    assert!(near(low, 0.70, 5e-3) && near(high, 2.46, 5e-3), "{low} {high}");
    assert!(near(comparison.effect.unwrap() * 10.0_f64.sqrt(), 4.06, 5e-3));
    assert_eq!(comparison.verdict, Verdict::Better);
    assert_eq!(paired(&first, &second, Better::Lower).unwrap().verdict, Verdict::Worse);
    assert_eq!(paired(&first, &second, Better::Neither).unwrap().verdict, Verdict::Differs);
}

#[test]
fn pairing_shows_what_luck_common_to_both_arms_would_hide() {
    // The seeds differ by hundreds, the arms by ten.
    let luck = [500.0, 120.0, 830.0, 310.0, 610.0, 90.0, 450.0, 720.0];
    let second: Vec<f64> = luck.iter().zip([9.0, 11.0, 10.0, 10.5, 9.5, 10.0, 11.5, 8.5]).map(|(luck, gain)| luck - gain).collect();
    let comparison = paired(&arm(&luck), &arm(&second), Better::Lower).unwrap();
    assert_eq!(comparison.verdict, Verdict::Better);
    assert!(comparison.first.half.unwrap() > 100.0 && comparison.difference.half.unwrap() < 1.0);
}

#[test]
fn what_varies_around_nothing_is_not_shown() {
    let first = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let second = [2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0];
    assert_eq!(paired(&arm(&first), &arm(&second), Better::Lower).unwrap().verdict, Verdict::NotShown);
    assert_eq!(paired(&arm(&first), &arm(&first), Better::Lower).unwrap().verdict, Verdict::NotShown, "no difference at all");
    let rounded: Vec<f64> = first.iter().map(|value| value * (1.0 + 1e-14)).collect();
    assert_eq!(paired(&arm(&first), &arm(&rounded), Better::Lower).unwrap().verdict, Verdict::NotShown, "the arithmetic's");
}

#[test]
fn a_distribution_keeps_its_ends_and_its_order() {
    let values: Vec<f64> = (0..10_000).map(|i| f64::from((i * 7_919) % 10_000)).collect();
    let Cdf(points) = Cdf::of(&values);
    assert_eq!(points.len(), CDF_POINTS_MAX);
    assert_eq!((points[0].0, points[points.len() - 1]), (0.0, (9_999.0, 1.0)));
    assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
    assert!(points.iter().all(|(value, share)| near(*share, (value + 1.0) / 10_000.0, 1e-9)));
    assert_eq!(Cdf::of(&[5.0]).0, [(5.0, 1.0)]);
    assert_eq!(Cdf::of(&[]).0, []);
}

#[test]
fn a_histogram_counts_every_value_once() {
    let histogram = Histogram::of(&[0.0, 1.0, 1.5, 4.0, 9.9, 10.0], 5);
    assert_eq!((histogram.from, histogram.width, histogram.counts.as_slice()), (0.0, 2.0, [3, 0, 1, 0, 2].as_slice()));
    assert_eq!(Histogram::of(&[3.0, 3.0], 4).counts, [2, 0, 0, 0]);
    assert_eq!(Histogram::of(&[], 4).counts, Vec::<u64>::new());
}
