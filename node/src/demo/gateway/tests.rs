use cid::Cid;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use station_car::{CarError, Event, Reader};
use station_protocol::content::{RAW as RAW_CODEC, cid_of};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Behaviour, CAR, Gateway, RAW};

const BLOCK: &[u8] = b"a block of the demo";

fn cid() -> Cid {
    cid_of(RAW_CODEC, BLOCK)
}

/// One kept connection to a gateway of its own.
struct Client {
    send: SendRequest<Empty<Bytes>>,
    gateway: Gateway,
    _driver: JoinSet<()>,
}

impl Client {
    async fn of(behaviour: Behaviour) -> Self {
        let gateway = Gateway::start(behaviour, vec![(cid(), BLOCK.to_vec())]).await.expect("loopback");
        let stream = TcpStream::connect(gateway.addr()).await.expect("it listens");
        let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _ = connection.await;
        });
        Self { send, gateway, _driver: driver }
    }

    async fn ask(&mut self, method: Method, path: &str, accept: Option<&str>) -> Response<Bytes> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        self.send.ready().await.expect("the connection is kept");
        let response = self.send.send_request(request.body(Empty::new()).expect("a request")).await.expect("an answer");
        let (head, body) = response.into_parts();
        Response::from_parts(head, body.collect().await.expect("a whole body").to_bytes())
    }

    async fn get(&mut self, path: &str) -> Response<Bytes> {
        self.ask(Method::GET, path, None).await
    }
}

fn raw_path(cid: &Cid) -> String {
    format!("/ipfs/{cid}?format=raw")
}

fn car_path(cid: &Cid) -> String {
    format!("/ipfs/{cid}?format=car&dag-scope=block")
}

/// The blocks of a CAR, verified.
fn blocks(car: &[u8]) -> Result<Vec<Vec<u8>>, CarError> {
    let mut reader = Reader::new();
    reader.push(car);
    reader.end();
    let mut blocks = Vec::new();
    loop {
        match reader.poll()? {
            Some(Event::Header(_)) => {}
            Some(Event::Block(block)) => blocks.push(block.bytes),
            Some(Event::End) | None => return Ok(blocks),
        }
    }
}

#[tokio::test]
async fn good_and_slow_gateways_serve_the_right_bytes_on_one_connection() {
    for behaviour in [Behaviour::Good, Behaviour::Slow] {
        let mut client = Client::of(behaviour).await;
        let raw = client.get(&raw_path(&cid())).await;
        assert_eq!((raw.status(), raw.body().as_ref()), (StatusCode::OK, BLOCK));
        assert_eq!(raw.headers()[CONTENT_TYPE], RAW);
        let car = client.get(&car_path(&cid())).await;
        assert_eq!(blocks(car.body()).expect("a CAR"), [BLOCK.to_vec()]);
        assert!(car.headers()[CONTENT_TYPE].to_str().expect("text").starts_with(CAR));
    }
}

#[tokio::test]
async fn a_lying_gateway_changes_every_body_and_keeps_its_length() {
    let mut client = Client::of(Behaviour::Lying).await;
    let raw = client.get(&raw_path(&cid())).await;
    assert_eq!(raw.body().len(), BLOCK.len());
    assert_ne!(raw.body().as_ref(), BLOCK);
    let car = client.get(&car_path(&cid())).await;
    assert!(blocks(car.body()).is_err());
}

#[tokio::test]
async fn the_probe_is_answered_with_nothing() {
    for behaviour in [Behaviour::Good, Behaviour::Lying] {
        let probe = Client::of(behaviour).await.get("/ipfs/bafkqaaa?format=raw").await;
        assert_eq!((probe.status(), probe.body().len()), (StatusCode::OK, 0));
    }
}

#[tokio::test]
async fn identity_blocks_stay_out_of_cars() {
    let mut client = Client::of(Behaviour::Good).await;
    let hello: Cid = "bafkqablimvwgy3y".parse().expect("a CID");
    assert_eq!(client.get(&raw_path(&hello)).await.body().as_ref(), b"hello");
    assert_eq!(blocks(client.get(&car_path(&hello)).await.body()).expect("a CAR"), Vec::<Vec<u8>>::new());
}

#[tokio::test]
async fn the_format_may_stand_in_the_accept_header() {
    let mut client = Client::of(Behaviour::Good).await;
    let path = format!("/ipfs/{}", cid());
    assert_eq!(client.ask(Method::GET, &path, Some(RAW)).await.body().as_ref(), BLOCK);
    let car = client.ask(Method::GET, &format!("{path}?dag-scope=block"), Some(CAR)).await;
    assert_eq!(blocks(car.body()).expect("a CAR"), [BLOCK.to_vec()]);
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let mut client = Client::of(Behaviour::Good).await;
    let head = client.ask(Method::HEAD, &raw_path(&cid()), None).await;
    assert_eq!(head.headers()[CONTENT_LENGTH], BLOCK.len().to_string());
    assert!(head.body().is_empty());
    let again = client.get(&raw_path(&cid())).await;
    assert_eq!(again.body().as_ref(), BLOCK, "the connection is still in step");
}

#[tokio::test]
async fn what_it_cannot_serve_it_refuses_by_status() {
    let mut client = Client::of(Behaviour::Good).await;
    let other = cid_of(RAW_CODEC, b"other");
    let cases = [
        (raw_path(&other), StatusCode::NOT_FOUND),
        ("/".into(), StatusCode::NOT_FOUND),
        ("/ipfs/".into(), StatusCode::NOT_FOUND),
        ("/ipfs/nonsense?format=raw".into(), StatusCode::BAD_REQUEST),
        (format!("/ipfs/{}", cid()), StatusCode::BAD_REQUEST),
        (format!("/ipfs/{}?format=dag-json", cid()), StatusCode::NOT_ACCEPTABLE),
        (format!("/ipfs/{}?format=car", cid()), StatusCode::NOT_IMPLEMENTED),
    ];
    for (path, status) in cases {
        assert_eq!(client.get(&path).await.status(), status, "{path}");
    }
    let posted = client.ask(Method::POST, &raw_path(&cid()), None).await;
    assert_eq!((posted.status(), posted.headers()[ALLOW].to_str().ok()), (StatusCode::METHOD_NOT_ALLOWED, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_dropped_gateway_closes_its_connections_and_its_port() {
    let Client { mut send, gateway, _driver } = Client::of(Behaviour::Good).await;
    let addr = gateway.addr();
    drop(gateway);
    // The server's task ends when the runtime next runs it: then the kept connection is closed.
    while send.ready().await.is_ok() && !send.is_closed() {
        tokio::task::yield_now().await;
    }
    assert!(TcpStream::connect(addr).await.is_err());
}
