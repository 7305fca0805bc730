//! Quantiles of readings: the one rule for tables, JSON, pages, the simulator and benchmarks.
//!
//! Guarantees: a quantile is a reading, or the mean of the two readings that it lies between; so a median is that of the schoolbook.
//! Deliberately lacks means of all: one slow station would own them.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub n: usize,
    pub min: f64,
    /// The median.
    pub p50: f64,
    pub p95: f64,
    pub max: f64,
}

/// Of fewer readings the 95th percentile is the largest.
pub const P95_LEAST: usize = 20;

impl Quantiles {
    /// Of `values` in any order; none when there are none. Values that are not finite are left out.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { n: values.len(), min, p50: median(&values), p95: quantile(&values, 0.95), max })
    }
}

/// The median of sorted, non-empty `values`: the middle one, or the mean of the middle two.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A share of a count is a whole number within this part of the count: 0.07 times 100 is a little more than 7.
const ROUNDING: f64 = 1e-12;

/// The `q`-quantile of sorted, non-empty `values`: the smallest that so large a share of all does not exceed, and where exactly that share
/// ends at a value, the mean of it and the next (Hyndman and Fan's second definition).
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let last = values.len() - 1;
    #[expect(clippy::cast_precision_loss, reason = "a count of a list in memory")]
    let (count, share) = (values.len() as f64, q * values.len() as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank of a list in memory")]
    let rank = |rank: f64| (rank as usize).min(last);
    if (share - share.round()).abs() > count * ROUNDING {
        return values[rank(share.floor())];
    }
    f64::midpoint(values[rank((share.round() - 1.0).max(0.0))], values[rank(share.round())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_reading_or_the_mean_of_the_middle_two() {
        for (values, middle) in [
            (vec![7.0], 7.0),
            (vec![20.0, 10.0], 15.0),
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 3.0, 9.0], 3.5),
            (vec![-2.0, -1.0], -1.5),
            (vec![5.0, 5.0], 5.0),
            (vec![f64::MAX, f64::MAX], f64::MAX),
        ] {
            assert_eq!(Quantiles::of(values.clone()).expect("values").p50, middle, "{values:?}");
        }
    }

    #[test]
    fn other_quantiles_are_readings_or_lie_in_the_middle_of_two() {
        let quantiles = Quantiles::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]).expect("five values");
        assert_eq!((quantiles.n, quantiles.min, quantiles.p50, quantiles.p95, quantiles.max), (5, 1.0, 3.0, 5.0, 5.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        for percent in 1..100 {
            assert_eq!(quantile(&hundred, f64::from(percent) / 100.0), f64::from(percent) + 0.5, "{percent}");
            assert_eq!(quantile(&hundred[..99], f64::from(percent) / 100.0), f64::from(percent), "{percent} of 99");
        }
        assert_eq!((quantile(&hundred, 0.0), quantile(&hundred, 1.0)), (1.0, 100.0));
    }

    #[test]
    fn below_twenty_readings_the_95th_percentile_is_the_largest() {
        let of = |count: usize| Quantiles::of((0..count).map(|n| n as f64).collect()).expect("values");
        assert!((1..P95_LEAST).all(|count| of(count).p95 == of(count).max));
        assert!((P95_LEAST..200).all(|count| of(count).p95 < of(count).max));
    }

    #[test]
    fn nothing_measured_has_no_quantiles() {
        assert_eq!(Quantiles::of(vec![f64::NAN]), None);
    }
}
