//! The gossipsub messages that a spammer writes by hand: libp2p's behaviour offers no way to lie about what one has, or to hurry.
//!
//! Field numbers are those of the gossipsub v1.1 specification. Guarantees: each is one length-delimited protobuf. Deliberately
//! lacks a reader.

/// Subscribes to `topics`.
pub(super) fn subscriptions(topics: &[String]) -> Vec<u8> {
    // RPC.subscriptions = 1 { subscribe = 1: bool, topic_id = 2: string }
    let one = |topic: &String| field(1, &[&[0x08, 1][..], &field(2, topic.as_bytes())].concat());
    framed(&topics.iter().flat_map(one).collect::<Vec<u8>>())
}

/// Announces messages `ids` of `topic`.
pub(super) fn ihave(topic: &str, ids: &[[u8; 32]]) -> Vec<u8> {
    // RPC.control = 3 { ihave = 1 { topic_id = 1: string, message_ids = 2: bytes } }
    let mut ihave = field(1, topic.as_bytes());
    ihave.extend(ids.iter().flat_map(|id| field(2, id)));
    framed(&field(3, &field(1, &ihave)))
}

/// Messages of `topic`, all in one.
pub(super) fn publish(topic: &str, messages: &[Vec<u8>]) -> Vec<u8> {
    // RPC.publish = 2 { data = 2: bytes, topic = 4: string }
    let one = |data: &Vec<u8>| field(2, &[field(2, data), field(4, topic.as_bytes())].concat());
    framed(&messages.iter().flat_map(one).collect::<Vec<u8>>())
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&varint(message.len() as u64), message].concat()
}

/// A length-delimited field.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | 2)[..], &varint(bytes.len() as u64), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
