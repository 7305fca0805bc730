//! Numbers, units and long texts as people read them.
//!
//! Guarantees: no figure gets digits that were not measured; a cut text keeps both ends. Deliberately lacks conversion: a reading is
//! shown in the unit that it came in.

/// Three digits that count, all of a large number, and commas between its thousands.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = match size {
        size if size >= 1e15 || (size > 0.0 && size < 0.001) => return format!("{value:.1e}"),
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let sign = if text == "-0" { "" } else { sign };
    let part = part.map(|part| format!(".{part}")).unwrap_or_default();
    format!("{sign}{}{part}", thousands(digits))
}

/// A count with commas between its thousands.
#[must_use]
pub fn grouped(count: u64) -> String {
    thousands(&count.to_string())
}

fn thousands(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Units that fields carry at the end of their names.
const UNITS: [&str; 19] =
    ["ns", "us", "ms", "s", "min", "h", "bytes", "kb", "mb", "gb", "kib", "mib", "gib", "bps", "kbps", "mbps", "gbps", "hz", "percent"];

/// The unit that a field's name ends with: `ms` of `ttfb_ms`; nothing where it names none.
#[must_use]
pub fn unit_of(field: &str) -> &str {
    let last = field.rsplit('_').next().unwrap_or_default();
    if UNITS.contains(&last) { last } else { "" }
}

/// A number with its unit: `81 ms`.
#[must_use]
pub fn quantity(value: f64, unit: &str) -> String {
    if unit.is_empty() { number(value) } else { format!("{} {unit}", number(value)) }
}

/// `one` or `many`, after its count.
#[must_use]
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count as u64), if count == 1 { one } else { many })
}

/// Characters of an id's end that are shown.
const TAIL: usize = 6;

/// An id by its end, which differs between ids where the beginning does not.
#[must_use]
pub fn tail(id: &str) -> String {
    let from = id.chars().count().saturating_sub(TAIL);
    if from == 0 { id.to_owned() } else { format!("…{}", id.chars().skip(from).collect::<String>()) }
}

/// Longest tooltip: a guest's output may have 64 KiB, and stands on a page many times.
pub const TOOLTIP_MAX: usize = 400;

/// `text` within `width` characters; a longer one loses its middle.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    let all = text.chars().count();
    if all <= width {
        return text.to_owned();
    }
    let head = width / 2;
    let tail = width - head - 1;
    text.chars().take(head).chain(['…']).chain(text.chars().skip(all - tail)).collect()
}
