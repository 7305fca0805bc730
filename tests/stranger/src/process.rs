//! Real stations as processes: [`Home`] is a folder made by the command line, [`Running`] the process that runs from it.
//!
//! Guarantees: a process is killed when its value is dropped; [`until`] asks again and again within a limit and says what it waited
//! for. Deliberately lacks any state of a station: it asks over the command line with `--json`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

/// How long anything in a test may take before the test gives up: machines that run tests are busy.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Asks `ready` until it has a value.
///
/// # Panics
/// When it has none within [`PATIENCE`].
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ready: impl FnMut() -> F) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let waiting = async {
        loop {
            tick.tick().await;
            if let Some(value) = ready().await {
                return value;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited {} s for {what}", PATIENCE.as_secs()))
}

/// A station's folder, and the program that works on it.
#[derive(Clone, Debug)]
pub struct Home {
    program: PathBuf,
    dir: PathBuf,
}

impl Home {
    /// A home that exists already.
    #[must_use]
    pub fn at(program: &Path, dir: &Path) -> Self {
        Self { program: program.to_owned(), dir: dir.to_owned() }
    }

    /// Makes a station in `dir` that listens on `listen` (a multiaddr of loopback).
    pub async fn init(program: &Path, dir: &Path, listen: &str) -> Self {
        let home = Self::at(program, dir);
        home.ask(&["init"]).await;
        home.write("station.toml", &format!("listen = [{listen:?}]\napi = \"127.0.0.1:0\"\ncapacity = 2\n"));
        home
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes one of the station's files.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).expect("the home is writable");
    }

    /// Runs `station ARGS --json` and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn ask(&self, args: &[&str]) -> Value {
        let (code, value) = self.try_ask(args).await;
        assert_eq!(code, 0, "station {args:?} failed: {value}");
        value
    }

    /// The same with its exit code. The last line is the answer: progress comes before it.
    pub async fn try_ask(&self, args: &[&str]) -> (i32, Value) {
        let output = self.command(args).output().await.expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let value = value.or_else(|| serde_json::from_str(&text).ok());
        (output.status.code().unwrap_or(-1), value.unwrap_or_else(|| Value::String(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))))
    }

    /// Runs `station ARGS` as people do, and gives all that it printed, first the results.
    pub async fn print(&self, args: &[&str]) -> String {
        let output = Command::new(&self.program).args(args).env("STATION_HOME", &self.dir).stdin(Stdio::null()).output().await;
        let output = output.expect("the program starts");
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }

    /// Starts `station ARGS --json` and returns at once.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Running {
        Running { child: self.command(args).spawn().expect("the program starts"), home: self.clone() }
    }

    /// Starts `station run` and waits until its API answers and it knows its addresses.
    pub async fn run(&self) -> Running {
        let running = self.start(&["run"]);
        until("the station's addresses", || async { (!self.addresses().await.is_empty()).then_some(()) }).await;
        running
    }

    /// The addresses that the running station announces.
    pub async fn addresses(&self) -> Vec<String> {
        let (code, status) = self.try_ask(&["status"]).await;
        let addresses = status["addresses"].as_array().filter(|_| code == 0).cloned().unwrap_or_default();
        addresses.iter().filter_map(|address| address.as_str().map(str::to_owned)).collect()
    }

    fn command(&self, args: &[&str]) -> Command {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.with_extension("log")).expect("the log is writable");
        let mut command = Command::new(&self.program);
        command.args(args).arg("--json").env("STATION_HOME", &self.dir).env("STATION_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command
    }
}

/// A process that ends with this value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    home: Home,
}

impl Running {
    /// SIGKILL, and waits until it is gone.
    pub async fn kill(mut self) -> Home {
        self.child.kill().await.expect("a child can be killed");
        self.home.clone()
    }

    /// Waits for it to end by itself: its exit code and the last line it printed.
    pub async fn finish(self) -> (i32, Value) {
        let output = tokio::time::timeout(PATIENCE, self.child.wait_with_output()).await.expect("it ends in time").expect("it can be waited for");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::String(text));
        (output.status.code().unwrap_or(-1), value)
    }

    /// Local and remote ends of the TCP sockets that the process and its children hold, as the kernel tells them.
    #[must_use]
    pub fn sockets(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let mut processes: Vec<u32> = self.id().into_iter().collect();
        let mut at = 0;
        while let Some(id) = processes.get(at) {
            let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            processes.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            at += 1;
        }
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let held: Vec<String> = processes.iter().flat_map(|id| inodes(*id)).collect();
        let rows = table.lines().skip(1).filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let inode = columns.get(9)?;
            held.iter().any(|own| own == inode).then(|| Some((address(columns.get(1)?)?, address(columns.get(2)?)?)))?
        });
        rows.collect()
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Inodes of the sockets that a process holds.
fn inodes(id: u32) -> Vec<String> {
    let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().filter_map(Result::ok);
    let targets = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    targets.filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// `0100007F:1F90` as the kernel writes 127.0.0.1:8080.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?.swap_bytes();
    Some(SocketAddr::from((Ipv4Addr::from(ip), u16::from_str_radix(port, 16).ok()?)))
}
