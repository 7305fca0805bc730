//! [`Stranger`]: a key, a TCP transport that dials from any address it likes, and streams of any protocol.
//!
//! Guarantees: it never lets a connection go by itself; what is connected and what ended is counted. Deliberately lacks behaviours:
//! nothing is answered that an attack does not answer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{DialOpts, ListenerId, OrTransport, TransportError, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::core::{Multiaddr, Transport};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{Config, SwarmEvent, dial_opts};
use libp2p::{PeerId, Stream, StreamProtocol, Swarm, noise, tcp, yamux};
use libp2p_stream::{Behaviour, Control, IncomingStreams};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use crate::key::Key;

/// How long an attacker waits for a connection.
const PATIENCE: Duration = Duration::from_secs(15);
/// It never lets go.
const FOREVER: Duration = Duration::from_secs(86_400);

/// Tells the swarm to dial.
type Dial = (Multiaddr, PeerId, oneshot::Sender<Result<(), String>>);

/// How its connections do.
#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    ended: AtomicUsize,
    opened: AtomicUsize,
}

/// One peer. Its connections end with it.
#[derive(Debug)]
pub struct Stranger {
    pub key: Key,
    /// Where it listens, without its id.
    pub listens: Option<Multiaddr>,
    control: ControlBox,
    dials: mpsc::Sender<Dial>,
    counts: Arc<Counts>,
    swarm: tokio::task::JoinHandle<()>,
}

/// `Control` says nothing of itself.
#[derive(Clone)]
struct ControlBox(Control);

impl std::fmt::Debug for ControlBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

impl Stranger {
    /// A peer that dials from `from`, and listens there on a free port.
    ///
    /// # Panics
    /// When this machine does not have the address.
    pub async fn new(key: Key, from: IpAddr) -> Self {
        let keypair = key.keypair();
        let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
        let transport = OrTransport::new(From(from), tcp)
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&keypair).expect("an Ed25519 key"))
            .multiplex(yamux::Config::default())
            .timeout(PATIENCE)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed();
        let behaviour = Behaviour::new();
        let control = behaviour.new_control();
        let settings = Config::with_tokio_executor().with_idle_connection_timeout(FOREVER);
        let mut swarm = Swarm::new(transport, behaviour, key.peer(), settings);
        let listen = Multiaddr::from(from).with(Protocol::Tcp(0));
        swarm.listen_on(listen).expect("an address of this machine");
        let listens = tokio::time::timeout(PATIENCE, async {
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    break address;
                }
            }
        });
        let listens = listens.await.ok();
        let (dials, commands) = mpsc::channel(64);
        let counts = Arc::new(Counts::default());
        let swarm = tokio::spawn(drive(swarm, commands, counts.clone()));
        Self { key, listens, control: ControlBox(control), dials, counts, swarm }
    }

    /// Where others find it, with its id.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn at(&self) -> String {
        format!("{}/p2p/{}", self.listens.as_ref().expect("it listens"), self.key.peer())
    }

    /// Connects to `peer`.
    pub async fn dial(&self, address: &Multiaddr, peer: PeerId) -> Result<(), String> {
        let (told, result) = oneshot::channel();
        self.dials.send((address.clone(), peer, told)).await.map_err(|error| error.to_string())?;
        result.await.map_err(|error| error.to_string())?
    }

    /// Opens a stream; none within its patience is an error too.
    pub async fn open(&self, peer: PeerId, protocol: &str) -> io::Result<Stream> {
        let protocol = StreamProtocol::try_from_owned(protocol.to_owned()).map_err(io::Error::other)?;
        let mut control = self.control.0.clone();
        tokio::time::timeout(PATIENCE, control.open_stream(peer, protocol)).await?.map_err(io::Error::other)
    }

    /// Takes streams that others open.
    ///
    /// # Panics
    /// When it takes them already.
    pub fn accept(&self, protocol: &str) -> IncomingStreams {
        let protocol = StreamProtocol::try_from_owned(protocol.to_owned()).expect("it begins with a slash");
        self.control.0.clone().accept(protocol).expect("taken once")
    }

    /// Connections it has now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Connections it ever had.
    #[must_use]
    pub fn had_connections(&self) -> usize {
        self.counts.opened.load(Ordering::Relaxed)
    }

    /// Connections that the other end let go: this one never does.
    #[must_use]
    pub fn was_let_go(&self) -> usize {
        self.counts.ended.load(Ordering::Relaxed)
    }
}

async fn drive(mut swarm: Swarm<Behaviour>, mut commands: mpsc::Receiver<Dial>, counts: Arc<Counts>) {
    let mut waiting = Vec::new();
    loop {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            Some((address, peer, told)) = commands.recv() => {
                let options = dial_opts::DialOpts::peer_id(peer).addresses(vec![address]).condition(dial_opts::PeerCondition::Always).build();
                let id = options.connection_id();
                match swarm.dial(options) {
                    Ok(()) => waiting.push((id, told)),
                    Err(error) => drop(told.send(Err(error.to_string()))),
                }
                continue;
            }
        };
        let (id, result) = match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                counts.open.fetch_add(1, Ordering::Relaxed);
                counts.opened.fetch_add(1, Ordering::Relaxed);
                (connection_id, Ok(()))
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => (connection_id, Err(error.to_string())),
            SwarmEvent::ConnectionClosed { .. } => {
                counts.open.fetch_sub(1, Ordering::Relaxed);
                counts.ended.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            _ => continue,
        };
        if let Some(at) = waiting.iter().position(|(other, _)| *other == id) {
            // Whoever asked may have given up.
            drop(waiting.swap_remove(at).1.send(result));
        }
    }
}

/// Dials over TCP from one source address, and listens nowhere.
struct From(IpAddr);

impl Transport for From {
    type Output = Compat<tokio::net::TcpStream>;
    type Error = io::Error;
    type ListenerUpgrade = std::future::Pending<io::Result<Self::Output>>;
    type Dial = BoxFuture<'static, io::Result<Self::Output>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(to) = socket(&address) else { return Err(TransportError::MultiaddrNotSupported(address)) };
        let from = SocketAddr::new(self.0, 0);
        Ok(Box::pin(async move {
            let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind(from)?;
            let stream = socket.connect(to).await?;
            stream.set_nodelay(true)?;
            Ok(stream.compat())
        }))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

/// The socket of an address that is nothing but IP and TCP port, perhaps with a peer.
#[must_use]
pub fn socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}
