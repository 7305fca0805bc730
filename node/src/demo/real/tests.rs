//! Gateways as people write them, from public lists and from their own machines.

use super::*;

fn refused(text: &str) -> GatewayRefused {
    GatewayUrl::parse(text).expect_err(text)
}

#[test]
fn a_gateway_is_its_scheme_host_and_port_however_it_is_written() {
    for (text, url, target) in [
        ("https://ipfs.io", "https://ipfs.io", "ipfs.io:443"),
        ("  https://ipfs.io/  ", "https://ipfs.io", "ipfs.io:443"),
        ("HTTP://IPFS.io", "http://ipfs.io", "ipfs.io:80"),
        ("http://under_score.example:8080/", "http://under_score.example:8080", "under_score.example:8080"),
        ("https://ipfs.io:443", "https://ipfs.io", "ipfs.io:443"),
        ("https://bücher.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example:443"),
        ("http://8.8.8.8", "http://8.8.8.8", "8.8.8.8:80"),
        ("http://[2600::1]:8443", "http://[2600::1]:8443", "[2600::1]:8443"),
    ] {
        let gateway = GatewayUrl::parse(text).expect(text);
        assert_eq!((gateway.to_string().as_str(), gateway.target().as_str()), (url, target), "{text}");
        assert!(gateway.target().parse::<station_protocol::capability::TargetPattern>().is_ok(), "{text}: a policy takes it");
    }
}

#[test]
fn what_is_more_than_a_host_is_told_what_to_write() {
    for text in ["https://ipfs.io/ipfs/:hash", "https://ipfs.io/?a", "https://ipfs.io/#a", "https://u:p@ipfs.io", "https://u@ipfs.io/"] {
        let GatewayRefused::More(said, instead) = refused(text) else { panic!("{text}") };
        assert_eq!((said.as_str(), instead.as_str()), (text, "https://ipfs.io"));
    }
    for text in ["", "ipfs.io", "https://", "ftp://ipfs.io", "mailto:a@ipfs.io", "https://:hash.ipfs.dweb.link", "https://a b.example"] {
        assert!(matches!(refused(text), GatewayRefused::NoUrl(_)), "{text}");
    }
}

#[test]
fn loopback_private_addresses_and_other_ports_cannot_be_measured() {
    for text in ["http://127.0.0.1:8080", "http://localhost:8080", "http://0x7f.1", "http://192.168.1.5", "http://[::1]:8080", "http://box.local"] {
        let refused = refused(text);
        assert!(matches!(refused, GatewayRefused::Address(..)), "{text}: {refused:?}");
        assert!(refused.to_string().contains("public addresses only"), "{refused}");
    }
    for text in ["http://ipfs.io:8081", "https://ipfs.io:4430"] {
        assert!(refused(text).to_string().contains("only the ports 80, 443, 8080, 8443"), "{text}");
    }
}
