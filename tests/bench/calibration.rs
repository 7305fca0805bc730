//! The simulator beside reality: the stations of one scenario as real processes on loopback whose connections are slowed down as the
//! scenario says, and in virtual time.
//!
//! ```text
//! bench ─┬─► bench lab-station × 20: the node's Station over TCP, Noise, Yamux and `Slowed`; the last one publishes and times
//!        └─► station-sim run calibration.toml
//! ```
//!
//! Guarantees: both have the same keys, drafts, engine, disk and delays' distribution; settle latencies are from `publish` to the note
//! of the verdict in both. Deliberately lacks the machine's load: twenty processes share it, and in virtual time nothing takes time.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};
use station_node::config::{Config, NetworkFile};
use station_node::network::peer_id::keypair;
use station_node::platform::outside::RealOutside;
use station_node::station::{Handle, Note, Parts, Station};
use station_node::store::MemoryStore;
use station_node::tasks::Tasks;
use station_protocol::bounded::Name;
use station_protocol::receipt::Isolation;
use station_protocol::requester;
use station_sim::scenario::Scenario;
use station_sim::scenario::units::Jitter;
use station_sim::world::engine::CostEngine;
use station_sim::world::plan::Plan;
use station_sim::world::{NETWORK, TOPIC, resident, works};
use tokio::time::Instant;

use super::figures::{Anchor, Report};
use super::slowed::{self, Delay};

const SCENARIO: &str = include_str!("../../sim/scenarios/calibration.toml");
/// What is compared.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];
/// After the last publication: longer than any job of the scenario takes.
const SETTLING: Duration = Duration::from_secs(10);
const NOTES_KEPT: usize = 4_096;

/// What a lab station is told on its first line of stdin. It ends when stdin does.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    number: u32,
    /// Of each station.
    ports: Vec<u16>,
}

/// Both sides, and how far apart they are.
pub(crate) fn measure(simulator: &Path, report: &mut Report) {
    let Some(result) = super::sim::run(simulator, &["run".to_owned(), "sim/scenarios/calibration.toml".to_owned()], report) else { return };
    let mut real = processes(report);
    real.sort_by(f64::total_cmp);
    if real.is_empty() {
        return report.failed("calibration: no job settled in the real processes".into());
    }
    for (name, share) in QUANTILES {
        let simulated = result.pointer(&format!("/metrics/latencies/verdict/quantiles/{name}")).and_then(serde_json::Value::as_f64);
        let Some(simulated) = simulated else {
            report.failed(format!("calibration: the simulator has no {name}"));
            continue;
        };
        let rank = (real.len() as f64 * share).ceil() as usize;
        let measured = real[rank.clamp(1, real.len()) - 1];
        report.add_beside(
            format!("calibration_settle_{name}_ms"),
            simulated,
            "ms",
            None,
            real.len(),
            Anchor { name: "twenty_processes".into(), value: measured },
        );
        report.add(format!("calibration_settle_{name}_error"), 100.0 * (simulated - measured) / measured, "%", None, real.len());
    }
}

/// Settle latencies of the real processes, in ms.
fn processes(report: &mut Report) -> Vec<f64> {
    let (plan, _) = plan();
    let reserved: Vec<TcpListener> = plan.stations.iter().map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")).collect();
    let ports: Vec<u16> = reserved.iter().map(|socket| socket.local_addr().expect("an address").port()).collect();
    drop(reserved);
    let own = std::env::current_exe().expect("a program has a path");
    let start = |number: u32| -> Child {
        let mut child = Command::new(&own).arg("lab-station").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let order = serde_json::to_string(&Order { number, ports: ports.clone() }).expect("numbers are JSON");
        writeln!(child.stdin.as_mut().expect("a pipe"), "{order}").expect("it reads");
        child
    };
    let mut children: Vec<Child> = (0..).take(plan.stations.len()).map(start).collect();
    // The requester comes last in every plan; it says one line, at its end.
    let mut line = String::new();
    if let Some(requester) = children.last_mut().and_then(|child| child.stdout.take()) {
        BufReader::new(requester).read_line(&mut line).expect("a pipe can be read");
    }
    for (number, mut child) in children.into_iter().enumerate() {
        drop(child.stdin.take());
        let status = child.wait().expect("a child ends");
        if !status.success() {
            report.failed(format!("calibration: station {number} ended with {status}"));
        }
    }
    serde_json::from_str(&line).unwrap_or_default()
}

/// What is planned, and the seed of its luck.
fn plan() -> (Plan, u64) {
    let scenario = Scenario::parse(SCENARIO).expect("the scenario is one");
    (Plan::of(&scenario, "calibration").expect("the scenario is a plan"), scenario.run.seed)
}

/// One station, until stdin ends.
pub(crate) fn station() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("stdin can be read");
    let order: Order = serde_json::from_str(&line).expect("an order");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let gone = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        tokio::select! {
            () = live(&order) => {}
            _ = gone => {}
        }
    });
    // The thread that waits for stdin's end would keep the process.
    std::process::exit(0);
}

async fn live(order: &Order) {
    let (plan, seed) = plan();
    let member = plan.stations[order.number as usize].clone();
    tokio::time::sleep(Duration::from_millis(member.starts_ms)).await;
    let listen = |number: usize| Multiaddr::from(Ipv4Addr::LOCALHOST).with(Protocol::Tcp(order.ports[number]));
    let servers = plan.stations.iter().enumerate().filter(|(_, member)| member.bootstrap);
    let peer = |number: usize| keypair(resident::secret(seed, u32::try_from(number).expect("few stations"))).public().to_peer_id();
    let name = |text: &str| Name::new(text).expect("a name");
    let network = NetworkFile {
        name: name(NETWORK),
        lan: true,
        bootstrap: servers.map(|(number, _)| listen(number).with(Protocol::P2p(peer(number)))).collect(),
        topics: vec![name(TOPIC)],
    };
    let secret = resident::secret(seed, order.number);
    let jitter = if let Jitter::Span(span) = plan.climate.jitter { span.0 } else { 0 };
    let latency_ms = plan.climate.latency.map_or(0, |latency| latency.0 / 1_000_000);
    let delay = Delay { least: Duration::from_millis(latency_ms), most: Duration::from_millis(latency_ms + jitter) };
    let parts = Parts {
        secret,
        seed: secret,
        transport: slowed::transport(&keypair(secret), delay, u64::from(order.number)).expect("a transport"),
        store: Arc::new(MemoryStore::new(Duration::from_millis(plan.commit_ms))),
        engine: Arc::new(CostEngine::new(member.fuel_per_ms)),
        outside: Arc::new(RealOutside::new(std::collections::BTreeSet::new())),
        isolation: Isolation::Full,
        profiles: vec![name(station_sandbox::PROFILE)],
        processors: if member.works { resident::PROCESSORS } else { 0 },
        tasks: Tasks::default(),
        notes_kept: NOTES_KEPT,
        memory_bytes: || None,
    };
    let config = Config { listen: vec![listen(order.number as usize)], ..member.config.clone() };
    let station = Station::start(&config, &network, member.policy.clone(), parts).await.expect("the station starts");
    let handle = station.handle();
    let running = station.run();
    if member.works || member.bootstrap {
        running.await.expect("the station runs");
        return;
    }
    let times = tokio::select! {
        times = publish(&handle, &plan) => times,
        ended = running => panic!("the requester stopped: {ended:?}"),
    };
    println!("{}", serde_json::to_string(&times).expect("numbers are JSON"));
}

/// Publishes what the scenario says, when it says so: how long each job took to its verdict, in ms.
async fn publish(handle: &Handle, plan: &Plan) -> Vec<f64> {
    let begun = Instant::now();
    let mut notes = handle.notes();
    let (mut published, mut times) = (Vec::new(), Vec::new());
    let (work, mut next, mut jobs) = (&plan.work[0], 0, 0);
    let last = begun + Duration::from_millis(work.first_ms + u64::from(work.count) * work.every_ms) + SETTLING;
    loop {
        let due = begun + Duration::from_millis(work.first_ms + u64::from(next) * work.every_ms);
        tokio::select! {
            () = tokio::time::sleep_until(due), if next < work.count => {
                let (draft, at) = (works::draft(work, jobs), Instant::now());
                jobs += u64::from(work.jobs);
                next += 1;
                published.push((handle.publish(draft).await.expect("a good draft"), at));
            }
            () = tokio::time::sleep_until(last) => return times,
            note = notes.recv() => {
                if let Ok(Note::Requester(requester::Note::Settled { experiment, .. })) = note
                    && let Some((_, at)) = published.iter().find(|(known, _)| *known == experiment)
                {
                    times.push(at.elapsed().as_secs_f64() * 1e3);
                }
            }
        }
    }
}
