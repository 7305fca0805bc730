//! The other end says nothing: neither side's handshake takes a place for ever.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, pending};
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, PeerId};
use station_protocol::address::Address;
use station_protocol::bounded::List;
use station_protocol::durable::Ticket;
use station_protocol::work::Request;
use station_protocol::worker::SendFailure;

use super::super::config::HANDSHAKE_TIMEOUT;
use super::super::peer_id::keypair;
use super::super::{Command, Event, Network};
use super::{TokioTasks, config, name, node, secret};

/// Strangers who connect and say nothing.
const STRANGERS: usize = 3;

type Upgrade = BoxFuture<'static, io::Result<(PeerId, StreamMuxerBox)>>;

/// Nothing that is begun over it ever comes to an end.
pub(super) struct Silence {
    events: VecDeque<TransportEvent<Upgrade, io::Error>>,
    /// One more owner for each handshake under way.
    handshakes: Arc<()>,
}

impl Silence {
    /// With one owner of its own of `handshakes`.
    pub(super) fn new(handshakes: &Arc<()>) -> Self {
        Self { events: VecDeque::new(), handshakes: handshakes.clone() }
    }

    fn handshake(&self) -> Upgrade {
        let held = self.handshakes.clone();
        async move {
            let _held = held;
            pending().await
        }
        .boxed()
    }
}

impl Transport for Silence {
    type Output = (PeerId, StreamMuxerBox);
    type Error = io::Error;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(&mut self, listener_id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        for number in 0..STRANGERS {
            let send_back_addr = format!("/ip4/127.0.0.{}/tcp/9", number + 2).parse().expect("an address");
            let upgrade = self.handshake();
            self.events.push_back(TransportEvent::Incoming { listener_id, upgrade, local_addr: address.clone(), send_back_addr });
        }
        Ok(())
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, _: Multiaddr, _: DialOpts) -> Result<Upgrade, TransportError<io::Error>> {
        Ok(self.handshake())
    }

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Upgrade, io::Error>> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_and_a_handshake_in_which_nothing_is_said_end_after_ten_seconds() {
    let handshakes = Arc::new(());
    let silence = Silence::new(&handshakes);
    let under_way = || Arc::strong_count(&handshakes) - 2;
    let mut network = Network::new(config(&["t"]), &keypair(secret(1)), silence.boxed(), TokioTasks).expect("a network");
    let at = List::first([Address::parse(&format!("/ip4/127.0.0.1/tcp/9/p2p/{}", node(2))).expect("an address")]);
    let request = Request::Peers { topic: name("t"), have: List::default() };
    network.perform(Command::Send { send: Ticket(7), to: node(2), at, request });
    let early = tokio::time::timeout(HANDSHAKE_TIMEOUT - Duration::from_secs(1), network.next()).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(under_way(), STRANGERS + 1);
    let event = tokio::time::timeout(Duration::from_secs(2), network.next()).await.expect("it ends");
    assert!(matches!(&event, Event::Answered { send: Ticket(7), answer: Err(SendFailure::Unreachable), .. }), "{event:?}");
    let quiet = tokio::time::timeout(Duration::from_secs(1), network.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!(under_way(), 0);
}
