//! Fetching from servers that behave and from servers that do not, without a network.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::outside::fake::{Anything, Fake, get, header_list, read_head, response};
use crate::outside::tls::tests::authority;

const IP: &str = "1.2.3.4";
const SERVER: &str = "1.2.3.4:80";

fn world() -> Fake {
    Fake::default().with_name("example.org", &[&[IP]])
}

fn fetcher(outside: &Arc<Fake>) -> Fetcher {
    Fetcher::new(Vicinity::new(outside.clone()), Tls::default(), "station/test")
}

/// Virtual time passes once nothing else can happen.
async fn later(ms: u64) {
    let _ = tokio::time::timeout(Duration::from_millis(ms), std::future::pending::<()>()).await;
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

#[tokio::test(start_paused = true)]
async fn every_redirect_hop_is_judged_anew() {
    let private = [
        "http://127.0.0.1/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://inside.example/",
        "//169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://example.org/",
        "http://example.org:22/",
    ];
    for to in private {
        let outside = world()
            .with_name("inside.example", &[&["192.168.0.1"]])
            .with_server(SERVER, move |_| response("302 Found", &format!("location: {to}\r\n"), b""))
            .with_server("127.0.0.1:80", |_| response("200 OK", "", b"secret"));
        let (fetched, outside) = fetch(outside, &FetchRequest { redirects: 5, ..get("http://example.org/") }).await;
        assert_eq!(fetched.head.error, Some(FetchError::RefusedAddress), "{to}");
        assert!(fetched.body.is_empty());
        assert_eq!(outside.connections(), 1, "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_reported_unless_asked_to_follow() {
    let outside = || {
        world().with_server(SERVER, |head| match head.contains("GET /a ") {
            true => response("301 Moved", "location: /b\r\n", b"moved"),
            false => response("200 OK", "", b"here"),
        })
    };
    let (fetched, _) = fetch(outside(), &get("http://example.org/a")).await;
    assert_eq!((fetched.head.error, fetched.head.status), (None, Some(301)));
    assert_eq!(fetched.head.redirected_to.as_deref(), Some("http://example.org/b"));
    let (fetched, _) = fetch(outside(), &FetchRequest { redirects: 1, ..get("http://example.org/a") }).await;
    assert_eq!((fetched.head.status, fetched.body.as_slice()), (Some(200), &b"here"[..]));
    assert_eq!(fetched.head.redirected_to.as_deref(), Some("http://example.org/b"));
    assert_eq!(fetched.records.iter().map(|record| record.status).collect::<Vec<_>>(), [Some(301), Some(200)]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_redirects_ends_after_five() {
    let outside = world().with_server(SERVER, |_| response("302 Found", "location: /again\r\n", b""));
    let (fetched, _) = fetch(outside, &FetchRequest { redirects: 20, ..get("http://example.org/") }).await;
    assert_eq!(fetched.head.error, Some(FetchError::TooManyRedirects));
    assert_eq!(fetched.records.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_guests_headers_go_to_no_other_host_and_it_cannot_pose() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (seen.clone(), seen.clone());
    let outside = world()
        .with_name("other.example", &[&["1.2.3.5"]])
        .with_server(SERVER, move |head| {
            first.lock().unwrap().push(head.to_owned());
            response("302 Found", "location: http://other.example/\r\n", b"")
        })
        .with_server("1.2.3.5:80", move |head| {
            second.lock().unwrap().push(head.to_owned());
            response("200 OK", "", b"")
        });
    let header = |name, value| header_list(&[(name, value)]);
    let request = FetchRequest { redirects: 1, headers: header("If-None-Match", "secret"), ..get("http://example.org/") };
    let (fetched, _) = fetch(outside, &request).await;
    assert_eq!(fetched.head.error, None);
    let seen = seen.lock().unwrap().clone();
    assert!(seen[0].contains("if-none-match: secret") && seen[0].contains("host: example.org") && seen[0].contains("user-agent: station/test"));
    assert!(seen[0].contains("accept-encoding: identity"));
    assert!(!seen[1].contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn an_encoded_body_is_handed_over_as_it_came() {
    let outside = world().with_server(SERVER, |_| response("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b bomb"));
    let (fetched, _) = fetch(outside, &get("http://example.org/")).await;
    assert_eq!((fetched.head.error, fetched.body.as_slice()), (None, &b"\x1f\x8b bomb"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_is_cut_at_what_was_wanted() {
    let outside = world().with_pipe(SERVER, |mut pipe| async move {
        read_head(&mut pipe).await;
        let _ = pipe.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while pipe.write_all(&[7; 4_096]).await.is_ok() {}
    });
    let (fetched, _) = fetch(outside, &FetchRequest { max_bytes: 10_000, ..get("http://example.org/") }).await;
    assert_eq!((fetched.head.error, fetched.head.bytes), (Some(FetchError::TooLarge), 10_000));
    assert_eq!(fetched.body, vec![7; 10_000]);
}

#[tokio::test(start_paused = true)]
async fn an_endless_head_and_too_many_headers_are_too_large() {
    let endless = world().with_pipe(SERVER, |mut pipe| async move {
        read_head(&mut pipe).await;
        let _ = pipe.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        for _ in 0..25_600 {
            if pipe.write_all(&[b'a'; 4_096]).await.is_err() {
                return;
            }
        }
    });
    let (fetched, _) = fetch(endless, &get("http://example.org/")).await;
    assert_eq!(fetched.head.error, Some(FetchError::TooLarge));
    let many = world().with_server(SERVER, |_| response("200 OK", &"a: b\r\n".repeat(101), b""));
    let (fetched, _) = fetch(many, &get("http://example.org/")).await;
    assert_eq!(fetched.head.error, Some(FetchError::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_is_given_up_long_before_the_deadline() {
    for head in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
        let outside = world().with_pipe(SERVER, move |mut pipe| async move {
            read_head(&mut pipe).await;
            let _ = pipe.write_all(head).await;
            let mut every = tokio::time::interval(Duration::from_millis(700));
            loop {
                every.tick().await;
                if pipe.write_all(b"H").await.is_err() {
                    return;
                }
            }
        });
        let begun = Instant::now();
        let (fetched, _) = fetch(outside, &FetchRequest { timeout_ms: 600_000, ..get("http://example.org/") }).await;
        let error = fetched.head.error.unwrap();
        // A head that is nothing but letters may also be called what it is.
        assert!(matches!(error, FetchError::Timeout | FetchError::Protocol), "{error:?}");
        assert!(head.is_empty() || error == FetchError::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_and_not_before() {
    let outside = world().with_pipe(SERVER, |mut pipe| async move {
        read_head(&mut pipe).await;
        std::future::pending::<()>().await;
    });
    let begun = Instant::now();
    let (fetched, _) = fetch(outside, &FetchRequest { timeout_ms: 45_000, ..get("http://example.org/") }).await;
    assert_eq!(fetched.head.error, Some(FetchError::Timeout));
    assert_eq!(begun.elapsed().as_secs(), 45);
    assert!(fetched.head.connect_us.is_some() && fetched.head.ttfb_us.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_is_timed_at_the_stream() {
    let outside = world().with_pipe(SERVER, |mut pipe| async move {
        read_head(&mut pipe).await;
        later(300).await;
        let _ = pipe.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n").await;
        later(500).await;
        let _ = pipe.write_all(b"x").await;
    });
    let (fetched, _) = fetch(outside, &get("http://example.org/")).await;
    assert_eq!(fetched.head.error, None);
    let (ttfb, total) = (fetched.head.ttfb_us.unwrap(), fetched.head.total_us.unwrap());
    assert!((300_000..310_000).contains(&ttfb), "{ttfb}");
    assert!((800_000..820_000).contains(&total), "{total}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_early_is_truncated_and_nonsense_is_no_http() {
    let cases: [(&'static [u8], FetchError); 4] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", FetchError::Truncated),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", FetchError::Truncated),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhalf", FetchError::Protocol),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", FetchError::Protocol),
    ];
    for (bytes, error) in cases {
        let outside = world().with_pipe(SERVER, move |mut pipe| async move {
            read_head(&mut pipe).await;
            let _ = pipe.write_all(bytes).await;
        });
        let (fetched, _) = fetch(outside, &get("http://example.org/")).await;
        assert_eq!(fetched.head.error, Some(error), "{}", String::from_utf8_lossy(bytes));
        assert_eq!(fetched.body.is_empty(), error == FetchError::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_said_not_to_be_encoded_ends_at_its_length() {
    // Whether the server closes, and what is told of the body.
    type Case = (&'static [u8], bool, &'static [u8], Option<FetchError>);
    let cases: [Case; 5] = [
        (b"content-length: 0\r\n\r\n", false, b"", None),
        (b"content-length: 4\r\n\r\nwhole", false, b"whol", None),
        (b"content-length: 4\r\n\r\nwhole", true, b"whol", None),
        (b"content-length: 10\r\n\r\nhalf", true, b"half", Some(FetchError::Truncated)),
        (b"\r\nto the end", true, b"to the end", None),
    ];
    for (rest, closes, body, error) in cases {
        let outside = world().with_pipe(SERVER, move |mut pipe| async move {
            read_head(&mut pipe).await;
            let _ = pipe.write_all(&[b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n", rest].concat()).await;
            while !closes && read_head(&mut pipe).await.is_some() {}
        });
        let (fetched, _) = fetch(outside, &get("http://example.org/")).await;
        assert_eq!((fetched.head.error, &fetched.body[..]), (error, body), "{}", String::from_utf8_lossy(rest));
        assert_eq!(fetched.head.bytes, body.len() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_may_say_the_length_that_one_would_have() {
    for (method, status) in [(Method::Head, "200 OK"), (Method::Get, "304 Not Modified")] {
        let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: identity\r\ncontent-length: 4\r\n\r\n");
        let outside = world().with_server(SERVER, move |_| head.clone().into_bytes());
        let (fetched, _) = fetch(outside, &FetchRequest { method, ..get("http://example.org/") }).await;
        assert_eq!((fetched.head.error, fetched.head.bytes), (None, 0), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_is_told_how_long_the_request_waits() {
    let (fetched, outside) = fetch(world().with_resolver(None), &FetchRequest { timeout_ms: 5_000, ..get("http://silent.example/") }).await;
    assert_eq!(fetched.head.error, Some(FetchError::StationFailed));
    assert_eq!(*outside.waited_for.lock().unwrap(), Some(Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_again_within_one_execution_unless_freshness_is_asked_for() {
    let outside = Arc::new(world().with_server(SERVER, |_| response("200 OK", "", b"hello")));
    let fetcher = fetcher(&outside);
    let reused = async |request: &FetchRequest| {
        let fetched = fetcher.fetch(request, &Anything::default()).await;
        assert_eq!(fetched.head.error, None);
        assert_eq!(fetched.head.reused, fetched.head.connect_us.is_none());
        fetched.head.reused
    };
    let plain = get("http://example.org/");
    assert!(!reused(&plain).await);
    assert!(reused(&plain).await);
    assert!(!reused(&FetchRequest { fresh: true, ..plain.clone() }).await);
    assert!(reused(&FetchRequest { method: Method::Head, ..plain.clone() }).await);
    assert_eq!(outside.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let outside = Arc::new(world().with_pipe(SERVER, |mut pipe| async move {
        read_head(&mut pipe).await;
        let _ = pipe.write_all(&response("200 OK", "", b"hello")).await;
    }));
    let fetcher = fetcher(&outside);
    for _ in 0..2 {
        let fetched = fetcher.fetch(&get("http://example.org/"), &Anything::default()).await;
        assert_eq!((fetched.head.error, fetched.head.reused), (None, false));
        tokio::task::yield_now().await;
    }
    assert_eq!(outside.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rebinding_name_is_judged_at_each_resolution_and_connected_as_judged() {
    let outside = Arc::new(
        Fake::default()
            .with_name("rebind.example", &[&[IP], &["127.0.0.1"], &[IP, "10.0.0.1"]])
            .with_server(SERVER, |_| response("200 OK", "", b"public"))
            .with_server("127.0.0.1:80", |_| response("200 OK", "", b"secret")),
    );
    let fetcher = fetcher(&outside);
    let request = FetchRequest { fresh: true, ..get("http://rebind.example/") };
    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(fetcher.fetch(&request, &Anything::default()).await.head.error);
    }
    assert_eq!(errors, [None, Some(FetchError::RefusedAddress), Some(FetchError::RefusedAddress)]);
    assert_eq!(*outside.connected.lock().unwrap(), [SERVER.parse::<SocketAddr>().unwrap()]);
    assert_eq!(outside.resolved.lock().unwrap().len(), 3, "one resolution per request");
}

#[tokio::test(start_paused = true)]
async fn names_and_servers_that_are_not_there_are_data() {
    let (fetched, _) = fetch(world(), &get("http://nowhere.example/")).await;
    assert_eq!(fetched.head.error, Some(FetchError::Dns));
    let (fetched, outside) = fetch(Fake::default().with_name("two.example", &[&["1.2.3.4", "1.2.3.5"]]), &get("http://two.example/")).await;
    assert_eq!((fetched.head.error, outside.connections()), (Some(FetchError::Connect), 2));
    assert_eq!(fetched.head.ip.as_deref(), Some("1.2.3.5"));
}

fn secure_world(acceptor: tokio_rustls::TlsAcceptor) -> Arc<Fake> {
    Arc::new(world().with_name("wrong.example", &[&[IP]]).with_pipe("1.2.3.4:443", move |pipe| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(pipe).await else { return };
            let mut head = [0; 4_096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&response("200 OK", "", b"sealed")).await;
            let _ = stream.read(&mut head).await;
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn https_checks_the_name_and_the_authority() {
    let (acceptor, tls) = authority();
    let outside = secure_world(acceptor);
    let trusting = Fetcher::new(Vicinity::new(outside.clone()), tls, "station/test");
    let fetched = trusting.fetch(&get("https://example.org/"), &Anything::default()).await;
    assert_eq!((fetched.head.error, fetched.body.as_slice()), (None, &b"sealed"[..]));
    assert!(fetched.head.tls_us.is_some());
    let wrong_name = trusting.fetch(&get("https://wrong.example/"), &Anything::default()).await;
    assert_eq!(wrong_name.head.error, Some(FetchError::Tls));
    let wrong_authority = fetcher(&outside).fetch(&get("https://example.org/"), &Anything::default()).await;
    assert_eq!(wrong_authority.head.error, Some(FetchError::Tls));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_ends_at_the_deadline() {
    let outside = world().with_pipe("1.2.3.4:443", |mut pipe| async move {
        let _ = pipe.read_u8().await;
        std::future::pending::<()>().await;
    });
    let (fetched, _) = fetch(outside, &FetchRequest { timeout_ms: 5_000, ..get("https://example.org/") }).await;
    assert_eq!(fetched.head.error, Some(FetchError::Timeout));
    assert!(fetched.head.connect_us.is_some() && fetched.head.tls_us.is_none());
}

#[tokio::test(start_paused = true)]
async fn encryption_is_not_given_up_by_a_redirect() {
    assert_eq!(follow("https://a.example/", "http://a.example/", 0, 5), Err(FetchError::RefusedAddress));
    assert!(follow("http://a.example/", "https://a.example/", 0, 5).is_ok_and(|step| !step.same_host));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_six_connections_are_open_at_once() {
    // (open now, most open at a moment when everything had settled)
    let open = Arc::new(Mutex::new((0_usize, 0_usize)));
    let mut outside = Fake::default();
    for host in 0..30 {
        let open = open.clone();
        let ip = format!("1.2.3.{host}");
        outside = outside.with_name(&format!("h{host}.example"), &[&[&ip]]).with_pipe(&format!("{ip}:80"), move |mut pipe| {
            let open = open.clone();
            async move {
                open.lock().unwrap().0 += 1;
                while read_head(&mut pipe).await.is_some() {
                    later(10).await;
                    {
                        let mut open = open.lock().unwrap();
                        open.1 = open.1.max(open.0);
                    }
                    let _ = pipe.write_all(&response("200 OK", "", b"x")).await;
                }
                open.lock().unwrap().0 -= 1;
            }
        });
    }
    let outside = Arc::new(outside);
    let fetcher = fetcher(&outside);
    let permit = Anything::default();
    let requests: Vec<_> = (0..30).map(|host| get(&format!("http://h{host}.example/"))).collect();
    let all = futures::future::join_all(requests.iter().map(|request| fetcher.fetch(request, &permit))).await;
    assert!(all.iter().all(|fetched| fetched.head.error.is_none()));
    assert_eq!(outside.connections(), 30);
    assert!(fetcher.idle().len() <= CONNECTIONS_MAX);
    assert_eq!(open.lock().unwrap().1, CONNECTIONS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_head_may_have_thirty_two_kib_and_no_more() {
    for (bytes, error) in [(31 << 10, None), (33 << 10, Some(FetchError::TooLarge))] {
        let outside = world().with_server(SERVER, move |_| response("200 OK", &format!("x: {}\r\n", "a".repeat(bytes)), b"x"));
        let (fetched, _) = fetch(outside, &get("http://example.org/")).await;
        assert_eq!(fetched.head.error, error, "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_has_at_most_the_hosts_bytes_whatever_is_wanted() {
    let outside = world().with_pipe(SERVER, |mut pipe| async move {
        read_head(&mut pipe).await;
        let _ = pipe.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let piece = vec![7; 1 << 20];
        for _ in 0..=BODY_BYTES_MAX >> 20 {
            if pipe.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let (fetched, _) = fetch(outside, &FetchRequest { max_bytes: u64::MAX, ..get("http://example.org/") }).await;
    assert_eq!((fetched.head.error, fetched.head.bytes), (Some(FetchError::TooLarge), BODY_BYTES_MAX));
}
