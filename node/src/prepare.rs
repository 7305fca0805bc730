//! From an experiment file to a draft: parses its inputs and refuses a module that no station could run.

use station_protocol::Content;
use station_protocol::bounded::Name;
use station_protocol::experiment::file::{ExperimentFile, FileError, Listed};
use station_protocol::jobs::JobsError;
use station_protocol::requester::Draft;

/// Why a file does not become an experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("its jobs: {0}")]
    Jobs(#[from] JobsError),
    #[error("[run] every is not implemented yet: publish the experiment again for each run")]
    Recurrence,
}

/// The draft that `file` means, with `module` in the store and `inputs` what `jobs.file` holds.
pub fn draft(file: ExperimentFile, module: Content, inputs: Option<Listed>) -> Result<Draft, PrepareError> {
    if file.every_ms.is_some() {
        return Err(PrepareError::Recurrence);
    }
    let profile = Name::new(station_sandbox::PROFILE).expect("the profile's name is a name");
    let jobs = file.jobs(inputs)?;
    Ok(file.into_draft(module, jobs, profile))
}

#[cfg(test)]
mod tests;
