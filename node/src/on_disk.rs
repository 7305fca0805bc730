//! [`OnDisk`]: whether what stands in the operator's files is in force.
//!
//! A changed policy comes into force by itself; roles, network and settings are what a station starts with. Guarantees: what is on disk and
//! not in force is named with what to do. Deliberately lacks the disk: `platform::watch` reads.

use serde::Serialize;
use station_protocol::policy::{Policy, Roles};

use crate::config::{Config, NetworkFile};
use crate::spelling::Spelling;

/// How one file stands to what is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FileStanding {
    /// What it says is in force.
    #[default]
    InForce,
    /// It cannot be read: what was in force before it was spoilt stays.
    Spoilt { reason: String },
    /// These settings of it are in force after a restart.
    Waits { settings: Vec<String> },
    /// Another policy came over the API.
    Replaced,
}

/// The files of a station's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDisk {
    pub policy: FileStanding,
    pub network: FileStanding,
    pub settings: FileStanding,
    /// The policy's text as it was read last.
    policy_text: String,
    /// What is in force since the start.
    roles: Roles,
}

impl OnDisk {
    /// A station that was just started with `policy`.
    #[must_use]
    pub fn in_force(policy: &Policy) -> Self {
        Self {
            policy: FileStanding::InForce,
            network: FileStanding::InForce,
            settings: FileStanding::InForce,
            policy_text: policy.source().to_owned(),
            roles: policy.roles.clone(),
        }
    }

    /// The policy's file reads so now.
    pub fn read_policy(&mut self, read: Result<&Policy, &str>) {
        self.policy = match read {
            Err(reason) => FileStanding::Spoilt { reason: reason.to_owned() },
            Ok(policy) => {
                policy.source().clone_into(&mut self.policy_text);
                let settings = differences(&policy.roles, &self.roles).into_iter().map(|key| format!("roles.{key}")).collect();
                waits(settings)
            }
        };
    }

    /// The network file reads so now.
    pub fn read_network(&mut self, read: Result<&NetworkFile, String>, in_force: &NetworkFile) {
        self.network = compare(read, in_force);
    }

    /// The settings read so now.
    pub fn read_settings(&mut self, read: Result<&Config, String>, in_force: &Config) {
        self.settings = compare(read, in_force);
    }

    /// The standing of each file, under `policy`.
    #[must_use]
    pub fn files(&self, policy: &Policy) -> [(&'static str, FileStanding); 3] {
        let replaced = self.policy == FileStanding::InForce && policy.source() != self.policy_text;
        let of_policy = if replaced { FileStanding::Replaced } else { self.policy.clone() };
        [("policy.toml", of_policy), ("network.toml", self.network.clone()), ("station.toml", self.settings.clone())]
    }
}

/// What is not in force of `file`, in a sentence with the next step; nothing where all is.
#[must_use]
pub fn sentence(file: &str, standing: &FileStanding, spelling: &Spelling) -> Option<String> {
    let (run, reload) = (spelling.call("run"), spelling.call("policy reload"));
    match standing {
        FileStanding::InForce => None,
        FileStanding::Spoilt { reason } if file == "policy.toml" => {
            Some(format!("policy.toml cannot be used, and the policy before it stays in force: {reason}"))
        }
        FileStanding::Spoilt { reason } => {
            Some(format!("{file} cannot be used, and what it said at the start stays in force; mend it before the next `{run}`: {reason}"))
        }
        FileStanding::Waits { settings } => {
            let settings = settings.join(", ");
            Some(format!("{file} was changed and this of it is not in force: {settings}; stop the station with Ctrl-C and start it with `{run}`"))
        }
        FileStanding::Replaced => Some(format!("policy.toml is not in force: another policy came over the API; `{reload}` puts the file in force")),
    }
}

fn waits(settings: Vec<String>) -> FileStanding {
    if settings.is_empty() { FileStanding::InForce } else { FileStanding::Waits { settings } }
}

fn compare<T: Serialize>(read: Result<&T, String>, in_force: &T) -> FileStanding {
    match read {
        Ok(read) => waits(differences(read, in_force)),
        Err(reason) => FileStanding::Spoilt { reason },
    }
}

/// The keys whose values differ. Comments and order are no difference.
fn differences<T: Serialize>(one: &T, other: &T) -> Vec<String> {
    let table = |value: &T| toml::Table::try_from(value).unwrap_or_default();
    let (one, other) = (table(one), table(other));
    let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}

#[cfg(test)]
mod tests;
