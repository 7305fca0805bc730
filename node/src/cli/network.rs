//! `station network new`: writes a network file.

use libp2p::Multiaddr;
use station_protocol::bounded::Name;
use std::path::PathBuf;

use super::output::{Exit, Failure, Output};
use crate::config::NetworkFile;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write a network file: its name separates it from all other networks
    New {
        name: String,
        /// A topic of the network; repeat for more
        #[arg(long = "topic", required = true)]
        topics: Vec<String>,
        /// An address that newcomers dial first, ending in /p2p/<node id>; repeat for more
        #[arg(long = "bootstrap")]
        bootstrap: Vec<Multiaddr>,
        /// A network of one machine or one room: private addresses of stations count
        #[arg(long)]
        lan: bool,
        /// Where to write it; standard output if not given
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(command: &Command, output: &Output) -> Result<Exit, Failure> {
    let Command::New { name, topics, bootstrap, lan, output: file } = command;
    let parse = |text: &String| Name::new(text.clone());
    let network =
        NetworkFile { name: parse(name)?, lan: *lan, bootstrap: bootstrap.clone(), topics: topics.iter().map(parse).collect::<Result<_, _>>()? };
    let text = toml::to_string(&network)?;
    NetworkFile::parse(&text)?;
    match file {
        Some(path) => {
            if path.exists() {
                return Err(Failure::new(format!("{} exists already", path.display())));
            }
            std::fs::write(path, &text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            output.show(&serde_json::json!({ "file": path }), |_| {
                format!("Wrote {}; give the same file to every station of the network.", path.display())
            });
        }
        None => output.show(&network, |_| text.clone()),
    }
    Ok(Exit::Done)
}
