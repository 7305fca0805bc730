//! Whose failure it was, and what is said of it.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::outside::Outside;
use crate::outside::fake::{Anything, Fake, get, read_head, response};
use crate::outside::http::{Fetcher, Permit, Visit};
use crate::outside::tls::Tls;
use crate::outside::tls::tests::authority;
use crate::outside::toll::Purse;
use crate::outside::vicinity::Vicinity;

fn why(trouble: &Trouble) -> &str {
    trouble.why.as_deref().unwrap_or_default()
}

#[test]
fn a_station_that_cannot_ask_says_nothing_of_the_target() {
    for kind in [io::ErrorKind::NetworkUnreachable, io::ErrorKind::NetworkDown, io::ErrorKind::AddrNotAvailable, io::ErrorKind::PermissionDenied] {
        let trouble = not_connected(&kind.into());
        assert!(trouble.weight() == 0 && why(&trouble).starts_with("this station"), "{trouble:?}");
    }
    for (kind, said) in [
        (io::ErrorKind::ConnectionRefused, "refused"),
        (io::ErrorKind::ConnectionReset, "reset"),
        (io::ErrorKind::HostUnreachable, "no route to the host"),
        (io::ErrorKind::TimedOut, "nobody answered"),
        (io::ErrorKind::InvalidInput, "invalid"),
    ] {
        let trouble = not_connected(&kind.into());
        assert!(trouble.error == FetchError::Connect && why(&trouble).contains(said), "{trouble:?}");
    }
    for (resolving, error) in [
        (ResolveError::NoSuchName, FetchError::Dns),
        (ResolveError::NoAnswer, FetchError::Dns),
        (ResolveError::NoResolver, FetchError::StationFailed),
        (ResolveError::Silent, FetchError::StationFailed),
    ] {
        assert_eq!(Trouble::from(resolving).error, error);
    }
    assert!(Trouble::from(QuotaRefused::NotDurable).weight() == 0);
    assert_eq!(Trouble::from(QuotaRefused::UsedUp), Trouble::new(FetchError::Quota, "today's requests to the target are used up"));
}

#[cfg(unix)]
#[test]
fn a_station_without_sockets_left_is_no_dead_target() {
    for number in [23, 24] {
        assert!(not_connected(&io::Error::from_raw_os_error(number)).weight() == 0);
    }
}

#[test]
fn a_bad_certificate_is_told_by_what_is_bad_about_it() {
    let of = |error: rustls::Error| not_secure(&io::Error::new(io::ErrorKind::InvalidData, error));
    for (certificate, said) in [
        (CertificateError::UnknownIssuer, "self-signed"),
        (CertificateError::Expired, "expired"),
        (CertificateError::NotValidYet, "not valid yet"),
        (CertificateError::NotValidForName, "another name"),
        (CertificateError::Revoked, "revoked"),
        (CertificateError::BadSignature, "not valid"),
    ] {
        let trouble = of(rustls::Error::InvalidCertificate(certificate));
        assert!(trouble.error == FetchError::Tls && why(&trouble).contains(said), "{trouble:?}");
    }
    assert_eq!(why(&not_secure(&io::ErrorKind::UnexpectedEof.into())), "the connection ended in the TLS handshake");
}

/// What a fetch of `url` says of itself and in its record, which is the same.
async fn told(outside: Fake, url: &str) -> (Option<FetchError>, String) {
    let outside: Arc<dyn Outside> = Arc::new(outside);
    let fetcher = Fetcher::new(Vicinity::new(outside), Tls::default(), "station/test");
    let fetched = fetcher.fetch(&get(url), &Anything::default()).await;
    let record = fetched.records.last().expect("a record");
    assert_eq!((record.error, &record.detail), (fetched.head.error, &fetched.head.detail), "the auditor reads what the guest reads");
    (fetched.head.error, fetched.head.detail.map(|detail| detail.to_string()).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_told_why_an_address_a_name_or_a_port_is_refused() {
    for (url, said) in [
        ("http://127.0.0.1/", "loopback"),
        ("http://10.0.0.1/", "private"),
        ("http://example.org:8081/", "none of 80, 443, 8080 and 8443"),
        ("http://box.local/", "local network"),
        ("http://5.5.5.9/", "this machine"),
    ] {
        let (error, detail) = told(Fake::default().with_own("5.5.5.5/24"), url).await;
        assert!(error == Some(FetchError::RefusedAddress) && detail.contains(said), "{url}: {error:?} {detail:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_is_no_verdict_on_the_target() {
    for (says, error, said) in [
        (Some(ResolveError::NoSuchName), FetchError::Dns, "no such name"),
        (Some(ResolveError::NoAnswer), FetchError::Dns, "servers of the name"),
        (Some(ResolveError::NoResolver), FetchError::StationFailed, "this station has no resolver"),
        (Some(ResolveError::Silent), FetchError::StationFailed, "this station's resolver"),
        (None, FetchError::StationFailed, "this station's resolver did not answer in time"),
    ] {
        let (found, detail) = told(Fake::default().with_resolver(says), "http://example.org/").await;
        assert!(found == Some(error) && detail.contains(said), "{says:?}: {found:?} {detail:?}");
    }
    let (error, detail) = told(Fake::default().with_name("example.org", &[&[]]), "http://example.org/").await;
    assert_eq!((error, detail.as_str()), (Some(FetchError::Dns), "the name has no address"));
}

#[tokio::test(start_paused = true)]
async fn of_several_addresses_the_one_that_says_something_of_the_target_counts() {
    let two = || Fake::default().with_name("two.example", &[&["1.2.3.4", "2600::1"]]);
    let refused = two().with_failure("[2600::1]:80", io::ErrorKind::NetworkUnreachable);
    assert_eq!(told(refused, "http://two.example/").await, (Some(FetchError::Connect), "the connection was refused".to_owned()));
    let offline = two().with_failure("1.2.3.4:80", io::ErrorKind::NetworkUnreachable).with_failure("[2600::1]:80", io::ErrorKind::NetworkUnreachable);
    assert_eq!(told(offline, "http://two.example/").await.0, Some(FetchError::StationFailed));
}

#[tokio::test(start_paused = true)]
async fn a_self_signed_certificate_is_called_one() {
    let (acceptor, _) = authority();
    let outside = Fake::default().with_name("example.org", &[&["1.2.3.4"]]).with_pipe("1.2.3.4:443", move |pipe| {
        let acceptor = acceptor.clone();
        async move {
            // The client ends it.
            let _ = acceptor.accept(pipe).await;
        }
    });
    let (error, detail) = told(outside, "https://example.org/").await;
    assert!(error == Some(FetchError::Tls) && detail.contains("self-signed"), "{detail}");
}

/// A server that sends `bytes` and keeps the connection.
fn says(bytes: &'static [u8]) -> Fake {
    Fake::default().with_pipe("1.2.3.4:80", move |mut pipe| async move {
        let _ = read_head(&mut pipe).await;
        let _ = pipe.write_all(bytes).await;
        std::future::pending::<()>().await;
    })
}

#[tokio::test(start_paused = true)]
async fn a_folded_header_is_one_header_and_an_identity_encoding_is_none() {
    let folded = says(b"HTTP/1.1 200 OK\r\nx-long: one\r\n two\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(told(folded, "http://1.2.3.4/").await, (None, String::new()));
    let identity = says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(told(identity, "http://1.2.3.4/").await, (None, String::new()), "the body ends where it says, though the connection does not");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_http_and_what_is_too_much_of_it_is_told() {
    let (error, detail) = told(says(b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n"), "http://1.2.3.4/").await;
    assert!(error == Some(FetchError::Protocol) && detail.contains("header"), "{detail}");
    let many = Fake::default().with_server("1.2.3.4:80", |_| response("200 OK", &"x-h: 1\r\n".repeat(105), b"small"));
    assert_eq!(told(many, "http://1.2.3.4/").await, (Some(FetchError::TooLarge), "its head has more than 100 headers or 32 KiB".to_owned()));
}

/// Lets nobody contact these addresses.
struct Barred(Vec<std::net::IpAddr>, Anything);

impl Permit for Barred {
    fn permits(&self, host: &str, port: u16) -> bool {
        self.1.permits(host, port)
    }
    fn count_redirect(&self) -> bool {
        self.1.count_redirect()
    }
    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), Trouble>> {
        self.1.admit(visit)
    }
    fn arrive<'a>(&'a self, _: Visit<'a>, ip: std::net::IpAddr) -> BoxFuture<'a, Result<(), Trouble>> {
        let barred = self.0.contains(&ip);
        Box::pin(std::future::ready(if barred { Err(QuotaRefused::UsedUp.into()) } else { Ok(()) }))
    }
    fn is_spent(&self) -> bool {
        self.1.is_spent()
    }
    fn purse(&self) -> Arc<dyn Purse> {
        self.1.purse()
    }
    fn keep(&self, wanted: u64) -> u64 {
        self.1.keep(wanted)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_target_did_says_more_than_that_it_was_not_asked_and_that_more_than_that_the_station_failed() {
    let (one, two) = ("1.2.3.4", "2600::1");
    let no_route = |ip: &str| Fake::default().with_failure(ip, io::ErrorKind::NetworkUnreachable);
    for (barred, outside, error, asked) in [
        (two, Fake::default(), FetchError::Connect, Some(one)),
        (one, Fake::default(), FetchError::Connect, Some(two)),
        (two, no_route("1.2.3.4:80"), FetchError::Quota, None),
        (one, no_route("[2600::1]:80"), FetchError::Quota, None),
        ("9.9.9.9", no_route("[2600::1]:80"), FetchError::Connect, Some(one)),
    ] {
        let outside: Arc<dyn Outside> = Arc::new(outside.with_name("two.example", &[&[one, two]]));
        let fetcher = Fetcher::new(Vicinity::new(outside), Tls::default(), "station/test");
        let permit = Barred(vec![barred.parse().expect("an address")], Anything::default());
        let head = fetcher.fetch(&get("http://two.example/"), &permit).await.head;
        assert_eq!((head.error, head.ip.as_deref()), (Some(error), asked), "{barred} is barred");
    }
}
