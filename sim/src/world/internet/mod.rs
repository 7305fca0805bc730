//! [`Internet`]: the servers that measurements ask, and every request that reached one.
//!
//! ```text
//!  Door (a station's `Outside`) ─ resolve ─► Site by name      connect ─► server::serve: way, think, answer, way, downlink
//!                                                                            └─► Book: who asked which host when, for what
//! ```
//!
//! Guarantees: what runs above it is the node's own HTTP, address table, quotas and politeness; a request counts when it arrives at the
//! host, whatever becomes of the answer; the same requests at the same times are answered alike. Deliberately lacks TLS, packets (no
//! loss, no slow start) and faults: partitions cut the mesh, not the web. A station's downlink serves the web beside the mesh, not
//! shared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use station_protocol::NodeId;
use station_protocol::experiment::ExperimentId;
use station_protocol::time::DAY;

pub mod server;
pub mod site;
#[cfg(test)]
mod tests;

use super::ledger::Ledger;
use crate::det::clock::{self, Which};
use crate::det::trace::{self, Kind, Trace};
use crate::invariants::contacts::Contact;
use crate::luck::Luck;
use crate::net::Nanos;
use crate::net::fabric::NodeIndex;
use crate::net::region::{Region, latency};
use site::{Request, Site};

/// All servers of a run.
#[derive(Debug)]
pub struct Internet {
    sites: Vec<Arc<Site>>,
    by_name: BTreeMap<String, usize>,
    by_ip: BTreeMap<IpAddr, usize>,
    /// In place of the regions' table.
    latency: Option<Nanos>,
    trace: Arc<Trace>,
    ledger: Arc<Ledger>,
    book: Mutex<Book>,
}

/// The station at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    pub number: NodeIndex,
    pub node: NodeId,
}

#[derive(Debug)]
struct Book {
    /// By host and UTC day.
    days: BTreeMap<(usize, u64), Day>,
    luck: Vec<Luck>,
}

#[derive(Debug, Default)]
struct Day {
    readings: u64,
    measurements: u64,
    readers: BTreeSet<NodeIndex>,
    measurers: BTreeSet<NodeIndex>,
}

/// What came to one host on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub host: String,
    /// UTC day from the epoch.
    pub day: u64,
    /// Requests a day that the network may send, as the host says or as everybody takes for granted.
    pub cap: u64,
    /// Of `/.well-known/station`.
    pub readings: u64,
    /// All other requests.
    pub measurements: u64,
    /// Stations that read, and stations that measured.
    pub readers: usize,
    pub measurers: usize,
}

impl Internet {
    #[must_use]
    pub fn new(sites: Vec<Site>, latency: Option<Nanos>, seed: u64, trace: Arc<Trace>, ledger: Arc<Ledger>) -> Self {
        let sites: Vec<Arc<Site>> = sites.into_iter().map(Arc::new).collect();
        Self {
            by_name: sites.iter().enumerate().map(|(place, site)| (site.name.clone(), place)).collect(),
            by_ip: sites.iter().enumerate().map(|(place, site)| (site.ip, place)).collect(),
            latency,
            trace,
            ledger,
            book: Mutex::new(Book { days: BTreeMap::new(), luck: sites.iter().map(|site| Luck::new(seed, "host", &site.name)).collect() }),
            sites,
        }
    }

    /// Where `name` is.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<IpAddr> {
        self.by_name.get(name).map(|place| self.sites[*place].ip)
    }

    /// The place of the host at `ip`, and the host.
    #[must_use]
    pub fn at(&self, ip: IpAddr) -> Option<(usize, Arc<Site>)> {
        self.by_ip.get(&ip).map(|place| (*place, self.sites[*place].clone()))
    }

    /// One way from a station in `from`, `last_mile` away from its region's network, to a host in `to`.
    #[must_use]
    pub fn way(&self, from: Region, last_mile: Nanos, to: Region) -> Duration {
        self.latency.unwrap_or_else(|| last_mile + latency(from, to)).into()
    }

    /// Every host and day with a request.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally> {
        let tally = |((place, day), all): (&(usize, u64), &Day)| Tally {
            host: self.sites[*place].name.clone(),
            day: *day,
            cap: self.sites[*place].cap(),
            readings: all.readings,
            measurements: all.measurements,
            readers: all.readers.len(),
            measurers: all.measurers.len(),
        };
        self.book().days.iter().map(tally).collect()
    }

    /// `request` has arrived: it is counted, judged and answered.
    fn ask(&self, place: usize, from: Asker, request: &Request) -> Vec<u8> {
        let (site, now_ms, day) = (&self.sites[place], clock::now_ms(), today());
        self.trace.event(now_ms, from.number, Kind::Asked, trace::content(format!("{} {}", site.name, request.path).as_bytes()));
        let (is_reading, experiment): (bool, Option<ExperimentId>) = (request.is_reading(), request.experiment);
        self.ledger.asked(now_ms, &Contact { host: site.name.clone(), ip: site.ip, cap: site.cap(), day, node: from.node, experiment, is_reading });
        let mut book = self.book();
        let all = book.days.entry((place, day)).or_default();
        if is_reading {
            all.readings += 1;
            all.readers.insert(from.number);
        } else {
            all.measurements += 1;
            all.measurers.insert(from.number);
        }
        site.answer(request, from.number, &mut book.luck[place])
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The UTC day at the hosts, whose clocks are right.
fn today() -> u64 {
    let wall = clock::read(Which::Wall).unwrap_or_default();
    u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) / DAY
}
