//! Counts the primes of an interval: a pure module, and the template to copy.
//!
//! A module is three things: the type of its input, the type of its output, and a function from one to the other. "Pure" means
//! that the output depends on the input alone, so that receipts of different stations must agree to the byte.

use serde::{Deserialize, Serialize};

/// What a job gives: one value per key of `[jobs]` in experiment.toml. Unknown keys are refused, so a misspelt one is noticed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// First number looked at.
    from: u64,
    /// First number no longer looked at.
    to: u64,
}

/// What the job found. Use integers and text: DAG-CBOR output is compared byte for byte, and floats invite differences.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Output {
    /// How many primes there are in the interval.
    primes: u64,
    /// The greatest of them.
    last: Option<u64>,
}

/// Numbers sieved at once: a module's memory stays the same however long the interval is.
const SEGMENT: u64 = 1 << 18;

/// No interval may end later: the primes up to its root, which every segment needs, are then below a million.
const TO_MAX: u64 = 1_000_000_000_000;

fn main() {
    station_sdk::run(count);
}

fn count(Input { from, to }: Input) -> Output {
    // A wrong input is the researcher's mistake: the job ends as a guest error, and the message stands in its log.
    assert!(to <= TO_MAX, "`to` must be at most {TO_MAX}");
    let divisors = primes_up_to(to.saturating_sub(1).isqrt());
    let mut found = Output { primes: 0, last: None };
    let mut start = from.max(2);
    while start < to {
        let end = (start + SEGMENT).min(to);
        for number in sieve(start, end, &divisors) {
            found.primes += 1;
            found.last = Some(number);
        }
        // Reports tell whoever watches that the job is alive. They are no part of the result.
        station_sdk::progress(((end - from) * 1_000 / (to - from)) as u32, "counting");
        start = end;
    }
    found
}

/// The primes of `start..end`, given all primes up to the root of `end - 1`.
fn sieve(start: u64, end: u64, divisors: &[u64]) -> impl Iterator<Item = u64> {
    let mut is_prime = vec![true; (end - start) as usize];
    for &divisor in divisors {
        let first = (divisor * divisor).max(start.next_multiple_of(divisor));
        for multiple in (first..end).step_by(divisor as usize) {
            is_prime[(multiple - start) as usize] = false;
        }
    }
    (start..end).zip(is_prime).filter_map(|(number, is_prime)| is_prime.then_some(number))
}

/// The primes up to and including `last`.
fn primes_up_to(last: u64) -> Vec<u64> {
    let mut primes: Vec<u64> = Vec::new();
    for number in 2..=last {
        if primes.iter().take_while(|prime| *prime * *prime <= number).all(|prime| number % prime != 0) {
            primes.push(number);
        }
    }
    primes
}

#[cfg(test)]
mod tests;
