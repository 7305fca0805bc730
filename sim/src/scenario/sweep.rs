//! Sweeps: one scenario for each combination of parameter values and each seed.
//!
//! ```toml
//! [sweep]
//! seeds = "1-20"
//! [sweep.parameters]
//! "gossip.mesh_n" = [6, 8, 12]
//! "group.home.count" = [100, 300]
//! ```
//!
//! Guarantees: every arm runs the same seeds, so that differences can be paired; a parameter that no scenario has is an error that
//! names it. Deliberately lacks a choice of values: all combinations run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::units::Seeds;
use super::{Scenario, ScenarioError};

#[cfg(test)]
mod tests;

/// Most runs of one sweep: weeks on any machine.
const TRIALS_MAX: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    pub seeds: Seeds,
    /// Where in the file (tables of a list by their name or their place from 0) → values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Vec<Value>>,
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The values, in the order of the parameters' names: `gossip.mesh_n = 6`.
    pub arm: Vec<(String, String)>,
    pub seed: u64,
    pub scenario: Scenario,
}

impl Sweep {
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), ScenarioError> {
        if let Some((parameter, _)) = self.parameters.iter().find(|(_, values)| values.is_empty()) {
            return Err(ScenarioError::Parameter { parameter: parameter.clone(), value: "[]".into(), reason: "it has no values".into() });
        }
        let runs = self.parameters.values().map(Vec::len).chain([self.seeds.iter().count()]).try_fold(1_usize, usize::checked_mul);
        if runs.is_none_or(|runs| runs > TRIALS_MAX) {
            return Err(ScenarioError::Nonsense { wher: "sweep".into(), what: format!("it has more than {TRIALS_MAX} runs") });
        }
        let plain = Scenario { sweep: None, ..scenario.clone() };
        for (parameter, values) in &self.parameters {
            for value in values {
                with(&plain, parameter, value)?;
            }
        }
        Ok(())
    }
}

/// The runs of `scenario`: for each arm, in the order of the values, each seed. Without a sweep, its one run.
///
/// # Errors
///
/// When a combination of values is no scenario.
pub fn trials(scenario: &Scenario) -> Result<Vec<Trial>, ScenarioError> {
    let plain = Scenario { sweep: None, ..scenario.clone() };
    let Some(sweep) = &scenario.sweep else { return Ok(vec![Trial { arm: vec![], seed: plain.run.seed, scenario: plain }]) };
    let mut arms = vec![(Vec::new(), plain)];
    for (parameter, values) in &sweep.parameters {
        let mut next = Vec::new();
        for (arm, scenario) in &arms {
            for value in values {
                let mut arm: Vec<(String, String)> = arm.clone();
                arm.push((parameter.clone(), shown(value)));
                next.push((arm, with(scenario, parameter, value)?));
            }
        }
        arms = next;
    }
    let seeded = |(arm, scenario): (Vec<_>, Scenario)| {
        sweep.seeds.iter().map(move |seed| {
            let mut scenario = scenario.clone();
            scenario.run.seed = seed;
            Trial { arm: arm.clone(), seed, scenario }
        })
    };
    Ok(arms.into_iter().flat_map(seeded).collect())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `scenario` with `parameter` set to `value`.
fn with(scenario: &Scenario, parameter: &str, value: &Value) -> Result<Scenario, ScenarioError> {
    let refuse = |reason: String| ScenarioError::Parameter { parameter: parameter.into(), value: shown(value), reason };
    let mut root = Value::Table(Table::try_from(scenario).map_err(|error| refuse(error.to_string()))?);
    let (path, last) = parameter.rsplit_once('.').ok_or_else(|| refuse("write a path like \"gossip.mesh_n\" or \"group.home.count\"".into()))?;
    let mut at = &mut root;
    for step in path.split('.') {
        at = enter(at, step).ok_or_else(|| refuse(format!("there is no {step:?}: write a path like \"gossip.mesh_n\" or \"group.home.count\"")))?;
    }
    let table = at.as_table_mut().ok_or_else(|| refuse("it does not lead to a table's key".into()))?;
    table.insert(last.into(), value.clone());
    let text = toml::to_string(&root).map_err(|error| refuse(error.to_string()))?;
    Scenario::parse(&text).map_err(|error| refuse(reason(error)))
}

/// The file a message would point into was never written: only what is wrong remains.
fn reason(error: ScenarioError) -> String {
    match error {
        ScenarioError::Toml(text) => text.lines().last().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

/// The table called `step`, or the table of a list with that name or place. A table that has only defaults is made.
fn enter<'a>(value: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match value {
        Value::Table(table) => Some(table.entry(step).or_insert_with(|| Value::Table(Table::new()))),
        Value::Array(list) => {
            let named = list.iter().position(|item| item.get("name").and_then(Value::as_str) == Some(step));
            list.get_mut(named.or_else(|| step.parse().ok())?)
        }
        _ => None,
    }
}
