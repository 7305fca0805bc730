//! `station module run --grant`: a module asks a real server from its author's machine, under a station's rules.

use std::path::Path;

use serde_json::Value;
use station_stranger::alone::alone;
use station_tests::process::Home;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A global address: in a network of one's own every address is this machine.
const TARGET: &str = "8.8.8.8:8080";

/// Answers every request with `hello`, and tells all that was asked.
async fn serve(listener: TcpListener, asked: tokio::sync::watch::Sender<String>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("it listens");
        let asked = asked.clone();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while stream.read_buf(&mut head).await.is_ok_and(|bytes| bytes > 0) {
                if !head.ends_with(b"\r\n\r\n") {
                    continue;
                }
                asked.send_modify(|all| all.push_str(&String::from_utf8_lossy(&head)));
                head.clear();
                let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ipld.raw\r\nContent-Length: 5\r\n\r\nhello";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn run(home: &Home, grants: &[&str]) -> (i32, Value) {
    let input = format!(r#"{{"gateway": "http://{TARGET}", "cid": "bafkqablimvwgy3y"}}"#);
    let granted = grants.iter().flat_map(|target| ["--grant", "http", target]);
    let args: Vec<&str> = ["module", "run", "gateway-check", "--input", &input].into_iter().chain(granted).collect();
    home.try_ask(&args).await
}

#[test]
fn a_module_asks_what_its_author_granted_and_nothing_else() {
    alone(|| async {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let home = Home::at(Path::new(env!("CARGO_BIN_EXE_station-e2e")), dir.path());
        let (asked, heard) = tokio::sync::watch::channel(String::new());
        tokio::spawn(serve(TcpListener::bind("0.0.0.0:8080").await.expect("a port of one's own network"), asked));

        let (code, trial) = run(&home, &[TARGET]).await;
        assert_eq!((code, &trial["outcome"], &trial["output"]["raw"]["verdict"]), (0, &"completed".into(), &"ok".into()), "{trial}");
        let record = &trial["requests"]["records"][0];
        assert_eq!((&record["status"], &record["ip"], &record["body_bytes"]), (&200.into(), &"8.8.8.8".into(), &5.into()), "{trial}");
        let said = heard.borrow().clone();
        assert!(said.contains("GET /ipfs/bafkqablimvwgy3y") && said.to_lowercase().contains("user-agent: station/"), "{said}");

        let before = said.len();
        let (code, trial) = run(&home, &["8.8.4.4:8080"]).await;
        assert_eq!((code, &trial["requests"]["records"][0]["error"]), (0, &"not_granted".into()), "{trial}");
        // A station tells nobody on this machine or its links, and neither does this.
        for never in ["127.0.0.1:8080", "10.0.0.1:443", "8.8.8.8:22"] {
            let (code, failure) = run(&home, &[never]).await;
            assert_eq!(code, 2, "{failure}");
            assert!(failure["error"].as_str().is_some_and(|said| said.contains("can never be contacted")), "{failure}");
        }
        assert_eq!(heard.borrow().len(), before, "nobody else was asked");
    });
}

#[tokio::test]
async fn without_a_grant_nobody_is_asked_and_a_pure_job_can_have_none() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::at(Path::new(env!("CARGO_BIN_EXE_station-e2e")), dir.path());
    let (code, trial) = run(&home, &[]).await;
    assert_eq!((code, trial.get("requests"), &trial["ungranted"]), (0, None, &serde_json::json!([TARGET])), "{trial}");
    let text = home.print(&["module", "run", "gateway-check", "--input", r#"{"gateway": "http://8.8.8.8:8080", "cid": "bafkqablimvwgy3y"}"#]).await;
    assert!(text.contains("add --grant http 8.8.8.8:8080"), "{text}");
    for more in [&["--pure"][..], &["--input", "{}"]] {
        let args: Vec<&str> = ["module", "run", "primes", "--grant", "http", TARGET].iter().chain(more).copied().collect();
        let (code, said) = home.try_ask(&args).await;
        assert_eq!(code == 2, more == ["--pure"], "{said}");
    }
}
