//! Sizes, spans of time, processor shares and hours as people write them in the two files: `"64MiB"`, `"10m"`, `"1 core"`,
//! `"22:00-06:00"`.
//!
//! Guarantees: what is written again reads back as the same value, and an error says what to write. Deliberately lacks fractions
//! (but for cores), locales and calendars: months differ in length, so there are none.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::time::{DAY, HOUR, MINUTE, SECOND, Time};

#[cfg(test)]
mod tests;

/// The text is not the kind of value that stands here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct HumanError {
    pub found: String,
    pub wanted: &'static str,
}

impl HumanError {
    fn new(found: &str, wanted: &'static str) -> Self {
        Self { found: found.chars().take(40).collect(), wanted }
    }
}

/// A number of bytes, written like `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A span in milliseconds, written like `10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

/// Thousandths of a processor core, written like `1 core` or `0.5 cores`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cores(pub u32);

/// A part of every UTC day in minutes, from the first (included) to the last (excluded). It may cross midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    to: u16,
}

const MINUTES_A_DAY: u16 = 24 * 60;
/// No machine has more; it keeps sums of cores far from their type's end.
const MILLICORES_MAX: u32 = 1_000_000;

const SIZE: &str = "a size: write a number with B, KiB, MiB or GiB (or kB, MB, GB), like \"64MiB\"";
const SIZES: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];
const SPAN: &str = "a span of time: write a number with ms, s, m, h or d, like \"10m\"";
const SPANS: [(&str, u64); 5] = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)];
const CORES: &str = "a share of the processor: write \"1 core\", \"2 cores\" or \"0.5 cores\"; to take no work there is `station pause`";
const HOURS: &str = "hours of the UTC day: write \"00:00-24:00\" or \"22:00-06:00\"";

/// `text` as digits (underscores between them allowed) and one of `units`.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '_')?;
    let (digits, unit) = text.split_at(split);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.replace('_', "").parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.checked_mul(*factor)
}

/// `value` with the largest of `units` that divides it.
fn written(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (name, factor) = units.iter().find(|(_, factor)| value.is_multiple_of(*factor) && value > 0).or(units.last()).unwrap_or(&("", 1));
    write!(f, "{}{name}", value / factor)
}

impl FromStr for Size {
    type Err = HumanError;
    fn from_str(text: &str) -> Result<Self, HumanError> {
        with_unit(text, &SIZES).map(Self).ok_or_else(|| HumanError::new(text, SIZE))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(self.0, &SIZES, f)
    }
}

impl FromStr for Span {
    type Err = HumanError;
    fn from_str(text: &str) -> Result<Self, HumanError> {
        with_unit(text, &SPANS).map(Self).ok_or_else(|| HumanError::new(text, SPAN))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(self.0, &SPANS, f)
    }
}

impl FromStr for Cores {
    type Err = HumanError;
    fn from_str(text: &str) -> Result<Self, HumanError> {
        let bad = || HumanError::new(text, CORES);
        let number = text.strip_suffix("cores").or_else(|| text.strip_suffix("core")).ok_or_else(bad)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 3 {
            return Err(bad());
        }
        let thousandths: u32 = format!("{fraction:0<3}").parse().map_err(|_| bad())?;
        let millicores = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(1_000)?.checked_add(thousandths));
        millicores.filter(|millicores| (1..=MILLICORES_MAX).contains(millicores)).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000, self.0 % 1_000);
        let unit = if self.0 == 1_000 { "core" } else { "cores" };
        match fraction {
            0 => write!(f, "{whole} {unit}"),
            _ => write!(f, "{whole}.{} {unit}", format!("{fraction:03}").trim_end_matches('0')),
        }
    }
}

impl Hours {
    /// The whole day.
    pub const ALWAYS: Self = Self { from: 0, to: MINUTES_A_DAY };

    /// Whether `time` lies in these hours.
    #[must_use]
    pub fn contain(&self, time: Time) -> bool {
        let minute = time.0 % DAY / MINUTE;
        let (from, to) = (u64::from(self.from), u64::from(self.to));
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }

    /// The first moment after `time` at which they begin or end; none where they are the whole day.
    #[must_use]
    pub fn change_after(&self, time: Time) -> Option<Time> {
        if *self == Self::ALWAYS {
            return None;
        }
        let midnight = Time(time.0 - time.0 % DAY);
        let changes = [self.from, self.to].into_iter().flat_map(|minute| [0, DAY].map(|day| midnight.plus(day + u64::from(minute) * MINUTE)));
        changes.filter(|at| *at > time).min()
    }
}

impl FromStr for Hours {
    type Err = HumanError;
    fn from_str(text: &str) -> Result<Self, HumanError> {
        let minute = |part: &str| {
            let (hour, minute) = part.split_once(':')?;
            if hour.len() != 2 || minute.len() != 2 || !part.bytes().all(|b| b.is_ascii_digit() || b == b':') {
                return None;
            }
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && hour * 60 + minute <= MINUTES_A_DAY).then_some(hour * 60 + minute)
        };
        let both = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match both {
            Some((from, to)) if from != to && from < MINUTES_A_DAY => Ok(Self { from, to }),
            _ => Err(HumanError::new(text, HOURS)),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ` (or with an offset) as a time.
pub fn moment(text: &str) -> Result<Time, HumanError> {
    const MOMENT: &str = "a moment after 1970: write it like \"2026-12-31T00:00:00Z\"";
    let bad = || HumanError::new(text, MOMENT);
    let parsed: toml::value::Datetime = text.parse().map_err(|_| bad())?;
    let (Some(date), Some(time), Some(offset)) = (parsed.date, parsed.time, parsed.offset) else { return Err(bad()) };
    let offset_minutes = match offset {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes),
    };
    // Days since the epoch by the proleptic Gregorian calendar: years that begin in March put the leap day last.
    let (year, month) = (i64::from(date.year), i64::from(date.month));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + i64::from(date.day) - 719_469;
    let minutes = days * i64::from(MINUTES_A_DAY) + i64::from(time.hour) * 60 + i64::from(time.minute) - offset_minutes;
    let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
    u64::try_from(seconds).map(|seconds| Time(seconds.saturating_mul(SECOND))).map_err(|_| bad())
}

/// A time in UTC to the millisecond (RFC 3339), like `2026-12-31T00:00:00.000Z`.
#[must_use]
pub fn rfc3339(time: Time) -> String {
    let day = i64::try_from(time.day()).unwrap_or(i64::MAX / 2);
    // The inverse of what `moment` does: years that begin in March, in eras of 400 years.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * march + 2) / 5 + 1, if march < 10 { march + 3 } else { march - 9 });
    let year = year_of_era + 400 * era + i64::from(month <= 2);
    let ms = time.0 % DAY;
    let (hour, minute, second) = (ms / HOUR, ms % HOUR / MINUTE, ms % MINUTE / SECOND);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % SECOND)
}

/// Text in files, through `FromStr` and `Display`.
struct TextVisitor<T>(&'static str, std::marker::PhantomData<T>);

impl<T: FromStr<Err = HumanError>> Visitor<'_> for TextVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(de::Error::custom)
    }
}

macro_rules! text_in_files {
    ($($kind:ident: $wanted:ident),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor($wanted, std::marker::PhantomData))
            }
        }
    )*};
}

text_in_files!(Size: SIZE, Span: SPAN, Cores: CORES, Hours: HOURS);
