//! The table, and a corpus of URLs that would lead a guest into a volunteer's network.

use std::sync::Arc;

use super::*;
use crate::outside::fake::{Anything, Fake, get, response};
use crate::outside::http::Fetcher;
use crate::outside::tls::Tls;

#[test]
fn the_first_and_last_address_of_each_refused_range_is_refused_and_its_neighbours_are_not() {
    use AddressRefused as R;
    let rows: &[(&str, Result<(), R>)] = &[
        ("0.0.0.0", Err(R::ThisNetwork)),
        ("0.255.255.255", Err(R::ThisNetwork)),
        ("1.0.0.0", Ok(())),
        ("9.255.255.255", Ok(())),
        ("10.0.0.0", Err(R::Private)),
        ("10.255.255.255", Err(R::Private)),
        ("11.0.0.0", Ok(())),
        ("100.63.255.255", Ok(())),
        ("100.64.0.0", Err(R::Shared)),
        ("100.100.100.200", Err(R::Shared)),
        ("100.127.255.255", Err(R::Shared)),
        ("100.128.0.0", Ok(())),
        ("126.255.255.255", Ok(())),
        ("127.0.0.1", Err(R::Loopback)),
        ("127.255.255.255", Err(R::Loopback)),
        ("128.0.0.0", Ok(())),
        ("169.253.255.255", Ok(())),
        ("169.254.169.254", Err(R::LinkLocal)),
        ("169.255.0.0", Ok(())),
        ("172.15.255.255", Ok(())),
        ("172.16.0.0", Err(R::Private)),
        ("172.31.255.255", Err(R::Private)),
        ("172.32.0.0", Ok(())),
        ("192.0.0.170", Err(R::Special)),
        ("192.0.1.0", Ok(())),
        ("192.0.2.1", Err(R::Documentation)),
        ("192.31.196.1", Err(R::Special)),
        ("192.52.193.1", Err(R::Special)),
        ("192.88.99.1", Err(R::Special)),
        ("192.167.255.255", Ok(())),
        ("192.168.0.0", Err(R::Private)),
        ("192.169.0.0", Ok(())),
        ("192.175.48.1", Err(R::Special)),
        ("198.17.255.255", Ok(())),
        ("198.18.0.0", Err(R::Benchmark)),
        ("198.19.255.255", Err(R::Benchmark)),
        ("198.20.0.0", Ok(())),
        ("198.51.100.1", Err(R::Documentation)),
        ("203.0.113.1", Err(R::Documentation)),
        ("223.255.255.255", Ok(())),
        ("224.0.0.1", Err(R::Multicast)),
        ("239.255.255.255", Err(R::Multicast)),
        ("240.0.0.1", Err(R::Reserved)),
        ("255.255.255.255", Err(R::Reserved)),
        ("8.8.8.8", Ok(())),
        ("::", Err(R::ThisNetwork)),
        ("::1", Err(R::Loopback)),
        ("::127.0.0.1", Err(R::Loopback)),
        ("::8.8.8.8", Err(R::Translated)),
        ("::ffff:127.0.0.1", Err(R::Loopback)),
        ("::ffff:8.8.8.8", Err(R::Translated)),
        ("64:ff9b::10.0.0.1", Err(R::Private)),
        ("64:ff9b::8.8.8.8", Err(R::Translated)),
        ("64:ff9b:1::8.8.8.8", Err(R::Translated)),
        ("2001::1", Err(R::Reserved)),
        ("2001:0:0:0:0:0:80ff:fffe", Err(R::Loopback)),
        ("2001:1ff::1", Err(R::Special)),
        ("2001:200::1", Ok(())),
        ("2001:db8::1", Err(R::Documentation)),
        ("2001:db9::1", Ok(())),
        ("2002:7f00:1::", Err(R::Loopback)),
        ("2002:808:808::", Err(R::Translated)),
        ("2003::1", Ok(())),
        ("3fff::1", Err(R::Documentation)),
        ("3fff:1000::1", Ok(())),
        ("1fff::1", Err(R::NotGlobal)),
        ("4000::1", Err(R::NotGlobal)),
        ("fd00:ec2::254", Err(R::Private)),
        ("fc00::1", Err(R::Private)),
        ("fe80::1", Err(R::LinkLocal)),
        ("fec0::1", Err(R::NotGlobal)),
        ("ff02::1", Err(R::Multicast)),
        ("2606:4700:4700::1111", Ok(())),
    ];
    for (ip, verdict) in rows {
        assert_eq!(judge(ip.parse().unwrap()), *verdict, "{ip}");
    }
}

#[test]
fn names_of_local_networks_are_refused() {
    for name in ["router", "localhost", "a.local", "local", "x.internal", "nas.lan", "home.arpa", "x.home.arpa", "abc.onion", "a.localhost", ""] {
        assert_eq!(judge_name(name), Err(AddressRefused::LocalName), "{name}");
    }
    for name in ["example.org", "local.example.org", "alan.example", "notlocal.de"] {
        assert_eq!(judge_name(name), Ok(()), "{name}");
    }
}

/// URLs that no guest may fetch. Names resolve as in [`hostile_world`].
const CORPUS: [&str; 58] = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.1.:80/",
    "http://127.255.255.254:8080/",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data",
    "http://169.254.169.254/latest/meta-data",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]:8080/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::1]/",
    "http://[2001:0:0:0:0:0:80ff:fffe]/",
    "http://[2001:db8::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[ff02::1]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://router/",
    "http://printer.local/",
    "http://vault.internal/",
    "http://nas.lan/",
    "http://fritz.home.arpa/",
    "http://hidden.onion/",
    "http://1.2.3.4:22/",
    "http://1.2.3.4:25/",
    "http://1.2.3.4:6379/",
    "https://public.example:5432/",
    "http://private.example/",
    "http://mixed.example/",
    "http://metadata.example/",
    "http://six.example/",
    "http://own.example/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
];

fn hostile_world() -> Fake {
    let fake = Fake::default().with_own("5.6.7.8");
    let fake = fake.with_name("public.example", &[&["1.2.3.4"]]).with_name("private.example", &[&["192.168.0.10"]]);
    let fake = fake.with_name("mixed.example", &[&["1.2.3.4", "10.0.0.1"]]).with_name("metadata.example", &[&["169.254.169.254"]]);
    let fake = fake.with_name("six.example", &[&["::ffff:10.0.0.1"]]).with_name("own.example", &[&["5.6.7.8"]]);
    ["localhost", "router", "printer.local", "vault.internal", "nas.lan", "fritz.home.arpa", "hidden.onion"]
        .iter()
        .fold(fake, |fake, name| fake.with_name(name, &[&["1.2.3.4"]]))
}

#[tokio::test(start_paused = true)]
async fn no_url_of_the_corpus_causes_a_connection() {
    let outside = Arc::new(hostile_world().with_server("1.2.3.4:80", |_| response("200 OK", "", b"")));
    let fetcher = Fetcher::new(outside.clone(), Tls::default(), "station/test");
    for url in CORPUS {
        let fetched = fetcher.fetch(&get(url), &Anything::default()).await;
        assert_eq!(fetched.head.error, Some(FetchError::RefusedAddress), "{url}");
        assert_eq!(outside.connections(), 0, "{url}");
    }
    for name in ["localhost", "router", "printer.local", "vault.internal", "hidden.onion"] {
        assert!(!outside.resolved.lock().unwrap().iter().any(|resolved| resolved == name), "{name} was looked up");
    }
    let open = fetcher.fetch(&get("http://public.example/"), &Anything::default()).await;
    assert_eq!((open.head.error, outside.connections()), (None, 1), "the corpus proves nothing if everything is refused");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_web_url_is_a_bad_request() {
    let outside = Arc::new(hostile_world());
    let fetcher = Fetcher::new(outside.clone(), Tls::default(), "station/test");
    for url in [
        "",
        "example.org",
        "file:///etc/passwd",
        "ftp://public.example/",
        "gopher://public.example/",
        "http://user:pw@public.example/",
        "http://public.example:0/",
        "data:,x",
    ] {
        let fetched = fetcher.fetch(&get(url), &Anything::default()).await;
        assert_eq!(fetched.head.error, Some(FetchError::BadRequest), "{url}");
    }
    assert_eq!(outside.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_exact_socket_that_was_named_is_exempt() {
    let outside = hostile_world().with_exempt("127.0.0.1:4567").with_name("demo.local", &[&["127.0.0.1"]]);
    let outside = Arc::new(outside.with_server("127.0.0.1:4567", |_| response("200 OK", "", b"demo")));
    let fetcher = Fetcher::new(outside.clone(), Tls::default(), "station/test");
    for (url, error) in [
        ("http://127.0.0.1:4567/", None),
        ("http://demo.local:4567/", None),
        ("http://127.0.0.1:4568/", Some(FetchError::RefusedAddress)),
        ("http://127.0.0.1/", Some(FetchError::RefusedAddress)),
        ("http://127.0.0.2:4567/", Some(FetchError::RefusedAddress)),
        ("http://[::ffff:127.0.0.1]:4567/", Some(FetchError::RefusedAddress)),
        ("http://demo.local:8080/", Some(FetchError::RefusedAddress)),
        ("http://public.example:4567/", Some(FetchError::RefusedAddress)),
    ] {
        assert_eq!(fetcher.fetch(&get(url), &Anything::default()).await.head.error, error, "{url}");
    }
    assert!(outside.connected.lock().unwrap().iter().all(|socket| *socket == "127.0.0.1:4567".parse::<SocketAddr>().unwrap()));
}
