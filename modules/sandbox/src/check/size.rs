//! Sizes in refusals, as their reader needs them.
//!
//! Guarantees: linear in the number of sections, without a look into any. Deliberately lacks the limits.

use super::{MODULE_BYTES_MAX, Refusal};

/// The refusal of a module that is too large, of whatever bytes.
pub(crate) fn too_large(bytes: &[u8]) -> Refusal {
    let custom = custom(bytes).filter(|custom| bytes.len() - custom <= MODULE_BYTES_MAX);
    Refusal::TooLarge { bytes: bytes.len(), custom }
}

/// Bytes of the custom sections; `None` where these are no sections.
fn custom(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes.strip_prefix(b"\0asm\x01\0\0\0")?;
    let mut custom = 0;
    while let Some((id, after)) = rest.split_first() {
        let (mut length, mut shift, mut at) = (0_usize, 0, 0);
        loop {
            let byte = *after.get(at).filter(|_| at < 5)?;
            length |= usize::from(byte & 0x7f) << shift;
            (shift, at) = (shift + 7, at + 1);
            if byte < 0x80 {
                break;
            }
        }
        let next = after.get(at + length..)?;
        if *id == 0 {
            custom += rest.len() - next.len();
        }
        rest = next;
    }
    Some(custom)
}

pub(super) fn hint(custom: Option<usize>) -> String {
    custom.map_or_else(String::new, |custom| format!("; {custom} of these are names and other custom sections: `wasm-strip` removes them"))
}

/// "64.06 MiB at the start; the limit is 64 MiB", or in bytes where that would say the same twice.
pub(super) fn needed(needs: u64, limit: u64) -> String {
    let (mut shown, mut limits) = (mebibytes(needs), mebibytes(limit));
    if shown == limits {
        (shown, limits) = (format!("{needs} bytes"), format!("{limit} bytes"));
    }
    format!("{shown} at the start; the limit is {limits}")
}

/// With two places at most, cut.
fn mebibytes(bytes: u64) -> String {
    let hundredths = (u128::from(bytes) * 100) >> 20;
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{} MiB", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_mebibytes_and_in_bytes_where_these_do_not_differ() {
        assert_eq!(needed((64 << 20) + (64 << 10), 64 << 20), "64.06 MiB at the start; the limit is 64 MiB");
        assert_eq!(needed(4 << 30, 1 << 19), "4096 MiB at the start; the limit is 0.5 MiB");
        assert_eq!(needed((64 << 20) + 16, 64 << 20), "67108880 bytes at the start; the limit is 67108864 bytes");
    }

    /// A module of this much data in a section of this kind, after a small custom section.
    fn with(id: u8, bytes: u32) -> Vec<u8> {
        let length = (0..5).map(|n| u8::try_from(bytes >> (7 * n) & 0x7f).unwrap() | if n < 4 { 0x80 } else { 0 });
        let mut module = b"\0asm\x01\0\0\0\0\x02\x01n".to_vec();
        module.push(id);
        module.extend(length);
        module.resize(module.len() + bytes as usize, 0);
        module
    }

    #[test]
    fn a_module_that_would_fit_without_its_names_is_told_how_to_lose_them() {
        let text = too_large(&with(0, 20 << 20)).to_string();
        let custom = (20 << 20) + 6 + 4;
        let expected = format!(
            "the module has {} bytes; 16777216 is the most; {custom} of these are names and other custom sections: `wasm-strip` removes them",
            custom + 8
        );
        assert_eq!(text, expected);
        assert_eq!(too_large(&with(11, 20 << 20)), Refusal::TooLarge { bytes: custom + 8, custom: None });
        // No sections, and one that reaches beyond the end.
        assert_eq!(too_large(&[0; 9]), Refusal::TooLarge { bytes: 9, custom: None });
        assert_eq!(too_large(b"\0asm\x01\0\0\0\0\x7f"), Refusal::TooLarge { bytes: 10, custom: None });
        assert_eq!(too_large(b"\0asm\x01\0\0\0\0\xff\xff\xff\xff\xff"), Refusal::TooLarge { bytes: 14, custom: None });
    }
}
