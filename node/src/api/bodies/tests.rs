//! Bodies that are begun and never come whole.

use std::time::Duration;

use axum::body::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use super::super::tests::{TOKEN, served, with_token};
use super::*;

/// Two of them fit, and not three.
const LONG: usize = 14 << 20;

async fn begin(stream: &mut DuplexStream, method: &str, path: &str, length: &str) {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a pipe takes a head");
}

/// Writes until `left` bytes of the body are written. Where it is broken off, `left` says what is missing.
async fn write(stream: &mut DuplexStream, left: &mut usize) {
    let zeros = vec![0; 64 << 10];
    while *left > 0 {
        *left -= stream.write(&zeros[..zeros.len().min(*left)]).await.expect("it is still open");
    }
}

async fn status(stream: &mut DuplexStream) -> String {
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.expect("an answer");
    String::from_utf8_lossy(&line).into_owned()
}

/// The clock stands still while anything can go on, so that what ends by it waits for what never comes.
#[tokio::test(start_paused = true)]
async fn bodies_that_never_come_whole_leave_a_third_one_unread_until_one_of_them_ends() {
    let api = served().await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (mut stream, mut left) = (api.connect(), LONG - 1);
        begin(&mut stream, "POST", "/v1/content", &format!("content-length: {LONG}")).await;
        write(&mut stream, &mut left).await;
        held.push(stream);
    }
    let (mut third, mut left) = (api.connect(), LONG);
    begin(&mut third, "POST", "/v1/content", &format!("content-length: {LONG}")).await;
    assert!(timeout(Duration::from_secs(5), write(&mut third, &mut left)).await.is_err(), "it is read although there is no room");
    assert!(left > LONG / 2, "{left}");
    // The operator's word does not wait for it.
    let mut policy = api.connect();
    begin(&mut policy, "PUT", "/v1/policy", "content-length: 0").await;
    assert_eq!(status(&mut policy).await, "HTTP/1.1 204");
    drop(held.pop());
    write(&mut third, &mut left).await;
    assert_eq!(status(&mut third).await, "HTTP/1.1 200");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_say_how_long_it_is_takes_the_room_of_the_longest() {
    let api = served().await;
    let mut open = api.connect();
    begin(&mut open, "POST", "/v1/content", "transfer-encoding: chunked").await;
    open.write_all(b"1\r\n0\r\n").await.expect("a pipe");
    // It has been let in when a second of its kind is the one that waits.
    let (mut second, mut left) = (api.connect(), super::super::BODY_BYTES_MAX);
    begin(&mut second, "POST", "/v1/content", &format!("content-length: {left}")).await;
    assert!(timeout(Duration::from_secs(5), write(&mut second, &mut left)).await.is_err(), "two of the longest are more than there is room for");
    open.write_all(b"0\r\n\r\n").await.expect("a pipe");
    assert_eq!(status(&mut open).await, "HTTP/1.1 200");
    write(&mut second, &mut left).await;
    assert_eq!(status(&mut second).await, "HTTP/1.1 200");
}

#[tokio::test]
async fn each_route_has_a_bound_of_its_own() {
    let api = served().await;
    let sent = |method: &str, path: &str, bytes: usize| {
        let builder = with_token(method, path).header("content-type", "application/json");
        builder.body(Full::from(Bytes::from(vec![b' '; bytes]))).expect("a good request")
    };
    assert_eq!(api.refused(sent("POST", "/v1/pause", SMALL_BYTES_MAX + 1)).await.0, 413);
    assert_eq!(api.refused(sent("POST", "/v1/pause", SMALL_BYTES_MAX)).await.0, 400, "blanks are no pause");
    assert_eq!(api.refused(sent("PUT", "/v1/policy", POLICY_BODY_BYTES_MAX + 1)).await.0, 413);
    let (status, error) = api.refused(sent("PUT", "/v1/policy", POLICY_BYTES_MAX + 1)).await;
    assert_eq!((status, error.contains("remove rules")), (422, true), "{error}");
}
