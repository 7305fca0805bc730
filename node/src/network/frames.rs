//! [`Multiplexing`]: yamux as stations have it, with its small frames counted as they are read.
//!
//! Guarantees: a bound on streams; every frame of less than [`BODY_MIN`] bytes is counted once, however reads divide it: pings, windows,
//! ends of streams and trickles of data, which nobody above the multiplexer sees or can see each of. Deliberately lacks the payment: at
//! this depth nobody knows whose connection it is, so that [`during`] tells whoever polls the multiplexer what was read meanwhile.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::yamux;

use super::config::STREAMS_MAX;

/// Bytes of a frame before its body: version, kind, flags, stream and length.
const HEAD_BYTES: usize = 12;
/// The kind of the one frame that has a body.
const DATA: u8 = 0;
/// A frame with so much in it is content: its cost is that of its bytes, which the line bounds.
pub(crate) const BODY_MIN: u32 = 1 << 10;

thread_local! {
    /// Small frames that were read since the poll began that goes on in this thread.
    static READ: Cell<u64> = const { Cell::new(0) };
}

/// What `poll` comes to, and how many small frames were read in it.
pub(crate) fn during<R>(poll: impl FnOnce() -> R) -> (R, u64) {
    READ.set(0);
    let result = poll();
    (result, READ.take())
}

/// Yamux with its bound on streams. Its windows cannot be set through libp2p: 256 KiB for each stream, and more for one that is read fast.
#[derive(Clone)]
pub(crate) struct Multiplexing(yamux::Config);

/// What every connection that is not QUIC is multiplexed with.
pub(crate) fn multiplexing() -> Multiplexing {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_MAX);
    Multiplexing(config)
}

impl UpgradeInfo for Multiplexing {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Multiplexing {
    type Output = yamux::Muxer<Counted<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as InboundConnectionUpgrade<Counted<C>>>::Future;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(Counted::new(io), info)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Multiplexing {
    type Output = yamux::Muxer<Counted<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as OutboundConnectionUpgrade<Counted<C>>>::Future;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(Counted::new(io), info)
    }
}

/// The bytes below the multiplexer.
#[derive(Debug)]
pub(crate) struct Counted<C> {
    inner: C,
    frames: Frames,
}

impl<C> Counted<C> {
    pub(crate) fn new(inner: C) -> Self {
        Self { inner, frames: Frames::default() }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Counted<C> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let read = ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let small = this.frames.read(buffer.get(..read).unwrap_or_default());
        READ.set(READ.get() + small);
        Poll::Ready(Ok(read))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Counted<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

/// Where in its frames a connection is.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; HEAD_BYTES],
    filled: usize,
    /// Bytes of the frame's body that are still to come.
    body: u32,
}

impl Frames {
    /// How many small frames have their head's end in `bytes`, which come next.
    fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut small = 0;
        while !bytes.is_empty() {
            let of_body = bytes.len().min(self.body as usize);
            self.body -= u32::try_from(of_body).unwrap_or(u32::MAX);
            bytes = &bytes[of_body..];
            let of_head = bytes.len().min(HEAD_BYTES - self.filled);
            self.head[self.filled..self.filled + of_head].copy_from_slice(&bytes[..of_head]);
            (self.filled, bytes) = (self.filled + of_head, &bytes[of_head..]);
            if self.filled == HEAD_BYTES {
                let [_, kind, .., a, b, c, d] = self.head;
                // The length of another frame is a credit, a reason or a ping's number.
                self.body = if kind == DATA { u32::from_be_bytes([a, b, c, d]) } else { 0 };
                self.filled = 0;
                small += u64::from(self.body < BODY_MIN);
            }
        }
        small
    }
}

#[cfg(test)]
mod tests;
