//! The experiment file that people write (TOML) → a draft.
