//! Mistakes on the command line, and commands where there is no station, no network or no experiment yet.

use station_tests::process::Home;

use super::{LISTEN, Mistake, make_all, program, ready, write};

#[tokio::test]
async fn a_word_that_is_no_command_or_flag_is_wrong_usage_with_what_was_meant() {
    let (dir, home) = ready().await;
    let mistakes = vec![
        Mistake::new(&["statsu"], 2, &["statsu", "status"]),
        Mistake::new(&["experiment"], 2, &["experiment", "experiments"]),
        Mistake::new(&["list"], 2, &["list"]),
        Mistake::new(&["results"], 2, &["<ID>"]),
        Mistake::new(&["watch"], 2, &["<ID>"]),
        Mistake::new(&["cancel", "last", "last"], 2, &["unexpected argument"]),
        Mistake::new(&["results", "last", "--format", "xml"], 2, &["xml", "table", "csv", "html"]),
        Mistake::new(&["results", "last", "--fromat", "csv"], 2, &["--fromat", "--format"]),
        Mistake::new(&["status", "--log", "a=b=c"], 2, &["a=b=c"]),
        Mistake::new(&["network", "new", "net"], 2, &["--topic"]),
        Mistake::new(&["network", "new", "--topic", "t"], 2, &["<NAME>"]),
        Mistake::new(&["network", "new", "net", "--topic", "t", "--bootstrap", "127.0.0.1:4710"], 2, &["127.0.0.1:4710", "--bootstrap"]),
        Mistake::new(&["network", "show"], 2, &["show"]),
        Mistake::new(&["pause", "--for", "x"], 2, &["x", "--for", "10m"]),
        Mistake::new(&["pause", "--for", "400d"], 2, &["400d", "366d", "leave --for out"]),
        Mistake::new(&["results", "last", "--format", "csv"], 2, &["--json and --format csv", "-o"]),
        Mistake::new(&["id", "--home", ""], 2, &["empty name", "STATION_HOME"]),
        Mistake::new(&["allow", "gateway-check", "http", "https://a.example"], 2, &["https://a.example", "is not a target", "*.domain"]),
        Mistake::new(&["allow", "gateway-check", "htpt", "a.example"], 2, &["htpt", "write http"]),
        Mistake::new(&["module", "run", "noop", "--grant", "http", "https://a.example"], 2, &["https://a.example", "is not a target"]),
        Mistake::new(&["allow", "T1fBWT", "http", "a.example"], 1, &["T1fBWT", "neither a bundled module", "station status --json"]),
        Mistake::new(&["deny", "12D3KooWJ8Hq"], 1, &["12D3KooWJ8Hq", "6 letters"]),
    ];
    make_all(&home, dir.path(), mistakes).await;
}

#[tokio::test]
async fn a_network_that_could_not_work_is_not_written() {
    let (dir, home) = ready().await;
    write(dir.path(), "there.toml", "mine");
    let mistakes = vec![
        Mistake::new(&["network", "new", "My Net", "--topic", "t"], 1, &["My Net", "a-z"]),
        Mistake::new(&["network", "new", "net", "--topic", "My Topic"], 1, &["My Topic", "a-z"]),
        Mistake::new(&["network", "new", "net", "--topic", "t", "--bootstrap", "/ip4/1.2.3.4/tcp/4710"], 1, &["/p2p/<node id>", "station id"]),
        Mistake::new(&["network", "new", "net", "--topic", "t", "-o", "{dir}/there.toml"], 1, &["there.toml", "exists already"]),
        Mistake::new(&["network", "new", "net", "--topic", "t", "-o", "{dir}/none/n.toml"], 1, &["none/n.toml", "No such file"]),
    ];
    make_all(&home, dir.path(), mistakes).await;
    assert_eq!(std::fs::read_to_string(dir.path().join("there.toml")).expect("there"), "mine");
}

#[tokio::test]
async fn what_is_no_module_is_told_with_what_could_be_one() {
    let (dir, home) = ready().await;
    std::fs::create_dir(dir.path().join("empty")).expect("made");
    let cid = "bafkreia5ap76yi23ogqsqrk4psitj7wsnvmrpsyflo7zbse2kbbiulq6iq";
    let names = &["no bundled module is called nope", "gateway-check, noop, primes", "./nope.wasm"];
    let mistakes = vec![
        Mistake::new(&["module", "inspect", "nope"], 1, names),
        Mistake::new(&["module", "run", "nope"], 1, names),
        Mistake::new(&["module", "inspect", cid], 1, &[cid, "is a CID", "primes"]),
        Mistake::new(&["module", "inspect", "{dir}/nope.wasm"], 1, &["nope.wasm", "No such file", "station module build"]),
        Mistake::new(&["module", "build", "{dir}/empty"], 1, &["empty", "has a Cargo.toml"]).never(&["rustup"]),
        Mistake::new(&["module", "build", "{dir}/none"], 1, &["none", "No such file"]).never(&["rustup"]),
    ];
    make_all(&home, dir.path(), mistakes).await;
}

#[tokio::test]
async fn a_file_that_a_command_reads_is_called_by_its_own_name() {
    let (dir, home) = ready().await;
    write(dir.path(), "broken.toml", "name = \"x\"\ntopcis = [\"t\"]\n");
    make_all(
        &home,
        dir.path(),
        vec![Mistake::new(&["run", "--network", "{dir}/broken.toml"], 1, &["broken.toml", "topcis"]).never(&["network.toml"])],
    )
    .await;
    for (policy, word) in [("[budgte]\n", "budgte"), ("[budget]\nmemroy = \"1MiB\"\n", "memroy"), ("[[alow]]\n", "alow")] {
        home.write("policy.toml", policy);
        let says: &'static [&'static str] = Box::leak(Box::new([word]));
        let commands = [&["run"][..], &["policy", "show"], &["allow", "gateway-check", "http", "a.example"], &["deny", "primes"]];
        make_all(&home, dir.path(), commands.map(|typed| Mistake::new(typed, 1, says)).into()).await;
        assert_eq!(std::fs::read_to_string(home.dir().join("policy.toml")).expect("there"), policy, "a spoilt file is not written over");
    }
}

#[tokio::test]
async fn without_a_home_everything_names_init() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::at(program(), &dir.path().join("nowhere"));
    write(dir.path(), "e.toml", "topic = \"tests\"\nmodule = \"primes\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\n");
    let next = &["there is no station in", "nowhere", "station init"];
    let mistakes = vec![
        Mistake::new(&["id"], 1, next),
        Mistake::new(&["run"], 1, next),
        Mistake::new(&["publish", "{dir}/e.toml"], 1, next),
        Mistake::new(&["publish", "--resume"], 1, next),
        Mistake::new(&["experiments"], 1, next),
        Mistake::new(&["results", "last"], 1, next),
        Mistake::new(&["watch", "last"], 1, next),
        Mistake::new(&["verify", "last"], 1, next),
        Mistake::new(&["cancel", "last"], 1, next),
        Mistake::new(&["status"], 3, &["no station runs from", "nowhere", "station run"]),
    ];
    make_all(&home, dir.path(), mistakes).await;
    assert!(!dir.path().join("nowhere").exists(), "asking makes no home");
}

#[tokio::test]
async fn without_a_network_what_needs_one_names_the_file_and_the_command() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::init(program(), &dir.path().join("home"), LISTEN).await;
    write(dir.path(), "e.toml", "topic = \"tests\"\nmodule = \"primes\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\n");
    let next = &["network.toml", "station network new my-net --topic general --output"];
    let none = &["published no experiment yet", "station publish"];
    let mistakes = vec![
        Mistake::new(&["run"], 1, next),
        Mistake::new(&["publish", "{dir}/e.toml"], 1, next),
        // These need none.
        Mistake::new(&["results", "last"], 1, none).never(&["network"]),
        Mistake::new(&["watch", "@1"], 1, none).never(&["network"]),
        Mistake::new(&["init"], 1, &["has a station already"]),
    ];
    make_all(&home, dir.path(), mistakes).await;
    assert_eq!(home.ask(&["experiments"]).await, serde_json::json!([]));
}

#[tokio::test]
async fn what_names_no_experiment_is_told_by_what_it_is() {
    let (dir, home) = ready().await;
    write(dir.path(), "gw.toml", "");
    let list = "station experiments";
    let mistakes = vec![
        Mistake::new(&["watch", "{dir}/gw.toml"], 1, &["gw.toml", "is a file", "last", list, "station publish"]),
        Mistake::new(&["results", "other.toml"], 1, &["other.toml", "is a file", list]),
        Mistake::new(&["results", "zzz"], 1, &["begins with \"zzz\"", list]),
        Mistake::new(&["cancel", ""], 1, &["begins with \"\"", list]),
        Mistake::new(&["verify", "primes below three million"], 1, &["primes below three million", list]),
        Mistake::new(&["cancel", "@0"], 1, &["@0", "@1 for the last"]),
        Mistake::new(&["cancel", "@two"], 1, &["@two", "@2 for the one before"]),
        Mistake::new(&["results", "bafyreihq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yheaaccyyqr"], 1, &["bafyreihq3y", list]),
    ];
    make_all(&home, dir.path(), mistakes).await;
}
