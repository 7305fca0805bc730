//! The end of a guest's log, as far as it travels with a receipt.
//!
//! Guarantees: a cut is at the beginning of a character and shows. Deliberately lacks any judgement of what a guest wrote.

use crate::bounded::Bytes;
use crate::receipt::LOG_BYTES_MAX;

/// Stands for what was left out before the end of a log.
const LEFT_OUT: &[u8] = "…".as_bytes();

/// The last bytes of a log, as many as may travel and fit into `room`, from the beginning of a character on. None of an empty one.
pub(super) fn end_of_log(log: &[u8], room: usize) -> Option<Bytes<LOG_BYTES_MAX>> {
    let most = room.min(LOG_BYTES_MAX);
    let end = if log.len() <= most {
        log.to_vec()
    } else {
        let from = log.len() - most.checked_sub(LEFT_OUT.len())?;
        // Only where it is cut: what stands at the beginning is the guest's own.
        let within = log[from..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count().min(3);
        [LEFT_OUT, &log[from + within..]].concat()
    };
    if end.is_empty() { None } else { Bytes::new(end).ok() }
}
