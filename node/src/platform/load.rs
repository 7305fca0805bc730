//! What processes take of the machine, as Linux says it in `/proc`.
//!
//! Deliberately lacks other systems: where nothing is found, nothing is said.

use std::fs;

/// The unit of times in `/proc/<process>/stat`: a hundredth of a second, on every machine that Linux runs on.
const TICK_MS: u64 = 10;

/// Processor time of a process and its threads so far, in milliseconds.
#[must_use]
pub fn cpu_ms(process: u32) -> Option<u64> {
    cpu_ms_of(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

fn cpu_ms_of(stat: &str) -> Option<u64> {
    // The name in parentheses may have spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    user.checked_add(system)?.checked_mul(TICK_MS)
}

/// Memory that this process has, in bytes.
#[must_use]
pub fn memory_bytes() -> Option<u64> {
    resident_of(&fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmRSS` of `/proc/<process>/status`, which has the same unit whatever the machine's page is.
fn resident_of(status: &str) -> Option<u64> {
    let said = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    said.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_that_looks_like_them() {
        let stat = "4242 (a) b (1 2) R 1 4242 4242 0 -1 4194560 100 0 0 0 150 7 0 0 20 0 1 0 12345 1000 100";
        assert_eq!(cpu_ms_of(stat), Some(1_570));
        assert_eq!(cpu_ms_of("4242 (short) R 1"), None);
    }

    #[test]
    fn memory_is_read_in_the_unit_that_stands_beside_it() {
        let status = "Name:\tVmRSS: 7 kB\nVmHWM:\t   99999 kB\nVmRSS:\t   52480 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(resident_of(status), Some(52_480 << 10));
        assert_eq!(resident_of("VmRSS:\t12 pages\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_a_process_that_is_not_there_no_time() {
        assert!(memory_bytes().is_some_and(|bytes| bytes > 100_000));
        assert!(cpu_ms(std::process::id()).is_some());
        assert_eq!(cpu_ms(u32::MAX), None);
    }
}
