//! Claims: who takes part, and who is told to wait or go.
//!
//! Guarantees: every refusal is signed and has a reason; nobody gets in whom the sample leaves out; the window before the first job is
//! drawn with randomness that the Log opens; the number of claimants is bounded. Deliberately lacks identity checks: the connection
//! proves who asks.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::records::{Tag, key};
use super::run::{Claimant, Run, Window};
use super::{Effect, Note, Peer};
use crate::cluster::Cluster;
use crate::content::sha256;
use crate::durable::Ticket;
use crate::experiment::{Class, Experiment};
use crate::identity::NodeId;
use crate::sampling;
use crate::time::{SECOND, Time};
use crate::work::{Claim, ClaimRefused, Refusal, Response};

/// How long claims are collected when more are expected than there are seats.
pub(super) const WINDOW_MS: u64 = 2 * SECOND;
/// From so many stations on, more claimants than seats are expected.
pub(super) const WINDOW_STATIONS: u64 = 64;
/// Clusters that claimed per wanted one, which close the window early.
pub(super) const WINDOW_CLAIMS: u64 = 4;
/// Claimants kept although not wanted yet, so that a lost lease is dealt anew without a new Call.
pub(super) const SPARES: u64 = 32;
/// Claimants in memory, and as many claims in a window: more than any experiment wants at once. Each takes at most 32 KiB, were every value of
/// 2 KiB of labels asked for: 16 KiB of labels, 256 unread verdicts of 24 bytes, 256 numbers of leases. A verdict is in memory once, whoever
/// has not read it, and is not counted here. An experiment that asks for no labels keeps 200 bytes of them. So the claimants of one experiment
/// take 64 MiB at most, and the claims of its window, which have no verdicts and no leases, 32 MiB more until it closes.
pub(super) const CLAIMANTS_MAX: usize = 2_048;
/// Claims of one cluster in a window: of them one is drawn at the most, and a /24 full of keys must leave room for others.
pub(super) const WINDOW_PER_CLUSTER_MAX: usize = 16;
/// First pause of a station without work; doubled up to [`IDLE_MS_MAX`].
const IDLE_MS: u64 = 50;
/// Longest pause of a station that may get work at any moment.
const IDLE_MS_MAX: u64 = 1_000;
/// Pause that goes with `Busy`.
pub(super) const BUSY_MS: u32 = 10_000;

/// A signed no.
pub(super) fn refuse(cx: &mut Context, ask: Ticket, experiment: cid::Cid, node: NodeId, reason: ClaimRefused, seq: u64) {
    let refusal = cx.key.sign(&cx.config.network, Refusal { experiment, node, reason, seq });
    cx.answer(ask, Response::Refused(refusal));
    cx.note(Note::Refused { experiment, node, reason });
}

impl Run {
    pub(super) fn claim(&mut self, cx: &mut Context, ask: Ticket, from: Peer, claim: &Claim, now: Time) {
        if from.cluster == Cluster::Private {
            self.explanation.unplaced += 1;
            if self.explanation.unplaced == 1 {
                cx.note(Note::Unplaced { experiment: self.id, node: from.node });
            }
        }
        match self.admit(cx, from, claim, now) {
            Ok(None) => {}
            Ok(Some(wait_ms)) => return cx.act(Effect::Answer { ask, response: Response::Wait { ms: wait_ms } }),
            Err(reason) => {
                self.turned_away |= reason.ends_with_a_higher_seq();
                *self.explanation.refusals.entry(reason).or_default() += 1;
                return refuse(cx, ask, self.id, from.node, reason, self.seq);
            }
        }
        match self.leases_for(cx, from.node, claim.free, &claim.holding, now) {
            Ok(leases) => {
                let signed = cx.key.sign(&cx.config.network, leases);
                cx.answer(ask, Response::Leases(signed));
            }
            Err(None) => {
                let ms = self.idle_ms(from.node, now);
                cx.act(Effect::Answer { ask, response: Response::Wait { ms } });
            }
            Err(Some(reason)) => {
                *self.explanation.refusals.entry(reason).or_default() += 1;
                refuse(cx, ask, self.id, from.node, reason, self.seq);
            }
        }
    }

    /// Takes the station in, or says how long to wait, or why not.
    fn admit(&mut self, cx: &mut Context, from: Peer, claim: &Claim, now: Time) -> Result<Option<u32>, ClaimRefused> {
        let asked = self.asks(from);
        check(&self.experiment.body, claim)?;
        if let Some(claimant) = self.claimants.get_mut(&from.node) {
            claimant.seen = now;
            claimant.is_relayed = from.is_relayed;
            claimant.capacity = claim.capacity.max(1);
            // Its labels stay those of its first claim: nobody chooses the stratum of a verdict late.
            if claimant.outstanding.is_empty() && claimant.cluster != from.cluster {
                if !asked {
                    return Err(ClaimRefused::NotSampled);
                }
                claimant.cluster = from.cluster;
                claimant.done = 0;
                claimant.recorded = false;
            }
            return Ok(None);
        }
        if cx.world(now) >= self.experiment.body.deadline {
            return Err(ClaimRefused::Closed);
        }
        if !asked {
            return Err(ClaimRefused::NotSampled);
        }
        if let Some(wait) = self.draw(cx, from, claim, now)? {
            return Ok(Some(wait));
        }
        if self.claimants.contains_key(&from.node) {
            return Ok(None);
        }
        // Where a draw was needed, those who lost it must not fill the seats as spares.
        let enough = if matches!(self.window, Window::Drawn { .. }) { self.seats() } else { (2 * self.wanted()).max(SPARES) };
        if self.active_clusters(now) >= enough && !self.lacks_others(now) {
            return Err(ClaimRefused::Enough);
        }
        if self.claimants.len() >= CLAIMANTS_MAX {
            self.make_room(cx, from.cluster, now)?;
        }
        self.claimants.insert(from.node, self.newcomer(from, claim, now));
        self.explanation.claimants += 1;
        self.takes_part(from.node);
        cx.note(Note::Claimed { experiment: self.id, node: from.node });
        Ok(None)
    }

    fn newcomer(&self, from: Peer, claim: &Claim, now: Time) -> Claimant {
        Claimant::new(from, claim.labels.of_interest(&self.experiment.body.labels), claim.capacity.max(1), now)
    }

    /// Forgets a claimant for one of the cluster `of`: one that is not heard from any more, else the idlest of the largest cluster. Not an active
    /// one when that cluster is `of` itself: keys of one network must not push out each other for ever. One with leases only where its cluster
    /// has others, so that a network full of keys cannot keep all places; what it has leased it may still deliver.
    pub(super) fn make_room(&mut self, cx: &mut Context, of: Cluster, now: Time) -> Result<(), ClaimRefused> {
        let mut clusters: BTreeMap<Cluster, usize> = BTreeMap::new();
        self.claimants.values().for_each(|claimant| *clusters.entry(claimant.cluster).or_default() += 1);
        let size = |cluster: &Cluster| clusters.get(cluster).copied().unwrap_or(0);
        let (own, most) = (size(&of), clusters.values().copied().max().unwrap_or(0));
        let is_largest = own > 0 && own >= most;
        let may_go = |claimant: &Claimant| match (claimant.is_active(now), is_largest) {
            (false, true) => claimant.cluster == of,
            (false, false) => true,
            (true, largest) => !largest && size(&claimant.cluster) == most && (most > 1 || claimant.outstanding.is_empty()),
        };
        let idleness = |claimant: &Claimant| {
            let order = (claimant.is_active(now), std::cmp::Reverse(size(&claimant.cluster)));
            (order, claimant.outstanding.len(), claimant.held, claimant.seen)
        };
        let idlest = self.claimants.iter().filter(|(_, claimant)| may_go(claimant)).min_by_key(|(_, claimant)| idleness(claimant));
        let full = if is_largest { ClaimRefused::ClusterTaken } else { ClaimRefused::Busy };
        let idlest = idlest.map(|(node, _)| *node).ok_or(full)?;
        self.claimants.remove(&idlest);
        cx.delete(key(Tag::Node, &self.id, &idlest.0));
        Ok(())
    }

    /// Whether the sample includes the cluster that `from` is seen in. This station's own jobs are always its own. Who comes through a
    /// relay is asked only where everybody is: anybody may be seen at other people's relays, and would choose those that the sample includes.
    fn asks(&self, from: Peer) -> bool {
        let by = sampling::sampled_by(from.node, from.cluster);
        let is_sampled = !from.is_relayed && sampling::is_sampled(&self.id, &by, self.claim_below);
        from.node == self.experiment.body.requester || self.claim_below == u64::MAX || is_sampled
    }

    /// The claim window. `Some` is how long to wait for the draw.
    fn draw(&mut self, cx: &mut Context, from: Peer, claim: &Claim, now: Time) -> Result<Option<u32>, ClaimRefused> {
        let wants_window = self.stations(cx).unwrap_or(1) >= WINDOW_STATIONS && !self.is_own_pure(from.node);
        if matches!(self.window, Window::Unopened) && wants_window && self.next_lease == 0 {
            self.window = Window::Collecting { closes: now.plus(WINDOW_MS), claims: BTreeMap::new() };
        }
        let (enough, newcomer) = (self.wanted().saturating_mul(WINDOW_CLAIMS), self.newcomer(from, claim, now));
        if let Window::Collecting { closes, claims } = &mut self.window {
            let closes = *closes;
            let of_cluster = claims.values().filter(|claimant| claimant.cluster == from.cluster).count();
            if claims.len() < CLAIMANTS_MAX && of_cluster < WINDOW_PER_CLUSTER_MAX {
                claims.entry(from.node).or_insert(newcomer);
            }
            let clusters: BTreeSet<Cluster> = claims.values().map(|claimant| claimant.cluster).collect();
            // When its time is over it is closed before anything is handled.
            if (clusters.len() as u64) < enough {
                return Ok(Some(wait_ms(closes.since(now))));
            }
            self.close_window(cx, now);
        }
        match &self.window {
            Window::Drawn { not_drawn } if not_drawn.contains(&from.node) => Err(ClaimRefused::NotDrawn),
            _ => Ok(None),
        }
    }

    /// Whether `node` is this station itself, which need not wait for others with its own pure jobs.
    fn is_own_pure(&self, node: NodeId) -> bool {
        node == self.experiment.body.requester && matches!(self.experiment.body.class, Class::Pure(_))
    }

    /// How many clusters a draw lets in. Of a small pure experiment as many as have something to do, up to the spares that others keep: all
    /// at once are done sooner than a few one after the other. A measurement takes those it wants, for each of them is a vantage point.
    fn seats(&self) -> u64 {
        match self.experiment.body.class {
            Class::Measurement(_) => self.wanted(),
            _ => (self.unleased() + self.leases.len() as u64).min(SPARES).max(self.wanted()),
        }
    }

    /// Draws as many clusters as have seats from the claims of the window: draw `k` takes the cluster at HMAC(secret, k), and of its
    /// stations the one at the same fraction. Many keys are drawn no sooner than one.
    pub(super) fn close_window(&mut self, cx: &mut Context, now: Time) {
        let drawn = Window::Drawn { not_drawn: BTreeSet::new() };
        let Window::Collecting { claims, .. } = std::mem::replace(&mut self.window, drawn) else { return };
        let mut not_drawn: BTreeSet<NodeId> = claims.keys().copied().collect();
        let mut left: BTreeMap<Cluster, Vec<(NodeId, Claimant)>> = BTreeMap::new();
        for (node, claimant) in claims {
            left.entry(claimant.cluster).or_default().push((node, claimant));
        }
        let mut left: Vec<Vec<(NodeId, Claimant)>> = left.into_values().collect();
        for k in 0..self.seats().min(left.len() as u64) {
            let place = |count: usize| usize::try_from(draw(&self.secret.0, k, count as u64)).unwrap_or(0);
            let mut stations = left.swap_remove(place(left.len()));
            let (node, mut claimant) = stations.swap_remove(place(stations.len()));
            // Those who claimed before there was a window may have filled the table.
            if self.claimants.len() >= CLAIMANTS_MAX && self.make_room(cx, claimant.cluster, now).is_err() {
                continue;
            }
            not_drawn.remove(&node);
            claimant.seen = now;
            self.claimants.insert(node, claimant);
            self.explanation.claimants += 1;
            self.takes_part(node);
            cx.note(Note::Claimed { experiment: self.id, node });
        }
        self.window = Window::Drawn { not_drawn };
    }

    /// How long a station without work waits: short at first, so that jobs that come back are picked up at once.
    pub(super) fn idle_ms(&mut self, node: NodeId, now: Time) -> u32 {
        let Some(claimant) = self.claimants.get_mut(&node) else { return BUSY_MS };
        let paused_until = claimant.paused_until.max(self.losers.paused_until(claimant));
        let ms = (IDLE_MS << claimant.idle.min(10)).min(IDLE_MS_MAX).max(paused_until.since(now));
        claimant.idle = claimant.idle.saturating_add(1);
        wait_ms(ms)
    }
}

/// `ms` within what a Wait may say.
pub(super) fn wait_ms(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX).clamp(*crate::work::WAIT_MS.start(), *crate::work::WAIT_MS.end())
}

fn check(experiment: &Experiment, claim: &Claim) -> Result<(), ClaimRefused> {
    if !claim.profiles.contains(&experiment.profile) {
        return Err(ClaimRefused::Profile);
    }
    if claim.labels.carry(&experiment.labels) { Ok(()) } else { Err(ClaimRefused::Labels) }
}

/// Draw `k` among `count`: HMAC-SHA256(secret, k) as a fraction of 2⁶⁴.
pub(super) fn draw(secret: &[u8; 32], k: u64, count: u64) -> u64 {
    let mac = hmac(secret, &k.to_be_bytes());
    let fraction = mac.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    u64::try_from((u128::from(fraction) * u128::from(count)) >> 64).unwrap_or(0)
}

/// HMAC-SHA256 (RFC 2104) with a key of 32 bytes.
pub(super) fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let (mut inner, mut outer) = ([0x36_u8; BLOCK], [0x5c_u8; BLOCK]);
    for (at, byte) in key.iter().enumerate() {
        inner[at] ^= byte;
        outer[at] ^= byte;
    }
    sha256(&[&outer, &sha256(&[&inner, message])])
}
