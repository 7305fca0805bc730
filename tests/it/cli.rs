//! The command line as scripts see it: exit codes, JSON, and sentences that name the next step.

use std::path::Path;

use station_tests::process::Home;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_station-e2e"))
}

async fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::init(program(), &dir.path().join("home"), "/ip4/127.0.0.1/tcp/0").await;
    (dir, home)
}

#[tokio::test]
async fn a_wrong_argument_is_exit_code_two() {
    let (_dir, home) = home().await;
    assert_eq!(home.try_ask(&["results"]).await.0, 2);
}

#[tokio::test]
async fn a_command_that_needs_a_running_station_says_so_with_exit_code_three() {
    let (_dir, home) = home().await;
    let (code, answer) = home.try_ask(&["status"]).await;
    assert_eq!(code, 3, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("station run"), "{answer}");
}

#[tokio::test]
async fn a_second_init_is_refused_and_keeps_the_key() {
    let (_dir, home) = home().await;
    let before = home.ask(&["id"]).await["node"].clone();
    assert_eq!(home.try_ask(&["init"]).await.0, 1);
    assert_eq!(home.ask(&["id"]).await["node"], before);
}

#[tokio::test]
async fn a_spelling_mistake_in_an_experiment_is_named_before_anything_starts() {
    let (_dir, home) = home().await;
    home.write("e.toml", "module = \"primes\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\ntrust = \"fixed:1\"\n[limits]\nfeul = 7\n");
    let file = home.dir().join("e.toml");
    let (code, answer) = home.try_ask(&["publish", file.to_str().expect("UTF-8")]).await;
    assert_eq!(code, 1, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("feul"), "{answer}");
}

#[tokio::test]
async fn a_station_without_a_network_says_where_the_file_goes() {
    let (_dir, home) = home().await;
    let (code, answer) = home.try_ask(&["run"]).await;
    assert_eq!(code, 1, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("network.toml"), "{answer}");
}

#[tokio::test]
async fn what_is_allowed_stands_in_the_policy_until_it_is_denied() {
    let (_dir, home) = home().await;
    let before = std::fs::read_to_string(home.dir().join("policy.toml")).expect("a policy");
    let allowed = home.ask(&["allow", "gateway-check", "http", "*.ipfs.io:443"]).await;
    assert_eq!((&allowed["changed"], &allowed["says"][0]), (&true.into(), &"gateway-check may use http on *.ipfs.io:443".into()), "{allowed}");
    let again = home.ask(&["allow", "gateway-check", "http", "*.ipfs.io:443"]).await;
    assert_eq!((&again["changed"], &again["hash"]), (&false.into(), &allowed["hash"]), "{again}");
    let shown = home.ask(&["policy", "show"]).await;
    assert_eq!(shown["policy"]["allow"][0]["targets"][0], "*.ipfs.io:443", "values, not a text: {shown}");
    assert_eq!(shown["hash"].as_str().map(str::len), Some(64), "the whole hash: {shown}");
    home.ask(&["deny", "gateway-check", "http"]).await;
    let shown = home.ask(&["policy", "show"]).await;
    assert!(shown["policy"].get("allow").is_none(), "{shown}");
    let nothing = home.ask(&["deny", "gateway-check", "http"]).await;
    assert!(nothing["says"][0].as_str().expect("a sentence").contains("nothing to take back"), "{nothing}");
    home.ask(&["deny", "primes"]).await;
    let lifted = home.ask(&["allow", "primes"]).await;
    assert!(lifted["says"][0].as_str().expect("a sentence").contains("was denied, and is not any more"), "{lifted}");
    let after = std::fs::read_to_string(home.dir().join("policy.toml")).expect("a policy");
    assert_eq!(after.trim_end(), before.trim_end(), "comments and layout are the operator's");
    let (code, answer) = home.try_ask(&["allow", "no-such-module", "http", "*"]).await;
    assert_eq!(code, 1, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("no-such-module"), "{answer}");
    assert_eq!(home.try_ask(&["allow", "primes", "http"]).await.0, 2, "a capability has targets");
}

#[tokio::test]
async fn a_module_that_no_station_could_run_is_not_published() {
    let (_dir, home) = home().await;
    home.write("e.toml", "module = \"./bad.wasm\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\ntrust = \"fixed:1\"\n");
    let file = home.dir().join("e.toml");
    // No Wasm; no more than its head, so that nothing can be called; and a head that nonsense follows.
    for bad in ["5,000 random bytes", "\0asm\x01\0\0\0", "\0asm\x01\0\0\0\x7f nonsense"] {
        home.write("bad.wasm", bad);
        let (code, answer) = home.try_ask(&["publish", file.to_str().expect("UTF-8")]).await;
        assert_eq!(code, 1, "{bad:?}: {answer}");
        let said = answer["error"].as_str().expect("a sentence");
        assert!(said.contains("bad.wasm") && said.contains("station module inspect"), "{bad:?}: {said}");
    }
}

#[tokio::test]
async fn what_can_never_be_contacted_is_not_allowed_and_says_why() {
    let (_dir, home) = home().await;
    let before = home.ask(&["policy", "show"]).await["hash"].clone();
    for (target, why) in [
        ("127.0.0.1:8080", "loopback"),
        ("192.168.1.1", "private"),
        ("localhost", "local network"),
        ("*.local", "local network"),
        ("ipfs.io:22", "port"),
    ] {
        let (code, answer) = home.try_ask(&["allow", "gateway-check", "http", "*.ipfs.io", target]).await;
        let said = answer["error"].as_str().expect("a sentence");
        assert_eq!(code, 1, "{target}: {said}");
        assert!(said.contains(target) && said.contains(why), "{target}: {said}");
    }
    assert_eq!(home.ask(&["policy", "show"]).await["hash"], before, "nothing of it is allowed");
}

#[tokio::test]
async fn a_module_author_sees_a_module_run_without_a_network() {
    let (_dir, home) = home().await;
    let trial = home.ask(&["module", "run", "primes", "--pure", "--input", "{\"from\":0,\"to\":100}"]).await;
    assert_eq!((trial["outcome"].as_str(), trial["output"]["primes"].as_u64()), (Some("completed"), Some(25)), "{trial}");
    let again = home.ask(&["module", "run", "primes", "--pure", "--input", "{\"from\":0,\"to\":100}"]).await;
    assert_eq!(trial["fuel"], again["fuel"], "fuel does not depend on luck");
    let needs = home.ask(&["module", "inspect", "primes"]).await["needs"].clone();
    assert!(needs["memory_bytes"].as_u64() > Some(64 << 10) && needs["fuel"].as_u64() > Some(9), "{needs}");
    for (option, few, key) in [("--memory", "64KiB", "[limits] memory"), ("--fuel", "9", "[limits] fuel")] {
        let (code, short) = home.try_ask(&["module", "run", "primes", option, few]).await;
        let said = short["error"].as_str().unwrap_or_default();
        assert!(code == 1 && said.contains("no run of it would begin") && said.contains(key) && said.contains(option), "{short}");
    }
    home.write("not.wasm", "no module");
    let file = home.dir().join("not.wasm");
    let inspected = home.try_ask(&["module", "inspect", file.to_str().expect("UTF-8")]).await;
    assert_eq!(inspected.0, 1, "{inspected:?}");
    assert!(inspected.1["refused"].is_string(), "{inspected:?}");
}

#[tokio::test]
async fn a_module_file_without_end_and_a_strangers_import_name_are_refused_in_bounded_words() {
    let (_dir, home) = home().await;
    for command in ["inspect", "run"] {
        let (code, answer) = home.try_ask(&["module", command, "/dev/zero"]).await;
        assert_eq!(code, 1, "{answer}");
        assert!(answer["error"].as_str().expect("a sentence").contains("16777216"), "{answer}");
    }
    // Type, import and end: one function that no station has, with a name that clears the screen and adds a line.
    let name = b"\x1b[2J\nverdict  runs on this profile";
    let import = [&[1, 3][..], b"env", &[u8::try_from(name.len()).expect("short")], name, &[0, 0]].concat();
    let section = [&[2, u8::try_from(import.len()).expect("short")][..], &import].concat();
    let module = [b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0", section.as_slice()].concat();
    let file = home.dir().join("escape.wasm");
    std::fs::write(&file, module).expect("written");
    for command in ["inspect", "run"] {
        let text = home.print(&["module", command, file.to_str().expect("UTF-8")]).await;
        assert!(text.contains("\\u{1b}[2J\\nverdict  runs"), "{text:?}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.lines().all(|line| line != "verdict  runs on this profile"), "{text}");
    }
}

#[tokio::test]
async fn a_strangers_experiment_publishes_no_file_from_elsewhere() {
    let (dir, home) = home().await;
    std::fs::write(dir.path().join("letter.csv"), "private\nwords\n").expect("written");
    home.write("network.toml", "name = \"test-net\"\nlan = true\ntopics = [\"tests\"]\n");
    let pure = "topic = \"tests\"\ncontact = \"mailto:t@example.org\"\n[pure]\ntrust = \"fixed:1\"\n";
    let absolute = dir.path().join("letter.csv");
    for (module, inputs) in
        [("primes", "../letter.csv"), ("primes", absolute.to_str().expect("UTF-8")), ("../letter.csv", "in.csv"), ("./key", "in.csv")]
    {
        home.write("in.csv", "from,to\n0,9\n");
        home.write("e.toml", &format!("name = \"e\"\nmodule = {module:?}\n{pure}[jobs]\nfile = {inputs:?}\n"));
        let file = home.dir().join("e.toml");
        let (code, answer) = home.try_ask(&["publish", file.to_str().expect("UTF-8")]).await;
        assert_eq!(code, 1, "{answer}");
        let told = answer["error"].as_str().expect("a sentence");
        assert!(told.contains(if module == "./key" { "not a WebAssembly module" } else { "--any-path" }), "{module} {inputs}: {told}");
    }
}

#[tokio::test]
async fn the_doctor_finds_a_fresh_station_lacks_only_a_network() {
    let (_dir, home) = home().await;
    let (code, findings) = home.try_ask(&["doctor"]).await;
    let bad: Vec<&str> = findings
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["good"] == false)
        .filter_map(|finding| finding["what"].as_str())
        .collect();
    assert_eq!((code, bad), (1, vec!["network", "bootstrap"]), "{findings}");
}
