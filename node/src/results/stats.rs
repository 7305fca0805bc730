//! Quantiles of a few readings.
//!
//! Guarantees: nearest-rank quantiles, so that every figure shown was really measured. Deliberately lacks means: one slow station
//! would own them.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub n: usize,
    pub min: f64,
    pub p50: f64,
    pub p95: f64,
    pub max: f64,
}

impl Quantiles {
    /// Of `values` in any order; none when there are none. Values that are not finite are left out.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { n: values.len(), min, p50: quantile(&values, 0.50), p95: quantile(&values, 0.95), max })
    }
}

/// The nearest-rank `q`-quantile of sorted, non-empty `values`.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rank of a list in memory")]
    let rank = (q * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let quantiles = Quantiles::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]).expect("five values");
        assert_eq!((quantiles.n, quantiles.min, quantiles.p50, quantiles.p95, quantiles.max), (5, 1.0, 3.0, 5.0, 5.0));
    }

    #[test]
    fn nothing_measured_has_no_quantiles() {
        assert_eq!(Quantiles::of(vec![f64::NAN]), None);
    }
}
