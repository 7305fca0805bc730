//! [`Accounts`]: what strangers may cost this station, as budgets that refill with time.
//!
//! Guarantees: of each kind of [`Charge`] no payer, no cluster and not all strangers together ever pay more than their burst and what
//! time added; a charge that one of them cannot pay is paid by none of them; memory is bounded, and nobody is forgotten before his
//! budgets are whole again, so that being forgotten gives nothing; time that runs backwards gives nothing. Deliberately lacks the work
//! that is paid for, and the closing of connections: it says [`Over::let_go`], the caller does it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::cluster::Cluster;
use crate::gauge::Gauge;
use crate::identity::NodeId;
use crate::time::{SECOND, Time};

mod bucket;
mod patience;
pub mod places;
mod shares;
#[cfg(test)]
mod tests;
pub mod told;

pub use shares::{
    ACQUAINTED_TIMES, BOOTSTRAP_TIMES, CHARGES, CLUSTER_PAYERS_MAX, CLUSTERS_MAX, Charge, KNOWN_TIMES, MESSAGE, PAYERS_MAX, SHARED_HOST_TIMES,
    STRANGERS_MAX, Share, UNKNOWN_CALLS_PER_SECOND, over_quota,
};

use bucket::Bucket;
pub use patience::SUFFERED_MAX;
use patience::{Patience, Reached, Sufferance};

/// How often a full table is searched for payers that may be forgotten: a flood of new keys must not buy a search each.
const SWEEP_EVERY_MS: u64 = SECOND;

/// One machine as far as an address tells: an IPv4 address, or the /64 that any IPv6 machine may use all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Host {
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Whose work it is: a key where one has been proved, the machine before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Node(NodeId),
    Host(Host),
}

/// What this station has to do with a payer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acquaintance {
    /// A key that costs nothing.
    #[default]
    Stranger,
    /// An address of a network of few machines, which many stations share: loopback, or a private one where the network allows them.
    SharedHost,
    /// This station dialled it to be its neighbour. It has a stranger's share, and not out of what strangers have: those who come by
    /// themselves must not be able to drown those it chose.
    Neighbour,
    /// It did work that was held, or this station did for it.
    Known,
    /// The operator named it.
    Bootstrap,
}

impl Acquaintance {
    /// How many strangers' shares it has.
    const fn times(self) -> u64 {
        match self {
            Self::Stranger | Self::Neighbour => 1,
            Self::SharedHost => SHARED_HOST_TIMES,
            Self::Known => KNOWN_TIMES,
            Self::Bootstrap => BOOTSTRAP_TIMES,
        }
    }

    /// Whether it pays out of what all strangers have together.
    const fn is_strange(self) -> bool {
        matches!(self, Self::Stranger | Self::SharedHost)
    }
}

/// Who is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    pub who: Who,
    /// Nothing where a network of few machines has none.
    pub cluster: Option<Cluster>,
    pub acquaintance: Acquaintance,
}

impl Payer {
    /// The owner of a key, seen in `cluster`.
    #[must_use]
    pub const fn node(node: NodeId, cluster: Option<Cluster>, acquaintance: Acquaintance) -> Self {
        Self { who: Who::Node(node), cluster, acquaintance }
    }

    /// The machine at `ip`, before any key is proved.
    #[must_use]
    pub fn host(ip: IpAddr, cluster: Option<Cluster>, acquaintance: Acquaintance) -> Self {
        Self { who: Who::Host(Host::of(ip)), cluster, acquaintance }
    }
}

/// Which budget could not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The payer's own.
    Payer,
    /// Its cluster's.
    Cluster,
    /// That of all strangers together.
    Strangers,
    /// That of all who are no strangers together.
    Acquainted,
}

/// The charge is not paid, and the work is not to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the share of {charge:?} ({scope:?})")]
pub struct Over {
    pub charge: Charge,
    pub scope: Scope,
    /// The payer goes on although it is refused, by more than its own whole share: its connections are to be closed. Never
    /// said of a charge that closes nothing ([`Charge::closes`]).
    pub let_go: bool,
}

/// What happened so far to one kind of charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figure {
    /// Units paid, without what was given back.
    pub charged: u64,
    /// Units refused.
    pub refused: u64,
    /// How often a payer's patience ended, so that it was to be let go.
    pub let_go: u64,
}

/// The budgets of one payer, one cluster or one crowd, one for each kind of charge. What was never used is whole.
#[derive(Clone, Debug, Default)]
struct Purse {
    budgets: BTreeMap<Charge, Bucket>,
    /// Of one payer; not used where several share the purse.
    patience: Patience,
    /// The share it had last.
    times: u64,
}

impl Purse {
    fn can_pay(&mut self, charge: Charge, share: Share, amount: u64, now: Time) -> bool {
        self.budgets.entry(charge).or_insert_with(|| Bucket::full(share, now)).has(share, amount, now)
    }

    /// After [`Purse::can_pay`].
    fn pay(&mut self, charge: Charge, amount: u64) {
        if let Some(bucket) = self.budgets.get_mut(&charge) {
            bucket.take(amount);
        }
    }

    /// Drops what is whole again. Whether nothing is left to be remembered.
    fn is_whole(&mut self, share: impl Fn(Charge) -> Share, now: Time) -> bool {
        self.budgets.retain(|charge, bucket| !bucket.is_full(share(*charge), now));
        self.patience.is_whole(now) && self.budgets.is_empty()
    }
}

/// What one cluster has used, and how many of its payers are remembered by name.
#[derive(Clone, Debug, Default)]
struct Neighbourhood {
    purse: Purse,
    named: usize,
    /// What those of its payers have together that are not remembered by name.
    crowd: Purse,
}

/// The payer as it is remembered.
#[derive(Clone, Debug)]
struct Remembered {
    purse: Purse,
    strange: bool,
    cluster: Option<Cluster>,
}

/// Whose budget a payer uses.
#[derive(Clone, Copy, Debug)]
enum Own {
    Named,
    /// Its cluster has too many: together with them.
    Crowd(Cluster),
    /// The whole table is full: together with all strangers who find it so.
    Overflow,
    /// The same, with those who are no strangers.
    Acquainted,
}

/// All budgets of a station. Where several exist, each has kinds of its own, or foresees what another will be charged.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    payers: BTreeMap<Who, Remembered>,
    clusters: BTreeMap<Cluster, Neighbourhood>,
    /// Of the payers.
    strange: usize,
    /// Payers, acquainted ones, and clusters, that found the tables full.
    overflow: Purse,
    overflow_acquainted: Purse,
    overflow_clusters: Purse,
    strangers: Purse,
    acquainted: Purse,
    sufferance: Sufferance,
    figures: BTreeMap<Charge, Figure>,
    swept_at: Option<Time>,
}

impl Accounts {
    /// Pays `amount` units before the work is done.
    pub fn charge(&mut self, payer: &Payer, charge: Charge, amount: u64, now: Time) -> Result<(), Over> {
        let own = self.find(payer, now);
        let own_share = charge.payer().times(payer.acquaintance.times());
        let scope = self.refusing(payer, own, charge, own_share, amount, now);
        let figure = self.figures.entry(charge).or_default();
        let Some(scope) = scope else {
            figure.charged = figure.charged.saturating_add(amount);
            self.own_purse(payer, own).pay(charge, amount);
            if payer.acquaintance.is_strange() {
                if let Some(cluster) = payer.cluster {
                    self.cluster_purse(cluster).pay(charge, amount);
                }
                self.strangers.pay(charge, amount);
            } else {
                self.acquainted.pay(charge, amount);
            }
            return Ok(());
        };
        figure.refused = figure.refused.saturating_add(amount);
        let patience = self.bear(payer, own, charge, own_share, amount, now);
        let figure = self.figures.entry(charge).or_default();
        figure.let_go = figure.let_go.saturating_add(u64::from(patience == Reached::Now));
        Err(Over { charge, scope, let_go: patience != Reached::NotYet })
    }

    /// Whether `amount` could be paid now. Takes nothing, and no refusal is counted.
    pub fn could_pay(&mut self, payer: &Payer, charge: Charge, amount: u64, now: Time) -> bool {
        let own = self.find(payer, now);
        self.refusing(payer, own, charge, charge.payer().times(payer.acquaintance.times()), amount, now).is_none()
    }

    /// What was paid for and not used comes back. No more than was paid, which is the caller's word: no budget rises above its burst.
    pub fn give_back(&mut self, payer: &Payer, charge: Charge, amount: u64, now: Time) {
        self.settle(payer, charge, now, |bucket, share| bucket.give(share, amount));
        let figure = self.figures.entry(charge).or_default();
        figure.charged = figure.charged.saturating_sub(amount);
    }

    /// What turned out to cost more than was paid for. Budgets go below zero, by their burst at most.
    pub fn owe(&mut self, payer: &Payer, charge: Charge, amount: u64, now: Time) {
        self.settle(payer, charge, now, |bucket, share| bucket.owe(share, amount));
        let figure = self.figures.entry(charge).or_default();
        figure.charged = figure.charged.saturating_add(amount);
    }

    /// What happened to `charge` so far.
    #[must_use]
    pub fn figure(&self, charge: Charge) -> Figure {
        self.figures.get(&charge).copied().unwrap_or_default()
    }

    /// What happened so far, kind by kind.
    pub fn figures(&self) -> impl Iterator<Item = (Charge, Figure)> {
        CHARGES.into_iter().map(|charge| (charge, self.figure(charge)))
    }

    /// How full the tables are.
    #[must_use]
    pub fn gauges(&self) -> [Gauge; 3] {
        [
            Gauge::new("payers with an account", self.payers.len(), PAYERS_MAX),
            Gauge::new("clusters with an account", self.clusters.len(), CLUSTERS_MAX),
            Gauge::new("refused payers without an account", self.sufferance.len(), SUFFERED_MAX),
        ]
    }

    /// The first budget that cannot pay.
    fn refusing(&mut self, payer: &Payer, own: Own, charge: Charge, own_share: Share, amount: u64, now: Time) -> Option<Scope> {
        if !self.own_purse(payer, own).can_pay(charge, own_share, amount, now) {
            return Some(Scope::Payer);
        }
        if !payer.acquaintance.is_strange() {
            let share = charge.strangers().times(ACQUAINTED_TIMES);
            return (!self.acquainted.can_pay(charge, share, amount, now)).then_some(Scope::Acquainted);
        }
        if let Some(cluster) = payer.cluster
            && !self.cluster_purse(cluster).can_pay(charge, charge.cluster(), amount, now)
        {
            return Some(Scope::Cluster);
        }
        (!self.strangers.can_pay(charge, charge.strangers(), amount, now)).then_some(Scope::Strangers)
    }

    /// The patience with a payer that is refused is its own, also where its purse is not.
    fn bear(&mut self, payer: &Payer, own: Own, charge: Charge, share: Share, amount: u64, now: Time) -> Reached {
        if !charge.closes() {
            return Reached::NotYet;
        }
        match own {
            Own::Named => self.own_purse(payer, own).patience.bear(charge, share, amount, now),
            Own::Crowd(_) | Own::Overflow | Own::Acquainted => self.sufferance.bear(payer.who, charge, share, amount, now),
        }
    }

    fn settle(&mut self, payer: &Payer, charge: Charge, now: Time, change: impl Fn(&mut Bucket, Share)) {
        let own = self.find(payer, now);
        let own_share = charge.payer().times(payer.acquaintance.times());
        let apply = |purse: &mut Purse, share: Share| {
            let bucket = purse.budgets.entry(charge).or_insert_with(|| Bucket::full(share, now));
            bucket.rise(share, now);
            change(bucket, share);
        };
        apply(self.own_purse(payer, own), own_share);
        if !payer.acquaintance.is_strange() {
            apply(&mut self.acquainted, charge.strangers().times(ACQUAINTED_TIMES));
            return;
        }
        if let Some(cluster) = payer.cluster {
            apply(self.cluster_purse(cluster), charge.cluster());
        }
        apply(&mut self.strangers, charge.strangers());
    }

    fn own_purse(&mut self, payer: &Payer, own: Own) -> &mut Purse {
        match own {
            Own::Named => match self.payers.get_mut(&payer.who) {
                Some(known) => &mut known.purse,
                None => &mut self.overflow,
            },
            Own::Crowd(cluster) => match self.clusters.get_mut(&cluster) {
                Some(known) => &mut known.crowd,
                None => &mut self.overflow,
            },
            Own::Overflow => &mut self.overflow,
            Own::Acquainted => &mut self.overflow_acquainted,
        }
    }

    fn cluster_purse(&mut self, cluster: Cluster) -> &mut Purse {
        match self.clusters.get_mut(&cluster) {
            Some(known) => &mut known.purse,
            None => &mut self.overflow_clusters,
        }
    }

    /// Whose budget `payer` uses; remembers it and its cluster where there is room.
    fn find(&mut self, payer: &Payer, now: Time) -> Own {
        let strange = payer.acquaintance.is_strange();
        let cluster = payer.cluster.filter(|_| strange);
        let (new, new_cluster) = (!self.payers.contains_key(&payer.who), cluster.is_some_and(|cluster| !self.clusters.contains_key(&cluster)));
        if (new && self.is_full(strange)) || (new_cluster && self.clusters.len() >= CLUSTERS_MAX) {
            self.sweep(now);
        }
        if let Some(cluster) = cluster.filter(|_| new_cluster && self.clusters.len() < CLUSTERS_MAX) {
            self.clusters.insert(cluster, Neighbourhood::default());
        }
        if let Some(known) = self.payers.get_mut(&payer.who) {
            known.purse.times = payer.acquaintance.times();
            return Own::Named;
        }
        if let Some(cluster) = cluster.filter(|cluster| self.clusters.get(cluster).is_some_and(|known| known.named >= CLUSTER_PAYERS_MAX)) {
            return Own::Crowd(cluster);
        }
        if self.is_full(strange) {
            return if strange { Own::Overflow } else { Own::Acquainted };
        }
        // A cluster that is not remembered has no count of its payers.
        let cluster = cluster.filter(|cluster| self.clusters.contains_key(cluster));
        if let Some(neighbourhood) = cluster.and_then(|cluster| self.clusters.get_mut(&cluster)) {
            neighbourhood.named += 1;
        }
        self.strange += usize::from(strange);
        let purse = Purse { times: payer.acquaintance.times(), ..Purse::default() };
        self.payers.insert(payer.who, Remembered { purse, strange, cluster });
        Own::Named
    }

    fn is_full(&self, strange: bool) -> bool {
        self.payers.len() >= PAYERS_MAX || (strange && self.strange >= STRANGERS_MAX)
    }

    /// Forgets those whose budgets are whole again: they would begin with the same.
    fn sweep(&mut self, now: Time) {
        if self.swept_at.is_some_and(|at| now.since(at) < SWEEP_EVERY_MS) {
            return;
        }
        self.swept_at = Some(now);
        self.sufferance.sweep(now);
        let (clusters, strange) = (&mut self.clusters, &mut self.strange);
        self.payers.retain(|_, known| {
            let times = known.purse.times;
            let whole = known.purse.is_whole(|charge| charge.payer().times(times), now);
            *strange -= usize::from(whole && known.strange);
            if let Some(neighbourhood) = known.cluster.filter(|_| whole).and_then(|cluster| clusters.get_mut(&cluster)) {
                neighbourhood.named -= 1;
            }
            !whole
        });
        clusters.retain(|_, known| {
            let whole = known.purse.is_whole(Charge::cluster, now) & known.crowd.is_whole(Charge::payer, now);
            !whole || known.named > 0
        });
    }
}
