//! [`Labels`]: what tells jobs apart.
//!
//! Guarantees: of inputs that are maps only the keys that vary, with their names, in the published order; a job's number is always
//! there, so that no two look alike. Deliberately lacks the order of the experiment's file: what is published keeps keys in bytewise order,
//! and forgets the file's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{Results, Row, fields, value_words};
use crate::page::chart::Label;
use crate::page::{escape, words};

/// Keys shown of one input.
const KEYS_MAX: usize = 6;
/// Longest value shown; a longer one loses its middle.
pub(super) const VALUE_MAX: usize = 40;

pub(super) struct Labels<'a> {
    /// Keys that are the same in all jobs, with their values; none, where nothing else would be left.
    same: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Labels<'a> {
    pub(super) fn of(results: &'a Results) -> Self {
        let mut known: BTreeMap<&str, (&Value, usize, bool)> = BTreeMap::new();
        for map in results.rows.iter().filter_map(|row| fields(&row.input)) {
            for (key, value) in map {
                let (first, times, is_same) = known.entry(key).or_insert((value, 0, true));
                *times += 1;
                *is_same &= *first == value;
            }
        }
        let everywhere = |(_, times, is_same): &(&Value, usize, bool)| *is_same && *times == results.rows.len();
        let varies = known.values().any(|known| !everywhere(known));
        let same = known.into_iter().filter(|(_, known)| varies && everywhere(known)).map(|(key, (value, ..))| (key, value));
        Self { same: same.collect() }
    }

    /// The job's number, and what its input has of its own.
    pub(super) fn row(&self, row: &Row) -> Label {
        std::iter::once(("job".to_owned(), row.index.to_string())).chain(self.input(row)).collect()
    }

    /// What the job's input has of its own.
    pub(super) fn input(&self, row: &Row) -> Label {
        let Some(map) = fields(&row.input) else { return vec![(String::new(), value_words(&row.input))] };
        let own = map.iter().filter(|(key, _)| !self.same.contains_key(key.as_str()));
        let all: Label = own.map(|(key, value)| (key.clone(), value_words(value))).collect();
        let left = all.len().saturating_sub(KEYS_MAX);
        let mut label: Label = all.into_iter().take(KEYS_MAX).collect();
        if left > 0 {
            label.push((String::new(), format!("and {left} more")));
        }
        label
    }

    /// What all inputs share, as HTML.
    pub(super) fn same_in_all(&self) -> Option<String> {
        (!self.same.is_empty()).then(|| pairs(&self.same.iter().map(|(key, value)| ((*key).to_owned(), value_words(value))).collect(), "; "))
    }
}

/// Keys and their values as HTML; a value that is cut is longer in its tooltip.
pub(super) fn pairs(label: &Label, between: &str) -> String {
    let one = |(key, value): &(String, String)| {
        let shown = words::cut(value, VALUE_MAX);
        let tooltip = if shown == *value { String::new() } else { format!(" title=\"{}\"", escape(&words::cut(value, words::TOOLTIP_MAX))) };
        let key = if key.is_empty() { String::new() } else { format!("<span class=\"key\">{}</span> ", escape(&words::cut(key, VALUE_MAX))) };
        format!("{key}<code{tooltip}>{}</code>", escape(&shown))
    };
    label.iter().map(one).collect::<Vec<_>>().join(between)
}
