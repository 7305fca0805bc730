//! What is written when others cause lines faster than an operator reads.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn lines(&self, containing: &str) -> usize {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().filter(|line| line.contains(containing)).count()
    }
}

/// What `act` writes at `filter`, in a second that stands still.
async fn written<F: Future<Output = ()>>(filter: &str, act: impl FnOnce() -> F) -> Kept {
    let kept = Kept::default();
    let to = kept.clone();
    let _log = tracing::subscriber::set_default(lines(filter, move || to.clone(), false));
    act().await;
    kept
}

#[tokio::test(start_paused = true)]
async fn a_peer_writes_one_line_a_second_by_whatever_lines_and_the_rest_is_counted() {
    let kept = written("info", async || {
        for second in 0..3 {
            for lease in 0..1_000 {
                tracing::warn!(node = %"12D3stranger", lease, reason = "no_lease", "refused a receipt");
                tracing::info!(requester = %"12D3stranger", lease, "ran a job");
            }
            tracing::warn!(node = %"12D3another", second, "refused a receipt");
            tracing::info!("the station's own words");
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
        }
        tracing::info!("one more");
    })
    .await;
    assert_eq!(kept.lines("node=12D3stranger"), 3, "{:?}", kept.0);
    assert_eq!(kept.lines("requester=12D3stranger"), 0);
    assert_eq!(kept.lines("(1999 more lines about 12D3stranger were left out"), 3, "with the next, and at last with any");
    assert_eq!((kept.lines("12D3another"), kept.lines("own words")), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn another_crate_writes_one_line_a_second_for_each_place_in_its_code() {
    let kept = written("warn", async || {
        for _ in 0..500 {
            tracing::warn!(target: "libp2p_request_response::handler", "Dropping inbound stream because we are at capacity");
        }
        tracing::warn!(target: "libp2p_request_response::handler", "something else");
    })
    .await;
    assert_eq!((kept.lines("at capacity"), kept.lines("something else")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_everything_gets_everything() {
    let kept = written("debug", async || (0..50).for_each(|_| tracing::debug!(from = %"12D3stranger", "content not served"))).await;
    assert_eq!(kept.lines("content not served"), 50);
}
