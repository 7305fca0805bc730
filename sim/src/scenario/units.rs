//! The units of a scenario that an experiment file does not have: line rates, shares, frequencies and seeds.
//!
//! Guarantees: integers only (a scenario means the same on every machine), what is written reads back as the same value, an error
//! says what to write. Deliberately lacks spans and sizes: those are `station_protocol::human`'s.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use station_protocol::human::Span;

#[cfg(test)]
mod tests;

/// The text is not the kind of value that stands here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct UnitError {
    pub found: String,
    pub wanted: &'static str,
}

/// Bits per second, written like `20mbit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(pub u64);

/// Millionths, written like `5%` or `0.01%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u32);

/// So many per span of time, written like `10/s`, `1/m` or `3/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Frequency {
    pub count: u32,
    /// Milliseconds, at least one.
    pub per_ms: u64,
}

/// What luck adds to a latency: a part of it, or a fixed span. Uniform between nothing and this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Jitter {
    /// Of the latency, written like `5%`.
    Share(Share),
    /// Written like `10ms`.
    Span(Span),
}

/// Seeds to run, written like `1-20` (both ends run) or `7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seeds {
    first: u64,
    last: u64,
}

/// Slower lines than a station can join over, and faster ones than any, are slips of the pen.
const RATE_MIN: u64 = 1_000;
const RATE_MAX: u64 = 1_000_000_000_000;
/// More seeds than anybody waits for.
const SEEDS_MAX: u64 = 10_000;
/// Largest seed: TOML's integers are signed.
pub const SEED_MAX: u64 = i64::MAX as u64;

const RATE: &str = "a line rate: write a number with kbit, mbit or gbit, like \"20mbit\"";
const RATES: [(&str, u64); 4] = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];
const SHARE: &str = "a share: write a percentage from 0% to 100% with at most four decimals, like \"5%\" or \"0.1%\"";
const FREQUENCY: &str = "a frequency: write how many per span of time, like \"10/s\", \"1/m\" or \"3/10s\"";
const JITTER: &str = "a jitter: write a share of the latency like \"5%\", or a span like \"10ms\"";
const SEEDS: &str = "a range of seeds: write \"7\" or \"1-20\" (both ends run; at most 10000)";

fn unit_error(found: &str, wanted: &'static str) -> UnitError {
    UnitError { found: found.chars().take(40).collect(), wanted }
}

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || unit_error(text, RATE);
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (digits, unit) = text.split_at(split);
        let (_, factor) = RATES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let bits = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)).ok_or_else(bad)?;
        if (RATE_MIN..=RATE_MAX).contains(&bits) { Ok(Self(bits)) } else { Err(bad()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = RATES.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)).unwrap_or(&("bit", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl Share {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(MILLION);

    /// `millionths`, at most a million.
    #[must_use]
    pub const fn millionths(millionths: u32) -> Option<Self> {
        if millionths <= MILLION { Some(Self(millionths)) } else { None }
    }

    /// In millionths.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// This part of `whole`, rounded to the nearest, halves up.
    #[must_use]
    pub const fn of(self, whole: u64) -> u64 {
        let product = whole as u128 * self.0 as u128 + MILLION as u128 / 2;
        // At most `whole`, because the share is at most one.
        (product / MILLION as u128) as u64
    }
}

const MILLION: u32 = 1_000_000;
/// Decimals of a percentage that a millionth has.
const DECIMALS: usize = 4;

impl FromStr for Share {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || unit_error(text, SHARE);
        let number = text.strip_suffix('%').ok_or_else(bad)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.len() <= DECIMALS && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return Err(bad());
        }
        let digits = format!("{whole}{fraction:0<DECIMALS$}");
        digits.parse().ok().and_then(Self::millionths).ok_or_else(bad)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 10_000, self.0 % 10_000);
        match fraction {
            0 => write!(f, "{whole}%"),
            _ => write!(f, "{whole}.{}%", format!("{fraction:04}").trim_end_matches('0')),
        }
    }
}

impl FromStr for Frequency {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || unit_error(text, FREQUENCY);
        let (count, span) = text.split_once('/').ok_or_else(bad)?;
        let span = if span.starts_with(|c: char| c.is_ascii_digit()) { span.to_owned() } else { format!("1{span}") };
        let per: Span = span.parse().map_err(|_| bad())?;
        let count: u32 = count.parse().map_err(|_| bad())?;
        if count == 0 || per.0 == 0 { Err(bad()) } else { Ok(Self { count, per_ms: per.0 }) }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = Span(self.per_ms).to_string();
        let unit = span.strip_prefix('1').filter(|unit| !unit.starts_with(|c: char| c.is_ascii_digit()));
        write!(f, "{}/{}", self.count, unit.unwrap_or(&span))
    }
}

impl FromStr for Jitter {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let span = || text.parse().ok().map(Self::Span);
        text.parse().ok().map(Self::Share).or_else(span).ok_or_else(|| unit_error(text, JITTER))
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Span(span) => span.fmt(f),
        }
    }
}

impl Seeds {
    /// `first` to `last`, both run.
    #[must_use]
    pub fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last && last - first < SEEDS_MAX && last <= SEED_MAX).then_some(Self { first, last })
    }

    pub fn iter(self) -> impl Iterator<Item = u64> {
        self.first..=self.last
    }
}

impl FromStr for Seeds {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let both = first.parse().ok().zip(last.parse().ok());
        both.and_then(|(first, last)| Self::new(first, last)).ok_or_else(|| unit_error(text, SEEDS))
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

macro_rules! text_in_files {
    ($($kind:ident),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = UnitError;
            fn try_from(text: String) -> Result<Self, UnitError> {
                text.parse()
            }
        }
        impl From<$kind> for String {
            fn from(value: $kind) -> Self {
                value.to_string()
            }
        }
    )*};
}

text_in_files!(Rate, Share, Frequency, Jitter, Seeds);
