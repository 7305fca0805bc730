//! Whether the machine runs on battery, as Linux says it in `/sys/class/power_supply`.
//!
//! Deliberately lacks other systems: where nothing is found the machine counts as plugged in.

use std::fs;

/// True when a battery is discharging.
#[must_use]
pub fn on_battery() -> bool {
    let Ok(supplies) = fs::read_dir("/sys/class/power_supply") else { return false };
    supplies.filter_map(Result::ok).any(|supply| {
        let read = |name: &str| fs::read_to_string(supply.path().join(name)).unwrap_or_default();
        read("type").trim() == "Battery" && read("status").trim() == "Discharging"
    })
}
