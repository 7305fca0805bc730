//! Who says what: [`NodeId`], [`SigningKey`] and [`Signed`].
//!
//! Guarantees: a signature binds the kind of the message and the network, is checked with `verify_strict` (no small-order keys,
//! no malleability), and never becomes part of an id. Deliberately lacks key files and entropy: the node brings both.

use std::fmt;
use std::str::FromStr;

use cid::multibase::Base;
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use serde::de::{self, DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::bounded::Name;
use crate::codec;
use crate::content::sha256;

pub mod memo;
#[cfg(test)]
mod tests;

/// A station's name: its Ed25519 public key, shown as the libp2p peer id of the same key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 32]);

/// The identity multihash and protobuf header that libp2p puts before an Ed25519 public key to make a peer id.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The text is not the peer id of an Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a node id (the peer id of an Ed25519 key, like 12D3KooW…)")]
pub struct NodeIdError;

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = PEER_ID_PREFIX.to_vec();
        bytes.extend_from_slice(&self.0);
        f.write_str(&Base::Base58Btc.encode(bytes))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "…{}", &text[text.len() - 6..])
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;
    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        let bytes = Base::Base58Btc.decode(text).map_err(|_| NodeIdError)?;
        let key = bytes.strip_prefix(&PEER_ID_PREFIX[..]).ok_or(NodeIdError)?;
        Ok(Self(key.try_into().map_err(|_| NodeIdError)?))
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fixed_bytes(deserializer).map(Self)
    }
}

fn fixed_bytes<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
    let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
    bytes.as_slice().try_into().map_err(|_| de::Error::custom(format!("expected {N} bytes, found {}", bytes.len())))
}

/// 32 bytes of hash or secret that are not a key.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash32(pub [u8; 32]);

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

impl Serialize for Hash32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hash32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fixed_bytes(deserializer).map(Self)
    }
}

/// The secret half of a [`NodeId`]. Cloned only into the machines of the same station.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key whose 32-byte seed is `secret` (RFC 8032).
    #[must_use]
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }

    /// `body` with this key's signature for `network`.
    pub fn sign<T: Body>(&self, network: &Name, body: T) -> Signed<T> {
        let signature = self.0.sign(&signed_bytes::<T>(network, &codec::encode(&body))).to_bytes();
        Signed { body, author: self.node(), signature: SignatureBytes(signature) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey of {:?}", self.node())
    }
}

/// A message that is signed. A kind never changes its meaning: a change is a new kind.
pub trait Body: Serialize + DeserializeOwned {
    /// Goes into every signature, so that a signature on one kind of message says nothing about another.
    const KIND: &'static str;
}

/// The 64 bytes of an Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureBytes(pub [u8; 64]);

impl fmt::Debug for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}…", self.0[0], self.0[1])
    }
}

impl Serialize for SignatureBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for SignatureBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fixed_bytes(deserializer).map(Self)
    }
}

/// A body with its author and the author's signature. Nothing is believed before [`Signed::verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: DeserializeOwned"))]
pub struct Signed<T> {
    pub body: T,
    pub author: NodeId,
    pub signature: SignatureBytes,
}

/// The signature is not the author's over this body on this network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match its author")]
pub struct BadSignature;

impl<T: Body> Signed<T> {
    /// Checks the signature strictly.
    pub fn verify(&self, network: &Name) -> Result<(), BadSignature> {
        let signed = signed_bytes::<T>(network, &codec::encode(&self.body));
        let check = || {
            let key = VerifyingKey::from_bytes(&self.author.0);
            key.is_ok_and(|key| key.verify_strict(&signed, &Signature::from_bytes(&self.signature.0)).is_ok())
        };
        if memo::verified(&[&self.author.0, &self.signature.0, &signed], check) { Ok(()) } else { Err(BadSignature) }
    }
}

/// `"station" ‖ 0 ‖ kind ‖ 0 ‖ network ‖ 0 ‖ sha256(canonical body)`. Names have no NUL, so the parts cannot run into each other.
fn signed_bytes<T: Body>(network: &Name, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    for part in ["station", T::KIND, network.as_str()] {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(&sha256(&[body]));
    bytes
}
