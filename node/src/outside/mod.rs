//! The seam to the world outside the mesh: [`Outside`], as narrow as a socket.
//!
//! HTTP, TLS, redirects, the address table, quotas and transcripts are library code above it, so the simulator runs them too.
//! Deliberately lacks proxies, cookies and any configuration: whether a private address may be contacted is decided by who
//! builds the `Outside`, never by a key, flag or variable.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

pub mod address;
pub mod caller;
mod connection;
#[cfg(test)]
pub(crate) mod fake;
pub mod http;
pub mod politeness;
pub mod quota;
pub mod request;
pub mod tls;
pub mod toll;
pub mod trouble;
pub mod vicinity;

use vicinity::Interface;

/// A byte stream to a target.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a name has no addresses: of the name, or of this station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("no such name")]
    NoSuchName,
    /// The station's resolver works, and could not find out.
    #[error("the servers of the name do not answer")]
    NoAnswer,
    #[error("this station has no resolver: its system names none")]
    NoResolver,
    #[error("this station's resolver does not answer")]
    Silent,
}

pub trait Outside: Send + Sync + 'static {
    /// All addresses of `name`, unfiltered: the address table above this seam filters. Whoever asks waits `within`. Whose failure it is must be
    /// told before.
    fn resolve(&self, name: String, within: Duration) -> BoxFuture<'static, Result<Vec<IpAddr>, ResolveError>>;
    /// Connects to exactly this address.
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>>;
    /// This machine's addresses as they are now, with the links that they are on: guests may contact none of these, and nobody where
    /// this fails.
    fn interfaces(&self) -> io::Result<Vec<Interface>>;
    /// Whether the program that built this named `to` as one of the loopback or private sockets it may reach (demo, tests).
    fn is_exempt(&self, to: SocketAddr) -> bool;
    /// Whether there are such sockets. Where there are none, a name of a local network is not even resolved.
    fn has_exempt(&self) -> bool;
}
