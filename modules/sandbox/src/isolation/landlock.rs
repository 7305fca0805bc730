//! Landlock: the kernel's own list of files and ports that a process may touch, here the empty one.
//!
//! Guarantees: every access to files that this kernel's landlock can name is denied, TCP from Linux 6.7 on, signals and abstract
//! sockets to the outside from 6.12 on. Deliberately lacks rules that allow anything.

use ::landlock::{ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};

/// The newest version whose rights are asked for. Older kernels enforce what they know of them.
const NEWEST: ABI = ABI::V6;

/// Whether files are now out of reach.
pub(super) fn enter() -> bool {
    // Partly: all that this kernel knows, which is files at least.
    deny_all().is_ok_and(|status| status != RulesetStatus::NotEnforced)
}

fn deny_all() -> Result<RulesetStatus, RulesetError> {
    let scopes: BitFlags<Scope> = Scope::AbstractUnixSocket | Scope::Signal;
    let rules = Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?.handle_access(AccessNet::from_all(NEWEST))?.scope(scopes)?;
    Ok(rules.create()?.restrict_self()?.ruleset)
}
