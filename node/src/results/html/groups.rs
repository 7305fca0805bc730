//! Who said the same: a job's executions as groups.
//!
//! Guarantees: groups of one job differ in what is compared, the outcome and the exact fields (of a pure job the whole output and the
//! fuel); where nothing was decided none of them is called right. Deliberately lacks the rules: whether one agrees is what the verdict says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{Answer, ExecutionRow, Output, Results, Row, fields, value_words};
use super::labels::pairs;
use super::told;
use crate::page::chart::Dot;
use crate::page::{escape, grouped, words};

/// Groups of one job that are named; the rest are counted.
const GROUPS_MAX: usize = 6;
/// Stations of one group that are named; the rest are counted.
const NAMED_MAX: usize = 6;
/// Fields of one answer that are shown.
pub(super) const FIELDS_MAX: usize = 6;

/// How an execution stands to its job's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::results) enum Standing {
    Agrees,
    Differs,
    /// Nothing was decided, or the verdict has no room to say what of it.
    Open,
    /// How it ended depends on the machine, or somebody near it counts already.
    NotCounted,
}

impl Standing {
    pub(super) fn dot(self) -> Dot {
        match self {
            Self::Agrees => Dot::Agrees,
            Self::Differs => Dot::Differs,
            Self::Open => Dot::Open,
            Self::NotCounted => Dot::Uncounted,
        }
    }

    pub(in crate::results) fn word(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::Open => "undecided",
            Self::NotCounted => "does not count",
        }
    }
}

/// How an execution stands.
pub(in crate::results) fn standing(execution: &ExecutionRow) -> Standing {
    match execution.agrees {
        Some(true) => Standing::Agrees,
        Some(false) => Standing::Differs,
        None if !execution.counts => Standing::NotCounted,
        None => Standing::Open,
    }
}

/// The legend of what does not count, after a caption; nothing where everything does.
pub(super) fn uncounted_words(results: &Results) -> &'static str {
    let any = results.rows.iter().flat_map(|row| &row.executions).any(|execution| standing(execution) == Standing::NotCounted);
    if any { UNCOUNTED } else { "" }
}

const UNCOUNTED: &str =
    " In violet italics is what does not count: its end depends on the machine, or a receipt of the same station or network counts already.";

/// What the members of a group have in common: outcome, what is compared of the output, and of a pure job the fuel.
pub(in crate::results) type Key = (String, String, u64);

/// Which part of an output is compared.
pub(in crate::results) enum Exact {
    Whole,
    Fields(BTreeSet<String>),
    /// A measurement that has no answer yet, which would say its fields: all but its readings.
    AllBut(BTreeSet<String>),
}

impl Exact {
    pub(in crate::results) fn of(results: &Results) -> Self {
        if results.class != "measurement" {
            return Self::Whole;
        }
        let fields = told::answered_fields(results);
        if fields.is_empty() { Self::AllBut(results.report.iter().cloned().collect()) } else { Self::Fields(fields) }
    }

    /// Nothing where the guest wrote nothing.
    pub(in crate::results) fn said(&self, execution: &ExecutionRow) -> Option<Answer> {
        let output = execution.output.as_ref()?;
        Some(match (self, output) {
            (Self::Fields(fields), Output::Value(value)) => Answer::Value(told::kept(value, |field| fields.contains(field))),
            (Self::AllBut(readings), Output::Value(value)) => Answer::Value(told::kept(value, |field| !readings.contains(field))),
            (_, output) => Answer::from(output.clone()),
        })
    }

    fn key(&self, execution: &ExecutionRow) -> Key {
        let (said, fuel) = match (self, self.said(execution)) {
            (Self::Whole, said) => (serde_json::to_string(&said).expect("our own types have JSON"), execution.fuel),
            // Of a measurement only fields are compared: whatever has none of them is alike.
            (_, Some(Answer::Value(Value::Object(fields)))) if !fields.is_empty() => (Value::Object(fields).to_string(), 0),
            (_, _) => (String::new(), 0),
        };
        (execution.outcome.clone(), said, fuel)
    }

    /// The groups of `row`, none empty: those who agree, those who differ, the larger first.
    pub(in crate::results) fn groups<'a>(&self, row: &'a Row) -> Vec<((Standing, Key), Vec<&'a ExecutionRow>)> {
        let mut groups: BTreeMap<_, Vec<&ExecutionRow>> = BTreeMap::new();
        for execution in &row.executions {
            groups.entry((standing(execution), self.key(execution))).or_default().push(execution);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|((standing, _), members)| (*standing, std::cmp::Reverse(members.len())));
        groups
    }

    /// The groups of `row` as HTML.
    pub(super) fn who_said_what(&self, row: &Row) -> String {
        let groups = self.groups(row);
        if groups.is_empty() {
            return "<span class=\"soft\">nobody</span>".to_owned();
        }
        // Equal answers that took different fuel are different answers of a pure job, and would look alike.
        let alike = |(outcome, said, _): &Key| groups.iter().filter(|((_, key), _)| key.0 == *outcome && key.1 == *said).count() > 1;
        let mut html: String = groups
            .iter()
            .take(GROUPS_MAX)
            .map(|((standing, key), members)| {
                format!("<div class=\"group\">{}</div>", self.group(*standing, members, matches!(self, Self::Whole) && alike(key)))
            })
            .collect();
        if groups.len() > GROUPS_MAX {
            html.push_str(&format!(
                "<div class=\"group soft\">and {}</div>",
                words::counted(groups.len() - GROUPS_MAX, "other group", "other groups")
            ));
        }
        html
    }

    fn group(&self, standing: Standing, members: &[&ExecutionRow], with_fuel: bool) -> String {
        let count = grouped(members.len() as u64);
        let one = members.len() == 1;
        let fuel = if with_fuel { format!(", fuel {}", grouped(members[0].fuel)) } else { String::new() };
        let said = || format!("{}{fuel}", said_words(&members[0].outcome, self.said(members[0]).as_ref()));
        let head = match standing {
            Standing::Agrees => format!("<b>{count} {}</b>{fuel}", if one { "agrees" } else { "agree" }),
            Standing::Differs => format!("<b class=\"mixed\">{count} {}</b> {}", if one { "differs" } else { "differ" }, said()),
            Standing::Open => format!("<b>{count} {}</b> {}", if one { "says" } else { "say" }, said()),
            Standing::NotCounted => format!("<b class=\"uncounted\">{count} {} not count</b> {}", if one { "does" } else { "do" }, said()),
        };
        format!("{head}: {}", names(members))
    }
}

/// What an execution says: its answer, or how it failed.
fn said_words(outcome: &str, said: Option<&Answer>) -> String {
    match said {
        _ if outcome != "completed" => format!("<code>{}</code>", escape(&words::cut(outcome, 44))),
        None => "<span class=\"soft\">nothing</span>".to_owned(),
        Some(said) => answer(said, "; "),
    }
}

/// An answer as HTML: its fields, or what it is instead and why.
pub(super) fn answer(answer: &Answer, between: &str) -> String {
    let plain = |text: String| pairs(&vec![(String::new(), text)], between);
    match answer {
        Answer::Value(value) => value_html(value, between),
        Answer::Raw(raw) => format!("{} <span class=\"soft\">({})</span>", plain(raw.words()), escape(&raw.reason)),
        Answer::Elsewhere(elsewhere) => escape(&elsewhere.words()),
    }
}

fn value_html(value: &Value, between: &str) -> String {
    match fields(value) {
        Some(map) => {
            let shown = map.iter().take(FIELDS_MAX).map(|(key, value)| (key.clone(), value_words(value))).collect();
            let left = map.len().saturating_sub(FIELDS_MAX);
            let more = if left > 0 { format!("{between}<span class=\"soft\">and {left} more</span>") } else { String::new() };
            if map.is_empty() { "<span class=\"soft\">nothing</span>".to_owned() } else { pairs(&shown, between) + &more }
        }
        None => pairs(&vec![(String::new(), value_words(value))], between),
    }
}

/// The end of a station's id as HTML; the whole id is its tooltip.
pub(super) fn short_name(execution: &ExecutionRow) -> String {
    format!("<code class=\"nowrap\" title=\"{}\">{}</code>", escape(&execution.node), escape(&words::tail(&execution.node)))
}

fn names(members: &[&ExecutionRow]) -> String {
    let name = |execution: &&ExecutionRow| {
        let region = execution.region.as_deref().map(|region| format!(" (<bdi>{}</bdi>)", escape(&words::cut(region, 24)))).unwrap_or_default();
        format!("{}{region}", short_name(execution))
    };
    let mut text = members.iter().take(NAMED_MAX).map(name).collect::<Vec<_>>().join(", ");
    if members.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", grouped((members.len() - NAMED_MAX) as u64)));
    }
    text
}
