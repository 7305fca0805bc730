//! [`Home`]: the folder of one station: key, settings, policy, network, store.
//!
//! ```text
//! key            32 bytes, mode 0600           station.toml   settings (config.rs)
//! network.toml   name, bootstrap, topics       policy.toml    what the operator allows
//! api.token      mode 0600, made at each start api.addr       where the API listens, while it does
//! store/         records and blobs             engine/        compiled modules, with a key of their own
//! ```
//!
//! Guarantees: the folder is made with mode 0700, its store and its engine have that mode, its files have 0600; secrets are refused when
//! others can read them, and the whole folder when others can write into it; a folder is a station's once it has a key, and the key is
//! written last. Deliberately lacks passphrases, and changing who may read a folder that somebody else made.

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use station_protocol::experiment::file::not_utf8;
use station_protocol::policy::{Allowance, Policy};

use crate::config::{CONFIG_PAGE, Config, ConfigError, NetworkFile};
use crate::library::bundled_names;
use crate::outside::address::judge_pattern;
use crate::platform::system;
use crate::printable::Line;
use crate::spelling::Spelling;

/// No file of ours is as long: it is more than a policy may have, which is the longest.
const FILE_BYTES_MAX: u64 = 2 * station_protocol::policy::POLICY_BYTES_MAX as u64;

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
    #[error("there is no station in {dir}; make one with `{init}`")]
    None { dir: String, init: String },
    #[error("{0} has a station already")]
    Exists(String),
    #[error("{path} can be read by others (mode {mode:o}); run `chmod 600 {path}`")]
    Open { path: String, mode: u32 },
    #[error("{path} can be written by others (mode {mode:o}), who could change what this station allows; run `chmod go-w {path}`")]
    Writable { path: String, mode: u32 },
    #[error("{path} is longer than any file of a station: it must have fewer than {FILE_BYTES_MAX} bytes")]
    Long { path: String },
    #[error("{path}: line {line}: {reason}")]
    NotText { path: String, line: usize, reason: String },
    #[error("{0} is not a key: it must have 32 bytes")]
    Key(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("policy.toml: {0}")]
    Policy(String),
    #[error("this station has no network yet: copy a network file to {file}, or make one with `{new}`")]
    NoNetwork { file: String, new: String },
}

/// A station's folder.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The folder `dir`, which may not exist yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Creates the folder with the commented default settings and, last, a fresh key: without one there is no station, so what was
    /// interrupted can be done again. Settings that are there already, from an interrupted attempt or written beforehand, stay.
    pub fn init(&self) -> Result<(), HomeError> {
        if self.path("key").exists() {
            return Err(HomeError::Exists(self.dir.display().to_string()));
        }
        if !self.dir.is_dir() {
            system::private_folder(&self.dir).map_err(|error| self.io(".", error))?;
        }
        self.not_writable()?;
        for (name, page) in [("station.toml", CONFIG_PAGE), ("policy.toml", POLICY_PAGE)] {
            if !self.path(name).exists() {
                self.write(name, page)?;
            }
        }
        self.replace("key", &entropy())
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `station WORDS` as a shell takes it for this home, which is named where it is not the one that `station` takes by itself.
    #[must_use]
    pub fn call(&self, words: &str) -> String {
        self.spelling().call(words)
    }

    /// How all commands are written for this home.
    #[must_use]
    pub fn spelling(&self) -> Spelling {
        let own = default_dir().is_some_and(|default| default == self.dir);
        if own { Spelling::default() } else { Spelling::of(quoted(&self.dir)) }
    }

    /// The command that makes a network of one's own for this home.
    #[must_use]
    pub fn new_network(&self) -> String {
        self.call(&format!("network new my-net --topic general --output {}", quoted(&self.path("network.toml"))))
    }

    /// A folder in the home that is its owner's alone, made if it is not there.
    pub fn private_folder(&self, name: &str) -> Result<PathBuf, HomeError> {
        let path = self.path(name);
        system::private_folder(&path).map_err(|error| self.io(name, error))?;
        Ok(path)
    }

    /// The key's 32-byte seed.
    pub fn key(&self) -> Result<[u8; 32], HomeError> {
        self.not_writable()?;
        let bytes = self.read_secret("key")?.ok_or_else(|| HomeError::None { dir: self.dir.display().to_string(), init: self.call("init") })?;
        bytes.try_into().map_err(|_| HomeError::Key(self.path("key").display().to_string()))
    }

    pub fn config(&self) -> Result<Config, HomeError> {
        Ok(Config::parse(&self.read("station.toml")?.unwrap_or_default())?)
    }

    pub fn network(&self) -> Result<NetworkFile, HomeError> {
        let none = || HomeError::NoNetwork { file: self.path("network.toml").display().to_string(), new: self.new_network() };
        Ok(NetworkFile::parse(&self.read("network.toml")?.ok_or_else(none)?)?)
    }

    /// The policy's text; empty where there is none, which means the default: deny.
    pub fn policy_text(&self) -> Result<String, HomeError> {
        Ok(self.read("policy.toml")?.unwrap_or_default())
    }

    pub fn policy(&self) -> Result<Policy, HomeError> {
        Policy::parse(&self.policy_text()?, &bundled_names()).map_err(|error| HomeError::Policy(error.to_string()))
    }

    /// A fresh API token, written for the command line to read.
    pub fn new_token(&self) -> Result<String, HomeError> {
        let token: String = entropy().iter().map(|byte| format!("{byte:02x}")).collect();
        self.replace("api.token", token.as_bytes())?;
        Ok(token)
    }

    /// Address and token of the station that runs from this folder, if one left them.
    pub fn api(&self) -> Result<Option<(SocketAddr, String)>, HomeError> {
        let (Some(addr), Some(token)) = (self.read("api.addr")?, self.read_secret("api.token")?) else { return Ok(None) };
        Ok(addr.trim().parse().ok().zip(String::from_utf8(token).ok()))
    }

    pub fn write(&self, name: &str, text: &str) -> Result<(), HomeError> {
        self.replace(name, text.as_bytes())
    }

    /// Removes a file that may be gone already.
    pub fn remove(&self, name: &str) {
        // A file that stays is overwritten by the next start.
        let _ = fs::remove_file(self.path(name));
    }

    /// Writes beside, renames, and fsyncs the folder, so that a crash leaves the old or the new file, never half of one, and what was
    /// said to be written is there after it.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), HomeError> {
        let beside = self.path(&format!(".{name}.new"));
        let write = || {
            let mut file = system::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, self.path(name))?;
            system::sync_folder(&self.dir)
        };
        write().map_err(|error| self.io(name, error))
    }

    /// The text of one of the operator's files, if it is there.
    pub fn text(&self, name: &str) -> Result<Option<String>, HomeError> {
        self.read(name)
    }

    fn read(&self, name: &str) -> Result<Option<String>, HomeError> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        let not_text = |error: FromUtf8Error| {
            let path = self.path(name).display().to_string();
            let (line, reason) = not_utf8(error.as_bytes()).unwrap_or((1, "it is not text in UTF-8".to_owned()));
            HomeError::NotText { path, line, reason }
        };
        String::from_utf8(self.whole(name, file)?).map(Some).map_err(not_text)
    }

    /// The file, if it is there.
    fn open(&self, name: &str) -> Result<Option<fs::File>, HomeError> {
        match fs::File::open(self.path(name)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(name, error)),
        }
    }

    /// All of `file`: the beginning of one that is too long could mean something of its own.
    fn whole(&self, name: &str, file: fs::File) -> Result<Vec<u8>, HomeError> {
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| self.io(name, error))?;
        if bytes.len() as u64 == FILE_BYTES_MAX {
            return Err(HomeError::Long { path: self.path(name).display().to_string() });
        }
        Ok(bytes)
    }

    fn read_secret(&self, name: &str) -> Result<Option<Vec<u8>>, HomeError> {
        let path = self.path(name);
        let Some(file) = self.open(name)? else { return Ok(None) };
        // The file that is open, not what its name may mean by now.
        let mode = file.metadata().map(|about| system::mode(&about)).map_err(|error| self.io(name, error))?;
        if mode & 0o077 != 0 {
            return Err(HomeError::Open { path: path.display().to_string(), mode });
        }
        self.whole(name, file).map(Some)
    }

    /// Whoever can write into the folder can replace any file in it.
    fn not_writable(&self) -> Result<(), HomeError> {
        match fs::metadata(&self.dir).map(|about| system::mode(&about)) {
            Ok(mode) if mode & 0o022 != 0 => Err(HomeError::Writable { path: self.dir.display().to_string(), mode }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io(".", error)),
            _ => Ok(()),
        }
    }

    fn io(&self, name: &str, error: io::Error) -> HomeError {
        HomeError::Io { path: self.path(name).display().to_string(), error }
    }
}

/// Targets of `policy` that no station ever contacts, however they came into the file.
#[must_use]
pub fn never_contacted(policy: &Policy) -> Vec<String> {
    let of = |rule: Allowance<'_>| {
        let who = rule.module.map(str::to_owned).or_else(|| rule.requester.map(|node| node.to_string())).unwrap_or_default();
        let judged = rule.targets.iter().filter_map(|target| Some((target, judge_pattern(target).err()?)));
        let says = |(target, reason)| {
            let (who, capability) = (Line(&who), rule.capability);
            format!("policy.toml allows {who} {capability} on {target}, which can never be contacted, for {reason}: remove it there")
        };
        judged.map(says).collect::<Vec<_>>()
    };
    policy.rules_written().flat_map(of).collect()
}

/// The home where no `--home` is given: `STATION_HOME`, else `~/.station`.
#[must_use]
pub fn default_dir() -> Option<PathBuf> {
    let named = std::env::var_os("STATION_HOME").filter(|named| !named.is_empty());
    named.map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".station")))
}

/// A path as a shell reads it back, one that is no UTF-8 too (`$'…'`, as in bash and POSIX 2024).
#[must_use]
pub fn quoted(path: &Path) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "'\\''")),
        None => {
            let escaped = |byte: &u8| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                0x20..0x7f => char::from(*byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            };
            format!("$'{}'", path.as_os_str().as_encoded_bytes().iter().map(escaped).collect::<String>())
        }
    }
}

/// 32 bytes from the operating system.
///
/// # Panics
/// When the operating system has none, which Linux does not do after boot.
#[must_use]
pub fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has entropy");
    bytes
}

/// What `station init` writes as the policy: the default, in words.
const POLICY_PAGE: &str = r#"# What this station does for others. Without any [[allow]] it runs pure computations only: no network, no files.
# `station allow MODULE CAPABILITY TARGET…` and `station deny` edit this file; its hash is in every claim.

# A running station reads it again by itself when it changes; only [roles] waits for a restart.

# [budget]
# cpu = "1 core"
# memory = "512MiB"
# bytes_per_day = "2GiB"
# hours = "00:00-24:00"                # UTC
# on_battery = false

# [[allow]]
# module = "gateway-check"             # or a CID; and, or instead: requester = "<node id>"
# capability = "http"
# targets = ["*.ipfs.io:443", "dweb.link:443"]
# per_day = 100                        # requests to each target

# [[deny]]                             # no work at all, not even pure
# requester = "<node id>"              # or: module = "primes"

# [network]
# tell_why = false                     # tell requesters why this station declines

# [roles]                              # what this station does for the network beside jobs; in force after a restart
# dht_server = false
# relay = false
"#;

#[cfg(test)]
mod tests;
