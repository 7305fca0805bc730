//! [`Line`]: a connection whose multiplexer is spoken by hand, for frames that no library writes.
//!
//! Guarantees: Noise and yamux as the target has them, from any address of this machine; what is written does not wait for what is read.
//! Deliberately lacks streams: frames are all there is, and nothing that the target opens is answered.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::io::{ReadHalf, WriteHalf};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
use libp2p::noise;
use tokio::net::TcpSocket;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use crate::key::Key;

/// How long the target may take to take a connection, and to say something on it.
const PATIENCE: Duration = Duration::from_secs(5);
const NOISE: &str = "/noise";
const YAMUX: &str = "/yamux/1.0.0";
/// Bytes of a frame before its body.
const HEAD: usize = 12;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Data = 0,
    Window = 1,
    Ping = 2,
}

/// Opens a stream, acknowledges, ends the writer's side of it.
pub const SYN: u16 = 1;
pub const ACK: u16 = 2;
pub const FIN: u16 = 4;

type Secured = noise::Output<Compat<tokio::net::TcpStream>>;

/// Both directions of a connection that the target took.
#[derive(Debug)]
pub struct Line {
    pub frames_in: Reader,
    pub frames_out: WriteHalf<Secured>,
}

#[derive(Debug)]
pub struct Reader(ReadHalf<Secured>);

/// What the target sent: kind, flags and stream; a body is read and thrown away.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u16,
    pub stream: u32,
}

impl Line {
    /// Connects from `from`. That the target takes it is proved by the first frame of its own.
    pub async fn dial(key: &Key, from: IpAddr, to: SocketAddr) -> io::Result<Self> {
        tokio::time::timeout(PATIENCE, async {
            let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind(SocketAddr::new(from, 0))?;
            let stream = socket.connect(to).await?;
            stream.set_nodelay(true)?;
            let mut stream = stream.compat();
            agree(&mut stream, NOISE).await?;
            let noise = noise::Config::new(&key.keypair()).map_err(io::Error::other)?;
            let (_, mut secured) = noise.upgrade_outbound(stream, NOISE).await.map_err(io::Error::other)?;
            agree(&mut secured, YAMUX).await?;
            let (read, frames_out) = secured.split();
            let mut frames_in = Reader(read);
            frames_in.next().await?;
            Ok(Self { frames_in, frames_out })
        })
        .await?
    }
}

impl Reader {
    /// The next frame.
    pub async fn next(&mut self) -> io::Result<Frame> {
        let mut head = [0; HEAD];
        self.0.read_exact(&mut head).await?;
        let [_, kind, f, g, s, t, u, v, a, b, c, d] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if kind == Kind::Data as u8 && length > 0 {
            let mut body = vec![0; usize::try_from(length.min(1 << 20)).unwrap_or(0)];
            self.0.read_exact(&mut body).await?;
        }
        Ok(Frame { kind, flags: u16::from_be_bytes([f, g]), stream: u32::from_be_bytes([s, t, u, v]) })
    }
}

/// A frame without a body. `number` is a length, a credit or a ping's.
#[must_use]
pub fn frame(kind: Kind, flags: u16, stream: u32, number: u32) -> [u8; HEAD] {
    let mut out = [0; HEAD];
    out[1] = kind as u8;
    out[2..4].copy_from_slice(&flags.to_be_bytes());
    out[4..8].copy_from_slice(&stream.to_be_bytes());
    out[8..].copy_from_slice(&number.to_be_bytes());
    out
}

/// multistream-select of one protocol.
async fn agree(io: &mut (impl AsyncRead + AsyncWrite + Unpin), protocol: &str) -> io::Result<()> {
    let said: Vec<u8> = ["/multistream/1.0.0", protocol].into_iter().flat_map(line).collect();
    io.write_all(&said).await?;
    io.flush().await?;
    let mut heard = vec![0; said.len()];
    io.read_exact(&mut heard).await?;
    if heard == said { Ok(()) } else { Err(io::Error::other("another protocol")) }
}

/// A line of multistream-select: shorter than 128 bytes, so that its length is one of them.
fn line(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    [&[length], text.as_bytes(), b"\n"].concat()
}
