//! Stations that misbehave: real nodes with one seam wrapped, and small swarms of libp2p's own parts where no seam would do.
//!
//! | who | what is wrapped |
//! |---|---|
//! | workers: wrong result, collusion, lazy, copy, withhold, late | the engine ([`engine::Dishonest`]) |
//! | workers: equivocation | a twin: a second real node with the same key and another engine |
//! | workers: ground ids | a real node that starts again with a key searched for within a Call's life ([`grind`]) |
//! | requesters: refuse to settle | the store ([`requester::Unsettling`]) |
//! | requesters: contradiction | a twin: a second real node on a copy of the first one's disk |
//! | requesters: flood of Calls from fresh keys | a swarm of its own ([`mesh::Attacker`]) |
//! | mesh: sybil, eclipse, cold boot, censor, covert flash, flipped signatures, IHAVE spam, nonsense | the same |
//! | strangers: leases without end, ground records, Calls that name others' machines | the same, which answers the `work` protocol too |
//! | strangers: modules that are dear to compile | the same, which serves them too |
//!
//! Guarantees: what an actor does depends on its seed and on what it is shown, never on the order of its tasks. Deliberately lacks
//! any knowledge of the world that a real attacker would not have.

pub mod engine;
pub mod grind;
pub mod mesh;
pub mod requester;
