//! Fetching from servers that behave and from servers that do not, without a network.

use std::sync::Arc;

use super::*;
use crate::outside::fake::{Anything, Fake, get, response};

const IP: &str = "1.2.3.4";
const SERVER: &str = "1.2.3.4:80";

fn world() -> Fake {
    Fake::default().with_name("example.org", &[&[IP]])
}

fn fetcher(outside: &Arc<Fake>) -> Fetcher {
    Fetcher::new(outside.clone(), Tls::default(), "station/test")
}

async fn fetch(outside: Fake, request: &FetchRequest) -> (Fetched, Arc<Fake>) {
    let outside = Arc::new(outside);
    let fetched = fetcher(&outside).fetch(request, &Anything::default()).await;
    (fetched, outside)
}

#[tokio::test(start_paused = true)]
async fn a_page_arrives_with_its_times_and_hash() {
    let outside = world().with_server(SERVER, |_| response("200 OK", "X-Tag: a\r\n", b"hello"));
    let (fetched, outside) = fetch(outside, &get("http://example.org/page")).await;
    let head = &fetched.head;
    assert_eq!((head.error, head.status, head.bytes), (None, Some(200), 5));
    assert_eq!(fetched.body, b"hello");
    assert_eq!(head.body_sha256, Some(Hash32(Sha256::digest(b"hello").into())));
    assert_eq!(head.headers[0], ("x-tag".to_owned(), "a".to_owned()));
    assert_eq!(head.ip.as_deref(), Some(IP));
    assert!(head.dns_us.is_some() && head.connect_us.is_some() && head.ttfb_us.is_some() && head.total_us.is_some());
    assert_eq!((head.tls_us, head.reused), (None, false));
    assert_eq!(outside.connections(), 1);
    assert_eq!(fetched.records.len(), 1);
}
