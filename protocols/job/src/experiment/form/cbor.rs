//! Where and why bytes are not DAG-CBOR, for whoever wrote them with another library.
//!
//! Guarantees: total; no recursion. Deliberately lacks a say: what is DAG-CBOR is decided by [`crate::codec`], and this only explains.

use crate::codec::DEPTH_MAX;

/// One item that is open: what is still owed of it.
struct Open {
    /// Items; of a map, keys and values.
    owed: u64,
    /// The last key, where it is a map and a value comes next or came.
    map: Option<Option<Vec<u8>>>,
}

/// The first fault in `bytes`; none where this walk finds none.
pub(super) fn fault(bytes: &[u8]) -> Option<(usize, String)> {
    let mut open = vec![Open { owed: 1, map: None }];
    let mut at = 0;
    while let Some(last) = open.last_mut() {
        if last.owed == 0 {
            open.pop();
            continue;
        }
        let is_key = last.map.is_some() && last.owed.is_multiple_of(2);
        last.owed -= 1;
        let (major, info, argument, length) = match head(bytes, at) {
            Ok(head) => head,
            Err(reason) => return Some((at, reason)),
        };
        if is_key && major != 3 {
            return Some((at, "a key that is no text".to_owned()));
        }
        let begun = at;
        at += length;
        let children = match major {
            2 | 3 => {
                let end = usize::try_from(argument).ok().and_then(|length| at.checked_add(length)).filter(|end| *end <= bytes.len());
                let Some(end) = end else { return Some((begun, "the end in the middle of a text or of bytes".to_owned())) };
                let content = &bytes[at..end];
                if major == 3
                    && let Err(error) = std::str::from_utf8(content)
                {
                    return Some((at + error.valid_up_to(), "a text that is not UTF-8".to_owned()));
                }
                if let (true, Some(map)) = (is_key, last.map.as_mut()) {
                    if let Some(before) = map.as_ref().filter(|before| (before.len(), before.as_slice()) >= (content.len(), content)) {
                        let twice = *before == content;
                        let reason = if twice { "a key for the second time" } else { "a key out of order (shorter ones first, then by bytes)" };
                        return Some((begun, reason.to_owned()));
                    }
                    *map = Some(content.to_vec());
                }
                at = end;
                0
            }
            4 => argument,
            5 => argument.saturating_mul(2),
            6 if argument != 42 => return Some((begun, format!("the tag {argument}; only 42, a link, may stand there"))),
            6 => 1,
            7 => match info {
                20..=22 => 0,
                25 | 26 => return Some((begun, "a number of 16 or 32 bits after the point; 64 are to be written".to_owned())),
                27 if !f64::from_bits(argument).is_finite() => return Some((begun, "a number that is NaN or infinite".to_owned())),
                27 => 0,
                _ => return Some((begun, "a simple value other than true, false and null".to_owned())),
            },
            _ => 0,
        };
        if children > 0 {
            if open.len() > DEPTH_MAX {
                return Some((begun, format!("nesting deeper than {DEPTH_MAX}")));
            }
            open.push(Open { owed: children, map: (major == 5).then_some(None) });
        }
    }
    (at < bytes.len()).then(|| (at, "more after the value".to_owned()))
}

/// Major type, its low bits, the argument and the length of the head at `at`.
fn head(bytes: &[u8], at: usize) -> Result<(u8, u8, u64, usize), String> {
    let first = *bytes.get(at).ok_or("the end where a value is to begin")?;
    let (major, info) = (first >> 5, first & 0x1f);
    let extra = match info {
        0..=23 => return Ok((major, info, u64::from(info), 1)),
        24..=27 => 1usize << (info - 24),
        31 if (2..=5).contains(&major) => return Err("a length that is not said in advance (indefinite)".to_owned()),
        _ => return Err("a byte that begins no value".to_owned()),
    };
    let tail = bytes.get(at + 1..at + 1 + extra).ok_or("the end in the middle of a number")?;
    let argument = tail.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let least = [24, 0x100, 0x1_0000, 0x1_0000_0000][usize::from(info - 24)];
    if major != 7 && argument < least {
        return Err("a number or length in more bytes than it needs".to_owned());
    }
    Ok((major, info, argument, 1 + extra))
}
