//! Floods of what every libp2p peer serves: identify, ping and the DHT.

use futures::AsyncReadExt as _;

use super::{Flood, Flooded, STALLED};
use crate::conduct::say;
use crate::key::sha256;
use crate::peer::Stranger;
use crate::protobuf;
use crate::world::{NETWORK, World};

/// Questions of the DHT on one stream before the next.
const ON_A_STREAM: u64 = 1_000;

pub(super) async fn flood(world: &World, stranger: &Stranger, flood: Flood, number: u64, done: &mut Flooded) {
    let protocol = match flood {
        Flood::Pushes => "/ipfs/id/push/1.0.0".to_owned(),
        Flood::Identities => "/ipfs/id/1.0.0".to_owned(),
        Flood::Pings => "/ipfs/ping/1.0.0".to_owned(),
        _ => format!("/station/{NETWORK}/1/kad"),
    };
    for round in 0.. {
        // A stream that is refused is tried again while the connection is there.
        let Ok(mut stream) = stranger.open(world.peer, &protocol).await else {
            if stranger.open_connections() == 0 {
                return;
            }
            continue;
        };
        let on_this = if matches!(flood, Flood::Pushes | Flood::Identities) { 1 } else { ON_A_STREAM };
        for at in 0..on_this {
            let frame = frame(stranger, flood, number << 40 | round << 20 | at);
            if !matches!(tokio::time::timeout(STALLED, say(&mut stream, &frame)).await, Ok(Ok(()))) {
                break;
            }
            done.sent += 1;
            done.bytes += frame.len() as u64;
            // An announcement has no answer; a push ends with its stream.
            let answer = async {
                match flood {
                    Flood::Pings => stream.read_exact(&mut [0; 32]).await.is_ok(),
                    // It is over when the other end lets go: a stream that is dropped sooner may take the frame with it.
                    Flood::Pushes => stream.read_exact(&mut [0]).await.is_err(),
                    Flood::Lookups | Flood::Identities => protobuf::read(&mut stream, 1 << 20).await.is_ok(),
                    _ => true,
                }
            };
            if !tokio::time::timeout(STALLED, answer).await.unwrap_or(false) {
                break;
            }
        }
        if stranger.open_connections() == 0 {
            return;
        }
    }
}

fn frame(stranger: &Stranger, flood: Flood, unique: u64) -> Vec<u8> {
    let random = sha256(&[b"service", &unique.to_be_bytes()]);
    match flood {
        Flood::Pings => random.to_vec(),
        // Whoever opens the stream asks.
        Flood::Identities => Vec::new(),
        Flood::Pushes => {
            let address = |at: u8| vec![4, 45, 70, random[0], at, 6, 18, 102];
            let protocols: Vec<String> = (0..100).map(|at| format!("/stranger/{unique}/{at}")).collect();
            protobuf::identify(&stranger.key.node(), NETWORK, &(0..100).map(address).collect::<Vec<_>>(), &[], &protocols)
        }
        Flood::Lookups => message(4, &random, None),
        _ => message(2, &[&[0x12, 32], random.as_slice()].concat(), Some(&stranger.key.peer().to_bytes())),
    }
}

/// A message of the DHT: its kind, its key, and who provides.
fn message(kind: u64, key: &[u8], provider: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    protobuf::number(1, kind, &mut out);
    protobuf::bytes(2, key, &mut out);
    if let Some(provider) = provider {
        let mut peer = Vec::new();
        protobuf::bytes(1, provider, &mut peer);
        protobuf::bytes(2, &[4, 45, 66, 6, 1, 6, 18, 102], &mut peer);
        protobuf::bytes(9, &peer, &mut out);
    }
    protobuf::frame(&out)
}
