//! Attackers of the mesh: what each does, and whom it dials.
//!
//! | in the scenario | what it does | whom it dials |
//! |---|---|---|
//! | `sybil` | forwards nothing | drawn ones |
//! | `eclipse` | forwards nothing | its victims, all of them |
//! | `cold_boot` | forwards nothing, from the first moment on | drawn ones |
//! | `censor` | forwards all but what one requester says | drawn ones |
//! | `covert_flash` | forwards until its time comes | drawn ones |
//! | `ihave_spam`, `nonsense`, `flip_signatures`, a requester's `flood` | see `actors::mesh` | drawn ones |
//! | `lying_requester`, `ground_census`, `address_weapons`, `compile_hogs` | the same | drawn ones |
//!
//! Guarantees: the draw depends on the seed and the attacker's name alone. Deliberately lacks attackers that know the mesh: whom a
//! stranger can dial is what it finds in the network file and hears from `Peers`, and that is anybody.

use std::time::Duration;

use super::index;
use crate::luck::Luck;
use crate::net::fabric::NodeIndex;
use crate::scenario::Scenario;
use crate::scenario::fault::Who;
use crate::scenario::group::Byzantine;
use crate::scenario::plan::{Origin, Station};
use crate::scenario::work::Misconduct;

/// Stations that an attacker dials: as many as it takes to hold the connections of an honest one, so that each costs its owner as much.
const TARGETS: usize = 20;

/// What an attacker does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    Sybil,
    Eclipse,
    ColdBoot,
    Censor {
        requesters: Vec<NodeIndex>,
    },
    CovertFlash {
        after: Duration,
    },
    FlipSignatures,
    IhaveSpam {
        per_second: u32,
    },
    /// With victims: the requesters that the Calls point at.
    Flood {
        every: Duration,
        victims: Vec<NodeIndex>,
    },
    Nonsense {
        per_second: u32,
    },
    LyingRequester {
        every: Duration,
    },
    GroundCensus {
        keys: u32,
    },
    CompileHogs {
        every: Duration,
        compile_ms: u64,
    },
}

impl How {
    /// As scenarios name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sybil => "sybil",
            Self::Eclipse => "eclipse",
            Self::ColdBoot => "cold_boot",
            Self::Censor { .. } => "censor",
            Self::CovertFlash { .. } => "covert_flash",
            Self::FlipSignatures => "flip_signatures",
            Self::IhaveSpam { .. } => "ihave_spam",
            Self::Flood { victims, .. } if victims.is_empty() => "flood",
            Self::Flood { .. } => "address_weapons",
            Self::Nonsense { .. } => "nonsense",
            Self::LyingRequester { .. } => "lying_requester",
            Self::GroundCensus { .. } => "ground_census",
            Self::CompileHogs { .. } => "compile_hogs",
        }
    }
}

/// How `station` attacks the mesh, and at whom; none when it is a station.
pub(super) fn of(scenario: &Scenario, drawn: &[Station], station: &Station) -> Option<(How, Vec<NodeIndex>)> {
    let all = |who: &Who| -> Vec<NodeIndex> { (0..drawn.len()).filter(|number| drawn[*number].is(who)).map(index).collect() };
    let how = how(&station.origin, all)?;
    let targets = match &station.origin {
        Origin::Group { byzantine: Some(Byzantine::Eclipse { victims }), .. } => all(&Who::Group(victims.clone())),
        _ => targets(scenario, drawn, station),
    };
    Some((how, targets))
}

fn how(origin: &Origin, all: impl Fn(&Who) -> Vec<NodeIndex>) -> Option<How> {
    let byzantine = match origin {
        Origin::Requester { byzantine: Some(Misconduct::Flood { calls }), .. } => {
            return Some(How::Flood { every: Duration::from_millis(calls.per_ms) / calls.count.max(1), victims: Vec::new() });
        }
        Origin::Group { byzantine: Some(byzantine), .. } => byzantine,
        Origin::Group { .. } | Origin::Requester { .. } => return None,
    };
    Some(match byzantine {
        Byzantine::Sybil {} => How::Sybil,
        Byzantine::Eclipse { .. } => How::Eclipse,
        Byzantine::ColdBoot {} => How::ColdBoot,
        Byzantine::Censor { requester } => How::Censor { requesters: all(&Who::Requester(requester.clone())) },
        Byzantine::CovertFlash { after } => How::CovertFlash { after: Duration::from_millis(after.0) },
        Byzantine::FlipSignatures {} => How::FlipSignatures,
        Byzantine::IhaveSpam { per_second } => How::IhaveSpam { per_second: *per_second },
        Byzantine::Nonsense { per_second } => How::Nonsense { per_second: *per_second },
        Byzantine::LyingRequester { every } => How::LyingRequester { every: Duration::from_millis(every.0) },
        Byzantine::GroundCensus { keys } => How::GroundCensus { keys: *keys },
        Byzantine::CompileHogs { every, compile } => How::CompileHogs { every: Duration::from_millis(every.0), compile_ms: compile.0 },
        Byzantine::AddressWeapons { every, victims } => {
            How::Flood { every: Duration::from_millis(every.0), victims: all(&Who::Requester(victims.clone())) }
        }
        Byzantine::WrongResult { .. }
        | Byzantine::Lazy { .. }
        | Byzantine::Copy { .. }
        | Byzantine::Collude { .. }
        | Byzantine::Withhold { .. }
        | Byzantine::Equivocate { .. }
        | Byzantine::Late { .. }
        | Byzantine::Grind {} => return None,
    })
}

/// Stations and requesters that are no attackers themselves.
fn targets(scenario: &Scenario, drawn: &[Station], attacker: &Station) -> Vec<NodeIndex> {
    let purpose = format!("targets of {}", attacker.name);
    let is_honest = |station: &Station| how(&station.origin, |_| Vec::new()).is_none();
    let mut order: Vec<(u64, usize)> = (0..drawn.len())
        .filter(|number| is_honest(&drawn[*number]))
        .map(|number| (Luck::new(scenario.run.seed, &purpose, &drawn[number].name).draw(), number))
        .collect();
    order.sort_unstable();
    order.into_iter().take(TARGETS).map(|(_, number)| index(number)).collect()
}
