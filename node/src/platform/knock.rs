//! Dials the bootstrap addresses of a home whose station does not run, to see who answers.
//!
//! Guarantees: nobody is dialled but the addresses that the operator named, whatever those who answer tell of others. The key is made for
//! this and forgotten. Deliberately lacks topics, the DHT, a store, and any answer to who asks.

use std::time::Duration;

use tokio::time::Instant;

use super::home::{Home, HomeError, entropy};
use super::transport;
use crate::network::knocks::{Bootstrap, Knock};
use crate::network::{Network, NetworkConfig, NetworkError, peer_id};
use crate::tasks::Tasks;

/// Why nobody was dialled.
#[derive(Debug, thiserror::Error)]
pub enum KnockError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("the transport: {0}")]
    Transport(String),
}

/// Between two looks at what came.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The network's name, and what came of dialling each of its bootstrap addresses within `patience`.
pub async fn bootstraps(home: &Home, patience: Duration) -> Result<(String, Vec<Bootstrap>), KnockError> {
    let (file, own) = (home.network()?, station_protocol::SigningKey::from_bytes(&home.key()?).node());
    let secret = entropy();
    let key = peer_id::keypair(secret);
    let transport = transport::build(&key).map_err(|error| KnockError::Transport(error.to_string()))?;
    let is_own = |address: &&libp2p::Multiaddr| address.iter().last() == Some(libp2p::multiaddr::Protocol::P2p(peer_id::peer_of(own)));
    let (mine, others): (Vec<_>, Vec<_>) = file.bootstrap.iter().partition(is_own);
    let config = NetworkConfig {
        bootstrap: others.into_iter().cloned().collect(),
        use_relays: false,
        use_dht: false,
        reach: file.reach(),
        dcutr: false,
        ..NetworkConfig::new(file.name.clone(), Vec::new())
    };
    let tasks = Tasks::new();
    let mut network = Network::new(config, &key, transport, tasks.clone())?;
    let end = Instant::now() + patience;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            // What they ask and say is not for the doctor.
            _ = network.next() => {}
            now = looks.tick() => {
                if now >= end || network.bootstraps().iter().all(is_known) {
                    break;
                }
            }
        }
    }
    let mut found = network.bootstraps();
    found.extend(mine.into_iter().map(|address| Bootstrap { address: address.clone(), knock: Knock::Own, identified: true, ago_ms: 0 }));
    drop(network);
    tasks.close();
    Ok((file.name.to_string(), found))
}

/// Whether waiting longer tells more: a connection is none into this network until its other end said which it is of.
fn is_known(bootstrap: &Bootstrap) -> bool {
    bootstrap.knock.is_bad() || bootstrap.knock == Knock::Own || (bootstrap.knock == Knock::Connected && bootstrap.identified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bootstrap_name_without_an_address_is_found_out_through_all_layers() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let home = Home::new(dir.path().to_owned());
        home.init().expect("a home");
        let node = station_protocol::SigningKey::from_bytes(&[5; 32]).node();
        // No name in the DNS is as long, so that nobody is asked.
        let name = format!("{}.example", "a".repeat(64));
        let file = format!("name = \"lab\"\nlan = true\ntopics = [\"t\"]\nbootstrap = [\"/dns4/{name}/tcp/4710/p2p/{node}\"]\n");
        home.write("network.toml", &file).expect("written");
        let (_, found) = bootstraps(&home, Duration::from_secs(60)).await.expect("a network");
        assert_eq!(found.into_iter().map(|bootstrap| bootstrap.knock).collect::<Vec<_>>(), [Knock::Nowhere { name }]);
    }
}
