//! [`Slowed`]: a connection whose bytes arrive later than they came, as over a longer way.
//!
//! Guarantees: bytes keep their order; each piece is late by a seeded draw between two bounds; a dial takes a round trip. Deliberately
//! lacks bandwidth and loss.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::core::{ConnectedPoint, Transport};
use libp2p::identity::Keypair;
use libp2p::{PeerId, noise, tcp, yamux};
use station_sim::luck::Luck;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that came and are not due, at most: a connection that is not read slows its sender down.
const AHEAD_BYTES_MAX: usize = 1 << 20;
const PIECE_BYTES: usize = 16 << 10;

/// How late a piece arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

impl Delay {
    fn draw(self, luck: &mut Luck) -> Duration {
        let span = u64::try_from((self.most - self.least).as_micros()).unwrap_or(u64::MAX);
        self.least + Duration::from_micros(luck.below(span + 1))
    }
}

/// The node's TCP with Noise and Yamux, on connections of which both ends are late.
pub(crate) fn transport(keypair: &Keypair, delay: Delay, seed: u64) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
    let slow = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true)).and_then(move |socket, point| async move {
        let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let mut luck = Luck::new(seed, "slowed", &connection.to_string());
        if matches!(point, ConnectedPoint::Dialer { .. }) {
            sleep(delay.draw(&mut luck) + delay.draw(&mut luck)).await;
        }
        io::Result::Ok(Slowed::new(socket, delay, luck))
    });
    let transport = slow
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(transport.boxed())
}

/// One end; what it reads is late.
pub(crate) struct Slowed<S> {
    inner: S,
    delay: Delay,
    luck: Luck,
    /// What came, and when it is due.
    coming: VecDeque<(Instant, Vec<u8>)>,
    ahead: usize,
    /// What came is all.
    ended: bool,
    timer: Pin<Box<Sleep>>,
}

impl<S> Slowed<S> {
    fn new(inner: S, delay: Delay, luck: Luck) -> Self {
        Self { inner, delay, luck, coming: VecDeque::new(), ahead: 0, ended: false, timer: Box::pin(sleep(Duration::ZERO)) }
    }
}

impl<S: AsyncRead + Unpin> Slowed<S> {
    /// Takes what is there, and notes when it is due.
    fn take(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while !self.ended && self.ahead < AHEAD_BYTES_MAX {
            let mut piece = vec![0; PIECE_BYTES];
            let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(context, &mut piece) else { return Ok(()) };
            let bytes = read?;
            piece.truncate(bytes);
            self.ended = bytes == 0;
            self.ahead += bytes;
            let due = Instant::now() + self.delay.draw(&mut self.luck);
            // Nothing overtakes what came before.
            let due = self.coming.back().map_or(due, |(before, _)| due.max(*before));
            self.coming.push_back((due, piece));
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Slowed<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.take(context)?;
        loop {
            // Without anything coming, the socket wakes.
            let Some((due, piece)) = this.coming.front_mut() else { return if this.ended { Poll::Ready(Ok(0)) } else { Poll::Pending } };
            if Instant::now() < *due {
                let due = *due;
                this.timer.as_mut().reset(due);
                ready!(this.timer.as_mut().poll(context));
                continue;
            }
            let bytes = piece.len().min(into.len());
            into[..bytes].copy_from_slice(&piece[..bytes]);
            piece.drain(..bytes);
            let is_empty = piece.is_empty();
            this.ahead -= bytes;
            if is_empty {
                this.coming.pop_front();
            }
            return Poll::Ready(Ok(bytes));
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Slowed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::compat::TokioAsyncReadCompatExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_late_by_a_draw_and_in_order() {
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        let delay = Delay { least: Duration::from_millis(15), most: Duration::from_millis(25) };
        let mut slow = Slowed::new(theirs.compat(), delay, Luck::new(1, "slowed", "0"));
        let begun = Instant::now();
        let write = async {
            for number in 0..100_u8 {
                tokio::io::AsyncWriteExt::write_all(&mut ours, &[number]).await.expect("room");
                sleep(Duration::from_millis(1)).await;
            }
            drop(ours);
        };
        let read = async {
            let (mut all, mut lateness) = (Vec::new(), Vec::new());
            let mut byte = [0];
            while slow.read(&mut byte).await.expect("bytes") == 1 {
                lateness.push((Instant::now() - begun).as_millis() - all.len() as u128);
                all.push(byte[0]);
            }
            (all, lateness)
        };
        let ((), (all, lateness)) = futures::join!(write, read);
        assert_eq!(all, (0..100).collect::<Vec<u8>>());
        assert!(lateness.iter().all(|late| (15..=26).contains(late)), "{lateness:?}");
        assert!(lateness.iter().any(|late| *late > 20), "{lateness:?}");
        slow.write_all(b"x").await.expect_err("nobody is there");
    }
}
