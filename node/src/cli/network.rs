//! `station network new`: writes a network file.

use std::path::PathBuf;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use station_protocol::address::special;
use station_protocol::bounded::Name;

use super::output::{Exit, Failure, Output, shown};
use crate::config::NetworkFile;
use crate::platform::home::Home;
use crate::platform::home::quoted;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write a network file: its name separates it from all other networks
    #[command(after_help = EXAMPLES)]
    New {
        /// What it is called, like my-net: 1 to 64 of a-z, 0-9, '-', '.', '_'
        name: String,
        /// A topic of the network; repeat for more
        #[arg(long = "topic", required = true, value_name = "TOPIC")]
        topics: Vec<String>,
        /// An address that newcomers dial first, ending in /p2p/<node id>; repeat for more
        #[arg(long = "bootstrap", value_name = "ADDRESS")]
        bootstrap: Vec<Multiaddr>,
        /// A network of one machine or one room: private addresses of stations count
        #[arg(long)]
        lan: bool,
        /// Where to write it; standard output if not given, or `-`
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "Examples:
  station network new my-net --topic general --output ~/.station/network.toml
  station network new my-lab --topic compute --lan --bootstrap /ip4/127.0.0.1/tcp/4710/p2p/NODE_ID -o network.toml";

pub(super) fn run(home: &Home, command: &Command, output: &Output) -> Result<Exit, Failure> {
    let Command::New { name, topics, bootstrap, lan, output: file } = command;
    let parse = |text: &String| Name::new(text.clone());
    let network =
        NetworkFile { name: parse(name)?, lan: *lan, bootstrap: bootstrap.clone(), topics: topics.iter().map(parse).collect::<Result<_, _>>()? };
    let text = toml::to_string(&network)?;
    // It is no file yet.
    NetworkFile::parse(&text).map_err(|error| Failure::new(error.reason))?;
    warning(&network).into_iter().for_each(|warning| output.say(warning));
    match super::show::to_file(file.as_deref()) {
        Some(path) => {
            if path.exists() {
                return Err(Failure::new(format!("{} exists already: remove it first, or name another file", path.display())));
            }
            std::fs::write(path, &text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            output.show(&serde_json::json!({ "file": shown(path) }), |_| {
                format!("Wrote {}; give the same file to every station of the network.", path.display())
            });
        }
        None => {
            output.show(&network, |_| text.clone());
            output.say(format!("nothing was written: add `--output {}` to make it this station's network", quoted(&home.path("network.toml"))));
        }
    }
    Ok(Exit::Done)
}

/// What makes a network unlikely to be what was meant.
fn warning(network: &NetworkFile) -> Option<String> {
    let address = network.bootstrap.iter().find(|address| !network.lan && !is_global(address))?;
    Some(format!("bootstrap address {address} is not public, and without --lan no other station dials such an address"))
}

/// Whether stations elsewhere can dial `address`; of a name nobody knows.
fn is_global(address: &Multiaddr) -> bool {
    address.iter().all(|part| match part {
        Protocol::Ip4(ip) => special::judge(ip.into()).is_ok(),
        Protocol::Ip6(ip) => special::judge(ip.into()).is_ok(),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_bootstrap_address_is_warned_of_unless_the_network_is_of_one_room() {
        let of = |address: &str, lan| {
            let bootstrap = vec![address.parse().expect("an address")];
            warning(&NetworkFile { name: Name::new("n").expect("a name"), lan, bootstrap, topics: Vec::new() })
        };
        assert!(of("/ip4/127.0.0.1/tcp/4710", false).is_some_and(|warning| warning.contains("127.0.0.1") && warning.contains("--lan")));
        assert_eq!(of("/ip4/127.0.0.1/tcp/4710", true), None);
        assert_eq!(["/ip4/8.8.8.8/tcp/4710", "/dns4/boot.example/tcp/4710"].map(|address| of(address, false)), [None, None]);
    }
}
