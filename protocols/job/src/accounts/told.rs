//! What is told, and what it costs whoever tells it: Calls and records, before anybody looks at their signatures.
//!
//! Guarantees: there is one price for each, wherever it is told, and one place where it is paid, which is where messages come in: the
//! machines verify what was paid for and charge nothing themselves, so that nobody has a budget at each door. Deliberately lacks the
//! accounts: whoever has them says what is paid.

use super::Charge;
use crate::bounded::List;
use crate::work::Response;

/// A Call's: its author's, and the experiment's. On gossip it is a message beside that, and what is told there has shares of its own.
pub const CALL_SIGNATURES: u64 = 2;
/// A Call in an answer.
const CALL: [(Charge, u64); 2] = [(Charge::Calls, 1), (Charge::Signatures, CALL_SIGNATURES)];
/// A record in an answer.
const RECORD: [(Charge, u64); 2] = [(Charge::Records, 1), (Charge::Signatures, 1)];

/// What of `answer` is paid for: all before the first part that `pays` refuses. The rest is told again to whoever asks again. Of other
/// answers a station gets one for each question that it asks.
pub fn paid(answer: Response, mut pays: impl FnMut(Charge, u64) -> bool) -> Response {
    let mut is_paid = |price: [(Charge, u64); 2]| price.into_iter().all(|(charge, amount)| pays(charge, amount));
    match answer {
        Response::Calls { calls } => Response::Calls { calls: List::first(calls.into_vec().into_iter().take_while(|_| is_paid(CALL))) },
        Response::Peers { records, time } => {
            Response::Peers { time, records: List::first(records.into_vec().into_iter().take_while(|_| is_paid(RECORD))) }
        }
        other => other,
    }
}
