//! [`Host`]: the operator's say in every host call — policy, counted network, bytes per day, quotas per target — as values the
//! station changes while it runs.
//!
//! Guarantees: a changed policy holds from the next host call on; quotas per target and bytes per day are durable, in blocks, before
//! they are used, so that a restart gives nothing anew; a record that cannot be read counts as all used up today. Deliberately lacks
//! the rules: those are `station_protocol::policy`, `station_protocol::sampling` and `outside::quota`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use station_protocol::activity::{self, Activity, Ended, Page, Span, Who};
use station_protocol::capability::Capability;
use station_protocol::cluster::Cluster;
use station_protocol::durable::Key;
use station_protocol::gauge::Gauge;
use station_protocol::hostcall::FetchError;
use station_protocol::policy::{HostCall, Policy};
use station_protocol::sampling::{LargestCount, TARGET_QUOTA_PER_DAY};
use station_protocol::work::DeclineReason;
use station_protocol::worker::{Execution, Report, StationFailure};
use station_protocol::{NodeId, Time, codec};

use crate::clock::Clock;
use crate::hostcalls::{Broker, BrokerConfig, Gate};
use crate::outside::Outside;
use crate::outside::politeness::{Politeness, QuotaLog};
use crate::outside::quota::{BytesRecord, DailyBytes, QuotaRecord, Quotas, Target};
use crate::outside::tls::Tls;
use crate::outside::vicinity::Vicinity;
use crate::store::{Batch, Records, Store, StoreError, Table};
use crate::tasks::Tasks;

/// Quota records in the node's table begin with this.
const QUOTA_KEY: &[u8] = b"quota/";
/// The record of the day's bytes in the node's table.
const BYTES_KEY: &[u8] = b"bytes-per-day";
/// Largest record of either kind: a target's name, numbers, and the origins whose file was read.
const RECORD_BYTES_MAX: usize = 4 << 10;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    broker: BrokerConfig,
    operator: Arc<Operator>,
}

impl Host {
    /// The host calls of `node` under `policy`, with the quotas that the store remembers.
    pub async fn new(
        outside: Arc<dyn Outside>,
        node: NodeId,
        policy: Policy,
        clock: Clock,
        store: Arc<dyn Store>,
        tasks: Tasks,
    ) -> Result<Self, StoreError> {
        let restored = Restored::of(store.load(Table::Node).await?, clock.world().day());
        if !restored.stale.is_empty() || !restored.put_right.is_empty() {
            store.commit(Batch { deletes: restored.stale, puts: restored.put_right, ..Batch::default() }).await?;
        }
        let operator = Arc::new(Operator {
            policy: RwLock::new(policy),
            stations: Mutex::default(),
            activity: Mutex::new(restored.activity),
            bytes: Mutex::new(restored.bytes),
            reserving: tokio::sync::Mutex::default(),
            store: store.clone(),
            clock: clock.clone(),
        });
        let quotas = Quotas::restore(TARGET_QUOTA_PER_DAY, restored.quotas);
        let politeness = Politeness::new(node, clock, quotas, Arc::new(StoredQuotas(store)), tasks);
        Ok(Self { broker: BrokerConfig { gate: operator.clone(), vicinity: Vicinity::new(outside), tls: Tls::default(), politeness }, operator })
    }

    /// The host side of one execution.
    #[must_use]
    pub fn broker(&self, job: &Execution) -> Broker {
        Broker::new(self.broker.clone(), job)
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.operator.policy().clone()
    }

    /// Holds from the next host call on.
    pub fn set_policy(&self, policy: Policy) {
        *self.operator.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// A peer in the cluster `by` sees this station at `ip`, where its router is, then: out of bounds for guests.
    pub fn seen(&self, by: Cluster, ip: IpAddr) {
        self.broker.vicinity.seen(by, ip, self.operator.clock.now());
    }

    /// The operator says that this station is at `ip`: out of bounds for guests.
    pub fn announced(&self, ip: IpAddr) {
        self.broker.vicinity.announced(ip);
    }

    /// The counted size of the largest topic: the cap per target is shared among at least so many, today and tomorrow.
    pub fn counted(&self, stations: u64) {
        let day = self.operator.clock.world().day();
        self.operator.stations.lock().unwrap_or_else(PoisonError::into_inner).note(stations, day);
    }
}

/// The operator's ledger.
impl Host {
    /// An execution came to its end, after so much processor time where the system tells it.
    pub fn ran(&self, job: &Execution, result: &Result<Report, StationFailure>, cpu_ms: Option<u64>, slot_ms: u64) {
        let ended = match result {
            Ok(report) => Ended::from(&report.outcome),
            Err(StationFailure::Stopped) => Ended::Stopped,
            // It did not begin.
            Err(StationFailure::NotNow) => return,
            Err(StationFailure::Sandbox | StationFailure::Outgrown | StationFailure::TargetBusy) => Ended::StationFailed,
        };
        self.operator.activity().ran(who(job), ended, cpu_ms, slot_ms, self.operator.clock.world());
    }

    /// A Call was declined.
    pub fn declined(&self, reason: DeclineReason) {
        self.operator.activity().declined(reason, self.operator.clock.world());
    }

    /// The ledger from `since` on, the earliest first.
    #[must_use]
    pub fn activity(&self, since: Time) -> Vec<(Span, Page)> {
        self.operator.activity().since(since).map(|(span, page)| (span, page.clone())).collect()
    }

    /// What must be written of the ledger now: nothing, nearly always. `all`: the station is about to end.
    #[must_use]
    pub fn unwritten(&self, all: bool) -> Option<Batch> {
        let (mut activity, now) = (self.operator.activity(), self.operator.clock.world());
        if !all && !activity.is_due(now) {
            return None;
        }
        let changes = activity.changes(now);
        let puts = changes.puts.into_iter().map(|(key, value)| (Table::Node, key, value)).collect();
        let deletes = changes.deletes.into_iter().map(|key| (Table::Node, key)).collect();
        Some(Batch { puts, deletes, ..Batch::default() })
    }

    #[must_use]
    pub fn gauge(&self) -> Gauge {
        self.operator.activity().gauge()
    }

    /// What is used of today's budgets.
    #[must_use]
    pub fn used(&self) -> Used {
        Used { bytes: self.operator.bytes(|bytes, _, today| bytes.used(today)), targets: self.broker.politeness.used() }
    }

    #[must_use]
    pub fn clock(&self) -> Clock {
        self.operator.clock.clone()
    }
}

/// What is used of the budgets of today.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// What host calls brought in and sent out. After a crash up to a 64th of the budget more than that.
    pub bytes: u64,
    /// Requests, target by target.
    pub targets: Vec<(Target, u64)>,
}

fn who(job: &Execution) -> Who {
    Who { requester: job.requester, module: job.module.cid }
}

/// What the node's table says of a day.
struct Restored {
    quotas: Vec<QuotaRecord>,
    bytes: DailyBytes,
    activity: Activity,
    /// Records of days gone by.
    stale: Vec<(Table, Key)>,
    /// Records that a clock far ahead wrote, as they are from now on. Otherwise each restart would count them as that day's again.
    put_right: Vec<(Table, Key, Vec<u8>)>,
}

impl Restored {
    fn of(records: Records, today: u64) -> Self {
        let (mut quotas, mut bytes, mut stale, mut put_right, mut ledger) = (Vec::new(), None, Vec::new(), Vec::new(), Vec::new());
        for (key, value) in records {
            if key.0 == BYTES_KEY {
                let record = codec::decode(&value, RECORD_BYTES_MAX).unwrap_or_else(|error| {
                    tracing::error!(%error, "the record of the day's bytes cannot be read: none are left until tomorrow");
                    BytesRecord::spent(today)
                });
                let mut now = record;
                // What is over is let go when the bytes are asked about.
                if !now.day.turn(today) && now != record {
                    put_right.push((Table::Node, key, codec::encode(&now)));
                }
                bytes = Some(record);
            } else if let Some(name) = key.0.strip_prefix(QUOTA_KEY) {
                let mut record = quota(name, &value, today);
                let written = record.day;
                if record.day.turn(today) {
                    stale.push((Table::Node, key));
                    continue;
                }
                if record.day != written {
                    put_right.push((Table::Node, key, codec::encode(&record)));
                }
                quotas.push(record);
            } else if key.0.starts_with(activity::KEY_PREFIX) {
                ledger.push((key, value));
            }
        }
        let (activity, unread) = Activity::restore(ledger);
        unread.iter().for_each(|reason| tracing::warn!(reason, "a page of the ledger of activity cannot be read: it is left out"));
        Self { quotas, bytes: DailyBytes::restore(bytes), activity, stale, put_right }
    }
}

/// The quota record filed under `name`; one that cannot be read, or speaks of another target, leaves nothing of today.
fn quota(name: &[u8], value: &[u8], today: u64) -> QuotaRecord {
    let target = Target::filed(String::from_utf8_lossy(name).into_owned());
    let reason = match codec::decode::<QuotaRecord>(value, RECORD_BYTES_MAX) {
        Ok(record) if record.target == target => return record,
        Ok(_) => "it speaks of another target".to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::error!(%target, reason, "a quota's record cannot be read: the target is not asked until tomorrow");
    QuotaRecord::spent(target, today)
}

struct Operator {
    policy: RwLock<Policy>,
    stations: Mutex<LargestCount>,
    activity: Mutex<Activity>,
    bytes: Mutex<DailyBytes>,
    /// Held while a reservation is on its way to the disk: who comes meanwhile waits for that one.
    reserving: tokio::sync::Mutex<()>,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Operator {
    fn policy(&self) -> std::sync::RwLockReadGuard<'_, Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn activity(&self) -> std::sync::MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `look` makes of the day's bytes, given the budget and the day.
    fn bytes<T>(&self, look: impl FnOnce(&mut DailyBytes, u64, u64) -> T) -> T {
        let (budget, today) = (self.policy().budget.bytes_per_day.0, self.clock.world().day());
        look(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner), budget, today)
    }

    /// Makes the record that `wanted` still names durable, one caller at a time.
    async fn reserve(&self, wanted: impl Fn(&mut DailyBytes, u64, u64) -> Option<BytesRecord>) -> Result<(), StoreError> {
        let _turn = self.reserving.lock().await;
        let Some(record) = self.bytes(wanted) else { return Ok(()) };
        let put = (Table::Node, Key(BYTES_KEY.to_vec()), codec::encode(&record));
        self.store.commit(Batch { puts: vec![put], ..Batch::default() }).await?;
        self.bytes(|bytes, _, _| bytes.reserved(record));
        Ok(())
    }

    async fn take(&self, wanted: u64) -> u64 {
        loop {
            if let Some(taken) = self.bytes(|bytes, budget, today| bytes.take(wanted, budget, today)) {
                return taken;
            }
            if let Err(error) = self.reserve(|bytes, budget, today| bytes.lacking(wanted, budget, today)).await {
                tracing::error!(%error, "the day's bytes are not durable; the station is about to stop");
                return 0;
            }
        }
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
        self.stations.lock().unwrap_or_else(PoisonError::into_inner).get()
    }

    fn take_bytes(&self, wanted: u64) -> BoxFuture<'_, u64> {
        Box::pin(self.take(wanted))
    }

    fn give_back(&self, bytes: u64) {
        self.bytes(|day, _, today| day.give_back(bytes, today));
    }

    fn expect_bytes(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // A disk that fails shows when the bytes are taken.
            let _ = self.reserve(DailyBytes::ahead).await;
        })
    }

    fn is_spent(&self) -> bool {
        self.bytes(DailyBytes::is_spent)
    }

    fn contacted(&self, job: &Execution, url: &str, bytes: u64, error: Option<FetchError>) {
        // What this station could not do itself reached nobody, and what is no URL was sent to nobody.
        if error == Some(FetchError::StationFailed) {
            return;
        }
        let Some(host) = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)) else { return };
        let refused =
            error.filter(|error| matches!(error, FetchError::NotGranted | FetchError::RefusedAddress | FetchError::Quota | FetchError::BadRequest));
        self.activity().contacted(who(job), &host, bytes, refused, self.clock.world());
    }

    fn moved(&self, job: &Execution, in_bytes: u64, out_bytes: u64) {
        self.activity().moved(who(job), in_bytes, out_bytes, self.clock.world());
    }
}

fn quota_key(target: &Target) -> Key {
    Key([QUOTA_KEY, target.as_str().as_bytes()].concat())
}

/// Quotas in the node's own table.
struct StoredQuotas(Arc<dyn Store>);

impl QuotaLog for StoredQuotas {
    fn reserve(&self, record: QuotaRecord) -> BoxFuture<'static, Result<(), StoreError>> {
        let batch = Batch { puts: vec![(Table::Node, quota_key(&record.target), codec::encode(&record))], ..Batch::default() };
        self.0.commit(batch).map_ok(drop).boxed()
    }

    fn forget(&self, targets: Vec<Target>) -> BoxFuture<'static, Result<(), StoreError>> {
        let deletes = targets.iter().map(|target| (Table::Node, quota_key(target))).collect();
        self.0.commit(Batch { deletes, ..Batch::default() }).map_ok(drop).boxed()
    }
}

#[cfg(test)]
mod tests;
