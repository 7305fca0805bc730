//! [`Figure`]: one measured number and how it is shown.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A number measured in this run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: f64,
    pub(crate) unit: Cow<'static, str>,
    /// What the project promised, like `<= 60`.
    pub(crate) target: Option<Cow<'static, str>>,
    /// Another number of the same run that this one is to be read against.
    pub(crate) anchor: Option<Anchor>,
    /// How many measurements the value is the median (or the quantile) of.
    pub(crate) n: usize,
    pub(crate) machine: String,
    /// What was done to the station while it was measured, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attack: Option<Attack>,
}

/// What a stranger did, and what it cost him.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attack {
    pub(crate) what: Cow<'static, str>,
    pub(crate) cost: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Anchor {
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: f64,
}

/// A figure of a station under attack.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: &'static str,
    pub(crate) n: usize,
    pub(crate) anchor: Anchor,
    pub(crate) attack: Attack,
}

/// Prints figures as they come.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    machine: String,
    rows: Vec<Figure>,
    /// What was to be measured and was not.
    missing: Vec<String>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, machine: machine(), rows: Vec::new(), missing: Vec::new() }
    }

    /// A figure without an anchor.
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>, value: f64, unit: &'static str, target: Option<&'static str>, n: usize) {
        self.push(name.into(), value, unit, target, None, n, None);
    }

    /// A figure to be read against another of this run.
    pub(crate) fn add_beside(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: f64,
        unit: &'static str,
        target: Option<&'static str>,
        n: usize,
        anchor: Anchor,
    ) {
        self.push(name.into(), value, unit, target, Some(anchor), n, None);
    }

    /// A figure of a station under attack, beside the same of an undisturbed one or beside what the attacker did.
    pub(crate) fn add_damage(&mut self, damage: Damage) {
        let Damage { name, value, unit, target, n, anchor, attack } = damage;
        self.push(name.into(), value, unit, Some(target), Some(anchor), n, Some(attack));
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a figure")]
    fn push(
        &mut self,
        name: Cow<'static, str>,
        value: f64,
        unit: &'static str,
        target: Option<&'static str>,
        anchor: Option<Anchor>,
        n: usize,
        attack: Option<Attack>,
    ) {
        if !value.is_finite() || anchor.as_ref().is_some_and(|anchor| !anchor.value.is_finite()) {
            return self.failed(format!("{name}: nothing was read"));
        }
        let value = (value * 1_000.0).round() / 1_000.0;
        let (unit, target) = (unit.into(), target.map(Cow::Borrowed));
        self.show(Figure { name, value, unit, target, anchor, n, machine: self.machine.clone(), attack });
    }

    /// What another process of the same run measured.
    pub(crate) fn show(&mut self, figure: Figure) {
        if self.json {
            println!("{}", serde_json::to_string(&figure).expect("a figure is JSON"));
        } else {
            eprintln!("measured {}", figure.name);
            self.rows.push(figure);
        }
    }

    /// A part of the run failed: `why` says which and how.
    pub(crate) fn failed(&mut self, why: String) {
        eprintln!("failed: {why}");
        self.missing.push(why);
    }

    /// Prints the table, if there is to be one. Whether nothing failed.
    #[must_use]
    pub(crate) fn close(&self) -> bool {
        if !self.json {
            self.table();
        }
        self.missing.iter().for_each(|why| eprintln!("not measured: {why}"));
        self.missing.is_empty()
    }

    fn table(&self) {
        println!("{}\n", self.machine);
        println!("{:48} {:>12} {:10} {:>10} {:>6}  beside", "name", "value", "unit", "target", "n");
        for row in &self.rows {
            let anchor = row.anchor.as_ref().map_or(String::new(), |anchor| format!("{} {}", anchor.name, anchor.value));
            println!("{:48} {:>12} {:10} {:>10} {:>6}  {anchor}", row.name, row.value, row.unit, row.target.as_deref().unwrap_or("–"), row.n);
            if let Some(attack) = &row.attack {
                println!("{:48} {}: {}", "", attack.what, attack.cost);
            }
        }
    }
}

/// The median of `values`.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The `q`-quantile of `values`, by the rule of results; NaN when there are none.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() { f64::NAN } else { station_node::results::stats::quantile(&sorted, q) }
}

/// Processor, cores and memory in a few words.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(':').nth(1)).map(|value| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) >> 20;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{processor}, {cores} cores, {memory} GiB, {}, {build}", std::env::consts::OS)
}
