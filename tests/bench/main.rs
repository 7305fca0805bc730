//! `bench AREA [--short] [--json]`: the project's numbers, each beside its target and, where one exists, beside an anchor measured in
//! the same run.
//!
//! Guarantees: one object per line with `--json` (name, value, unit, target, anchor, n, machine); a table without. Deliberately
//! lacks assertions: a number is read by people, a test is read by machines.

mod anchors;
mod calibration;
mod cargo;
mod figures;
mod machines;
mod mesh;
mod processes;
mod sandbox;
mod signatures;
mod sim;
mod slowed;
mod storage;
mod strangers;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use figures::Report;

#[derive(Debug, Parser)]
struct Args {
    #[arg(value_enum)]
    area: Area,
    /// Fewer runs of less work: for CI
    #[arg(long)]
    short: bool,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
    /// Of strangers: this attack alone; may be said again
    #[arg(long, value_name = "ATTACK")]
    only: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Area {
    /// Stations on loopback: latency, throughput, memory, start-up, signatures
    Mesh,
    /// Workers: start, steps, the meter, compiling, ending a guest
    Sandbox,
    /// The simulator: virtual time per real time, memory, and the mesh at many sizes
    Sim,
    /// The simulator beside twenty real processes; part of `sim`
    Calibration,
    /// A foreign peer's attacks on a real station: what each costs the attacker, and what it does to the station and to honest work
    Strangers,
    /// (internal) a million jobs through the machines, in a process of its own
    #[value(hide = true)]
    MillionJobs,
    /// (internal) one of twenty stations that the simulator is compared with
    #[value(hide = true)]
    LabStation,
    /// (internal) the other end of a socket
    #[value(hide = true)]
    Pong,
}

fn main() -> ExitCode {
    sandbox::worker_entry();
    let args = Args::parse();
    let mut report = Report::new(args.json);
    match args.area {
        Area::Mesh => mesh::measure(args.short, &mut report),
        Area::Sandbox => sandbox::measure(args.short, &mut report),
        Area::Sim => sim::measure(args.short, &mut report),
        Area::Calibration => sim::calibrate(&mut report),
        Area::Strangers => strangers::measure(args.short, &args.only, &mut report),
        Area::LabStation => {
            calibration::station();
            return ExitCode::SUCCESS;
        }
        Area::Pong => {
            sandbox::pong();
            return ExitCode::SUCCESS;
        }
        Area::MillionJobs => {
            println!("{}", machines::million_jobs(args.short));
            return ExitCode::SUCCESS;
        }
    }
    if report.close() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
