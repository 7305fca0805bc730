//! [`Politeness`]: one station's manners towards all targets, across all jobs.
//!
//! Before a name is looked up: is this station among those that may contact the target today, what does the target say, is its own
//! quota not used up (durable first), and is it this request's turn. Before an address is contacted: the same of its /24 or /48, so that
//! any number of names for one victim have one account there. What a target says stands in the `/.well-known/station` of the origin about
//! to be contacted (so that nobody is contacted whom the job may not). It is read once a day and origin, by a task of the station's, so
//! that no guest can begin it twice; it is counted like a request, remembered before it is sent, and over a restart; it can only lower
//! the cap, and its absence changes nothing. Sockets that the builder of the `Outside` named keep quota and cap but do not queue, and
//! their networks have no account. Deliberately lacks the rules themselves: those are [`super::quota`] and `station_protocol::sampling`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use station_protocol::NodeId;
use station_protocol::sampling::{TARGET_CAP_PER_DAY, may_read, network_share, target_share};
use tokio::sync::watch;

use super::address::Origin;
use super::caller::Caller;
use super::http::Visit;
use super::quota::{Buckets, QuotaRecord, QuotaRefused, Quotas, Target, Word, origin_hash, stated_cap};
use super::toll::Purse;
use crate::clock::Clock;
use crate::store::StoreError;
use crate::tasks::Tasks;

/// Makes quota records durable. The last of a target counts.
pub trait QuotaLog: Send + Sync + 'static {
    /// Durable when the future resolves well; the request it covers waits for it, and is not sent where the disk failed.
    fn reserve(&self, record: QuotaRecord) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Their day is over: what is on disk of these targets is of no more use.
    fn forget(&self, targets: Vec<Target>) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// Forgets: for programs whose stations live shorter than a day.
#[derive(Clone, Copy, Debug)]
pub struct Forgetful;

impl QuotaLog for Forgetful {
    fn reserve(&self, _: QuotaRecord) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn forget(&self, _: Vec<Target>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Readings of targets' files at the same time: with three seconds of patience each, more than a station can begin politely.
const READINGS_MAX: usize = 64;

/// What one execution brings along when it wants to contact a target.
pub struct Errand {
    /// The counted size of the network.
    pub stations: u64,
    /// What the operator's rule says of this target, where it says something.
    pub per_day: Option<u64>,
    /// Who pays for the reading of the file, which may outlive the execution.
    pub purse: Arc<dyn Purse>,
}

impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Errand").field("stations", &self.stations).field("per_day", &self.per_day).finish_non_exhaustive()
    }
}

/// Shared by all brokers of a station.
pub struct Politeness {
    node: NodeId,
    clock: Clock,
    log: Arc<dyn QuotaLog>,
    tasks: Tasks,
    state: Mutex<State>,
}

struct State {
    quotas: Quotas,
    buckets: Buckets,
    /// Readings under way, which end by dropping the sender.
    readings: BTreeMap<(Target, u64), watch::Receiver<()>>,
}

impl std::fmt::Debug for Politeness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Politeness").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Politeness {
    /// The manners of `node`, with the quotas it had; new reservations go to `log`, readings of files are `tasks`.
    #[must_use]
    pub fn new(node: NodeId, clock: Clock, quotas: Quotas, log: Arc<dyn QuotaLog>, tasks: Tasks) -> Arc<Self> {
        let state = Mutex::new(State { quotas, buckets: Buckets::default(), readings: BTreeMap::new() });
        Arc::new(Self { node, clock, log, tasks, state })
    }

    /// Returns when one more request may go to the target of `visit`, whose name may be looked up then.
    pub async fn admit(self: &Arc<Self>, visit: Visit<'_>, errand: &Errand) -> Result<(), QuotaRefused> {
        let target = Target::of(visit.origin, visit.exempt);
        let day = self.today().await?;
        let quota = self.quota(errand);
        if !may_read(target.drawn_by(), day, &self.node, errand.stations) {
            return Err(QuotaRefused::NotEligible);
        }
        if quota == 0 {
            return Err(QuotaRefused::UsedUp);
        }
        let share = |cap: Option<u64>| {
            let cap = cap.unwrap_or(TARGET_CAP_PER_DAY);
            target_share(target.drawn_by(), day, &self.node, cap, errand.stations, quota)
        };
        self.hear(visit, &target, day, errand, &share).await?;
        let share = share(self.state().quotas.learned(&target, day));
        if share == 0 {
            return Err(QuotaRefused::NotEligible);
        }
        // One more for the first reading, which the cap has room for beside the shares.
        self.take(&target, day, share.saturating_add(1)).await?;
        self.queue(&target, visit.exempt).await
    }

    /// Returns when `ip`, at which the target of `visit` is, may be contacted once more.
    pub async fn arrive(&self, visit: Visit<'_>, ip: IpAddr, errand: &Errand) -> Result<(), QuotaRefused> {
        if visit.exempt {
            return Ok(());
        }
        self.reach(ip, errand.stations, self.quota(errand)).await
    }

    async fn reach(&self, ip: IpAddr, stations: u64, quota: u64) -> Result<(), QuotaRefused> {
        let (network, day) = (Target::at(ip), self.today().await?);
        let share = network_share(network.drawn_by(), day, &self.node, stations, quota);
        if share == 0 {
            return Err(QuotaRefused::NotEligible);
        }
        self.take(&network, day, share).await?;
        self.queue(&network, false).await
    }

    /// Returns when it is known what the origin of `visit` says today.
    async fn hear(
        self: &Arc<Self>,
        visit: Visit<'_>,
        target: &Target,
        day: u64,
        errand: &Errand,
        share: &(dyn Fn(Option<u64>) -> u64 + Sync),
    ) -> Result<(), QuotaRefused> {
        let origin = origin_hash(visit.origin);
        let key = (target.clone(), origin);
        let mut heard = {
            let mut state = self.state();
            match state.quotas.word(target, day, origin) {
                Word::Known => return Ok(()),
                Word::Asked => state.readings.get(&key).cloned().ok_or(QuotaRefused::WordLost)?,
                Word::Unasked if state.readings.len() >= READINGS_MAX => return Err(QuotaRefused::TooManyReadings),
                Word::Unasked => {
                    let allowed = share(state.quotas.learned(target, day)).saturating_add(1);
                    let record = state.quotas.begin_reading(allowed, target, day, origin)?;
                    let (ending, heard) = watch::channel(());
                    state.readings.insert(key, heard.clone());
                    drop(state);
                    let reading = Reading {
                        politeness: self.clone(),
                        caller: visit.caller.clone(),
                        origin: visit.origin.clone(),
                        target: target.clone(),
                        exempt: visit.exempt,
                        day,
                        stations: errand.stations,
                        quota: self.quota(errand),
                        purse: errand.purse.clone(),
                        _ending: ending,
                    };
                    self.tasks.spawn(reading.make(record));
                    heard
                }
            }
        };
        // It ends when the sender is gone.
        while heard.changed().await.is_ok() {}
        match self.state().quotas.word(target, day, origin) {
            Word::Known => Ok(()),
            Word::Asked | Word::Unasked => Err(QuotaRefused::WordLost),
        }
    }

    /// The world's day. With the first question of a day those before it are over.
    async fn today(&self) -> Result<u64, QuotaRefused> {
        let day = self.clock.world().day();
        let stale = self.state().quotas.turn(day);
        if !stale.is_empty() {
            durable(self.log.forget(stale).await)?;
        }
        Ok(day)
    }

    /// Counts one request of `per_day` to `target`, durable when this returns.
    async fn take(&self, target: &Target, day: u64, per_day: u64) -> Result<(), QuotaRefused> {
        let taken = self.state().quotas.take_of(per_day, target, day);
        match taken? {
            Some(record) => durable(self.log.reserve(record).await),
            None => Ok(()),
        }
    }

    /// Waits for one's turn at `target`.
    async fn queue(&self, target: &Target, exempt: bool) -> Result<(), QuotaRefused> {
        if !exempt {
            let wait = self.state().buckets.take(target, self.clock.now())?;
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        Ok(())
    }

    /// Requests of today, target by target.
    #[must_use]
    pub fn used(&self) -> Vec<(Target, u64)> {
        let day = self.clock.world().day();
        self.state().quotas.used(day).map(|(target, used)| (target.clone(), used)).collect()
    }

    fn quota(&self, errand: &Errand) -> u64 {
        errand.per_day.unwrap_or_else(|| self.state().quotas.per_day())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn durable(written: Result<(), StoreError>) -> Result<(), QuotaRefused> {
    written.map_err(|error| {
        tracing::error!(%error, "a quota is not durable; the station is about to stop");
        QuotaRefused::NotDurable
    })
}

/// One reading of one file, which no guest can end.
struct Reading {
    politeness: Arc<Politeness>,
    caller: Caller,
    origin: Origin,
    target: Target,
    exempt: bool,
    day: u64,
    stations: u64,
    quota: u64,
    purse: Arc<dyn Purse>,
    /// Dropped last: whoever waits looks then.
    _ending: watch::Sender<()>,
}

impl Reading {
    /// Reads the file once `record`, which says that it is read, is durable.
    async fn make(self, record: QuotaRecord) {
        let politeness = &self.politeness;
        if durable(politeness.log.reserve(record).await).is_ok() {
            let file = match politeness.queue(&self.target, self.exempt).await {
                Ok(()) => self.file().await,
                // The origin is as good as silent: its requests would not find a turn either.
                Err(_) => None,
            };
            let cap = file.as_deref().and_then(stated_cap).unwrap_or(TARGET_CAP_PER_DAY);
            // A clock that was far ahead when it began may be right by now.
            let day = self.day.min(politeness.clock.world().day());
            let learned = politeness.state().quotas.learn(&self.target, day, origin_hash(&self.origin), cap);
            if let Ok(record) = learned {
                // A disk that fails stops the station; until then the word counts.
                let _ = durable(politeness.log.reserve(record).await);
            }
        }
        politeness.state().readings.remove(&(self.target.clone(), origin_hash(&self.origin)));
    }

    async fn file(&self) -> Option<String> {
        let arrive = |ip| -> BoxFuture<'_, bool> { Box::pin(async move { self.politeness.reach(ip, self.stations, self.quota).await.is_ok() }) };
        self.caller.station_file(&self.origin, self.purse.clone(), &arrive).await
    }
}

#[cfg(test)]
mod tests;
