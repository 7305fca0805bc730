//! [`Politeness`]: one station's manners towards all targets, across all jobs.
//!
//! Before a request: is this station among those that may contact the target today, is its own quota not used up (durable first),
//! and is it this request's turn. Before the first request of a day the target's `/.well-known/station` is read at the origin
//! about to be contacted (so that nobody is contacted whom the job may not); it can only lower the cap, its absence changes
//! nothing, and what it said holds for the day, over a restart too. Sockets that the builder of the `Outside` named keep quota and cap but do not queue. Deliberately lacks the rules
//! themselves: those are [`super::quota`] and `station_protocol::sampling`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use station_protocol::NodeId;
use station_protocol::sampling::{TARGET_CAP_PER_DAY, may_read, target_share};
use tokio::sync::OnceCell;

use super::http::Visit;
use super::quota::{Buckets, QuotaRecord, QuotaRefused, Quotas, TARGETS_MAX, Target, stated_cap};
use crate::clock::Clock;
use crate::store::StoreError;

/// Makes quota records durable. The last of a target counts.
pub trait QuotaLog: Send + Sync + 'static {
    /// Durable when the future resolves well; the request it covers waits for it, and is not sent where the disk failed.
    fn reserve(&self, record: QuotaRecord) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// Forgets: for programs whose stations live shorter than a day.
#[derive(Clone, Copy, Debug)]
pub struct Forgetful;

impl QuotaLog for Forgetful {
    fn reserve(&self, _: QuotaRecord) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Shared by all brokers of a station.
pub struct Politeness {
    node: NodeId,
    clock: Clock,
    log: Arc<dyn QuotaLog>,
    state: Mutex<State>,
}

/// What a target's file said on a day; read by whoever comes first.
type Cap = (u64, Arc<OnceCell<u64>>);

struct State {
    quotas: Quotas,
    buckets: Buckets,
    caps: BTreeMap<Target, Cap>,
}

impl std::fmt::Debug for Politeness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Politeness").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Politeness {
    /// The manners of `node`, with the quotas it had; new reservations go to `log`.
    #[must_use]
    pub fn new(node: NodeId, clock: Clock, quotas: Quotas, log: Arc<dyn QuotaLog>) -> Self {
        Self { node, clock, log, state: Mutex::new(State { quotas, buckets: Buckets::default(), caps: BTreeMap::new() }) }
    }

    /// Returns when one more request may go to the target of `visit`, on a network counted as `stations`. `per_day` is what the
    /// operator's rule says of this target, where it says something.
    pub async fn admit(&self, visit: Visit<'_>, stations: u64, per_day: Option<u64>) -> Result<(), QuotaRefused> {
        let quota = per_day.unwrap_or_else(|| self.state().quotas.per_day());
        let target = Target::of(visit.origin, visit.exempt);
        let day = self.clock.now().day();
        if !may_read(target.as_str(), day, &self.node, stations) {
            return Err(QuotaRefused::NotEligible);
        }
        let cell = self.state().cap(&target, day)?;
        let cap = if visit.sockets.is_empty() {
            cell.get().copied().unwrap_or(TARGET_CAP_PER_DAY)
        } else {
            let read = async || visit.station_file().await.as_deref().and_then(stated_cap).unwrap_or(TARGET_CAP_PER_DAY);
            *cell.get_or_init(read).await
        };
        let share = target_share(target.as_str(), day, &self.node, cap, stations, quota);
        let taken = {
            let quotas = &mut self.state().quotas;
            let learned = quotas.learn(&target, day, cap)?;
            if share > 0 { quotas.take_of(share, &target, day).map(|record| record.or(learned)) } else { Ok(learned) }
        };
        // Also where there is no request: a restart must not have to read the file again.
        if let Ok(Some(record)) = &taken {
            self.log.reserve(record.clone()).await.map_err(|error| {
                tracing::error!(%error, "a quota is not durable; the station is about to stop");
                QuotaRefused::NotDurable
            })?;
        }
        taken?;
        if share == 0 {
            return Err(QuotaRefused::NotEligible);
        }
        if !visit.exempt {
            let wait = self.state().buckets.take(&target, self.clock.now())?;
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn cap(&mut self, target: &Target, day: u64) -> Result<Arc<OnceCell<u64>>, QuotaRefused> {
        if !self.caps.contains_key(target) && self.caps.len() >= TARGETS_MAX {
            self.caps.retain(|_, (known, _)| *known >= day);
            if self.caps.len() >= TARGETS_MAX {
                return Err(QuotaRefused::TooManyTargets);
            }
        }
        // After a restart the file's word of today is in the record.
        let known = self.quotas.learned(target, day);
        let fresh = || (day, known.map_or_else(Arc::default, |cap| Arc::new(OnceCell::new_with(Some(cap)))));
        let entry = self.caps.entry(target.clone()).or_insert_with(fresh);
        if entry.0 != day {
            *entry = fresh();
        }
        Ok(entry.1.clone())
    }
}

#[cfg(test)]
mod tests;
