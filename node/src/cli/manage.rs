//! `station init` and `id`.

use serde_json::json;
use station_protocol::SigningKey;

use super::client::Client;
use super::output::{Exit, Failure, Output, shown};
use crate::api::types::StatusBody;
use crate::platform::home::Home;

pub(super) fn init(home: &Home, output: &Output) -> Result<Exit, Failure> {
    home.init()?;
    let node = SigningKey::from_bytes(&home.key()?).node().to_string();
    let body = json!({ "home": shown(home.dir()), "node": node });
    output.show(&body, |_| {
        let (dir, file) = (home.dir().display(), home.path("network.toml"));
        let (new, run) = (home.new_network(), home.call("run"));
        let next = format!("copy the network file that somebody gave you to {}, or make a network of your own:", file.display());
        format!("Made a station in {dir}\nnode id  {node}\n\nNext: {next}\n  {new}\nThen:\n  {run}\n")
    });
    Ok(Exit::Done)
}

pub(super) async fn id(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let node = SigningKey::from_bytes(&home.key()?).node().to_string();
    let client = Client::find(home).await?;
    let addresses = match &client {
        Some(client) => client.get::<StatusBody>("/v1/status").await?.addresses,
        None => Vec::new(),
    };
    output.show(&json!({ "node": node, "addresses": addresses }), |_| {
        let mut text = format!("{node}\n");
        addresses.iter().for_each(|address| text.push_str(&format!("  {address}\n")));
        text
    });
    if addresses.is_empty() {
        output.say(match client {
            Some(_) => "(the station runs and knows no address at which others could dial it)",
            None => "(addresses are known while the station runs)",
        });
    }
    Ok(Exit::Done)
}
