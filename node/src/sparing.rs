//! [`Sparing`]: how often something may be said about one thing: once a second, with how many times it was not said.
//!
//! What strangers cause must not fill the operator's log, however fast they cause it. Guarantees: about one thing at most one word a second;
//! what was left out is counted, and told with the next word about that thing or with any other that comes later; memory is bounded.
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

impl<K: Ord> Sparing<K> {
    /// Whether something may be said about `thing` now: then how often it was not said since the last time.
    pub(crate) fn say(&mut self, thing: K, now: Instant) -> Option<u64> {
        if !self.things.contains_key(&thing) && self.things.len() >= THINGS_MAX {
            self.things.retain(|_, said| said.left_out > 0 || now.saturating_duration_since(said.at) < EVERY);
        }
        let has_room = self.things.len() < THINGS_MAX;
        let said = match self.things.entry(thing) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if has_room => {
                entry.insert(Said { at: now, left_out: 0 });
                return Some(0);
            }
            Entry::Vacant(_) => match &mut self.others {
                Some(others) => others,
                None => {
                    self.others = Some(Said { at: now, left_out: 0 });
                    return Some(0);
                }
            },
        };
        if now.saturating_duration_since(said.at) < EVERY {
            said.left_out = said.left_out.saturating_add(1);
            return None;
        }
        Some(std::mem::replace(said, Said { at: now, left_out: 0 }).left_out)
    }

    /// Of up to `most` things about which nothing was said for a second, how often it was not said: each is told once, and forgotten.
    pub(crate) fn owed(&mut self, most: usize, now: Instant) -> Vec<(K, u64)>
    where
        K: Clone,
    {
        let is_over = |said: &Said| said.left_out > 0 && now.saturating_duration_since(said.at) >= EVERY;
        let over: Vec<K> = self.things.iter().filter(|(_, said)| is_over(said)).map(|(thing, _)| thing.clone()).take(most).collect();
        over.into_iter()
            .filter_map(|thing| {
                let said = self.things.get_mut(&thing)?;
                let left_out = std::mem::replace(said, Said { at: now, left_out: 0 }).left_out;
                Some((thing, left_out))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
