//! The `station` program: the library's command line, and nothing else.

fn main() -> std::process::ExitCode {
    // First of all: this process may have been started as a sandbox worker.
    station_sandbox::worker_entry();
    station_node::cli::main()
}
