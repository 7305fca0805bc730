//! Frames as they stand in machine code, also of a processor that this machine has not.

use std::str::FromStr;

use wasmer::Module;
use wasmer::sys::{CpuFeature, Target, Triple};

use crate::artefact::Tier;
use crate::engine;

/// The largest frame that any function of a module in its normal form makes at once on x86-64, in bytes.
pub(super) fn on_x86_64(normal: &[u8], tier: Tier) -> usize {
    let code = code(normal, tier, "x86_64-unknown-linux-gnu");
    // sub rsp, imm32
    let frames = code.windows(7).filter(|bytes| bytes[..3] == [0x48, 0x81, 0xec]).map(|bytes| word(&bytes[3..]) as usize);
    frames.filter(|bytes| *bytes < LARGEST).max().unwrap_or(0)
}

/// The same on 64-bit ARM.
pub(super) fn on_aarch64(normal: &[u8], tier: Tier) -> usize {
    let code = code(normal, tier, "aarch64-unknown-linux-gnu");
    let words = code.windows(12).map(|bytes| [word(bytes), word(&bytes[4..]), word(&bytes[8..])]);
    words.filter_map(aarch64).filter(|bytes| *bytes < LARGEST).max().unwrap_or(0)
}

/// Above what a frame may have: bytes that only look like an instruction.
const LARGEST: usize = 64 << 20;

/// What three instructions take from the stack pointer: by a number in the last one, or by one in a register that the others made.
fn aarch64([first, second, last]: [u32; 3]) -> Option<usize> {
    // sub sp, sp, #imm12 {, lsl #12}
    if last & 0xff80_03ff == 0xd100_03ff {
        let imm = (last >> 10 & 0xfff) as usize;
        return Some(if last >> 22 & 1 == 1 { imm << 12 } else { imm });
    }
    // sub sp, sp, x16
    if last & 0xffe0_ffff != 0xcb20_63ff {
        return None;
    }
    let movz = |word: u32| (word & 0xff80_0000 == 0xd280_0000).then(|| ((word >> 5 & 0xffff) as usize) << (16 * (word >> 21 & 3)));
    let movk = |word: u32| (word & 0xff80_0000 == 0xf280_0000).then(|| ((word >> 5 & 0xffff) as usize) << (16 * (word >> 21 & 3)));
    movk(second).and_then(|high| Some(movz(first)? | high)).or_else(|| movz(second))
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn code(normal: &[u8], tier: Tier, triple: &str) -> Vec<u8> {
    let features = if triple.starts_with("x86") { CpuFeature::for_host() } else { CpuFeature::set() };
    let target = Target::new(Triple::from_str(triple).unwrap(), features);
    let engine: wasmer::Engine = engine::builder(tier).set_target(Some(target)).engine().into();
    Module::from_binary(&engine, normal).unwrap().serialize().unwrap().to_vec()
}
