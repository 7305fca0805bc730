//! [`InputForm`] and [`OutputForm`]: how a job's input stands on standard input, and what its output promises to be.
//!
//! Guarantees: the same input gives the same bytes on every station, and the same output the same value; what is not in its form is
//! told by the byte where it ends to be. Deliberately lacks leniency: two readers of one output must never see two values.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use serde::{Deserialize, Serialize};

use crate::codec;

mod cbor;
mod json;
#[cfg(test)]
mod tests;

pub use json::{from_json, to_json};

/// The key under which an output stands that is no map.
pub const WHOLE: &str = "output";

/// How a guest gets its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputForm {
    /// The canonical bytes, as the lease has them.
    #[default]
    DagCbor,
    /// The same value as JSON.
    Json,
}

/// What a guest writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputForm {
    #[default]
    DagCbor,
    /// One JSON value (RFC 8259), with white space around it if it likes.
    Json,
    /// UTF-8.
    Text,
    /// Whatever it is.
    Bytes,
}

/// Bytes are not in the form that was promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {form}: {reason} at byte {at}")]
pub struct Malformed {
    pub form: &'static str,
    /// Counted from zero.
    pub at: usize,
    pub reason: String,
}

impl InputForm {
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What the guest finds on standard input where the lease says `input`. What is not DAG-CBOR it finds as it is.
    #[must_use]
    pub fn stdin(self, input: Vec<u8>) -> Vec<u8> {
        match self {
            Self::DagCbor => input,
            Self::Json => codec::decode::<Ipld>(&input, input.len()).map_or(input, |value| to_json(&value).into_bytes()),
        }
    }
}

impl OutputForm {
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DagCbor => "DAG-CBOR",
            Self::Json => "JSON",
            Self::Text => "text in UTF-8",
            Self::Bytes => "bytes",
        }
    }

    /// The value that `bytes` are in this form.
    pub fn read(self, bytes: &[u8]) -> Result<Ipld, Malformed> {
        let malformed = |at, reason: String| Malformed { form: self.name(), at, reason };
        match self {
            Self::Bytes => Ok(Ipld::Bytes(bytes.to_vec())),
            Self::Text => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Ipld::String(text.to_owned())),
                Err(error) => Err(malformed(error.valid_up_to(), "no character of UTF-8 begins".to_owned())),
            },
            Self::Json => from_json(bytes).map_err(|(at, reason)| malformed(at, reason)),
            Self::DagCbor => codec::decode(bytes, bytes.len()).map_err(|error| {
                let (at, reason) = cbor::fault(bytes).unwrap_or((0, error.to_string()));
                malformed(at, reason)
            }),
        }
    }

    /// The fields of an output for `exact` and `report`: its map, or [`WHOLE`] alone. None where it is not in its form.
    #[must_use]
    pub fn fields(self, bytes: &[u8]) -> BTreeMap<String, Ipld> {
        match self.read(bytes) {
            Ok(Ipld::Map(fields)) => fields,
            Ok(value) => BTreeMap::from([(WHOLE.to_owned(), value)]),
            Err(_) => BTreeMap::new(),
        }
    }
}
