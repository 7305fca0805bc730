//! [`Jobs`]: an experiment's inputs, by index.
#[derive(Clone, Debug)]
pub struct Jobs;
