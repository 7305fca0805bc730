//! [`Value`]: DAG-CBOR written by hand from PROTOCOL.md, so that the peer which tries a station shares no encoder with it.
//!
//! Guarantees: integers are shortest, maps ordered by key length and then bytewise. [`Value::Raw`] is written as it stands, which is how a
//! liar writes what no encoder would. Deliberately lacks floats and negative numbers: no message that a stranger sends has them.

/// One item. Links are the bytes of a CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Uint(u64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    Link(Vec<u8>),
    /// Bytes that are written as they are.
    Raw(Vec<u8>),
}

/// A map of these fields.
#[must_use]
pub fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// An enum's value: a map with one key.
#[must_use]
pub fn one(key: &str, value: Value) -> Value {
    map([(key, value)])
}

#[must_use]
pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[must_use]
pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

impl Value {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// The field of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_uint(&self) -> Option<u64> {
        match self {
            Self::Uint(number) => Some(*number),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) | Self::Link(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0xf6),
            Self::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
            Self::Uint(number) => head(0, *number, out),
            Self::Bytes(bytes) => {
                head(2, bytes.len() as u64, out);
                out.extend(bytes);
            }
            Self::Text(text) => {
                head(3, text.len() as u64, out);
                out.extend(text.as_bytes());
            }
            Self::List(items) => {
                head(4, items.len() as u64, out);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(fields) => {
                let mut ordered: Vec<&(String, Self)> = fields.iter().collect();
                ordered.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
                head(5, ordered.len() as u64, out);
                for (key, value) in ordered {
                    head(3, key.len() as u64, out);
                    out.extend(key.as_bytes());
                    value.write(out);
                }
            }
            Self::Link(cid) => {
                head(6, 42, out);
                head(2, cid.len() as u64 + 1, out);
                out.push(0);
                out.extend(cid);
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

/// Writes a major type and its number in the fewest bytes.
pub fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let kind = major << 5;
    match number {
        0..24 => out.push(kind | u8::try_from(number).unwrap_or(0)),
        24..0x100 => out.extend([kind | 24, u8::try_from(number).unwrap_or(0)]),
        0x100..0x1_0000 => {
            out.push(kind | 25);
            out.extend(u16::try_from(number).unwrap_or(0).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(kind | 26);
            out.extend(u32::try_from(number).unwrap_or(0).to_be_bytes());
        }
        _ => {
            out.push(kind | 27);
            out.extend(number.to_be_bytes());
        }
    }
}

/// Reads one item that takes all of `bytes`; none where it is not what this page knows.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = item(&mut rest)?;
    rest.is_empty().then_some(value)
}

fn item(rest: &mut &[u8]) -> Option<Value> {
    let first = *rest.split_off_first()?;
    let number = match first & 31 {
        small @ 0..24 => u64::from(small),
        24 => u64::from(*rest.split_off_first()?),
        25 => u64::from(u16::from_be_bytes(rest.split_off(..2)?.try_into().ok()?)),
        26 => u64::from(u32::from_be_bytes(rest.split_off(..4)?.try_into().ok()?)),
        27 => u64::from_be_bytes(rest.split_off(..8)?.try_into().ok()?),
        _ => return None,
    };
    let length = usize::try_from(number).ok()?;
    Some(match first >> 5 {
        0 => Value::Uint(number),
        2 => Value::Bytes(rest.split_off(..length)?.to_vec()),
        3 => Value::Text(String::from_utf8(rest.split_off(..length)?.to_vec()).ok()?),
        4 => Value::List((0..length).map(|_| item(rest)).collect::<Option<_>>()?),
        5 => Value::Map((0..length).map(|_| Some((item(rest)?.as_text()?.to_owned(), item(rest)?))).collect::<Option<_>>()?),
        6 if number == 42 => Value::Link(item(rest)?.as_bytes()?.get(1..)?.to_vec()),
        7 if number == 20 || number == 21 => Value::Bool(number == 21),
        7 if number == 22 => Value::Null,
        _ => return None,
    })
}
