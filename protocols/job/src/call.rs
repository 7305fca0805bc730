//! [`Call`]: the requester's signed, renewable invitation to an experiment, and the stateless check every station makes.
//!
//! Guarantees: [`check`] depends on the bytes, the topic and the network alone, so honest stations of one version never disagree
//! about Reject. Deliberately lacks clock, policy and quota: those only Ignore, and live in [`crate::worker`].

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::bounded::{List, Name};
use crate::codec::{self, DecodeError};
use crate::experiment::{DEADLINE_MS_MAX, Experiment, ExperimentError, ExperimentId};
use crate::identity::{Body, Signed};
use crate::time::{MINUTE, SECOND, Time};

#[cfg(test)]
mod tests;

/// Largest Call on the wire: small enough that gossip stays cheap, with room for 8 addresses and a dozen targets.
pub const CALL_BYTES_MAX: usize = 4 << 10;
/// Longest validity of one Call; later news needs a higher `seq`.
pub const CALL_VALID_MS_MAX: u64 = 10 * MINUTE;
/// Clock difference between honest machines that is forgiven.
pub const CLOCK_TOLERANCE_MS: u64 = 30 * SECOND;
/// Most addresses in a Call.
pub const CALL_ADDRESSES_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub experiment: Signed<Experiment>,
    /// Highest wins; of one `seq` the first body counts, and others that say something else are proof against their author.
    pub seq: u64,
    pub state: CallState,
    /// A station is sampled if its hash fraction is at most this; `u64::MAX` is everybody.
    pub claim_below: u64,
    /// Distinct claiming clusters that are enough.
    pub wanted: u32,
    /// Where to reach the requester, best first.
    pub at: List<Address, CALL_ADDRESSES_MAX>,
    pub nbf: Time,
    pub exp: Time,
}

impl Body for Call {
    const KIND: &'static str = "call/1";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CallState {
    Open,
    Closed {
        /// Root of the Log.
        log: Cid,
    },
}

impl Call {
    #[must_use]
    pub fn id(&self) -> ExperimentId {
        self.experiment.body.id()
    }

    /// Whether both say the same of the same experiment under one `seq`. How long they are valid and how many the requester wants are
    /// circumstances: whoever crashed between signing and storing may state them anew, and gains nothing. Where it is belongs to what is
    /// said: two machines that go on with one key differ in that.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let (nbf, exp) = (other.nbf, other.exp);
        *other == Self { nbf, exp, wanted: other.wanted, ..self.clone() }
    }

    /// The experiment's deadline, never later than the rules allow: records on disk may be of times that allowed more.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.experiment.body.deadline.min(self.nbf.plus(DEADLINE_MS_MAX))
    }
}

/// Why bytes on a Calls topic are not a Call. Every variant is a reason to Reject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the Call's signature does not match")]
    CallSignature,
    #[error("the experiment's signature does not match")]
    ExperimentSignature,
    #[error("its author is not the experiment's requester")]
    Author,
    #[error("it belongs to another network or topic")]
    Elsewhere,
    #[error("it is valid longer than {CALL_VALID_MS_MAX} ms, or never")]
    Validity,
    #[error("an address does not lead to the requester")]
    Address,
    #[error("its experiment is not one: {0}")]
    Experiment(#[from] ExperimentError),
}

/// Decodes and checks a Call that came on `topic` of `network`.
pub fn check(bytes: &[u8], network: &Name, topic: &Name) -> Result<Signed<Call>, CallError> {
    let call: Signed<Call> = codec::decode(bytes, CALL_BYTES_MAX)?;
    check_decoded(&call, network, topic)?;
    Ok(call)
}

/// The same for a Call that came decoded, inside an anti-entropy answer.
pub fn check_decoded(call: &Signed<Call>, network: &Name, topic: &Name) -> Result<(), CallError> {
    // One that came inside an answer had the whole frame, and is told and kept like one that was gossiped.
    let bytes = codec::encode(call).len();
    if bytes > CALL_BYTES_MAX {
        return Err(DecodeError::TooLarge { bytes, max: CALL_BYTES_MAX }.into());
    }
    let experiment = &call.body.experiment.body;
    if call.author != experiment.requester || call.body.experiment.author != experiment.requester {
        return Err(CallError::Author);
    }
    if experiment.network != *network || experiment.topic != *topic {
        return Err(CallError::Elsewhere);
    }
    if call.body.exp <= call.body.nbf || call.body.exp.since(call.body.nbf) > CALL_VALID_MS_MAX {
        return Err(CallError::Validity);
    }
    if call.body.at.iter().any(|address| address.node() != call.author) {
        return Err(CallError::Address);
    }
    experiment.check_called(call.body.nbf)?;
    call.verify(network).map_err(|_| CallError::CallSignature)?;
    call.body.experiment.verify(network).map_err(|_| CallError::ExperimentSignature)?;
    Ok(())
}
