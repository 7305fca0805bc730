//! The station's real transport: TCP with Noise and Yamux, and QUIC, with DNS above both.
//!
//! Guarantees: authenticated and multiplexed; names are resolved through the system's resolver configuration. Deliberately lacks the
//! rule on which names and addresses may be dialled: `network::reach` lies above it on every platform.

use std::io;

use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, dns, noise, quic, tcp};

use crate::network::config::{QUIC_CONNECTION_BYTES_MAX, QUIC_STREAM_BYTES_MAX, STREAMS_MAX};
use crate::network::multiplexing;

/// The transport could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the key cannot be used with Noise: {0}")]
    Noise(#[from] noise::Error),
    #[error("the system's resolver configuration cannot be read: {0}")]
    Resolver(#[from] io::Error),
}

/// TCP and QUIC with DNS. Must be called within a tokio runtime.
pub fn build(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, TransportError> {
    let mut bounded = quic::Config::new(keypair);
    bounded.max_concurrent_stream_limit = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
    (bounded.max_stream_data, bounded.max_connection_data) = (QUIC_STREAM_BYTES_MAX, QUIC_CONNECTION_BYTES_MAX);
    let quic = quic::tokio::Transport::new(bounded).map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    let both = OrTransport::new(quic, tcp(keypair)?).map(|either, _| either.into_inner());
    Ok(dns::tokio::Transport::system(both)?.boxed())
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
