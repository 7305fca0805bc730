//! Homes that are spoilt, taken or strange: settings, modes, ports, paths, and files that a killed station left.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Mistake, NETWORK, error, make_all, program, ready};

fn mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[tokio::test]
async fn a_spoilt_file_of_the_home_is_named_with_its_line_and_the_way_out() {
    let (_dir, home) = ready().await;
    let refused = async |file: &str, text: &str, says: &[&'static str]| {
        let before = std::fs::read_to_string(home.dir().join(file)).unwrap_or_default();
        home.write(file, text);
        make_all(&home, home.dir(), vec![Mistake::new(&["run"], 1, says)]).await;
        home.write(file, &before);
    };
    refused("network.toml", "name = \"x\"\ntopics = []\n", &["network.toml", "0 topics", "1 to 32"]).await;
    refused("network.toml", "name = \"x\"\ntopcis = [\"t\"]\n", &["network.toml", "topcis", "topics"]).await;
    refused("network.toml", "name = \"My Net\"\ntopics = [\"t\"]\n", &["network.toml", "My Net", "a-z"]).await;
    refused("network.toml", "name = \"x\"\ntopics = [\"t\"]\nbootstrap = [\"/ip4/1.2.3.4/tcp/1\"]\n", &["network.toml", "/p2p/<node id>"]).await;
    refused("station.toml", "lisen = []\n", &["station.toml", "lisen", "listen"]).await;
    refused("station.toml", "api = \"0.0.0.0:4711\"\n", &["station.toml", "0.0.0.0:4711", "loopback"]).await;
    refused("station.toml", "listen = [\"127.0.0.1:4710\"]\n", &["station.toml", "listen"]).await;
    refused("station.toml", "disk = \"8 gigs\"\n", &["station.toml", "8 gigs", "64MiB"]).await;
    refused("station.toml", "[labels]\nregion = \"eu\"\n", &["station.toml", "line 2", "labels.region", "region = ["]).await;
    refused("station.toml", "[labels]\nRegion = [\"eu\"]\n", &["station.toml", "Region", "a-z"]).await;
    refused("station.toml", "listen = [\"/ip4/203.0.113.7/tcp/4710\"]\napi = \"127.0.0.1:0\"\n", &["203.0.113.7", "listen"]).await;
}

#[tokio::test]
async fn a_home_that_others_can_read_or_write_is_refused_with_the_command_that_mends_it() {
    let (_dir, home) = ready().await;
    mode(&home.dir().join("key"), 0o644);
    make_all(&home, home.dir(), vec![Mistake::new(&["run"], 1, &["mode 644", "chmod 600", "key"])]).await;
    mode(&home.dir().join("key"), 0o600);
    mode(home.dir(), 0o777);
    make_all(&home, home.dir(), vec![Mistake::new(&["run"], 1, &["mode 777", "chmod go-w"])]).await;
    mode(home.dir(), 0o700);
    home.write("key", "short");
    mode(&home.dir().join("key"), 0o600);
    make_all(&home, home.dir(), vec![Mistake::new(&["id"], 1, &["key", "32 bytes"])]).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_the_setting_that_moves_it() {
    let (_dir, home) = ready().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = taken.local_addr().expect("bound").port();
    home.write("station.toml", &format!("listen = [\"/ip4/127.0.0.1/tcp/{port}\"]\napi = \"127.0.0.1:0\"\n"));
    make_all(&home, home.dir(), vec![Mistake::new(&["run"], 1, &["cannot listen", "in use", "set another `listen` in station.toml"])]).await;
    home.write("station.toml", &format!("listen = [\"/ip4/127.0.0.1/tcp/0\"]\napi = \"127.0.0.1:{port}\"\n"));
    make_all(&home, home.dir(), vec![Mistake::new(&["run"], 1, &["API cannot listen", "in use", "set another `api` in station.toml"])]).await;
}

#[tokio::test]
async fn a_second_home_that_listens_where_a_station_runs_already_is_refused() {
    let (_dir, first) = ready().await;
    let (_other, second) = ready().await;
    // A port that was free a moment ago: whoever takes it meanwhile fails the first start and not what is tested.
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let settings = format!("listen = [\"/ip4/127.0.0.1/tcp/{port}\"]\napi = \"127.0.0.1:0\"\n");
    first.write("station.toml", &settings);
    second.write("station.toml", &settings);
    let running = first.run().await;
    make_all(&second, second.dir(), vec![Mistake::new(&["run"], 1, &["cannot listen", "in use", "set another `listen` in station.toml"])]).await;
    assert!(first.ask(&["status"]).await["node"].is_string(), "the first one does not notice");
    drop(running);
}

#[tokio::test]
async fn a_stranger_on_the_port_of_a_killed_station_is_no_station() {
    let (_dir, home) = ready().await;
    for page in ["HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "220 mail\r\n"] {
        let stranger = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = stranger.local_addr().expect("bound").to_string();
        home.write("api.addr", &addr);
        home.write("api.token", "0123456789abcdef");
        mode(&home.dir().join("api.token"), 0o600);
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = stranger.accept().await {
                // Whoever only looked whether somebody is there sends nothing.
                let mut asked = [0; 4096];
                if stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(page.as_bytes()).await;
                }
            }
        });
        let (code, answer) = home.try_ask(&["status"]).await;
        assert_eq!(code, 3, "{answer}");
        assert!([addr.as_str(), "another program answers", "station run"].iter().all(|word| error(&answer).contains(word)), "{answer}");
        assert_eq!(home.ask(&["experiments"]).await, serde_json::json!([]), "the disk answers");
        assert!(home.ask(&["id"]).await["node"].is_string());
        serving.abort();
    }
}

/// `station ARGS` in the home `dir`, whatever bytes are in its path: the exit code and all that was said.
async fn in_home(dir: &OsStr, args: &[&str]) -> (Option<i32>, String) {
    let output = tokio::process::Command::new(program()).args(args).arg("--home").arg(dir).output().await.expect("the program starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), said)
}

#[tokio::test]
async fn a_home_whose_path_is_not_utf8_works_and_panics_nowhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join(OsStr::from_bytes(b"caf\xe9 home"));
    let dir = dir.as_os_str();
    let (as_text, as_json): (&[&str], &[&str]) = (&[], &["--json"]);
    for json in [as_text, as_json] {
        let with = |words: &[&'static str]| [words, json].concat();
        let (code, said) = in_home(dir, &with(&["init"])).await;
        assert!(code == Some(if json.is_empty() { 0 } else { 1 }), "{code:?} {said}");
        for (words, expected) in
            [(&["id"][..], 0), (&["experiments"], 0), (&["status"], 3), (&["results", "last"], 1), (&["run"], 1), (&["policy", "show"], 0)]
        {
            let (code, said) = in_home(dir, &with(words)).await;
            assert!(code == Some(expected) && !said.contains("panicked"), "{words:?}: {code:?} {said}");
        }
    }
    // What init advises can be pasted.
    let other = folder.path().join(OsStr::from_bytes(b"it's \xff"));
    let (_, said) = in_home(other.as_os_str(), &["init"]).await;
    let advised: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with("station network new")).collect();
    assert_eq!(advised.len(), 1, "{said}");
    let script = format!("station() {{ \"$STATION\" \"$@\"; }}\n{}\n", advised[0]);
    let pasted = tokio::process::Command::new("bash").arg("-c").arg(script).env("STATION", program()).env_remove("STATION_HOME").output().await;
    let pasted = pasted.expect("there is a bash");
    assert!(pasted.status.success() && other.join("network.toml").exists(), "{pasted:?}");
}

#[tokio::test]
async fn a_policy_in_another_encoding_is_refused_with_its_line_and_the_remedy() {
    let (_dir, home) = ready().await;
    std::fs::write(home.dir().join("policy.toml"), b"# for the caf\xe9\n").expect("written");
    let says = &["policy.toml", "line 1", "Latin-1", "iconv"];
    let typed = [&["run"][..], &["policy", "show"], &["deny", "primes"]];
    make_all(&home, home.dir(), typed.map(|typed| Mistake::new(typed, 1, says)).into()).await;
}

#[tokio::test]
async fn a_damaged_store_is_told_with_what_is_lost_and_the_way_out() {
    let (_dir, home) = ready().await;
    drop(home.run().await.kill().await);
    home.write("store/records.redb", &"spoilt".repeat(1_000));
    let says = &["records.redb is damaged", "Lost with it", "results", "mv ", "station run"];
    make_all(&home, home.dir(), [&["run"][..], &["experiments"]].map(|typed| Mistake::new(typed, 1, says)).into()).await;
}

#[tokio::test]
async fn two_stations_in_one_home_are_refused() {
    let (_dir, home) = ready().await;
    home.write("network.toml", NETWORK);
    let running = home.run().await;
    home.write("other.toml", &NETWORK.replace("test-net", "other-net"));
    let using = &["another station is using", "--home"];
    make_all(&home, home.dir(), vec![Mistake::new(&["run"], 1, using), Mistake::new(&["run", "--network", "{dir}/other.toml"], 1, using)]).await;
    let kept = std::fs::read_to_string(home.dir().join("network.toml")).expect("it is there");
    assert_eq!(kept, NETWORK, "what does not run changes nothing");
    drop(running);
}
