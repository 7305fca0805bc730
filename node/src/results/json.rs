//! DAG-CBOR → JSON for people and scripts, in the manner of DAG-JSON: bytes and links are maps with the key `/`.

use cid::multibase::Base;
use ipld_core::ipld::Ipld;
use serde_json::{Map, Value, json};

/// `value` as JSON. Integers beyond 64 bits become text: JSON readers would round them.
#[must_use]
pub fn to_json(value: &Ipld) -> Value {
    match value {
        Ipld::Null => Value::Null,
        Ipld::Bool(flag) => json!(flag),
        Ipld::Integer(number) => {
            i64::try_from(*number).map(Value::from).or_else(|_| u64::try_from(*number).map(Value::from)).unwrap_or_else(|_| json!(number.to_string()))
        }
        Ipld::Float(number) => json!(number),
        Ipld::String(text) => json!(text),
        Ipld::Bytes(bytes) => json!({ "/": { "bytes": Base::Base64.encode(bytes) } }),
        Ipld::List(items) => items.iter().map(to_json).collect(),
        Ipld::Map(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), to_json(value))).collect::<Map<_, _>>()),
        Ipld::Link(cid) => json!({ "/": cid.to_string() }),
    }
}

/// DAG-CBOR bytes as JSON; null when they are not DAG-CBOR (a guest may write anything).
#[must_use]
pub fn from_cbor(bytes: &[u8]) -> Value {
    station_protocol::codec::decode::<Ipld>(bytes, bytes.len()).map_or(Value::Null, |value| to_json(&value))
}
