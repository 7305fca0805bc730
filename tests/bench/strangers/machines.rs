//! What strangers come to where no process is needed: in the simulator's mesh, and in the machines' own tests.
//!
//! Guarantees: the tests are those of `cargo test`, in their long form. Deliberately lacks tests of its own.

use serde_json::Value;

use crate::cargo::cargo;
use crate::figures::{Anchor, Attack, Damage, Report, median};
use crate::sim;

/// Histories with both machines over one store, of two kinds each, and in the short form.
const HISTORIES: u64 = 50_000;
const HISTORIES_SHORT: u64 = 500;
/// Modules of random shapes, and in the short form.
const SHAPES: u64 = 100_000;
const SHAPES_SHORT: u64 = 1_000;

/// Blobs of live records that were gone, in random histories.
pub(super) fn blobs(short: bool, report: &mut Report) {
    let cases = if short { HISTORIES_SHORT } else { HISTORIES }.to_string();
    let test = ["--test", "machines", "no_blob_of_a_live_record_is_ever_missing_and_no_other_survives_a_restart"];
    let attack = Attack { what: "random histories of both machines over one store, liars among the peers".into(), cost: "simulated".into() };
    tested("station-protocol", &test, &[("STATION_CASES", &cases)], &attack, report);
}

/// Logs that verify although a byte of them, or of a part, is another.
pub(super) fn logs(report: &mut Report) {
    let test = ["--lib", "of_a_closed_log_and_all_its_parts_no_byte_can_be_flipped"];
    let attack = Attack { what: "one bit of every byte of a Log and its parts flipped".into(), cost: "none".into() };
    tested("station-protocol", &test, &[], &attack, report);
}

/// Modules that end differently on the two tiers, or in the native stack.
pub(super) fn shapes(short: bool, report: &mut Report) {
    let shapes = if short { SHAPES_SHORT } else { SHAPES }.to_string();
    let test = ["--lib", "no_shape_ends_differently_on_the_two_tiers_or_in_the_native_stack"];
    let attack = Attack { what: "random shapes of frames, calls, results, v128 and globals".into(), cost: "some hundred bytes each".into() };
    tested("station-sandbox", &test, &[("STATION_SHAPES", &shapes)], &attack, report);
}

/// The figure that a test of `package` prints.
#[expect(clippy::cast_possible_truncation, reason = "counts of a benchmark")]
fn tested(package: &str, test: &[&str], settings: &[(&str, &str)], attack: &Attack, report: &mut Report) {
    let mut run = cargo();
    run.args(["test", "--release", "-q", "-p", package]).args(test).args(["--", "--nocapture"]).envs(settings.iter().copied());
    let output = run.output().expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stdout);
    // The runner prints its own words on the same line.
    let figure =
        said.lines().filter_map(|line| line.find('{').and_then(|at| serde_json::Deserializer::from_str(&line[at..]).into_iter().next()?.ok()));
    let figure: Option<Value> = figure.collect::<Vec<Value>>().pop();
    if !output.status.success() {
        report.failed(format!("{test:?} ended with {}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let Some(figure) = figure else { return };
    report.add_damage(Damage {
        name: figure["name"].as_str().unwrap_or_default().into(),
        value: figure["value"].as_f64().unwrap_or(f64::NAN),
        unit: "found",
        target: "0",
        n: figure["n"].as_u64().unwrap_or(0) as usize,
        anchor: Anchor { name: "target".into(), value: 0.0 },
        attack: attack.clone(),
    });
}

/// What gossip delivers among attackers of the mesh, in the simulator.
pub(super) fn delivered(short: bool, report: &mut Report) {
    let program = sim::build(false);
    for scenario in ["mesh-attacks", "sybil-eclipse"] {
        let seeds = 1..=if short { 1 } else { 12 };
        let mut delivered = Vec::new();
        for seed in seeds {
            let arguments = ["run".to_owned(), format!("sim/scenarios/{scenario}.toml"), "--seed".to_owned(), seed.to_string()];
            let result = sim::run(&program, &arguments, report);
            delivered.extend(result.and_then(|result| sim::number(&result, "/metrics/figures/delivered")).map(|share| share * 100.0));
        }
        if delivered.is_empty() {
            report.failed(format!("{scenario} gave no figure"));
            continue;
        }
        report.add_damage(Damage {
            name: format!("mesh_delivery_{}_pct", scenario.replace('-', "_")),
            value: delivered.iter().copied().fold(f64::INFINITY, f64::min),
            unit: "%",
            target: ">= 99.9",
            n: delivered.len(),
            anchor: Anchor { name: "median_pct".into(), value: (median(&delivered) * 100.0).round() / 100.0 },
            attack: Attack { what: "the attackers of that scenario; the worst of the seeds".into(), cost: "simulated".into() },
        });
    }
}
