//! JSON in and out, in one way.
//!
//! Out: no white space; keys in the order of their bytes; strings and numbers as RFC 8785 writes them, but that whole numbers keep all
//! their digits and other numbers a point or an exponent; bytes and links as DAG-JSON writes them. In: RFC 8259, each key once, and
//! nothing deeper than a decoder of DAG-CBOR goes.
//!
//! Deliberately lacks DAG-JSON on the way in: a map with the key `/` is a map.

use std::collections::BTreeMap;
use std::fmt;

use cid::multibase::Base;
use ipld_core::ipld::Ipld;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::codec::DEPTH_MAX;

/// `value` as JSON.
#[must_use]
pub fn to_json(value: &Ipld) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Ipld, to: &mut String) {
    match value {
        Ipld::Null => to.push_str("null"),
        Ipld::Bool(truth) => to.push_str(if *truth { "true" } else { "false" }),
        Ipld::Integer(number) => to.push_str(&number.to_string()),
        Ipld::Float(number) => to.push_str(&float(*number)),
        Ipld::String(text) => string(text, to),
        Ipld::Bytes(bytes) => to.push_str(&format!("{{\"/\":{{\"bytes\":\"{}\"}}}}", Base::Base64.encode(bytes))),
        Ipld::Link(cid) => to.push_str(&format!("{{\"/\":\"{cid}\"}}")),
        Ipld::List(items) => {
            to.push('[');
            for (place, item) in items.iter().enumerate() {
                to.push_str(if place > 0 { "," } else { "" });
                write(item, to);
            }
            to.push(']');
        }
        Ipld::Map(map) => {
            to.push('{');
            for (place, (key, item)) in map.iter().enumerate() {
                to.push_str(if place > 0 { "," } else { "" });
                string(key, to);
                to.push(':');
                write(item, to);
            }
            to.push('}');
        }
    }
}

/// In quotes; RFC 8785 escapes what must be escaped, in the shortest way.
fn string(text: &str, to: &mut String) {
    to.push_str(&serde_json::to_string(text).expect("a text has JSON"));
}

/// A finite number as ECMAScript writes it, and with `.0` where that would be a whole one.
fn float(number: f64) -> String {
    // The shortest digits that read back as the same number: `d.ddde±x`.
    let text = format!("{:e}", number.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.replace('.', "");
    // The place of the point, counted from before the first digit.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let cut = |at: i32| digits.split_at(usize::try_from(at).unwrap_or(0));
    let written = if (count..=21).contains(&point) {
        format!("{digits}{}.0", zeros(point - count))
    } else if (1..=21).contains(&point) {
        let (whole, rest) = cut(point);
        format!("{whole}.{rest}")
    } else if (-5..=0).contains(&point) {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = cut(1);
        let sign = if point > 0 { "+" } else { "-" };
        format!("{first}{}{rest}e{sign}{}", if rest.is_empty() { "" } else { "." }, (point - 1).abs())
    };
    if number < 0.0 { format!("-{written}") } else { written }
}

/// The value of a JSON text; else where it fails and why.
pub fn from_json(bytes: &[u8]) -> Result<Ipld, (usize, String)> {
    let text = std::str::from_utf8(bytes).map_err(|error| (error.valid_up_to(), "no character of UTF-8 begins".to_owned()))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Nested { left: DEPTH_MAX }.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let said = error.to_string();
        let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason).to_owned();
        (place(text, error.line(), error.column()), reason)
    })
}

/// The byte of a line and column as serde_json counts them.
fn place(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// A value that nests so much deeper at most.
#[derive(Clone, Copy)]
struct Nested {
    left: usize,
}

impl Nested {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom(format!("nesting deeper than {DEPTH_MAX}")))?;
        Ok(Self { left })
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Ipld;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Ipld, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Ipld;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Ipld, E> {
        Ok(Ipld::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Ipld, E> {
        Ok(Ipld::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Ipld, E> {
        Ok(Ipld::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Ipld, E> {
        Ok(Ipld::Integer(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Ipld, E> {
        Ok(Ipld::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Ipld, E> {
        Ok(Ipld::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Ipld, A::Error> {
        let (deeper, mut list) = (self.deeper()?, Vec::new());
        while let Some(item) = items.next_element_seed(deeper)? {
            list.push(item);
        }
        Ok(Ipld::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Ipld, A::Error> {
        let (deeper, mut map) = (self.deeper()?, BTreeMap::new());
        while let Some(key) = entries.next_key::<String>()? {
            let item = entries.next_value_seed(deeper)?;
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!("the key {key:?} for the second time")));
            }
            map.insert(key, item);
        }
        Ok(Ipld::Map(map))
    }
}
