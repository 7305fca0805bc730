//! Mistakes that people make, each with its exit code and the words that must come: the thing that is wrong, and the next step.
//!
//! Real programs, and no network: what is refused is refused before anything leaves. Where a station must run one runs for all rows.
//! Each room of the table is a file: [`experiment`] files, [`commands`], [`homes`], and [`carried`] experiments. Rows about policies, inputs,
//! modules and the machine stand with the tests of those; a room of theirs here is one more `mod`.

mod carried;
mod commands;
mod experiment;
mod homes;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use station_tests::process::Home;

/// A refusal comes at once; this is for machines that are busy. What takes longer was not refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(120);
/// Loopback, at a port that the system chooses.
const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";
/// A network of one machine that has one topic.
const NETWORK: &str = "name = \"test-net\"\nlan = true\ntopics = [\"tests\"]\n";

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_station-e2e"))
}

/// One row: what was typed, the exit code, words that come, and words that must not come.
struct Mistake {
    /// `{dir}` is the folder where the row's files are.
    typed: Vec<String>,
    exit: i32,
    says: Vec<&'static str>,
    never: Vec<&'static str>,
}

impl Mistake {
    fn new(typed: &[&str], exit: i32, says: &[&'static str]) -> Self {
        Self { typed: typed.iter().map(|word| (*word).to_owned()).collect(), exit, says: says.to_vec(), never: Vec::new() }
    }

    fn never(mut self, words: &[&'static str]) -> Self {
        self.never = words.to_vec();
        self
    }

    /// Makes the mistake in `home`. Nothing where it was answered as the row says, else what was.
    async fn make(&self, home: &Home, dir: &Path) -> Option<String> {
        let dir = dir.to_str().expect("UTF-8");
        let typed: Vec<String> = self.typed.iter().map(|word| word.replace("{dir}", dir)).collect();
        let words: Vec<&str> = typed.iter().map(String::as_str).collect();
        let Ok((exit, answer)) = tokio::time::timeout(REFUSED_WITHIN, home.try_ask(&words)).await else {
            return Some(format!("{words:?} was not refused"));
        };
        let said = answer["error"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
        let missing: Vec<_> = self.says.iter().filter(|word| !said.contains(**word)).collect();
        let wrong: Vec<_> = self.never.iter().filter(|word| said.contains(**word)).collect();
        // No sentence of ours shows the inside of the program.
        let inside: Vec<_> = ["Msg(", "Error {", "panicked", "Some("].into_iter().filter(|word| said.contains(word)).collect();
        let is_right = exit == self.exit && missing.is_empty() && wrong.is_empty() && inside.is_empty();
        (!is_right).then(|| format!("{words:?}: exit {exit} for {}, lacks {missing:?}, says {wrong:?}{inside:?} in\n    {said}", self.exit))
    }
}

/// Makes all mistakes of a room and tells those that were answered otherwise, all together.
async fn make_all(home: &Home, dir: &Path, mistakes: Vec<Mistake>) {
    let mut wrong = Vec::new();
    for mistake in mistakes {
        wrong.extend(mistake.make(home, dir).await);
    }
    assert!(wrong.is_empty(), "{} rows:\n  {}", wrong.len(), wrong.join("\n  "));
}

/// A home with a network in which no station runs, beside a folder for files.
async fn ready() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::init(program(), &dir.path().join("home"), LISTEN).await;
    home.write("network.toml", NETWORK);
    (dir, home)
}

/// `text` as the file `name` in `dir`.
fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(dir.join(name), text).expect("written");
}

/// The sentence of a failure.
fn error(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_else(|| panic!("no failure: {answer}"))
}
