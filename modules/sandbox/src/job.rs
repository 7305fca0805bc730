//! The seam types of one run: [`Load`] goes in, [`Step`]s come out, a [`Reply`] answers each [`HostCall`].
//!
//! Guarantees: every size a guest can choose has a bound here; the worker answers the guest with an errno beyond it, and the parent
//! ends a worker that sends more. Deliberately lacks what the operations mean.

use std::fmt;

use serde::{Deserialize, Serialize};
use station_protocol::receipt::Outcome;

/// Longest operation name: names are identifiers like `http.fetch`.
pub const OPERATION_BYTES_MAX: usize = 64;
/// Longest operation request: a URL with headers is far below it.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Most handles waited for at once: more than any station runs in parallel.
pub const HANDLES_MAX: usize = 64;
/// Most bytes one `read` returns, however large the guest's buffer is: bounds the frame.
pub const READ_BYTES_MAX: usize = 256 << 10;
/// Longest progress message: one line.
pub const MESSAGE_BYTES_MAX: usize = 256;
/// Largest checkpoint: one block.
pub const CHECKPOINT_BYTES_MAX: usize = 1 << 20;
/// Standard error kept: its end. What came before is dropped in silence, because a log is a courtesy and never a result.
pub const LOG_BYTES_MAX: usize = 16 << 10;

/// What one run gets.
#[derive(Clone, Debug)]
pub struct Load {
    /// Standard input.
    pub input: Vec<u8>,
    pub fuel: u64,
    pub memory_bytes: u64,
    /// From the start of the run to its end, host calls included.
    pub wall_ms: u64,
    pub output_bytes: u64,
    /// `Some(seed)` for a pure job: a clock that moves only by the guest's own sleeps, entropy from the seed alone. `None`: real clock
    /// and entropy.
    pub pure: Option<[u8; 32]>,
}

/// What the guest did next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Call(HostCall),
    Done(Done),
}

/// One call of a `station_v1` import. Handles are numbers the host gave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum HostCall {
    /// Begin an operation; answered with a handle or a negative errno.
    Submit {
        op: String,
        #[serde(with = "serde_bytes")]
        request: Vec<u8>,
    },
    /// Wait until one of the handles is ready; answered with its position, or a negative errno.
    Wait {
        handles: Vec<u32>,
        timeout_ms: u32,
    },
    /// Read up to `max` bytes of a ready handle's result; answered with bytes (none: the end), or a negative errno.
    Read {
        handle: u32,
        max: u32,
    },
    Close {
        handle: u32,
    },
    Progress {
        permille: u32,
        message: String,
    },
    Checkpoint {
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
}

/// The host's answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    Number(i32),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    pub outcome: Outcome,
    #[serde(with = "serde_bytes")]
    pub output: Vec<u8>,
    /// Standard error: the last [`LOG_BYTES_MAX`] bytes of it.
    #[serde(with = "serde_bytes")]
    pub log: Vec<u8>,
    /// Fuel used; all of it where the worker could not say.
    pub fuel: u64,
}

impl Done {
    /// An end that the worker did not report: nothing of it is known, so all the fuel is charged.
    pub(crate) fn unreported(outcome: Outcome, fuel: u64) -> Self {
        Self { outcome, output: Vec::new(), log: Vec::new(), fuel }
    }
}

impl fmt::Debug for Done {
    /// The log as text: it is what one wants to read when a test fails.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done")
            .field("outcome", &self.outcome)
            .field("output", &self.output)
            .field("log", &String::from_utf8_lossy(&self.log))
            .field("fuel", &self.fuel)
            .finish()
    }
}

impl HostCall {
    /// Whether a worker that keeps the rules could have sent this.
    pub(crate) fn is_bounded(&self) -> bool {
        match self {
            Self::Submit { op, request } => op.len() <= OPERATION_BYTES_MAX && request.len() <= REQUEST_BYTES_MAX,
            Self::Wait { handles, .. } => handles.len() <= HANDLES_MAX,
            Self::Read { max, .. } => *max as usize <= READ_BYTES_MAX,
            Self::Close { .. } => true,
            Self::Progress { message, .. } => message.len() <= MESSAGE_BYTES_MAX,
            Self::Checkpoint { bytes } => bytes.len() <= CHECKPOINT_BYTES_MAX,
        }
    }
}
