//! Experiments that a station carries: what is refused while it runs, how they are named, and what is said to those who stop watching.

use std::process::Stdio;

use serde_json::Value;
use station_tests::process::{Home, until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Mistake, error, make_all, program, ready, write};

/// Nobody else is there, so that it is open until it is cancelled.
fn experiment(name: &str) -> String {
    format!(
        "name = \"{name}\"\ntopic = \"tests\"\nmodule = \"primes\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\ntrust = \"fixed:2\"\n[run]\ndeadline = \"1h\"\n"
    )
}

/// Publishes `text` through the running station and gives its id.
async fn publish(home: &Home, text: &str) -> String {
    home.write("e.toml", text);
    let file = home.dir().join("e.toml");
    let published = home.ask(&["publish", "--detach", file.to_str().expect("UTF-8")]).await;
    assert_eq!(published["type"], "published", "{published}");
    published["experiment"].as_str().expect("an id").to_owned()
}

async fn closed(home: &Home, which: &str) -> Value {
    until("the experiment to be closed", || async {
        let own = home.ask(&["experiments"]).await;
        own.as_array()?.iter().find(|own| own["name"] == which && own["closed"] == true).cloned()
    })
    .await
}

/// `station ARGS` as people start it, with what it says on its pipes.
fn spawn(home: &Home, args: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.args(args).env("STATION_HOME", home.dir()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("the program starts")
}

/// The first line with `word` in it.
async fn line_with(pipe: impl tokio::io::AsyncRead + Unpin, word: &str) -> String {
    let (mut lines, mut seen) = (BufReader::new(pipe).lines(), Vec::new());
    while let Some(line) = lines.next_line().await.expect("text") {
        if line.contains(word) {
            return line;
        }
        seen.push(line);
    }
    panic!("{word:?} was never said: {seen:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn experiments_are_named_by_place_and_beginning_while_a_station_runs_and_after() {
    let (dir, home) = ready().await;
    let running = home.run().await;
    let (first, second) = (publish(&home, &experiment("first")).await, publish(&home, &experiment("second")).await);
    let own = home.ask(&["experiments"]).await;
    let names: Vec<&str> = own.as_array().expect("a list").iter().filter_map(|own| own["name"].as_str()).collect();
    assert_eq!(names, ["second", "first"], "the newest first");
    let short = &first["bafyrei".len()..][..8];
    for (which, id) in [("last", &second), ("@1", &second), ("@2", &first), (short, &first), (first.as_str(), &first)] {
        assert_eq!(home.try_ask(&["results", which]).await.1["experiment"], id.as_str(), "{which}");
    }
    let none = "bafyreihq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yheaaccyyqr";
    let unknown = station_car::unixfs::build(b"nobody has this").root.to_string();
    write(dir.path(), "cid.toml", experiment("x").replace("\"primes\"", &format!("{unknown:?}")));
    make_all(
        &home,
        dir.path(),
        vec![
            Mistake::new(&["verify", "last"], 1, &["still open", "once it is closed"]),
            Mistake::new(&["results", "bafyrei"], 1, &["bafyrei", "first", "second", "write more of it"]),
            Mistake::new(&["cancel", ""], 1, &["first", "second", "write more of it"]),
            Mistake::new(&["cancel", "@3"], 1, &["@3", "has 2", "station experiments"]),
            Mistake::new(&["watch", none], 1, &[none, "station experiments"]),
            Mistake::new(&["publish", "{dir}/cid.toml"], 1, &["neither bundled nor kept", "./my.wasm"]),
        ],
    )
    .await;
    assert_eq!(home.ask(&["cancel", "@2"]).await["was_closed"], false);
    closed(&home, "first").await;
    let again = home.ask(&["cancel", short]).await;
    assert_eq!((&again["cancelled"], &again["was_closed"]), (&Value::from(first.clone()), &Value::from(true)));
    assert_eq!(home.ask(&["verify", short]).await["experiment"], first.as_str());
    drop(running.kill().await);

    // The disk has the same, without a station and without a network file.
    std::fs::remove_file(home.dir().join("network.toml")).expect("it was there");
    let kept = home.ask(&["experiments"]).await;
    assert_eq!((kept[0]["experiment"].as_str(), kept[1]["experiment"].as_str()), (Some(second.as_str()), Some(first.as_str())), "{kept}");
    assert_eq!(home.try_ask(&["results", "@2"]).await.1["experiment"], first.as_str());
    assert_eq!(home.ask(&["verify", "@2"]).await["experiment"], first.as_str());
    assert_eq!(home.ask(&["cancel", "@2"]).await["was_closed"], true);
    let (code, watched) = home.try_ask(&["watch", short]).await;
    assert_eq!((code, watched["type"].as_str(), watched["experiment"].as_str()), (4, Some("results"), Some(first.as_str())), "{watched}");
    let next = &["is open and no station runs", "station publish --resume", "station run"];
    make_all(&home, dir.path(), vec![Mistake::new(&["watch", "last"], 3, next), Mistake::new(&["cancel", "last"], 3, next)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_named_by_its_cid_where_the_station_has_it() {
    let (_dir, home) = ready().await;
    let running = home.run().await;
    let bundled = home.ask(&["module", "inspect", "primes"]).await["cid"].as_str().expect("a CID").to_owned();
    let of = |cid: &str| experiment("by cid").replace("\"primes\"", &format!("{cid:?}"));
    publish(&home, &of(&bundled)).await;
    // One that was published from a file is kept for its experiment, and another may name it.
    let mut own = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../modules/dist/noop.wasm")).expect("read");
    // A custom section makes it a module that nobody bundles.
    own.extend_from_slice(b"\0\x02\x01x");
    std::fs::write(home.dir().join("own.wasm"), &own).expect("written");
    publish(&home, &experiment("by path").replace("\"primes\"", "\"./own.wasm\"")).await;
    publish(&home, &of(&station_car::unixfs::build(&own).root.to_string())).await;
    assert_eq!(home.ask(&["experiments"]).await.as_array().map(Vec::len), Some(3));
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_says_that_the_experiment_goes_on_and_how_to_return() {
    let (_dir, home) = ready().await;
    let running = home.run().await;
    home.write("e.toml", &experiment("watched"));
    let file = home.dir().join("e.toml");
    let mut publishing = spawn(&home, &["publish", file.to_str().expect("UTF-8"), "--json"]);
    let mut lines = BufReader::new(publishing.stdout.take().expect("piped")).lines();
    let mut seen = Vec::new();
    for expected in ["published", "progress"] {
        let line: Value = serde_json::from_str(&lines.next_line().await.expect("text").expect("a line")).expect("JSON");
        assert_eq!(line["type"], expected, "{line}");
        seen.push(line["experiment"].as_str().expect("an id").to_owned());
    }
    let id = publishing.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("there is kill").success());
    let last = loop {
        match lines.next_line().await.expect("text") {
            Some(line) if line.contains("\"failure\"") => break serde_json::from_str::<Value>(&line).expect("JSON"),
            Some(_) => {}
            None => panic!("nothing was said"),
        }
    };
    assert_eq!(publishing.wait().await.expect("it ends").code(), Some(130));
    let short = &seen[0]["bafyrei".len()..][..8];
    assert!(error(&last).contains("goes on") && error(&last).contains(&format!("station watch {short}")), "{last}");
    let own = home.ask(&["experiments"]).await;
    assert_eq!((own[0]["experiment"].as_str(), own[0]["closed"].as_bool()), (Some(seen[0].as_str()), Some(false)), "{own}");
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publish_from_one_home_joins_the_first_which_stays_for_it() {
    let (_dir, home) = ready().await;
    home.write("first.toml", &experiment("first"));
    let file = home.dir().join("first.toml");
    let mut first = spawn(&home, &["publish", file.to_str().expect("UTF-8")]);
    let stderr = first.stderr.take().expect("piped");
    // Not the list yet: without a station it would look into the store that the first is about to open.
    until("the first's API", || async { (home.try_ask(&["status"]).await.0 == 0).then_some(()) }).await;
    until("the first to publish", || async { home.try_ask(&["experiments"]).await.1[0]["name"].as_str().map(|_| ()) }).await;
    publish(&home, &experiment("second")).await;
    home.ask(&["cancel", "@2"]).await;
    // Its own is closed; it would end here and take the other with it.
    let staying = line_with(stderr, "staying for").await;
    assert!(staying.contains("1 experiment more"), "{staying}");
    assert_eq!(home.ask(&["experiments"]).await[0]["closed"], false);
    home.ask(&["cancel", "last"]).await;
    assert_eq!(first.wait().await.expect("it ends").code(), Some(4), "its job has no answer");
    assert!(home.ask(&["experiments"]).await.as_array().expect("a list").iter().all(|own| own["closed"] == true));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_station_that_is_killed_is_told_how_to_go_on() {
    let (_dir, home) = ready().await;
    let running = home.run().await;
    publish(&home, &experiment("watched")).await;
    let mut watching = spawn(&home, &["watch", "last", "--json"]);
    let stdout = watching.stdout.take().expect("piped");
    let mut lines = BufReader::new(stdout).lines();
    assert!(lines.next_line().await.expect("text").expect("a line").contains("\"progress\""));
    drop(running.kill().await);
    let told = line_with(lines.into_inner(), "\"failure\"").await;
    assert_eq!(watching.wait().await.expect("it ends").code(), Some(3), "{told}");
    assert!(told.contains("has stopped") && told.contains("station publish --resume") && told.contains("station run"), "{told}");
}
