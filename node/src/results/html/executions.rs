//! Each execution of the page: when it ran and where, by whose word.
//!
//! Guarantees: what the requester saw and what the station signed stand in columns that say so. Deliberately lacks all but the first
//! executions of a large experiment: a browser must open the page, and the other formats have them.

use super::super::{ExecutionRow, Results};
use super::groups::{Standing, short_name, standing, uncounted_words};
use super::{Cell, Column, Table, escape, grouped, time, words};

/// Executions in one page.
const SHOWN_MAX: usize = 2_000;
/// Longest words of a station in one cell.
const WORDS_MAX: usize = 80;

/// A line per signed receipt.
pub(super) fn table(results: &Results) -> Table {
    let all = || results.rows.iter().flat_map(|row| row.executions.iter().map(move |execution| (row, execution)));
    let columns = vec![
        Column::words("job"),
        Column::words("station, standing"),
        Column::words("seen: network"),
        Column::words("seen: lease, receipt"),
        Column::words("says: outcome"),
        Column::words("says: start, end"),
        Column::number("says: duration"),
        Column::words("says: requests"),
        Column::words("says: isolation, software, profile"),
    ];
    let mut table = Table::new(&format!("{}{}", caption(all().count()), uncounted_words(results)), columns);
    for (row, execution) in all().take(SHOWN_MAX) {
        let standing = standing(execution);
        let class = if standing == Standing::NotCounted { "uncounted" } else { "" };
        table.row(cells(row.index, execution, standing).into_iter().map(|cell| cell.classed(class)).collect());
    }
    table
}

fn caption(count: usize) -> String {
    let left = if count > SHOWN_MAX {
        format!(" The first {} of {}; JSON and CSV have all.", grouped(SHOWN_MAX as u64), grouped(count as u64))
    } else {
        String::new()
    };
    format!(
        "One line for each signed receipt. Times are UTC by the requester's clock. What was seen, the requester saw itself; the rest is the \
         station's word, and start and end follow from what it says that it waited and took.{left}"
    )
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a job are far below 2^53")]
fn cells(index: u64, execution: &ExecutionRow, standing: Standing) -> Vec<Cell> {
    let (seen, stated) = (&execution.seen, &execution.station);
    let requests = stated.requests.as_ref().map_or_else(|| "–".to_owned(), super::super::execution::Requests::words);
    vec![
        Cell::text(&index.to_string()),
        Cell::html(format!("{}<br><span class=\"word\">{}</span>", short_name(execution), standing.word())),
        Cell::text(&seen.network),
        times(&[&seen.leased_at, &seen.received_at]),
        Cell::text(&words::cut(&execution.outcome, WORDS_MAX)),
        times(&[&stated.started_at, &stated.ended_at]),
        Cell::text(&words::quantity(execution.duration_ms as f64, "ms")),
        Cell::text(&words::cut(&requests, WORDS_MAX)),
        lines(&[&stated.isolation, &words::cut(&stated.software, WORDS_MAX), &stated.profile]),
    ]
}

fn times(times: &[&str]) -> Cell {
    Cell::html(times.iter().map(|at| time(at)).collect::<Vec<_>>().join("<br>"))
}

/// Texts below each other.
fn lines(texts: &[&str]) -> Cell {
    Cell::html(texts.iter().map(|text| escape(text)).collect::<Vec<_>>().join("<br>"))
}
