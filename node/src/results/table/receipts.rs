//! The receipts under a table: a few lines for each, because what they say has more columns than a terminal.
//!
//! Guarantees: the whole node id; what the requester saw itself and what the station says stand in lines that say so. Deliberately lacks
//! records of requests that went well, and outputs: JSON has the first of them, and the table what stations agree on.

use crate::page::words::{counted, grouped};
use crate::printable::Line;
use crate::results::html::groups::standing;
use crate::results::{ExecutionRow, RequestRow, Results, Row};

/// Failed requests of one receipt that are named; the rest are counted.
const FAILED_MAX: usize = 4;

const HEADING: &str = "receipts: under `seen` is what this station saw itself, under `says` the word of
whoever signed; times are UTC by this station's clock\n";

/// Every receipt, or those of one job.
#[must_use]
pub fn render(results: &Results, job: Option<u64>) -> String {
    let rows = || results.rows.iter().filter(|row| job.is_none_or(|job| row.index == job));
    if rows().all(|row| row.executions.is_empty()) {
        return "no receipts\n".to_owned();
    }
    let mut text = HEADING.to_owned();
    for row in rows() {
        for execution in &row.executions {
            text.push_str(&block(row, execution));
        }
    }
    text
}

fn block(row: &Row, execution: &ExecutionRow) -> String {
    let ExecutionRow { node, outcome, fuel, duration_ms, region, seen, station, .. } = execution;
    let mut lines = vec![
        format!("job {} on {node}: {}", row.index, standing(execution).word()),
        format!("  seen  leased {}, received {}", seen.leased_at, seen.received_at),
        format!("        from network {}", seen.network),
        format!("  says  began  {}, ended    {}", station.started_at, station.ended_at),
        format!("        {outcome} after {} ms and {} ms of waiting; fuel {}", grouped(*duration_ms), grouped(station.waited_ms), grouped(*fuel)),
        format!("        isolation {}, software {}, engine {}", station.isolation, station.software, station.profile),
    ];
    lines.extend(region.as_ref().map(|region| format!("        region {region}")));
    if let Some(requests) = &station.requests {
        lines.push(format!("        its record of requests: {}", requests.words()));
        let records = requests.read.as_ref().map(|read| read.records.as_slice()).unwrap_or_default();
        let failed: Vec<&RequestRow> = records.iter().filter(|record| record.error.is_some()).collect();
        lines.extend(failed.iter().take(FAILED_MAX).map(|record| failure(record)));
        if failed.len() > FAILED_MAX {
            lines.push(format!("          and {}", counted(failed.len() - FAILED_MAX, "other that failed", "others that failed")));
        }
    }
    lines.iter().map(|line| format!("{}\n", Line(line))).collect()
}

/// A request that failed, and why.
fn failure(record: &RequestRow) -> String {
    let why: Vec<&str> = [&record.error, &record.detail].into_iter().flatten().map(String::as_str).collect();
    format!("          {} {}: {}", record.method, record.url, why.join(": "))
}
