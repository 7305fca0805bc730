//! A level that rises with time and falls by what is paid, counted in parts so small that no millisecond is lost.

use super::shares::Share;
use crate::time::{MINUTE, Time};

/// One unit, in the parts that a rate of one a minute adds in a millisecond.
const UNIT: i128 = MINUTE as i128;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// In parts of a unit. Below zero only by what was owed.
    parts: i128,
    at: Time,
}

impl Bucket {
    pub(super) fn full(share: Share, now: Time) -> Self {
        Self { parts: top(share), at: now }
    }

    /// Time passes. One that runs backwards adds nothing, and is not counted a second time when it comes again.
    pub(super) fn rise(&mut self, share: Share, now: Time) {
        let gained = i128::from(now.since(self.at)) * i128::from(share.per_minute);
        self.parts = (self.parts + gained).min(top(share));
        self.at = self.at.max(now);
    }

    pub(super) fn has(&mut self, share: Share, amount: u64, now: Time) -> bool {
        self.rise(share, now);
        self.parts >= i128::from(amount) * UNIT
    }

    /// After [`Bucket::has`].
    pub(super) fn take(&mut self, amount: u64) {
        self.parts -= i128::from(amount) * UNIT;
    }

    pub(super) fn give(&mut self, share: Share, amount: u64) {
        self.parts = (self.parts + i128::from(amount) * UNIT).min(top(share));
    }

    pub(super) fn owe(&mut self, share: Share, amount: u64) {
        self.parts = (self.parts - i128::from(amount) * UNIT).max(-top(share));
    }

    pub(super) fn is_full(&mut self, share: Share, now: Time) -> bool {
        self.rise(share, now);
        self.parts >= top(share)
    }
}

fn top(share: Share) -> i128 {
    i128::from(share.burst) * UNIT
}
