//! Connections that begin and never go on: silent ones, half a handshake, a multiplexer that is never used.
//!
//! Guarantees: each holds its socket until it is dropped or the other end lets go. Deliberately lacks libp2p: a few bytes are enough.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How far a handshake goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Not a byte.
    Silent,
    /// The first line of multistream-select.
    Multistream,
    /// Noise is chosen and its first message announced, with one byte of it.
    Noise,
}

const MULTISTREAM: &[u8] = b"\x13/multistream/1.0.0\n";
const NOISE: &[u8] = b"\x07/noise\n";

/// A connection from `from` to `to` that stops at `half`.
pub async fn begin(from: IpAddr, to: SocketAddr, half: Half) -> io::Result<TcpStream> {
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    let mut stream = tokio::time::timeout(Duration::from_secs(5), socket.connect(to)).await??;
    match half {
        Half::Silent => {}
        Half::Multistream => stream.write_all(MULTISTREAM).await?,
        Half::Noise => {
            stream.write_all(MULTISTREAM).await?;
            stream.write_all(NOISE).await?;
            stream.write_all(&[0, 32, 9]).await?;
        }
    }
    Ok(stream)
}

/// Waits until the other end lets `stream` go; whatever it says meanwhile is read.
pub async fn until_let_go(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}
