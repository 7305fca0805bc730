//! Envelopes per second on one core, beside bare Ed25519 verifications of the same run.

use std::time::Instant;

use ed25519_dalek::{Signer, SigningKey as DalekKey};
use station_protocol::bounded::{Name, Text};
use station_protocol::content::cid_of;
use station_protocol::receipt::{Isolation, Outcome, RECEIPT_BYTES_MAX, Receipt};
use station_protocol::{Content, Signed, SigningKey, codec};

use super::figures::{Anchor, Report, median};

/// Different envelopes, so that nothing is answered from a cache.
const ENVELOPES: usize = 256;

pub(crate) fn measure(short: bool, report: &mut Report) {
    let (runs, rounds) = if short { (1, 4) } else { (5, 40) };
    let network = Name::new("bench").expect("a name");
    let key = SigningKey::from_bytes(&[7; 32]);
    let envelopes: Vec<Vec<u8>> = (0..ENVELOPES as u64).map(|lease| codec::encode(&key.sign(&network, receipt(lease, &key)))).collect();
    let envelope_rate = || {
        per_second(rounds * ENVELOPES, || {
            for bytes in envelopes.iter().cycle().take(rounds * ENVELOPES) {
                let signed: Signed<Receipt> = codec::decode(bytes, RECEIPT_BYTES_MAX).expect("our own envelope");
                signed.verify(&network).expect("our own signature");
            }
        })
    };
    let bare = DalekKey::from_bytes(&[9; 32]);
    let signatures: Vec<([u8; 32], ed25519_dalek::Signature)> =
        (0..ENVELOPES as u64).map(|n| station_protocol::content::sha256(&[&n.to_be_bytes()])).map(|message| (message, bare.sign(&message))).collect();
    let verifying = bare.verifying_key();
    let bare_rate = || {
        per_second(rounds * ENVELOPES, || {
            for (message, signature) in signatures.iter().cycle().take(rounds * ENVELOPES) {
                verifying.verify_strict(message, signature).expect("our own signature");
            }
        })
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        with.push(envelope_rate());
        without.push(bare_rate());
    }
    let anchor = Anchor { name: "ed25519_verify_per_s".into(), value: median(&without).round() };
    report.add_beside("envelopes_per_s", median(&with).round(), "1/s", None, runs, anchor);
    report.add("ed25519_verify_per_s", median(&without).round(), "1/s", None, runs);
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_second(count: usize, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    count as f64 / begun.elapsed().as_secs_f64()
}

fn receipt(lease: u64, key: &SigningKey) -> Receipt {
    Receipt {
        experiment: cid_of(station_protocol::content::DAG_CBOR, b"experiment"),
        index: lease,
        lease,
        node: key.node(),
        profile: Name::new("station-wasm-2").expect("a name"),
        isolation: Isolation::Full,
        outcome: Outcome::Completed,
        output: Some(Content::raw(&lease.to_be_bytes())),
        transcript: None,
        fuel: 1_000_000 + lease,
        started_ms: 12,
        duration_ms: 34,
        software: Text::cut("station/0.1.0"),
    }
}
