use super::*;
use crate::call::Call;
use crate::receipt::Receipt;
use serde::{Deserialize, Serialize};

/// The smallest body, of a kind of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note(u64);
impl Body for Note {
    const KIND: &'static str = "note/1";
}

/// The same bytes under another kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Other(u64);
impl Body for Other {
    const KIND: &'static str = "other/1";
}

fn network(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn signed() -> Signed<Note> {
    key().sign(&network("test"), Note(5))
}

#[test]
fn what_was_signed_verifies() {
    assert_eq!(signed().verify(&network("test")), Ok(()));
    assert_eq!(signed().author, key().node());
}

#[test]
fn each_single_bit_of_a_signature_matters() {
    for bit in 0..512 {
        let mut attacked = signed();
        attacked.signature.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(attacked.verify(&network("test")), Err(BadSignature), "bit {bit}");
    }
}

#[test]
fn each_single_bit_of_the_author_matters() {
    for bit in 0..256 {
        let mut attacked = signed();
        attacked.author.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(attacked.verify(&network("test")), Err(BadSignature), "bit {bit}");
    }
}

#[test]
fn a_signature_is_for_one_body_one_kind_and_one_network() {
    let Signed { body, author, signature } = signed();
    assert_eq!(Signed { body: Note(body.0 + 1), author, signature }.verify(&network("test")), Err(BadSignature));
    assert_eq!(Signed { body: Other(body.0), author, signature }.verify(&network("test")), Err(BadSignature));
    assert_eq!(signed().verify(&network("test2")), Err(BadSignature));
    assert_eq!(signed().verify(&network("tes")), Err(BadSignature));
}

#[test]
fn a_signature_that_adds_the_group_order_is_refused() {
    // s + L is the malleable twin of s: equal modulo L, so that a lax verifier takes both.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x10,
    ];
    let mut twin = signed();
    let mut carry = 0;
    for (byte, order) in twin.signature.0[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(twin.verify(&network("test")), Err(BadSignature));
}

/// The encodings of points of order 1, 2, 4 and 8, and non-canonical ones.
const SMALL_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

fn bytes32(hex: &str) -> [u8; 32] {
    std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
}

#[test]
fn keys_of_small_order_are_refused() {
    // With A of small order and s = 0, R = -k·A satisfies the lax equation for some of the points and any message.
    let mut lax = 0;
    for author in SMALL_ORDER.map(bytes32) {
        for r in SMALL_ORDER.map(bytes32) {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&r);
            let forged = Signed { body: Note(5), author: NodeId(author), signature: SignatureBytes(signature) };
            assert_eq!(forged.verify(&network("test")), Err(BadSignature));
            let key = VerifyingKey::from_bytes(&author).unwrap();
            let message = signed_bytes::<Note>(&network("test"), &codec::encode(&forged.body));
            lax += usize::from(ed25519_dalek::Verifier::verify(&key, &message, &Signature::from_bytes(&signature)).is_ok());
        }
    }
    assert!(lax > 0, "without strictness some of these are signatures on anything");
}

#[test]
fn the_signed_bytes_are_what_the_rule_says() {
    let expected = [&b"station\0note/1\0test\0"[..], &sha256(&[&codec::encode(&Note(5))])].concat();
    assert_eq!(signed_bytes::<Note>(&network("test"), &codec::encode(&Note(5))), expected);
}

#[test]
fn kinds_differ() {
    use crate::census::PeerRecord;
    use crate::work::{Ack, Leases, Refusal};
    let kinds = [crate::Experiment::KIND, Call::KIND, Receipt::KIND, PeerRecord::KIND, Ack::KIND, Leases::KIND, Refusal::KIND];
    assert_eq!(kinds.iter().collect::<std::collections::BTreeSet<_>>().len(), kinds.len());
    assert!(kinds.iter().all(|kind| !kind.contains('\0')));
}

#[test]
fn a_node_id_is_the_peer_id_of_its_key() {
    // RFC 8032, test 1; the text is base58 of 0x0024 ‖ protobuf(key), computed with another program.
    let node = NodeId(bytes32("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"));
    let secret = bytes32("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    assert_eq!(SigningKey::from_bytes(&secret).node(), node);
    assert_eq!(node.to_string(), "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV");
    assert_eq!(node.to_string().parse(), Ok(node));
    for bad in ["", "12D3KooW", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "0OIl"] {
        assert_eq!(bad.parse::<NodeId>(), Err(NodeIdError), "{bad:?}");
    }
}

#[test]
fn a_memo_calls_nothing_good_that_is_not_and_forgets_what_is_old() {
    let asked = std::cell::Cell::new(0);
    let verified = |part: u8, good: bool| {
        memo::verified(&[&[part]], || {
            asked.set(asked.get() + 1);
            good
        })
    };
    assert!(verified(1, true) && verified(1, true));
    assert_eq!(asked.take(), 2, "off at first");
    memo::remember(2);
    assert!(verified(1, true) && verified(1, false));
    assert!(!verified(2, false) && !verified(2, false));
    assert_eq!(asked.take(), 3, "only what is good is remembered");
    assert!(verified(3, true) && verified(4, true) && !verified(1, false));
    let mut flipped = signed();
    assert_eq!(flipped.verify(&network("test")), Ok(()));
    flipped.signature.0[9] ^= 4;
    assert_eq!(flipped.verify(&network("test")), Err(BadSignature));
    assert_eq!(signed().verify(&network("other")), Err(BadSignature));
}
