//! Mistakes in an experiment file: refused by `publish` before a station starts.

use super::{Mistake, make_all, ready, write};

/// A file without a mistake, whose station would wait for others until its deadline.
const GOOD: &str = "name = \"n\"\ntopic = \"tests\"\nmodule = \"primes\"\ncontact = \"mailto:a@example.org\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\ntrust = \"fixed:2\"\n[run]\ndeadline = \"10m\"\n";
/// The same of a measurement.
const MEASURED: &str = "topic = \"tests\"\nmodule = \"gateway-check\"\n[jobs]\ngateway = [\"https://ipfs.io\"]\ncid = [\"bafkqaaa\"]\ntarget = \"gateway\"\n[measurement]\nstations = 2\n[needs]\nhttp = [\"ipfs.io\"]\n";

/// What is wrong in the file, and what must be said.
type Row = (String, &'static [&'static str], &'static [&'static str]);

fn of(file: &str, from: &str, to: &str, says: &'static [&'static str]) -> Row {
    assert!(file.contains(from), "{from:?} stands in the file");
    (file.replace(from, to), says, &[])
}

fn row(text: String, says: &'static [&'static str], never: &'static [&'static str]) -> Row {
    (text, says, never)
}

fn with(more: &str, says: &'static [&'static str]) -> Row {
    (format!("{GOOD}{more}\n"), says, &[])
}

fn keys() -> Vec<Row> {
    vec![
        of(GOOD, "name =", "nmae =", &["nmae", "expected one of", "name"]),
        with("[limts]\nfuel = 1", &["limts", "limits"]),
        with("[limits]\nfeul = 1", &["feul", "fuel"]),
        with("[where]\nregion = \"eu\"", &["region", "labels"]),
        of(GOOD, "module = \"primes\"\n", "", &["module"]),
        of(GOOD, "name = \"n\"", "name = n", &["line 1"]),
        of(GOOD, "name = \"n\"", "name = “n”", &["line 1"]),
        of(GOOD, "name = \"n\"", "name = \"n\"\nname = \"m\"", &["line 2", "duplicate key"]),
        row(format!("name = \"{}\"\n{}", "n".repeat(65), GOOD.replace("name = \"n\"\n", "")), &["name is too long", "64"], &[]),
        of(GOOD, "mailto:a@example.org", &"m".repeat(129), &["contact is too long", "128"]),
        row("not an experiment".to_owned(), &["line 1"], &[]),
        row(String::new(), &["module"], &[]),
    ]
}

fn modules() -> Vec<Row> {
    vec![
        of(GOOD, "\"primes\"", "\"prime\"", &["no bundled module is called prime", "primes", "./prime.wasm"]),
        of(GOOD, "\"primes\"", "\"Not A Name\"", &["Not A Name", "./my.wasm"]),
        of(GOOD, "\"primes\"", "\"bafybad\"", &["bafybad", "copy it whole", "station module inspect"]),
        of(GOOD, "\"primes\"", "\"./mine.wasm\"", &["mine.wasm", "No such file", "station module build"]),
        of(GOOD, "\"primes\"", "\"./random.wasm\"", &["random.wasm", "not a WebAssembly module", "station module inspect"]),
        of(GOOD, "\"primes\"", "\"./empty.wasm\"", &["empty.wasm", "no station could run it", "station module inspect"]),
        of(GOOD, "\"primes\"", "\"./large.wasm\"", &["large.wasm", "16777216"]),
        of(GOOD, "\"primes\"", "\"../e.wasm\"", &["../e.wasm", "out of its folder", "--any-path"]),
        of(GOOD, "\"primes\"", "\"/etc/passwd\"", &["/etc/passwd", "--any-path"]),
        of(GOOD, "\"primes\"", "\"./.hidden.wasm\"", &[".hidden.wasm", "hidden", "--any-path"]),
    ]
}

fn classes() -> Vec<Row> {
    let trust = |text: &str| GOOD.replace("fixed:2", text);
    vec![
        row(GOOD.replace("[pure]\ntrust = \"fixed:2\"\n", ""), &["[pure]", "[measurement]", "found 0"], &["self_verifying"]),
        row(GOOD.replace("[run]", "[measurement]\n[run]"), &["exactly one", "found 2"], &["self_verifying"]),
        row(GOOD.replace("[pure]\ntrust = \"fixed:2\"", "[self_verifying]\nverifier = \"v\""), &["not implemented", "[pure]", "[measurement]"], &[]),
        row(trust("high"), &["high", "fixed:N", "fixed:2"], &["standard", "final", "cheap"]),
        row(trust("standard"), &["standard", "fixed:N"], &["final", "cheap"]),
        row(trust("fixed:0"), &["fixed:0", "1 to 1000"], &[]),
        row(trust("fixed:1001"), &["fixed:1001", "1 to 1000"], &[]),
        row(trust("3"), &["\"3\"", "fixed:N"], &[]),
        of(MEASURED, "stations = 2", "stations = 0", &["stations = 0", "1 to 1000"]),
        of(MEASURED, "stations = 2", "stations = 1001", &["stations = 1001", "1 to 1000"]),
        of(MEASURED, "stations = 2", "spread = \"far\"", &["far", "network"]),
        of(MEASURED, "stations = 2", "trust = \"fixed:2\"", &["trust", "stations"]),
    ]
}

fn times_and_limits() -> Vec<Row> {
    let deadline = |text: &str| GOOD.replace("\"10m\"", text);
    vec![
        row(deadline("\"1s\""), &["run.deadline", "1s", "10s", "30d", "10m"], &["every"]),
        row(deadline("\"90d\""), &["run.deadline", "90d", "10s", "30d"], &["every"]),
        row(deadline("\"9s\""), &["run.deadline", "9s"], &["every"]),
        row(deadline("\"31d\""), &["run.deadline", "31d"], &["every"]),
        row(deadline("600"), &["600", "ms, s, m, h or d", "10m"], &[]),
        row(deadline("\"600\""), &["600", "10m"], &[]),
        row(deadline("\"1.5h\""), &["1.5h", "10m"], &[]),
        row(deadline("\"1h30m\""), &["1h30m", "10m"], &[]),
        row(deadline("\"10min\""), &["10min", "10m"], &[]),
        row(deadline("\"-5m\""), &["-5m", "10m"], &[]),
        row(deadline("\"10m\"\nevery = \"1d\""), &["run.every", "publish the experiment again"], &[]),
        row(deadline("\"10m\"\nuntil = \"2030-01-01T00:00:00Z\""), &["run.until", "publish the experiment again"], &[]),
        row(deadline("\"10m\"\nat_once = -1"), &["at_once", "-1"], &[]),
        with("[limits]\nmemory = \"64GiB\"", &["[limits] memory", "64GiB", "4GiB"]),
        with("[limits]\nmemory = \"64\"", &["64MiB"]),
        with("[limits]\nmemory = 64", &["64MiB"]),
        with("[limits]\nmemory = \"64 megs\"", &["64 megs", "64MiB"]),
        with("[limits]\nmemory = \"0B\"", &["[limits] memory", "1B"]),
        with("[limits]\nmemory = \"64KiB\"", &["primes", "at the start", "raise [limits] memory"]),
        with("[limits]\nfuel = 9", &["primes", "fuel before it runs", "raise [limits] fuel"]),
        with("[limits]\nwall = \"2h\"", &["[limits] wall", "2h", "1h"]),
        with("[limits]\noutput = \"2MiB\"", &["[limits] output", "2MiB", "1MiB"]),
        with("[limits]\nfuel = 0", &["[limits] fuel", "outside 1"]),
        with("[limits]\nfuel = -1", &["fuel", "-1"]),
        with("[limits]\nbytes_in = \"5GiB\"", &["[limits] bytes_in", "5GiB", "4GiB"]),
    ]
}

fn jobs() -> Vec<Row> {
    let lists = |text: &str| GOOD.replace("from = [0]\nto = [9]", text);
    vec![
        row(lists(""), &["[jobs]", "file ="], &[]),
        row(GOOD.replace("[jobs]\nfrom = [0]\nto = [9]\n", ""), &["jobs"], &[]),
        row(lists("from = 0"), &["jobs.from", "from = ["], &[]),
        row(lists("from = []"), &["\"from\"", "empty"], &[]),
        row(lists("from = [1979-05-27]"), &["jobs.from", "quotes"], &[]),
        row(lists("from = [nan]"), &["\"from\""], &[]),
        row(lists("file = \"in.txt\""), &["in.txt", ".csv", ".ndjson"], &[]),
        row(lists("file = \"in.csv\"\nfrom = [1]"), &["lists and a file"], &[]),
        row(lists("file = \"nowhere.csv\""), &["nowhere.csv", "No such file"], &[]),
        row(lists("file = \"../in.csv\""), &["../in.csv", "--any-path"], &[]),
        row(lists("file = \"/etc/hosts.csv\""), &["/etc/hosts.csv", "--any-path"], &[]),
        row(lists("from = [\"a\"]\ntarget = \"to\""), &["jobs.target", "\"to\""], &[]),
    ]
}

fn targets_topics_and_labels() -> Vec<Row> {
    vec![
        with("[needs]\nhttp = [\"ipfs.io\"]", &["[pure]", "remove [needs]", "[measurement]"]),
        of(MEASURED, "http = [\"ipfs.io\"]", "raw = [\"ipfs.io\"]", &["raw", "http"]),
        // Hosts are the same in either case: the next mistake is told.
        row(MEASURED.replace("\"ipfs.io\"", "\"IPFS.io\"").replace("\"tests\"", "\"tsets\""), &["tsets", "test-net"], &["is not a target"]),
        of(MEASURED, "http = [\"ipfs.io\"]", "http = [\"https://ipfs.io\"]", &["https://ipfs.io", "host"]),
        of(MEASURED, "http = [\"ipfs.io\"]", "http = [\"127.0.0.1:8080\"]", &["[needs] 127.0.0.1:8080", "loopback", "public host"]),
        of(MEASURED, "http = [\"ipfs.io\"]", "http = [\"192.168.1.1\"]", &["[needs] 192.168.1.1", "private"]),
        of(MEASURED, "http = [\"ipfs.io\"]", "http = [\"localhost\"]", &["[needs] localhost", "local network"]),
        of(MEASURED, "http = [\"ipfs.io\"]", "http = [\"*.local\"]", &["[needs] *.local", "local network"]),
        of(MEASURED, "http = [\"ipfs.io\"]", "http = [\"ipfs.io:22\"]", &["[needs] ipfs.io:22", "port"]),
        of(MEASURED, "https://ipfs.io", "http://127.0.0.1:8080", &["job 0", "127.0.0.1:8080", "loopback"]),
        of(MEASURED, "https://ipfs.io", "http://gateway.local", &["job 0", "gateway.local", "local network"]),
        of(MEASURED, "https://ipfs.io", "https://ipfs.io:8081", &["job 0", "ipfs.io:8081", "port"]),
        of(MEASURED, "https://ipfs.io", "https://dweb.link", &["job 0", "dweb.link", "[needs] does not name"]),
        of(GOOD, "topic = \"tests\"", "topic = \"tsets\"", &["tsets", "test-net", "it has tests"]),
        of(GOOD, "topic = \"tests\"\n", "", &["general", "test-net", "it has tests"]),
        of(GOOD, "topic = \"tests\"", "topic = \"My Topic\"", &["My Topic", "a-z"]),
        with("[where]\nlabels = { Region = [\"eu\"] }", &["Region", "a-z"]),
        with("[where]\nlabels = { region = [\"EU\"] }", &["EU", "a-z"]),
        with("[where]\nlabels = { region = \"eu\" }", &["eu", "sequence"]),
        with("[where]\nlabels = { region = [] }", &["where.labels.region", "empty"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_an_experiment_file_is_refused_before_anything_starts() {
    let (dir, home) = ready().await;
    let dir = dir.path();
    write(dir, "random.wasm", "5,000 random bytes");
    write(dir, "empty.wasm", b"\0asm\x01\0\0\0");
    write(dir, ".hidden.wasm", b"\0asm\x01\0\0\0");
    write(dir, "large.wasm", vec![0; 20_000_000]);
    write(dir, "in.csv", "from,to\n0,9\n");
    let rows = [keys(), modules(), classes(), times_and_limits(), jobs(), targets_topics_and_labels()].concat();
    let mut mistakes = Vec::new();
    for (number, (text, says, never)) in rows.into_iter().enumerate() {
        let name = format!("{number}.toml");
        write(dir, &name, text);
        mistakes.push(Mistake::new(&["publish", &format!("{{dir}}/{name}")], 1, says).never(never));
    }
    make_all(&home, dir, mistakes).await;
    assert!(!home.dir().join("store").exists(), "no station was started for any of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_none_is_refused_by_its_name() {
    let (dir, home) = ready().await;
    let dir = dir.path();
    write(dir, "latin.toml", b"name = \"caf\xe9\"\n");
    write(dir, "good.toml", GOOD);
    std::fs::create_dir(dir.join("folder")).expect("a folder");
    let mistakes = vec![
        Mistake::new(&["publish", "{dir}/nofile.toml"], 1, &["nofile.toml", "No such file"]),
        Mistake::new(&["publish", "{dir}/folder"], 1, &["folder", "directory"]),
        Mistake::new(&["publish", "{dir}/latin.toml"], 1, &["latin.toml", "UTF-8"]),
        Mistake::new(&["publish", "/dev/zero"], 1, &["/dev/zero", "16777216"]),
        Mistake::new(&["publish"], 2, &["FILE"]),
        Mistake::new(&["publish", "--resume", "--detach"], 2, &["--resume", "--detach"]),
        Mistake::new(&["publish", "--resume", "{dir}/good.toml"], 2, &["--resume", "FILE"]),
        Mistake::new(&["publish", "--resume", "--any-path"], 2, &["--resume", "--any-path"]),
        Mistake::new(&["publish", "{dir}/good.toml", "{dir}/good.toml"], 2, &["unexpected argument"]),
        Mistake::new(&["publish", "{dir}/good.toml", "--detatch"], 2, &["--detatch", "--detach"]),
        Mistake::new(&["publish", "{dir}/good.toml", "--detach"], 3, &["--detach", "station run"]),
    ];
    make_all(&home, dir, mistakes).await;
}
