//! Signatures found good before, for a process that is many stations.
//!
//! A simulated mesh verifies one Call a thousand times over. Guarantees: off until [`remember`] is called, on the calling thread alone;
//! only good signatures are remembered, under a hash of all that was signed; at most as many as were asked for. Deliberately lacks any
//! effect but speed.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use crate::content::sha256;

#[derive(Debug)]
struct Memo {
    max: usize,
    known: BTreeSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

thread_local! {
    static MEMO: RefCell<Option<Memo>> = const { RefCell::new(None) };
}

/// From now on this thread remembers its last `max` good signatures.
pub fn remember(max: usize) {
    MEMO.set(Some(Memo { max, known: BTreeSet::new(), order: VecDeque::new() }));
}

/// Whether the signature over `parts` is good: as remembered, or as `check` says.
pub(super) fn verified(parts: &[&[u8]], check: impl FnOnce() -> bool) -> bool {
    MEMO.with_borrow_mut(|memo| {
        let Some(memo) = memo else { return check() };
        let hash = sha256(parts);
        if memo.known.contains(&hash) {
            return true;
        }
        let good = check();
        if good {
            memo.known.insert(hash);
            memo.order.push_back(hash);
            if memo.order.len() > memo.max
                && let Some(first) = memo.order.pop_front()
            {
                memo.known.remove(&first);
            }
        }
        good
    })
}
