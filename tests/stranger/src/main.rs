//! `stranger STATION ATTACK [SECONDS]`: plays one attack on a station that it starts from the program STATION, in a network of its own, and
//! prints what it came to.
//!
//! Guarantees: nothing leaves the machine. Deliberately lacks judgement: figures are printed as they are.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use station_stranger::attacks::census::Claimed;
use station_stranger::attacks::floods::FLOODS;
use station_stranger::attacks::labels::Labels;
use station_stranger::attacks::{addresses, calls, census, content, floods, labels, leases, modules, places};
use station_stranger::world::{TOPIC, World};
use station_stranger::{alone, watch};

/// Of a network whose neighbours are turned against each other.
const TOPICS: usize = 12;
const USAGE: &str = "stranger STATION ATTACK [SECONDS]; attacks: over-lease, returned, ground-nowhere, ground-one, ground-many, trick, crowd-out, nobody, drown, turn, mute, \
                     labels-huge, labels-later, labels-most, overflow, places, handshakes, bomb-16, bomb-256, break-off, rob, hogs, or a flood: ";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(program), Some(attack)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("{USAGE}{FLOODS:?}");
        return ExitCode::from(2);
    };
    if !alone::is_alone() {
        let status = alone::again().args(&arguments).status();
        return if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let seconds = arguments.get(2).and_then(|seconds| seconds.parse().ok()).unwrap_or(20);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(play(&PathBuf::from(program), attack, Duration::from_secs(seconds)))
}

async fn play(program: &std::path::Path, attack: &str, lasting: Duration) -> ExitCode {
    let topics: Vec<String> = (0..TOPICS).map(|number| if number == 0 { TOPIC.to_owned() } else { format!("topic-{number}") }).collect();
    let world = World::with_topics(program, if attack == "turn" { &topics } else { &topics[..1] }).await;
    match attack {
        "turn" => {
            let friend = world.honest("friend", 3).await;
            let _running = friend.run().await;
            println!("{:?}", calls::turn_neighbours(&world, &friend, 3, 4, lasting).await);
        }
        "over-lease" => println!("{:?}", leases::over_lease(&world, lasting).await),
        "returned" => println!("{:?}", leases::leave_returned_leases(&world, 5, lasting).await),
        "ground-nowhere" => println!("{:?}", census::grind(&world, 60_000, Claimed::Nowhere, lasting).await),
        "ground-one" => println!("{:?}", census::grind(&world, 60_000, Claimed::OneNetwork, lasting).await),
        "ground-many" => println!("{:?}", census::grind(&world, 60_000, Claimed::ManyNetworks, lasting).await),
        "trick" => println!("{:?}", addresses::trick(&world, 1_000, lasting).await),
        "crowd-out" => println!("{:?}", addresses::name_the_victim(&world, 8, false, lasting).await),
        "nobody" => println!("{:?}", addresses::name_nobody(&world, 60, lasting).await),
        "drown" => println!("{:?}", calls::drown(&world, lasting).await),
        "mute" => println!("{:?}", addresses::name_the_victim(&world, 4, true, lasting).await),
        "labels-huge" => println!("{:?}", labels::work_with(&world, Labels::Huge, 1, lasting).await),
        "labels-later" => println!("{:?}", labels::work_with(&world, Labels::HugeLater, 1, lasting).await),
        "labels-most" => println!("{:?}", labels::work_with(&world, Labels::Most, 1, lasting).await),
        "overflow" => println!("{:?}", labels::work_with(&world, Labels::Most, u64::MAX, lasting).await),
        "places" => println!("{:?}", places::hold_places(&world, 200, 10).await),
        "handshakes" => println!("{:?}", places::hold_handshakes(&world, 500, 10).await),
        "bomb-16" => println!("{:?}", content::bomb(&world, 16, 5, lasting).await),
        "bomb-256" => println!("{:?}", content::bomb(&world, 256, 1, lasting).await),
        "break-off" => println!("{:?}", content::break_off(&world, 4 << 20, 8, 10).await),
        "rob" => println!("{:?}", content::rob(&world).await),
        "hogs" => {
            let (liars, seen) = modules::hog_the_compiler(&world, 10).await;
            println!("{} requesters, {seen:?}", liars.len());
        }
        name => match FLOODS.iter().find(|flood| format!("{flood:?}").eq_ignore_ascii_case(name)) {
            Some(flood) => println!("{:?}", floods::flood(&world, *flood, lasting, true).await),
            None => {
                eprintln!("{USAGE}{FLOODS:?}");
                return ExitCode::from(2);
            }
        },
    }
    let process = world.process();
    println!("resident {:.0} MB, {} threads, status {}", watch::resident_mb(process), watch::threads(process), world.status().await);
    let publisher = world.honest("publisher", 1).await;
    let begun = std::time::Instant::now();
    let (code, results) = world.settle(&publisher, 2).await;
    println!(
        "honest work: exit {code} after {:.1} s; {}",
        begun.elapsed().as_secs_f64(),
        if code == 0 { "settled".to_owned() } else { results.to_string() }
    );
    ExitCode::SUCCESS
}
