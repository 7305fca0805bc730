//! What a guest wrote, as results have it: a value of the form that was promised, or what there is and why it is none.
//!
//! Guarantees: what is not in its form is never a value, and never nothing. Deliberately lacks guessing at other forms.

use cid::multibase::Base;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use station_protocol::Content;
use station_protocol::experiment::OutputForm;

use super::to_json;
use crate::numbers::count;

/// An output. In JSON it is one key of what it belongs to: `output`, `output_raw` or `output_elsewhere`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    #[serde(rename = "output")]
    Value(Value),
    #[serde(rename = "output_raw")]
    Raw(Raw),
    #[serde(rename = "output_elsewhere")]
    Elsewhere(Elsewhere),
}

/// The same of a whole job: what those say who agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    #[serde(rename = "answer")]
    Value(Value),
    #[serde(rename = "answer_raw")]
    Raw(Raw),
    #[serde(rename = "answer_elsewhere")]
    Elsewhere(Elsewhere),
}

/// Bytes that are not in the form that the experiment promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    #[serde(flatten)]
    pub content: RawContent,
    pub bytes: u64,
    /// What they are not, and why.
    pub reason: String,
    /// The byte where that shows, counted from zero.
    pub at_byte: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RawContent {
    #[serde(rename = "text")]
    Text(String),
    #[serde(rename = "base64")]
    Base64(String),
}

/// An output that no page of the Log holds: too large, or lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    pub cid: String,
    pub bytes: u64,
}

impl Output {
    /// `bytes` in the form that was promised.
    #[must_use]
    pub fn read(form: OutputForm, bytes: &[u8]) -> Self {
        match form.read(bytes) {
            Ok(value) => Self::Value(to_json(&value)),
            Err(malformed) => {
                let content = match std::str::from_utf8(bytes) {
                    Ok(text) => RawContent::Text(text.to_owned()),
                    Err(_) => RawContent::Base64(Base::Base64Pad.encode(bytes)),
                };
                let (at_byte, reason) = (malformed.at as u64, malformed.to_string());
                Self::Raw(Raw { content, bytes: bytes.len() as u64, reason, at_byte })
            }
        }
    }

    #[must_use]
    pub fn elsewhere(content: &Content) -> Self {
        Self::Elsewhere(Elsewhere { cid: content.cid.to_string(), bytes: content.bytes })
    }

    /// The value, where it is one.
    #[must_use]
    pub fn value(&self) -> &Value {
        if let Self::Value(value) = self { value } else { &Value::Null }
    }

    /// What it is instead of a value, in words.
    #[must_use]
    pub fn instead(&self) -> Option<String> {
        match self {
            Self::Value(_) => None,
            Self::Raw(raw) => Some(raw.words()),
            Self::Elsewhere(elsewhere) => Some(elsewhere.words()),
        }
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        match output {
            Output::Value(value) => Self::Value(value),
            Output::Raw(raw) => Self::Raw(raw),
            Output::Elsewhere(elsewhere) => Self::Elsewhere(elsewhere),
        }
    }
}

impl Raw {
    /// The bytes as they can be shown: text in quotes, or base64.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.content {
            RawContent::Text(text) => format!("{text:?}"),
            RawContent::Base64(text) => format!("base64:{text}"),
        }
    }
}

impl Elsewhere {
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}, not here: {}", count(self.bytes, "byte"), self.cid)
    }
}
