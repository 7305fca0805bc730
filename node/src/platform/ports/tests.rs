//! Sockets on loopback, held while they are asked for.

use super::*;

fn address(text: &str) -> Multiaddr {
    text.parse().expect("a multiaddr")
}

#[test]
fn a_port_that_somebody_listens_at_is_named_with_the_reason_over_tcp_and_udp() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let (tcp, udp) = ((tcp.local_addr().expect("bound").port(), tcp), (udp.local_addr().expect("bound").port(), udp));
    for taken in [format!("/ip4/127.0.0.1/tcp/{}", tcp.0), format!("/ip4/127.0.0.1/udp/{}/quic-v1", udp.0)] {
        let (named, error) = probe(&[address("/ip4/127.0.0.1/tcp/0"), address(&taken)]).expect_err("it is taken");
        assert_eq!((named, error.kind()), (address(&taken), io::ErrorKind::AddrInUse));
        assert!(!error.to_string().is_empty());
    }
    drop((tcp.1, udp.1));
}

#[test]
fn an_address_that_this_machine_does_not_have_is_named() {
    let (named, error) = probe(&[address("/ip4/203.0.113.7/tcp/0")]).expect_err("it is for documents");
    assert_eq!((named, error.kind()), (address("/ip4/203.0.113.7/tcp/0"), io::ErrorKind::AddrNotAvailable));
}

#[test]
fn free_ports_pass_and_so_does_what_is_no_socket() {
    let all = ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/udp/0/quic-v1", "/dns4/localhost/tcp/1", "/p2p-circuit"].map(address);
    assert!(probe(all.iter().filter(|address| socket(address).is_none_or(|(_, socket)| socket.is_ipv4()))).is_ok());
    assert_eq!(socket(&all[1]), Some((Transport::Udp, "[::1]:0".parse().expect("a socket"))));
}
