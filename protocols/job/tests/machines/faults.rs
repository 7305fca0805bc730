//! What goes wrong, how often, and when it stops.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use station_protocol::bounded::{List, Text};
use station_protocol::experiment::{Class, Labels, Measurement, Spread, Trust};
use station_protocol::jobs::Jobs;
use station_protocol::limits::Limits;
use station_protocol::requester::{self, Draft};
use station_protocol::{Content, worker};

use crate::blobs;
use crate::luck::Luck;
use crate::station::{self, Conduct, name, topic};
use crate::world::{Happening, START, World};

/// How the world treats everybody; chances are in a thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Longest transaction.
    pub(crate) disk_ms: u64,
    /// A station dies while its disk works.
    pub(crate) disk_crash: u64,
    /// How far clocks are apart.
    pub(crate) skew_ms: u64,
    /// A message is lost, comes twice, or late.
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) delayed: u64,
    /// Nobody is told of peers: they have no part in what is promised here, and their records cost a signature each.
    pub(crate) lonely: bool,
    /// Gossip does not get from one neighbour to the next.
    pub(crate) unheard: u64,
    /// A fetch or an execution fails.
    pub(crate) fails: u64,
    /// An execution takes up to twice its lease.
    pub(crate) slow: u64,
    /// Half of the outputs are too large to travel beside their receipts.
    pub(crate) bulky: bool,
}

impl Weather {
    pub(crate) const CALM: Self =
        Self { disk_ms: 10, disk_crash: 0, skew_ms: 0, lost: 0, repeated: 0, delayed: 0, lonely: false, unheard: 0, fails: 0, slow: 0, bulky: false };

    fn of(luck: &mut Luck) -> Self {
        let lonely = luck.chance(700);
        let mut up_to = |most| if luck.chance(300) { 0 } else { luck.below(most) };
        Self {
            disk_ms: 1 + up_to(400),
            disk_crash: up_to(60),
            skew_ms: up_to(10_000),
            lost: up_to(250),
            repeated: up_to(250),
            delayed: up_to(200),
            lonely,
            unheard: up_to(900),
            fails: up_to(150),
            slow: up_to(200),
            bulky: up_to(1_000) > 850,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Crash(usize),
    Restart(usize),
    /// Two stations cannot reach each other for so long.
    Cut(usize, usize, u64),
    Join(usize, usize),
    Connect(usize, usize),
    Disconnect(usize, usize),
    /// A station does nothing for so long, its disk excepted.
    Stall(usize, u64),
    /// Everybody's clock is suddenly so much later.
    Jump(u64),
    Publish(usize),
    Cancel(usize),
    Room(usize, bool),
    /// Its operator pauses it for so long.
    Pause(usize, u64),
    Drain(usize),
    /// From here on nothing goes wrong.
    Heal,
}

/// What kind of experiment a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Agreement,
    Measurement,
}

pub(crate) fn draft(class: Class, jobs: u64, deadline_ms: u64, at_once: Option<u32>) -> Draft {
    Draft {
        name: Text::cut("test"),
        topic: topic(),
        module: Content::raw(&blobs::module()),
        profile: name("station-wasm-1"),
        needs: BTreeMap::new(),
        limits: Limits { wall_ms: 2_000, output_bytes: 1 << 20, ..Limits::default() },
        class,
        labels: Labels::new(),
        contact: Text::cut("mailto:a@example.org"),
        deadline_ms,
        jobs: Jobs::explicit((0..jobs).map(|job| Ipld::Integer(i128::from(job))).collect()).expect("jobs"),
        target: None,
        input: station_protocol::experiment::InputForm::DagCbor,
        output: station_protocol::experiment::OutputForm::DagCbor,
        previous: None,
        at_once,
    }
}

pub(crate) fn class(kind: Kind, executions: u32) -> Class {
    match kind {
        Kind::Agreement => Class::Pure(Trust::Fixed(u16::try_from(executions).expect("a few"))),
        Kind::Measurement => {
            let exact = List::first([Text::cut("verdict")]);
            Class::Measurement(Measurement { stations: executions, spread: Spread::Network, exact, report: List::default() })
        }
    }
}

/// From one to `most`, fewer more often: what a case costs is signatures, and many small cases find more than a few large ones.
fn some(luck: &mut Luck, most: u64) -> u64 {
    let most = luck.between(1, most);
    luck.between(1, most)
}

/// A world in which everything may go wrong until it heals.
pub(crate) fn world(kind: Kind, mut luck: Luck) -> World {
    let weather = Weather::of(&mut luck);
    let researchers = 1 + usize::from(luck.chance(250));
    let workers = usize::try_from(some(&mut luck, 6)).expect("a few");
    let honest = |luck: &mut Luck| match luck.below(10) {
        0 | 1 => Conduct::Liar,
        2 => Conduct::Silent,
        _ => Conduct::Honest,
    };
    let stations = (0..researchers + workers).map(|number| {
        let conduct = if number < researchers { Conduct::Honest } else { honest(&mut luck) };
        // Now and then two stations share a /24.
        let net = if luck.chance(150) { 200 } else { u8::try_from(number).expect("a few") };
        let capacity = 1 + u32::try_from(luck.below(3)).expect("a few");
        station::new(number, net, conduct, capacity, luck.chance(300), researchers, START)
    });
    let stations = stations.collect();
    let counted = luck.chance(150).then(|| luck.between(64, 400));
    let healed_ms = luck.between(1_000, 90_000);
    let mut world = World::new(stations, luck, weather);
    world.counted = counted;
    for researcher in 0..researchers {
        let executions = u32::try_from(some(&mut world.luck, 4)).expect("a few");
        let jobs = some(&mut world.luck, 8);
        let deadline_ms = world.luck.between(20_000, 240_000);
        let at_once = world.luck.chance(200).then_some(2);
        world.drafts.insert(researcher, draft(class(kind, executions), jobs, deadline_ms, at_once));
        let ms = world.luck.below(healed_ms / 2);
        world.after(ms, Happening::Fault(Fault::Publish(researcher)));
    }
    let faults = world.luck.below(24);
    for _ in 0..faults {
        let fault = some_fault(&mut world);
        let ms = world.luck.below(healed_ms);
        world.after(ms, Happening::Fault(fault));
    }
    world.after(healed_ms, Happening::Fault(Fault::Heal));
    world
}

fn some_fault(world: &mut World) -> Fault {
    let count = world.stations.len();
    let luck = &mut world.luck;
    let (a, b) = (luck.index(count), luck.index(count));
    match luck.below(32) {
        0..6 => Fault::Crash(a),
        6..12 => Fault::Connect(a, b),
        12..15 => Fault::Disconnect(a, b),
        15..22 => Fault::Cut(a, b, luck.below(60_000)),
        22..26 => Fault::Stall(a, luck.below(50_000)),
        26..28 => Fault::Jump(luck.below(60_000)),
        28 => Fault::Cancel(a),
        29 => Fault::Drain(a),
        30 => Fault::Pause(a, luck.below(120_000)),
        _ => Fault::Room(a, luck.chance(500)),
    }
}

impl World {
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.meddled |= matches!(fault, Fault::Cancel(_) | Fault::Drain(_));
        match fault {
            Fault::Crash(station) if self.stations[station].up => self.crash(station),
            Fault::Restart(station) if !self.stations[station].up => {
                self.start(station);
                let other = self.luck.index(self.stations.len());
                self.connect(station, other);
            }
            Fault::Cut(a, b, ms) if a != b => {
                self.disconnect(a, b);
                self.cut.insert((a.min(b), a.max(b)));
                self.after(ms, Happening::Fault(Fault::Join(a, b)));
            }
            Fault::Join(a, b) => _ = self.cut.remove(&(a.min(b), a.max(b))),
            Fault::Connect(a, b) => self.connect(a, b),
            Fault::Disconnect(a, b) => self.disconnect(a, b),
            Fault::Stall(station, ms) => self.stations[station].stalled_until = self.now.plus(ms),
            Fault::Jump(ms) => self.now = self.now.plus(ms),
            Fault::Publish(station) if self.stations[station].up => self.publish(station),
            Fault::Cancel(station) if self.stations[station].up => {
                for experiment in self.stations[station].requester.experiments().collect::<Vec<_>>() {
                    self.hand_requester(station, requester::Event::Cancel { experiment });
                }
            }
            Fault::Room(station, enough) if self.stations[station].up => self.hand_worker(station, worker::Event::Room(enough)),
            Fault::Pause(station, ms) if self.stations[station].up => {
                let until = Some(self.now.plus(ms));
                self.hand_worker(station, worker::Event::Pause { until });
            }
            Fault::Drain(station) if self.stations[station].up => self.hand_worker(station, worker::Event::Drain),
            Fault::Heal => self.heal(),
            _ => {}
        }
    }

    pub(crate) fn publish(&mut self, station: usize) {
        let publish = self.ticket();
        let draft = Box::new(self.drafts[&station].clone());
        let module = self.stations[station].blobs.keep_module(&blobs::module());
        self.hand_requester(station, requester::Event::Publish { publish, draft, module: vec![module] });
    }

    fn heal(&mut self) {
        self.healed_at = Some(self.now);
        self.weather = Weather { skew_ms: self.weather.skew_ms, bulky: self.weather.bulky, lonely: self.weather.lonely, ..Weather::CALM };
        self.cut.clear();
        for station in 0..self.stations.len() {
            self.stations[station].stalled_until = self.now;
            if self.stations[station].up {
                // Its ticks may have been put off to the end of a stall.
                self.stations[station].ticks = [None; 2];
                self.hand_requester(station, requester::Event::Tick);
                self.hand_worker(station, worker::Event::Room(true));
            } else {
                self.start(station);
            }
        }
        for station in self.drafts.keys().copied().collect::<Vec<_>>() {
            if self.stations[station].requester.experiments().next().is_none() {
                self.publish(station);
            }
        }
        self.connect_all();
    }

    pub(crate) fn connect_all(&mut self) {
        for a in 0..self.stations.len() {
            for b in 0..a {
                self.connect(a, b);
            }
        }
    }
}
