//! [`Key`]: an Ed25519 key that signs as PROTOCOL.md says, and the names that follow from it.
//!
//! Guarantees: the same number gives the same key. Deliberately lacks entropy: a run that finds something can be played again.

use ed25519_dalek::{Signer, SigningKey};
use libp2p::PeerId;
use libp2p::identity::{Keypair, ed25519};
use sha2::{Digest, Sha256};

use crate::cbor::{Value, map};

/// One identity: they cost nothing.
#[derive(Clone, Debug)]
pub struct Key {
    signing: SigningKey,
    /// Which messages verify: the network is under each signature.
    network: String,
}

impl Key {
    /// The `number`-th key of an attacker's `purpose`.
    #[must_use]
    pub fn numbered(network: &str, purpose: &str, number: u64) -> Self {
        let seed = sha256(&[b"stranger", purpose.as_bytes(), &number.to_be_bytes()]);
        Self { signing: SigningKey::from_bytes(&seed), network: network.to_owned() }
    }

    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The public key: a node id as messages have it.
    #[must_use]
    pub fn node(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    #[must_use]
    pub fn node_value(&self) -> Value {
        Value::Bytes(self.node().to_vec())
    }

    /// For a connection of its own.
    ///
    /// # Panics
    /// Never: the seed is of the right length.
    #[must_use]
    pub fn keypair(&self) -> Keypair {
        let secret = ed25519::SecretKey::try_from_bytes(&mut self.signing.to_bytes()).expect("32 bytes");
        ed25519::Keypair::from(secret).into()
    }

    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.keypair().public().to_peer_id()
    }

    /// `signed<T>`: body, author and signature.
    #[must_use]
    pub fn sign(&self, kind: &str, body: &Value) -> Value {
        let digest = sha256(&[&body.encode()]);
        let message = [b"station\0", kind.as_bytes(), b"\0", self.network.as_bytes(), b"\0", digest.as_slice()].concat();
        let signature = self.signing.sign(&message).to_bytes().to_vec();
        map([("body", body.clone()), ("author", self.node_value()), ("signature", Value::Bytes(signature))])
    }
}

/// The node id in a peer id: an Ed25519 key is written into it whole, behind six bytes that say so.
#[must_use]
pub fn node_of(peer: &PeerId) -> Vec<u8> {
    peer.to_bytes().split_off(6)
}

/// The digest of `parts`, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The bytes of the CID of DAG-CBOR (0x71), of raw bytes (0x55) or of DAG-PB (0x70).
#[must_use]
pub fn cid(codec: u8, bytes: &[u8]) -> Vec<u8> {
    let mut cid = vec![1, codec, 0x12, 32];
    cid.extend(sha256(&[bytes]));
    cid
}

/// A CID as people and the command line write it: base32, lower case, without padding.
#[must_use]
pub fn cid_text(cid: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = String::from("b");
    for chunk in cid.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let number = u64::from_be_bytes(block);
        let digits = (chunk.len() * 8).div_ceil(5);
        out.extend((0..digits).map(|digit| char::from(ALPHABET[usize::try_from(number >> (35 - 5 * digit) & 31).unwrap_or(0)])));
    }
    out
}
