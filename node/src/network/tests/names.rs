//! Bootstrap nodes that are known by a name.

use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, PeerId};

use super::super::{Event, NetworkConfig};
use super::{Lab, config, multiaddr, node};
use crate::platform::transport;

/// Leads one name to one address, as a resolver below the rule of what may be dialled does.
struct Named {
    inner: Boxed<(PeerId, StreamMuxerBox)>,
    name: Multiaddr,
    address: Multiaddr,
}

impl Transport for Named {
    type Output = (PeerId, StreamMuxerBox);
    type Error = std::io::Error;
    type ListenerUpgrade = <Boxed<(PeerId, StreamMuxerBox)> as Transport>::ListenerUpgrade;
    type Dial = <Boxed<(PeerId, StreamMuxerBox)> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        let is_named = address.to_string().starts_with(&self.name.to_string());
        self.inner.dial(if is_named { self.address.clone() } else { address }, options)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

#[tokio::test]
async fn a_bootstrap_node_that_is_known_by_its_name_is_kept() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let (name, address) = (multiaddr("/dns4/boot.example/tcp/4001"), lab.at[0][0].to_string().parse().expect("a multiaddr"));
    let named = vec![multiaddr(&format!("{name}/p2p/{}", node(1)))];
    lab.add_over(NetworkConfig { bootstrap: named, ..config(&["t"]) }, |key| {
        Named { inner: transport::tcp(key).expect("a transport"), name, address }.boxed()
    })
    .await;
    let (mut there, mut back) = (false, false);
    lab.until(|_, index, event| {
        assert!(!matches!(event, Event::Disconnected { .. }), "it is not let go");
        if let Event::Connected { node: met, .. } = event {
            there |= index == 1 && met == node(1);
            back |= index == 0 && met == node(2);
        }
        (there && back).then_some(())
    })
    .await;
    assert_eq!(lab.stations[1].snapshot().connected, 1);
}
