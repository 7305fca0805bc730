//! Labels as an operator writes them: a list of values for each.
//!
//! Guarantees: a value of another type is refused with its key and what to write.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use station_protocol::bounded::Name;

pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Name, Vec<Name>>, D::Error> {
    deserializer.deserialize_map(Labels)
}

struct Labels;

impl<'de> Visitor<'de> for Labels {
    type Value = BTreeMap<Name, Vec<Name>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels as a table: write region = [\"eu\"] under [labels]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = BTreeMap::new();
        while let Some(name) = map.next_key::<Name>()? {
            let values = map.next_value_seed(Values(&name))?;
            labels.insert(name, values);
        }
        Ok(labels)
    }
}

/// The values of the label of that name.
struct Values<'a>(&'a Name);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Vec<Name>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Name>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Vec<Name>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "labels.{0} to be a list of texts: write {0} = [\"…\"]", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Name>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Value(self.0))? {
            values.push(value);
        }
        Ok(values)
    }
}

/// One value of the label of that name.
struct Value<'a>(&'a Name);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Value<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "each value of labels.{0} to be a text: write {0} = [\"…\"]", self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
        Name::new(text).map_err(E::custom)
    }
}
