//! Each execution in the HTML page: when it ran, where, what its station recorded, and the end of its guest's log.
//!
//! Guarantees: the requester's own readings, the station's word and the guest's stand under headings of their own. Deliberately lacks
//! all but the first executions of a large experiment: a browser must open the page, and the other formats have them.

use super::html::escape;
use super::table::short;
use super::{ExecutionRow, Results};

/// Executions in one page.
const SHOWN_MAX: usize = 2_000;

/// The section.
pub(super) fn html(results: &Results) -> String {
    let mut page = "<h2>Executions</h2><p class=\"soft\">Times are UTC by the requester's clock. Lease and receipt are what the requester saw; start and end \
                    follow from what the station says it waited and took. A guest's log is a stranger's words, which nobody signed.</p><div class=\"scroll\" \
                    tabindex=\"0\"><table class=\"executions\"><caption>One line for each signed receipt</caption><thead><tr><th scope=\"col\" rowspan=\"2\">job</th>\
                    <th scope=\"col\" rowspan=\"2\">station</th><th scope=\"colgroup\" colspan=\"3\">seen by the requester</th>\
                    <th scope=\"colgroup\" colspan=\"7\">stated by the station</th><th scope=\"col\" rowspan=\"2\">guest's log</th></tr><tr>"
        .to_owned();
    for name in ["network", "leased", "receipt", "outcome", "started", "ended", "duration, ms", "requests", "isolation", "software"] {
        page.push_str(&format!("<th scope=\"col\">{name}</th>"));
    }
    page.push_str("</tr></thead><tbody>");
    let all = || results.rows.iter().flat_map(|row| row.executions.iter().map(move |execution| (row.index, execution)));
    for (index, execution) in all().take(SHOWN_MAX) {
        page.push_str(&line(index, execution));
    }
    page.push_str("</tbody></table></div>");
    let count = all().count();
    if count > SHOWN_MAX {
        page.push_str(&format!("<p class=\"soft\">The first {SHOWN_MAX} of {count}; JSON and CSV have all.</p>"));
    }
    page
}

fn line(index: u64, execution: &ExecutionRow) -> String {
    let (seen, stated) = (&execution.seen, &execution.station);
    let requests = stated.requests.as_ref().map_or_else(|| "–".to_owned(), |requests| requests.words());
    let cells = [
        index.to_string(),
        short(&execution.node),
        seen.network.clone(),
        seen.leased_at.clone(),
        seen.received_at.clone(),
        execution.outcome.clone(),
        stated.started_at.clone(),
        stated.ended_at.clone(),
        execution.duration_ms.to_string(),
        requests,
        stated.isolation.clone(),
        stated.software.clone(),
    ];
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
    let log = execution.guest_log.as_ref().map_or_else(String::new, |log| {
        let lines: Vec<String> = log.lines().map(escape).collect();
        format!("<details><summary>{} bytes</summary><code>{}</code></details>", log.len(), lines.join("<br>"))
    });
    format!("<tr>{cells}<td>{log}</td></tr>")
}
