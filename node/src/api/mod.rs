//! The control API: HTTP + JSON on loopback, with a token that only this machine's operator can read.
//!
//! Guarantees: every request needs `Authorization: Bearer <token>`, and a `Host` that is loopback, so that no web page and no
//! rebound name can use it; who is refused loses the connection; bodies are bounded, each by its route and the long ones together.
//! Deliberately lacks a socket: `platform` binds the [`router`].

mod bodies;
pub mod explain;
mod inputs;
pub mod operator;
pub mod page;
pub mod types;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Json, Router};
use cid::Cid;
use station_protocol::accounts::Figure;
use station_protocol::clock::Apart;
use station_protocol::experiment::Class;
use station_protocol::experiment::file::{ExperimentFile, ModuleRef};
use station_protocol::requester::Draft;
use station_protocol::time::DAY;
use station_protocol::{Content, NodeId, Time, worker};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{self, Clock};
use crate::library::{BUNDLED, Library};
use crate::numbers::count;
use crate::prepare::{self, PrepareError};
use crate::spelling::Spelling;
use crate::station::{Around, Handle, HandleError, SOFTWARE};
use crate::store::StoreError;
use bodies::{POLICIES_BYTES, POLICY_BODY_BYTES_MAX, Room, UPLOADS_BYTES};
use explain::Facts;
pub use inputs::kind_of;
use inputs::{HandedIn, Lent};
use page::{ActivityBody, MachineBody, PauseBody, PausedBody, PolicyBody};
use types::{
    AccountBody, BoundBody, CallBody, ContentBody, ErrorBody, ExperimentBody, NodeBody, PublishBody, PublishedBody, SayingBody, StatusBody,
    VerificationBody,
};

/// Largest content and largest experiment: a module of 16 MiB, the most that the sandbox compiles.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// An answer that is not what was asked for: status and sentence.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(ErrorBody { error: self.1 })).into_response()
    }
}

impl From<HandleError> for Refused {
    fn from(error: HandleError) -> Self {
        let status = match &error {
            HandleError::Unknown(_) | HandleError::Foreign { .. } => StatusCode::NOT_FOUND,
            HandleError::Publish(_) | HandleError::Topic { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            HandleError::Open(_) => StatusCode::CONFLICT,
            HandleError::NoRoom | HandleError::ShelfFull | HandleError::Store(StoreError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
            HandleError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            HandleError::Store(_) | HandleError::Page(_) | HandleError::Damaged(_) | HandleError::Log(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl From<PrepareError> for Refused {
    fn from(error: PrepareError) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

#[derive(Clone)]
struct Api {
    handle: Handle,
    token: Arc<str>,
    inputs: HandedIn,
    /// How commands are written that reach this station.
    spelling: Spelling,
    /// Whose turn it is to get results: they may be large.
    results: Arc<Semaphore>,
}

/// Every request there is, with who answers it.
fn routes() -> Vec<(Method, &'static str, MethodRouter<Api>)> {
    let (uploads, policies) = (Room::new(UPLOADS_BYTES), Room::new(POLICIES_BYTES));
    vec![
        (Method::GET, "/v1/node", get(node)),
        (Method::GET, "/v1/status", get(status)),
        (Method::POST, "/v1/content", uploads.bounds(BODY_BYTES_MAX, post(keep))),
        (Method::POST, "/v1/inputs", post(inputs::hand_in)),
        (Method::POST, "/v1/experiments", uploads.bounds(BODY_BYTES_MAX, post(publish))),
        (Method::GET, "/v1/experiments", get(own)),
        (Method::GET, "/v1/experiments/{id}", get(experiment)),
        (Method::DELETE, "/v1/experiments/{id}", delete(cancel)),
        (Method::GET, "/v1/experiments/{id}/results", get(results)),
        (Method::GET, "/v1/experiments/{id}/verification", get(verification)),
        (Method::GET, "/v1/policy", get(policy)),
        (Method::PUT, "/v1/policy", policies.bounds(POLICY_BODY_BYTES_MAX, put(set_policy))),
        (Method::POST, "/v1/pause", post(pause)),
        (Method::DELETE, "/v1/pause", delete(resume)),
        (Method::GET, "/v1/activity", get(activity)),
    ]
}

/// All routes, under `/v1`, of the station whose commands are written as `spelling` says.
pub fn router(handle: Handle, token: &str, spelling: Spelling) -> Router {
    let api = Api { handle, token: token.into(), inputs: HandedIn::default(), spelling, results: Arc::new(Semaphore::new(1)) };
    let router = routes().into_iter().fold(Router::new(), |router, (_, path, answers)| router.route(path, answers));
    router.layer(bodies::small()).layer(middleware::from_fn_with_state(api.clone(), authorise)).with_state(api)
}

async fn authorise(State(api): State<Api>, request: Request, next: Next) -> Response {
    match refusal(&request, &api.token) {
        // Without its connection, so that nobody keeps a place busy with refusals.
        Some(refused) => ([(header::CONNECTION, "close")], refused).into_response(),
        None => in_one_shape(next.run(request).await).await,
    }
}

/// Largest sentence of a refusal that the framework wrote.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// Refusals of the framework itself, like a body that is no JSON, in the shape of all others.
async fn in_one_shape(response: Response) -> Response {
    let (status, is_json) = (response.status(), response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let said = axum::body::to_bytes(response.into_body(), REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let said = if said.is_empty() { status.to_string() } else { String::from_utf8_lossy(&said).into_owned() };
    let mut refused = Refused(status, said).into_response();
    refused.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    refused
}

fn refusal(request: &Request, expected: &str) -> Option<Refused> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    if !matches!(host, Some("127.0.0.1" | "[::1]" | "localhost")) {
        return Some(Refused(StatusCode::FORBIDDEN, "the API answers to loopback names only".into()));
    }
    let token = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // Hashes are compared, so that how long a comparison takes says nothing about the token.
    let hash = |token: &str| station_protocol::content::sha256(&[token.as_bytes()]);
    (token.map(hash) != Some(hash(expected)))
        .then(|| Refused(StatusCode::UNAUTHORIZED, "send the header `Authorization: Bearer` with the contents of the file api.token".into()))
}

async fn node(State(api): State<Api>) -> Json<NodeBody> {
    Json(NodeBody { node: api.handle.identity().node.to_string() })
}

async fn status(State(api): State<Api>) -> Result<Json<StatusBody>, Refused> {
    let (handle, status) = (&api.handle, api.handle.status().await?);
    let (identity, host) = (handle.identity(), handle.host());
    let mut calls = status.calls.clone();
    operator::in_order(&mut calls);
    // Asked after the status: what was told before is in force by now.
    let policy = host.policy();
    let (started, now) = times(&host.clock(), identity.started);
    let since = now.minus(DAY);
    Ok(Json(StatusBody {
        node: identity.node.to_string(),
        network: identity.network.to_string(),
        software: SOFTWARE.to_owned(),
        newer: operator::newer(&status.paths),
        isolation: explain::word(&identity.isolation),
        started: started.0,
        now: now.0,
        state: operator::state(&status, &api.spelling),
        machine: MachineBody { memory_bytes: handle.memory_bytes(), disk_room_bytes: handle.room().await?, disk_max_bytes: identity.config.disk.0 },
        capacity: status.slots.0,
        peers: operator::peers(&status.paths),
        reach: operator::reach(&status),
        bootstraps: status.bootstraps.iter().map(|bootstrap| operator::bootstrap(bootstrap, identity.network.as_str())).collect(),
        files: operator::files(&handle.files(), &policy, &api.spelling),
        budgets: operator::budgets(&status, &policy, &host.used()),
        declined: operator::declined(&status.calls, &policy, &api.spelling),
        activity: operator::activity(&host.activity(since), now, since),
        clock: status.clock.as_ref().map(clock::said),
        unfit: status.unfit,
        addresses: status.addresses.iter().map(ToString::to_string).collect(),
        connected: status.connected.iter().map(NodeId::to_string).collect(),
        topics: status.topics.into_iter().map(|(topic, stations)| (topic.to_string(), stations)).collect(),
        running: status.running,
        outbox: status.outbox,
        calls: calls.iter().map(call).collect(),
        own: status.own.iter().map(Cid::to_string).collect(),
        accounts: status.accounts.into_iter().map(|(charge, figure)| (charge.words().to_owned(), account(figure))).collect(),
        bounds: status.bounds.into_iter().map(|gauge| (gauge.what.to_owned(), BoundBody { now: gauge.len, max: gauge.max })).collect(),
    }))
}

/// When the station started, where own time was `started`, and now, both by the world's clock as it is now. What lies between is own time
/// alone, also where the machine's clock was set meanwhile.
fn times(clock: &Clock, started: Time) -> (Time, Time) {
    let shift = clock.shift();
    (shift.theirs(started), shift.theirs(clock.now()))
}

fn call(call: &worker::Summary) -> CallBody {
    let needs = call.needs.iter().flat_map(|(capability, targets)| targets.iter().map(move |target| format!("{capability} {target}")));
    CallBody {
        standing: explain::standing(call),
        module_name: operator::module_name(&call.module),
        module: call.module.to_string(),
        needs: needs.collect(),
        running: call.running,
        said: call.said.iter().map(|said| SayingBody { permille: said.permille, message: said.message.to_string() }).collect(),
        queued: call.queued,
        outbox: call.outbox,
        experiment: call.experiment.to_string(),
        name: call.name.to_string(),
        requester: call.requester.to_string(),
        topic: call.topic.to_string(),
    }
}

fn account(Figure { charged, refused, let_go }: Figure) -> AccountBody {
    AccountBody { charged, refused, let_go }
}

async fn keep(State(api): State<Api>, body: Bytes) -> Result<Json<ContentBody>, Refused> {
    let content = api.handle.library().keep(&body).await.map_err(HandleError::from)?;
    Ok(Json(ContentBody { cid: content.cid.to_string(), bytes: content.bytes }))
}

async fn publish(State(api): State<Api>, Json(body): Json<PublishBody>) -> Result<Json<PublishedBody>, Refused> {
    let file = ExperimentFile::parse(&body.file).map_err(|error| Refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let module = resolve(&file.module, body.module.as_ref(), api.handle.library()).await?;
    let lent = match &body.inputs {
        Some(name) => Some(api.inputs.lend(name).await?),
        None => None,
    };
    let draft = prepare::draft(file, module, lent.as_ref().map(Lent::list))?;
    prepare::check(&draft)?;
    judge(&draft, api.handle.library()).await?;
    let (around, clock) = (api.handle.around(draft.topic.clone()).await?, api.handle.status().await?.clock);
    let (name, warnings) = (draft.name.to_string(), warnings(&draft, around, clock.as_ref()));
    let experiment = api.handle.publish(draft).await?.to_string();
    if let Some(lent) = lent {
        lent.taken();
    }
    Ok(Json(PublishedBody { experiment, name, warnings }))
}

/// Refuses a module that no station could run: its experiment would fail everywhere, on the machines of others.
async fn judge(draft: &Draft, library: &Library) -> Result<(), Refused> {
    // What is not here the publication itself refuses.
    let Some(module) = library.file(&draft.module).await.map_err(HandleError::from)? else { return Ok(()) };
    // Looked at and not compiled: the largest takes a fraction of a second.
    Ok(prepare::check_module(&module, draft.limits.memory_bytes)?)
}

/// What is known before the first station has answered. A station that is connected with nobody of the topic counts nobody.
fn warnings(draft: &Draft, around: Around, clock: Option<&Apart>) -> Vec<String> {
    let wanted = u64::from(draft.class.executions());
    let too_many = around.connected > 0 && wanted > around.counted;
    let (stations, topic) = (count(wanted, "station"), &draft.topic);
    let end = match draft.class {
        Class::Measurement(_) => "it may end with fewer",
        Class::Pure(_) | Class::SelfVerifying { .. } => "until as many take part no job is agreed, and what is not agreed expires",
    };
    let warning = || format!("each job wants {stations}, and topic {topic} counts {}: {end}", around.counted);
    clock_first(clock, too_many.then(warning))
}

/// Before all else that is said: whose clock is wrong hears nobody, and nobody hears it.
fn clock_first(clock: Option<&Apart>, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    clock.map(clock::said).into_iter().chain(rest).collect()
}

/// The content that an experiment file's `module` means.
async fn resolve(module: &ModuleRef, uploaded: Option<&ContentBody>, library: &Library) -> Result<Content, Refused> {
    if let Some(uploaded) = uploaded {
        let cid = parse_cid(&uploaded.cid)?;
        return Ok(Content { cid, bytes: uploaded.bytes });
    }
    match module {
        ModuleRef::Bundled(name) => {
            let module = BUNDLED.iter().find(|module| module.name == name.as_str());
            let module = module.ok_or_else(|| Refused(StatusCode::UNPROCESSABLE_ENTITY, prepare::unknown_module(name.as_str())))?;
            Ok(library.keep(module.bytes).await.map_err(HandleError::from)?)
        }
        ModuleRef::Cid(cid) => library.find(*cid).await.map_err(HandleError::from)?.ok_or_else(|| {
            Refused(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!(
                    "module {cid} is neither bundled nor kept by this station, which must serve it: write its file's path, like \
                     module = \"./my.wasm\" (a script uploads it with POST /v1/content first)"
                ),
            )
        }),
        ModuleRef::Path(_) => Err(Refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "upload the module with POST /v1/content first, and name its cid and bytes as `module`".into(),
        )),
    }
}

fn parse_cid(text: &str) -> Result<Cid, Refused> {
    text.parse().map_err(|_| Refused(StatusCode::BAD_REQUEST, format!("{text:?} is not a CID")))
}

async fn own(State(api): State<Api>) -> Result<Json<Vec<ExperimentBody>>, Refused> {
    let mut bodies = Vec::new();
    for id in api.handle.status().await?.own {
        bodies.push(body(&api, id).await?);
    }
    bodies.sort_by(|a, b| (b.published, &b.experiment).cmp(&(a.published, &a.experiment)));
    Ok(Json(bodies))
}

async fn experiment(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<ExperimentBody>, Refused> {
    Ok(Json(body(&api, parse_cid(&id)?).await?))
}

/// An experiment of this station with who is around.
async fn body(api: &Api, id: Cid) -> Result<ExperimentBody, Refused> {
    let view = api.handle.view(id).await?;
    let around = api.handle.around(view.call.body.experiment.body.topic.clone()).await?;
    let mut body = explain::experiment(&Facts { view: &view, around, topics: &api.handle.identity().topics });
    if !body.closed {
        body.advice = clock_first(api.handle.status().await?.clock.as_ref(), body.advice);
    }
    Ok(body)
}

async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Refused> {
    let id = parse_cid(&id)?;
    api.handle.view(id).await?;
    api.handle.cancel(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Results one after the other: the next are made when the last were read.
async fn results(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Refused> {
    let id = parse_cid(&id)?;
    let turn = api.results.clone().acquire_owned().await.expect("nobody closes it");
    let view = api.handle.view(id).await?;
    let results = api.handle.results(&view).await?;
    let text = Bytes::from(serde_json::to_vec(&results).expect("our own types have JSON"));
    Ok(([(header::CONTENT_TYPE, "application/json")], in_pieces(text, turn)).into_response())
}

/// Bytes of a long answer that are written at once.
const PIECE_BYTES: usize = 64 << 10;

/// A body that keeps its turn until it was read, or nobody reads it any more.
fn in_pieces(text: Bytes, turn: OwnedSemaphorePermit) -> Body {
    Body::from_stream(futures::stream::unfold((text, turn), |(mut rest, turn)| async move {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), (rest, turn)))
    }))
}

async fn verification(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<VerificationBody>, Refused> {
    Ok(Json(explain::verification(id.clone(), &api.handle.verify(parse_cid(&id)?).await?)))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Whence {
    /// Whether policy.toml has the same text by now.
    #[serde(default)]
    from_file: bool,
}

async fn set_policy(State(api): State<Api>, Query(Whence { from_file }): Query<Whence>, body: String) -> Result<StatusCode, Refused> {
    let policy = station_protocol::policy::Policy::parse(&body, &crate::library::bundled_names());
    let policy = policy.map_err(|error| Refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    api.handle.set_policy(policy.clone()).await?;
    // The queue is in order: what is answered now was decided under the new one.
    api.handle.status().await?;
    if from_file {
        api.handle.tell_files(|files| files.read_policy(Ok(&policy)));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn policy(State(api): State<Api>) -> Json<PolicyBody> {
    Json(operator::policy(&api.handle.files(), &api.handle.host().policy(), &api.spelling))
}

/// Longest pause that has an end: whoever means longer means until it is resumed.
const PAUSE_MS_MAX: u64 = 366 * DAY;

async fn pause(State(api): State<Api>, Json(body): Json<PauseBody>) -> Result<Json<PausedBody>, Refused> {
    let before = is_paused(&api).await?;
    if let Some(for_ms) = body.for_ms.filter(|for_ms| !(1..=PAUSE_MS_MAX).contains(for_ms)) {
        let says = format!("a pause of {for_ms} ms has no sense: 1 ms to 366 days, or no end at all");
        return Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, says));
    }
    let until = body.for_ms.map(|for_ms| api.handle.host().clock().world().plus(for_ms));
    api.handle.pause(until).await?;
    Ok(Json(PausedBody { before, paused: true, until: until.map(|until| until.0) }))
}

async fn resume(State(api): State<Api>) -> Result<Json<PausedBody>, Refused> {
    let before = is_paused(&api).await?;
    api.handle.resume().await?;
    Ok(Json(PausedBody { before, paused: false, until: None }))
}

async fn is_paused(api: &Api) -> Result<bool, Refused> {
    Ok(matches!(api.handle.status().await?.rest, Some(worker::Rest::Paused { .. })))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    /// Milliseconds since the epoch.
    #[serde(default)]
    since: u64,
}

async fn activity(State(api): State<Api>, Query(Since { since }): Query<Since>) -> Json<ActivityBody> {
    let (host, since) = (api.handle.host(), Time(since));
    Json(operator::activity(&host.activity(since), host.clock().world(), since))
}

#[cfg(test)]
pub(crate) mod tests;
