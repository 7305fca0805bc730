use std::collections::BTreeSet;

use futures::AsyncRead;
use libp2p::swarm::ConnectionError;
use station_protocol::address::Reach;

use super::super::frames::Counted;
use super::*;
use crate::network::peer_id::keypair;

/// More than any share.
const MANY: u64 = 1 << 20;

/// A multiplexer on which streams come without an end, and empty frames.
struct Endless(Counted<futures::io::Repeat>);

impl StreamMuxer for Endless {
    type Substream = futures::io::Cursor<Vec<u8>>;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
        Poll::Ready(Ok(futures::io::Cursor::new(Vec::new())))
    }

    fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
        Poll::Ready(Ok(futures::io::Cursor::new(Vec::new())))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Reads a heap of frames, each of twelve zeros.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let mut heap = [1; 12 * HEAP as usize];
        assert!(matches!(Pin::new(&mut self.get_mut().0).poll_read(context, &mut heap), Poll::Ready(Ok(read)) if read == heap.len()));
        Poll::Pending
    }
}

fn ledger() -> Ledger {
    Ledger::new(Reach::Global, BTreeSet::new())
}

/// A connection of its own of a stranger, as the swarm has it.
fn connection(ledger: &Ledger, number: u8) -> StreamMuxerBox {
    let endless = Endless(Counted::new(futures::io::repeat(0)));
    let peer = keypair([number; 32]).public().to_peer_id();
    StreamMuxerBox::new(Paying::new(StreamMuxerBox::new(endless), &peer, ledger.clone()))
}

fn context() -> Context<'static> {
    Context::from_waker(std::task::Waker::noop())
}

/// Streams that are let through, those that are dropped, and how it ended.
fn streams(muxer: &mut StreamMuxerBox) -> (u64, u64, io::Error) {
    let (mut through, mut dropped) = (0, 0);
    while through + dropped < MANY {
        match Pin::new(&mut *muxer).poll_inbound(&mut context()) {
            Poll::Ready(Ok(_)) => through += 1,
            Poll::Pending => dropped += 1,
            Poll::Ready(Err(error)) => return (through, dropped, error),
        }
    }
    panic!("{MANY} streams and no end");
}

#[tokio::test(start_paused = true)]
async fn streams_above_a_share_are_dropped_and_then_the_connection_ends_and_says_why() {
    let (ledger, burst) = (ledger(), Charge::Streams.payer().burst);
    let (through, dropped, end) = streams(&mut connection(&ledger, 1));
    assert_eq!((through, dropped), (burst, burst));
    assert!(is_over(&ConnectionError::IO(end)), "whoever hears of the end knows why");
    assert_eq!(streams(&mut connection(&ledger, 1)).0, 0, "another connection of the same key has no other share");
    assert_eq!(streams(&mut connection(&ledger, 2)).0, burst);
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_frames_that_belong_to_nothing_ends_after_its_share_and_as_much_that_was_refused() {
    let (ledger, share) = (ledger(), Charge::Frames.payer());
    let mut muxer = connection(&ledger, 1);
    let mut poll = || Pin::new(&mut muxer).poll(&mut context());
    let (heaps, end) = (0..MANY / HEAP).map(|heap| (heap, poll())).find(|(_, polled)| polled.is_ready()).expect("it ends");
    assert_eq!(heaps * HEAP, 2 * share.burst);
    let Poll::Ready(Err(end)) = end else { panic!("no other event") };
    assert!(is_over(&ConnectionError::IO(end)));
}

#[tokio::test(start_paused = true)]
async fn streams_that_this_station_opens_cost_nobody_anything_nor_do_their_answers() {
    let ledger = ledger();
    let mut muxer = connection(&ledger, 1);
    for _ in 0..4 * Charge::Streams.payer().burst {
        assert!(Pin::new(&mut muxer).poll_outbound(&mut context()).is_ready());
    }
    let charged = || ledger.figures().into_iter().map(|(_, figure)| figure.charged + figure.refused).sum::<u64>();
    for _ in 0..ANSWERS_MAX / HEAP {
        assert!(Pin::new(&mut muxer).poll(&mut context()).is_pending());
    }
    assert_eq!(charged(), 0);
    assert!(Pin::new(&mut muxer).poll(&mut context()).is_pending());
    assert_eq!(charged(), HEAP, "not without an end");
}

#[test]
fn a_connection_that_ended_by_itself_is_nobodys_fault() {
    for end in [ConnectionError::KeepAliveTimeout, ConnectionError::IO(io::Error::other(io::Error::from(io::ErrorKind::UnexpectedEof)))] {
        assert!(!is_over(&end), "{end}");
    }
}
