//! Servers that send much beside what is wanted, over TLS and without.

use std::sync::atomic::Ordering;

use station_protocol::hostcall::FetchRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::outside::fake::{Anything, Counting, Fake, get, read_head, response};
use crate::outside::http::{Fetched, Fetcher};
use crate::outside::tls::Tls;
use crate::outside::tls::tests::authority;
use crate::outside::vicinity::Vicinity;

fn world() -> Fake {
    Fake::default().with_name("example.org", &[&["1.2.3.4"]])
}

async fn fetch(outside: Fake, tls: Tls, request: &FetchRequest, purse: Counting) -> (Fetched, Arc<Counting>) {
    let permit = Anything { purse: Arc::new(purse), ..Anything::default() };
    let fetched = Fetcher::new(Vicinity::new(Arc::new(outside)), tls, "station/test").fetch(request, &permit).await;
    (fetched, permit.purse)
}

/// A server of TLS that sends a body in records of one byte: of the 23 at the socket for each, padding would be as much.
fn dribbling(body: usize) -> (Fake, Tls) {
    let (acceptor, tls) = authority();
    let fake = world().with_pipe("1.2.3.4:443", move |pipe| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(pipe).await else { return };
            let mut head = [0; 4_096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {body}\r\n\r\n").as_bytes()).await;
            for _ in 0..body {
                if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            let _ = stream.read(&mut head).await;
        }
    });
    (fake, tls)
}

#[tokio::test(start_paused = true)]
async fn a_page_costs_what_passed_at_the_socket_and_nothing_more() {
    let answer = response("200 OK", "", b"hello");
    let sent = answer.clone();
    let outside = world().with_server("1.2.3.4:80", move |_| sent.clone());
    let (fetched, purse) = fetch(outside, Tls::default(), &get("http://example.org/"), Counting::default()).await;
    assert_eq!((fetched.head.error, fetched.head.bytes), (None, 5));
    assert_eq!(purse.came_in(), answer.len() as u64);
    let request = "GET / HTTP/1.1\r\nhost: example.org\r\nuser-agent: station/test\r\naccept-encoding: identity\r\n\r\n";
    assert_eq!(purse.passed[1].load(Ordering::Relaxed), request.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn handshakes_and_records_are_paid_for_and_are_not_in_the_transcript() {
    let (outside, tls) = dribbling(1_000);
    let (fetched, purse) = fetch(outside, tls, &FetchRequest { max_bytes: 1 << 20, ..get("https://example.org/") }, Counting::default()).await;
    assert_eq!((fetched.head.error, fetched.records[0].bytes), (None, 1_000));
    assert!(purse.came_in() > 23_000 + 500, "a record for each byte, and a certificate: {}", purse.came_in());
    assert!(purse.passed[1].load(Ordering::Relaxed) > 200, "a handshake has two sides");
}

#[tokio::test(start_paused = true)]
async fn records_that_are_mostly_padding_are_cut_long_before_the_body_is() {
    let (outside, tls) = dribbling(1 << 20);
    let request = FetchRequest { max_bytes: 10_000, ..get("https://example.org/") };
    let (fetched, purse) = fetch(outside, tls, &request, Counting::default()).await;
    assert_eq!(fetched.head.error, Some(FetchError::TooLarge));
    assert!(fetched.head.bytes < 10_000 && purse.came_in() <= BESIDE_BODY_BYTES_MAX + 20_000, "{} {}", fetched.head.bytes, purse.came_in());
}

#[tokio::test(start_paused = true)]
async fn an_empty_purse_ends_the_handshake_the_head_and_the_body() {
    for (left, error) in [(300, FetchError::Quota), (600, FetchError::Quota), (1 << 20, FetchError::TooLarge)] {
        let (outside, tls) = dribbling(1 << 20);
        let purse = Counting { left: left.into(), ..Counting::default() };
        let (fetched, purse) = fetch(outside, tls, &FetchRequest { max_bytes: 1 << 22, ..get("https://example.org/") }, purse).await;
        assert_eq!(fetched.head.error, Some(error), "{left}");
        assert!(purse.came_in() <= left && purse.left.load(Ordering::Relaxed) <= left);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_paid_and_did_not_pass_comes_back_when_a_connection_is_kept_and_when_it_ends() {
    let outside = world().with_server("1.2.3.4:80", |_| response("200 OK", "", b"hello"));
    let permit = Anything { purse: Arc::new(Counting { left: 1_000_000.into(), ..Counting::default() }), ..Anything::default() };
    let fetcher = Fetcher::new(Vicinity::new(Arc::new(outside)), Tls::default(), "station/test");
    let spent = || 1_000_000 - permit.purse.left.load(Ordering::Relaxed);
    fetcher.fetch(&get("http://example.org/"), &permit).await;
    let one = spent();
    assert!(one < 200, "a connection that is kept holds nothing back: {one}");
    fetcher.fetch(&get("http://example.org/"), &permit).await;
    assert_eq!(spent(), 2 * one);
    drop(fetcher);
    assert_eq!(spent(), 2 * one);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_comes_among_those_that_announce_it_is_given_up() {
    let outside = world().with_pipe("1.2.3.4:80", |mut pipe| async move {
        read_head(&mut pipe).await;
        while pipe.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {}
    });
    let request = FetchRequest { max_bytes: 32 << 20, ..get("http://example.org/") };
    let (fetched, purse) = fetch(outside, Tls::default(), &request, Counting::default()).await;
    assert_eq!(fetched.head.error, Some(FetchError::TooLarge));
    assert!(purse.came_in() <= 3 * RESPONSE_HEAD_BYTES_MAX as u64, "{}", purse.came_in());
}
