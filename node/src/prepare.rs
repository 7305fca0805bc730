//! From an experiment file to a draft: reads its inputs, and refuses what no station could ever do.

use station_protocol::Content;
use station_protocol::bounded::Name;
use station_protocol::capability::{Needs, TargetPattern};
use station_protocol::experiment::Class;
use station_protocol::experiment::file::{ExperimentFile, FileError, Listed};
use station_protocol::jobs::JobsError;
use station_protocol::requester::Draft;
use station_sandbox::{Needs as AtStart, Refusal};
use url::Url;

use crate::library::BUNDLED;
use crate::outside::address::{AddressRefused, Origin, judge, judge_name, judge_pattern, judge_port};
use crate::page::words::cut;
use crate::printable::Line;

/// Characters of what is wrong with a module: it may have names of any length.
const REASON_WIDTH: usize = 400;

/// Why a file does not become an experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("its jobs: {0}")]
    Jobs(#[from] JobsError),
    #[error("[needs] {target} can never be contacted, for {reason}: remove it, or name a public host")]
    Need { target: TargetPattern, reason: AddressRefused },
    #[error("job {index} contacts {target:?}, which is never possible, for {reason}: remove it from [jobs], or name a public host")]
    Target { index: u64, target: String, reason: AddressRefused },
    #[error("job {index} contacts {target:?}, which [needs] does not name: add its host there")]
    NotNeeded { index: u64, target: String },
    #[error("a measurement asks somebody, and [needs] names nobody: write http = [\"host:443\"] there, or [pure] in the place of [measurement]")]
    NoNeeds,
    /// The module chose the names in it.
    #[error("no station could run its module: {}; look at it with `station module inspect`", Line(&cut(&.0.to_string(), REASON_WIDTH)))]
    Module(Refusal),
    #[error("no job of its module would begin: {}", short_of(.0))]
    Short(Refusal),
}

/// Why a module does not get to its first operator under a limit, with the key that raises it.
#[must_use]
pub fn short_of(refusal: &Refusal) -> String {
    let key = if matches!(refusal, Refusal::FuelAtStart { .. }) { "fuel" } else { "memory" };
    format!("{refusal}: raise [limits] {key}")
}

/// Jobs whose targets are looked at before publication: enough to see a mistake that all have in common.
const TARGETS_LOOKED_AT: u64 = 1_000;

/// What is said of a bundled module that there is not.
#[must_use]
pub fn unknown_module(name: &str) -> String {
    format!("no bundled module is called {name}; there are {}; a module of your own is a path, like \"./{name}.wasm\"", bundled())
}

/// The names of the bundled modules.
#[must_use]
pub fn bundled() -> String {
    BUNDLED.iter().map(|module| module.name).collect::<Vec<_>>().join(", ")
}

/// Refuses targets that no guest of an operator's station can ever contact.
fn check_needs(needs: &Needs) -> Result<(), PrepareError> {
    for target in needs.values().flat_map(|targets| targets.iter()) {
        judge_pattern(target).map_err(|reason| PrepareError::Need { target: target.clone(), reason })?;
    }
    Ok(())
}

/// Refuses what no operator's station can ever do: whether each of the first jobs contacts what could be contacted and is asked for is seen
/// where the file says which key names its target.
pub fn check(draft: &Draft) -> Result<(), PrepareError> {
    check_needs(&draft.needs)?;
    if matches!(draft.class, Class::Measurement(_)) && draft.needs.is_empty() {
        return Err(PrepareError::NoNeeds);
    }
    let Some(key) = &draft.target else { return Ok(()) };
    for index in 0..draft.jobs.count().min(TARGETS_LOOKED_AT) {
        // What is no URL is the module's business.
        let Some(target) = draft.jobs.target(index, key) else { continue };
        let Some(origin) = Url::parse(&target).ok().and_then(|url| Origin::of(&url).ok()) else { continue };
        let refused = |reason| PrepareError::Target { index, target: target.clone(), reason };
        origin.literal.map_or_else(|| judge_name(&origin.host), judge).and_then(|()| judge_port(origin.port)).map_err(refused)?;
        let is_needed = draft.needs.values().any(|targets| targets.iter().any(|need| need.covers(&origin.host, origin.port)));
        if !is_needed {
            return Err(PrepareError::NotNeeded { index, target });
        }
    }
    Ok(())
}

/// Refuses a module that no station could run, or that has more memory at the start than a job may have. It is looked at and not compiled:
/// that takes a second for each MiB, and whoever publishes waits.
pub fn check_module(module: &[u8], memory_bytes: u64) -> Result<(), PrepareError> {
    let sight = station_sandbox::look(module).map_err(PrepareError::Module)?;
    AtStart { memory_bytes: sight.memory_bytes, ..AtStart::default() }.within(memory_bytes, u64::MAX).map_err(PrepareError::Short)
}

/// The draft that `file` means, with `module` in the store and `inputs` what `jobs.file` holds.
pub fn draft(file: ExperimentFile, module: Content, inputs: Option<Listed>) -> Result<Draft, PrepareError> {
    let profile = Name::new(station_sandbox::PROFILE).expect("the profile's name is a name");
    let jobs = file.jobs(inputs)?;
    Ok(file.into_draft(module, jobs, profile))
}

#[cfg(test)]
mod tests;
