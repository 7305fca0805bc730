//! [`serve`]: one connection to a host, from its first request to the end of the station's interest.
//!
//! Guarantees: a request reaches the host one way after it was sent, its answer begins one way and the host's think time later, and no
//! byte of it comes faster than the station's downlink passes. Deliberately lacks the host's own limits: it has a data centre's line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, sleep_until};

use super::site::Request;
use super::{Asker, Internet};
use crate::net::Nanos;
use crate::net::line::Line;
use crate::net::link::CHUNK_BYTES_MAX;
use crate::scenario::work::Conduct;

/// Longest head of a request: a URL and all headers that a guest may set, with room.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// What a connection holds before the writer waits: a receive window.
pub const WINDOW_BYTES: usize = 64 << 10;

/// A station's downlink as the web uses it.
#[derive(Debug)]
pub struct Downlink {
    start: Instant,
    line: Mutex<Line>,
}

impl Downlink {
    /// An idle line of `bits_per_s`. Must be called within the run's runtime.
    #[must_use]
    pub fn new(bits_per_s: u64) -> Self {
        Self { start: Instant::now(), line: Mutex::new(Line::new(bits_per_s)) }
    }

    /// When `bytes` that are there at `at` have passed.
    fn pass(&self, at: Instant, bytes: usize) -> Instant {
        let nanos = |instant: Instant| Nanos::from(instant.saturating_duration_since(self.start));
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        self.start + Duration::from(line.pass(nanos(Instant::now()), nanos(at), bytes as u64))
    }
}

/// What the two ends of a connection have between them.
#[derive(Debug)]
pub struct Wire {
    pub internet: Arc<Internet>,
    /// The host's place.
    pub place: usize,
    pub asker: Asker,
    pub one_way: Duration,
    pub downlink: Arc<Downlink>,
}

/// Answers one request after the other, until the station hangs up.
pub async fn serve(wire: Wire, mut pipe: DuplexStream) {
    let site = wire.internet.sites[wire.place].clone();
    while let Some(head) = read_head(&mut pipe).await {
        sleep(wire.one_way).await;
        // What is no request is counted as one too: it came.
        let request = Request::parse(&head).unwrap_or_else(|| Request { is_head: false, path: String::new(), experiment: None });
        let answer = wire.internet.ask(wire.place, wire.asker, &request);
        if matches!(site.conduct, Conduct::Silent {}) {
            // Until the station hangs up.
            while matches!(pipe.read(&mut [0; 1]).await, Ok(read) if read > 0) {}
            return;
        }
        sleep(site.think).await;
        let arrives = Instant::now() + wire.one_way;
        let chunks = answer.chunks(usize::try_from(CHUNK_BYTES_MAX).unwrap_or(usize::MAX));
        // All at once: between two of them the line is never idle, however coarse the timers are.
        let moments: Vec<Instant> = chunks.clone().map(|chunk| wire.downlink.pass(arrives, chunk.len())).collect();
        for (chunk, moment) in chunks.zip(moments) {
            sleep_until(moment).await;
            if pipe.write_all(chunk).await.is_err() {
                return;
            }
        }
    }
}

/// One request's head, to its empty line; nothing when the station has hung up.
async fn read_head(pipe: &mut DuplexStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return None;
        }
        head.push(pipe.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}
