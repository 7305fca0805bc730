use station_sdk::replay::{Recording, observe};

use super::{Input, Output, SEGMENT, TO_MAX, count};

fn primes(from: u64, to: u64) -> Output {
    count(Input { from, to })
}

/// By definition, without any sieve.
fn is_prime(number: u64) -> bool {
    number >= 2 && (2..number).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

#[test]
fn small_intervals_agree_with_the_definition() {
    for from in 0..60 {
        for to in 0..60 {
            let expected: Vec<u64> = (from..to).filter(|number| is_prime(*number)).collect();
            assert_eq!(primes(from, to), Output { primes: expected.len() as u64, last: expected.last().copied() }, "{from}..{to}");
        }
    }
}

#[test]
fn known_counts_are_found_across_segments() {
    assert_eq!(primes(0, 1_000_000), Output { primes: 78_498, last: Some(999_983) });
    let around = SEGMENT - 1_000;
    let expected: Vec<u64> = (around..around + 3_000).filter(|number| is_prime(*number)).collect();
    assert_eq!(primes(around, around + 3_000).primes, expected.len() as u64);
}

#[test]
fn the_last_allowed_interval_works() {
    assert_eq!(primes(TO_MAX - 100, TO_MAX).last, Some(999_999_999_989));
}

#[test]
#[should_panic(expected = "must be at most")]
fn an_interval_beyond_the_bound_is_refused() {
    primes(0, TO_MAX + 1);
}

#[test]
fn progress_ends_at_the_whole() {
    let seen = observe(Recording::new(), || primes(10, 10 + 2 * SEGMENT));
    assert_eq!(seen.progress.iter().map(|(permille, _)| *permille).collect::<Vec<_>>(), [500, 1_000]);
}

#[test]
fn input_and_output_keep_their_encoding() {
    let output = station_sdk::run_on(b"\xa2\x62to\x0a\x64from\x00", count).expect("fits");
    assert_eq!(output, b"\xa2\x64last\x07\x66primes\x04");
}

#[test]
fn a_misspelt_key_is_refused() {
    assert!(station_sdk::run_on(b"\xa2\x62to\x0a\x64form\x00", count).is_err());
}
