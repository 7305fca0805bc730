//! The operator's policy: default deny, one gate of requester × module × capability × target.
#[derive(Clone, Debug, Default)]
pub struct Policy;
