//! CSV (RFC 4180): one line per execution, so that a spreadsheet can do what it likes.

use super::{ExecutionRow, Results, Row, value_words};
use serde_json::Value;
use std::collections::BTreeSet;

/// The whole experiment. Columns: job, one per input key, verdict, wanted, node, region, outcome, agrees, fuel, duration_ms, one per output key.
#[must_use]
pub fn render(results: &Results) -> String {
    let inputs = keys(results.rows.iter().map(|row| &row.input));
    let outputs = keys(results.rows.iter().flat_map(|row| row.executions.iter().map(|execution| &execution.output)));
    let fixed = ["verdict", "wanted", "node", "region", "outcome", "agrees", "fuel", "duration_ms"].map(str::to_owned);
    let header = std::iter::once("job".to_owned())
        .chain(inputs.iter().map(|key| format!("input.{key}")))
        .chain(fixed)
        .chain(outputs.iter().map(|key| format!("output.{key}")));
    let mut text = line(header);
    for row in &results.rows {
        for execution in &row.executions {
            text.push_str(&execution_line(row, execution, &inputs, &outputs));
        }
    }
    text
}

fn execution_line(row: &Row, execution: &ExecutionRow, inputs: &BTreeSet<String>, outputs: &BTreeSet<String>) -> String {
    let fixed = [
        row.verdict.to_string(),
        row.wanted.to_string(),
        execution.node.clone(),
        execution.region.clone().unwrap_or_default(),
        execution.outcome.clone(),
        execution.agrees.map(|agrees| agrees.to_string()).unwrap_or_default(),
        execution.fuel.to_string(),
        execution.duration_ms.to_string(),
    ];
    let cell = |value: &Value, key: &String| value.get(key).filter(|value| !value.is_null()).map(value_words).unwrap_or_default();
    line(
        std::iter::once(row.index.to_string())
            .chain(inputs.iter().map(|key| cell(&row.input, key)))
            .chain(fixed)
            .chain(outputs.iter().map(|key| cell(&execution.output, key))),
    )
}

fn keys<'a>(values: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    values.filter_map(Value::as_object).flat_map(|map| map.keys().cloned()).collect()
}

/// Quotes what needs it, and disarms text that a spreadsheet would run as a formula.
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        let cell = if cell.starts_with(['=', '+', '@', '\t', '\r']) || (cell.starts_with('-') && cell.parse::<f64>().is_err()) {
            format!("'{cell}")
        } else {
            cell
        };
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn cells_with_commas_and_quotes_are_quoted() {
        assert_eq!(line(["a,b".to_owned(), "say \"no\"".to_owned()].into_iter()), "\"a,b\",\"say \"\"no\"\"\"\r\n");
    }

    #[test]
    fn a_strangers_formula_is_text_in_a_spreadsheet() {
        assert_eq!(line(["=cmd()".to_owned(), "-3".to_owned(), "-x".to_owned()].into_iter()), "'=cmd(),-3,'-x\r\n");
    }
}
