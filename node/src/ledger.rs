//! [`Ledger`]: the rules' [`Accounts`] with a clock, and what this station knows of whom it charges.
//!
//! Guarantees: one set of accounts for the network, for what is served and for what is compiled; who is connected is charged with its
//! cluster; bounded. Deliberately lacks the shares, which are the protocol's, and the letting go, which is the network's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use station_protocol::accounts::{Accounts, Acquaintance, Charge, Figure, Over, PAYERS_MAX, Payer, STRANGERS_MAX};
use station_protocol::address::Reach;
use station_protocol::cluster::{Cluster, is_private};
use station_protocol::gauge::Gauge;
use station_protocol::{NodeId, Time};
use station_sandbox::Purse;
use tokio::time::Instant;

/// Peers remembered for the work they did: as many as have room in the accounts beside strangers. The first to be forgotten is any.
const KNOWN_MAX: usize = PAYERS_MAX - STRANGERS_MAX;

/// Cheap to clone; clones share the accounts.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug)]
struct Books {
    accounts: Accounts,
    start: Instant,
    reach: Reach,
    /// Of those who are connected.
    clusters: BTreeMap<NodeId, Cluster>,
    bootstrap: BTreeSet<NodeId>,
    known: BTreeSet<NodeId>,
    /// Who lost that for its conduct.
    fallen: BTreeSet<NodeId>,
    chosen: BTreeSet<NodeId>,
}

impl Ledger {
    /// Of a network of this reach. No account is used; `bootstrap` are those whom the operator named.
    #[must_use]
    pub fn new(reach: Reach, bootstrap: impl IntoIterator<Item = NodeId>) -> Self {
        Self(Arc::new(Mutex::new(Books {
            accounts: Accounts::default(),
            start: Instant::now(),
            reach,
            clusters: BTreeMap::new(),
            bootstrap: bootstrap.into_iter().collect(),
            known: BTreeSet::new(),
            fallen: BTreeSet::new(),
            chosen: BTreeSet::new(),
        })))
    }

    /// `node` is connected, and seen in `cluster`.
    pub(crate) fn connected(&self, node: NodeId, cluster: Cluster) {
        self.lock().clusters.insert(node, cluster);
    }

    /// The last connection with `node` ended.
    pub(crate) fn disconnected(&self, node: &NodeId) {
        let mut books = self.lock();
        books.clusters.remove(node);
        books.chosen.remove(node);
    }

    /// This station dialled `node` to be its neighbour.
    pub(crate) fn chose(&self, node: NodeId) {
        let mut books = self.lock();
        if books.clusters.contains_key(&node) {
            books.chosen.insert(node);
        }
    }

    /// `node` did work that was held, or the reverse; or it lost that for its conduct.
    pub(crate) fn knows(&self, node: NodeId, known: bool) {
        let mut books = self.lock();
        if known {
            books.fallen.remove(&node);
            books.remember(node);
        } else {
            books.known.remove(&node);
            if books.fallen.insert(node) && books.fallen.len() > KNOWN_MAX {
                books.fallen.pop_first();
            }
        }
    }

    /// `node` worked with this station before it started. That does not count when it lost it since.
    pub(crate) fn remembers(&self, node: NodeId) {
        let mut books = self.lock();
        if !books.fallen.contains(&node) {
            books.remember(node);
        }
    }

    /// The account from which `node`'s modules are compiled.
    #[must_use]
    pub fn purse(&self, node: NodeId) -> Arc<dyn Purse> {
        let payer = self.lock().payer(node);
        Arc::new(Account { ledger: self.clone(), payer })
    }

    /// Pays before the work is done.
    pub fn charge(&self, node: NodeId, charge: Charge, amount: u64) -> Result<(), Over> {
        let mut books = self.lock();
        let (payer, now) = (books.payer(node), books.now());
        books.accounts.charge(&payer, charge, amount, now)
    }

    /// Whether `node` could pay now.
    pub fn could_pay(&self, node: NodeId, charge: Charge, amount: u64) -> bool {
        let mut books = self.lock();
        let (payer, now) = (books.payer(node), books.now());
        books.accounts.could_pay(&payer, charge, amount, now)
    }

    /// What was paid for and not done.
    pub fn give_back(&self, node: NodeId, charge: Charge, amount: u64) {
        let mut books = self.lock();
        let (payer, now) = (books.payer(node), books.now());
        books.accounts.give_back(&payer, charge, amount, now);
    }

    /// The same where `node` begins to be connected from `ip`.
    pub(crate) fn charge_at(&self, node: NodeId, ip: IpAddr, charge: Charge) -> Result<(), Over> {
        let mut books = self.lock();
        let now = books.now();
        let payer = Payer { cluster: Some(Cluster::of(node, ip, None, books.reach)), ..books.payer(node) };
        books.accounts.charge(&payer, charge, 1, now)
    }

    /// Charges the machine at `ip`, before a key is proved. Where private addresses are used, many stations share one.
    pub(crate) fn charge_host(&self, ip: IpAddr, charge: Charge, amount: u64) -> Result<(), Over> {
        let mut books = self.lock();
        let now = books.now();
        let payer = if is_private(ip) {
            Payer::host(ip, None, Acquaintance::SharedHost)
        } else {
            // Of a public address the cluster is the same whoever is there.
            Payer::host(ip, Some(Cluster::of(NodeId([0; 32]), ip, None, books.reach)), Acquaintance::Stranger)
        };
        books.accounts.charge(&payer, charge, amount, now)
    }

    /// What turned out to cost more.
    pub(crate) fn owe(&self, node: NodeId, charge: Charge, amount: u64) {
        let mut books = self.lock();
        let (payer, now) = (books.payer(node), books.now());
        books.accounts.owe(&payer, charge, amount, now);
    }

    /// Where `node` is seen, if it is connected.
    pub(crate) fn cluster(&self, node: &NodeId) -> Option<Cluster> {
        self.lock().clusters.get(node).copied()
    }

    /// Whether `node` has a place before strangers.
    pub(crate) fn comes_first(&self, node: &NodeId) -> bool {
        let books = self.lock();
        books.bootstrap.contains(node) || books.known.contains(node)
    }

    /// Whether the operator named `node`.
    pub(crate) fn is_bootstrap(&self, node: &NodeId) -> bool {
        self.lock().bootstrap.contains(node)
    }

    /// The time that accounts and places count in.
    pub(crate) fn now(&self) -> Time {
        self.lock().now()
    }

    /// What happened so far, kind by kind.
    #[must_use]
    pub fn figures(&self) -> Vec<(Charge, Figure)> {
        self.lock().accounts.figures().collect()
    }

    pub(crate) fn gauges(&self) -> Vec<Gauge> {
        let books = self.lock();
        books.accounts.gauges().into_iter().chain([Gauge::new("peers known for their work", books.known.len(), KNOWN_MAX)]).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account from which a requester's modules are compiled: where it was seen when its module came, also after it is gone.
#[derive(Clone, Debug)]
struct Account {
    ledger: Ledger,
    payer: Payer,
}

impl Purse for Account {
    fn is_known(&self) -> bool {
        matches!(self.payer.acquaintance, Acquaintance::Known | Acquaintance::Bootstrap)
    }

    fn could_pay(&self, ms: u64) -> bool {
        let mut books = self.ledger.lock();
        let now = books.now();
        books.accounts.could_pay(&self.payer, Charge::CompileMs, ms, now)
    }

    fn pay(&self, ms: u64) -> bool {
        let mut books = self.ledger.lock();
        let now = books.now();
        books.accounts.charge(&self.payer, Charge::CompileMs, ms, now).is_ok()
    }

    fn settle(&self, paid_ms: u64, took_ms: u64) {
        let mut books = self.ledger.lock();
        let now = books.now();
        books.accounts.give_back(&self.payer, Charge::CompileMs, paid_ms, now);
        books.accounts.owe(&self.payer, Charge::CompileMs, took_ms, now);
    }
}

impl Books {
    fn now(&self) -> Time {
        Time(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn remember(&mut self, node: NodeId) {
        if self.known.insert(node) && self.known.len() > KNOWN_MAX {
            self.known.pop_first();
        }
    }

    fn payer(&self, node: NodeId) -> Payer {
        let acquaintance = match () {
            () if self.bootstrap.contains(&node) => Acquaintance::Bootstrap,
            () if self.known.contains(&node) => Acquaintance::Known,
            () if self.chosen.contains(&node) => Acquaintance::Neighbour,
            () => Acquaintance::Stranger,
        };
        Payer::node(node, self.clusters.get(&node).copied(), acquaintance)
    }
}

#[cfg(test)]
mod tests;
