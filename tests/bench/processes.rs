//! The `station` program itself: size, start, and what it costs when it has nothing to do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use station_tests::process::{Home, until};

use super::cargo::cargo;
use super::figures::{Report, median};

/// How long idleness is watched.
const IDLE: Duration = Duration::from_secs(10);
const IDLE_SHORT: Duration = Duration::from_secs(3);

pub(crate) async fn measure(short: bool, report: &mut Report) {
    let program = build();
    #[expect(clippy::cast_precision_loss, reason = "a file's size")]
    let megabytes = std::fs::metadata(&program).expect("it was just built").len() as f64 / 1e6;
    report.add("binary_mb", megabytes, "MB", None, 1);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let network = |bootstrap: &[String]| format!("name = \"bench\"\nlan = true\ntopics = [\"bench\"]\nbootstrap = {bootstrap:?}\n");
    let first = Home::init(&program, &dir.path().join("first"), "/ip4/127.0.0.1/tcp/0").await;
    first.write("network.toml", &network(&[]));
    first.write("policy.toml", "[roles]\ndht_server = true\n");
    let _first = first.run().await;
    let bootstrap = first.addresses().await;
    let second = Home::init(&program, &dir.path().join("second"), "/ip4/127.0.0.1/tcp/0").await;
    second.write("network.toml", &network(&bootstrap));
    let mut joined = Vec::new();
    for _ in 0..if short { 1 } else { 5 } {
        let begun = Instant::now();
        let running = second.start(&["run"]);
        until("the station to have joined", || async {
            let (code, status) = second.try_ask(&["status"]).await;
            (code == 0 && !status["connected"].as_array()?.is_empty()).then_some(())
        })
        .await;
        joined.push(begun.elapsed().as_secs_f64() * 1_000.0);
        drop(running.kill().await);
    }
    report.add("startup_to_joined_ms", median(&joined), "ms", None, joined.len());
    let running = second.run().await;
    let id = running.id().expect("it runs");
    let watch = if short { IDLE_SHORT } else { IDLE };
    let (before, begun) = (processor_seconds(id), Instant::now());
    let pause = tokio::time::interval_at(tokio::time::Instant::now() + watch, watch).tick().await;
    let _ = pause;
    let share = (processor_seconds(id) - before) / begun.elapsed().as_secs_f64();
    report.add("idle_rss_mb", tree_pss_mb(id), "MB", Some("<= 40"), 1);
    report.add("idle_cpu_pct", share * 100.0, "%", None, 1);
}

/// The release binary of this workspace.
pub(crate) fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder");
    let output =
        cargo().args(["build", "--release", "-p", "station-node", "--message-format=json"]).current_dir(root).output().expect("cargo starts");
    assert!(output.status.success(), "the station does not build: {}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.expect("cargo names the executable")
}

/// Proportional set size of a process and all its descendants; NaN where the first cannot be read. Others may have ended meanwhile.
#[expect(clippy::cast_precision_loss, reason = "kilobytes of memory")]
fn tree_pss_mb(id: u32) -> f64 {
    let of = |id: u32| {
        let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        text.lines().find(|line| line.starts_with("Pss:")).and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
    };
    let mut tree = vec![id];
    let mut at = 0;
    while at < tree.len() {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", tree[at])).unwrap_or_default();
        tree.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    let Some(first) = of(id) else { return f64::NAN };
    (first + tree[1..].iter().filter_map(|id| of(*id)).sum::<u64>()) as f64 / 1_024.0
}

/// User and system time of a process so far; NaN where it cannot be read.
#[expect(clippy::cast_precision_loss, reason = "clock ticks of a short life")]
fn processor_seconds(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after = text.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks: Vec<u64> = after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    let [user, system] = ticks[..] else { return f64::NAN };
    // Linux counts in hundredths of a second for user space, whatever the kernel's own clock.
    (user + system) as f64 / 100.0
}
