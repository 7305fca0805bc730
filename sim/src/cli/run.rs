//! `run` and `mesh`: one run, its result on stdout, its folder on request.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use station_protocol::human::Cores;
use station_protocol::policy::Policy;

use super::Failure;
use super::progress::Bar;
use crate::det::Machine;
use crate::luck::Luck;
use crate::net::fabric::{Line, NodeIndex};
use crate::net::region::Region;
use crate::net::transport::Fidelity;
use crate::world;
use crate::world::outcome::Outcome;
use crate::world::plan::{Member, Plan, Work};

/// How a run shows its result.
#[derive(Clone, Debug, Args)]
pub(super) struct Show {
    /// All luck of the run comes from this number.
    #[arg(long)]
    seed: Option<u64>,
    /// The result as one JSON object on stdout, and no progress.
    #[arg(long)]
    json: bool,
    /// A folder for manifest.json, metrics.json and checkpoints.json.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Mesh {
    #[arg(long, default_value_t = 100)]
    stations: u32,
    /// What connections are made of.
    #[arg(long, value_enum, default_value_t = FidelityArg::Full)]
    fidelity: FidelityArg,
    /// Virtual seconds in all, and before anything counts.
    #[arg(long, default_value_t = 120)]
    duration: u64,
    #[arg(long, default_value_t = 60)]
    warmup: u64,
    /// Virtual milliseconds between two experiments of one job each.
    #[arg(long, default_value_t = 3_000)]
    every: u64,
    #[command(flatten)]
    show: Show,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FidelityArg {
    Full,
    Fast,
}

/// One bootstrap node for so many stations: each asks a few of them once.
const STATIONS_PER_BOOTSTRAP: u32 = 50;

impl Mesh {
    pub(super) fn execute(self, machine: Machine) -> Result<(), Failure> {
        let plan = prepared(|| self.plan());
        perform(&plan, self.show.seed.unwrap_or(1), &self.show, machine)
    }

    fn plan(&self) -> Plan {
        let mut luck = Luck::new(0, "mesh", "");
        let bootstraps = self.stations.div_ceil(STATIONS_PER_BOOTSTRAP);
        let stations = (0..self.stations).map(|number| member(number, number < bootstraps, &mut luck)).collect();
        let between = |from: Region| Region::ALL.iter().map(|to| crate::net::region::latency(from, *to).0).collect();
        Plan {
            name: format!("mesh-{}", self.stations),
            duration_ms: self.duration * 1_000,
            warmup_ms: self.warmup * 1_000,
            fidelity: match self.fidelity {
                FidelityArg::Full => Fidelity::Full,
                FidelityArg::Fast => Fidelity::Fast,
            },
            stations,
            between_ns: Region::ALL.into_iter().map(between).collect(),
            jitter: 50_000,
            commit_ms: 2,
            work: vec![Work {
                first_ms: self.warmup * 1_000,
                every_ms: self.every,
                until_ms: (self.duration * 1_000).saturating_sub(10_000),
                requesters: (bootstraps..self.stations).collect(),
                jobs: 1,
                fixed: 1,
                deadline_ms: 60_000,
                fuel: 100_000_000,
            }],
            faults: Vec::new(),
        }
    }
}

fn member(number: NodeIndex, bootstrap: bool, luck: &mut Luck) -> Member {
    let mut policy = Policy::default();
    policy.roles.dht_server = bootstrap;
    policy.budget.cpu = Cores(2_000);
    let [_, high, middle, low] = number.to_be_bytes();
    let region = usize::try_from(luck.below(Region::ALL.len() as u64)).unwrap_or(0);
    Member {
        ip: IpAddr::V4(Ipv4Addr::new(20 + high, middle, low, 7)),
        line: Line { up: 50_000_000, down: 200_000_000, last_mile_ns: 2_000_000 + luck.below(8_000_000), region, loss: 0 },
        policy,
        capacity: 2,
        fuel_per_ms: 1_000_000,
        skew_ms: 0,
        // Bootstrap nodes are there first; the others come over some seconds, so that heartbeats are spread.
        starts_ms: if bootstrap { u64::from(number) } else { 1_000 + luck.below(10_000) },
    }
}

/// What `prepare` gives, prepared on a thread of its own that has ended: a thread's first hash map fixes the keys of all its others, and
/// those of a run are drawn within the run.
fn prepared<T: Send>(prepare: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(prepare).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Performs `plan` and shows what came of it.
pub(super) fn perform(plan: &Plan, seed: u64, show: &Show, machine: Machine) -> Result<(), Failure> {
    let bar = Bar::new(show.json);
    let outcome = world::run(plan, seed, machine, &mut |now| bar.show(now))?;
    bar.finish();
    if let Some(dir) = &show.out {
        write(dir, &outcome)?;
    }
    if show.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    }
    Ok(())
}

fn write(dir: &PathBuf, outcome: &Outcome) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("manifest.json"), serde_json::to_vec_pretty(&manifest(outcome))?)?;
    fs::write(dir.join("metrics.json"), serde_json::to_vec_pretty(&outcome.metrics)?)?;
    fs::write(dir.join("checkpoints.json"), serde_json::to_vec(&outcome.checkpoints)?)?;
    Ok(())
}

fn manifest(outcome: &Outcome) -> serde_json::Value {
    serde_json::json!({
        "scenario": outcome.scenario,
        "seed": outcome.seed,
        "commit": env!("STATION_COMMIT"),
        "lock_hash": env!("STATION_LOCK_HASH"),
        "trace_hash": outcome.trace_hash,
        "trace_events": outcome.trace_events,
        "speed": outcome.speed,
    })
}
