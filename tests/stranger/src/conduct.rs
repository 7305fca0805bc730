//! What a [`Stranger`] says to a station: requests it makes, and services that it pretends to have.
//!
//! Guarantees: each service is a task that ends with its value. Deliberately lacks decisions: what is answered is a function that an
//! attack gives.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::{PeerId, Stream};
use tokio::task::JoinHandle;

use crate::cbor::{self, Value, map, text};
use crate::key::sha256;
use crate::peer::Stranger;
use crate::protobuf;

/// A task that ends with this value.
#[derive(Debug)]
pub struct Service(JoinHandle<()>);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How a question is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Say(Value),
    /// Nothing, and the stream stays open.
    Silence,
    /// Half of a frame, and the stream stays open.
    Half,
    /// The stream ends.
    Reset,
}

/// Largest frame that is read.
const FRAME_MAX: usize = 4 << 20;

impl Stranger {
    fn protocol(&self, what: &str) -> String {
        format!("/station/{}/1/{what}", self.key.network())
    }

    /// The topic as gossip names it.
    #[must_use]
    pub fn gossip_topic(&self, topic: &str) -> String {
        format!("/station/{}/1/calls/{topic}", self.key.network())
    }

    /// Asks over `work`, and gives what came back.
    pub async fn ask(&self, peer: PeerId, request: &Value) -> io::Result<Value> {
        let mut stream = self.open(peer, &self.protocol("work")).await?;
        write_frame(&mut stream, &request.encode()).await?;
        read_frame(&mut stream).await
    }

    /// Opens a `work` stream and writes a frame's announcement and half of it.
    pub async fn ask_by_halves(&self, peer: PeerId, announced: u32, sent: &[u8]) -> io::Result<Stream> {
        let mut stream = self.open(peer, &self.protocol("work")).await?;
        stream.write_all(&announced.to_be_bytes()).await?;
        stream.write_all(sent).await?;
        stream.flush().await?;
        Ok(stream)
    }

    /// Asks for content: the stream after the provider's first byte, and that byte.
    pub async fn ask_car(&self, peer: PeerId, root: &[u8], max_bytes: u64) -> io::Result<(u8, Stream)> {
        let mut stream = self.open(peer, &self.protocol("car")).await?;
        let request = map([("root", Value::Link(root.to_vec())), ("scope", text("all")), ("max_bytes", Value::Uint(max_bytes))]);
        stream.write_all(&protobuf::frame(&request.encode())).await?;
        stream.flush().await?;
        let mut status = [0];
        stream.read_exact(&mut status).await?;
        Ok((status[0], stream))
    }

    /// Answers `work` questions by `answer`, which is told who asks what.
    pub fn serve_work(&self, answer: impl Fn(PeerId, &Value) -> Answer + Send + Sync + 'static) -> Service {
        let (mut incoming, answer) = (self.accept(&self.protocol("work")), Arc::new(answer));
        Service(tokio::spawn(async move {
            while let Some((peer, mut stream)) = incoming.next().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let Ok(question) = read_frame(&mut stream).await else { return };
                    match answer(peer, &question) {
                        Answer::Say(value) => drop(write_frame(&mut stream, &value.encode()).await),
                        Answer::Silence => std::future::pending::<()>().await,
                        Answer::Half => {
                            drop(stream.write_all(&[0, 16, 0, 0, 1, 2, 3]).await);
                            drop(stream.flush().await);
                            std::future::pending::<()>().await;
                        }
                        Answer::Reset => {}
                    }
                });
            }
        }))
    }

    /// Serves `car`: every request is answered with these bytes, the status byte among them.
    pub fn serve_car(&self, bytes: Vec<u8>) -> Service {
        let (mut incoming, bytes) = (self.accept(&self.protocol("car")), Arc::new(bytes));
        Service(tokio::spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let Ok(_) = protobuf::read(&mut stream, 256).await else { return };
                    drop(stream.write_all(&bytes).await);
                    drop(stream.close().await);
                });
            }
        }))
    }

    /// Serves `car` a byte at a time, one each `every`: within the pace that a fetcher asks for or below it.
    pub fn serve_car_slowly(&self, bytes: Vec<u8>, piece: usize, every: std::time::Duration) -> Service {
        let (mut incoming, bytes) = (self.accept(&self.protocol("car")), Arc::new(bytes));
        Service(tokio::spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let Ok(_) = protobuf::read(&mut stream, 256).await else { return };
                    for piece in bytes.chunks(piece) {
                        if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                            return;
                        }
                        tokio::time::sleep(every).await;
                    }
                });
            }
        }))
    }

    /// Says over identify that it listens at `listen`, sees the other at `observed`, and speaks everything.
    pub fn serve_identify(&self, listen: &[Vec<u8>], observed: &[u8]) -> Service {
        let mut incoming = self.accept("/ipfs/id/1.0.0");
        let mut protocols: Vec<String> = ["work", "car", "kad"].iter().map(|what| self.protocol(what)).collect();
        protocols.extend(["/meshsub/1.1.0", "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"].map(str::to_owned));
        let said = protobuf::identify(&self.key.node(), self.key.network(), listen, observed, &protocols);
        Service(tokio::spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                drop(stream.write_all(&said).await);
                drop(stream.close().await);
            }
        }))
    }

    /// Answers every question of the DHT with these peers, and keeps each stream for the next.
    pub fn serve_kad(&self, peers: Vec<(Vec<u8>, Vec<Vec<u8>>)>) -> Service {
        let (mut incoming, peers) = (self.accept(&self.protocol("kad")), Arc::new(peers));
        Service(tokio::spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                let peers = peers.clone();
                tokio::spawn(async move {
                    while let Ok(body) = protobuf::read(&mut stream, 64 << 10).await {
                        let fields = protobuf::fields(&body);
                        let kind = fields.iter().find(|(field, ..)| *field == 1).map_or(0, |(.., number)| *number);
                        let key = fields.iter().find(|(field, ..)| *field == 2).map_or(Vec::new(), |(_, key, _)| key.clone());
                        let answer = protobuf::closer_peers(kind, &key, &peers);
                        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                            return;
                        }
                    }
                });
            }
        }))
    }

    /// Takes gossip's streams and reads them away.
    pub fn hear_gossip(&self) -> Service {
        let mut incoming = self.accept("/meshsub/1.1.0");
        Service(tokio::spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                tokio::spawn(async move { while protobuf::read(&mut stream, 1 << 20).await.is_ok() {} });
            }
        }))
    }

    /// A gossip stream on which it has subscribed to `topic`: a topic peer now, as far as the station can tell.
    pub async fn gossip(&self, peer: PeerId, topic: &str) -> io::Result<Stream> {
        let mut stream = self.open(peer, "/meshsub/1.1.0").await?;
        say(&mut stream, &protobuf::subscriptions([self.gossip_topic(topic).as_str()])).await?;
        Ok(stream)
    }
}

/// Writes all of it.
pub async fn say(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Which question it is, and what stands in it.
#[must_use]
pub fn question(request: &Value) -> Option<(&str, &Value)> {
    match request {
        Value::Map(fields) => fields.first().map(|(kind, body)| (kind.as_str(), body)),
        _ => None,
    }
}

/// A frame of `work`: a big-endian length and that many bytes.
pub async fn write_frame(io: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> io::Result<()> {
    let mut frame = u32::try_from(body.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
    frame.extend(body);
    io.write_all(&frame).await?;
    io.flush().await
}

/// Reads a frame of `work`.
pub async fn read_frame(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Value> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > FRAME_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    cbor::decode(&body).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A CAR with one root: status byte, header, and each block behind its length.
#[must_use]
pub fn car(root: &[u8], blocks: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let header = map([("roots", Value::List(vec![Value::Link(root.to_vec())])), ("version", Value::Uint(1))]);
    let mut out = vec![0];
    out.extend(protobuf::frame(&header.encode()));
    for (cid, block) in blocks {
        out.extend(protobuf::frame(&[cid.as_slice(), block].concat()));
    }
    out
}

/// A UnixFS file of `links` links that all lead to one raw leaf: root block, and the size it declares.
#[must_use]
pub fn many_of_one(leaf: &[u8], links: usize) -> (Vec<u8>, u64) {
    let cid = crate::key::cid(crate::messages::RAW, leaf);
    let declared = leaf.len() as u64 * links as u64;
    let mut node = Vec::new();
    for _ in 0..links {
        let mut link = Vec::new();
        protobuf::bytes(1, &cid, &mut link);
        protobuf::bytes(2, b"", &mut link);
        protobuf::number(3, leaf.len() as u64, &mut link);
        protobuf::bytes(2, &link, &mut node);
    }
    let mut data = Vec::new();
    protobuf::number(1, 2, &mut data);
    protobuf::number(3, declared, &mut data);
    (0..links).for_each(|_| protobuf::number(4, leaf.len() as u64, &mut data));
    // DAG-PB writes links before data.
    protobuf::bytes(1, &data, &mut node);
    (node, declared)
}

/// Distinct nonsense that is CBOR: nine bytes, and no message of any version.
#[must_use]
pub fn nonsense(number: u64) -> [u8; 9] {
    let random = sha256(&[b"nonsense", &number.to_be_bytes()]);
    [0x48, random[0], random[1], random[2], random[3], random[4], random[5], random[6], random[7]]
}

/// What a node counts of each thing, for a handler that runs in many tasks.
pub type Tally = Arc<std::sync::Mutex<BTreeMap<String, u64>>>;

/// Counts one more of `what`.
pub fn tally(tally: &Tally, what: &str) -> u64 {
    let mut counts = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let count = counts.entry(what.to_owned()).or_default();
    *count += 1;
    *count
}
