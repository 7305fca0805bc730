//! A foreign peer's attacks on a real station: what each costs the attacker, what it does to the station, and how honest work fares beside
//! it.
//!
//! Plays each in a network of its own (see `station_stranger::alone`), with the release binary. Guarantees: figures of honest work are
//! compared with the undisturbed one of the same network and the same minutes. Deliberately lacks many machines: attacker, station and
//! researcher share this one's cores, in the long form with other floods.

mod attacks;
mod machines;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use station_stranger::alone;
use station_stranger::attacks::floods::{FLOODS, Flood};

use super::figures::Report;
use super::processes;

/// The station's program: named by whoever starts this, or built; and told to the run in the namespace.
const PROGRAM: &str = "STATION_STRANGERS_PROGRAM";
/// Floods that last ten minutes go on side by side. A station needs a twentieth of a core under most of them.
const SIDE_BY_SIDE: usize = 6;

/// What happens in a network of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    OverLease,
    Ground,
    Addresses,
    Places,
    Handshakes,
    CompileHogs,
    Car,
    Flood(Flood),
}

impl Alone {
    /// Those that look at how long something takes come first, each by itself.
    fn all() -> Vec<Self> {
        let first = [Self::OverLease, Self::Ground, Self::Addresses, Self::Places, Self::Handshakes, Self::CompileHogs, Self::Car];
        first.into_iter().chain(FLOODS.map(Self::Flood)).collect()
    }

    fn name(self) -> String {
        match self {
            Self::OverLease => "over-lease".into(),
            Self::Ground => "ground".into(),
            Self::Addresses => "addresses".into(),
            Self::Places => "places".into(),
            Self::Handshakes => "handshakes".into(),
            Self::CompileHogs => "compile-hogs".into(),
            Self::Car => "car".into(),
            Self::Flood(kind) => format!("{kind:?}").to_lowercase(),
        }
    }

    /// Whether it lasts ten minutes in the long form.
    fn is_flood(self) -> bool {
        matches!(self, Self::Car | Self::Flood(_))
    }
}

/// What needs no process of a station.
const ELSEWHERE: [&str; 4] = ["mesh", "blobs", "logs", "shapes"];

/// All of them, or those that `only` names.
pub(crate) fn measure(short: bool, only: &[String], report: &mut Report) {
    let chosen = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    let parts: Vec<Alone> = Alone::all().into_iter().filter(|part| chosen(&part.name())).collect();
    for wanted in only {
        let is_known = ELSEWHERE.contains(&wanted.as_str()) || parts.iter().any(|part| part.name() == *wanted);
        assert!(is_known, "no attack is called {wanted}; there are {:?} and {ELSEWHERE:?}", Alone::all().into_iter().map(Alone::name));
    }
    if let Some(program) = std::env::var_os(PROGRAM).filter(|_| alone::is_alone()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        for part in parts {
            runtime.block_on(attacks::play(part, &PathBuf::from(&program), short, report));
        }
        return;
    }
    if parts.is_empty() || alone::is_possible() {
        let program = std::env::var_os(PROGRAM).map_or_else(processes::build, PathBuf::from);
        let (floods, others): (Vec<Alone>, Vec<Alone>) = parts.into_iter().partition(|part| part.is_flood());
        others.chunks(1).for_each(|part| play(part, &program, short, report));
        floods.chunks(if short { 1 } else { SIDE_BY_SIDE }).for_each(|parts| play(parts, &program, short, report));
    } else {
        report.failed("attacks on a station: this machine gives no network namespace to its users".into());
    }
    if chosen("mesh") {
        machines::delivered(short, report);
    }
    if chosen("blobs") {
        machines::blobs(short, report);
    }
    if chosen("logs") {
        machines::logs(report);
    }
    if chosen("shapes") {
        machines::shapes(short, report);
    }
}

/// Plays `parts` side by side, and shows what they measured.
fn play(parts: &[Alone], program: &Path, short: bool, report: &mut Report) {
    let start = |part: &Alone| -> Child {
        let mut again = alone::again();
        again.args(["strangers", "--json", "--only", &part.name()]).args(short.then_some("--short"));
        again.env(PROGRAM, program).stdout(Stdio::piped()).spawn().expect("unshare starts")
    };
    let running: Vec<(Alone, Child)> = parts.iter().map(|part| (*part, start(part))).collect();
    for (part, mut child) in running {
        // A few lines: they fit into the pipe while another is read.
        for line in BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok) {
            report.show(serde_json::from_str(&line).expect("a figure"));
        }
        let status = child.wait().expect("it was started");
        if !status.success() {
            report.failed(format!("{} ended with {status}", part.name()));
        }
    }
}
