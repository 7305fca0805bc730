//! The world: real stations on simulated machines and wires, the work they are given and the faults that befall them.
//!
//! ```text
//!  Plan ─► World ─┬─► Resident × N (the node's Station, its disk, its process) ─► Fabric
//!                 ├─► timeline: start, publish, cut, crash, …
//!                 └─► Ledger ◄─ notes                      ─► Outcome (trace hash, figures)
//! ```
//!
//! Guarantees: one plan and one seed are one run, to the last byte on every wire. Deliberately lacks knowledge of scenarios' files and
//! of reports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use station_node::config::NetworkFile;
use station_node::station::Status;
use station_protocol::bounded::Name;
use station_protocol::identity::memo;
use tokio::time::Instant;

mod attackers;
pub mod engine;
pub mod internet;
pub mod ledger;
pub mod outcome;
pub mod outside;
mod paths;
pub mod plan;
pub mod resident;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod works;

use crate::det::trace::{Kind, Trace, Window};
use crate::det::watchdog::{POLLS_MAX, Watchdog};
use crate::det::{self, Machine, Refusal, clock};
use crate::luck::Luck;
use crate::metrics::CheckResult;
use crate::net::fabric::{Fabric, Lines, NodeIndex};
use crate::scenario::Engine;
use crate::scenario::check::{Bound, Goal, Invariant};
use internet::Internet;
use ledger::Ledger;
use outcome::{End, Outcome};
use plan::{Due, Plan, What, Work};
use resident::{Resident, Surroundings};

/// Bootstrap nodes that each station knows: as many as a network file would name.
const BOOTSTRAPS_KNOWN: usize = 3;
/// The network and its one topic.
pub const NETWORK: &str = "sim";
pub const TOPIC: &str = "sim";
/// How long a station has for its status: it answers within the instant, unless it stands still.
const STATUS_AFTER: Duration = Duration::from_millis(1);
/// Good signatures remembered for all stations together: those of the Calls and records of some minutes.
const SIGNATURES_REMEMBERED: usize = 65_536;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("station {number} does not start: {error}")]
    Start { number: NodeIndex, error: station_node::station::StationError },
    #[error("the plan has no bootstrap node: give a group the role bootstrap")]
    NoBootstrap,
}

/// Where a run is: shown while it runs.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub virtual_ms: u64,
    pub of_ms: u64,
    pub real_ns: u64,
    /// What the processor spent on this process.
    pub processor_ns: u64,
    pub resident_bytes: u64,
}

/// Performs `plan` with `seed`, telling `progress` once per virtual second; what happens in `window` is kept in full.
pub fn run(plan: &Plan, seed: u64, machine: Machine, window: Option<Window>, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, RunError> {
    let _run = det::start(seed, machine)?;
    memo::remember(SIGNATURES_REMEMBERED);
    clock::begin_at(Duration::from_millis(plan.wall_start_ms));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let outcome: Result<Outcome, RunError> = runtime.block_on(async {
        clock::follow();
        let mut world = World::new(plan, seed, machine, window)?;
        world.live(progress).await?;
        Ok(world.outcome().await)
    });
    // A thousand stations take seconds to take apart, and nobody will look at them.
    std::mem::forget(runtime);
    outcome
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Start(NodeIndex),
    Publish(usize),
    Fault(usize),
    /// The attacker takes another key.
    Renew(NodeIndex),
    /// The station goes on as two.
    Split(NodeIndex),
    /// The moment of a bound, which is the goal at this place of the plan.
    Judge(usize, Bound),
}

struct World<'a> {
    plan: &'a Plan,
    seed: u64,
    machine: Machine,
    begun: Instant,
    real_begun_ns: u64,
    around: Surroundings,
    residents: Vec<Resident>,
    /// By time, then in the order of the plan.
    timeline: BTreeMap<(u64, usize), Act>,
    planned: usize,
    /// The last second of the warm-up.
    warm: Progress,
    warm_traffic: Vec<(u64, u64)>,
    luck: Luck,
    published: u64,
    grinding: attackers::Grinding,
    judged: BTreeMap<usize, CheckResult>,
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, seed: u64, machine: Machine, window: Option<Window>) -> Result<Self, RunError> {
        let trace = Arc::new(Trace::watching(window));
        let lines = Lines::new(plan.stations.iter().map(|member| member.access), plan.climate, seed);
        let fabric = Fabric::new(lines, seed, trace.clone());
        tokio::spawn(fabric.clone().pump());
        let ledger = Arc::new(Ledger::new(plan.warmup_ms));
        let around = Surroundings {
            stepped: (plan.engine == Engine::Stepped).then(Arc::default),
            internet: Arc::new(Internet::new(plan.sites.clone(), plan.climate.latency, seed, trace.clone(), ledger.clone())),
            fabric,
            trace,
            watchdog: Arc::new(Watchdog::new(POLLS_MAX)),
            ledger,
            fidelity: plan.fidelity,
            seed,
        };
        let mut world = Self {
            plan,
            seed,
            machine,
            begun: Instant::now(),
            real_begun_ns: (machine.monotonic_ns)(),
            around,
            residents: Vec::new(),
            timeline: BTreeMap::new(),
            planned: 0,
            warm: Progress { virtual_ms: 0, of_ms: plan.duration_ms, real_ns: 0, processor_ns: (machine.processor_ns)(), resident_bytes: 0 },
            warm_traffic: vec![(0, 0); plan.stations.len()],
            luck: Luck::new(seed, "work", ""),
            published: 0,
            grinding: attackers::Grinding::default(),
            judged: BTreeMap::new(),
        };
        world.settle()?;
        Ok(world)
    }

    /// Machines for all stations, and everything that is planned.
    fn settle(&mut self) -> Result<(), RunError> {
        let numbered = || (0..).zip(&self.plan.stations);
        let servers: Vec<_> = numbered().filter(|(_, member)| member.bootstrap).collect();
        let servers: Vec<_> = servers.into_iter().map(|(number, member)| resident::address(self.seed, number, member)).collect();
        if servers.is_empty() {
            return Err(RunError::NoBootstrap);
        }
        for (number, member) in numbered() {
            let known = servers.iter().cycle().skip(number as usize % servers.len()).take(BOOTSTRAPS_KNOWN.min(servers.len()));
            let network = NetworkFile { name: name(NETWORK), lan: false, bootstrap: known.cloned().collect(), topics: vec![name(TOPIC)] };
            let resident = Resident::new(number, member.clone(), network, self.plan.commit_ms, self.around.clone());
            self.around.ledger.introduce(number, resident.node(), member.identity(resident.node()));
            self.residents.push(resident);
        }
        for (number, member) in numbered().filter(|(_, member)| attackers::starts_by_itself(member)) {
            self.plan_at(member.starts_ms, Act::Start(number));
        }
        self.find_grinders();
        for (number, work) in self.plan.work.iter().enumerate() {
            for time in 0..u64::from(work.count) {
                self.plan_at(work.first_ms + time * work.every_ms, Act::Publish(number));
            }
        }
        for (number, fault) in self.plan.faults.iter().enumerate() {
            self.plan_at(fault.at_ms, Act::Fault(number));
        }
        // Verdicts have their moments with them, so that those are judged at the end.
        for (place, due) in self.plan.goals.iter().enumerate() {
            if let Due { goal: Goal::Bound(bound), by_ms: Some(by_ms) } = due {
                self.plan_at(*by_ms, Act::Judge(place, *bound));
            }
        }
        Ok(())
    }

    fn plan_at(&mut self, at_ms: u64, act: Act) {
        self.planned += 1;
        self.timeline.insert((at_ms, self.planned), act);
    }

    /// The whole run.
    async fn live(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), RunError> {
        let (mut second, mut now) = (0, 0);
        loop {
            let next_second = (second + 1) * 1_000;
            let act = self.timeline.first_key_value().map_or(next_second, |((at, _), _)| *at);
            let next = act.min(next_second).min(self.next_look(now)).min(self.plan.duration_ms);
            tokio::time::sleep_until(self.begun + Duration::from_millis(next)).await;
            now = next;
            self.grind(now);
            while let Some(entry) = self.timeline.first_entry().filter(|entry| entry.key().0 <= next) {
                let act = entry.remove();
                self.act(act, next).await?;
            }
            if next >= next_second {
                second += 1;
                let reached = self.progress(next);
                if next <= self.plan.warmup_ms {
                    self.warm = reached;
                    self.warm_traffic = self.traffic();
                }
                progress(reached);
                self.gauge(next);
            }
            if next >= self.plan.duration_ms {
                return Ok(());
            }
        }
    }

    /// Asks all honest stations how full they are, where the scenario wants to know. One that stands still answers when it goes on.
    fn gauge(&self, now_ms: u64) {
        if !self.plan.invariants.contains(&Invariant::BoundedQueues) {
            return;
        }
        for resident in self.residents.iter().filter(|resident| resident.is_honest()) {
            let (Some(handle), ledger) = (resident.handle().cloned(), self.around.ledger.clone()) else { continue };
            let name = resident.member().name.clone();
            tokio::spawn(async move {
                // One that stops meanwhile keeps nothing.
                if let Ok(gauges) = handle.gauges().await {
                    ledger.gauged(now_ms, &name, &gauges);
                }
            });
        }
    }

    fn progress(&self, virtual_ms: u64) -> Progress {
        let real_ns = (self.machine.monotonic_ns)() - self.real_begun_ns;
        let processor_ns = (self.machine.processor_ns)();
        Progress { virtual_ms, of_ms: self.plan.duration_ms, real_ns, processor_ns, resident_bytes: (self.machine.resident_bytes)() }
    }

    async fn act(&mut self, act: Act, now_ms: u64) -> Result<(), RunError> {
        match act {
            Act::Start(number) => {
                self.start(number).await?;
                self.plan_renewal(number, now_ms);
            }
            Act::Renew(number) => self.renew(number, now_ms),
            Act::Publish(number) => {
                let plan = self.plan;
                self.publish(&plan.work[number], now_ms);
            }
            Act::Fault(number) => {
                let plan = self.plan;
                self.befall(&plan.faults[number].what).await?;
            }
            Act::Split(number) => self.split(number, now_ms),
            Act::Judge(place, bound) => {
                let mut result = outcome::metrics(self.plan, self.seed, &self.around, &self.end(now_ms).await).judge(&bound);
                result.detail += &format!(" at {} s", now_ms / 1_000);
                self.judged.insert(place, result);
            }
        }
        Ok(())
    }

    async fn start(&mut self, number: NodeIndex) -> Result<(), RunError> {
        if let Some(assault) = self.assault(number) {
            return self.residents[number as usize].attack(&assault).map_err(|error| RunError::Start { number, error });
        }
        self.residents[number as usize].start().await.map_err(|error| RunError::Start { number, error })
    }

    async fn befall(&mut self, what: &What) -> Result<(), RunError> {
        self.around.trace.told(clock::now_ms(), 0, Kind::Fault, det::trace::content(what.name().as_bytes()), || what.name().to_owned());
        let fabric = self.around.fabric.clone();
        match what {
            What::Disturb(number, disturbance) => fabric.change(|lines| lines.disturb(*number, disturbance.clone())),
            What::Calm(number) => fabric.change(|lines| lines.calm(*number)),
            What::Crash { stations, disk } => stations.iter().for_each(|number| self.residents[*number as usize].crash(*disk)),
            What::Start { stations } => {
                for number in stations {
                    self.start(*number).await?;
                }
            }
            What::Pause { stations, paused } => stations.iter().for_each(|number| self.residents[*number as usize].pause(*paused)),
            What::Rest { stations, resting } => stations.iter().for_each(|number| self.residents[*number as usize].rest(*resting)),
            What::Skew { stations, by_ms } => stations.iter().for_each(|number| self.residents[*number as usize].skew(*by_ms)),
        }
        Ok(())
    }

    /// Those whose turn it is publish, as their users' scripts would; who is down then misses its turn.
    fn publish(&mut self, work: &Work, now_ms: u64) {
        let up = |number: &NodeIndex| self.residents[*number as usize].handle().is_some();
        let mut requesters: Vec<NodeIndex> = work.requesters.iter().copied().filter(up).collect();
        if work.one_of_them && !requesters.is_empty() {
            let drawn = self.luck.below(requesters.len() as u64);
            requesters = vec![requesters[usize::try_from(drawn).unwrap_or(0)]];
        }
        for number in requesters {
            let resident = &self.residents[number as usize];
            let (Some(handle), who) = (resident.handle().cloned(), works::Publisher { number, node: resident.node() }) else { continue };
            let (draft, module) = (works::draft(work, self.published), works::module(work, self.published));
            self.published += u64::from(work.jobs);
            tokio::spawn(works::publish(handle, draft, module, self.around.clone(), who, now_ms));
            self.plan_split(number, now_ms);
        }
    }

    /// Bytes out and in of each station so far.
    fn traffic(&self) -> Vec<(u64, u64)> {
        (0..).take(self.residents.len()).map(|number| self.around.fabric.traffic(number)).collect()
    }

    /// What the stations that are up say of themselves. One that stands still says nothing.
    async fn statuses(&self) -> Vec<(NodeIndex, Status)> {
        let ask = |(number, resident): (NodeIndex, &Resident)| {
            let handle = resident.handle()?.clone();
            Some(async move { Some((number, tokio::time::timeout(STATUS_AFTER, handle.status()).await.ok()?.ok()?)) })
        };
        join_all((0..).zip(&self.residents).filter_map(ask)).await.into_iter().flatten().collect()
    }

    /// The run as it would be if it ended now.
    async fn end(&self, now_ms: u64) -> End {
        let (hash, events) = (self.around.trace.hash(now_ms), self.around.trace.events());
        let progress = self.progress(now_ms);
        End {
            hash,
            events,
            progress,
            warm: self.warm,
            statuses: self.statuses().await,
            attackers: self.attackers(),
            traffic: self.traffic(),
            warm_traffic: self.warm_traffic.clone(),
            judged: self.judged.clone(),
        }
    }

    async fn outcome(&self) -> Outcome {
        let now_ms = clock::now_ms();
        let end = self.end(now_ms).await;
        // Where stations differ in speed their seats should too, so that this is judged where a scenario says that they do not.
        if self.plan.invariants.contains(&Invariant::SeatsByCluster) {
            self.around.ledger.judge_parts(now_ms);
        }
        Outcome::new(self.plan, self.seed, &self.around, &end)
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("our own names are names")
}
