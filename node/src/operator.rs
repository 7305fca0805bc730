//! [`Host`]: the operator's say in every host call — policy, counted network, bytes per day, quotas per target — as values the
//! station changes while it runs.
//!
//! Guarantees: a changed policy holds from the next host call on; quotas per target are durable before they are used. Deliberately
//! lacks the rules: those are `station_protocol::policy` and `station_protocol::sampling`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::future::BoxFuture;
use station_protocol::capability::Capability;
use station_protocol::durable::Key;
use station_protocol::policy::{HostCall, Policy};
use station_protocol::sampling::TARGET_QUOTA_PER_DAY;
use station_protocol::worker::Execution;
use station_protocol::{NodeId, codec};

use crate::clock::Clock;
use crate::hostcalls::{Broker, BrokerConfig, Gate};
use crate::outside::Outside;
use crate::outside::politeness::{Politeness, QuotaLog};
use crate::outside::quota::{QuotaRecord, Quotas};
use crate::outside::tls::Tls;
use crate::store::{Batch, Store, StoreError, Table};

/// Quota records in the node's table begin with this.
const QUOTA_KEY: &[u8] = b"quota/";
/// Largest quota record: a target's name and two numbers.
const QUOTA_BYTES_MAX: usize = 1 << 10;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    broker: BrokerConfig,
    operator: Arc<Operator>,
}

impl Host {
    /// The host calls of `node` under `policy`, with the quotas that the store remembers.
    pub async fn new(outside: Arc<dyn Outside>, node: NodeId, policy: Policy, clock: Clock, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let records = store.load(Table::Node).await?;
        let quotas = records.into_iter().filter(|(key, _)| key.0.starts_with(QUOTA_KEY));
        let quotas = quotas.filter_map(|(_, value)| codec::decode::<QuotaRecord>(&value, QUOTA_BYTES_MAX).ok());
        let quotas = Quotas::restore(TARGET_QUOTA_PER_DAY, quotas);
        let operator = Arc::new(Operator { policy: RwLock::new(policy), stations: AtomicU64::new(1), bytes: Mutex::default(), clock });
        let politeness = Arc::new(Politeness::new(node, clock, quotas, Arc::new(StoredQuotas(store))));
        Ok(Self { broker: BrokerConfig { gate: operator.clone(), outside, tls: Tls::default(), politeness }, operator })
    }

    /// The host side of one execution.
    #[must_use]
    pub fn broker(&self, job: &Execution) -> Broker {
        Broker::new(self.broker.clone(), job)
    }

    /// Holds from the next host call on.
    pub fn set_policy(&self, policy: Policy) {
        *self.operator.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// The counted size of the largest topic: the cap per target is shared among at least so many.
    pub fn counted(&self, stations: u64) {
        self.operator.stations.store(stations.max(1), Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Operator {
    policy: RwLock<Policy>,
    stations: AtomicU64,
    bytes: Mutex<BTreeMap<u64, u64>>,
    clock: Clock,
}

impl Operator {
    fn policy(&self) -> std::sync::RwLockReadGuard<'_, Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes let in on the present day, other days forgotten.
    fn with_today<T>(&self, change: impl FnOnce(&mut u64) -> T) -> T {
        let today = self.clock.now().day();
        let mut days = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        days.retain(|day, _| *day == today);
        change(days.entry(today).or_default())
    }
}

impl Gate for Operator {
    fn permits(&self, job: &Execution, capability: Capability, host: &str, port: u16) -> bool {
        self.policy().permits(&job.requester, &job.module.cid, capability, host, port)
    }

    fn per_day(&self, job: &Execution, capability: Capability, host: &str, port: u16) -> Option<u64> {
        self.policy().quota_per_day(&HostCall { requester: &job.requester, module: &job.module.cid, capability, host, port })
    }

    fn stations(&self, _: &Execution) -> u64 {
        self.stations.load(Ordering::Relaxed)
    }

    fn take_bytes(&self, wanted: u64) -> u64 {
        let budget = self.policy().budget.bytes_per_day.0;
        self.with_today(|used| {
            let taken = wanted.min(budget.saturating_sub(*used));
            *used += taken;
            taken
        })
    }

    fn is_spent(&self) -> bool {
        let budget = self.policy().budget.bytes_per_day.0;
        self.with_today(|used| *used >= budget)
    }
}

/// Quotas in the node's own table.
struct StoredQuotas(Arc<dyn Store>);

impl QuotaLog for StoredQuotas {
    fn reserve(&self, record: QuotaRecord) -> BoxFuture<'static, ()> {
        let key = Key([QUOTA_KEY, record.target.as_str().as_bytes()].concat());
        let commit = self.0.commit(Batch { puts: vec![(Table::Node, key, codec::encode(&record))], ..Batch::default() });
        Box::pin(async move {
            if let Err(error) = commit.await {
                tracing::error!(%error, "a quota is not durable; the station is about to stop");
            }
        })
    }
}
