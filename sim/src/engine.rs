//! `station-sim-engine`: runs the modules of a simulation that does not model them. `station-sim` starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    // In a sandbox's worker this does not return.
    station_sandbox::worker_entry();
    match station_sim::world::engine::serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("station-sim-engine: {error}");
            ExitCode::FAILURE
        }
    }
}
