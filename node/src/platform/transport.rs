//! The station's real transport: TCP with Noise and Yamux, and QUIC, with DNS above both.
//!
//! Guarantees: authenticated and multiplexed; names are resolved through the system's resolver as it is when they are dialled; without one
//! addresses are dialled all the same. Of the addresses that a name leads to, one that is silent holds up no other. Deliberately lacks the
//! rule on which names and addresses may be dialled: `network::reach` lies above it on every platform.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Pending, select_ok};
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, OrTransport, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, dns, noise, quic, tcp};
use tokio::time::timeout;

use crate::network::config::{QUIC_CONNECTION_BYTES_MAX, QUIC_STREAM_BYTES_MAX, STREAMS_MAX};
use crate::network::multiplexing;

/// The transport could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the key cannot be used with Noise: {0}")]
    Noise(#[from] noise::Error),
}

/// TCP and QUIC with DNS. Must be called within a tokio runtime.
pub fn build(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, TransportError> {
    let mut bounded = quic::Config::new(keypair);
    bounded.max_concurrent_stream_limit = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
    (bounded.max_stream_data, bounded.max_connection_data) = (QUIC_STREAM_BYTES_MAX, QUIC_CONNECTION_BYTES_MAX);
    let quic = quic::tokio::Transport::new(bounded).map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    let both = OrTransport::new(quic, tcp(keypair)?).map(|either, _| either.into_inner());
    Ok(Named { inner: Shared(Arc::new(Mutex::new(both.boxed()))) }.boxed())
}

type Both = Boxed<(PeerId, StreamMuxerBox)>;
type Dialled = <Both as Transport>::Output;

/// Resolves names with the configuration that the system has when they are dialled: few are, those of the network file, and it may have been
/// none when the station started.
struct Named {
    inner: Shared,
}

impl Transport for Named {
    type Output = Dialled;
    type Error = io::Error;
    type ListenerUpgrade = <Both as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<Dialled>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), libp2p::TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, libp2p::TransportError<io::Error>> {
        if !has_name(&address) {
            return Ok(self.inner.dial(address, options)?.boxed());
        }
        let (leads, inner) = (Leads::default(), self.inner.clone());
        let mut names = dns::tokio::Transport::system(leads.clone()).map_err(|error| libp2p::TransportError::Other(nowhere(error)))?;
        let asked = names.dial(address, options).map_err(|error| error.map(io::Error::other))?;
        let dialled = async move {
            let found = timeout(LOOKUP_PATIENCE, asked).await;
            let places = leads.take();
            if places.is_empty() {
                return Err(match found {
                    Ok(Err(error)) => nowhere(error),
                    Err(silent) => nowhere(silent),
                });
            }
            let dial = |place| {
                let mut inner = inner.clone();
                async move { inner.dial(place, options).map_err(io::Error::other)?.await }
            };
            first_of(places.into_iter().map(dial)).await
        };
        Ok(dialled.boxed())
    }

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.get_mut().inner).poll(context)
    }
}

/// How long a name may take: less than whoever started the station waits to hear of it.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(7);

/// A name led to no address, for whatever reason. Layers above show the source of an error and hide the error itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Nowhere(#[source] io::Error);

/// The error of such a name: of no dial's own errors is this the kind.
fn nowhere(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    let of_kind = |error| io::Error::new(io::ErrorKind::NotFound, error);
    of_kind(Nowhere(of_kind(error.into())).into())
}

/// Whether something of `address` has to be looked up.
fn has_name(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)))
}

/// Addresses of one name that are dialled: libp2p asks no more either.
const PLACES_MAX: usize = 16;
/// Between the beginnings of two of its dials, as browsers have it (RFC 8305). Sixteen have begun when most of the time for a dial is left.
const STAGGER: Duration = Duration::from_millis(250);

/// The first of `dials` to succeed. They begin one after another and go on together. There must be one.
async fn first_of<T: Send>(dials: impl Iterator<Item = impl Future<Output = io::Result<T>> + Send>) -> io::Result<T> {
    let begun = (0_u32..).zip(dials).map(|(place, dial)| {
        let later = async move {
            tokio::time::sleep(STAGGER * place).await;
            dial.await
        };
        later.boxed()
    });
    select_ok(begun).await.map(|(first, _)| first)
}

/// Stands below a resolver in place of a transport: it notes what a name leads to, and dials nothing.
#[derive(Clone, Default)]
struct Leads(Arc<Mutex<Vec<Multiaddr>>>);

impl Leads {
    fn take(&self) -> Vec<Multiaddr> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport for Leads {
    type Output = Infallible;
    type Error = io::Error;
    type ListenerUpgrade = Pending<io::Result<Infallible>>;
    type Dial = Pending<io::Result<Infallible>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), libp2p::TransportError<io::Error>> {
        Err(libp2p::TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, libp2p::TransportError<io::Error>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() < PLACES_MAX {
            places.push(address.clone());
        }
        // The resolver goes on to the next.
        Err(libp2p::TransportError::MultiaddrNotSupported(address))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

/// One transport behind several resolvers.
#[derive(Clone)]
struct Shared(Arc<Mutex<Both>>);

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Both> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Shared {
    type Output = Dialled;
    type Error = io::Error;
    type ListenerUpgrade = <Both as Transport>::ListenerUpgrade;
    type Dial = <Both as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), libp2p::TransportError<io::Error>> {
        self.inner().listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner().remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, libp2p::TransportError<io::Error>> {
        self.inner().dial(address, options)
    }

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut *self.inner()).poll(context)
    }
}

/// TCP alone: where there is no resolver configuration to read.
pub fn tcp(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(multiplexing())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(transport.boxed())
}

#[cfg(test)]
mod tests;
