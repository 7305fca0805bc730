//! Unsigned varints as CAR and multiformats write them.
//!
//! Guarantees: one value has one encoding (the shortest), at most ten bytes. Deliberately lacks reading: it looks at a slice and
//! says when that slice is too short to tell.

/// The longest a varint of 64 bits can be.
pub const BYTES_MAX: usize = 10;

/// Why bytes are not a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    #[error("a varint longer than 64 bits")]
    TooLong,
    #[error("a varint with needless zero bytes at its end")]
    NotMinimal,
}

/// The varint at the front of `bytes` and the number of bytes it takes; `None` when `bytes` end before it does.
pub fn decode(bytes: &[u8]) -> Result<Option<(u64, usize)>, VarintError> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        // The tenth byte carries the 64th bit and nothing else.
        if index == BYTES_MAX - 1 && *byte > 1 {
            return Err(VarintError::TooLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return if *byte == 0 && index > 0 { Err(VarintError::NotMinimal) } else { Ok(Some((value, index + 1))) };
        }
    }
    Ok(None)
}

/// Appends the varint of `value` to `out`.
pub fn encode(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
