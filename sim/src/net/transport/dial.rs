//! A dial: first segments, sent again while nobody answers, until a machine accepts, refuses, or is met dialling us.
//!
//! Guarantees: a dial takes the round trip it would take; it is refused where the machine is there and the port is closed, or a box says
//! so; it times out where nobody answers; two that dial each other from the ports they dial to have one connection (RFC 9293, 3.5:
//! simultaneous open). Deliberately lacks the rest of TCP's handshake: whoever accepts has the connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, select};

use super::super::fabric::{Arriving, Dialling, Fabric, Knock, NodeIndex};
use super::{Host, Wire};
use crate::det::trace::Kind;

/// When the first segment is sent again, in seconds after the first time, and when Linux gives up (`tcp_syn_retries` = 6).
const AGAIN_S: [u64; 7] = [1, 3, 7, 15, 31, 63, 127];

/// A dial under way; dropping it gives up.
struct Attempt {
    fabric: Arc<Fabric>,
    node: NodeIndex,
    dialling: Dialling,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.fabric.end(&self.dialling);
    }
}

/// A connection from `host` to `to`, leaving from `from`.
pub(super) async fn connect(host: Arc<Host>, mut from: SocketAddr, to: SocketAddr) -> io::Result<Wire> {
    let network = host.network(to.ip()).ok_or(io::ErrorKind::NetworkUnreachable)?;
    let (attempt, meeting) = loop {
        let dialling = Dialling { network, from, to };
        if let Some(meeting) = host.fabric.begin(host.node, dialling) {
            break (Attempt { fabric: host.fabric.clone(), node: host.node, dialling }, meeting);
        }
        from = SocketAddr::new(from.ip(), host.ephemeral());
    };
    // Whoever was met has nothing more to find out.
    let (wire, punched) = match select(met(meeting).boxed(), attempt.segments().boxed()).await {
        Either::Left((wire, _)) => (wire, true),
        Either::Right((answer, _)) => answer?,
    };
    attempt.fabric.connected(attempt.node, to, punched);
    Ok(wire)
}

async fn met(meeting: oneshot::Receiver<Wire>) -> Wire {
    match meeting.await {
        Ok(wire) => wire,
        // Ours was the segment that met the other: its answer is on the way.
        Err(oneshot::Canceled) => std::future::pending().await,
    }
}

impl Attempt {
    /// All segments, and whether the other was met dialling.
    async fn segments(&self) -> io::Result<(Wire, bool)> {
        let begun = tokio::time::Instant::now();
        for again in AGAIN_S {
            if let Some(answer) = self.segment().await {
                return answer;
            }
            tokio::time::sleep_until(begun + Duration::from_secs(again)).await;
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// One first segment: half a round trip to find out, half to tell. None: nobody answers.
    async fn segment(&self) -> Option<io::Result<(Wire, bool)>> {
        let fabric = &self.fabric;
        let (node, network, from, at) = match fabric.knock(self.dialling) {
            Knock::Nowhere => return None,
            Knock::Reset { node } => {
                until(fabric, fabric.signal(self.node, node)?).await;
                until(fabric, fabric.signal(node, self.node)?).await;
                return Some(Err(io::ErrorKind::ConnectionRefused.into()));
            }
            Knock::Machine { node, network, from, at } => (node, network, from, at),
        };
        fabric.event(self.node, Kind::Dialled, u64::from(node));
        until(fabric, fabric.signal(self.node, node)?).await;
        // Whoever cannot answer is not connected.
        let answered = fabric.signal(node, self.node)?;
        let [out, back] = fabric.pipes(self.node, node);
        let (ours, theirs) = (Wire::new(fabric, &out, &back), Wire::new(fabric, &back, &out));
        // Its own dial goes where ours comes from.
        let other = Dialling { network, from: at, to: from };
        let met = fabric.meet(&self.dialling, &other);
        let punched = met.is_some();
        let accepted = match (met, fabric.socket(network, at)) {
            (Some((_, met)), _) => met.send(theirs).is_ok(),
            (None, Some((_, accept))) => accept.accept(Arriving { stream: theirs, from, at }),
            (None, None) => false,
        };
        if accepted {
            fabric.event(node, Kind::Accepted, u64::from(self.node));
        }
        until(fabric, answered).await;
        Some(if accepted { Ok((ours, punched)) } else { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

async fn until(fabric: &Fabric, at_ms: u64) {
    tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(fabric.now_ms()))).await;
}
