//! Where stations are, and how far apart.
//!
//! One way between two regions takes `1.5 × distance / 200 km per ms + 2 ms`: light in fibre makes 200 km a millisecond, cables are
//! half as long again as the great circle between the regions' cities, and 2 ms stand for the routers and exchanges on the way.
//! Inside a region stations are `INSIDE_KM` apart. Guarantees: symmetric, integers (distances are a table; a test compares it with
//! the great circle between the coordinates). Deliberately lacks the paths that cables really take.

use serde::{Deserialize, Serialize};

use super::Nanos;

#[cfg(test)]
mod tests;

/// A part of the world, named after nothing smaller; its city stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// Ashburn.
    NaEast,
    /// San José.
    NaWest,
    /// São Paulo.
    SouthAmerica,
    /// Frankfurt.
    Europe,
    /// Johannesburg.
    Africa,
    /// Mumbai.
    India,
    /// Tokyo.
    EastAsia,
    /// Sydney.
    Oceania,
}

impl Region {
    pub const ALL: [Self; 8] =
        [Self::NaEast, Self::NaWest, Self::SouthAmerica, Self::Europe, Self::Africa, Self::India, Self::EastAsia, Self::Oceania];

    /// As it is written in scenarios.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NaEast => "na-east",
            Self::NaWest => "na-west",
            Self::SouthAmerica => "south-america",
            Self::Europe => "europe",
            Self::Africa => "africa",
            Self::India => "india",
            Self::EastAsia => "east-asia",
            Self::Oceania => "oceania",
        }
    }

    /// The region called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.name() == name)
    }

    /// Latitude and longitude of its city in hundredths of a degree, north and east positive.
    #[must_use]
    pub const fn place(self) -> (i32, i32) {
        match self {
            Self::NaEast => (3904, -7749),
            Self::NaWest => (3734, -12189),
            Self::SouthAmerica => (-2355, -4663),
            Self::Europe => (5011, 868),
            Self::Africa => (-2620, 2805),
            Self::India => (1908, 7288),
            Self::EastAsia => (3568, 13969),
            Self::Oceania => (-3387, 15121),
        }
    }
}

/// Two stations of one region are so far apart: half the way across a large country.
pub const INSIDE_KM: u64 = 500;
/// Light in fibre takes 5 µs a kilometre; cables are 1.5 times as long as the great circle.
const NANOS_PER_KM: u64 = 7_500;
/// Routers and exchanges on the way.
const OVERHEAD: Nanos = Nanos::from_millis(2);

/// Kilometres on the great circle (earth radius 6,371 km) between the cities, in the order of [`Region::ALL`]; the lower triangle.
const KM: [&[u64]; 8] = [
    &[],
    &[3846],
    &[7664, 10370],
    &[6549, 9153, 9829],
    &[13087, 16932, 7429, 8698],
    &[12855, 13553, 13774, 6564, 6983],
    &[10872, 8337, 18535, 9333, 13539, 6723],
    &[15674, 11964, 13357, 16483, 11041, 10157, 7826],
];

/// How far apart stations of `a` and `b` are, in kilometres.
#[must_use]
pub const fn distance_km(a: Region, b: Region) -> u64 {
    let (a, b) = (a as usize, b as usize);
    if a == b {
        INSIDE_KM
    } else if a > b {
        KM[a][b]
    } else {
        KM[b][a]
    }
}

/// One way between the networks of `a` and `b`, without the last miles.
#[must_use]
pub const fn latency(a: Region, b: Region) -> Nanos {
    Nanos(distance_km(a, b) * NANOS_PER_KM + OVERHEAD.0)
}
