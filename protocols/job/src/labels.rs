//! [`Labels`]: what a station says of itself, or an experiment asks for, like `region = eu`.
//!
//! Guarantees: there are never more labels, values or bytes than the bounds below, however they came here. Deliberately lacks proof:
//! labels are self-declared, hence for spread, not for trust.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::bounded::{List, Name};

/// Most labels: a page a person can still read, and a Call must fit 4 KiB.
pub const LABELS_MAX: usize = 16;
/// Most values per label.
pub const LABEL_VALUES_MAX: usize = 16;
/// Bytes of all names and values together: half of a Call. Every station that claims costs its requester as much memory.
pub const LABELS_BYTES_MAX: usize = 2 << 10;

/// Why labels are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    #[error("{0} labels are more than {LABELS_MAX}")]
    TooMany(usize),
    #[error("labels of {0} bytes are more than {LABELS_BYTES_MAX}")]
    TooLong(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<Name, List<Name, LABEL_VALUES_MAX>>);

impl Labels {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// These, refused where they are too many or too long.
    pub fn of(labels: impl IntoIterator<Item = (Name, List<Name, LABEL_VALUES_MAX>)>) -> Result<Self, LabelsError> {
        let labels = Self(labels.into_iter().collect());
        if labels.len() > LABELS_MAX {
            return Err(LabelsError::TooMany(labels.len()));
        }
        match labels.text_bytes() {
            bytes if bytes > LABELS_BYTES_MAX => Err(LabelsError::TooLong(bytes)),
            _ => Ok(labels),
        }
    }

    /// Bytes of all names and values together.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.0.iter().map(|(name, values)| name.len() + values.iter().map(|value| value.len()).sum::<usize>()).sum()
    }

    /// Whether they have one of the values of each label that is asked for.
    #[must_use]
    pub fn carry(&self, asked: &Self) -> bool {
        asked.iter().all(|(label, wanted)| self.get(label).is_some_and(|own| own.iter().any(|value| wanted.contains(value))))
    }

    /// What a receipt says of its station: the values that were asked for, each once, and its region.
    #[must_use]
    pub fn of_interest(&self, asked: &Self) -> Self {
        let kept = self.iter().filter_map(|(label, values)| {
            let values = match asked.get(label) {
                Some(wanted) => {
                    // Whoever says a value often says no more by it, and must not take more room in the Log than was asked for.
                    let mut said = BTreeSet::new();
                    List::first(values.iter().filter(|value| wanted.contains(value) && said.insert(*value)).cloned())
                }
                None if label.as_str() == REGION => List::first(values.first().cloned()),
                None => return None,
            };
            Some((label.clone(), values))
        });
        // Fewer than there were.
        Self(kept.collect())
    }

    /// Where the station says that it is.
    #[must_use]
    pub fn region(&self) -> Option<&Name> {
        self.iter().find(|(label, _)| label.as_str() == REGION).and_then(|(_, values)| values.first())
    }
}

/// The label by which measurements are told apart.
const REGION: &str = "region";

impl Deref for Labels {
    type Target = BTreeMap<Name, List<Name, LABEL_VALUES_MAX>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(BTreeMap::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
