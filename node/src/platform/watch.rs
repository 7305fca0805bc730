//! Watches the operator's files and the power, and tells the running station.
//!
//! Guarantees: a policy that was changed by hand is in force within two looks, once it reads the same in both, so that no half-written file
//! counts; a spoilt one changes nothing and is told; what needs a restart is told. Deliberately lacks the system's own notices of changed
//! files: three small files a second cost less than their differences between systems.

use std::time::Duration;

use station_protocol::policy::Policy;

use super::home::{Home, never_contacted};
use super::power;
use crate::library::bundled_names;
use crate::on_disk::sentence;
use crate::station::{Handle, HandleError};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two at the power.
const POWER_EVERY: u64 = 10;

/// The texts of the three files, or why they cannot be read.
type Texts = [Result<String, String>; 3];

/// Watches until the station ends. `say` tells a person.
pub async fn watch(home: &Home, handle: &Handle, say: impl Fn(String)) {
    let mut watch = Watch { seen: None, judged: None };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for look in 0_u64.. {
        looks.tick().await;
        if watch.look(home, handle, &say).await.is_err() {
            return;
        }
        if look % POWER_EVERY == 0 && handle.on_battery(power::on_battery()).await.is_err() {
            return;
        }
    }
}

struct Watch {
    /// In the look before.
    seen: Option<Texts>,
    /// What was judged last.
    judged: Option<Texts>,
}

impl Watch {
    async fn look(&mut self, home: &Home, handle: &Handle, say: &impl Fn(String)) -> Result<(), HandleError> {
        let texts = read(home);
        let settled = self.seen.as_ref() == Some(&texts);
        self.seen = Some(texts.clone());
        if !settled || self.judged.as_ref() == Some(&texts) {
            return Ok(());
        }
        let mut in_force = handle.host().policy();
        let before = handle.files().files(&in_force);
        let is_first = self.judged.is_none();
        let policy_is_new = self.judged.as_ref().is_none_or(|judged| judged[0] != texts[0]);
        self.judged = Some(texts.clone());
        let [policy, network, settings] = texts;
        if policy_is_new {
            let policy = policy.and_then(|text| Policy::parse(&text, &bundled_names()).map_err(|error| error.to_string()));
            if let Ok(policy) = &policy {
                // A command that edits the file tells the station itself, before it is looked at here.
                let is_told = policy.source() == in_force.source();
                if !is_told {
                    handle.set_policy(policy.clone()).await?;
                    // The queue is in order: what is answered now was decided under the new one.
                    handle.status().await?;
                    in_force.clone_from(policy);
                }
                if !is_told || !is_first {
                    say("policy.toml was changed: what it says is in force now".to_owned());
                    never_contacted(policy).into_iter().for_each(|warning| say(format!("warning: {warning}")));
                }
            }
            handle.tell_files(|files| files.read_policy(policy.as_ref().map_err(String::as_str)));
        }
        let identity = handle.identity();
        let network = network.and_then(|_| home.network().map_err(|error| error.to_string()));
        let settings = settings.and_then(|_| home.config().map_err(|error| error.to_string()));
        handle.tell_files(|files| {
            files.read_network(network.as_ref().map_err(String::clone), &identity.network_file);
            files.read_settings(settings.as_ref().map_err(String::clone), &identity.config);
        });
        let (now, spelling) = (handle.files().files(&in_force), home.spelling());
        for ((file, standing), (_, before)) in now.iter().zip(&before) {
            if standing != before
                && let Some(sentence) = sentence(file, standing, &spelling)
            {
                say(sentence);
            }
        }
        Ok(())
    }
}

fn read(home: &Home) -> Texts {
    let text = |name: &str| home.text(name).map(Option::unwrap_or_default).map_err(|error| error.to_string());
    [text("policy.toml"), text("network.toml"), text("station.toml")]
}

#[cfg(test)]
mod tests;
