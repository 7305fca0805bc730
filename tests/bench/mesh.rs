//! Eight stations on loopback: how long a job takes to settle, how many executions a second, and what idleness costs.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use station_node::demo::{Mesh, MeshPlan};
use station_node::library::BUNDLED;
use station_node::prepare;
use station_node::station::{Handle, Note};
use station_protocol::ExperimentId;
use station_protocol::bounded::Name;
use station_protocol::experiment::file::ExperimentFile;
use station_protocol::requester::{self, Draft};

use super::figures::{Anchor, Report, median, quantile};
use super::{processes, signatures, storage};

const STATIONS: usize = 8;

pub(crate) fn measure(short: bool, report: &mut Report) {
    signatures::measure(short, report);
    million_jobs(short, report);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        in_a_mesh(short, report).await;
        processes::measure(short, report).await;
    });
}

/// In a process of its own, so that its memory is its own.
fn million_jobs(short: bool, report: &mut Report) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("million-jobs");
    if short {
        command.arg("--short");
    }
    let output = command.output().expect("this program starts again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let megabytes = text.trim().parse().expect("it prints a number");
    report.add(if short { "hundred_thousand_jobs_requester_mb" } else { "million_jobs_requester_mb" }, megabytes, "MB", Some("<= 300"), 1);
}

async fn in_a_mesh(short: bool, report: &mut Report) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let plan = MeshPlan {
        stations: STATIONS,
        topic: Name::new("bench").expect("a name"),
        policy: "[budget]\ncpu = \"2 cores\"\n".to_owned(),
        exempt: BTreeSet::new(),
        capacity: 2,
        program: None,
    };
    let mesh = Mesh::start(&plan, dir.path()).await.expect("a mesh");
    let requester = &mesh.handles()[STATIONS - 1];
    // Once through everything, so that modules are compiled and connections open.
    run(requester, noop(requester, 24, 3, None).await).await;
    let runs = if short { 1 } else { 5 };
    let (mut p50, mut p99, mut fsync) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let latencies = run(requester, noop(requester, if short { 50 } else { 200 }, 3, Some(1)).await).await.settled_ms;
        p50.push(median(&latencies));
        p99.push(quantile(&latencies, 0.99));
        fsync.push(median(&storage::fsync_ms(dir.path(), 50)));
    }
    let anchor = Anchor { name: "fsync_p50_ms".into(), value: (median(&fsync) * 1_000.0).round() / 1_000.0 };
    report.add_beside("settle_p50_ms", median(&p50), "ms", Some("<= 60"), runs, anchor);
    report.add("settle_p99_ms", median(&p99), "ms", None, runs);
    report.add("fsync_p50_ms", median(&fsync), "ms", None, runs);
    let jobs = if short { 1_000 } else { 20_000 };
    for (name, trust) in [("executions_per_s_r1", 1), ("executions_per_s_r3", 3)] {
        let mut rates = Vec::new();
        for _ in 0..runs {
            let begun = Instant::now();
            let executions = run(requester, noop(requester, jobs, trust, None).await).await.executions;
            #[expect(clippy::cast_precision_loss, reason = "a count of executions")]
            rates.push(executions as f64 / begun.elapsed().as_secs_f64());
        }
        report.add(name, median(&rates), "1/s", Some(">= 1000"), runs);
    }
    mesh.stop().await;
}

/// `jobs` no-ops with `fixed:trust`, at most `at_once` unsettled at a time.
async fn noop(handle: &Handle, jobs: usize, trust: usize, at_once: Option<u32>) -> Draft {
    let module = BUNDLED.iter().find(|module| module.name == "noop").expect("noop is bundled");
    let content = handle.library().keep(module.bytes).await.expect("the store works");
    let inputs = "{}\n".repeat(jobs);
    let file = format!(
        "name = \"noop\"\ntopic = \"bench\"\nmodule = \"noop\"\ncontact = \"mailto:bench@example.org\"\n[jobs]\nfile = \"inputs.ndjson\"\n[pure]\ntrust = \"fixed:{trust}\"\n[run]\ndeadline = \"1h\"\n"
    );
    let file = ExperimentFile::parse(&file).expect("a good file");
    Draft { at_once, ..prepare::draft(file.clone(), content, Some(file.list(inputs.as_bytes()).expect("good lines"))).expect("good jobs") }
}

struct Run {
    /// From one verdict (or the publication) to the next.
    settled_ms: Vec<f64>,
    /// Receipts held at the end, as the requester counts them: a job may have had more executions than it wants, or fewer.
    executions: u64,
}

async fn run(handle: &Handle, draft: Draft) -> Run {
    let mut notes = handle.notes();
    let id: ExperimentId = handle.publish(draft).await.expect("published");
    let (mut settled_ms, mut last) = (Vec::new(), Instant::now());
    loop {
        match notes.recv().await {
            Ok(Note::Requester(requester::Note::Settled { experiment, .. })) if experiment == id => {
                settled_ms.push(last.elapsed().as_secs_f64() * 1_000.0);
                last = Instant::now();
            }
            Ok(Note::Requester(requester::Note::Closed { experiment, .. })) if experiment == id => {
                let executions = handle.view(id).await.expect("it is known").status.held;
                return Run { settled_ms, executions };
            }
            Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(error) => panic!("the station stopped: {error}"),
        }
    }
}
