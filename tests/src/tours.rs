//! The README's tours, run as they stand: [`Tour::run`] takes the shell blocks under a heading and looks at what they print.
//!
//! Guarantees: every line of every block is run by one shell that ends at the first failure, but for the lines that a tour names, of which each
//! must be there; what a block prints must show the words that its tour names, in their order. Nothing is written outside the folder handed in
//! and the home. Deliberately lacks what words cannot show, like the mode of a file: that is for the caller to look at.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use station_stranger::alone;

/// Stands before each block's own output, with the number of the block.
const MARK: &str = "-- block ";

/// A part of the README.
#[derive(Clone, Copy, Debug)]
pub struct Tour<'a> {
    /// Its heading, without the marks before it.
    pub heading: &'a str,
    /// Beginnings of lines, and what is run in the place of each: a file that somebody gave, a station that would stay in front.
    pub instead: &'a [(&'a str, &'a str)],
    /// Run at the end, like `kill $RUN`.
    pub last: &'a str,
    /// What each block has to show, in this order.
    pub shows: &'a [&'a [&'a str]],
    /// Whether it runs in a network of its own, where no port is taken: it needs nothing else then.
    pub is_alone: bool,
}

/// A station stays in front: here it goes behind, until it answers.
const RUN: &str = "station run & RUN=$!\nuntil station status >/dev/null 2>&1; do sleep 0.2; done";
/// The programs are there already.
const BUILT: &str = "";
/// Two runs that differ are told with an exit code of their own.
const DIFFER: &str = "station-sim diff \"$OUT/calm\" \"$OUT/other\" || [ $? != 0 ]";

pub const OPERATOR: Tour<'_> = Tour {
    heading: "Five minutes as an operator",
    // The file somebody gave, for which the next line is the other way.
    instead: &[("cp NETWORK-FILE", ""), ("station run ", RUN)],
    last: "kill $RUN; wait $RUN",
    shows: &[
        &["Made a station in", "node id", "Next:", "Wrote", "network.toml", "API on"],
        &[
            "state",
            "machine",
            "used by      nobody",
            "budgets",
            "peers        0", // status
            "nothing was done for anybody",
            "ok   key",
            "ok   sandbox      isolation",
            "ok   running",
            "paused until",
            "work is taken again",
            "/tcp/4710/p2p/",
            "gateway-check may use http on *.ipfs.io:443, dweb.link:443",
            "in force now",
            "[[allow]]",
            "may no longer use http",
            "primes was not denied: nothing was changed",
        ],
    ],
    is_alone: true,
};

pub const RESEARCHER: Tour<'_> = Tour { heading: "Five minutes as a researcher", instead: &[], last: "", shows: RESEARCHERS_BLOCKS, is_alone: true };

const RESEARCHERS_BLOCKS: &[&[&str]] = &[
    &["Made a station in", "Made a station in", "Made a station in", "Wrote"],
    &[
        "published \"primes below three million\" as",
        "agreed",
        "2/2 say",
        "primes=216816",
        "agreed",
        "2/2 say",
        "primes=138318",
        "2 of 2 jobs settled",
    ],
    &[
        "agreed",
        "2/2 say",
        "2 of 2 jobs settled", // watch
        "@1",
        "closed: 2 of 2 jobs settled",
        "@2", // experiments
        "job,input.from,input.to,verdict",
        "0,0,3000000,agreed,2",
        "1,1000000,3000000,agreed,2", // results
        "report.html",
        "finishing what runs",
        "primes=216816", // results without a station
        "the Log holds together: 2 verdicts recomputed from 4 signed receipts",
    ],
];

pub const AUTHOR: Tour<'_> = Tour { heading: "Five minutes as a module author", instead: &[], last: "", shows: &[AUTHORS_BLOCK], is_alone: false };

const AUTHORS_BLOCK: &[&str] = &[
    "verdict  runs on this profile", // inspect
    "outcome  completed",
    "\"primes\":25", // run
    "station-mine",
    "7 passed; 0 failed", // test
    "wasm32-wasip1",
    "outcome  completed",
    "\"primes\":25", // a module of one's own
];

/// The same where there is no target for modules to build for, nor a way to get one.
pub const AUTHOR_WITHOUT_TARGET: Tour<'_> = Tour {
    instead: &[("rustup target add", ""), ("cargo build --release --target", ""), ("station module run target/", "")],
    shows: &[AUTHORS_BLOCK.split_at(5).0],
    ..AUTHOR
};

pub const SIMULATOR: Tour<'_> = Tour {
    heading: "Ten minutes as a protocol researcher",
    instead: &[("cargo build", BUILT), ("export PATH", BUILT), ("station-sim diff", DIFFER)],
    last: "test -s \"$OUT/calm/report.html\" && test -s \"$OUT/degree/report.html\"",
    shows: &[
        &[
            "every_job_settles: holds (80 of 80",
            "no_job_settled_twice: holds", // calm-mesh
            "every_job_settles: holds (60 of 60",
            "no_credit_after_expiry: holds", // partition-heal
            "gossip.mesh_n = 6",
            "gossip.mesh_n = 10",
            "difference", // mesh-degree
        ],
        &["home-3", "differ", "# Breaks every_job_settles with seed 1", "[[work]]", "runs, "],
    ],
    is_alone: false,
};

/// The checkout that this was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The README.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// Copies the checkout's sources into `folder`, which is there.
///
/// # Panics
/// When that fails.
pub fn copy_sources(folder: &Path) {
    let entries = std::fs::read_dir(root()).expect("it can be read").map(|entry| entry.expect("an entry"));
    let sources = entries.filter(|entry| !["target", ".git"].contains(&entry.file_name().to_str().unwrap_or_default()));
    let status = Command::new("cp").arg("-R").args(sources.map(|entry| entry.path())).arg(folder).status();
    assert!(status.expect("there is cp").success(), "the sources are copied");
}

impl Tour<'_> {
    /// Runs the tour in `folder`, with `programs` before all others in `PATH` and `home` as `HOME`.
    ///
    /// # Errors
    /// What was printed, where a line failed or a block does not show what it should.
    ///
    /// # Panics
    /// When the README has no such heading or line, or there is no shell.
    pub fn run(&self, readme: &str, folder: &Path, programs: &Path, home: Option<&Path>) -> Result<(), String> {
        let script = self.script(&blocks(readme, self.heading));
        let shell = Path::new("/bin/bash");
        let mut command = if self.is_alone && alone::is_possible() { alone::with(shell) } else { Command::new(shell) };
        let path = std::env::var("PATH").unwrap_or_default();
        command.args(["-c", &script]).current_dir(folder).env("PATH", format!("{}:{path}", programs.display())).stdin(Stdio::null());
        command.env_remove("STATION_HOME").env_remove("CARGO_TARGET_DIR").env("TMPDIR", folder);
        command.envs(home.map(|home| ("HOME", home)));
        let output = command.output().expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(format!("{}: {}\n{said}", self.heading, output.status));
        }
        let printed: Vec<&str> = said.split(MARK).skip(1).collect();
        assert_eq!(printed.len(), self.shows.len(), "{:?} has as many blocks", self.heading);
        printed.iter().zip(self.shows).try_for_each(|(block, words)| shows(block, words))
    }

    fn script(&self, blocks: &[String]) -> String {
        let mut script = String::from("set -e\nexec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n");
        let mut used = vec![false; self.instead.len()];
        for (number, block) in blocks.iter().enumerate() {
            script += &format!("echo '{MARK}{number}'\n");
            for line in block.lines() {
                let at = self.instead.iter().position(|(begins, _)| line.starts_with(begins));
                let run = at.map_or(line, |at| {
                    used[at] = true;
                    self.instead[at].1
                });
                script += run;
                script.push('\n');
            }
        }
        for ((begins, _), used) in self.instead.iter().zip(used) {
            assert!(used, "no line of {:?} begins with {begins:?}", self.heading);
        }
        script + self.last + "\n"
    }
}

/// Whether `words` stand in `block` in this order.
fn shows(block: &str, words: &[&str]) -> Result<(), String> {
    let mut rest = block;
    for word in words {
        let Some(at) = rest.find(word) else { return Err(format!("{word:?} is not where it should be in block {block}")) };
        rest = &rest[at + word.len()..];
    }
    Ok(())
}

/// The shell blocks below a heading, as far as the next heading.
fn blocks(readme: &str, heading: &str) -> Vec<String> {
    let title = format!("## {heading}");
    let below = readme.lines().skip_while(|line| *line != title).skip(1);
    let (mut blocks, mut open, mut is_text): (Vec<String>, bool, bool) = (Vec::new(), false, false);
    for line in below {
        match line {
            "```sh" => {
                open = true;
                blocks.push(String::new());
            }
            "```" => (open, is_text) = (false, false),
            _ if line.starts_with("```") => is_text = true,
            _ if line.starts_with("## ") && !open && !is_text => break,
            _ => {}
        }
        if let Some(block) = blocks.last_mut().filter(|_| open && line != "```sh") {
            block.push_str(line);
            block.push('\n');
        }
    }
    assert!(!blocks.is_empty(), "the README has no shell block under {title:?}");
    blocks
}
