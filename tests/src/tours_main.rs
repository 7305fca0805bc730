//! Runs the README's tour of the simulator with the programs beside this one; the other tours are tests.

use std::process::ExitCode;

use station_tests::tours;

fn main() -> ExitCode {
    let own = std::env::current_exe().expect("a program has a path");
    let programs = own.parent().expect("it is in a folder");
    let folder = tempfile::tempdir().expect("a temporary folder");
    tours::copy_sources(folder.path());
    match tours::SIMULATOR.run(&tours::readme(), folder.path(), programs, None) {
        Ok(()) => {
            println!("{}: every block shows what the README says", tours::SIMULATOR.heading);
            ExitCode::SUCCESS
        }
        Err(said) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
    }
}
