//! Numbers as people say them: [`count`] with its noun, [`span`] of time in its two largest units.
//!
//! Deliberately lacks irregular nouns and months: no message has one.

/// `number` of `noun`, which gets an `s` where they are not one, and an `es` after an `s`: `1 receipt`, `2 receipts`, `2 addresses`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    let many = if noun.ends_with('s') { "es" } else { "s" };
    format!("{number} {noun}{}", if number == 1 { "" } else { many })
}

/// Milliseconds in the largest unit and the one below it, where that is not none: `12 s`, `1 min 48 s`, `2 h`, `3 d 4 h`.
#[must_use]
pub fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (large, small) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        _ => ((seconds / 86_400, "d"), (seconds % 86_400 / 3_600, "h")),
    };
    let small = if small.0 == 0 { String::new() } else { format!(" {} {}", small.0, small.1) };
    format!("{} {}{small}", large.0, large.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_one() {
        assert_eq!([0, 1, 2].map(|number| count(number, "receipt")), ["0 receipts", "1 receipt", "2 receipts"]);
        assert_eq!([1, 2].map(|number| count(number, "address")), ["1 address", "2 addresses"]);
    }

    #[test]
    fn a_span_has_two_units_at_most_and_never_looks_like_a_count() {
        let of = |seconds: u64| span(seconds * 1_000);
        assert_eq!([of(0), of(59), of(60), of(108), of(3_599)], ["0 s", "59 s", "1 min", "1 min 48 s", "59 min 59 s"]);
        assert_eq!([of(3_600), of(7_500), of(86_399), of(86_400), of(273_600)], ["1 h", "2 h 5 min", "23 h 59 min", "1 d", "3 d 4 h"]);
    }
}
