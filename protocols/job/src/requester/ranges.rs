//! [`Ranges`]: a set of numbers kept as the ranges it consists of.
//!
//! Guarantees: memory in proportion to the gaps, not to the numbers; every operation is logarithmic in the gaps. Deliberately
//! lacks removal: what is settled or held stays so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Disjoint, non-adjacent ranges: first number → one past the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Ranges {
    ranges: BTreeMap<u64, u64>,
    count: u64,
}

impl Ranges {
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// The first number from `from` on that is not in the set.
    #[must_use]
    pub fn next_gap(&self, from: u64) -> u64 {
        self.ranges.range(..=from).next_back().map_or(from, |(_, end)| from.max(*end))
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds `number`; false when it was there already.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) || number == u64::MAX {
            return false;
        }
        let (mut start, mut end) = (number, number + 1);
        if let Some((before, _)) = self.ranges.range(..=number).next_back().filter(|(_, last)| **last == number) {
            start = *before;
        }
        if let Some(last) = self.ranges.remove(&end) {
            end = last;
        }
        self.ranges.insert(start, end);
        self.count += 1;
        true
    }

    /// Adds every number of `other`.
    pub fn absorb(&mut self, other: &Self) {
        for (start, end) in other.iter() {
            let inside = self.ranges.range(start..end).next().is_some();
            if inside || self.contains(start) {
                (start..end).for_each(|number| _ = self.insert(number));
                continue;
            }
            // The usual case, a whole new range, costs one step however long it is.
            let before = self.ranges.range(..start).next_back().filter(|(_, last)| **last == start).map(|(first, _)| *first);
            let last = self.ranges.remove(&end).unwrap_or(end);
            self.ranges.insert(before.unwrap_or(start), last);
            self.count += end - start;
        }
    }

    /// The ranges as (first, one past the last).
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(start, end)| (*start, *end))
    }
}

impl From<Vec<(u64, u64)>> for Ranges {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let count = pairs.iter().map(|(start, end)| end.saturating_sub(*start)).sum();
        Self { ranges: pairs.into_iter().collect(), count }
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.ranges.into_iter().collect()
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut all = Self::default();
        for number in numbers {
            all.insert(number);
        }
        all
    }
}

#[cfg(test)]
mod tests;
