//! The transport between two keys on loopback, and what becomes of names.

use std::future::{pending, poll_fn};

use libp2p::core::Endpoint;
use libp2p::core::muxing::StreamMuxerExt;
use libp2p::core::transport::PortUse;
use tokio::time::timeout;

use super::*;
use crate::network::config::HANDSHAKE_TIMEOUT;

/// A test that waits longer than this has found a bug; none passes or fails by how fast it was.
const HANG: Duration = Duration::from_secs(120);
const OPTIONS: DialOpts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };

#[test]
fn only_names_are_looked_up() {
    for (address, named) in [
        ("/ip4/5.5.5.5/tcp/1", false),
        ("/ip6/2a00::1/udp/1/quic-v1", false),
        ("/dns/a.example/tcp/1", true),
        ("/dns4/a.example/tcp/1", true),
        ("/dns6/a.example/udp/1/quic-v1", true),
        ("/dnsaddr/a.example", true),
    ] {
        assert_eq!(has_name(&address.parse().expect("an address")), named, "{address}");
    }
}

/// The next event of which `wanted` finds something.
async fn until<T>(server: &mut Both, wanted: impl Fn(TransportEvent<<Both as Transport>::ListenerUpgrade, io::Error>) -> Option<T>) -> T {
    poll_fn(|context| {
        loop {
            match Pin::new(&mut *server).poll(context) {
                Poll::Ready(event) => {
                    if let Some(found) = wanted(event) {
                        return Poll::Ready(found);
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// Who met whom when `host` with the listener's port was dialled.
async fn meet(host: &str) -> [PeerId; 2] {
    let [one, other] = [1, 2].map(|byte| Keypair::ed25519_from_bytes([byte; 32]).expect("any 32 bytes are a key"));
    let mut server = build(&one).expect("a transport");
    server.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("loopback");
    let port = until(&mut server, |event| match event {
        TransportEvent::NewAddress { listen_addr, .. } => {
            listen_addr.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None })
        }
        _ => None,
    })
    .await;
    let address: Multiaddr = host.parse().expect("an address");
    let mut dial = build(&other).expect("a transport").dial(address.with(Protocol::Tcp(port)), OPTIONS).expect("it can be dialled");
    let mut accept = Box::pin(async {
        let upgrade = until(&mut server, |event| event.into_incoming().map(|(upgrade, _)| upgrade)).await;
        upgrade.await.expect("accepted").0
    });
    let mut dialled = None;
    let accepted = poll_fn(|context| {
        if dialled.is_none()
            && let Poll::Ready(connection) = dial.poll_unpin(context)
        {
            dialled = Some(connection.expect("connected"));
        }
        if let Some((_, muxer)) = &mut dialled {
            // The last word of the dialler's handshake waits in its first frames: they are written only when it is driven.
            let _ = muxer.poll_unpin(context);
        }
        accept.as_mut().poll(context)
    })
    .await;
    [dialled.expect("the dialler is through first").0, accepted]
}

#[tokio::test]
async fn one_shared_transport_listens_and_is_dialled_by_address_and_by_name() {
    let expected = [1, 2].map(|byte| Keypair::ed25519_from_bytes([byte; 32]).expect("any 32 bytes are a key").public().to_peer_id());
    for host in ["/ip4/127.0.0.1", "/dns4/localhost"] {
        assert_eq!(timeout(HANG, meet(host)).await.expect("they meet"), expected, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_the_addresses_of_a_name_those_that_are_silent_hold_up_no_other() {
    for good in [0, 1, PLACES_MAX - 1] {
        let dials = (0..PLACES_MAX).map(|place| async move { if place == good { Ok(place) } else { pending().await } });
        let first = timeout(HANDSHAKE_TIMEOUT, first_of(dials)).await.expect("long before the dial ends");
        assert_eq!(first.expect("it answers"), good);
    }
    let refused = || async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) };
    let error = first_of([refused(), refused()].into_iter()).await.expect_err("nobody answers");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_name_leads_to_no_more_addresses_than_are_dialled() {
    let mut leads = Leads::default();
    for port in 1..100_u16 {
        let address: Multiaddr = format!("/ip4/192.0.2.1/tcp/{port}").parse().expect("an address");
        assert!(leads.dial(address, OPTIONS).is_err());
    }
    assert_eq!((leads.take().len(), leads.take().len()), (PLACES_MAX, 0));
}

#[tokio::test]
async fn a_name_without_an_address_fails_as_one_and_not_as_a_dial() {
    // No name in the DNS is as long, so that nobody is asked.
    let address: Multiaddr = format!("/dns4/{}.example/tcp/1", "a".repeat(64)).parse().expect("an address");
    let mut transport = build(&Keypair::ed25519_from_bytes([7; 32]).expect("32 bytes")).expect("a transport");
    let failed = match transport.dial(address, OPTIONS) {
        Ok(dial) => timeout(HANG, dial).await.expect("at once").expect_err("it leads nowhere"),
        Err(libp2p::TransportError::Other(error)) => error,
        Err(error) => panic!("{error}"),
    };
    let kinds = std::iter::successors(Some(&failed as &(dyn std::error::Error + 'static)), |error| {
        error.downcast_ref::<io::Error>().and_then(|error| error.get_ref().map(|inner| inner as _)).or_else(|| error.source())
    });
    assert!(kinds.filter_map(|error| error.downcast_ref::<io::Error>()).any(|error| error.kind() == io::ErrorKind::NotFound), "{failed:?}");
}
