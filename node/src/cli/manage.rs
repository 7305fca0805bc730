//! `station init`, `status` and `id`.

use serde_json::json;
use station_protocol::SigningKey;

use super::client::Client;
use super::output::{Exit, Failure, Output, shown};
use crate::api::types::StatusBody;
use crate::platform::home::Home;
use crate::printable::Line;

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
    let addresses = match Client::find(home).await? {
        Some(client) => client.get::<StatusBody>("/v1/status").await?.addresses,
        None => Vec::new(),
    };
    output.show(&json!({ "node": node, "addresses": addresses }), |_| {
        let mut text = format!("{node}\n");
        addresses.iter().for_each(|address| text.push_str(&format!("  {address}\n")));
        text
    });
    if addresses.is_empty() {
        output.say("(addresses are known while the station runs)");
    }
    Ok(Exit::Done)
}

pub(super) async fn status(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let status: StatusBody = Client::connect(home).await?.get("/v1/status").await?;
    output.show(&status, render);
    Ok(Exit::Done)
}

fn render(status: &StatusBody) -> String {
    let mut text = format!(
        "{} on {}\nnode       {}\nisolation  {}\ncapacity   {} ({} running)\noutbox     {} receipts\npeers      {}\n",
        status.software,
        status.network,
        status.node,
        status.isolation,
        status.capacity,
        status.running,
        status.outbox,
        status.connected.len(),
    );
    for warning in status.clock.iter().chain(&status.unfit) {
        text.push_str(&format!("WARNING    {}\n", Line(warning)));
    }
    for address in &status.addresses {
        text.push_str(&format!("address    {}\n", Line(address)));
    }
    for (topic, count) in &status.topics {
        text.push_str(&format!("topic      {}: {count} stations\n", Line(topic)));
    }
    for call in &status.calls {
        text.push_str(&format!("experiment {} {:?} on {}: {}\n", Line(&call.experiment), call.name, Line(&call.topic), Line(&call.standing)));
    }
    for own in &status.own {
        text.push_str(&format!("own        {own}\n"));
    }
    // Of strangers only what was too much: the rest is in --json.
    for (what, account) in status.accounts.iter().filter(|(_, account)| account.refused > 0) {
        text.push_str(&format!("strangers  {what}: {} refused, {} let go\n", account.refused, account.let_go));
    }
    text
}
