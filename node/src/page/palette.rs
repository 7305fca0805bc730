//! The colours, for light and dark.
//!
//! Guarantees: whatever colours words has a contrast of 4.5 on both grounds, and whatever is drawn one of 3; a test computes it.

/// A colour: its name in the style sheet, light and dark.
pub(super) type Colour = (&'static str, &'static str, &'static str);

/// What words stand on.
pub(super) const GROUNDS: [Colour; 2] = [("card", "#ffffff", "#1b212b"), ("page", "#f6f7f9", "#12161d")];

/// What words are written in.
pub(super) const WORDS: [Colour; 7] = [
    ("ink", "#1c2430", "#e8ebf0"),
    ("soft", "#566072", "#a3adbb"),
    ("accent", "#1f5bc4", "#8ab0ff"),
    ("good", "#176f42", "#4cc38a"),
    ("mixed", "#8a5200", "#f0b35a"),
    ("bad", "#b42318", "#ff8f84"),
    ("uncounted", "#6941c6", "#b9a3ff"),
];

/// What curves and bars are drawn in.
pub(super) const DRAWN: [Colour; 6] = [
    ("c0", "#2f6fde", "#7aa7ff"),
    ("c1", "#c2410c", "#fb923c"),
    ("c2", "#0b7d72", "#2dd4bf"),
    ("c3", "#7a5af8", "#a78bfa"),
    ("c4", "#a86200", "#f0b35a"),
    ("c5", "#667085", "#98a2b3"),
];

/// Lines between cells and behind curves.
pub(super) const LINES: [Colour; 1] = [("line", "#d9dee7", "#343b47")];

/// Of [`WORDS`]' good in the darkest tinted cell, in percent.
pub(super) const TINT_MAX: f64 = 20.0;

fn all() -> impl Iterator<Item = Colour> {
    GROUNDS.into_iter().chain(WORDS).chain(DRAWN).chain(LINES)
}

/// The light colours as declarations.
pub(super) fn light() -> String {
    all().map(|(name, light, _)| format!("--{name}:{light};")).collect()
}

/// The dark ones.
pub(super) fn dark() -> String {
    all().map(|(name, _, dark)| format!("--{name}:{dark};")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour has six digits")) / 255.0)
    }

    /// Relative luminance, as WCAG 2.2 defines it.
    fn luminance(channels: [f64; 3]) -> f64 {
        let [r, g, b] = channels.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn of((_, light, dark): Colour) -> [[f64; 3]; 2] {
        [channels(light), channels(dark)]
    }

    #[test]
    fn every_word_has_a_contrast_of_four_and_a_half_and_every_mark_of_three() {
        assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
        for (colours, least) in [(&WORDS[..], 4.5), (&DRAWN[..], 3.0)] {
            for colour in colours {
                for ground in GROUNDS {
                    for (front, behind) in of(*colour).into_iter().zip(of(ground)) {
                        let contrast = contrast(front, behind);
                        assert!(contrast >= least, "{} on {}: {contrast:.2}", colour.0, ground.0);
                    }
                }
            }
        }
    }

    #[test]
    fn words_in_a_tinted_cell_can_be_read_too() {
        let part = TINT_MAX / 100.0;
        for scheme in 0..2 {
            let (tint, ground) = (of(WORDS[3])[scheme], of(GROUNDS[0])[scheme]);
            let mixed: [f64; 3] = std::array::from_fn(|at| tint[at] * part + ground[at] * (1.0 - part));
            // Ink is the cell's, soft is the column's name before it in a card.
            for colour in [WORDS[0], WORDS[1]] {
                let contrast = contrast(of(colour)[scheme], mixed);
                assert!(contrast >= 4.5, "{} in scheme {scheme}: {contrast:.2}", colour.0);
            }
        }
    }
}
