//! What may be concluded from figures of several runs.
//!
//! Guarantees: quantiles are those of the station's results; a mean has a 95 % confidence interval or says that one run has
//! none; arms are compared seed by seed, because runs with one seed share their luck; "better" is never said with fewer than
//! [`SEEDS_MIN`] seeds. Deliberately lacks corrections for many comparisons: who sweeps twenty parameters finds one better by chance.

use serde::{Deserialize, Serialize};
use station_node::results::stats::quantile;

#[cfg(test)]
mod tests;

/// Fewest pairs for a verdict: when nothing differs, six differences of one sign come 2 in 64 times (3 %), five come 1 in 16 times.
pub const SEEDS_MIN: usize = 6;
/// Points of a distribution that are kept for a chart: more than it has pixels across.
pub const CDF_POINTS_MAX: usize = 400;

/// A few points of a distribution. All values are in the unit of what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    pub n: u64,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Quantiles {
    /// Of `values` in any order; none when there are none. Values that are not finite are left out.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let at = |q| quantile(&sorted, q);
        Some(Self { n: sorted.len() as u64, min, mean: mean(&sorted), p50: at(0.5), p90: at(0.9), p99: at(0.99), max })
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[expect(clippy::cast_precision_loss, reason = "counts of values in memory")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// A distribution for a chart: value → share of all that are not larger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cdf(pub Vec<(f64, f64)>);

impl Cdf {
    /// Of `values` in any order, at most [`CDF_POINTS_MAX`] points, the smallest and the largest among them.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of values in memory")]
    pub fn of(values: &[f64]) -> Self {
        let sorted = sorted(values);
        let count = sorted.len();
        let points = count.min(CDF_POINTS_MAX);
        let rank = |point: usize| if points < 2 { 0 } else { point * (count - 1) / (points - 1) };
        Self((0..points).map(rank).map(|rank| (sorted[rank], (rank + 1) as f64 / count as f64)).collect())
    }
}

/// Counts of values in boxes of equal width.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Where the first box begins, and how wide each is.
    pub from: f64,
    pub width: f64,
    pub counts: Vec<u64>,
}

impl Histogram {
    /// Of `values` in `boxes` boxes from the smallest to the largest, which falls into the last.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a box of a chart")]
    pub fn of(values: &[f64], boxes: usize) -> Self {
        let sorted = sorted(values);
        let (Some(min), Some(max), true) = (sorted.first(), sorted.last(), boxes > 0) else { return Self::default() };
        let width = if max > min { (max - min) / boxes as f64 } else { 1.0 };
        let mut counts = vec![0; boxes];
        for value in &sorted {
            counts[(((value - min) / width) as usize).min(boxes - 1)] += 1;
        }
        Self { from: *min, width, counts }
    }
}

/// A mean of several runs, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    pub n: u64,
    pub mean: f64,
    /// Of the sample (divided by n − 1); none for one value.
    pub deviation: Option<f64>,
    /// Half of the 95 % confidence interval of the mean, if the values are drawn from something like a normal distribution.
    pub half: Option<f64>,
}

impl Estimate {
    /// Of `values`; none when there are none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mean = mean(values);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        let half = deviation.map(|deviation| student(n - 1) * deviation / (n as f64).sqrt());
        Some(Self { n: n as u64, mean, deviation, half })
    }

    /// The interval's ends; of one value there is none.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.half.map(|half| (self.mean - half, self.mean + half))
    }
}

/// Differences below this part of the values are the arithmetic's, not the arms'.
const ROUNDING: f64 = 1e-9;

/// 0.975-quantiles of Student's t for 1 to 30 degrees of freedom, to three decimals: the density integrated by Simpson's rule and
/// inverted by bisection, as the test repeats; they agree with the printed tables (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/// Beyond, by steps; between two steps the smaller number of degrees counts, which makes intervals wider and never narrower.
const STUDENT_STEPS: [(usize, f64); 4] = [(30, 2.042), (40, 2.021), (60, 2.000), (120, 1.980)];

/// The 0.975-quantile for `freedom` degrees, at least one.
fn student(freedom: usize) -> f64 {
    let step = || STUDENT_STEPS.iter().rev().find(|(from, _)| *from <= freedom).map_or(STUDENT[0], |(_, t)| *t);
    STUDENT.get(freedom.max(1) - 1).copied().unwrap_or_else(step)
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Lower,
    Higher,
    /// Neither: a figure that only describes.
    Neither,
}

/// What a comparison says of its second arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Fewer than [`SEEDS_MIN`] seeds ran in both arms: nothing can be said.
    TooFewSeeds,
    /// The interval of the differences contains none: nothing is shown, which is not the same as no difference.
    NotShown,
    Better,
    Worse,
    /// It differs, and neither way is better.
    Differs,
}

impl Verdict {
    /// In a sentence's words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::TooFewSeeds => "too few seeds to say",
            Self::NotShown => "no difference shown",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Differs => "differs",
        }
    }
}

/// Two arms, compared seed by seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    pub first: Estimate,
    pub second: Estimate,
    /// Second less first, over the seeds that both have.
    pub difference: Estimate,
    /// The difference in standard deviations of the differences (Cohen's d for pairs); none when they do not vary.
    pub effect: Option<f64>,
    pub verdict: Verdict,
}

/// Compares two arms given as (seed, value); seeds that only one has are left out, a seed that comes twice counts once. None when
/// they share no seed.
#[must_use]
pub fn paired(first: &[(u64, f64)], second: &[(u64, f64)], better: Better) -> Option<Paired> {
    let by_seed = |arm: &[(u64, f64)]| arm.iter().copied().filter(|(_, value)| value.is_finite()).collect::<std::collections::BTreeMap<u64, f64>>();
    let (first, second) = (by_seed(first), by_seed(second));
    let pairs: Vec<(f64, f64)> = first.iter().filter_map(|(seed, a)| Some((*a, *second.get(seed)?))).collect();
    let column = |of: fn(&(f64, f64)) -> f64| Estimate::of(&pairs.iter().map(of).collect::<Vec<_>>());
    let difference = column(|(a, b)| b - a)?;
    let noise = pairs.iter().map(|(a, b)| a.abs().max(b.abs())).fold(0.0, f64::max) * ROUNDING;
    let verdict = match difference.interval() {
        _ if pairs.len() < SEEDS_MIN => Verdict::TooFewSeeds,
        Some((low, high)) if low > noise || high < -noise => match (better, low > 0.0) {
            (Better::Lower, false) | (Better::Higher, true) => Verdict::Better,
            (Better::Lower, true) | (Better::Higher, false) => Verdict::Worse,
            (Better::Neither, _) => Verdict::Differs,
        },
        _ => Verdict::NotShown,
    };
    let effect = difference.deviation.filter(|deviation| *deviation > noise).map(|deviation| difference.mean / deviation);
    Some(Paired { first: column(|(a, _)| *a)?, second: column(|(_, b)| *b)?, difference, effect, verdict })
}
