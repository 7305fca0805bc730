//! What is long: lists of inputs that come, and results that go.

use super::*;

/// A file of inputs, handed in.
fn handed_in(kind: &str, text: &str) -> Sent {
    with_token("POST", "/v1/inputs").header("content-type", kind).body(Full::from(text.to_owned())).expect("a good request")
}

#[tokio::test]
async fn inputs_longer_than_any_other_body_are_handed_in_and_published_once() {
    let api = served().await;
    let mut text = "n;url\n".to_owned();
    (0..200_000).for_each(|n| text.push_str(&format!("{n};https://host-{n}.example/a-path-that-makes-it-long/{n:060}\n")));
    assert!(text.len() > BODY_BYTES_MAX);
    let (status, listed) = api.ask(handed_in("text/csv; charset=utf-8", &text)).await;
    assert_eq!((status, &listed["count"], &listed["columns"]), (200, &json!(200_000), &json!([["n", "whole"], ["url", "text"]])), "{listed}");
    let file = FILE.replace("n = [1, 2]", "file = \"list.csv\"");
    let publish = || posted("/v1/experiments", &json!({ "file": file, "inputs": listed["inputs"] }));
    let (status, published) = api.ask(publish()).await;
    assert_eq!(status, 200, "{published}");
    let (_, open) = api.get(&format!("/v1/experiments/{}", published["experiment"].as_str().expect("an id"))).await;
    assert_eq!(open["jobs"], json!(200_000));
    let (status, error) = api.refused(publish()).await;
    assert_eq!((status, error.contains("POST /v1/inputs")), (409, true), "{error}");
}

#[tokio::test]
async fn inputs_whose_publication_failed_are_there_for_the_next() {
    let api = served().await;
    let listed = api.ask(handed_in("text/csv", "n\n1\n2\n")).await.1;
    let file = FILE.replace("n = [1, 2]", "file = \"list.csv\"");
    let publish = |file: String| posted("/v1/experiments", &json!({ "file": file, "inputs": listed["inputs"] }));
    for (wrong, word) in [
        (file.replace("compute", "compte"), "compte"),
        (file.replace("\"list.csv\"", "\"list.csv\"\ntext = [\"zip\"]"), "zip"),
        (file.replace("\"list.csv\"", "\"list.csv\"\ntarget = \"url\""), "url"),
    ] {
        let (status, error) = api.refused(publish(wrong)).await;
        assert!(status == 422 && error.contains(word), "{status} {error}");
    }
    assert_eq!(api.ask(publish(file.clone())).await.0, 200);
    assert_eq!(api.refused(publish(file)).await.0, 409, "it was taken");
}

#[tokio::test]
async fn results_are_made_when_the_last_ones_were_read() {
    let api = served().await;
    let path = format!("/v1/experiments/{}/results", api.publish().await);
    let turns = Arc::new(Semaphore::new(1));
    let body = in_pieces(Bytes::from(vec![b' '; 3 * PIECE_BYTES]), turns.clone().try_acquire_owned().expect("its turn"));
    let mut pieces = body.into_data_stream();
    for _ in 0..3 {
        assert_eq!(futures::StreamExt::next(&mut pieces).await.expect("a piece").expect("whole").len(), PIECE_BYTES);
        assert_eq!(turns.available_permits(), 0, "somebody reads");
    }
    assert!(futures::StreamExt::next(&mut pieces).await.is_none());
    assert_eq!(turns.available_permits(), 1);
    let unread = in_pieces(Bytes::from_static(b"{}"), turns.clone().try_acquire_owned().expect("its turn"));
    drop(unread);
    assert_eq!(turns.available_permits(), 1, "who goes away keeps nobody waiting");
    for _ in 0..3 {
        assert_eq!(api.get(&path).await.0, 200);
    }
}

#[tokio::test]
async fn inputs_that_cannot_be_read_are_refused_by_their_line_however_much_follows() {
    let api = served().await;
    let text = format!("{{\"n\": 1}}\n{{\"n\": }}\n{}", "{\"n\": 1}\n".repeat(500_000));
    let (status, error) = api.refused(handed_in("application/x-ndjson", &text)).await;
    assert_eq!((status, error.contains("line 2 of the inputs: not JSON")), (422, true), "{error}");
    let (status, error) = api.refused(handed_in("text/plain", "a\n1\n")).await;
    assert_eq!((status, error.contains("text/csv")), (415, true), "{error}");
    assert_eq!(api.ask(handed_in("text/csv", "n\n1\n")).await.0, 200, "the next one has its turn");
}
