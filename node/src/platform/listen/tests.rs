use std::io;
use std::sync::Arc;

use axum::routing::{get, post};
use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{interval, timeout};

use super::*;

/// Longer than each limit; it passes at once, since the clock moves when nobody has anything to do.
const HOUR: Duration = Duration::from_secs(3600);
/// What a pipe holds that nobody reads.
const PIPE: usize = 4 << 10;
const ASK: &[u8] = b"GET /quick HTTP/1.1\r\nhost: localhost\r\n\r\n";
const ASK_LAST: &[u8] = b"GET /quick HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Connections that are pipes.
pub(crate) struct Pipes(pub(crate) mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(pipe) => (pipe, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that runs until this is dropped.
struct Door {
    connections: mpsc::UnboundedSender<DuplexStream>,
    _server: JoinSet<()>,
}

impl Door {
    fn open(limits: Limits, router: Router) -> Self {
        let (connections, incoming) = mpsc::unbounded_channel();
        let mut server = JoinSet::new();
        server.spawn(admit(Pipes(incoming), router.route("/quick", get(|| async { "done" })), limits));
        Self { connections, _server: server }
    }

    fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        self.connections.send(theirs).expect("the server listens");
        ours
    }

    async fn ask(&self, request: &[u8]) -> DuplexStream {
        let mut stream = self.connect();
        stream.write_all(request).await.expect("a pipe takes a head");
        stream
    }
}

/// All that comes until the other side closes, which it does within the hour.
async fn until_closed(stream: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    timeout(HOUR, stream.read_to_end(&mut all)).await.expect("it is closed").expect("a pipe does not fail");
    String::from_utf8(all).expect("text")
}

/// What comes first.
async fn answer_of(stream: &mut DuplexStream) -> String {
    let mut piece = vec![0; PIPE];
    let length = timeout(HOUR, stream.read(&mut piece)).await.expect("an answer").expect("a pipe does not fail");
    String::from_utf8_lossy(&piece[..length]).into_owned()
}

/// Whether the other side leaves `stream` open and silent for `time`.
async fn is_open_after(stream: &mut DuplexStream, time: Duration) -> bool {
    timeout(time, stream.read_u8()).await.is_err()
}

fn one_place() -> Limits {
    Limits { connections: 1, ..Limits::default() }
}

/// An answer that tells its end.
struct Answer(mpsc::UnboundedSender<()>);

impl Drop for Answer {
    fn drop(&mut self) {
        // The test may have ended first.
        let _ = self.0.send(());
    }
}

/// `/slow` tells each request that begins, and answers for each permit.
fn slow() -> (Router, mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (begun, begins) = mpsc::unbounded_channel();
    let answers = Arc::new(Semaphore::new(0));
    let permits = answers.clone();
    let handler = move || async move {
        begun.send(()).expect("the test counts");
        permits.acquire().await.expect("it is never closed").forget();
        "done"
    };
    (Router::new().route("/slow", get(handler)), begins, answers)
}

const ASK_SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn it_answers_at_the_address_it_names() {
    let router = Router::new().route("/quick", get(|| async { "done" }));
    let (addr, server) = serve(SocketAddr::from(([127, 0, 0, 1], 0)), router).await.expect("a free port");
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(addr).await.expect("it listens");
        stream.write_all(ASK_LAST).await.expect("it reads");
        let mut all = String::new();
        stream.read_to_string(&mut all).await.expect("it answers and closes");
        all
    };
    tokio::select! {
        () = server => panic!("it serves until it is dropped"),
        all = asked => assert!(all.starts_with("HTTP/1.1 200") && all.ends_with("done"), "{all}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed() {
    let door = Door::open(Limits::default(), Router::new());
    assert_eq!(until_closed(&mut door.connect()).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_ends_its_connection() {
    let door = Door::open(Limits::default(), Router::new());
    let mut stream = door.ask(b"GET /quick HTTP/1.1\r\nhost: localhost\r\nx: ").await;
    let mut second = interval(Duration::from_secs(1));
    let trickled = timeout(HOUR, async {
        while stream.write_all(b"x").await.is_ok() {
            second.tick().await;
        }
    });
    assert!(trickled.await.is_ok(), "it is closed");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_and_asks_nothing_more_is_closed() {
    let door = Door::open(Limits::default(), Router::new());
    let mut stream = door.ask(ASK).await;
    assert!(answer_of(&mut stream).await.starts_with("HTTP/1.1 200"));
    stream.write_all(ASK).await.expect("it is kept");
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 200"), "it is asked again, answers, and is closed");
}

#[tokio::test(start_paused = true)]
async fn a_head_above_its_bound_is_refused_and_a_large_one_is_read() {
    let door = Door::open(Limits::default(), Router::new());
    let with = |bytes: usize| format!("GET /quick HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(bytes));
    assert!(answer_of(&mut door.ask(with(HEAD_BYTES_MAX - 100).as_bytes()).await).await.starts_with("HTTP/1.1 200"));
    let mut stream = door.connect();
    // It may be refused before it is whole.
    let _ = stream.write_all(with(HEAD_BYTES_MAX).as_bytes()).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_ends_its_request_with_a_reason() {
    let door = Door::open(Limits::default(), Router::new().route("/keep", post(|body: Bytes| async move { body })));
    let stream = door.ask(b"POST /keep HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n").await;
    let (mut answers, mut body) = tokio::io::split(stream);
    let mut minute = interval(Duration::from_secs(60));
    let mut said = String::new();
    let trickled = timeout(HOUR, async {
        tokio::join!(answers.read_to_string(&mut said), async {
            while body.write_all(b"x").await.is_ok() {
                minute.tick().await;
            }
        })
    });
    assert!(trickled.await.is_ok(), "it is closed");
    assert!(said.starts_with("HTTP/1.1 408") && said.ends_with("{\"error\":\"the request's body was not whole after 120 s\"}"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_ends_its_connection() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let endless = move || async move {
        let kilobyte = |answer| async move { Some((Ok::<_, Infallible>(Bytes::from(vec![0; 1024])), answer)) };
        Body::from_stream(stream::unfold(Answer(ended), kilobyte))
    };
    let door = Door::open(Limits::default(), Router::new().route("/endless", get(endless)));
    let _unread = door.ask(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(timeout(HOUR, ends.recv()).await, Ok(Some(())), "the answer is given up");
}

#[tokio::test(start_paused = true)]
async fn an_answer_longer_than_every_limit_arrives_whole_while_others_wait_for_its_place() {
    let pieces = || async {
        let piece = |left: u32| async move {
            let silence = timeout(HOUR, std::future::pending::<()>()).await;
            (silence.is_err() && left > 0).then(|| (Ok::<_, Infallible>(Bytes::from(format!("{left},"))), left - 1))
        };
        Body::from_stream(stream::unfold(3, piece))
    };
    let door = Door::open(one_place(), Router::new().route("/pieces", get(pieces)));
    let mut long = door.ask(b"GET /pieces HTTP/1.0\r\n\r\n").await;
    assert!(answer_of(&mut long).await.starts_with("HTTP/1.0 200"));
    let mut next = door.ask(ASK).await;
    let mut all = String::new();
    long.read_to_string(&mut all).await.expect("a pipe does not fail");
    assert_eq!(all, "3,2,1,");
    assert!(answer_of(&mut next).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_than_places_are_worked_on_and_the_next_waits_for_one_to_end() {
    let (router, mut begins, answers) = slow();
    let door = Door::open(Limits::default(), router);
    let mut streams = Vec::new();
    for _ in 0..=CONNECTIONS_MAX {
        streams.push(door.ask(ASK_SLOW).await);
    }
    for _ in 0..CONNECTIONS_MAX {
        begins.recv().await.expect("it begins");
    }
    assert!(timeout(HOUR, begins.recv()).await.is_err(), "the last one waits");
    answers.add_permits(1);
    assert_eq!(timeout(HOUR, begins.recv()).await, Ok(Some(())), "and has the place of the one that ended");
    answers.add_permits(CONNECTIONS_MAX);
    for mut stream in streams {
        assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_longest_makes_room_for_who_comes() {
    // Without a time for heads, so that nobody goes by himself.
    let door = Door::open(Limits { head: 24 * HOUR, ..Limits::default() }, Router::new());
    let mut kept = door.ask(ASK).await;
    assert!(answer_of(&mut kept).await.starts_with("HTTP/1.1 200"));
    let mut silent: Vec<_> = (1..CONNECTIONS_MAX).map(|_| door.connect()).collect();
    assert!(is_open_after(&mut kept, SETTLE).await, "there is a place for each");
    kept.write_all(ASK).await.expect("it is kept");
    assert!(answer_of(&mut kept).await.starts_with("HTTP/1.1 200"));
    assert!(answer_of(&mut door.ask(ASK).await).await.starts_with("HTTP/1.1 200"));
    assert_eq!(until_closed(&mut silent[0]).await, "", "the first of those who wait went");
    assert!(is_open_after(&mut silent[1], HOUR).await, "and nobody else");
    assert!(is_open_after(&mut kept, HOUR).await, "nor who asked since");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_the_middle_of_a_body_makes_room_once_nothing_came_for_longest() {
    let limits = Limits { body: 24 * HOUR, ..Limits::default() };
    let (router, mut begins, answers) = slow();
    let door = Door::open(limits, router.route("/take", post(|_: Bytes| async { "taken" })));
    let begun: &[u8] = b"POST /take HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nconnection: close\r\n\r\n";
    // One has sent the whole of its request, and waits for its answer.
    let mut whole = door.ask(ASK_SLOW).await;
    begins.recv().await.expect("it begins");
    let mut stuck = Vec::new();
    for _ in 1..CONNECTIONS_MAX {
        stuck.push(door.ask(begun).await);
    }
    assert!(is_open_after(&mut stuck[0], SETTLE).await, "there is a place for each");
    stuck[0].write_all(b"12").await.expect("it goes on");
    assert!(answer_of(&mut door.ask(ASK).await).await.starts_with("HTTP/1.1 200"), "nobody is shut out");
    assert_eq!(until_closed(&mut stuck[1]).await, "", "the first of those of whom nothing came went");
    stuck[0].write_all(b"3456789").await.expect("it goes on");
    assert!(until_closed(&mut stuck[0]).await.starts_with("HTTP/1.1 200"), "who sends keeps its place");
    answers.add_permits(1);
    assert!(until_closed(&mut whole).await.starts_with("HTTP/1.1 200"), "who has sent all does too");
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_keeps_its_place_for_its_first_moments() {
    let door = Door::open(one_place(), Router::new());
    let mut first = door.connect();
    let mut second = door.connect();
    assert!(is_open_after(&mut second, SETTLE / 2).await);
    first.write_all(ASK_LAST).await.expect("its place is its own");
    assert!(until_closed(&mut first).await.starts_with("HTTP/1.1 200"));
    second.write_all(ASK_LAST).await.expect("it waits");
    assert!(until_closed(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_on_a_connection_that_was_let_go() {
    let mut places = Places::new(1, SETTLE);
    let first = places.take().await;
    let told = async {
        tokio::select! {
            _ = places.take() => panic!("it is taken"),
            () = first.let_go() => {}
        }
    };
    timeout(HOUR, told).await.expect("it is to go");
    assert!(first.work().is_none());
    drop(first);
    assert!(places.take().await.work().is_some());
}

#[tokio::test(start_paused = true)]
async fn connections_end_with_the_server() {
    let (router, mut begins, _answers) = slow();
    let door = Door::open(Limits::default(), router);
    let mut stream = door.ask(ASK_SLOW).await;
    begins.recv().await.expect("it begins");
    drop(door);
    assert_eq!(until_closed(&mut stream).await, "");
}
