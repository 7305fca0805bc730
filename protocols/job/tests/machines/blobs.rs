//! The one store of a station's blobs, and what must be in it: read from the records themselves, not from who is said to own what.
//!
//! Guarantees: after every transaction no blob that a durable record names is missing; after the sweep of a restart no other blob is
//! left. `STATION_CASES` asks for the long form. Deliberately lacks files: `node`'s stores are tested beside themselves.

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use station_protocol::call::{Call, CallState};
use station_protocol::durable::{Key, Owners};
use station_protocol::experiment::Experiment;
use station_protocol::jobs::Jobs;
use station_protocol::log::{Entry, HeldReceipt, Page, Root};
use station_protocol::work::Delivery;
use station_protocol::{Content, Signed, Time, codec};

use crate::faults::{self, Kind, Weather, class, draft};
use crate::luck::Luck;
use crate::station::{self, Conduct, Side, Station};
use crate::world::{START, World};
use crate::{Case, pass, seeds};

/// Who may own a blob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Record(Side, Key),
    /// Kept by hand, until the process ends.
    Library,
}

/// Files by CID and their owners, for both machines of a station.
#[derive(Default)]
pub(crate) struct Blobs {
    pub(crate) files: BTreeMap<Cid, Vec<u8>>,
    owners: Owners<Owner>,
}

impl Blobs {
    /// One Commit of `side`.
    pub(crate) fn write(&mut self, side: Side, blobs: Vec<(Cid, Vec<u8>)>, owns: Vec<(Key, Cid)>, deletes: &[Key]) {
        self.files.extend(blobs);
        for (key, cid) in owns {
            assert!(self.files.contains_key(&cid), "a record owns a blob that is not here");
            self.owners.own(Owner::Record(side, key), cid);
        }
        for key in deletes {
            for cid in self.owners.release(&Owner::Record(side, key.clone())) {
                self.files.remove(&cid);
            }
        }
    }

    /// What a process does before it begins: files that nobody owns go.
    pub(crate) fn sweep(&mut self) {
        self.owners.release(&Owner::Library);
        self.files.retain(|cid, _| self.owners.is_owned(cid));
    }

    /// A module is handed in.
    pub(crate) fn keep_module(&mut self, bytes: &[u8]) -> Cid {
        let cid = Content::raw(bytes).cid;
        self.files.insert(cid, bytes.to_vec());
        self.owners.own(Owner::Library, cid);
        cid
    }
}

/// What an honest station says of some jobs, whatever their input: the bytes of the module.
pub(crate) fn module() -> Vec<u8> {
    large("right", Ipld::Null)
}

/// An output that is a blob of its own at its requester too.
pub(crate) fn large(verdict: &str, input: Ipld) -> Vec<u8> {
    let rest = Ipld::Bytes(vec![0; 70_000]);
    let fields = [("verdict", Ipld::String(verdict.to_owned())), ("input", input), ("rest", rest)];
    codec::encode(&Ipld::Map(fields.map(|(key, value)| (key.to_owned(), value)).into()))
}

#[derive(Serialize, Deserialize)]
struct Outbox {
    delivery: Delivery,
}

/// The beginnings of records of the Requester.
#[derive(Serialize, Deserialize)]
struct Opened {
    experiment: Signed<Experiment>,
    secret: Ipld,
    published: Time,
    jobs: Ipld,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_once: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Paged {
    cid: Cid,
    settled: Ipld,
    held: Ipld,
}

#[derive(Serialize, Deserialize)]
struct Logged {
    index: u64,
    log: Cid,
}

#[derive(Serialize, Deserialize)]
struct Closed {
    call: Signed<Call>,
    pages: Vec<Cid>,
    settled: u64,
    held: Ipld,
    published: Time,
    at: Time,
}

fn decoded<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> T {
    codec::decode(bytes, bytes.len()).expect("a record of this version")
}

/// What the records name: blobs that must be here, and blobs that may be because a page will name them.
#[derive(Default)]
struct Named {
    must: BTreeSet<Cid>,
    may: BTreeSet<Cid>,
}

impl Named {
    fn of(station: &Station) -> Self {
        let mut named = Self::default();
        for value in station.worker_disk.records.iter().filter(|(key, _)| key.0[0] == b'o').map(|(_, value)| value) {
            let Delivery { receipt, output, transcript, log: _ } = decoded::<Outbox>(value).delivery;
            if output.is_none() && transcript.is_none() {
                named.must.extend(receipt.body.output.iter().chain(&receipt.body.transcript).map(|content| content.cid));
            }
        }
        for (key, value) in &station.requester_disk.records {
            match key.0[0] {
                b'E' => named.experiment(&decoded::<Opened>(value).experiment.body, station),
                b'H' => {
                    let held: HeldReceipt = decoded(value);
                    named.may.extend(held.receipt.body.output.iter().chain(&held.receipt.body.transcript).map(|content| content.cid));
                    named.receipts(std::slice::from_ref(&held));
                }
                b'F' => named.fetched(key, station),
                b'G' => _ = named.must.insert(decoded::<Logged>(value).log),
                b'P' => named.page(decoded::<Paged>(value).cid, station),
                b'C' => {
                    let Closed { call, pages, .. } = decoded(value);
                    named.experiment(&call.body.experiment.body, station);
                    let CallState::Closed { log } = call.body.state else { panic!("an open Call in a closed record") };
                    named.must.insert(log);
                    let root: Root = decoded(&station.blobs.files[&log]);
                    assert_eq!(root.pages.into_vec(), pages);
                    pages.into_iter().for_each(|page| named.page(page, station));
                }
                _ => {}
            }
        }
        named
    }

    fn experiment(&mut self, body: &Experiment, station: &Station) {
        self.must.insert(body.module.cid);
        let must = &mut self.must;
        Jobs::read(&body.jobs.root, |cid| {
            must.insert(*cid);
            station.blobs.files.get(cid).cloned()
        })
        .expect("the jobs of a known experiment are here");
    }

    fn page(&mut self, cid: Cid, station: &Station) {
        self.must.insert(cid);
        let page: Page = decoded(station.blobs.files.get(&cid).expect("a page that a record names is here"));
        for entry in &page.entries {
            match entry {
                Entry::Late(held) => self.receipts(std::slice::from_ref(held)),
                Entry::Settled(job) => self.receipts(&job.receipts),
            }
        }
    }

    /// Parts of receipts that stand neither beside them nor beside an equal one.
    fn receipts(&mut self, receipts: &[HeldReceipt]) {
        let output = |held: &HeldReceipt| held.receipt.body.output.as_ref().map(|content| content.cid);
        let beside: BTreeSet<Cid> = receipts.iter().filter(|held| held.output.is_some()).filter_map(output).collect();
        self.must.extend(receipts.iter().filter_map(output).filter(|cid| !beside.contains(cid)));
        let transcripts = receipts.iter().filter(|held| held.transcript.is_none());
        self.must.extend(transcripts.filter_map(|held| held.receipt.body.transcript.as_ref()).map(|content| content.cid));
    }

    /// A part that waits for its receipt: named by the record's owner alone, hence whatever large part a receipt of this world has.
    fn fetched(&mut self, _key: &Key, _station: &Station) {
        self.may.insert(Content::raw(&module()).cid);
    }
}

/// Every blob that a durable record of `station` names is here.
pub(crate) fn assert_kept(station: &Station) {
    let missing = Named::of(station).must.into_iter().filter(|cid| !station.blobs.files.contains_key(cid)).count();
    assert_eq!(missing, 0, "blobs that records name are lost");
}

/// Nothing else is here. Only right after a sweep: a crash leaves files that nobody owns yet.
fn assert_nothing_else(station: &Station) {
    let named = Named::of(station);
    let fetched = station.requester_disk.records.keys().any(|key| key.0[0] == b'F');
    let strange = station.blobs.files.keys().filter(|cid| !named.must.contains(cid) && !named.may.contains(cid)).count();
    assert!(fetched || strange == 0, "{strange} blobs that no record names survived a restart");
}

/// A station begins from its disk.
pub(crate) fn begin(station: &mut Station) {
    station.blobs.sweep();
    assert_kept(station);
    assert_nothing_else(station);
}

fn run(kind: Kind, seed: u64) -> u64 {
    let case = Case(seed);
    let mut world = faults::world(kind, Luck::new(case.0));
    world.weather.bulky = true;
    world.finish()
}

#[test]
fn no_blob_of_a_live_record_is_ever_missing_and_no_other_survives_a_restart() {
    let mut histories = 0;
    for seed in seeds() {
        run(Kind::Agreement, seed);
        run(Kind::Measurement, seed);
        histories += 2;
    }
    // A lost blob ends the test above: whoever reads this line counts none.
    println!(r#"{{"name":"blobs_lost","value":0,"unit":"blobs","n":{histories}}}"#);
}

/// One researcher whose own station works for it and for a stranger; outputs are the bytes of the module.
fn two_researchers(anchor: bool) -> World {
    let stations = (0..2).map(|number| {
        let net = u8::try_from(number).expect("a few");
        station::new(number, net, Conduct::Honest, 2, anchor, 2, START)
    });
    let mut world = World::new(stations.collect(), Luck::new(1), Weather { bulky: true, ..Weather::CALM });
    world.drafts.insert(0, draft(class(Kind::Agreement, 1), 1, 600_000, None));
    world.healed_at = Some(START);
    world
}

#[test]
fn a_strangers_experiment_whose_output_is_a_published_module_takes_nothing_away() {
    let mut world = two_researchers(false);
    world.drafts.insert(1, draft(class(Kind::Agreement, 1), 1, 30_000, None));
    // Nobody but the stranger's station could run the victim's experiment, and it is not connected yet.
    world.publish(0);
    pass(&mut world, 1_000);
    world.publish(1);
    world.connect_all();
    pass(&mut world, 60_000);
    assert_eq!(world.model.settled, 2, "each ran the other's");
    let module = Content::raw(&module()).cid;
    assert!(world.stations.iter().all(|station| station.blobs.files.contains_key(&module)));
    world.finish();
}

#[test]
fn an_anchors_own_large_output_stays_when_its_worker_lets_it_go() {
    let mut world = two_researchers(true);
    world.publish(0);
    pass(&mut world, 60_000);
    assert_eq!(world.model.settled, 1);
    assert_eq!(world.stations[0].worker.outbox_len(), 0, "its worker was told that the receipt is held");
    world.finish();
}
