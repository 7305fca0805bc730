//! Frames that trickle, and frames that are many.

use futures::FutureExt;
use libp2p::request_response::Codec;
use station_protocol::bounded::{List, Name};
use tokio::time::Instant;
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::*;

const WORK: StreamProtocol = StreamProtocol::new("/station/lab/1/work");

fn question() -> Request {
    Request::Peers { topic: Name::new("t").expect("a name"), have: List::default() }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_trickles_is_given_up_and_one_that_comes_is_read() {
    let body = codec::encode(&question());
    let framed = [&u32::try_from(body.len()).expect("short").to_be_bytes()[..], &body].concat();
    let (here, mut there) = tokio::io::duplex(1 << 10);
    tokio::io::AsyncWriteExt::write_all(&mut there, &framed).await.expect("room");
    let read = WorkCodec::default().read_request(&WORK, &mut here.compat()).await.expect("a request");
    assert_eq!(read.value, Ok(question()));
    let (here, mut there) = tokio::io::duplex(1 << 10);
    tokio::io::AsyncWriteExt::write_all(&mut there, &framed[..framed.len() - 1]).await.expect("room");
    let start = Instant::now();
    let error = WorkCodec::default().read_request(&WORK, &mut here.compat()).await.expect_err("it never comes whole");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed(), GRACE);
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_being_read_have_a_bound_on_their_bytes_together_and_few_wait_for_room() {
    let room = Room::of(WORK_BYTES_MAX.1);
    let mut taken = Vec::new();
    while let Some(Ok(piece)) = room.take(1 << 20).now_or_never() {
        taken.push(piece);
    }
    assert_eq!(taken.len(), WORK_BYTES_MAX.1 >> 20);
    let mut waiting: Vec<_> = (0..WORK_WAITING_MAX).map(|_| Box::pin(room.take(1))).collect();
    for wait in &mut waiting {
        assert!(wait.now_or_never().is_none(), "it waits");
    }
    assert_eq!(room.take(1).await.expect_err("too many wait").kind(), io::ErrorKind::QuotaExceeded);
    taken.pop();
    for wait in waiting {
        assert!(wait.await.is_ok(), "there is room again");
    }
    assert!(room.take(1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn large_frames_that_stop_halfway_keep_no_small_one_waiting() {
    let codec = WorkCodec::default();
    let mut halves = Vec::new();
    for _ in 0..2 * WORK_BYTES_MAX.1 / REQUEST_BYTES_MAX {
        let (here, mut there) = tokio::io::duplex(1 << 10);
        let head = u32::try_from(REQUEST_BYTES_MAX).expect("short").to_be_bytes();
        tokio::io::AsyncWriteExt::write_all(&mut there, &head).await.expect("room");
        let mut codec = codec.clone();
        let mut reading = Box::pin(async move { codec.read_request(&WORK, &mut here.compat()).await });
        assert!((&mut reading).now_or_never().is_none());
        halves.push((reading, there));
    }
    let body = codec::encode(&question());
    let framed = [&u32::try_from(body.len()).expect("short").to_be_bytes()[..], &body].concat();
    let (here, mut there) = tokio::io::duplex(1 << 10);
    tokio::io::AsyncWriteExt::write_all(&mut there, &framed).await.expect("room");
    let mut codec = codec.clone();
    let mut here = here.compat();
    let read = codec.read_request(&WORK, &mut here).now_or_never().expect("at once").expect("a request");
    assert_eq!(read.value, Ok(question()));
}
