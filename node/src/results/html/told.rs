//! What the page takes from results.
//!
//! Guarantees: the one place that knows the shape of outputs and answers. Deliberately lacks words: they are of those who ask.

use serde_json::Value;

use super::super::{ExecutionRow, Row, Verdict};

/// An execution's output; null where it has none that can be read.
pub(super) fn output(execution: &ExecutionRow) -> &Value {
    &execution.output
}

/// One field of an execution's output, where that is a number.
pub(super) fn reading(execution: &ExecutionRow, field: &str) -> Option<f64> {
    execution.output.get(field)?.as_f64()
}

/// What those say who agree; null where nobody does.
pub(super) fn answer(row: &Row) -> &Value {
    &row.answer
}

/// Whether stations agree on an answer, and as many as were asked for.
pub(super) fn is_certain(row: &Row) -> bool {
    matches!(row.verdict, Verdict::Agreed | Verdict::Certified) && !row.is_short()
}
