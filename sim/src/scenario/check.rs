//! Checks: what must hold in a run, always or in the end.
//!
//! ```toml
//! [[check]]
//! always = "no_accepted_wrong_result"
//! [[check]]
//! eventually = "p99(propagation) < 2s"
//! ```
//!
//! Guarantees: a bound's value has its measure's unit; integers only. Deliberately lacks a language: one comparison a check.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use station_protocol::human::Span;

use super::units::Share;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub enum Check {
    /// At every moment.
    Always(Invariant),
    /// At the latest so long after the moment; without a span: at the end of the run.
    Eventually { goal: Goal, within: Option<Span>, after: After },
}

/// What no run may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    NoJobSettledTwice,
    /// While most of each job's executions are honest.
    NoAcceptedWrongResult,
    NoCreditAfterExpiry,
    BoundedQueues,
    /// Nothing stored or contacted that policy did not allow.
    OnlyWhatPolicyAllows,
    /// No target is asked more than 1.2 times its cap a day, whatever the number of requesters.
    TargetCaps,
    /// No operator has a larger share of the seats than of the clusters.
    SeatsByCluster,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Each job has a verdict, whatever it says.
    EveryJobSettles,
    /// Each job has a verdict that says what the work came to: stations agreed, or what was to be measured was.
    EveryJobAgrees,
    Bound(Bound),
}

/// From when a goal's span counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    Start,
    /// When the last fault ends; the start when there are none.
    #[default]
    Heal,
}

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub measure: Measure,
    pub order: Order,
    /// In the measure's unit.
    pub value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Of(Statistic, Latency),
    Figure(Figure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Mean,
    P50,
    P90,
    P99,
    Max,
}

/// Spans in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// From a Call to a station that hears it.
    Propagation,
    /// From publication to the first claim.
    Claim,
    /// From publication to the first lease.
    Lease,
    /// From publication to the first receipt.
    Result,
    /// From publication to each job's verdict.
    Verdict,
}

/// Single figures of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Of all pairs of a Call and an honest station that was up, the share that was heard.
    Delivered,
    /// Share of jobs with a verdict.
    Settled,
    /// Share of jobs whose verdict is a wrong result.
    Wrong,
    /// Copies of a message that a station got beyond the first, in thousandths.
    Duplicates,
    /// Executions per job, in thousandths.
    Redundancy,
    /// Share of dials that made a connection, direct or relayed.
    Dialled,
}

/// What a measure's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Milliseconds,
    Millionths,
    Thousandths,
}

const INVARIANTS: [(&str, Invariant); 7] = [
    ("no_job_settled_twice", Invariant::NoJobSettledTwice),
    ("no_accepted_wrong_result", Invariant::NoAcceptedWrongResult),
    ("no_credit_after_expiry", Invariant::NoCreditAfterExpiry),
    ("bounded_queues", Invariant::BoundedQueues),
    ("only_what_policy_allows", Invariant::OnlyWhatPolicyAllows),
    ("target_caps", Invariant::TargetCaps),
    ("seats_by_cluster", Invariant::SeatsByCluster),
];
const STATISTICS: [(&str, Statistic); 5] =
    [("mean", Statistic::Mean), ("p50", Statistic::P50), ("p90", Statistic::P90), ("p99", Statistic::P99), ("max", Statistic::Max)];
const LATENCIES: [(&str, Latency); 5] = [
    ("propagation", Latency::Propagation),
    ("claim", Latency::Claim),
    ("lease", Latency::Lease),
    ("result", Latency::Result),
    ("verdict", Latency::Verdict),
];
const FIGURES: [(&str, Figure); 6] = [
    ("delivered", Figure::Delivered),
    ("settled", Figure::Settled),
    ("wrong", Figure::Wrong),
    ("duplicates", Figure::Duplicates),
    ("redundancy", Figure::Redundancy),
    ("dialled", Figure::Dialled),
];
const ORDERS: [(&str, Order); 4] = [("<=", Order::AtMost), (">=", Order::AtLeast), ("<", Order::Below), (">", Order::Above)];

const GOAL: &str = "write \"every_job_settles\", \"every_job_agrees\" or a bound like \"p99(propagation) < 2s\" (mean, p50, p90, p99, max of propagation, claim, lease, result, \
                    verdict), \"delivered >= 99%\" (delivered, settled, wrong, dialled) or \"duplicates < 8\" (duplicates, redundancy)";

fn find<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

impl Invariant {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        word(&INVARIANTS, self)
    }
}

impl Latency {
    pub const ALL: [Self; 5] = [Self::Propagation, Self::Claim, Self::Lease, Self::Result, Self::Verdict];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        word(&LATENCIES, self)
    }
}

impl Measure {
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Of(..) => Unit::Milliseconds,
            Self::Figure(Figure::Duplicates | Figure::Redundancy) => Unit::Thousandths,
            Self::Figure(Figure::Delivered | Figure::Settled | Figure::Wrong | Figure::Dialled) => Unit::Millionths,
        }
    }
}

impl FromStr for Measure {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let of = text.strip_suffix(')').and_then(|text| text.split_once('('));
        let measure = match of {
            Some((statistic, latency)) => {
                find(&STATISTICS, statistic).zip(find(&LATENCIES, latency)).map(|(statistic, latency)| Self::Of(statistic, latency))
            }
            None => find(&FIGURES, text).map(Self::Figure),
        };
        measure.ok_or_else(|| format!("{text:?} is no measure: {GOAL}"))
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(statistic, latency) => write!(f, "{}({})", word(&STATISTICS, *statistic), latency.name()),
            Self::Figure(figure) => f.write_str(word(&FIGURES, *figure)),
        }
    }
}

impl FromStr for Bound {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no bound: {GOAL}");
        let (sign, order) = *ORDERS.iter().find(|(sign, _)| text.contains(sign)).ok_or_else(bad)?;
        let (measure, value) = text.split_once(sign).ok_or_else(bad)?;
        let (measure, value): (Measure, &str) = (measure.trim().parse()?, value.trim());
        let value = match measure.unit() {
            Unit::Milliseconds => value.parse().ok().map(|Span(ms)| ms),
            Unit::Millionths => value.parse().ok().map(|share: Share| u64::from(share.get())),
            Unit::Thousandths => thousandths(value),
        };
        value.map(|value| Self { measure, order, value }).ok_or_else(bad)
    }
}

fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 3 {
        return None;
    }
    format!("{whole}{fraction:0<3}").parse().ok()
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.measure, word(&ORDERS, self.order))?;
        match self.measure.unit() {
            Unit::Milliseconds => Span(self.value).fmt(f),
            Unit::Millionths => u32::try_from(self.value).ok().and_then(Share::millionths).unwrap_or(Share::ALL).fmt(f),
            Unit::Thousandths => match self.value % 1_000 {
                0 => write!(f, "{}", self.value / 1_000),
                rest => write!(f, "{}.{}", self.value / 1_000, format!("{rest:03}").trim_end_matches('0')),
            },
        }
    }
}

impl Bound {
    /// Whether `measured`, in the measure's unit, satisfies it.
    #[must_use]
    pub const fn holds(&self, measured: u64) -> bool {
        match self.order {
            Order::Below => measured < self.value,
            Order::AtMost => measured <= self.value,
            Order::Above => measured > self.value,
            Order::AtLeast => measured >= self.value,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryJobSettles => f.write_str("every_job_settles"),
            Self::EveryJobAgrees => f.write_str("every_job_agrees"),
            Self::Bound(bound) => bound.fmt(f),
        }
    }
}

/// As it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    always: Option<Invariant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eventually: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<After>,
}

impl TryFrom<Raw> for Check {
    type Error = String;
    fn try_from(raw: Raw) -> Result<Self, String> {
        match (raw.always, raw.eventually) {
            (Some(invariant), None) if raw.within.is_none() && raw.after.is_none() => Ok(Self::Always(invariant)),
            (Some(_), None) => Err("what holds always has neither within nor after: remove them".into()),
            (None, Some(goal)) => {
                let goal = match goal.as_str() {
                    "every_job_settles" => Goal::EveryJobSettles,
                    "every_job_agrees" => Goal::EveryJobAgrees,
                    bound => Goal::Bound(bound.parse()?),
                };
                Ok(Self::Eventually { goal, within: raw.within, after: raw.after.unwrap_or_default() })
            }
            _ => Err("a check has exactly one of the keys always and eventually".into()),
        }
    }
}

impl From<Check> for Raw {
    fn from(check: Check) -> Self {
        match check {
            Check::Always(invariant) => Self { always: Some(invariant), eventually: None, within: None, after: None },
            Check::Eventually { goal, within, after } => Self { always: None, eventually: Some(goal.to_string()), within, after: Some(after) },
        }
    }
}
