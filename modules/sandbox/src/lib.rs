//! Runs Wasm in sandboxed worker processes, one step at a time.
//!
//! (Seam; the owner of this crate rewrites this header.)

use station_protocol::receipt::Outcome;

/// What one run gets.
#[derive(Clone, Debug)]
pub struct Load {
    /// Standard input.
    pub input: Vec<u8>,
    pub fuel: u64,
    pub memory_bytes: u64,
    pub wall_ms: u64,
    pub output_bytes: u64,
    /// `Some(seed)` for a pure job: no clock but a constant, entropy from the seed alone. `None`: real clock and entropy.
    pub pure: Option<[u8; 32]>,
}

/// What the guest did next.
#[derive(Clone, Debug)]
pub enum Step {
    Call(HostCall),
    Done(Done),
}

/// One call of a `station_v1` import. Handles are numbers the host gave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCall {
    /// Begin an operation; answered with a handle or a negative errno.
    Submit {
        op: String,
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
        bytes: Vec<u8>,
    },
}

/// The host's answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Number(i32),
    Bytes(Vec<u8>),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub outcome: Outcome,
    pub output: Vec<u8>,
    /// Standard error, cut.
    pub log: Vec<u8>,
    pub fuel: u64,
}
