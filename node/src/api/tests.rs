//! The router as a script sees it, over pipes in memory, in front of a station that reaches nobody.

use std::collections::BTreeSet;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::MemoryTransport;
use libp2p::core::upgrade::Version;
use libp2p::{noise, yamux};
use serde_json::{Value, json};
use station_protocol::accounts::CHARGES;
use station_protocol::bounded::Name;
use station_protocol::policy::Policy;
use station_protocol::receipt::Isolation;
use station_protocol::requester::Note as Noted;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::*;
use crate::config::{Config, NetworkFile};
use crate::engine::{Asker, Engine, EngineError, Session};
use crate::network::peer_id;
use crate::outside::fake::Fake;
use crate::platform::listen::tests::Pipes;
use crate::station::{Note, Parts, Station};
use crate::store::MemoryStore;
use crate::tasks::Tasks;

mod long;
mod shelf;

pub(crate) const TOKEN: &str = "0123456789abcdef";
const SECRET: [u8; 32] = [7; 32];
const FILE: &str =
    "name = \"n\"\ntopic = \"compute\"\nmodule = \"noop\"\n[jobs]\nn = [1, 2]\n[pure]\ntrust = \"fixed:1\"\n[run]\ndeadline = \"5m\"\n";

/// An engine that has nothing to run.
struct NoEngine;

impl Engine for NoEngine {
    fn open(&self, _: Asker, _: Cid, _: Vec<u8>) -> futures::future::BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        Box::pin(std::future::ready(Err(EngineError::Failed("there is none".into()))))
    }
}

/// A station, its API, and what is running for them.
pub(crate) struct Served {
    pub(crate) handle: Handle,
    connections: mpsc::UnboundedSender<DuplexStream>,
    tasks: Tasks,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.close();
    }
}

pub(crate) async fn served() -> Served {
    served_from(MemoryStore::default()).await
}

async fn served_from(store: MemoryStore) -> Served {
    let tasks = Tasks::new();
    let keypair = peer_id::keypair(SECRET);
    let transport = MemoryTransport::default()
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&keypair).expect("an Ed25519 key"))
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed();
    let name = |text| Name::new(text).expect("a name");
    let parts = Parts {
        secret: SECRET,
        seed: [1; 32],
        transport,
        store: Arc::new(store),
        engine: Arc::new(NoEngine),
        outside: Arc::new(Fake::default()),
        isolation: Isolation::ProcessOnly,
        profiles: vec![name("station-wasm-2")],
        processors: 0,
        tasks: tasks.clone(),
        notes_kept: 64,
        memory_bytes: || None,
    };
    let config = Config { listen: Vec::new(), ..Config::default() };
    let network = NetworkFile { name: name("lab"), lan: true, bootstrap: Vec::new(), topics: vec![name("compute")] };
    let station = Station::start(&config, &network, Policy::default(), parts).await.expect("it starts");
    let handle = station.handle();
    let (connections, incoming) = mpsc::unbounded_channel();
    let router = router(handle.clone(), TOKEN, Spelling::of("/lab".to_owned()));
    let tasks = Tasks::new();
    tasks.spawn(async move { station.run().await.expect("the disk works") });
    tasks.spawn(async move { axum::serve(Pipes(incoming), router).await.expect("pipes do not fail") });
    Served { handle, connections, tasks }
}

pub(crate) type Sent = hyper::Request<Full<Bytes>>;

fn request(method: &str, path: &str) -> hyper::http::request::Builder {
    hyper::Request::builder().method(method).uri(path).header("host", "127.0.0.1:4711")
}

pub(crate) fn with_token(method: &str, path: &str) -> hyper::http::request::Builder {
    request(method, path).header("authorization", format!("Bearer {TOKEN}"))
}

fn empty(builder: hyper::http::request::Builder) -> Sent {
    builder.body(Full::default()).expect("a good request")
}

fn posted(path: &str, body: &Value) -> Sent {
    let builder = with_token("POST", path).header("content-type", "application/json");
    builder.body(Full::from(body.to_string())).expect("a good request")
}

impl Served {
    pub(crate) fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        self.connections.send(theirs).expect("the server listens");
        ours
    }

    /// Status, headers, and the answer as JSON; null where there is none.
    async fn send(&self, request: Sent) -> (u16, hyper::HeaderMap, Value) {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.connect())).await.expect("a pipe");
        self.tasks.spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("every answer is JSON") };
        (parts.status.as_u16(), parts.headers, value)
    }

    async fn ask(&self, request: Sent) -> (u16, Value) {
        let (status, _, value) = self.send(request).await;
        (status, value)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(empty(with_token("GET", path))).await
    }

    /// The status of a refusal and its sentence, which each must have.
    pub(crate) async fn refused(&self, request: Sent) -> (u16, String) {
        let (status, value) = self.ask(request).await;
        let body: ErrorBody = serde_json::from_value(value).expect("a refusal has the shape of all others");
        assert!(!body.error.is_empty());
        (status, body.error)
    }

    /// Uploads `bytes`, and gives what was answered.
    async fn keep(&self, bytes: Vec<u8>) -> Value {
        self.ask(with_token("POST", "/v1/content").body(Full::from(bytes)).expect("a good request")).await.1
    }

    async fn publish(&self) -> String {
        let (status, body) = self.ask(posted("/v1/experiments", &json!({ "file": FILE }))).await;
        assert_eq!(status, 200, "{body}");
        body["experiment"].as_str().expect("an id").to_owned()
    }
}

/// A module that is not bundled and runs all the same: the no-op with a custom section behind it.
fn own_module() -> Vec<u8> {
    let noop = BUNDLED.iter().find(|module| module.name == "noop").expect("bundled");
    [noop.bytes, &[0, 2, 1, b'x']].concat()
}

/// Every request, with an id where it has one.
fn requests(id: &str) -> Vec<(String, String)> {
    routes().into_iter().map(|(method, path, _)| (method.to_string(), path.replace("{id}", id))).collect()
}

#[tokio::test]
async fn the_table_of_requests_is_what_the_router_answers_and_the_readme_has() {
    let api = served().await;
    let readme = include_str!("../../../README.md");
    for (method, path) in requests("{id}") {
        let (status, headers, _) = api.send(empty(with_token("PATCH", &path.replace("{id}", "x")))).await;
        let allowed = headers.get("allow").and_then(|allowed| allowed.to_str().ok()).unwrap_or_default();
        assert!(status == 405 && allowed.split(',').any(|allowed| allowed.trim() == method), "{method} {path}: {status}, {allowed}");
        assert!(readme.contains(&format!("`{method} {path}")), "{method} {path} is not in README.md");
    }
}

#[tokio::test]
async fn no_route_answers_without_the_token() {
    let api = served().await;
    let id = api.publish().await;
    for (method, path) in requests(&id).into_iter().chain([("GET".into(), "/nowhere".into())]) {
        let (status, error) = api.refused(empty(request(&method, &path))).await;
        assert_eq!(status, 401, "{method} {path}");
        assert!(error.contains("api.token"), "{error}");
    }
    for wrong in ["Bearer ", "Bearer 0123456789abcdeg", "bearer 0123456789abcdef", "Basic 0123456789abcdef", TOKEN] {
        assert_eq!(api.refused(empty(request("GET", "/v1/status").header("authorization", wrong))).await.0, 401, "{wrong}");
    }
    assert_eq!(api.get("/v1/status").await.0, 200);
    assert_eq!(api.get("/v1/experiments").await.1.as_array().map(Vec::len), Some(1), "the refused DELETE did nothing");
}

#[tokio::test]
async fn who_has_no_token_gets_one_answer_and_loses_the_connection() {
    let api = served().await;
    let mut stream = api.connect();
    let kept = "GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = "GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all([kept, last].concat().as_bytes()).await.expect("a pipe takes both");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("it is closed");
    assert_eq!(answers.matches("HTTP/1.1 401").count(), 1, "{answers}");
}

#[tokio::test]
async fn a_name_that_is_not_loopback_is_refused_even_with_the_token() {
    let api = served().await;
    let to = |host: &str| {
        let builder = hyper::Request::builder().uri("/v1/status").header("authorization", format!("Bearer {TOKEN}"));
        empty(if host.is_empty() { builder } else { builder.header("host", host) })
    };
    for host in ["", "example.org", "example.org:4711", "127.0.0.1.example.org:4711", "10.0.0.1:4711", "localhost.example.org"] {
        assert_eq!(api.refused(to(host)).await.0, 403, "{host:?}");
    }
    for host in ["127.0.0.1:4711", "localhost:4711", "[::1]:4711", "127.0.0.1"] {
        assert_eq!(api.ask(to(host)).await.0, 200, "{host:?}");
    }
}

#[tokio::test]
async fn an_unknown_experiment_is_not_found_and_a_bad_id_is_a_bad_request() {
    let api = served().await;
    let unknown = station_car::unixfs::build(b"no experiment").root.to_string();
    for (id, expected) in [(unknown.as_str(), 404), ("not-a-cid", 400)] {
        for (method, path) in requests(id).into_iter().filter(|(_, path)| path.contains(id)) {
            let (status, error) = api.refused(empty(with_token(&method, &path))).await;
            assert_eq!(status, expected, "{method} {path}");
            assert!(error.contains(id), "{error}");
        }
    }
}

#[tokio::test]
async fn an_unknown_module_is_refused_with_the_names_there_are() {
    let api = served().await;
    let file = FILE.replace("noop", "no-such-module");
    let (status, error) = api.refused(posted("/v1/experiments", &json!({ "file": file }))).await;
    assert_eq!(status, 422);
    assert!(error.contains("no-such-module") && BUNDLED.iter().all(|module| error.contains(module.name)), "{error}");
    let file = FILE.replace("noop", "./my.wasm");
    let (status, error) = api.refused(posted("/v1/experiments", &json!({ "file": file }))).await;
    assert_eq!((status, error.contains("/v1/content")), (422, true), "{error}");
}

#[tokio::test]
async fn a_topic_that_the_network_lacks_is_refused_with_those_it_has() {
    let api = served().await;
    for file in [FILE.replace("compute", "compte"), FILE.replace("topic = \"compute\"\n", "")] {
        let (status, error) = api.refused(posted("/v1/experiments", &json!({ "file": file }))).await;
        let named = if file.contains("compte") { "compte" } else { "general" };
        assert_eq!(status, 422, "{error}");
        assert!(error.contains(named) && error.contains("it has compute"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_experiment_is_refused_by_the_key_it_spells_wrong() {
    let api = served().await;
    for (file, names) in [(FILE.replace("deadline", "dedline"), "dedline"), (FILE.replace("\"5m\"", "\"5m\"\nevery = \"1h\""), "every")] {
        let (status, error) = api.refused(posted("/v1/experiments", &json!({ "file": file }))).await;
        assert_eq!((status, error.contains(names)), (422, true), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_the_route_takes_is_refused_in_the_one_shape() {
    let api = served().await;
    let json = |body: &str| with_token("POST", "/v1/experiments").header("content-type", "application/json").body(Full::from(body.to_owned()));
    assert_eq!(api.refused(json("{").expect("a good request")).await.0, 400);
    assert_eq!(api.refused(json("{\"file\":\"\",\"colour\":1}").expect("a good request")).await.0, 422);
    assert_eq!(api.refused(empty(with_token("POST", "/v1/experiments"))).await.0, 415);
    assert_eq!(api.refused(with_token("PUT", "/v1/policy").body(Full::from(vec![0xff])).expect("a good request")).await.0, 400);
    assert_eq!(api.refused(empty(with_token("GET", "/v1/nothing"))).await.0, 404);
    let (status, headers, _) = api.send(empty(with_token("PUT", "/v1/status"))).await;
    assert_eq!((status, headers.contains_key("allow")), (405, true));
}

#[tokio::test]
async fn a_body_above_the_bound_is_too_large_and_one_at_the_bound_is_kept() {
    let api = served().await;
    let upload = |bytes: usize| with_token("POST", "/v1/content").body(Full::from(vec![0; bytes])).expect("a good request");
    assert_eq!(api.refused(upload(BODY_BYTES_MAX + 1)).await.0, 413);
    let (status, kept) = api.ask(upload(BODY_BYTES_MAX)).await;
    assert_eq!((status, kept["bytes"].as_u64()), (200, Some(BODY_BYTES_MAX as u64)));
}

#[tokio::test]
async fn a_policy_is_taken_where_it_can_be_read_and_refused_by_what_is_wrong() {
    let api = served().await;
    let put = |text: &str| with_token("PUT", "/v1/policy").body(Full::from(text.to_owned())).expect("a good request");
    let good = "[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [\"*.ipfs.io:443\"]\n";
    assert_eq!(api.ask(put(good)).await, (204, Value::Null));
    assert_eq!(api.ask(put("")).await.0, 204);
    for (text, names) in [(good.replace("gateway-check", "no-such-module"), "no-such-module"), ("[budgte]\n".into(), "budgte")] {
        let (status, error) = api.refused(put(&text)).await;
        assert_eq!((status, error.contains(names)), (422, true), "{error}");
    }
}

#[tokio::test]
async fn an_experiment_goes_from_publication_to_a_verified_log() {
    let api = served().await;
    let mut notes = api.handle.notes();
    let id = api.publish().await;
    let path = format!("/v1/experiments/{id}");
    let (status, open) = api.get(&path).await;
    assert_eq!((status, &open["experiment"], &open["closed"], &open["jobs"]), (200, &json!(id), &json!(false), &json!(2)));
    assert!(open["advice"][0].as_str().is_some_and(|advice| advice.contains("bootstrap")), "nobody else is there, and it says so: {open}");
    assert_eq!(api.get("/v1/status").await.1["own"], json!([id]));
    let (status, results) = api.get(&format!("{path}/results")).await;
    assert_eq!((status, &results["settled"], &results["log"]), (200, &json!(0), &Value::Null));
    assert_eq!(api.refused(empty(with_token("GET", &format!("{path}/verification")))).await.0, 409, "its Log is not whole yet");
    assert_eq!(api.ask(empty(with_token("DELETE", &path))).await, (204, Value::Null));
    while !matches!(notes.recv().await.expect("the station runs"), Note::Requester(Noted::Closed { .. })) {}
    let (_, closed) = api.get(&path).await;
    assert_eq!((&closed["closed"], closed["log"].is_string()), (&json!(true), true), "{closed}");
    let (status, verified) = api.get(&format!("{path}/verification")).await;
    assert_eq!((status, &verified["settled"], &verified["receipts"]), (200, &json!(0), &json!(0)), "{verified}");
}

#[tokio::test]
async fn an_uploaded_module_is_published_by_its_cid() {
    let api = served().await;
    let kept = api.keep(own_module()).await;
    let file = FILE.replace("noop", "./my.wasm");
    let (status, body) = api.ask(posted("/v1/experiments", &json!({ "file": file, "module": kept }))).await;
    assert_eq!(status, 200, "{body}");
    let bad = json!({ "cid": "not-a-cid", "bytes": 8 });
    assert_eq!(api.refused(posted("/v1/experiments", &json!({ "file": file, "module": bad }))).await.0, 400);
}

#[tokio::test]
async fn a_module_is_named_by_its_cid_where_it_is_bundled_or_kept_and_refused_with_the_way_out_elsewhere() {
    let api = served().await;
    let file = |cid: &str| json!({ "file": FILE.replace("noop", cid) });
    let bundled = station_car::unixfs::build(BUNDLED[0].bytes).root.to_string();
    assert_eq!(api.ask(posted("/v1/experiments", &file(&bundled))).await.0, 200);
    let kept = api.keep(own_module()).await;
    assert_eq!(api.ask(posted("/v1/experiments", &file(kept["cid"].as_str().expect("a CID")))).await.0, 200);
    let unknown = station_car::unixfs::build(b"nobody has this").root.to_string();
    let (status, error) = api.refused(posted("/v1/experiments", &file(&unknown))).await;
    assert_eq!(status, 422);
    assert!([unknown.as_str(), "neither bundled nor kept", "./my.wasm", "POST /v1/content"].iter().all(|word| error.contains(word)), "{error}");
}

#[test]
fn more_stations_than_a_topic_counts_are_warned_of_where_somebody_is_there_to_be_counted() {
    let file = ExperimentFile::parse(&FILE.replace("fixed:1", "fixed:100")).expect("a good file");
    let draft = prepare::draft(file, Content::raw(b"module"), None).expect("a draft");
    let of = |connected, counted| warnings(&draft, Around { peers: connected, connected, counted }, None);
    let said = of(3, 4);
    assert!(said.len() == 1 && ["100 stations", "compute counts 4", "no job is agreed"].iter().all(|word| said[0].contains(word)), "{said:?}");
    assert!(of(99, 100).is_empty(), "there are enough");
    assert!(of(0, 1).is_empty(), "who has just started has counted nobody");
}

#[test]
fn a_clock_that_differs_is_said_at_publication_and_before_all_other_advice() {
    let apart = Apart { ahead_ms: 125_000, peers: 2, of: 2 };
    let file = ExperimentFile::parse(&FILE.replace("fixed:1", "fixed:100")).expect("a good file");
    let draft = prepare::draft(file, Content::raw(b"module"), None).expect("a draft");
    let said = warnings(&draft, Around { peers: 3, connected: 3, counted: 4 }, Some(&apart));
    assert!(said.len() == 2 && said[0].contains("2 min behind that of 2 peers") && said[1].contains("100 stations"), "{said:?}");
    let advice = || vec!["wait".to_owned()];
    assert_eq!(clock_first(Some(&apart), advice()), [said[0].clone(), "wait".to_owned()]);
    assert_eq!(clock_first(None, advice()), advice());
}

#[tokio::test]
async fn a_module_that_no_station_could_run_is_refused_however_it_is_named() {
    let api = served().await;
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    for (bytes, says) in [(b"a module".to_vec(), "not a WebAssembly module"), (component, "wasip1")] {
        let kept = api.keep(bytes).await;
        let by_cid = json!({ "file": FILE.replace("noop", kept["cid"].as_str().expect("a CID")) });
        for body in [json!({ "file": FILE.replace("noop", "./my.wasm"), "module": kept }), by_cid] {
            let (status, error) = api.refused(posted("/v1/experiments", &body)).await;
            assert!(status == 422 && error.contains("no station could run its module") && error.contains(says), "{status} {error}");
        }
    }
    let little = json!({ "file": format!("{FILE}[limits]\nmemory = \"64KiB\"\n"), "module": api.keep(own_module()).await });
    let (status, error) = api.refused(posted("/v1/experiments", &little)).await;
    assert!(status == 422 && error.contains("at the start") && error.contains("raise [limits] memory"), "{status} {error}");
    assert_eq!(api.get("/v1/experiments").await.1, json!([]), "nothing was published");
}

#[tokio::test]
async fn the_newest_experiment_is_the_first_of_the_list() {
    let api = served().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let (_, body) =
            api.ask(posted("/v1/experiments", &json!({ "file": format!("name = \"e{number}\"\n{}", &FILE["name = \"n\"\n".len()..]) }))).await;
        assert_eq!((&body["name"], &body["warnings"]), (&json!(format!("e{number}")), &json!([])), "{body}");
        ids.push(body["experiment"].clone());
    }
    let (_, own) = api.get("/v1/experiments").await;
    let times: Vec<_> = own.as_array().expect("a list").iter().map(|own| own["published"].as_u64().expect("a time")).collect();
    assert!(times.is_sorted_by(|a, b| a >= b) && times.len() == 3, "{times:?}");
    assert!(own.as_array().expect("a list").iter().all(|own| ids.contains(&own["experiment"])));
}

#[tokio::test]
async fn the_status_says_who_the_station_is() {
    let api = served().await;
    let (_, status) = api.get("/v1/status").await;
    assert_eq!(api.get("/v1/node").await, (200, json!({ "node": status["node"] })));
    let status: StatusBody = serde_json::from_value(status).expect("the documented shape");
    assert_eq!(status.node, station_protocol::SigningKey::from_bytes(&SECRET).node().to_string());
    assert_eq!((status.network.as_str(), status.isolation.as_str(), status.capacity), ("lab", "process_only", 0));
    assert_eq!(status.topics.keys().collect::<BTreeSet<_>>(), BTreeSet::from([&"compute".to_owned()]));
    let kinds: BTreeSet<&str> = CHARGES.iter().map(|charge| charge.words()).collect();
    assert_eq!(status.accounts.keys().map(String::as_str).collect::<BTreeSet<_>>(), kinds, "each kind has its counters");
    assert!(status.bounds.values().all(|bound| bound.now <= bound.max) && status.bounds.contains_key("peers let go"), "{:?}", status.bounds);
}

#[tokio::test]
async fn a_pause_holds_until_its_end_and_nonsense_is_refused() {
    let api = served().await;
    let (status, paused) = api.ask(posted("/v1/pause", &json!({}))).await;
    assert_eq!((status, &paused["before"], &paused["until"]), (200, &json!(false), &Value::Null), "{paused}");
    assert_eq!(api.get("/v1/status").await.1["state"]["state"], json!("paused"));
    let (_, longer) = api.ask(posted("/v1/pause", &json!({ "for_ms": 60_000 }))).await;
    assert_eq!((&longer["before"], longer["until"].is_u64()), (&json!(true), true), "{longer}");
    for bad in [json!({ "for_ms": 0 }), json!({ "for_ms": u64::MAX }), json!({ "until": 5 })] {
        assert_eq!(api.refused(posted("/v1/pause", &bad)).await.0, 422, "{bad}");
    }
    let resume = || empty(with_token("DELETE", "/v1/pause"));
    assert_eq!(api.ask(resume()).await.1["before"], json!(true));
    assert_eq!(api.ask(resume()).await.1["before"], json!(false));
    assert_eq!(api.get("/v1/status").await.1["state"]["state"], json!("idle"));
}

#[tokio::test]
async fn the_policy_is_shown_as_values_with_its_whole_hash_and_a_put_one_is_told_not_to_be_the_files() {
    let api = served().await;
    let (status, shown) = api.get("/v1/policy").await;
    assert_eq!((status, &shown["policy"]["budget"]["cpu"], &shown["file"]["in_force"]), (200, &json!("1 core"), &json!(true)), "{shown}");
    let put = with_token("PUT", "/v1/policy").body(Full::from("[budget]\ncpu = \"2 cores\"\n")).expect("a good request");
    assert_eq!(api.ask(put).await.0, 204);
    let (_, shown) = api.get("/v1/policy").await;
    assert_eq!((&shown["policy"]["budget"]["cpu"], &shown["file"]["in_force"]), (&json!("2 cores"), &json!(false)), "{shown}");
    assert!(shown["file"]["says"].as_str().is_some_and(|says| says.contains("station policy reload --home /lab")), "{shown}");
    let of_file = with_token("PUT", "/v1/policy?from_file=true").body(Full::from("[roles]\nrelay = true\n")).expect("a good request");
    assert_eq!(api.ask(of_file).await.0, 204);
    let says = api.get("/v1/policy").await.1["file"]["says"].clone();
    assert!(says.as_str().is_some_and(|says| says.contains("roles.relay") && !says.contains("over the API")), "{says}");
    let of_file = with_token("PUT", "/v1/policy?from_file=true").body(Full::from("[budget]\ncpu = \"3 cores\"\n")).expect("a good request");
    assert_eq!(api.ask(of_file).await.0, 204);
    let (_, shown) = api.get("/v1/policy").await;
    assert_eq!((&shown["policy"]["budget"]["cpu"], &shown["file"]["in_force"]), (&json!("3 cores"), &json!(true)), "at once: {shown}");
    assert_eq!(shown["hash"].as_str().map(str::len), Some(64));
}

#[tokio::test]
async fn the_ledger_begins_empty_and_takes_a_since() {
    let api = served().await;
    let (status, activity) = api.get("/v1/activity?since=5").await;
    assert_eq!((status, &activity["since"], &activity["spans"]), (200, &json!(5), &json!([])), "{activity}");
    assert_eq!(api.get("/v1/activity").await.1["since"], json!(0));
    assert_eq!(api.refused(empty(with_token("GET", "/v1/activity?since=yesterday"))).await.0, 400);
}

#[tokio::test]
async fn a_station_that_has_stopped_says_so() {
    let api = served().await;
    api.handle.shutdown().await.expect("it runs");
    while api.handle.status().await.is_ok() {}
    assert_eq!(api.refused(empty(with_token("GET", "/v1/status"))).await.0, 503);
}
