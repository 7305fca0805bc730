//! [`Paying`]: a connection's multiplexer, whose inbound streams and small frames its peer pays for.
//!
//! Guarantees: a stream is paid for before anybody negotiates on it, over TCP, QUIC and circuits alike, and one that is not is dropped;
//! frames are paid for in heaps of [`HEAP`], but for those of answers that this station asked for; the connection of whoever goes on above its
//! share ends, and its end says why, so that no report has to wait in a queue. Deliberately lacks frames of QUIC, which quinn keeps to itself,
//! and a way to leave frames above the share undone: they were read before they are counted.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use station_protocol::NodeId;
use station_protocol::accounts::{Charge, Over};

use super::config::STREAMS_MAX;
use super::frames;
use super::peer_id::node_of;
use crate::ledger::Ledger;

/// Frames that are paid for together: an account is looked up as often as for a message, not for each part of one.
const HEAP: u64 = 64;
/// Frames that come for nothing on account of a stream that this station opened: an answer has six.
const ANSWER: u64 = 16;
/// As many as that can become: every stream that may be open at once.
const ANSWERS_MAX: u64 = ANSWER * STREAMS_MAX as u64;

#[derive(Debug)]
pub(crate) struct Paying {
    inner: StreamMuxerBox,
    /// Nothing where the key cannot be a station's: the gate refuses it before there are streams.
    node: Option<NodeId>,
    ledger: Ledger,
    /// Small frames that are not paid for yet.
    frames: u64,
    /// Those that may still come for nothing.
    answers: u64,
}

impl Paying {
    pub(crate) fn new(inner: StreamMuxerBox, peer: &PeerId, ledger: Ledger) -> Self {
        Self { inner, node: node_of(peer).ok(), ledger, frames: 0, answers: 0 }
    }

    /// Whether it is paid. The error ends the connection.
    fn pays(&self, charge: Charge, amount: u64) -> io::Result<bool> {
        let Some(node) = self.node else { return Ok(true) };
        match self.ledger.charge(node, charge, amount) {
            Ok(()) => Ok(true),
            Err(over) if over.let_go => Err(io::Error::other(over)),
            Err(_) => Ok(false),
        }
    }

    /// What `poll` of the multiplexer comes to, when what it read is paid for.
    fn metered<R>(&mut self, poll: impl FnOnce(Pin<&mut StreamMuxerBox>) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        let (result, frames) = frames::during(|| poll(Pin::new(&mut self.inner)));
        let answers = frames.min(self.answers);
        self.answers -= answers;
        self.frames += frames - answers;
        if self.frames >= HEAP {
            let heap = std::mem::take(&mut self.frames);
            self.pays(Charge::Frames, heap)?;
        }
        result
    }
}

/// Whether a connection ended because its peer went on above a share.
pub(crate) fn is_over(end: &(dyn Error + 'static)) -> bool {
    // An error inside an `io::Error` is not its source: that begins one further down.
    let within = end.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    end.is::<Over>() || within.map_or_else(|| end.source().is_some_and(is_over), |within| is_over(within))
}

impl StreamMuxer for Paying {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        let stream = ready!(self.metered(|inner| inner.poll_inbound(context)))?;
        if self.pays(Charge::Streams, 1)? {
            return Poll::Ready(Ok(stream));
        }
        // Others have their turn before its next.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        let stream = ready!(self.metered(|inner| inner.poll_outbound(context)))?;
        self.answers = (self.answers + ANSWER).min(ANSWERS_MAX);
        Poll::Ready(Ok(stream))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        self.metered(|inner| inner.poll(context))
    }
}

#[cfg(test)]
mod tests;
