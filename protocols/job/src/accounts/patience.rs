//! How long those are borne who go on although they are refused.
//!
//! Guarantees: patience is of one payer, never of several, whatever purse it pays from: who keeps to its rate is borne for ever, even where
//! others have used up what it shares with them. It is as large as a share, ends once, and is whole again after the time that a share
//! takes. Memory is bounded: of those without a purse of their own the ones refused last are remembered. Deliberately lacks what follows.

use std::collections::BTreeMap;

use super::Who;
use super::bucket::Bucket;
use super::shares::{Charge, Share};
use crate::time::Time;

/// Payers without a purse of their own whose patience is remembered: more than may be connected at once, so that nobody
/// who is connected is forgotten for others.
pub const SUFFERED_MAX: usize = 1_024;

/// Whether the end of the patience with a payer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    NotYet,
    Now,
    Before,
}

/// How much may still be refused, and whether it once was more.
#[derive(Clone, Copy, Debug)]
struct Forbearance {
    left: Bucket,
    share: Share,
    ended: bool,
}

/// The patience with one payer, for each kind of charge. What was never used is whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    left: BTreeMap<Charge, Forbearance>,
}

impl Patience {
    /// `amount` more is refused. Patience ends once, however much of what was under way follows, until it is whole again.
    pub(super) fn bear(&mut self, charge: Charge, share: Share, amount: u64, now: Time) -> Reached {
        let patience = self.left.entry(charge).or_insert_with(|| Forbearance { left: Bucket::full(share, now), share, ended: false });
        patience.share = share;
        patience.ended &= !patience.left.is_full(share, now);
        if patience.left.has(share, amount, now) {
            patience.left.take(amount);
            return Reached::NotYet;
        }
        if std::mem::replace(&mut patience.ended, true) { Reached::Before } else { Reached::Now }
    }

    /// Drops what is whole again. Whether nothing is left to be remembered.
    pub(super) fn is_whole(&mut self, now: Time) -> bool {
        self.left.retain(|_, patience| !patience.left.is_full(patience.share, now));
        self.left.is_empty()
    }
}

#[derive(Clone, Debug)]
struct Sufferer {
    refused_at: Time,
    patience: Patience,
}

/// The patience with those who share a purse.
#[derive(Clone, Debug, Default)]
pub(super) struct Sufferance {
    payers: BTreeMap<Who, Sufferer>,
}

impl Sufferance {
    /// As [`Patience::bear`].
    pub(super) fn bear(&mut self, who: Who, charge: Charge, share: Share, amount: u64, now: Time) -> Reached {
        if self.payers.len() >= SUFFERED_MAX && !self.payers.contains_key(&who) {
            self.make_room(now);
        }
        let payer = self.payers.entry(who).or_insert_with(|| Sufferer { refused_at: now, patience: Patience::default() });
        payer.refused_at = payer.refused_at.max(now);
        payer.patience.bear(charge, share, amount, now)
    }

    pub(super) fn len(&self) -> usize {
        self.payers.len()
    }

    /// Forgets those who are borne as at the beginning.
    pub(super) fn sweep(&mut self, now: Time) {
        self.payers.retain(|_, payer| !payer.patience.is_whole(now));
    }

    /// Forgets those who are borne as at the beginning, or else who was refused longest ago. A new payer has to connect first, which is bounded.
    fn make_room(&mut self, now: Time) {
        self.sweep(now);
        if self.payers.len() >= SUFFERED_MAX
            && let Some(who) = self.payers.iter().min_by_key(|(_, payer)| payer.refused_at).map(|(who, _)| *who)
        {
            self.payers.remove(&who);
        }
    }
}
