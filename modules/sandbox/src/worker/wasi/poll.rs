//! `poll_oneoff`: sleeping, and descriptors that are always ready.
//!
//! Guarantees: the layout of preview1 (48 bytes a subscription, 32 an event) and at most [`SUBSCRIPTIONS_MAX`] of them; a sleep costs
//! wall time that the parent ends. Deliberately lacks waiting for anything else: host calls wait with `station_v1.wait`.

use super::{Bytes, Called, Env, Guest, cost, errno, split};

/// Most subscriptions in one call.
pub(crate) const SUBSCRIPTIONS_MAX: i32 = 64;
const SUBSCRIPTION_BYTES: usize = 48;
const EVENT_BYTES: usize = 32;
/// The flag that makes a time-out a point in time.
const ABSOLUTE: u16 = 1;

pub(super) fn poll_oneoff(mut env: Env<'_>, from: i32, to: i32, count: i32, events: i32) -> Called {
    let (guest, mut memory) = split(&mut env)?;
    if !(1..=SUBSCRIPTIONS_MAX).contains(&count) {
        return Ok(errno::INVAL);
    }
    memory.pay(guest, u64::from(count.cast_unsigned()) * cost::SUBSCRIPTION)?;
    Ok(super::answer(poll(guest, &memory, from, to, count, events)))
}

enum Wanted {
    /// Nanoseconds from now.
    Sleep(u64),
    /// At once, with an error number.
    Ready(i32),
}

fn poll(guest: &mut Guest, memory: &Bytes<'_>, from: i32, to: i32, count: i32, events: i32) -> Result<(), i32> {
    let count = count.cast_unsigned() as usize;
    let bytes = memory.copy(from, i32::try_from(count * SUBSCRIPTION_BYTES).map_err(|_| errno::INVAL)?, count * SUBSCRIPTION_BYTES)?;
    memory.check(to, count * EVENT_BYTES)?;
    memory.check(events, 4)?;
    let wanted = bytes.chunks_exact(SUBSCRIPTION_BYTES).map(|bytes| wanted(guest, bytes)).collect::<Result<Vec<_>, _>>()?;
    let shortest = wanted.iter().map(|wanted| if let Wanted::Sleep(ns) = wanted { *ns } else { 0 }).min().unwrap_or(0);
    if shortest > 0 {
        guest.sleep(shortest);
    }
    let mut written = 0_u32;
    for (wanted, bytes) in wanted.iter().zip(bytes.chunks_exact(SUBSCRIPTION_BYTES)) {
        let number = match wanted {
            Wanted::Sleep(ns) if *ns > shortest => continue,
            Wanted::Sleep(_) => errno::SUCCESS,
            Wanted::Ready(number) => *number,
        };
        let mut event = [0; EVENT_BYTES];
        event[..8].copy_from_slice(&bytes[..8]);
        event[8] = u8::try_from(number).unwrap_or(u8::MAX);
        event[10] = bytes[8];
        if bytes[8] == 1 {
            event[16..24].copy_from_slice(&((guest.input.len() - guest.input_at) as u64).to_le_bytes());
        }
        memory.put(to.wrapping_add((written.cast_signed()) * EVENT_BYTES as i32), &event)?;
        written += 1;
    }
    memory.put_u32(events, written)
}

fn wanted(guest: &Guest, bytes: &[u8]) -> Result<Wanted, i32> {
    let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
    match bytes[8] {
        0 => {
            let Some(now) = guest.now_ns(u32_at(16).cast_signed()) else { return Ok(Wanted::Ready(errno::INVAL)) };
            let absolute = u16::from_le_bytes([bytes[40], bytes[41]]) & ABSOLUTE != 0;
            Ok(Wanted::Sleep(if absolute { u64_at(24).saturating_sub(now) } else { u64_at(24) }))
        }
        kind @ (1 | 2) => {
            let fd = u32_at(16).cast_signed();
            let right = guest.is_open(fd) && (kind == 1) == (fd == 0);
            Ok(Wanted::Ready(if right { errno::SUCCESS } else { errno::BADF }))
        }
        _ => Err(errno::INVAL),
    }
}
