//! [`Activity`]: what a station did for whom, by requester, module and hour: its operator's ledger.
//!
//! ```text
//!  an execution, a request, a declined Call ─► the row of this hour ─(a day later)─► the row of its day ─(no room)─► everything earlier
//! ```
//!
//! Guarantees: rows, hosts and bytes are bounded whatever strangers do; what has no room is folded, the least first, so that sums stay
//! right and only names are lost; who folds others away had more done than they; what a wrong clock put far ahead becomes of now.
//! Deliberately lacks consequences: it is for reading, and no rule asks it; and the disk, which its driver gives what changed, seldom.

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::bounded::Text;
use crate::codec;
use crate::durable::Key;
use crate::gauge::Gauge;
use crate::hostcall::FetchError;
use crate::identity::NodeId;
use crate::receipt::Outcome;
use crate::time::{DAY, HOUR, MINUTE, Time, is_astray};
use crate::work::DeclineReason;

mod pairs;
mod row;
#[cfg(test)]
mod tests;

pub use row::{Contact, Ended, Row};

/// Hours that have rows of their own; earlier ones are days.
pub const HOURS_KEPT: u64 = 24;
/// Rows with names in one hour and in one day. A person reads twenty; the rest is one row without names.
pub const ROWS_PER_HOUR: usize = 32;
pub const ROWS_PER_DAY: usize = 64;
/// Hosts with names in one row.
pub const HOSTS_PER_ROW: usize = 16;
/// Of them hosts to which nothing was sent: a guest may make up as many as it likes.
pub const REFUSED_HOSTS_PER_ROW: usize = 4;
/// All of it together: some months of a busy station. Above it the oldest day is folded away.
pub const BYTES_MAX: usize = 1 << 20;
/// Largest record: an hour or a day whose rows are full of the longest host names.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// What a row and a host take beside the host's name, at least as much as in memory and on disk.
const ROW_BYTES: usize = 512;
const HOST_BYTES: usize = 256;

/// The disk hears of what changed at most so often: a crash loses no more of the ledger than was done in this time.
pub const WRITE_EVERY_MS: u64 = 5 * MINUTE;

/// The record of each span begins with this in the driver's table.
pub const KEY_PREFIX: &[u8] = b"activity/";

/// For whom something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    pub requester: NodeId,
    pub module: Cid,
}

/// A span of time with rows of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// Everything before the days that are kept.
    Earlier,
    /// Days from the epoch.
    Day(u64),
    /// Hours from the epoch.
    Hour(u64),
}

impl Span {
    /// When it begins; [`Span::Earlier`] has no beginning.
    #[must_use]
    pub fn begins(self) -> Time {
        match self {
            Self::Earlier => Time(0),
            Self::Day(day) => Time(day.saturating_mul(DAY)),
            Self::Hour(hour) => Time(hour.saturating_mul(HOUR)),
        }
    }

    fn rows_max(self) -> usize {
        match self {
            Self::Earlier => 0,
            Self::Day(_) => ROWS_PER_DAY,
            Self::Hour(_) => ROWS_PER_HOUR,
        }
    }

    fn key(self) -> Key {
        let (kind, number) = match self {
            Self::Earlier => (b'e', 0),
            Self::Day(day) => (b'd', day),
            Self::Hour(hour) => (b'h', hour),
        };
        Key([KEY_PREFIX, &[kind], &number.to_be_bytes()].concat())
    }

    fn of_key(key: &Key) -> Option<Self> {
        let (kind, number) = key.0.strip_prefix(KEY_PREFIX)?.split_first()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        match kind {
            b'e' => Some(Self::Earlier),
            b'd' => Some(Self::Day(number)),
            b'h' => Some(Self::Hour(number)),
            _ => None,
        }
    }
}

/// The rows of one span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(with = "pairs")]
    pub rows: BTreeMap<Who, Row>,
    /// All that have no row of their own, together.
    pub others: Row,
    /// Experiments that were declined, each when it was found to be; strangers make them for nothing, so they have no names.
    #[serde(with = "pairs")]
    pub declined: BTreeMap<DeclineReason, u64>,
}

impl Page {
    fn bytes(&self) -> usize {
        self.rows.values().chain([&self.others]).map(|row| ROW_BYTES + row.hosts.keys().map(|host| HOST_BYTES + host.len()).sum::<usize>()).sum()
    }

    /// The row of `who`; beyond the bound the least row is folded into the one without names.
    fn row(&mut self, who: Who, rows_max: usize) -> &mut Row {
        if !self.rows.contains_key(&who) && self.rows.len() >= rows_max {
            match self.rows.iter().min_by_key(|(who, row)| (row.weight(), **who)).map(|(who, _)| *who) {
                Some(least) => {
                    let row = self.rows.remove(&least).unwrap_or_default();
                    self.others.add(row, HOSTS_PER_ROW);
                }
                None => return &mut self.others,
            }
        }
        self.rows.entry(who).or_default()
    }

    /// Nothing in it is later than `now`.
    fn was_seen_by(&mut self, now: Time) {
        self.rows.values_mut().chain([&mut self.others]).for_each(|row| row.was_seen_by(now));
    }

    fn add(&mut self, other: Self, rows_max: usize) {
        for (who, row) in other.rows {
            match self.rows.get_mut(&who) {
                Some(own) => own.add(row, HOSTS_PER_ROW),
                None => {
                    self.rows.insert(who, row);
                }
            }
        }
        while self.rows.len() > rows_max {
            let Some(least) = self.rows.iter().min_by_key(|(who, row)| (row.weight(), **who)).map(|(who, _)| *who) else { break };
            let row = self.rows.remove(&least).unwrap_or_default();
            self.others.add(row, HOSTS_PER_ROW);
        }
        self.others.add(other.others, HOSTS_PER_ROW);
        for (reason, count) in other.declined {
            let own = self.declined.entry(reason).or_default();
            *own = own.saturating_add(count);
        }
    }
}

/// What changed since the driver asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub puts: Vec<(Key, Vec<u8>)>,
    pub deletes: Vec<Key>,
}

/// The ledger.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    pages: BTreeMap<Span, Page>,
    changed: BTreeSet<Span>,
    /// The hour that was folded up to.
    hour: u64,
    bytes: usize,
    written: Time,
}

impl Activity {
    /// The ledger as its records say; with it what could not be read.
    #[must_use]
    pub fn restore(records: impl IntoIterator<Item = (Key, Vec<u8>)>) -> (Self, Vec<String>) {
        let (mut activity, mut unread) = (Self::default(), Vec::new());
        for (key, value) in records.into_iter().filter(|(key, _)| key.0.starts_with(KEY_PREFIX)) {
            match (Span::of_key(&key), codec::decode::<Page>(&value, RECORD_BYTES_MAX)) {
                (Some(span), Ok(page)) => _ = activity.pages.insert(span, page),
                (_, Err(error)) => unread.push(error.to_string()),
                (None, _) => unread.push("its name is no span of time".to_owned()),
            }
        }
        activity.weigh();
        (activity, unread)
    }

    /// An execution ended: how, after how much processor time, and how long it had a slot.
    pub fn ran(&mut self, who: Who, ended: Ended, cpu_ms: Option<u64>, slot_ms: u64, now: Time) {
        self.write(who, now, |row| row.ran(ended, cpu_ms, slot_ms));
    }

    /// A request of an execution for `host` ended: so many bytes of a body came, or it was refused before anything was sent.
    pub fn contacted(&mut self, who: Who, host: &str, bytes: u64, refused: Option<FetchError>, now: Time) {
        let host = Text::cut(host);
        self.write(who, now, |row| row.contacted(&host, bytes, refused, HOSTS_PER_ROW));
    }

    /// Bytes went in and out at the sockets of an execution.
    pub fn moved(&mut self, who: Who, in_bytes: u64, out_bytes: u64, now: Time) {
        if in_bytes > 0 || out_bytes > 0 {
            self.write(who, now, |row| row.moved(in_bytes, out_bytes));
        }
    }

    /// A Call was declined.
    pub fn declined(&mut self, reason: DeclineReason, now: Time) {
        self.turn(now);
        let span = Span::Hour(now.0 / HOUR);
        let count = self.pages.entry(span).or_default().declined.entry(reason).or_default();
        *count = count.saturating_add(1);
        self.changed.insert(span);
        self.weigh();
        self.fold();
    }

    /// The spans that end after `since`, the earliest first. What is earlier than all that is kept has no end.
    pub fn since(&self, since: Time) -> impl Iterator<Item = (Span, &Page)> {
        let ends = move |span: &Span| match span {
            Span::Earlier => Time(if since == Time(0) { 1 } else { 0 }),
            Span::Day(day) => Time(day.saturating_add(1).saturating_mul(DAY)),
            Span::Hour(hour) => Time(hour.saturating_add(1).saturating_mul(HOUR)),
        };
        let mut pages: Vec<(Span, &Page)> = self.pages.iter().filter(|(span, _)| ends(span) > since).map(|(span, page)| (*span, page)).collect();
        pages.sort_by_key(|(span, _)| (span.begins(), *span));
        pages.into_iter()
    }

    /// What must be written so that a restart knows all; asked again, nothing, until something changes.
    pub fn changes(&mut self, now: Time) -> Changes {
        self.turn(now);
        self.written = now;
        let mut changes = Changes::default();
        for span in std::mem::take(&mut self.changed) {
            match self.pages.get(&span) {
                Some(page) => changes.puts.push((span.key(), codec::encode(page))),
                None => changes.deletes.push(span.key()),
            }
        }
        changes
    }

    /// Whether something is to be written, and the disk was left alone for long enough.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        !self.changed.is_empty() && (now < self.written || now >= self.written.plus(WRITE_EVERY_MS))
    }

    #[must_use]
    pub fn gauge(&self) -> Gauge {
        Gauge::new("bytes of the ledger of activity", self.bytes, BYTES_MAX)
    }

    fn write(&mut self, who: Who, now: Time, what: impl FnOnce(&mut Row)) {
        self.turn(now);
        let span = Span::Hour(now.0 / HOUR);
        let page = self.pages.entry(span).or_default();
        let before = page.bytes();
        let row = page.row(who, span.rows_max());
        row.seen(now);
        what(row);
        self.bytes = self.bytes.saturating_sub(before) + page.bytes();
        self.changed.insert(span);
        self.fold();
    }

    /// Hours that are a day old become part of their days.
    fn turn(&mut self, now: Time) {
        let hour = now.0 / HOUR;
        if hour == self.hour {
            return;
        }
        self.hour = hour;
        let old = |span: &Span| matches!(span, Span::Hour(own) if own.saturating_add(HOURS_KEPT) <= hour);
        for span in self.pages.keys().copied().filter(old).collect::<Vec<_>>() {
            self.move_into(span, Span::Day(span.begins().day()));
        }
        self.put_right(now);
        self.weigh();
    }

    /// What was written under a clock that was far ahead becomes of now. The clock is right under which more pages were written, since a
    /// machine that boots in 1970 must not lose its days.
    fn put_right(&mut self, now: Time) {
        let (astray, others): (Vec<Span>, Vec<Span>) = self.pages.keys().partition(|span| is_astray(span.begins().day(), now.day()));
        if astray.len() >= others.len() {
            return;
        }
        for span in astray {
            self.pages.get_mut(&span).into_iter().for_each(|page| page.was_seen_by(now));
            let is_day = matches!(span, Span::Day(_));
            self.move_into(span, if is_day { Span::Day(now.day()) } else { Span::Hour(now.0 / HOUR) });
        }
    }

    /// Above the bound the oldest goes into what is earlier.
    fn fold(&mut self) {
        while self.bytes > BYTES_MAX {
            let oldest = self.pages.keys().copied().filter(|span| *span != Span::Earlier).min_by_key(|span| (span.begins(), *span));
            let Some(oldest) = oldest else { return };
            self.move_into(oldest, Span::Earlier);
            self.weigh();
        }
    }

    fn move_into(&mut self, from: Span, to: Span) {
        let Some(page) = self.pages.remove(&from) else { return };
        self.pages.entry(to).or_default().add(page, to.rows_max());
        self.changed.extend([from, to]);
    }

    fn weigh(&mut self) {
        self.bytes = self.pages.values().map(Page::bytes).sum();
    }
}

/// How an execution ended, without its numbers.
impl From<&Outcome> for Ended {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Completed,
            Outcome::Exited(_) => Self::Exited,
            Outcome::Trapped(_) => Self::Trapped,
            Outcome::OutOfFuel => Self::OutOfFuel,
            Outcome::OutputTooLarge => Self::OutputTooLarge,
            Outcome::BadModule => Self::BadModule,
            Outcome::Refused(_) => Self::Refused,
            Outcome::StackOverflow => Self::StackOverflow,
            Outcome::OutOfMemory => Self::OutOfMemory,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Killed => Self::Killed,
        }
    }
}
