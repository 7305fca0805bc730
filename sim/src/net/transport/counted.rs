//! [`Counting`]: a muxer whose streams are counted by the protocol that was agreed on for them.
//!
//! ```text
//! initiator  ─ /multistream/1.0.0 ─ /proposal ─►  responder
//! initiator  ◄─ /multistream/1.0.0 ─ /agreed ──   responder        what the responder says last is the protocol
//! ```
//!
//! Guarantees: every byte on a stream counts once at each end, the negotiation's with its protocol; what is never agreed on counts as
//! [`NEGOTIATION`]. Deliberately lacks the muxer's own frames and the handshakes below: they are the rest of what the wires carried.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};

use super::super::fabric::lock;

/// Where bytes of streams count on which no protocol was agreed.
pub const NEGOTIATION: &str = "(negotiation)";
/// The longest line that is looked for, more than any protocol's name: after that the stream has none.
const LINE_BYTES_MAX: usize = 512;

/// Bytes of one protocol, of all stations together.
#[derive(Debug, Default)]
pub struct Count {
    sent: AtomicU64,
    received: AtomicU64,
}

/// All protocols'.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, Arc<Count>>>);

impl Counts {
    fn of(&self, protocol: &str) -> Arc<Count> {
        let mut all = lock(&self.0);
        if let Some(count) = all.get(protocol) {
            return count.clone();
        }
        all.entry(protocol.to_owned()).or_default().clone()
    }

    /// Each protocol's bytes sent and received.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, (u64, u64)> {
        let read = |count: &Count| (count.sent.load(Ordering::Relaxed), count.received.load(Ordering::Relaxed));
        lock(&self.0).iter().map(|(protocol, count)| (protocol.clone(), read(count))).collect()
    }
}

/// Which side's lines name the protocol, and what of them was seen.
#[derive(Debug)]
enum Name {
    /// The responder's: on the initiator's side what is read, else what is written.
    Awaited {
        reads: bool,
        line: Vec<u8>,
    },
    Known,
}

/// A stream that is counted.
#[derive(Debug)]
pub struct Counted<S> {
    inner: S,
    name: Name,
    /// Bytes sent and received before the protocol was known.
    before: (u64, u64),
    count: Option<Arc<Count>>,
    counts: Arc<Counts>,
}

impl<S> Counted<S> {
    fn new(inner: S, is_initiator: bool, counts: &Arc<Counts>) -> Self {
        Self { inner, name: Name::Awaited { reads: is_initiator, line: Vec::new() }, before: (0, 0), count: None, counts: counts.clone() }
    }

    fn passed(&mut self, bytes: &[u8], was_read: bool) {
        let length = bytes.len() as u64;
        if let Some(count) = &self.count {
            if was_read { &count.received } else { &count.sent }.fetch_add(length, Ordering::Relaxed);
        } else {
            *if was_read { &mut self.before.1 } else { &mut self.before.0 } += length;
            self.listen(bytes, was_read);
        }
    }

    /// Looks for the responder's last line: a length, and so many bytes that end with a line feed.
    fn listen(&mut self, bytes: &[u8], was_read: bool) {
        let Name::Awaited { reads, line } = &mut self.name else { return };
        if *reads != was_read {
            return;
        }
        line.extend_from_slice(&bytes[..bytes.len().min(LINE_BYTES_MAX)]);
        while let Some(length) = length(line) {
            let Some(said) = line.get(length.of_itself..length.of_itself + length.of_line) else { break };
            let said = String::from_utf8_lossy(said).trim_end().to_owned();
            line.drain(..length.of_itself + length.of_line);
            // The header, and a refusal of what was proposed: the next line says more.
            if said != "/multistream/1.0.0" && said != "na" {
                return self.agreed(&said);
            }
        }
        if line.len() >= LINE_BYTES_MAX {
            self.agreed(NEGOTIATION);
        }
    }

    fn agreed(&mut self, protocol: &str) {
        self.name = Name::Known;
        let count = self.counts.of(protocol);
        count.sent.fetch_add(self.before.0, Ordering::Relaxed);
        count.received.fetch_add(self.before.1, Ordering::Relaxed);
        self.count = Some(count);
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        if self.count.is_none() && self.before != (0, 0) {
            self.agreed(NEGOTIATION);
        }
    }
}

struct Length {
    of_itself: usize,
    of_line: usize,
}

/// The unsigned LEB128 number at the beginning, when all of it is there. Names are shorter than two bytes can say.
fn length(line: &[u8]) -> Option<Length> {
    match *line {
        [first, ..] if first < 0x80 => Some(Length { of_itself: 1, of_line: usize::from(first) }),
        [first, second, ..] => Some(Length { of_itself: 2, of_line: usize::from(first & 0x7f) | usize::from(second) << 7 }),
        _ => None,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(context, into);
        if let Poll::Ready(Ok(bytes)) = read {
            self.passed(&into[..bytes], true);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, from);
        if let Poll::Ready(Ok(bytes)) = written {
            self.passed(&from[..bytes], false);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

/// A muxer whose streams are counted.
#[derive(Debug)]
pub struct Counting<M> {
    inner: M,
    counts: Arc<Counts>,
}

impl<M> Counting<M> {
    pub(super) const fn new(inner: M, counts: Arc<Counts>) -> Self {
        Self { inner, counts }
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Counting<M>
where
    M::Substream: Unpin,
{
    type Substream = Counted<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        let stream = Pin::new(&mut self.inner).poll_inbound(context);
        stream.map_ok(|stream| Counted::new(stream, false, &self.counts))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        let stream = Pin::new(&mut self.inner).poll_outbound(context);
        stream.map_ok(|stream| Counted::new(stream, true, &self.counts))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.inner).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;
    use futures::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn lines(lines: &[&str]) -> Vec<u8> {
        lines.iter().flat_map(|line| [&[u8::try_from(line.len() + 1).expect("short")], line.as_bytes(), b"\n"].concat()).collect()
    }

    #[test]
    fn what_the_responder_agrees_to_names_the_stream_and_all_its_bytes_count_there() {
        let counts = Arc::new(Counts::default());
        let answers = [lines(&["/multistream/1.0.0", "na", "/two"]), b"data".to_vec()].concat();
        let bytes = answers.len() as u64;
        // The initiator wrote its proposals before; a cursor reads on from where it wrote to.
        let mut initiator = Counted::new(Cursor::new(answers.clone()), true, &counts);
        block_on(async {
            // Byte by byte: lines come in any pieces.
            let mut byte = [0];
            while initiator.read(&mut byte).await.expect("bytes") == 1 {}
        });
        assert_eq!(counts.all(), BTreeMap::from([("/two".to_owned(), (0, bytes))]));
        let mut responder = Counted::new(Cursor::new(Vec::new()), false, &counts);
        block_on(responder.write_all(&answers)).expect("room");
        assert_eq!(counts.all(), BTreeMap::from([("/two".to_owned(), (bytes, bytes))]));
    }

    #[test]
    fn a_stream_without_a_protocol_counts_as_negotiation() {
        let counts = Arc::new(Counts::default());
        let mut stream = Counted::new(Cursor::new(Vec::new()), true, &counts);
        block_on(stream.write_all(b"hello")).expect("room");
        drop(stream);
        let mut endless = Counted::new(Cursor::new(Vec::new()), false, &counts);
        block_on(endless.write_all(&[0xff; 2 * LINE_BYTES_MAX])).expect("room");
        assert_eq!(counts.all(), BTreeMap::from([(NEGOTIATION.to_owned(), (5 + 2 * LINE_BYTES_MAX as u64, 0))]));
    }
}
