//! The simulator: how much virtual time a second of real time buys, and what it costs, from a hundred stations to ten thousand.
//!
//! Builds and starts `station-sim` as a process of its own: it replaces the clock. Guarantees: every figure is of one seed's run on an
//! otherwise idle machine; `steady` figures begin when all stations have joined. Deliberately lacks judgement of the mesh itself:
//! scenarios have checks for that.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::cargo::cargo;
use super::figures::{Anchor, Report};

/// Sizes of the scaling curve.
const CURVE: [u32; 5] = [100, 300, 1_000, 3_000, LARGEST];
const LARGEST: u32 = 10_000;
/// Virtual ms between two experiments of one job: each sends about five Calls through the mesh (first, renewed, closed), which makes one
/// Call a second.
const EVERY_MS: &str = "5000";

/// Virtual seconds that are measured.
const MEASURED_S: u64 = 45;
/// Until everybody has found neighbours; in a large topic they are found by introductions, which come every few minutes.
const WARMUP_S: u64 = 45;
const WARMUP_OF_A_THOUSAND_S: u64 = 180;

/// One run's size and length.
#[derive(Clone, Copy)]
struct Mesh {
    stations: u32,
    fidelity: &'static str,
    /// Virtual seconds, and of those before anything counts.
    duration_s: u64,
    warmup_s: u64,
}

pub(crate) fn measure(short: bool, report: &mut Report) {
    let program = build(!short);
    let lengths = |stations, fidelity| {
        let warmup_s = if stations < 1_000 { WARMUP_S } else { WARMUP_OF_A_THOUSAND_S };
        Mesh { stations, fidelity, duration_s: warmup_s + MEASURED_S, warmup_s }
    };
    if short {
        for fidelity in ["full", "fast"] {
            mesh(&program, Mesh { duration_s: 60, warmup_s: 30, ..lengths(100, fidelity) }, report);
        }
        faults(&program, report);
        return;
    }
    faults(&program, report);
    super::calibration::measure(&program, report);
    mesh(&program, lengths(1_000, "full"), report);
    // Of a station in the largest run so far.
    let mut station_mb = 0.0;
    for stations in CURVE {
        if !fits(stations, station_mb) {
            return;
        }
        let resident_mb = mesh(&program, lengths(stations, "fast"), report);
        station_mb = resident_mb.map_or(station_mb, |all| all / f64::from(stations));
    }
}

/// The simulator beside real processes, alone.
pub(crate) fn calibrate(report: &mut Report) {
    super::calibration::measure(&build(false), report);
}

/// Whether so many stations fit into the memory that this machine has free; a run that does not fit would end others' programs too.
fn fits(stations: u32, station_mb: f64) -> bool {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free_kb = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let (free_mb, needed_mb) = (free_kb.map_or(f64::INFINITY, |kb| kb / 1e3), station_mb * f64::from(stations));
    if needed_mb > free_mb {
        eprintln!("left out: {stations} stations at {station_mb:.1} MB each need {needed_mb:.0} MB, and {free_mb:.0} MB are free");
    }
    needed_mb <= free_mb
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' crate lies in the workspace").to_owned()
}

/// `station-sim`: like this program, or as it is when its speed counts.
pub(crate) fn build(measured: bool) -> PathBuf {
    let mut build = cargo();
    build.current_dir(root()).args(["build", "-q", "-p", "station-sim"]);
    match (measured, cfg!(debug_assertions)) {
        (true, _) => _ = build.args(["--profile", "measured"]),
        (false, false) => _ = build.arg("--release"),
        (false, true) => {}
    }
    let built = build.status().expect("cargo can be started");
    assert!(built.success(), "station-sim does not build");
    let own = std::env::current_exe().expect("a program has a path");
    if measured { own.with_file_name("../measured/station-sim") } else { own.with_file_name("station-sim") }
}

/// Runs `station-sim` and reads its JSON. The report is told where there is none, and where a check of the scenario failed.
pub(crate) fn run(program: &Path, arguments: &[String], report: &mut Report) -> Option<Value> {
    let output = Command::new(program).current_dir(root()).args(arguments).arg("--json").stderr(Stdio::inherit()).output().expect("it starts");
    let parsed = serde_json::from_slice(&output.stdout).ok();
    if parsed.is_none() || !output.status.success() {
        let what = if parsed.is_none() { "gave no result" } else { "failed" };
        report.failed(format!("station-sim {} {what} ({})", arguments.join(" "), output.status));
    }
    parsed
}

pub(crate) fn number(value: &Value, path: &str) -> Option<f64> {
    value.pointer(path).and_then(Value::as_f64)
}

/// Megabytes that the run took, if it ended.
fn mesh(program: &Path, mesh: Mesh, report: &mut Report) -> Option<f64> {
    let Mesh { stations, fidelity, duration_s, warmup_s } = mesh;
    let arguments: Vec<String> = [
        "mesh",
        "--stations",
        &stations.to_string(),
        "--fidelity",
        fidelity,
        "--duration",
        &duration_s.to_string(),
        "--warmup",
        &warmup_s.to_string(),
        "--every",
        EVERY_MS,
    ]
    .map(str::to_owned)
    .to_vec();
    let result = run(program, &arguments, report)?;
    let name = |what: &str| format!("stations_{stations}_{fidelity}_{what}");
    let connections = Anchor { name: "connections_p50".into(), value: number(&result, "/connections/p50").unwrap_or(f64::NAN) };
    let whole = Anchor { name: "with_the_joining".into(), value: number(&result, "/speed/virtual_per_real").unwrap_or(f64::NAN) };
    let (speed_target, memory_target) = targets(stations, fidelity);
    if let Some(value) = number(&result, "/speed/steady_virtual_per_real") {
        report.add_beside(name("virtual_per_real"), value, "s/s", speed_target, 1, whole);
    }
    if let Some(value) = number(&result, "/speed/resident_mb") {
        report.add_beside(name("rss_mb"), value, "MB", memory_target, 1, connections);
    }
    let calls = number(&result, "/counts/calls_told").unwrap_or(f64::NAN);
    report.add(name("calls_per_virtual_s"), calls / (duration_s - warmup_s) as f64, "Calls/s", None, calls as usize);
    let samples = |path| number(&result, path).map_or(0, |count| count as usize);
    for (what, path, unit) in [
        ("propagation_p50_ms", "/metrics/latencies/propagation/quantiles/p50", "ms"),
        ("propagation_p99_ms", "/metrics/latencies/propagation/quantiles/p99", "ms"),
        ("duplicates", "/metrics/figures/duplicates", "copies"),
        ("delivered", "/metrics/figures/delivered", "share"),
    ] {
        if let Some(value) = number(&result, path) {
            report.add(name(what), value, unit, None, samples("/counts/calls_heard"));
        }
    }
    let experiments = number(&result, "/counts/calls").unwrap_or(0.0);
    if experiments > 0.0
        && let Some(claims) = number(&result, "/counts/claims")
    {
        report.add(name("claims_per_experiment"), claims / experiments, "claims", None, experiments as usize);
    }
    if calls > 0.0 {
        let per_call = |path| number(&result, path).map(|value| value / calls);
        if let Some(value) = per_call("/steady_received_bytes/mean") {
            report.add(name("bytes_per_station_per_call"), value, "B", None, calls as usize);
        }
    }
    number(&result, "/speed/resident_mb")
}

fn targets(stations: u32, fidelity: &str) -> (Option<&'static str>, Option<&'static str>) {
    match (stations, fidelity) {
        (1_000, "full") => (Some(">= 2"), Some("<= 1600")),
        (1_000, "fast") => (Some(">= 4"), None),
        (LARGEST, _) => (Some(">= 0.15"), Some("<= 14000")),
        _ => (None, None),
    }
}

/// The scenario of fifty stations with every kind of fault, which CI runs.
fn faults(program: &Path, report: &mut Report) {
    let Some(result) = run(program, &["run".to_owned(), "sim/scenarios/ci-50.toml".to_owned()], report) else { return };
    if let Some(value) = number(&result, "/speed/real_s") {
        report.add("ci_50_real_s", value, "s", Some("< 20"), 1);
    }
}
