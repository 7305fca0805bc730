//! What the page takes from results.
//!
//! Guarantees: the one place that knows the shape of outputs and answers. Deliberately lacks words: they are of those who ask.

use std::collections::BTreeSet;

use serde_json::Value;
use station_protocol::experiment::WHOLE;

use super::super::{Results, Row, Verdict, fields};

/// Whether stations agree on an answer in the form that was promised, and as many as were asked for.
pub(super) fn is_certain(row: &Row) -> bool {
    matches!(row.verdict, Verdict::Agreed | Verdict::Certified) && row.is_answered()
}

/// The names of the fields that answers have.
pub(super) fn answered_fields(results: &Results) -> BTreeSet<String> {
    results.rows.iter().filter_map(|row| row.answer().as_object()).flat_map(|map| map.keys().cloned()).collect()
}

/// An output's fields of which `keep` is true; one that is no map has one field.
pub(super) fn kept(output: &Value, keep: impl Fn(&String) -> bool) -> Value {
    let all = match fields(output) {
        Some(map) => map.clone(),
        None => serde_json::Map::from_iter([(WHOLE.to_owned(), output.clone())]),
    };
    Value::Object(all.into_iter().filter(|(name, _)| keep(name)).collect())
}
