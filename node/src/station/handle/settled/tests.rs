//! Logs made by hand, over a store that tells what is read.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use station_car::Dag;
use station_protocol::bounded::{List, Name, Text};
use station_protocol::cluster::Cluster;
use station_protocol::content::{Content, DAG_CBOR, cid_of};
use station_protocol::durable::{Key, Ticket};
use station_protocol::experiment::file::ExperimentFile;
use station_protocol::experiment::{Class, Labels, Trust};
use station_protocol::hostcall::Transcript;
use station_protocol::log::HeldReceipt;
use station_protocol::quorum::{End, conclude};
use station_protocol::receipt::{Isolation, Outcome, Receipt};
use station_protocol::requester::{Config, Event, Requester};
use station_protocol::verdict::JobVerdict;
use station_protocol::{SigningKey, Time};

use super::*;
use crate::results::tests::shown::record;
use crate::store::{Batch, Blocks, Gone, MemoryStore, Records, Table};

const NOW: Time = Time(1_800_000_000_000);

/// Tells which blobs are read, and what else is said to it.
#[derive(Clone, Default)]
struct Told {
    store: MemoryStore,
    said: Arc<Mutex<Vec<String>>>,
}

impl Told {
    fn say(&self, what: String) {
        self.said.lock().expect("no panic").push(what);
    }

    async fn keep(&self, bytes: Vec<u8>, cid: Cid) -> Cid {
        self.store.commit(Batch { blobs: vec![(cid, bytes)], ..Batch::default() }).await.expect("the disk works");
        cid
    }
}

impl Store for Told {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Gone, StoreError>> {
        self.store.commit(batch)
    }
    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>> {
        self.store.load(table)
    }
    fn owned(&self, table: Table, by: fn(&Key) -> bool) -> BoxFuture<'static, Result<Vec<Cid>, StoreError>> {
        self.store.owned(table, by)
    }
    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.say(cid.to_string());
        self.store.blob(cid)
    }
    fn is_damaged(&self, cid: Cid) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.store.is_damaged(cid)
    }
    fn serve(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.store.serve(cid)
    }
    fn cache(&self, dag: Dag) -> BoxFuture<'static, Result<(), StoreError>> {
        self.store.cache(dag)
    }
    fn cached(&self, root: Cid) -> BoxFuture<'static, Result<Option<Blocks>, StoreError>> {
        self.store.cached(root)
    }
    fn room(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.store.room()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// An experiment that was just published.
fn view() -> View {
    let file = "module = \"primes\"\ntopic = \"compute\"\n[jobs]\nfrom = [0, 1, 2]\nto = [9]\n[pure]\ntrust = \"fixed:1\"\n";
    let file = ExperimentFile::parse(file).expect("an experiment");
    let jobs = file.jobs(None).expect("its jobs");
    let draft = Box::new(file.into_draft(Content::raw(b"module"), jobs, name("station-wasm-2")));
    let config = Config { network: name("lab") };
    let mut machine = Requester::restore(config, SigningKey::from_bytes(&[1; 32]), [2; 32], std::iter::empty(), NOW).expect("nothing to restore");
    machine.handle(Event::Publish { publish: Ticket(1), draft, module: Vec::new() }, NOW);
    let id = machine.experiments().next().expect("it is published");
    machine.view(&id).expect("it is known")
}

/// A transcript larger than what stands in a receipt.
fn transcript(url: &str) -> Vec<u8> {
    let record = || record(&format!("https://{url}/{}", "x".repeat(900)), None, 1);
    let bytes = Transcript { records: List::new((0..200).map(|_| record()).collect()).expect("two hundred") }.encode();
    assert!(bytes.len() > INLINE_BYTES_MAX);
    bytes
}

/// Job `index`, of one receipt whose output and transcript stand in blobs.
async fn job(store: &Told, index: u64) -> (SettledJob, [Cid; 2]) {
    let (output, transcript) = (codec::encode(&index), transcript(&format!("{index}.example")));
    let contents = [Content::raw(&output), Content::raw(&transcript)];
    let cids = [store.keep(output, contents[0].cid).await, store.keep(transcript, contents[1].cid).await];
    let [output, transcript] = contents;
    let body = Receipt {
        experiment: cid_of(DAG_CBOR, b"experiment"),
        index,
        lease: index,
        node: SigningKey::from_bytes(&[3; 32]).node(),
        profile: name("station-wasm-2"),
        isolation: Isolation::Full,
        output: Some(output),
        transcript: Some(transcript),
        fuel: 500,
        started_ms: 1,
        duration_ms: 70,
        software: Text::cut("station/test"),
        outcome: Outcome::Completed,
    };
    let held = HeldReceipt {
        receipt: SigningKey::from_bytes(&[3; 32]).sign(&name("lab"), body),
        cluster: Cluster::Private,
        dealt: NOW,
        came: NOW,
        labels: Labels::new(),
        output: None,
        transcript: None,
    };
    let verdict = JobVerdict { index, decision: conclude(&Class::Pure(Trust::Fixed(1)), std::slice::from_ref(&held), End::Exhausted) };
    let input = station_protocol::bounded::Bytes::new(codec::encode(&index)).expect("a small input");
    (SettledJob { verdict, input, receipts: vec![held], lost: Vec::new() }, cids)
}

#[tokio::test(start_paused = true)]
async fn a_jobs_blobs_are_read_when_its_row_is_made_and_not_before() {
    let (store, mut view, mut expected) = (Told::default(), view(), Vec::new());
    for index in [1, 0] {
        let (job, [output, transcript]) = job(&store, index).await;
        let page = codec::encode(&Page { experiment: view.call.body.id(), number: 1 - index, entries: vec![Entry::Settled(Box::new(job))] });
        let cid = cid_of(DAG_CBOR, &page);
        view.pages.push(store.keep(page, cid).await);
        expected.extend([cid.to_string(), output.to_string(), transcript.to_string(), format!("row {index}")]);
    }
    let (late, [output, transcript]) = job(&store, 2).await;
    view.settled.push(late);
    expected.extend([output.to_string(), transcript.to_string(), "row 2".to_owned()]);
    let shown = |job: &SettledJob, requests: &BTreeMap<LeaseNumber, RequestsRead>| {
        store.say(format!("row {}", job.verdict.index));
        assert_eq!(requests[&job.verdict.index].count, 200);
        assert!(job.receipts[0].output.is_some() && job.receipts[0].transcript.is_none(), "what was read of a transcript is enough");
    };
    each(&store, &view, shown).await.expect("readable");
    assert_eq!(*store.said.lock().expect("no panic"), expected);
}

#[tokio::test(start_paused = true)]
async fn results_are_in_the_jobs_order_and_say_what_large_transcripts_say() {
    let (store, mut view) = (Told::default(), view());
    for index in [1, 0] {
        let (job, _) = job(&store, index).await;
        view.settled.push(job);
    }
    let results = results(&store, &view).await.expect("readable");
    assert_eq!(results.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 1]);
    for row in &results.rows {
        assert_eq!((row.answer(), row.executions[0].value()), (&serde_json::json!(row.index), &serde_json::json!(row.index)));
        let read = row.executions[0].station.requests.as_ref().and_then(|requests| requests.read.as_ref()).expect("it is here");
        assert_eq!((read.count, read.body_bytes, read.records.len()), (200, 200, 64));
    }
}
