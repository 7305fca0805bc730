//! The table, and a corpus of URLs that would lead a guest into a volunteer's network.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::*;
use crate::outside::fake::{Anything, Fake, get, response};
use crate::outside::http::Fetcher;
use crate::outside::tls::Tls;

#[test]
fn a_guest_may_contact_what_the_table_of_special_purpose_addresses_leaves() {
    assert_eq!(judge("10.0.0.1".parse().unwrap()), Err(AddressRefused::Special(SpecialUse::Private)));
    assert_eq!(judge("::ffff:127.0.0.1".parse().unwrap()), Err(AddressRefused::Special(SpecialUse::Loopback)));
    assert_eq!(judge("8.8.8.8".parse().unwrap()), Ok(()));
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
const CORPUS: [&str; 60] = [
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
    "http://neighbour.example/",
    "http://5.6.7.1/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
];

fn hostile_world() -> Fake {
    let fake = Fake::default().with_own("5.6.7.8/24");
    let fake = fake.with_name("public.example", &[&["1.2.3.4"]]).with_name("private.example", &[&["192.168.0.10"]]);
    let fake = fake.with_name("mixed.example", &[&["1.2.3.4", "10.0.0.1"]]).with_name("metadata.example", &[&["169.254.169.254"]]);
    let fake = fake.with_name("six.example", &[&["::ffff:10.0.0.1"]]).with_name("own.example", &[&["5.6.7.8"]]);
    let fake = fake.with_name("neighbour.example", &[&["5.6.7.254"]]);
    ["localhost", "router", "printer.local", "vault.internal", "nas.lan", "fritz.home.arpa", "hidden.onion"]
        .iter()
        .fold(fake, |fake, name| fake.with_name(name, &[&["1.2.3.4"]]))
}

#[tokio::test(start_paused = true)]
async fn no_url_of_the_corpus_causes_a_connection() {
    let outside = Arc::new(hostile_world().with_server("1.2.3.4:80", |_| response("200 OK", "", b"")));
    let fetcher = Fetcher::new(Vicinity::new(outside.clone()), Tls::default(), "station/test");
    let permit = Anything::default();
    for url in CORPUS {
        let fetched = fetcher.fetch(&get(url), &permit).await;
        assert_eq!(fetched.head.error, Some(FetchError::RefusedAddress), "{url}");
        assert_eq!(outside.connections(), 0, "{url}");
    }
    for name in ["localhost", "router", "printer.local", "vault.internal", "hidden.onion"] {
        assert!(!outside.resolved.lock().unwrap().iter().any(|resolved| resolved == name), "{name} was looked up");
    }
    assert!(permit.admitted.lock().unwrap().iter().all(|host| host.ends_with(".example")), "what its form refuses takes nothing of a quota");
    let open = fetcher.fetch(&get("http://public.example/"), &Anything::default()).await;
    assert_eq!((open.head.error, outside.connections()), (None, 1), "the corpus proves nothing if everything is refused");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_web_url_is_a_bad_request() {
    let outside = Arc::new(hostile_world());
    let fetcher = Fetcher::new(Vicinity::new(outside.clone()), Tls::default(), "station/test");
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
    let fetcher = Fetcher::new(Vicinity::new(outside.clone()), Tls::default(), "station/test");
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

#[tokio::test(start_paused = true)]
async fn an_answer_with_thousands_of_addresses_is_looked_at_where_it_begins() {
    let ips: Vec<String> = (0..5_000_u32).map(|number| Ipv4Addr::from_bits(0x0808_0000 + number).to_string()).collect();
    let begins = |with: &str| {
        let all: Vec<&str> = std::iter::once(with).chain(ips.iter().map(String::as_str)).chain(["10.0.0.1"]).collect();
        Arc::new(Fake::default().with_name("many.example", &[&all]))
    };
    for (first, error, connections) in [("8.8.4.4", FetchError::Connect, CANDIDATES_MAX), ("10.0.0.2", FetchError::RefusedAddress, 0)] {
        let outside = begins(first);
        let fetcher = Fetcher::new(Vicinity::new(outside.clone()), Tls::default(), "station/test");
        let fetched = fetcher.fetch(&get("http://many.example/"), &Anything::default()).await;
        assert_eq!((fetched.head.error, outside.connections()), (Some(error), connections), "{first}");
    }
}

#[test]
fn a_pattern_is_judged_like_what_it_covers() {
    let judged = |text: &str| judge_pattern(&text.parse().expect("a pattern"));
    for text in ["ipfs.io", "*.ipfs.io:443", "8.8.8.8", "[2606:4700::1111]:8443"] {
        assert_eq!(judged(text), Ok(Breadth::Narrow), "{text}");
    }
    for text in ["*", "*:443", "*.io", "*.io:443"] {
        assert_eq!(judged(text), Ok(Breadth::Wide), "{text}");
    }
    for (text, why) in [
        ("127.0.0.1:8080", AddressRefused::Special(SpecialUse::Loopback)),
        ("192.168.1.1", AddressRefused::Special(SpecialUse::Private)),
        ("[::1]", AddressRefused::Special(SpecialUse::Loopback)),
        ("localhost", AddressRefused::LocalName),
        ("*.local", AddressRefused::LocalName),
        ("*.home.arpa", AddressRefused::LocalName),
        ("ipfs.io:22", AddressRefused::Port),
        ("*:25", AddressRefused::Port),
    ] {
        assert_eq!(judged(text), Err(why), "{text}");
    }
}
