//! Numbers of other engines on the same kernels, measured in the same run: `tests/anchors`, a workspace of its own, is built for it.
//!
//! Guarantees: an anchor that cannot be built or started here is left out and said so; nothing of it is in this program's graph.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::cargo::cargo;
use super::figures::{Report, median};

/// One line of the anchors' program.
#[derive(serde::Deserialize)]
struct Line {
    name: String,
    value: f64,
    unit: String,
    n: usize,
}

pub(crate) fn measure(report: &mut Report) {
    engines(report);
    deno(report);
}

fn engines(report: &mut Report) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("anchors");
    // Its own target folder: the flags and versions are others.
    let output = cargo().args(["run", "--release", "--quiet", "--locked"]).current_dir(folder).stderr(Stdio::inherit()).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        eprintln!("the anchors do not build here: left out");
        return;
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: Line = serde_json::from_str(line).expect("the anchors print figures");
        // Few and once: names live as long as the report.
        report.add(line.name, line.value, line.unit.leak(), None, line.n);
    }
}

/// How long `deno` takes to run a program that does nothing.
fn deno(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("empty.js");
    std::fs::write(&program, "").expect("the folder is writable");
    let start = || {
        let begun = Instant::now();
        let run = Command::new("deno").arg("run").arg(&program).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.ok().filter(std::process::ExitStatus::success).map(|_| begun.elapsed().as_secs_f64() * 1_000.0)
    };
    // The first start fills its caches.
    if start().is_none() {
        eprintln!("no deno in the path (npm install --global deno): left out");
        return;
    }
    let times = (0..20).filter_map(|_| start()).collect::<Vec<_>>();
    report.add("deno_start_p50_ms", median(&times), "ms", None, times.len());
}
