//! [`Dials`]: which addresses are dialled on somebody's word, how often, and which are left alone.
//!
//! Guarantees: an address is dialled only where this network's reach allows it, for a while after the Call that named it ended at most, and
//! out of the budgets of whoever named it, of all strangers together and of the machine that is knocked at; these foresee what the
//! station's own account, through which every dial goes whatever door it came by, will be charged; where a node was not found it
//! is left alone for [`MUTE_MS`], and nobody else is. Deliberately lacks proof of who lives where: a connection is the proof.

use std::collections::BTreeMap;

use super::Worker;
use super::work::Work;
use crate::accounts::{Accounts, Acquaintance, Charge, Payer};
use crate::address::{Address, Endpoint, Reach, special};
use crate::bounded::List;
use crate::cluster::{Cluster, is_private};
use crate::experiment::ExperimentId;
use crate::gauge::Gauge;
use crate::identity::NodeId;
use crate::time::{HOUR, MINUTE, SECOND, Time};
use crate::work::At;

/// How long an address that did not lead to its node is left alone.
pub(super) const MUTE_MS: u64 = 10 * MINUTE;
/// Such addresses remembered: what all strangers' budgets let a station dial in that time, several times over.
const MUTED_MAX: usize = 4_096;
/// How long after its end a Call's addresses are dialled: whoever is there renews its Call, whoever is back publishes a new one, and for
/// what an ended Call names nobody knocks at a door for weeks.
pub(super) const DIAL_AFTER_CALL_MS: u64 = HOUR;
/// How soon budgets that were empty are looked at again: they give a dial in half a minute.
const POOR_MS: u64 = 30 * SECOND;
/// Lost questions in a row after which the addresses of somebody that work is done with are left alone.
pub(super) const FAILURES_MAX: u32 = 5;

#[derive(Debug, Default)]
pub(super) struct Dials {
    /// Where a node was not found, and until when it is not looked for there.
    muted: BTreeMap<(NodeId, Endpoint), Time>,
    /// What those who name addresses may cause. Foreseen, so that an address waits for its turn and is not taken for a dead one.
    named: Accounts,
    /// What one machine, and one network, may be knocked at.
    knocked: Accounts,
}

impl Dials {
    pub(super) fn sweep(&mut self, now: Time) {
        self.muted.retain(|_, until| *until > now);
    }

    pub(super) fn gauges(&self) -> impl Iterator<Item = Gauge> {
        let muted = Gauge::new("muted addresses", self.muted.len(), MUTED_MAX);
        [muted].into_iter().chain(self.named.gauges()).chain(self.knocked.gauges())
    }

    fn muted_until(&self, address: &Address) -> Time {
        self.muted.get(&(address.node(), address.endpoint())).copied().unwrap_or(Time(0))
    }

    /// Its node was not found at `address`. On a private network everybody restarts and shares a few addresses: those are never muted.
    pub(super) fn mute(&mut self, address: &Address, now: Time) {
        if is_private(address.ip()) {
            return;
        }
        if self.muted.len() >= MUTED_MAX
            && let Some(first) = self.muted.iter().min_by_key(|(_, until)| **until).map(|(place, _)| *place)
        {
            self.muted.remove(&first);
        }
        self.muted.insert((address.node(), address.endpoint()), now.plus(MUTE_MS));
        assert!(self.muted.len() <= MUTED_MAX, "muted addresses are bounded");
    }

    /// `node` said something new, or is here.
    pub(super) fn unmute(&mut self, node: &NodeId) {
        self.muted.retain(|(muted, _), _| muted != node);
    }

    /// Those of `at` that `payer` can pay for now, paid. `Err`: none before that time.
    pub(super) fn pay(&mut self, payer: &Payer, at: impl IntoIterator<Item = Address>, now: Time) -> Result<At, Time> {
        let mut paid = Vec::new();
        let mut again = now.plus(MUTE_MS);
        for address in at {
            let muted = self.muted_until(&address);
            if muted > now {
                again = again.min(muted);
            } else if self.named.charge(payer, Charge::Dials, 1, now).is_err() {
                again = again.min(now.plus(POOR_MS));
            } else if payer.acquaintance == Acquaintance::Stranger && self.knock(&address, now).is_err() {
                self.named.give_back(payer, Charge::Dials, 1, now);
                again = again.min(now.plus(POOR_MS));
            } else {
                paid.push(address);
            }
        }
        if paid.is_empty() { Err(again) } else { Ok(List::first(paid)) }
    }

    fn knock(&mut self, address: &Address, now: Time) -> Result<(), crate::accounts::Over> {
        let ip = address.ip();
        let host = match special::judge(ip) {
            Ok(()) => Payer::host(ip, Some(Cluster::of(address.node(), ip, None, Reach::Global)), Acquaintance::Stranger),
            Err(_) => Payer::host(ip, None, Acquaintance::SharedHost),
        };
        self.knocked.charge(&host, Charge::Knocks, 1, now)
    }
}

impl Worker {
    /// What this station has to do with `node`.
    pub(super) fn acquaintance(&self, node: &NodeId) -> Acquaintance {
        if *node == self.node || self.history.knows(node) { Acquaintance::Known } else { Acquaintance::Stranger }
    }

    pub(super) fn payer(&self, node: NodeId) -> Payer {
        Payer::node(node, None, self.acquaintance(&node))
    }

    /// Whether a question to `node` needs no dial.
    pub(super) fn is_here(&self, node: &NodeId) -> bool {
        *node == self.node || self.peers.is_connected(node)
    }

    /// The addresses at which the requester of `work` is to be asked now, those of `at`; `Err`: not before that time.
    pub(super) fn way(&mut self, id: &ExperimentId, at: At, now: Time) -> Result<At, Time> {
        let Some(work) = self.works.get(id) else { return Err(now.plus(MUTE_MS)) };
        let requester = work.requester();
        if self.is_here(&requester) || at.is_empty() {
            return Ok(at);
        }
        if work.dials_end() < self.world(now) {
            return Err(now.plus(MUTE_MS));
        }
        let payer = self.payer(requester);
        let reach = self.config.reach;
        self.dials.pay(&payer, at.into_iter().filter(|address| address.endpoint().is_dialable(reach)), now)
    }

    /// Nobody, or somebody else, was at the addresses of a question to `work`'s requester.
    pub(super) fn not_found(&mut self, id: &ExperimentId, dialled: &At, now: Time) {
        let Some(work) = self.works.get(id) else { return };
        let requester = work.requester();
        let idle = work.leases.is_empty() && work.outbox.is_empty() && !self.history.knows(&requester);
        if !self.is_here(&requester) && (idle || work.failures >= FAILURES_MAX) {
            dialled.iter().for_each(|address| self.dials.mute(address, now));
        }
    }
}

impl Work {
    /// Until when its addresses are dialled.
    fn dials_end(&self) -> Time {
        self.call.body.exp.plus(DIAL_AFTER_CALL_MS)
    }
}
