//! Between the [`NodeId`] of the rules and the [`PeerId`] of libp2p.
//!
//! Guarantees: only peer ids that hold an Ed25519 key inline become node ids, and a weak key (of small order, for which
//! signatures can be forged) never does. Deliberately lacks other key types: they have no place in the rules.

use ed25519_dalek::VerifyingKey;
use libp2p::PeerId;
use libp2p::identity::Keypair;
use station_protocol::NodeId;

/// The identity multihash and protobuf header before an Ed25519 key in the bytes of a peer id.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// Why a peer cannot be a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANode {
    #[error("its key is not Ed25519")]
    OtherKey,
    #[error("its key is weak")]
    WeakKey,
}

/// The node whose peer id this is.
pub fn node_of(peer: &PeerId) -> Result<NodeId, NotANode> {
    let bytes = peer.to_bytes();
    let key = bytes.strip_prefix(&PREFIX[..]).and_then(|key| <[u8; 32]>::try_from(key).ok()).ok_or(NotANode::OtherKey)?;
    match VerifyingKey::from_bytes(&key) {
        Ok(point) if !point.is_weak() => Ok(NodeId(key)),
        _ => Err(NotANode::WeakKey),
    }
}

/// The peer id of a node.
///
/// # Panics
/// Never: the prefix and 32 bytes are an identity multihash.
#[must_use]
pub fn peer_of(node: NodeId) -> PeerId {
    let mut bytes = PREFIX.to_vec();
    bytes.extend_from_slice(&node.0);
    PeerId::from_bytes(&bytes).expect("an identity multihash of 36 bytes is a peer id")
}

/// The libp2p key pair of a station's secret (RFC 8032 seed).
///
/// # Panics
/// Never: any 32 bytes are an Ed25519 seed.
#[must_use]
pub fn keypair(mut secret: [u8; 32]) -> Keypair {
    Keypair::ed25519_from_bytes(&mut secret).expect("32 bytes are an Ed25519 secret")
}
