//! Two times: a station's own, which only runs, and the world's, which people and time servers set.
//!
//! Guarantees: what is waited for and what a lease lasts is counted in own time, so that a set clock moves neither; what stands in
//! messages is world time. A single machine, or many keys in one network, cannot make a station say that its clock is wrong.
//! Deliberately lacks reading a clock, and setting one: a station follows its machine's clock and says when its peers have another.

use std::collections::BTreeMap;

use crate::call::CLOCK_TOLERANCE_MS;
use crate::cluster::Cluster;
use crate::identity::NodeId;
use crate::time::{SECOND, Time};

#[cfg(test)]
mod tests;

/// Smaller differences are left: two readings are never of one moment, and nothing depends on a second.
pub const STEP_MS_MIN: u64 = SECOND;
/// From here on a difference to others is said: half of what is forgiven, for the other's clock may be off by the other half.
pub const APART_MS_MIN: u64 = CLOCK_TOLERANCE_MS / 2;
/// Networks whose clocks are known before anything is said of the own one: one is anybody's word.
pub const WITNESSES_MIN: usize = 2;
/// Peers whose time is remembered: more than a station is connected to.
pub const WITNESSES_MAX: usize = 1_024;

/// How far one clock is ahead of another, in milliseconds; negative: behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shift(i64);

impl Shift {
    /// How far `theirs` is ahead of `ours`.
    #[must_use]
    pub fn between(ours: Time, theirs: Time) -> Self {
        let ahead = i128::from(theirs.0) - i128::from(ours.0);
        let most = i128::from(i64::MAX);
        Self(i64::try_from(ahead.clamp(-most, most)).unwrap_or_default())
    }

    #[must_use]
    pub fn ms(self) -> i64 {
        self.0
    }

    /// The same moment by the clock that is ahead.
    #[must_use]
    pub fn theirs(self, ours: Time) -> Time {
        Time(ours.0.saturating_add_signed(self.0))
    }

    /// The same moment by the clock that this one is ahead of.
    #[must_use]
    pub fn ours(self, theirs: Time) -> Time {
        Time(theirs.0.saturating_add_signed(-self.0))
    }
}

/// Follows the machine's clock, as far as it leaves the station's own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Follow {
    shift: Shift,
}

impl Follow {
    /// How far the world's time is ahead of own time.
    #[must_use]
    pub fn shift(&self) -> Shift {
        self.shift
    }

    /// The machine says `system` when own time is `own`. By how many milliseconds the world's time stepped, if it did: the machine slept,
    /// or its clock was set.
    pub fn look(&mut self, own: Time, system: Time) -> Option<i64> {
        let by = Shift::between(self.shift.theirs(own), system).ms();
        if by.unsigned_abs() < STEP_MS_MIN {
            return None;
        }
        self.shift = Shift::between(own, system);
        Some(by)
    }
}

/// What is known of the own clock beside those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    /// How far the others are ahead, in milliseconds: the median of those who agree.
    pub ahead_ms: i64,
    /// How many connected peers say so.
    pub peers: usize,
    /// How many connected peers told their time.
    pub of: usize,
}

/// The clocks of connected peers beside the own one.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    told: BTreeMap<NodeId, (Cluster, Shift)>,
}

impl Witnesses {
    /// The connected `node`, seen in `near`, said `theirs` when own time was `own`.
    pub fn told(&mut self, node: NodeId, near: Cluster, own: Time, theirs: Time) {
        if self.told.len() < WITNESSES_MAX || self.told.contains_key(&node) {
            self.told.insert(node, (near, Shift::between(own, theirs)));
        }
    }

    /// `node` is connected no longer.
    pub fn gone(&mut self, node: &NodeId) {
        self.told.remove(node);
    }

    /// Whether more than half of the networks of those who told their time are apart from this station's world time, all on one side.
    /// `shift`: how far that is ahead of own time.
    #[must_use]
    pub fn apart(&self, shift: Shift) -> Option<Apart> {
        let ahead = |theirs: Shift| theirs.ms().saturating_sub(shift.ms());
        let mut networks: BTreeMap<Cluster, Vec<i64>> = BTreeMap::new();
        for (near, theirs) in self.told.values() {
            networks.entry(*near).or_default().push(ahead(*theirs));
        }
        if networks.len() < WITNESSES_MIN {
            return None;
        }
        let (least, of) = (i64::try_from(APART_MS_MIN).unwrap_or(i64::MAX), self.told.len());
        // One word a network, however many keys are in it.
        let words: Vec<i64> = networks.into_values().filter_map(median).collect();
        let said = |says: &dyn Fn(i64) -> bool| {
            let agree: Vec<i64> = words.iter().copied().filter(|word| says(*word)).collect();
            let most = 2 * agree.len() > words.len();
            let peers = self.told.values().filter(|(_, theirs)| says(ahead(*theirs))).count();
            median(agree).filter(|_| most).map(|ahead_ms| Apart { ahead_ms, peers, of })
        };
        said(&|word| word >= least).or_else(|| said(&|word| word <= -least))
    }
}

/// The middle one; of two the one nearer to zero, so that nothing is overstated.
fn median(mut all: Vec<i64>) -> Option<i64> {
    all.sort_unstable();
    let last = all.len().checked_sub(1)?;
    let middle = [all.get(last / 2), all.get(last.div_ceil(2))].into_iter().flatten();
    middle.min_by_key(|ms| ms.unsigned_abs()).copied()
}
