//! [`Spelling`]: how a shell takes commands for the home of a station.
//!
//! Guarantees: a command that is offered reaches the station that offers it: a home that `station` does not take by itself is named.
//! Deliberately lacks the homes: `platform::home` knows them.

/// How commands are written for one home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// The home as a shell takes it, where it must be named.
    home: Option<String>,
}

impl Spelling {
    /// For the home that a shell takes as `quoted`.
    #[must_use]
    pub fn of(quoted: String) -> Self {
        Self { home: Some(quoted) }
    }

    /// `station WORDS` for this home.
    #[must_use]
    pub fn call(&self, words: &str) -> String {
        match &self.home {
            Some(home) => format!("station {words} --home {home}"),
            None => format!("station {words}"),
        }
    }
}
