//! One self-contained HTML page: a table of verdicts and, per reading, a chart of every execution.
//!
//! Guarantees: no script, no external reference, everything a guest or researcher wrote is escaped. Deliberately lacks interaction:
//! the page must look the same in ten years.

use super::table::{cut, number, short};
use super::{Answer, Quantiles, Results, Row, Verdict, input_words, value_words};
use crate::printable::is_unprintable;
use serde_json::Value;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#d9dee7;--card:#fff;--page:#f6f7f9;--good:#1a7f4b;--mixed:#b26a00;--bad:#b42318;--dot:#2f6fde}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#98a2b3;--line:#343b47;--card:#1b212b;--page:#12161d;--good:#4cc38a;--mixed:#f0b35a;--bad:#f97066;--dot:#7aa7ff}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 20px}h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px}
.soft{color:var(--soft)}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}table code{white-space:nowrap}td{white-space:nowrap}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0}.fact{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 16px;min-width:120px}
.fact b{display:block;font-size:22px}table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);border-radius:10px}
th,td{text-align:left;padding:8px 12px;border-top:1px solid var(--line);vertical-align:top}tr:first-child th{border-top:0}th{color:var(--soft);font-weight:600;font-size:13px}
td.n{text-align:right;font-variant-numeric:tabular-nums}.agreed,.certified{color:var(--good);font-weight:600}.split,.short{color:var(--mixed);font-weight:600}.failed,.undecided,.expired{color:var(--bad);font-weight:600}
.scroll{overflow-x:auto}svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .axis{stroke:var(--line)}svg .soft{fill:var(--soft)}svg .box{fill:var(--dot);opacity:.25}svg .mid{stroke:var(--dot);stroke-width:2}svg .dot{fill:var(--dot)}svg .odd{fill:none;stroke:var(--bad);stroke-width:1.5}
";

/// Rows in one chart: more would be unreadable; the table has them all.
const CHART_ROWS_MAX: usize = 40;

/// The page.
#[must_use]
pub fn render(results: &Results) -> String {
    let certain = results.rows.iter().filter(|row| matches!(row.verdict, Verdict::Agreed | Verdict::Certified) && row.is_answered()).count();
    let executions: usize = results.rows.iter().map(|row| row.executions.len()).sum();
    let mut nodes: Vec<&str> = results.rows.iter().flat_map(|row| row.executions.iter().map(|execution| execution.node.as_str())).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let name = if results.name.is_empty() { "Experiment" } else { &results.name };
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{0}</title><style>{STYLE}</style><main><h1>{0}</h1>\
         <p class=\"soft\">A {1} experiment on Station · <code>{2}</code><br>requester <code>{3}</code>{4}<br>{5}, module <code>{6}</code></p><div class=\"facts\">",
        escape(name),
        escape(&results.class),
        escape(&results.experiment),
        escape(&results.requester),
        results.log.as_ref().map(|log| format!("<br>log <code>{}</code>", escape(log))).unwrap_or_default(),
        escape(&results.facts_words()),
        escape(&results.module.cid),
    );
    for (value, label) in [
        (results.settled.to_string() + " / " + &results.jobs.to_string(), "jobs settled"),
        (certain.to_string(), "with agreement"),
        (executions.to_string(), "signed receipts"),
        (nodes.len().to_string(), "stations"),
    ] {
        page.push_str(&format!("<div class=\"fact\"><b>{value}</b>{label}</div>"));
    }
    page.push_str("</div><h2>Verdicts</h2><div class=\"scroll\">");
    page.push_str(&table(results));
    page.push_str("</div>");
    for field in &results.report {
        page.push_str(&format!("<h2>{}</h2><p class=\"soft\">Each dot is one station's reading; the bar spans the median to the 95th percentile of those that agree, or of all where nothing was decided; hollow dots disagree with the verdict.</p>", escape(field)));
        page.push_str(&chart(results, field));
    }
    page.push_str(&super::executions::html(results));
    page.push_str("</main></html>\n");
    page
}

fn table(results: &Results) -> String {
    let mut html = "<table><tr><th>job</th><th>input</th><th>verdict</th><th>agree</th><th>answer</th>".to_owned();
    for field in &results.report {
        html.push_str(&format!("<th>{} p50 / p95</th>", escape(field)));
    }
    html.push_str("<th>who disagreed, and what it said</th></tr>");
    for row in &results.rows {
        html.push_str(&format!(
            "<tr><td class=\"n\">{}</td><td>{}</td><td class=\"{2}\">{3}</td><td class=\"n\">{4}</td><td><code>{5}</code></td>",
            row.index,
            lines(&row.input),
            if !row.is_answered() && matches!(row.verdict, Verdict::Agreed | Verdict::Certified) {
                "short".to_owned()
            } else {
                row.verdict.to_string()
            },
            escape(&row.verdict_words()),
            row.agree_words(),
            said(row.answer.as_ref()),
        ));
        for field in &results.report {
            let text = row.readings.get(field).map_or("–".to_owned(), |quantiles| format!("{} / {}", number(quantiles.p50), number(quantiles.p95)));
            html.push_str(&format!("<td class=\"n\">{text}</td>"));
        }
        html.push_str(&format!("<td>{}</td></tr>", dissent(row)));
    }
    html + "</table>"
}

fn dissent(row: &Row) -> String {
    let said = |execution: &super::ExecutionRow| match (execution.value(), row.answer()) {
        (Value::Object(map), Value::Object(answer)) => {
            pairs(&Value::Object(map.iter().filter(|(key, _)| answer.contains_key(*key)).map(|(key, value)| (key.clone(), value.clone())).collect()))
        }
        (value, _) => escape(&cut(&execution.output.as_ref().and_then(super::Output::instead).unwrap_or_else(|| value_words(value)))),
    };
    let lines: Vec<String> = row
        .executions
        .iter()
        .filter(|execution| execution.agrees == Some(false))
        .map(|execution| format!("<code>{}</code> {} {}", escape(&short(&execution.node)), escape(&execution.outcome), said(execution)))
        .collect();
    let nobody = if row.executions.iter().all(|execution| execution.agrees.is_none()) { "–" } else { "nobody" };
    if lines.is_empty() { format!("<span class=\"soft\">{nobody}</span>") } else { lines.join("<br>") }
}

fn said(answer: Option<&Answer>) -> String {
    match answer {
        None => "–".to_owned(),
        Some(Answer::Value(value)) => pairs(value),
        Some(Answer::Raw(raw)) => escape(&format!("{} ({})", cut(&raw.words()), raw.reason)),
        Some(Answer::Elsewhere(elsewhere)) => escape(&elsewhere.words()),
    }
}

/// A map's entries, one a line; long values keep both ends.
fn pairs(answer: &Value) -> String {
    match answer {
        Value::Object(map) => map.iter().map(|(key, value)| escape(&cut(&format!("{key} {}", value_words(value))))).collect::<Vec<_>>().join("<br>"),
        other => escape(&cut(&value_words(other))),
    }
}

/// An input's values, one a line.
fn lines(input: &Value) -> String {
    match input {
        Value::Object(map) => map.values().map(|value| escape(&cut(&value_words(value)))).collect::<Vec<_>>().join("<br>"),
        other => escape(&cut(&value_words(other))),
    }
}

/// Geometry of a chart in SVG units.
const LABEL: f64 = 300.0;
const WIDTH: f64 = 1060.0;
const LINE: f64 = 26.0;

fn chart(results: &Results, field: &str) -> String {
    let rows: Vec<&Row> =
        results.rows.iter().filter(|row| row.executions.iter().any(|execution| execution.reading(field).is_some())).take(CHART_ROWS_MAX).collect();
    let max = rows.iter().flat_map(|row| row.executions.iter().filter_map(|execution| execution.reading(field))).fold(0.0, f64::max);
    if rows.is_empty() || max <= 0.0 {
        return "<p class=\"soft\">No readings.</p>".to_owned();
    }
    let x = |value: f64| LABEL + value / max * (WIDTH - LABEL - 40.0);
    #[expect(clippy::cast_precision_loss, reason = "at most CHART_ROWS_MAX rows")]
    let height = (rows.len() as f64 + 1.0) * LINE + 12.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(field));
    for step in 0..=4 {
        let value = max * f64::from(step) / 4.0;
        let at = x(value);
        svg.push_str(&format!("<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"8\" y2=\"{:.0}\"/><text class=\"soft\" x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>", height - LINE, height - 8.0, number(value)));
    }
    let mut y = 8.0 + LINE / 2.0;
    for row in rows {
        let label: String = input_words(&row.input).chars().take(46).collect();
        svg.push_str(&format!("<text x=\"12\" y=\"{:.1}\">{}</text>", y + 4.0, escape(&label)));
        if let Some(Quantiles { p50, p95, .. }) = row.readings.get(field) {
            svg.push_str(&format!(
                "<rect class=\"box\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" rx=\"3\"/>",
                x(*p50),
                y - 6.0,
                (x(*p95) - x(*p50)).max(1.0)
            ));
            svg.push_str(&format!("<line class=\"mid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>", x(*p50), y - 8.0, y + 8.0));
        }
        for execution in &row.executions {
            if let Some(value) = execution.reading(field) {
                svg.push_str(&format!(
                    "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>",
                    if execution.agrees == Some(false) { "odd" } else { "dot" },
                    x(value)
                ));
            }
        }
        y += LINE;
    }
    svg + "</svg>"
}

/// Text as HTML text or attribute value, without what the table leaves out too.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_unprintable(*c)) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
