//! What a process costs as the kernel tells it, and [`Knocks`]: who connected where.
//!
//! Guarantees: figures are of one moment or of the life of the value. Deliberately lacks an opinion on what is too much.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Resident memory of a process.
#[must_use]
pub fn resident_mb(id: u32) -> f64 {
    status_kb(id, "VmRSS:") / 1_024.0
}

/// The most memory that was ever resident, since the start or since [`forget_peak`].
#[must_use]
pub fn peak_mb(id: u32) -> f64 {
    status_kb(id, "VmHWM:") / 1_024.0
}

/// Measures the peak anew from now on. Without the right to do so the old peak stays, which is never less.
pub fn forget_peak(id: u32) {
    drop(std::fs::write(format!("/proc/{id}/clear_refs"), "5"));
}

fn status_kb(id: u32, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(f64::NAN)
}

/// User and system time of a process so far, its ended children's not counted.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "clock ticks of a short life")]
pub fn processor_seconds(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after = text.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // Linux counts in hundredths of a second for user space, whatever the kernel's own clock.
    ticks as f64 / 100.0
}

/// Threads of a process.
#[must_use]
pub fn threads(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count)
}

/// A listener on one port of every address, which counts who knocks where, and hangs up.
#[derive(Debug)]
pub struct Knocks {
    port: u16,
    heard: Arc<Mutex<Vec<SocketAddr>>>,
    listening: JoinHandle<()>,
}

impl Drop for Knocks {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Knocks {
    /// Hangs up at once: what it is to be a machine where no station is.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        let listening = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let at = stream.local_addr().ok();
                        kept.lock().unwrap_or_else(PoisonError::into_inner).extend(at);
                    }
                    // Out of descriptors, perhaps: the one who floods has them all.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Self { port, heard, listening }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it was knocked at, in order.
    #[must_use]
    pub fn heard(&self) -> Vec<SocketAddr> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
