//! Each sentence of advice in the situation that it describes, and not in the neighbouring ones.

use std::collections::BTreeSet;

use station_protocol::experiment::file::ExperimentFile;
use station_protocol::receipt::Trap;
use station_protocol::requester::{Config, Draft, Event, Requester};
use station_protocol::{Content, SigningKey, Time, durable::Ticket};

use super::*;

const PURE: &str = "module = \"primes\"\ntopic = \"compute\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\ntrust = \"fixed:3\"\n";
const MEASURED: &str = "module = \"gateway-check\"\ntopic = \"compute\"\n[jobs]\ngateway = [\"https://ipfs.io\"]\ncid = [\"bafkqaaa\"]\n[measurement]\nstations = 3\n[needs]\nhttp = [\"ipfs.io\"]\n";
const NOW: Time = Time(1_800_000_000_000);

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn draft(file: &str) -> Draft {
    let file = ExperimentFile::parse(file).expect("an experiment");
    let jobs = file.jobs(None).expect("its jobs");
    let module = bundled_names()[&name("gateway-check")][0];
    file.into_draft(Content { cid: module, bytes: 1 }, jobs, name("station-wasm-2"))
}

/// An experiment that was just published, in a topic of four stations of which three are connected.
struct Situation {
    view: View,
    around: Around,
    topics: Vec<Name>,
}

impl Situation {
    fn of(file: &str) -> Self {
        let mut machine = Requester::restore(Config { network: name("lab") }, SigningKey::from_bytes(&[1; 32]), [2; 32], std::iter::empty(), NOW)
            .expect("nothing to restore");
        machine.handle(Event::Publish { publish: Ticket(1), draft: Box::new(draft(file)), module: Vec::new() }, NOW);
        let id = machine.experiments().next().expect("it is published");
        let mut view = machine.view(&id).expect("it is known");
        (view.explanation.stations, view.explanation.sampled) = (4, 4);
        Self { view, around: Around { peers: 3, connected: 3, counted: 4 }, topics: vec![name("compute")] }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn claimed(self, claimants: u64) -> Self {
        self.with(|own| own.view.explanation.claimants = claimants)
    }

    fn running(self, outstanding: u64) -> Self {
        self.with(|own| own.view.status.outstanding = outstanding)
    }

    fn around(self, peers: u64, connected: u64, counted: u64) -> Self {
        self.with(|own| own.around = Around { peers, connected, counted })
    }

    fn declined(self, reason: DeclineReason) -> Self {
        self.with(|own| _ = own.view.explanation.declines.insert(reason, 2))
    }

    fn refused(self, reason: ClaimRefused) -> Self {
        self.with(|own| _ = own.view.explanation.refusals.insert(reason, 2))
    }

    fn failed(self, outcome: Outcome) -> Self {
        self.with(|own| _ = own.view.explanation.failures.insert(outcome, 2))
    }

    fn body(&self) -> ExperimentBody {
        experiment(&Facts { view: &self.view, around: self.around, topics: &self.topics })
    }
}

/// Words of one sentence each.
const MARKS: &[&str] = &[
    "is no topic of this station's network any more",
    "connected with nobody",
    "takes part in topic compute",
    "no station of topic compute is connected now; 2 stations claimed before",
    "every 2 s more are asked",
    "this one among them, are asked",
    "station allow gateway-check http",
    "only stations that say region = eu or na of themselves",
    "1GiB of memory",
    "allow no such capability",
    "for other targets only",
    "budgets below the limits",
    "do not say region = eu or na of themselves",
    "could not fetch the module",
    "engine profile: they, or this station",
    "take nothing from this requester",
    "the present Call does not ask",
    "has its seat already",
    "without the module's engine profile",
    "do not have the labels of [where]",
    "came from private addresses",
    "each job wants 3 stations of different networks and",
    "ask for fewer in [pure] trust",
    "ask for fewer in [measurement] stations",
    "timed_out: raise [limits] wall",
    "out_of_fuel: raise [limits] fuel",
    "output_too_large: raise [limits] output",
    "out_of_memory: those machines",
    "calls too deeply",
    "bad_module: raise [limits] memory",
    "the module used what [needs] does not name",
    "those stations ended it",
    "trapped: unreachable: try the job with `station module run`",
    "have nothing to run now",
    "2 stations that claimed take no job now: busy, paused or full",
    "1 station lost or gave back the last jobs",
];
const UNDER_WAY: &str = "2 executions under way: each may take 1m";

/// Situations, each with all that is to be said of it.
fn situations() -> Vec<(Situation, Vec<&'static str>)> {
    let pure = || Situation::of(PURE);
    let enough = || pure().claimed(3);
    let labels = || Situation::of(&format!("{PURE}[where]\nlabels = {{ region = [\"eu\", \"na\"] }}\n"));
    let memory = || Situation::of(&format!("{PURE}[limits]\nmemory = \"1GiB\"\n"));
    let wanted = "each job wants 3 stations of different networks and";
    let mut rows = vec![
        (pure().with(|own| own.topics = vec![name("other")]), vec!["is no topic of this station's network any more"]),
        (pure().around(0, 0, 4), vec!["connected with nobody"]),
        (pure().around(2, 0, 1), vec!["takes part in topic compute"]),
        (pure().around(0, 0, 1).claimed(2), vec!["no station of topic compute is connected now; 2 stations claimed before", wanted]),
        (pure().around(0, 0, 1).claimed(3).running(2), vec![UNDER_WAY]),
        (pure(), vec!["this one among them, are asked"]),
        (pure().with(|own| own.view.explanation.sampled = 2), vec!["every 2 s more are asked"]),
        (
            pure().around(2, 2, 2).with(|own| own.view.explanation.stations = 2),
            vec!["this one among them, are asked", wanted, "ask for fewer in [pure] trust"],
        ),
        (pure().claimed(1).running(2), vec![wanted, UNDER_WAY]),
        (pure().claimed(2).around(2, 2, 2).with(|own| own.view.explanation.stations = 2), vec![wanted, "ask for fewer in [pure] trust"]),
        (
            Situation::of(MEASURED).claimed(2).around(2, 2, 2).with(|own| own.view.explanation.stations = 2),
            vec![wanted, "ask for fewer in [measurement] stations"],
        ),
        (Situation::of(MEASURED), vec!["this one among them, are asked", "station allow gateway-check http"]),
        (Situation::of(MEASURED).claimed(3).running(2), vec![UNDER_WAY]),
        (labels(), vec!["this one among them, are asked", "only stations that say region = eu or na of themselves"]),
        (labels().claimed(3).running(2), vec![UNDER_WAY]),
        (labels().declined(DeclineReason::Labels), vec!["this one among them, are asked", "do not say region = eu or na of themselves"]),
        (memory(), vec!["this one among them, are asked", "1GiB of memory"]),
        (memory().declined(DeclineReason::Budget), vec!["this one among them, are asked", "budgets below the limits"]),
        (memory().claimed(3).running(2), vec![UNDER_WAY]),
        (enough(), vec!["have nothing to run now"]),
        (enough().running(2), vec![UNDER_WAY]),
        (
            enough().with(|own| own.view.explanation.full = 2),
            vec!["have nothing to run now", "2 stations that claimed take no job now: busy, paused or full"],
        ),
        (
            enough().with(|own| (own.view.explanation.full, own.view.explanation.resting) = (2, 1)),
            vec!["2 stations that claimed take no job now: busy, paused or full", "1 station lost or gave back the last jobs"],
        ),
        (
            enough().running(2).with(|own| (own.view.explanation.full, own.view.explanation.resting) = (2, 1)),
            vec![UNDER_WAY, "2 stations that claimed take no job now: busy, paused or full", "1 station lost or gave back the last jobs"],
        ),
        (enough().with(|own| own.view.explanation.unplaced = 2), vec!["came from private addresses"]),
    ];
    let declines = [
        (DeclineReason::Capability, "allow no such capability"),
        (DeclineReason::Target, "for other targets only"),
        (DeclineReason::Budget, "budgets below the limits"),
        (DeclineReason::Module, "could not fetch the module"),
        (DeclineReason::Profile, "engine profile: they, or this station"),
        (DeclineReason::Banned, "take nothing from this requester"),
    ];
    rows.extend(declines.map(|(reason, says)| (enough().declined(reason), vec![says])));
    let refusals = [
        (ClaimRefused::NotSampled, "the present Call does not ask"),
        (ClaimRefused::ClusterTaken, "has its seat already"),
        (ClaimRefused::Profile, "without the module's engine profile"),
        (ClaimRefused::Labels, "do not have the labels of [where]"),
    ];
    rows.extend(refusals.map(|(reason, says)| (enough().refused(reason), vec![says])));
    rows.extend([ClaimRefused::Enough, ClaimRefused::NotDrawn].map(|reason| (enough().refused(reason), vec!["have nothing to run now"])));
    let failures = [
        (Outcome::TimedOut, "timed_out: raise [limits] wall"),
        (Outcome::OutOfFuel, "out_of_fuel: raise [limits] fuel"),
        (Outcome::OutputTooLarge, "output_too_large: raise [limits] output"),
        (Outcome::OutOfMemory, "out_of_memory: those machines"),
        (Outcome::StackOverflow, "calls too deeply"),
        (Outcome::BadModule, "bad_module: raise [limits] memory"),
        (Outcome::Refused(Capability::Http), "the module used what [needs] does not name"),
        (Outcome::Killed, "those stations ended it"),
        (Outcome::Trapped(Trap::Unreachable), "trapped: unreachable: try the job with `station module run`"),
    ];
    rows.extend(failures.map(|(outcome, says)| (enough().failed(outcome), vec![says])));
    rows
}

#[test]
fn each_sentence_is_said_in_its_situation_and_in_no_neighbouring_one() {
    let mut said = BTreeSet::new();
    for (number, (situation, expected)) in situations().into_iter().enumerate() {
        let advice = situation.body().advice;
        let text = advice.join("\n");
        for mark in MARKS.iter().copied().chain([UNDER_WAY]) {
            assert_eq!(text.contains(mark), expected.contains(&mark), "situation {number}, {mark:?}:\n{text}");
        }
        // More sentences than marks would be sentences that nobody looks at. One may carry two marks: what is wanted, and that it is too much.
        let least = expected.iter().filter(|mark| !mark.starts_with("ask for fewer")).count();
        assert_eq!(advice.len(), least, "situation {number}:\n{text}");
        said.extend(expected);
    }
    let never: Vec<_> = MARKS.iter().filter(|mark| !said.contains(*mark)).collect();
    assert!(never.is_empty(), "never said: {never:?}");
}

#[test]
fn an_open_experiment_has_advice_whatever_happens_and_a_closed_one_none() {
    for (peers, connected, counted) in [(0, 0, 1), (0, 0, 5), (2, 0, 1), (1, 1, 2), (9, 9, 10)] {
        for claimants in [0, 1, 3, 20] {
            for outstanding in [0, 1, 7] {
                let situation = Situation::of(PURE).around(peers, connected, counted).claimed(claimants).running(outstanding);
                assert!(!situation.body().advice.is_empty(), "{:?} {claimants} {outstanding}", situation.around);
            }
        }
    }
    let mut machine =
        Requester::restore(Config { network: name("lab") }, SigningKey::from_bytes(&[1; 32]), [2; 32], std::iter::empty(), NOW).expect("nothing");
    machine.handle(Event::Publish { publish: Ticket(1), draft: Box::new(draft(PURE)), module: Vec::new() }, NOW);
    let id = machine.experiments().next().expect("published");
    machine.handle(Event::Cancel { experiment: id }, NOW);
    let view = machine.view(&id).expect("closed experiments are known");
    let body = experiment(&Facts { view: &view, around: Around::default(), topics: &[] });
    assert_eq!((body.closed, body.advice.len()), (true, 0), "{:?}", body.advice);
}

#[test]
fn what_advice_rests_on_stands_in_the_same_answer() {
    let file = format!("{MEASURED}[where]\nlabels = {{ region = [\"eu\", \"na\"] }}\n");
    let body = Situation::of(&file).failed(Outcome::TimedOut).declined(DeclineReason::Target).around(5, 3, 2).body();
    assert_eq!((body.wanted, body.connected, body.stations, body.published), (3, 3, 4, NOW.0));
    assert_eq!((body.needs, body.labels), (vec!["http ipfs.io".to_owned()], vec!["region = eu or na".to_owned()]));
    assert_eq!((body.failures["timed_out"], body.declines["target"]), (2, 2));
    assert!(body.advice.iter().any(|advice| advice.starts_with("2 executions ended with timed_out")), "{:?}", body.advice);
}
