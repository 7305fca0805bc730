//! [`JobVerdict`]: the decision over one job's receipts, and the certificate inside.
//!
//! Guarantees: names the leases whose receipts support it, so that anyone with the Log recomputes it. Deliberately lacks the
//! receipts: they stand in the Log's pages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bounded::{Bytes, List, Name, Text};
use crate::content::Content;
use crate::experiment::EXECUTIONS_MAX;
use crate::receipt::{LeaseNumber, Outcome};

/// Receipts of one job that a verdict may name: every execution wanted, and as many again that failed.
pub const VERDICT_RECEIPTS_MAX: usize = 2 * EXECUTIONS_MAX as usize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobVerdict {
    pub index: u64,
    pub decision: Decision,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// A pure job: that many receipts give exactly the same answer.
    Agreed { canonical: Canonical, certificate: Leases, against: Leases },
    /// A pure job: that many receipts say that it failed, and all in the same way.
    Failed { canonical: Canonical, certificate: Leases, against: Leases },
    /// A measurement: what each stratum says, those with the most clusters first.
    Measured { strata: List<Stratum, STRATA_MAX>, unusable: Leases },
    /// Everything allowed was tried without agreement.
    Undecided { groups: u32, receipts: Leases },
    /// The deadline or a cancellation came first; what there was is kept.
    Expired { receipts: Leases },
}

impl Decision {
    /// What enough receipts of a pure job say, whether they answer or fail; the leases of those receipts, and of those that say otherwise.
    #[must_use]
    pub fn agreement(&self) -> Option<(&Canonical, &Leases, &Leases)> {
        match self {
            Self::Agreed { canonical, certificate, against } | Self::Failed { canonical, certificate, against } => {
                Some((canonical, certificate, against))
            }
            Self::Measured { .. } | Self::Undecided { .. } | Self::Expired { .. } => None,
        }
    }
}

pub type Leases = List<LeaseNumber, VERDICT_RECEIPTS_MAX>;

/// What agreeing receipts of a pure job say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canonical {
    pub outcome: Outcome,
    pub output: Option<Content>,
    pub fuel: u64,
}

/// Most strata in one verdict: regions of the world with room.
pub const STRATA_MAX: usize = 32;
/// Most different answers kept per stratum; the rest are counted together.
pub const GROUPS_MAX: usize = 16;
/// Bytes of all `exact` fields in one verdict. Groups that do not fit are left out, like those beyond [`GROUPS_MAX`]: 256 long values.
pub const VERDICT_EXACT_BYTES_MAX: usize = 256 << 10;

/// Receipts from stations that one would expect to see the same, like one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// The value of the stations' `region` label; none where they have none.
    pub region: Option<Name>,
    /// Answers first, and the largest group first.
    pub groups: List<Group, GROUPS_MAX>,
    /// Whether the first group is an answer and holds more than half of the stratum's clusters.
    pub certified: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub outcome: Outcome,
    /// Each `exact` field with the canonical DAG-CBOR of its value; a field the output lacks is absent.
    pub exact: BTreeMap<Text<64>, Bytes<EXACT_BYTES_MAX>>,
    pub receipts: Leases,
}

/// Longest value of an `exact` field; longer ones are replaced by their CID.
pub const EXACT_BYTES_MAX: usize = 256;
