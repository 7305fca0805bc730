//! [`Standing`]: how a peer's conduct moves its gossip score, and when it is let go.
//!
//! Guarantees: about 50 tolerable, 10 annoying or 5 invalid acts in quick succession, or one proven fault, and a peer is let go for
//! an hour; praise never makes up for more than a few acts; what is past halves every 10 min. Deliberately not the requester's
//! reputation: that is about results, this is about the protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use station_protocol::{NodeId, PeerAction};
use tokio::time::Instant;

/// Peers remembered; when full, the one nearest to a clean record is forgotten.
pub(crate) const PEERS_MAX: usize = 4_096;
/// The score is kept within these.
pub(crate) const SCORE: (f64, f64) = (-1_000.0, 50.0);
/// At this score a peer is let go.
pub(crate) const LET_GO: f64 = -1_000.0;
/// How long it stays away.
pub(crate) const AWAY: Duration = Duration::from_secs(3_600);
pub(crate) const HALF_LIFE: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct Standing {
    peers: BTreeMap<NodeId, Entry>,
    /// Were away when they were forgotten, and may come back for that.
    forgotten: Vec<NodeId>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    score: f64,
    at: Instant,
    away_until: Option<Instant>,
}

/// What follows from an act.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Consequence {
    Score(f64),
    LetGo,
}

impl Entry {
    fn decayed(self, now: Instant) -> f64 {
        let halves = now.saturating_duration_since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.score * (-halves).exp2()
    }
}

/// What an act is worth.
pub(crate) fn points(action: PeerAction) -> f64 {
    match action {
        PeerAction::Useful => 1.0,
        PeerAction::Annoying => -105.0,
        PeerAction::Invalid => -210.0,
        PeerAction::Proven => -1_050.0,
        // Tolerable, and whatever later versions of the rules add below it.
        _ => -21.0,
    }
}

impl Standing {
    pub(crate) fn report(&mut self, node: NodeId, action: PeerAction, now: Instant) -> Consequence {
        let points = points(action);
        let before = self.peers.get(&node).map_or(0.0, |entry| entry.decayed(now));
        // Punished from zero: praise collected before must not pay for an attack.
        let base = if points < 0.0 { before.min(0.0) } else { before };
        let score = (base + points).clamp(SCORE.0, SCORE.1);
        // Who is away stays away: nothing that is reported meanwhile opens the door.
        let away_until = if score <= LET_GO { Some(now + AWAY) } else { self.peers.get(&node).and_then(|entry| entry.away_until) };
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&node) {
            self.forget_mildest(now);
        }
        self.peers.insert(node, Entry { score, at: now, away_until });
        if score <= LET_GO { Consequence::LetGo } else { Consequence::Score(score) }
    }

    /// `node` used more than its share and went on.
    pub(crate) fn overdrew(&mut self, node: NodeId, now: Instant) -> Consequence {
        self.report(node, PeerAction::Proven, now)
    }

    /// Peers that may come back now: their time is over, or they were forgotten for others who are away longer.
    pub(crate) fn forgiven(&mut self, now: Instant) -> Vec<NodeId> {
        let mut back = std::mem::take(&mut self.forgotten);
        for (node, entry) in &mut self.peers {
            if entry.away_until.is_some_and(|until| until <= now) {
                entry.away_until = None;
                back.push(*node);
            }
        }
        // Whoever was forgotten may have been let go again.
        back.retain(|node| self.peers.get(node).is_none_or(|entry| entry.away_until.is_none()));
        back
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.peers.values().filter_map(|entry| entry.away_until).min()
    }

    /// No one who is away, unless all are: then the one that would come back first.
    fn forget_mildest(&mut self, now: Instant) {
        let mildest = self
            .peers
            .iter()
            .filter(|(_, entry)| entry.away_until.is_none())
            .min_by(|(_, a), (_, b)| a.decayed(now).abs().total_cmp(&b.decayed(now).abs()))
            .or_else(|| self.peers.iter().min_by_key(|(_, entry)| entry.away_until));
        if let Some(node) = mildest.map(|(node, _)| *node)
            && self.peers.remove(&node).is_some_and(|entry| entry.away_until.is_some())
        {
            self.forgotten.push(node);
        }
    }
}
