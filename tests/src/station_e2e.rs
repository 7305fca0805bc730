//! The station's own `main`, built beside the tests so that they find it with `CARGO_BIN_EXE_station-e2e`.

fn main() -> std::process::ExitCode {
    station_sandbox::worker_entry();
    station_node::cli::main()
}
