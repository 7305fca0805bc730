//! Churn: stations that go and come back, as a list of absences drawn before the run.
//!
//! Guarantees: the absences depend on the seed and on each station's name alone; those of one station never overlap. Deliberately
//! lacks Weibull sessions: their quantiles need a power function whose last digit differs between machines; sessions here are
//! exponential.

use serde::{Deserialize, Serialize};
use station_protocol::human::Span;

use super::Scenario;
use super::fault::{Disk, Who};
use super::plan::Station;
use super::units::Share;
use crate::luck::Luck;

#[cfg(test)]
mod tests;

/// Absences of one station that are drawn: more would be a station that never is.
const ABSENCES_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    #[serde(default = "everyone")]
    pub who: Who,
    pub model: Model,
    /// From when.
    #[serde(default = "nothing")]
    pub from: Span,
    /// Until when stations leave; those that are away come back after it. Absent: until the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
    /// Whether they come back.
    #[serde(default = "yes")]
    pub rejoin: bool,
    #[serde(default)]
    pub disk: Disk,
}

fn everyone() -> Who {
    Who::Everyone
}

fn nothing() -> Span {
    Span(0)
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// In every span this share of the stations is away once, for `away`.
    Turnover { share: Share, every: Span, away: Span },
    /// Exponential sessions and absences of these means.
    Sessions { mean: Span, mean_away: Span },
}

/// A station's absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Its place in the plan.
    pub station: usize,
    pub from: Span,
    /// None: it does not come back.
    pub until: Option<Span>,
}

/// All absences, by time and then by station.
#[must_use]
pub fn absences(scenario: &Scenario, stations: &[Station]) -> Vec<Absence> {
    let Some(churn) = &scenario.churn else { return Vec::new() };
    let end = churn.until.unwrap_or(scenario.run.duration).0.min(scenario.run.duration.0);
    let mut all = Vec::new();
    for (index, station) in stations.iter().enumerate().filter(|(_, station)| station.is(&churn.who)) {
        let mut luck = Luck::new(scenario.run.seed, "churn", &station.name);
        for (from, away) in draw(&churn.model, churn.from.0, end, &mut luck) {
            all.push(Absence { station: index, from: Span(from), until: churn.rejoin.then_some(Span(from.saturating_add(away))) });
            if !churn.rejoin {
                break;
            }
        }
    }
    all.sort_by_key(|absence| (absence.from, absence.station));
    all
}

/// One station's absences: from when, and how long. Each ends before the next begins.
fn draw(model: &Model, from: u64, end: u64, luck: &mut Luck) -> Vec<(u64, u64)> {
    let mut absences = Vec::new();
    let mut at = from;
    while at < end && absences.len() < ABSENCES_MAX {
        match model {
            Model::Turnover { share, every, away } => {
                // The draw is made for every span, so that a larger share takes the same stations and more.
                let (is_drawn, within) = (luck.happens(share.get()), luck.below(every.0.saturating_sub(away.0).max(1)));
                if is_drawn && at + within < end {
                    absences.push((at + within, away.0));
                }
                at = at.saturating_add(every.0.max(1));
            }
            Model::Sessions { mean, mean_away } => {
                at = at.saturating_add(luck.exponential(mean.0).max(1));
                let away = luck.exponential(mean_away.0).max(1);
                if at < end {
                    absences.push((at, away));
                }
                at = at.saturating_add(away);
            }
        }
    }
    absences
}
