//! Attacks of a stranger on a real station, in a network of their own: each ends with bounded harm, and honest work beside it settles.
//!
//! Short forms; `STATION_STRANGERS=long` makes each last minutes and use more keys. Guarantees: what is asserted is a bound on what the station
//! keeps, a connection that was let go, or an experiment that settled. Deliberately lacks times: how long things take is the benchmark's.

mod asking;
mod content;
mod telling;

use std::path::Path;
use std::time::Duration;

use station_stranger::world::World;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_station-e2e"))
}

/// Whether attacks are to last.
fn is_long() -> bool {
    std::env::var("STATION_STRANGERS").is_ok_and(|form| form == "long")
}

/// `short` seconds, or in the long form `long` ones.
fn seconds(short: u64, long: u64) -> Duration {
    Duration::from_secs(if is_long() { long } else { short })
}

/// `short`, or in the long form `long`.
fn many<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// The target does the work of an honest researcher.
async fn honest_work_settles(world: &World) {
    let publisher = world.honest("publisher", 1).await;
    world.honest_work_settles(&publisher, 2).await;
}
