//! What a guest may set, seen by a server.

use std::sync::{Arc, Mutex};

use super::*;
use crate::outside::fake::{Anything, Fake, get, header_list, response};
use crate::outside::http::{Fetched, Fetcher};
use crate::outside::tls::Tls;
use crate::outside::vicinity::Vicinity;

const SERVER: &str = "1.2.3.4:80";

fn world() -> Fake {
    Fake::default().with_name("example.org", &[&["1.2.3.4"]])
}

async fn fetch(outside: Fake, request: &FetchRequest) -> (Fetched, Arc<Fake>) {
    let outside = Arc::new(outside);
    let fetcher = Fetcher::new(Vicinity::new(outside.clone()), Tls::default(), "station/test");
    (fetcher.fetch(request, &Anything::default()).await, outside)
}

/// Everything that names a client, a user, another URL or another method, or steers the connection; each in some server's habit.
const POSING: [&str; 44] = [
    "Host",
    "cookie",
    "Cookie2",
    "AUTHORIZATION",
    "Proxy-Authorization",
    "proxy-connection",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Expect",
    "Upgrade",
    "HTTP2-Settings",
    "User-Agent",
    "Date",
    "Via",
    "Forwarded",
    "X-Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Real-IP",
    "x-client-ip",
    "True-Client-IP",
    "cf-connecting-ip",
    "Fastly-Client-IP",
    "X-Cluster-Client-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "From",
    "Referer",
    "Origin",
    "X-Api-Key",
    "X-Auth-Token",
    "Sec-Fetch-Site",
    "Sec-WebSocket-Key",
    "Accept-Encoding",
    "Destination",
    "X-Station",
];

#[tokio::test(start_paused = true)]
async fn no_header_that_poses_or_steers_is_sent_however_it_is_spelt() {
    for name in POSING {
        for spelt in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
            let request = FetchRequest { headers: header_list(&[(&spelt, "x")]), ..get("http://example.org/") };
            let (fetched, outside) = fetch(world(), &request).await;
            assert_eq!((fetched.head.error, outside.connections()), (Some(FetchError::BadRequest), 0), "{spelt}");
        }
    }
    let long = "a".repeat(1_024);
    for headers in [
        vec![("accept", "a\r\nHost: b")],
        vec![("accept ", "a")],
        vec![("range", "bytes=0-1"), ("Range", "bytes=2-3")],
        vec![("range", "bytes=0-0,2-2,4-4,6-6,8-8")],
        vec![("accept", long.as_str()), ("accept-language", &long), ("prefer", &long), ("if-none-match", &long)],
    ] {
        let (fetched, outside) = fetch(world(), &FetchRequest { headers: header_list(&headers), ..get("http://example.org/") }).await;
        assert_eq!((fetched.head.error, outside.connections()), (Some(FetchError::BadRequest), 0), "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_measurement_asks_with_goes_along() {
    let wanted = [
        ("Accept", "application/vnd.ipld.raw"),
        ("accept-language", "de"),
        ("RANGE", "bytes=0-99, 200-299"),
        ("If-Range", "\"tag\""),
        ("If-None-Match", "\"tag\""),
        ("If-Modified-Since", "Mon, 23 Nov 2026 12:00:00 GMT"),
        ("Cache-Control", "only-if-cached"),
        ("Pragma", "no-cache"),
    ];
    let seen = Arc::new(Mutex::new(String::new()));
    let head = seen.clone();
    let outside = world().with_server(SERVER, move |asked| {
        *head.lock().unwrap() = asked.to_owned();
        response("304 Not Modified", "", b"")
    });
    let (fetched, _) = fetch(outside, &FetchRequest { headers: header_list(&wanted), ..get("http://example.org/") }).await;
    assert_eq!(fetched.head.error, None);
    for (name, value) in wanted {
        assert!(seen.lock().unwrap().contains(&format!("{}: {value}\r\n", name.to_ascii_lowercase())), "{name}");
    }
}

#[test]
fn the_projects_address_is_the_one_of_the_workspace() {
    assert!(include_str!("../../../../Cargo.toml").contains(&format!("\nrepository = \"{PROJECT_URL}\"\n")), "{PROJECT_URL}");
    assert!(user_agent("mailto:a@example.org", "bafy").contains(PROJECT_URL));
}
