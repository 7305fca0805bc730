//! [`Sparing`]: how often something may be said about one thing: once a second, with how many times it was not said.
//!
//! What strangers cause must not fill the operator's log, however fast they cause it. Guarantees: about one thing at most one word a second;
//! what was left out is counted, and told once, with the next word about that thing or with any other that comes later; memory is bounded.
//! Deliberately lacks words and the clock: whoever writes asks first, and brings the time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tokio::time::Instant;

/// How often something is said about one thing.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// Things remembered: more than a station has connections. Further ones share one place.
const THINGS_MAX: usize = 1_024;

/// When something was said last, and how often it was not said since.
#[derive(Clone, Copy, Debug)]
struct Said {
    at: Instant,
    left_out: u64,
}

/// How often something was not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut<K> {
    /// About what; nothing where it was about several things that had no place of their own.
    pub(crate) about: Option<K>,
    pub(crate) times: u64,
}

#[derive(Debug)]
pub(crate) struct Sparing<K> {
    things: BTreeMap<K, Said>,
    /// All that there was no place for.
    others: Option<Said>,
}

impl<K> Default for Sparing<K> {
    fn default() -> Self {
        Self { things: BTreeMap::new(), others: None }
    }
}

impl<K: Ord + Clone> Sparing<K> {
    /// Whether something may be said about `thing` now: then what was not said since the last time, about it or about all that share its place.
    pub(crate) fn say(&mut self, thing: K, now: Instant) -> Option<LeftOut<K>> {
        if !self.things.contains_key(&thing) && self.things.len() >= THINGS_MAX {
            self.things.retain(|_, said| said.left_out > 0 || now.saturating_duration_since(said.at) < EVERY);
        }
        let has_room = self.things.len() < THINGS_MAX;
        let first = Said { at: now, left_out: 0 };
        let (about, said) = match self.things.entry(thing) {
            Entry::Occupied(entry) => (Some(entry.key().clone()), entry.into_mut()),
            Entry::Vacant(entry) if has_room => {
                let about = Some(entry.key().clone());
                entry.insert(first);
                return Some(LeftOut { about, times: 0 });
            }
            Entry::Vacant(_) => match &mut self.others {
                Some(others) => (None, others),
                None => {
                    self.others = Some(first);
                    return Some(LeftOut { about: None, times: 0 });
                }
            },
        };
        if now.saturating_duration_since(said.at) < EVERY {
            said.left_out = said.left_out.saturating_add(1);
            return None;
        }
        Some(LeftOut { about, times: std::mem::replace(said, first).left_out })
    }

    /// What was not said about up to `most` things of which nothing was said for a second. It is told once, which is a word about them.
    pub(crate) fn owed(&mut self, most: usize, now: Instant) -> Vec<LeftOut<K>> {
        let is_over = |said: &Said| said.left_out > 0 && now.saturating_duration_since(said.at) >= EVERY;
        let own = self.things.iter_mut().map(|(thing, said)| (Some(thing), said));
        let all = own.chain(self.others.iter_mut().map(|said| (None, said)));
        let over = all.filter(|(_, said)| is_over(said)).take(most);
        over.map(|(thing, said)| {
            let times = std::mem::replace(said, Said { at: now, left_out: 0 }).left_out;
            LeftOut { about: thing.cloned(), times }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
