//! The attacks on a real station, each in a network of its own.
//!
//! Guarantees: each has a station that nobody attacked before; figures of honest work have the undisturbed one of the same attack beside
//! them. Deliberately lacks an order: whoever asks says which.

use std::path::Path;
use std::time::{Duration, Instant};

use station_stranger::attacks::addresses::trick;
use station_stranger::attacks::census::{Claimed, grind};
use station_stranger::attacks::content::bomb;
use station_stranger::attacks::floods::{Flood, flood};
use station_stranger::attacks::leases::over_lease;
use station_stranger::attacks::modules::hog_the_compiler;
use station_stranger::attacks::places::{hold_handshakes, hold_places, newcomers};
use station_stranger::world::World;
use station_tests::process::Home;

use super::Alone;
use crate::figures::{Anchor, Attack, Damage, Report, median, quantile};

/// Between two experiments of the researcher.
const BETWEEN: Duration = Duration::from_millis(1_500);
/// How long each flood lasts, and in the short form.
const FLOOD: Duration = Duration::from_secs(600);
const FLOOD_SHORT: Duration = Duration::from_secs(20);
/// Experiments before a flood, and in the short form.
const QUIET: usize = 100;
const QUIET_SHORT: usize = 8;

/// Plays one of them on the station of `program`.
pub(super) async fn play(part: Alone, program: &Path, short: bool, report: &mut Report) {
    match part {
        Alone::OverLease => over_leased(program, short, report).await,
        Alone::Ground => ground(program, short, report).await,
        Alone::Addresses => tricked(program, short, report).await,
        Alone::Car => bombed(program, short, report).await,
        Alone::Places => held(program, false, short, report).await,
        Alone::Handshakes => held(program, true, short, report).await,
        Alone::CompileHogs => compiler(program, report).await,
        Alone::Flood(kind) => flooded(program, kind, short, report).await,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
async fn tricked(program: &Path, short: bool, report: &mut Report) {
    let world = World::start(program).await;
    let tricked = trick(&world, 1_000, Duration::from_secs(if short { 10 } else { 60 })).await;
    report.add_damage(Damage {
        name: "unasked_dials".into(),
        value: tricked.knocks as f64 + tricked.lookups as f64,
        unit: "knocks",
        target: "0",
        n: tricked.tricks as usize,
        anchor: Anchor { name: "doors".into(), value: tricked.doors.len() as f64 },
        attack: Attack {
            what: "addresses that lead elsewhere than they read".into(),
            cost: format!("{} addresses in Calls, records, identify and the DHT", tricked.tricks),
        },
    });
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
async fn over_leased(program: &Path, short: bool, report: &mut Report) {
    let world = World::start(program).await;
    let leased = over_lease(&world, Duration::from_secs(if short { 20 } else { 60 })).await;
    report.add_damage(Damage {
        name: "outbox_after_overlease".into(),
        value: leased.outbox_most as f64,
        unit: "receipts",
        target: "<= 64",
        n: leased.answers as usize,
        anchor: Anchor { name: "leases_pushed".into(), value: leased.leases as f64 },
        attack: Attack { what: "32 leases in every answer, nothing held".into(), cost: "one key, one connection".into() },
    });
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
async fn ground(program: &Path, short: bool, report: &mut Report) {
    let world = World::start(program).await;
    let keys = if short { 100_000 } else { 1_000_000 };
    let ground = grind(&world, keys, Claimed::OneNetwork, Duration::from_secs(30)).await;
    report.add_damage(Damage {
        name: format!("census_after_grinding_{keys}"),
        value: ground.counted_most as f64,
        unit: "stations",
        target: "<= 2 x real",
        n: keys as usize,
        anchor: Anchor { name: "real_size".into(), value: ground.before as f64 },
        attack: Attack { what: "ground keys of one /24".into(), cost: format!("{keys} keys in {:.1} s, one answer", ground.grinding_s) },
    });
}

/// Memory under a flood, and how honest work settles beside it.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
async fn flooded(program: &Path, kind: Flood, short: bool, report: &mut Report) {
    let world = World::start(program).await;
    let researcher = Researcher::new(&world, report).await;
    let quiet = researcher.settle(&world, if short { QUIET_SHORT } else { QUIET }, None, report).await;
    let lasting = if short { FLOOD_SHORT } else { FLOOD };
    let (flooded, beside) = tokio::join!(flood(&world, kind, lasting, true), researcher.settle(&world, usize::MAX, Some(lasting), report));
    let name = format!("{kind:?}").to_lowercase();
    let attack = Attack {
        what: "a flood of one address at a time, with a new key when it is let go".into(),
        cost: format!(
            "{} frames, {:.1} Mbit/s, {} keys let go, {} dials refused",
            flooded.sent,
            flooded.bytes as f64 * 8e-6 / flooded.lasted_s,
            flooded.let_go,
            flooded.refused
        ),
    };
    let span = if short { "20s" } else { "10min" };
    report.add_damage(Damage {
        name: format!("rss_after_{span}_{name}_mb"),
        value: flooded.peak_mb,
        unit: "MB",
        target: "<= 512",
        n: 1,
        anchor: Anchor { name: "before_mb".into(), value: (flooded.before_mb * 10.0).round() / 10.0 },
        attack: attack.clone(),
    });
    report.add_damage(Damage {
        name: format!("honest_settle_p99_{name}_ms"),
        value: quantile(&beside, 0.99),
        unit: "ms",
        target: "<= 2 x quiet",
        n: beside.len(),
        anchor: Anchor { name: "quiet_p99_ms".into(), value: quantile(&quiet, 0.99).round() },
        attack: attack.clone(),
    });
    report.add_damage(Damage {
        name: format!("processor_{name}_pct"),
        value: flooded.processor_s / flooded.lasted_s * 100.0,
        unit: "%",
        target: "",
        n: 1,
        anchor: Anchor { name: "quiet_p50_ms".into(), value: median(&quiet).round() },
        attack,
    });
}

async fn bombed(program: &Path, short: bool, report: &mut Report) {
    let world = World::start(program).await;
    // One /24 has sixteen places.
    let (links, keys) = (16, if short { 4 } else { 8 });
    let bombed = bomb(&world, links, keys, if short { FLOOD_SHORT } else { FLOOD }).await;
    report.add_damage(Damage {
        name: format!("rss_after_{}_car_mb", if short { "20s" } else { "10min" }),
        value: bombed.peak_mb,
        unit: "MB",
        target: "<= 512",
        n: bombed.claims as usize,
        anchor: Anchor { name: "before_mb".into(), value: (bombed.before_mb * 10.0).round() / 10.0 },
        attack: Attack {
            what: "modules of one leaf many times".into(),
            cost: format!("{keys} keys, {} bytes sent for {} declared", bombed.sent_bytes, bombed.declared_bytes),
        },
    });
}

/// Newcomers while one /24 holds what it can: connections, or handshakes.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
async fn held(program: &Path, shakes: bool, short: bool, report: &mut Report) {
    let honest = if short { 20 } else { 100 };
    let (name, what) = match shakes {
        false => ("places", "keys of one /24 that hold what they can"),
        true => ("handshakes", "handshakes of one /24 that do not end"),
    };
    let world = World::start(program).await;
    let (_, undisturbed) = newcomers(&world, honest).await;
    let held = if shakes { hold_handshakes(&world, 1_000, honest).await } else { hold_places(&world, 1_000, honest).await };
    report.add_damage(Damage {
        name: format!("honest_refused_{name}_pct"),
        value: held.refused as f64 / held.honest as f64 * 100.0,
        unit: "%",
        target: "<= 1",
        n: held.honest as usize,
        anchor: Anchor { name: "undisturbed_pct".into(), value: undisturbed as f64 / held.honest as f64 * 100.0 },
        attack: Attack { what: what.into(), cost: format!("{} tried, {} have a place", held.keys, held.places) },
    });
}

/// How much later a no-op settles while ten keys have the station compile.
async fn compiler(program: &Path, report: &mut Report) {
    let world = World::start(program).await;
    let researcher = Researcher::new(&world, report).await;
    let quiet = researcher.settle(&world, 5, None, report).await;
    let (_liars, _) = hog_the_compiler(&world, 10).await;
    let beside = researcher.settle(&world, 5, None, report).await;
    report.add_damage(Damage {
        name: "honest_delay_compile_hogs_s".into(),
        value: (quantile(&beside, 1.0) - median(&quiet)) / 1e3,
        unit: "s",
        target: "<= 2",
        n: beside.len(),
        anchor: Anchor { name: "quiet_s".into(), value: median(&quiet).round() / 1e3 },
        attack: Attack {
            what: "modules that take seconds to compile, leases of one second".into(),
            cost: "ten keys of one /24, a hundred kilobytes each".into(),
        },
    });
}

/// An honest requester with a station of its own, which does not work for itself.
struct Researcher {
    home: Home,
    _running: station_tests::process::Running,
}

impl Researcher {
    async fn new(world: &World, report: &mut Report) -> Self {
        let home = world.honest("researcher", 2).await;
        let running = home.run().await;
        let researcher = Self { home, _running: running };
        // Once through everything: the module is compiled, the connection there.
        researcher.settle(world, 1, None, report).await;
        researcher
    }

    /// From publishing one no-op to its end, in milliseconds, again and again. One that fails has no time, and is a failure of the run.
    async fn settle(&self, world: &World, times: usize, lasting: Option<Duration>, report: &mut Report) -> Vec<f64> {
        let (begun, mut took, mut tried) = (Instant::now(), Vec::new(), 0);
        while tried < times && lasting.is_none_or(|lasting| begun.elapsed() < lasting) {
            tried += 1;
            let start = Instant::now();
            let (code, said) = world.settle_over(&self.home).await;
            if code == 0 {
                took.push(start.elapsed().as_secs_f64() * 1e3);
            } else {
                report.failed(format!("an honest experiment ended with {code}: {said}"));
            }
            tokio::time::sleep(BETWEEN).await;
        }
        took
    }
}
