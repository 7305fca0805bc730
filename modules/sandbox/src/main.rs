//! The smallest program that may start workers: the tests' worker. Deliberately does nothing when started by hand.

fn main() {
    station_sandbox::worker_entry();
}
