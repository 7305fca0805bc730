//! The repository's habits, as an ordinary test: what the guidelines say and a machine can check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest file. 500 is wished for; above 600 a file has two subjects.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder").to_owned()
}

/// Every Rust file below `folder`, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != "node_modules" && name != ".git" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file is text");
                found.push((path.strip_prefix(root()).expect("below the root").to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// Lines of code that say `word` as a word of their own; comments do not count.
fn says(text: &str, word: &str) -> Vec<usize> {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let hit = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices(word).any(|(at, _)| !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next()))
    };
    text.lines().enumerate().filter(|(_, line)| hit(line)).map(|(number, _)| number + 1).collect()
}

fn refuse(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn the_rules_have_no_clock_entropy_io_or_hash_map() {
    let banned = [
        "tokio",
        "libp2p",
        "wasmer",
        "HashMap",
        "HashSet",
        "SystemTime",
        "Instant",
        "thread_rng",
        "getrandom",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "spawn",
    ];
    let mut findings = Vec::new();
    for folder in ["protocols/job/src", "protocols/car/src", "protocols/punch/src/core"] {
        for (path, text) in sources(folder) {
            for word in banned {
                findings.extend(says(&text, word).iter().map(|line| format!("{}:{line}: {word}", path.display())));
            }
            findings.extend(
                text.lines()
                    .enumerate()
                    .filter(|(_, line)| line.contains("std::fs") || line.contains("std::thread"))
                    .map(|(number, _)| format!("{}:{}: std IO", path.display(), number + 1)),
            );
        }
    }
    refuse(&findings, "the pure crates take time as an argument and luck as a seed");
}

#[test]
fn no_file_is_longer_than_six_hundred_lines() {
    let long = sources(".").into_iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > LINES_MAX);
    refuse(&long.map(|(path, lines)| format!("{} has {lines}", path.display())).collect::<Vec<_>>(), "split by role, not by size");
}

#[test]
fn nothing_is_left_for_later() {
    // Written in two halves, so that this file does not find itself.
    let banned: Vec<String> = [("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("#[ign", "ore"), ("allow(dead", "_code)"), ("FIX", "ME")]
        .iter()
        .map(|(a, b)| format!("{a}{b}"))
        .collect();
    let mut findings = Vec::new();
    for (path, text) in sources(".") {
        for word in &banned {
            findings.extend(
                text.lines()
                    .enumerate()
                    .filter(|(_, line)| line.contains(word))
                    .map(|(number, _)| format!("{}:{}: {word}", path.display(), number + 1)),
            );
        }
    }
    refuse(&findings, "what is not done is said in an issue, not in the code");
}

/// What of a file is test code: all of it in a file or folder of tests, else what follows `#[cfg(test)]`. Lines keep their numbers.
fn test_code(path: &Path, text: &str) -> String {
    let name = path.to_string_lossy();
    if name.ends_with("tests.rs")
        || name.ends_with("fake.rs")
        || name.contains("/tests/")
        || name.starts_with("tests/it")
        || name.starts_with("tests/src")
    {
        return text.to_owned();
    }
    let Some(at) = text.find("#[cfg(test)]\nmod tests {") else { return String::new() };
    "\n".repeat(text[..at].lines().count()) + &text[at..]
}

#[test]
fn tests_wait_for_events_and_do_not_sleep() {
    let banned = [["thread::", "sleep"].concat(), ["time::", "sleep("].concat()];
    let mut findings = Vec::new();
    for (path, text) in sources(".") {
        for word in &banned {
            let lines =
                test_code(&path, &text).lines().enumerate().filter(|(_, line)| line.contains(word.as_str())).map(|(n, _)| n + 1).collect::<Vec<_>>();
            findings.extend(lines.iter().map(|line| format!("{}:{line}", path.display())));
        }
    }
    refuse(&findings, "a test that sleeps has its logic in the wrong room");
}

/// Files whose tests are about the machine's own clock or entropy, and take whatever it says.
const OF_THE_MACHINE: [&str; 3] = ["node/src/clock/tests.rs", "sim/src/det/canary/tests.rs", "tests/it/tidy.rs"];

#[test]
fn no_test_takes_its_end_from_the_day_the_place_or_the_machine() {
    let banned = [
        "Clock::start",
        "SystemTime",
        "Utc",
        "Local",
        "available_parallelism",
        "num_cpus",
        "loadavg",
        "getrandom",
        "OsRng",
        "thread_rng",
        "from_os_rng",
        "RandomState",
        "generate_ed25519",
        "temp_dir",
    ];
    let mut findings = Vec::new();
    for (path, text) in sources(".").into_iter().filter(|(path, _)| OF_THE_MACHINE.iter().all(|own| path != Path::new(own))) {
        let code = test_code(&path, &text);
        for word in banned {
            findings.extend(says(&code, word).iter().map(|line| format!("{}:{line}: {word}", path.display())));
        }
    }
    refuse(&findings, "a test is handed its time, luck and ports: Clock::at, a seed, tempfile, port 0");
}

#[test]
fn no_test_is_measured_but_under_a_clock_it_moves_itself() {
    let mut findings = Vec::new();
    for (path, text) in sources(".").into_iter().filter(|(path, _)| OF_THE_MACHINE.iter().all(|own| path != Path::new(own))) {
        let code = test_code(&path, &text);
        let mut paused = true;
        for (number, line) in code.lines().enumerate() {
            if line.trim_start().starts_with("#[test]") || line.contains("::test") && line.trim_start().starts_with("#[") {
                paused = line.contains("start_paused");
            }
            // A lower bound holds on the slowest machine.
            if !paused && line.contains("elapsed()") && !line.contains("elapsed() >= ") {
                findings.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    refuse(&findings, "how long something takes is a benchmark, not a test");
}

#[test]
fn tests_listen_where_the_system_lets_them() {
    let mut findings = Vec::new();
    for (path, text) in sources(".") {
        // The simulator's sockets are its own, and a test in a network of its own has every port.
        if path.starts_with("sim") || [Path::new("tests/it/tidy.rs"), Path::new("tests/it/granted.rs")].contains(&path.as_path()) {
            continue;
        }
        for (number, line) in test_code(&path, &text).lines().enumerate() {
            let binds = ["TcpListener::bind(", "UdpSocket::bind(", ".bind("].iter().any(|call| line.contains(call));
            if binds && !line.contains(":0\"") && !line.contains(", 0)") {
                findings.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    refuse(&findings, "a port with a number may be another program's");
}

#[test]
fn every_file_opens_with_what_it_is() {
    // A file of tests beside its subject is introduced by that.
    let silent = sources(".").into_iter().filter(|(path, text)| !path.ends_with("tests.rs") && !text.trim_start().starts_with("//!"));
    refuse(&silent.map(|(path, _)| path.display().to_string()).collect::<Vec<_>>(), "each file opens with //! and says what it is");
}

#[test]
fn library_code_touches_sockets_disk_and_threads_only_in_platform() {
    let banned = ["std::fs", "tokio::fs", "tokio::net", "std::thread", "spawn_blocking", "tokio::spawn", "std::process::Command"];
    let mut findings = Vec::new();
    for (path, text) in sources("node/src") {
        let name = path.to_string_lossy().into_owned();
        let rooms = ["node/src/platform/", "node/src/cli/", "node/src/demo/", "node/src/main.rs"];
        let tests = ["tests.rs", "outside/fake.rs"];
        if rooms.iter().any(|room| name.starts_with(room)) || tests.iter().any(|end| name.ends_with(end)) || name.contains("/tests/") {
            continue;
        }
        for word in banned {
            findings.extend(
                text.lines()
                    .enumerate()
                    .filter(|(_, line)| line.split("//").next().is_some_and(|code| code.contains(word)))
                    .map(|(number, _)| format!("{name}:{}: {word}", number + 1)),
            );
        }
    }
    refuse(&findings, "the simulator has no platform: everything else runs there unchanged");
}

#[test]
fn commands_speak_to_terminals_through_one_filter() {
    let mut findings = Vec::new();
    for (path, text) in sources("node/src") {
        let name = path.to_string_lossy().into_owned();
        if name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let doors = ["println!", "print!", "eprintln!", "eprint!", "::stdout()", "::stderr()"];
        // Whether somebody looks, and the log's own writer, are no words of strangers.
        let asks = ["may_colour(&std::io::stderr())", "to: std::io::stderr()", "std::process::Stdio"];
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !asks.iter().any(|ask| line.contains(ask))) {
            let code = line.split("//").next().unwrap_or_default();
            if name != "node/src/cli/output.rs" && doors.iter().any(|door| code.contains(door)) {
                findings.push(format!("{name}:{}: prints", number + 1));
            }
            if name != "node/src/results/table.rs" && name != "node/src/cli/output.rs" && code.contains("\\x1b") {
                findings.push(format!("{name}:{}: paints", number + 1));
            }
        }
    }
    refuse(&findings, "what strangers wrote reaches a terminal through cli/output.rs alone");
}

#[test]
fn crates_name_only_those_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("protocols/job", &["station-car"] as &[&str]),
        ("protocols/car", &[]),
        ("protocols/punch", &["station-protocol"]),
        ("modules/sandbox", &["station-protocol"]),
        ("modules/sdk", &[]),
        ("node", &["station-protocol", "station-car", "station-punch", "station-sandbox"]),
        ("sim", &["station-node", "station-protocol", "station-car", "station-punch", "station-sandbox"]),
        // Whoever tries a station must not make its mistakes too.
        ("tests/stranger", &[]),
    ]);
    let mut findings = Vec::new();
    for (krate, may) in allowed {
        let Ok(text) = std::fs::read_to_string(root().join(krate).join("Cargo.toml")) else { continue };
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        for section in ["dependencies", "build-dependencies"] {
            let names = manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(|table| table.keys());
            findings.extend(
                names.filter(|name| name.starts_with("station-") && !may.contains(&name.as_str())).map(|name| format!("{krate} names {name}")),
            );
        }
    }
    refuse(&findings, "dependencies point downwards (see ARCHITECTURE.md)");
}

#[test]
fn one_feature_changes_behaviour_and_only_the_simulators_tests_switch_it_on() {
    let features = |krate: &str| -> BTreeMap<String, Vec<String>> {
        let text = std::fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("a member has a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let table = manifest.get("features").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let names = |value: toml::Value| value.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        table.into_iter().map(|(name, value)| (name, names(value))).collect()
    };
    let one = |name: &str, enables: &[&str]| BTreeMap::from([(name.to_owned(), enables.iter().map(|name| (*name).to_owned()).collect())]);
    assert_eq!(features("protocols/job"), one("mutants", &[]));
    assert_eq!(features("sim"), one("mutants", &["station-protocol/mutants"]));
    // The timer keeps the names of upstream's features, which switch nothing.
    assert!(features("sim/timer").values().all(Vec::is_empty));
    for krate in ["protocols/car", "modules/sandbox", "modules/sdk", "node", "tests"] {
        assert_eq!(features(krate), BTreeMap::new(), "{krate}");
    }
}

#[test]
fn the_clock_and_the_entropy_are_replaced_in_one_file() {
    let mut findings = Vec::new();
    for (path, text) in sources("sim").into_iter().chain(sources("node")).chain(sources("protocols")) {
        let overrides = text.lines().any(|line| line.trim_start().starts_with("#[unsafe(no_mangle)]"));
        if overrides && path != Path::new("sim/src/main.rs") {
            findings.push(path.display().to_string());
        }
    }
    refuse(&findings, "clock_gettime and getrandom are defined in sim/src/main.rs alone");
}

#[test]
fn dependencies_have_one_feature_set_for_the_workspace() {
    let mut findings = Vec::new();
    for krate in [
        "protocols/job",
        "protocols/car",
        "modules/sandbox",
        "modules/sdk",
        "modules/gateway-check",
        "modules/primes",
        "modules/noop",
        "node",
        "sim",
        "sim/timer",
        "tests",
        "tests/stranger",
    ] {
        let text = std::fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("a member has a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        for section in ["dependencies", "dev-dependencies"] {
            for (name, value) in manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let table = value.as_table();
                if table.and_then(|table| table.get("workspace")).is_none() || table.is_some_and(|table| table.len() > 1) {
                    findings.push(format!("{krate}: {name}"));
                }
            }
        }
    }
    refuse(&findings, "every dependency says `workspace = true` and nothing else");
}

#[test]
fn every_module_has_a_row_in_the_readme() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let modules = std::fs::read_dir(root().join("modules")).expect("there are modules").filter_map(Result::ok);
    let names = modules.filter(|entry| entry.path().join("Cargo.toml").exists()).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let missing = names.filter(|name| !readme.contains(&format!("modules/{name}")));
    refuse(&missing.collect::<Vec<_>>(), "a module nobody reads about does not exist");
}

#[test]
fn every_direct_dependency_has_its_sentence() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("there is an ARCHITECTURE.md");
    let manifest: toml::Table = text.parse().expect("a manifest is TOML");
    let names = manifest["workspace"]["dependencies"].as_table().expect("a table").keys().filter(|name| !name.starts_with("station-"));
    let missing: Vec<String> = names.filter(|name| !architecture.contains(&format!("`{name}`"))).cloned().collect();
    refuse(&missing, "each dependency's sentence says what we would otherwise write");
}

/// Versions below which a published advisory applies (research of August 2026): crate → first good version.
const FLOORS: [(&str, [u64; 3]); 14] = [
    ("libp2p-gossipsub", [0, 50, 0]),
    ("yamux", [0, 13, 10]),
    ("libp2p-rendezvous", [0, 17, 1]),
    ("libp2p-quic", [0, 13, 1]),
    ("quinn-proto", [0, 11, 15]),
    ("libp2p", [0, 45, 1]),
    ("hickory-proto", [0, 26, 1]),
    ("rustls-webpki", [0, 103, 13]),
    ("h2", [0, 4, 16]),
    ("ed25519-dalek", [2, 0, 0]),
    ("redb", [4, 2, 0]),
    ("wasmer", [7, 4, 2]),
    ("serde_ipld_dagcbor", [0, 7, 0]),
    ("lru", [0, 18, 2]),
];

#[test]
fn no_locked_dependency_is_below_its_advisory_floor() {
    let lock: toml::Table = std::fs::read_to_string(root().join("Cargo.lock")).expect("there is a lock").parse().expect("the lock is TOML");
    let mut findings = Vec::new();
    for package in lock["package"].as_array().expect("packages") {
        let (name, version) = (package["name"].as_str().unwrap_or_default(), package["version"].as_str().unwrap_or_default());
        let numbers: Vec<u64> = version.split(['.', '-', '+']).take(3).filter_map(|part| part.parse().ok()).collect();
        if let Some((_, floor)) = FLOORS.iter().find(|(floor, _)| *floor == name)
            && numbers.as_slice() < floor.as_slice()
        {
            findings.push(format!("{name} {version} is below {floor:?}"));
        }
    }
    refuse(&findings, "an advisory applies");
    assert!(lock["package"].as_array().is_some_and(|packages| packages.len() > 100), "the lock was read");
}

#[test]
fn the_workers_engine_and_the_unmaintained_decoder_stay_where_they_belong() {
    let mut users: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for krate in ["protocols/job", "protocols/car", "modules/sandbox", "modules/sdk", "node", "sim", "tests"] {
        let text = std::fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("a member has a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        // Those of every system, and those of one: `[target.'cfg(unix)'.dependencies]`.
        let systems = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
        let tables: Vec<_> = systems.chain([&toml::Value::Table(manifest.clone())]).filter_map(|table| table.get("dependencies")).cloned().collect();
        for name in ["wasmer", "serde_cbor"] {
            if tables.iter().any(|table| table.get(name).is_some()) {
                users.entry(name).or_default().insert(krate.to_owned());
            }
        }
    }
    assert_eq!(users.get("wasmer"), Some(&BTreeSet::from(["modules/sandbox".to_owned()])));
    assert_eq!(users.get("serde_cbor"), None, "serde_cbor is a dev-dependency of conformance tests only");
}
