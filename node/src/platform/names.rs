//! [`Names`]: the system's resolver, as the system has it now.
//!
//! Guarantees: its configuration is read again when its file changed and after it failed, so that a machine that moved asks where it is;
//! a system without one is tried again at the next name; what this station cannot find out is never told as the name's failure.
//! Deliberately lacks the table of hosts and the search domains: a guest's name means the same on every station.

use std::fs::Metadata;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::timeout;

use crate::outside::ResolveError;

/// Answers that the resolver remembers: more names than its jobs ask in a minute. An answer may be 64 KiB with thousands of addresses, so
/// that all of them take some 40 MB at the worst.
const ANSWERS_CACHED_MAX: u64 = 64;
/// Patience with one question to one server, and how often it is put: a resolver that works answers within seconds or never.
const QUESTION_PATIENCE: Duration = Duration::from_secs(2);
const QUESTIONS: usize = 2;
/// Patience with a name, and with the question whether the resolver works at all. Whoever waits less long has less of both.
const NAME_PATIENCE: Duration = Duration::from_secs(6);
const CONTROL_PATIENCE: Duration = Duration::from_secs(3);
/// A resolver that is silent for so long is read again. One that was given less time may work.
const SILENCE: Duration = Duration::from_secs(1);
/// A tenth of the time, and no more than this, is left for telling whose failure it is.
const MARGIN: Duration = Duration::from_millis(500);
/// Where systems that have such a file keep the resolver's configuration.
const CONFIG_FILE: &str = "/etc/resolv.conf";

/// Where the configuration comes from.
pub(crate) trait Source: Send + Sync + 'static {
    /// Changes when the configuration may have.
    fn stamp(&self) -> Option<Stamp>;
    fn read(&self) -> Result<(ResolverConfig, ResolverOpts), NetError>;
}

/// What a file's change shows by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    file: u64,
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(about);
        #[cfg(not(unix))]
        let file = 0;
        Self { modified: about.modified().ok(), bytes: about.len(), file }
    }
}

/// The system's own.
#[derive(Debug)]
pub(crate) struct System;

impl Source for System {
    fn stamp(&self) -> Option<Stamp> {
        std::fs::metadata(Path::new(CONFIG_FILE)).ok().as_ref().map(Stamp::of)
    }

    fn read(&self) -> Result<(ResolverConfig, ResolverOpts), NetError> {
        hickory_resolver::system_conf::read_system_conf()
    }
}

/// A resolver that strangers have questions for.
pub(crate) struct Names {
    source: Box<dyn Source>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stamp: Option<Stamp>,
    resolver: Option<TokioResolver>,
    /// Whether the last lack of a configuration was said already.
    complained: bool,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

impl Names {
    pub(crate) fn new(source: impl Source) -> Self {
        Self { source: Box::new(source), state: Mutex::default() }
    }

    /// All addresses of `name`, absolute and in lower case, for somebody who waits `within`.
    pub(crate) async fn addresses(&self, name: &str, within: Duration) -> Result<Vec<IpAddr>, ResolveError> {
        // Relaxed: underscores are in names that serve. The final dot keeps the machine's search domains out.
        let Ok(name) = Name::from_str_relaxed(format!("{name}.")) else { return Err(ResolveError::NoSuchName) };
        let resolver = self.current().ok_or(ResolveError::NoResolver)?;
        let (patience, control) = patience(within);
        let found = timeout(patience, resolver.lookup_ip(name)).await;
        match found {
            Ok(Ok(found)) => Ok(found.iter().collect()),
            Ok(Err(error)) if error.is_no_records_found() => Err(ResolveError::NoSuchName),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a name was not found out");
                Err(self.whose_failure(&resolver, control).await)
            }
            Err(_) => Err(self.whose_failure(&resolver, control).await),
        }
    }

    /// Whether the system's resolver answers at all.
    pub(crate) async fn check(&self) -> Result<(), ResolveError> {
        let resolver = self.current().ok_or(ResolveError::NoResolver)?;
        if self.answers(&resolver, CONTROL_PATIENCE).await { Ok(()) } else { Err(ResolveError::Silent) }
    }

    /// A resolver that still tells the root's servers works: then it is the name whose servers are silent.
    async fn whose_failure(&self, resolver: &TokioResolver, patience: Duration) -> ResolveError {
        if self.answers(resolver, patience).await { ResolveError::NoAnswer } else { ResolveError::Silent }
    }

    async fn answers(&self, resolver: &TokioResolver, patience: Duration) -> bool {
        // Asked anew: what it said before it fell silent must not speak for it.
        resolver.clear_lookup_cache(Name::root(), RecordType::NS);
        let (works, is_known) = match timeout(patience, resolver.lookup(Name::root(), RecordType::NS)).await {
            Ok(Ok(_)) => (true, true),
            Ok(Err(error)) => (is_answer(&error), true),
            Err(_) => (false, patience >= SILENCE),
        };
        if !works && is_known {
            // Read again for the next name, whether its file changed or not: its servers may be others, or back.
            self.state().resolver = None;
        }
        works
    }

    /// The resolver of the configuration as it is now.
    fn current(&self) -> Option<TokioResolver> {
        let mut state = self.state();
        let stamp = self.source.stamp();
        if state.resolver.is_none() || state.stamp != stamp {
            state.stamp = stamp;
            state.resolver = match self.source.read().and_then(|(config, options)| resolver(config, options)) {
                Ok(resolver) => {
                    state.complained = false;
                    Some(resolver)
                }
                Err(error) => {
                    if !std::mem::replace(&mut state.complained, true) {
                        tracing::warn!(%error, "no resolver: names cannot be looked up until the system has one");
                    }
                    None
                }
            };
        }
        state.resolver.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a name may take where whoever asked waits `within`, and how long the question after it whether the resolver works.
fn patience(within: Duration) -> (Duration, Duration) {
    let within = within.saturating_sub(MARGIN.min(within / 10)).min(NAME_PATIENCE + CONTROL_PATIENCE);
    let control = (within / 3).min(CONTROL_PATIENCE);
    ((within - control).min(NAME_PATIENCE), control)
}

/// Whether what failed failed by an answer. A resolver answers that has no root, as in a closed network, or that does not tell. One that
/// could find out nothing says so too (SERVFAIL), which is no work.
fn is_answer(error: &NetError) -> bool {
    match error {
        NetError::Dns(DnsError::ResponseCode(code)) => *code != ResponseCode::ServFail,
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code != ResponseCode::ServFail,
        NetError::Truncated => true,
        _ => false,
    }
}

fn resolver(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
    modest(&mut options);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
}

/// The options of a resolver that strangers have questions for.
fn modest(options: &mut ResolverOpts) {
    // The machine's own table of hosts says nothing of the world, and may name what only the operator should reach.
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = ANSWERS_CACHED_MAX;
    options.timeout = options.timeout.min(QUESTION_PATIENCE);
    // What is called attempts there are those after the first.
    options.attempts = options.attempts.min(QUESTIONS - 1);
}

#[cfg(test)]
mod tests;
