//! How a worker shuts itself in, beyond being a process of its own.
//!
//! Guarantees: [`enter`] and [`forbid_new_code`] say which layers hold, not which were tried; a layer that the kernel refuses lowers
//! the level and is no error. Layers only ever take rights away, and none can be taken back. Deliberately lacks resource limits
//! and descriptors (`system`), which are part of every level, and layers of other systems than Linux.

#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(target_os = "linux")]
mod seccomp;

use serde::{Deserialize, Serialize};
use station_protocol::receipt::Isolation;

/// The layers around a worker: wanted, or reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// Only listed system calls, and in a run worker no new executable memory once the artefact is mapped.
    pub seccomp: bool,
    /// No files, no TCP, and where the kernel knows how to, no signals or abstract sockets to processes outside.
    pub landlock: bool,
    /// User, network, IPC, host name and mount namespaces of its own, with an empty root.
    pub namespaces: bool,
}

impl Layers {
    /// What a worker of the product asks for.
    pub const ALL: Self = Self { seccomp: true, landlock: true, namespaces: true };

    /// The name of it in claims and receipts.
    #[must_use]
    pub fn level(self) -> Isolation {
        match self {
            Self { seccomp: true, landlock: true, namespaces: true } => Isolation::Full,
            Self { seccomp: false, landlock: false, namespaces: false } => Isolation::ProcessOnly,
            _ => Isolation::Partial,
        }
    }
}

/// What the worker is for: it decides which system calls are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Compile,
    Run,
}

/// Namespaces, for whoever has one thread and no rights to lose yet: first, because it needs the file system.
#[cfg(target_os = "linux")]
pub(crate) fn detach(wanted: Layers) -> bool {
    wanted.namespaces && namespaces::enter()
}

/// Gives up capabilities, files, and all system calls but the listed ones. What holds now; `detached` is what [`detach`] said.
#[cfg(target_os = "linux")]
pub(crate) fn enter(wanted: Layers, purpose: Purpose, detached: bool) -> Layers {
    // Nothing of ours needs a capability; it matters where namespaces are refused and the station runs as root.
    let _ = namespaces::drop_capabilities();
    let landlock = wanted.landlock && landlock::enter();
    // Last: it forbids what the others need.
    let seccomp = wanted.seccomp && seccomp::enter(purpose);
    Layers { seccomp, landlock, namespaces: detached }
}

/// From here on asking for executable memory kills the process, as does changing the filter.
#[cfg(target_os = "linux")]
pub(crate) fn forbid_new_code(held: Layers) -> Layers {
    Layers { seccomp: held.seccomp && seccomp::forbid_new_code(), ..held }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_layers_together_are_full() {
        assert_eq!(Layers::ALL.level(), Isolation::Full);
        assert_eq!(Layers { namespaces: false, ..Layers::ALL }.level(), Isolation::Partial);
        assert_eq!(Layers { landlock: true, ..Layers::default() }.level(), Isolation::Partial);
        assert_eq!(Layers::default().level(), Isolation::ProcessOnly);
    }
}
