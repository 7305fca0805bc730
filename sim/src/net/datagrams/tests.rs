//! Sockets behind boxes. Time is tokio's paused clock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::*;
use crate::net::Nanos;
use crate::net::fabric::{Access, Attachment, Climate, Lines};
use crate::net::link::Tcp;
use crate::net::nat::kind::NatKind;
use crate::net::region::Region;
use crate::scenario::group::Firewall;
use crate::scenario::units::{Jitter, Rate, Share};

const PORT: u16 = 4_001;
const LATENCY: Duration = Duration::from_millis(20);
/// Longer than any way here: what has not come by then does not.
const LONG: Duration = Duration::from_secs(1);

fn public(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(45, 0, u8::try_from(number).expect("few machines"), 1))
}

fn behind(number: u32, nat: NatKind) -> Attachment {
    Attachment { boxes: nat.boxes(), nat: nat.name().to_owned(), ..Attachment::open(public(number)) }
}

fn open(number: u32) -> Attachment {
    Attachment::open(public(number))
}

/// A socket for each machine, 20 ms apart, and the wires.
fn world(attachments: &[Attachment], loss: Share) -> (Arc<Fabric>, Vec<Datagrams>) {
    let access = Access { region: Region::Europe, up: Rate(8_000_000), down: Rate(8_000_000), last_mile: Nanos::ZERO };
    let climate = Climate { latency: Some(LATENCY.into()), jitter: Jitter::Share(Share::NONE), loss, tcp: Tcp::None };
    let fabric = Fabric::new(Lines::new(vec![access; attachments.len()], climate, 1), 1, Arc::default());
    tokio::spawn(fabric.clone().pump());
    let socket = |(number, attachment)| Datagrams::bind(&fabric, number, fabric.attach(number, attachment)[0], PORT).expect("a free port");
    let sockets = (0..).zip(attachments).map(socket).collect();
    (fabric, sockets)
}

async fn hears(socket: &Datagrams) -> Option<(Vec<u8>, SocketAddr)> {
    timeout(LONG, socket.recv_from()).await.ok()
}

/// Where a server sees `socket`.
async fn seen(socket: &Datagrams, server: &Datagrams) -> SocketAddr {
    socket.send_to(b"where am I?", server.local_addr()).expect("a short one");
    hears(server).await.expect("no box keeps it back").1
}

/// Whether two that were told by `server` where they are seen get through to each other when both send at once, `rounds` times.
async fn punches(ours: NatKind, theirs: NatKind, rounds: u32) -> bool {
    let (_fabric, sockets) = world(&[behind(0, ours), behind(1, theirs), open(2)], Share::NONE);
    let (a, b) = (seen(&sockets[0], &sockets[2]).await, seen(&sockets[1], &sockets[2]).await);
    for _ in 0..rounds {
        sockets[0].send_to(b"from a", b).expect("a short one");
        sockets[1].send_to(b"from b", a).expect("a short one");
        let (one, other) = futures::join!(hears(&sockets[0]), hears(&sockets[1]));
        if one.is_some() || other.is_some() {
            return true;
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_datagram_takes_the_latency_and_the_line_and_its_answer_finds_the_way_back() {
    let (_fabric, sockets) = world(&[behind(0, NatKind::PortRestricted), open(1)], Share::NONE);
    let begun = Instant::now();
    sockets[0].send_to(&[7; 972], sockets[1].local_addr()).expect("a short one");
    let (bytes, from) = hears(&sockets[1]).await.expect("it is let out");
    // 20 ms, and 1,000 bytes at 8 Mbit/s twice.
    assert_eq!((bytes, begun.elapsed()), (vec![7; 972], LATENCY + Duration::from_millis(2)));
    assert_eq!(from.ip(), public(0));
    sockets[1].send_to(b"answer", from).expect("a short one");
    assert_eq!(hears(&sockets[0]).await, Some((b"answer".to_vec(), sockets[1].local_addr())));
}

#[tokio::test(start_paused = true)]
async fn holes_are_punched_where_one_side_can_foresee_the_others_port() {
    use NatKind::{AddressRestricted, FullCone, PortRestricted, Symmetric};
    for (ours, theirs, through) in [
        (PortRestricted, PortRestricted, true),
        (AddressRestricted, PortRestricted, true),
        (FullCone, Symmetric, true),
        (AddressRestricted, Symmetric, true),
        (PortRestricted, Symmetric, false),
        (Symmetric, Symmetric, false),
    ] {
        assert_eq!(punches(ours, theirs, 3).await, through, "{} and {}", ours.name(), theirs.name());
    }
}

#[tokio::test(start_paused = true)]
async fn boxes_on_the_far_side_look_when_a_datagram_arrives() {
    // The first is under way when the second opens the hole for it: neither is lost.
    let (_fabric, sockets) = world(&[behind(0, NatKind::PortRestricted), behind(1, NatKind::PortRestricted), open(2)], Share::NONE);
    let (a, b) = (seen(&sockets[0], &sockets[2]).await, seen(&sockets[1], &sockets[2]).await);
    sockets[0].send_to(b"early", b).expect("a short one");
    tokio::time::advance(LATENCY / 2).await;
    sockets[1].send_to(b"late", a).expect("a short one");
    let (one, other) = futures::join!(hears(&sockets[0]), hears(&sockets[1]));
    assert_eq!((one, other), (Some((b"late".to_vec(), b)), Some((b"early".to_vec(), a))));
}

#[tokio::test(start_paused = true)]
async fn a_way_is_forgotten_when_nothing_goes_out_for_long() {
    let (_fabric, sockets) = world(&[behind(0, NatKind::FullCone), open(1)], Share::NONE);
    let from = seen(&sockets[0], &sockets[1]).await;
    let minutes = Duration::from_secs(600);
    for (wait, through) in [(LONG, true), (minutes, false)] {
        tokio::time::advance(wait).await;
        sockets[1].send_to(b"still there?", from).expect("a short one");
        assert_eq!(hears(&sockets[0]).await.is_some(), through);
    }
}

#[tokio::test(start_paused = true)]
async fn a_firewall_without_datagrams_lets_none_out_and_ipv6_passes_untranslated() {
    let walled = Attachment { firewall: Firewall::UdpBlocked, ..open(0) };
    let (_fabric, sockets) = world(&[walled, open(1)], Share::NONE);
    sockets[0].send_to(b"out", sockets[1].local_addr()).expect("a short one");
    assert_eq!(hears(&sockets[1]).await, None);

    let six = |number: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 1));
    let dual = |number: u16| Attachment { ipv6: Some(six(number)), ..behind(number.into(), NatKind::Symmetric) };
    let (fabric, _sockets) = world(&[open(8), open(9)], Share::NONE);
    let sockets = [0, 1].map(|number| Datagrams::bind(&fabric, number, fabric.attach(number, &dual(number as u16))[1], PORT).expect("free"));
    assert!(sockets[0].send_to(b"in", (public(1), PORT).into()).is_err(), "another family");
    // Both routers let in what answers.
    for (own, other) in [(0, 1), (1, 0)] {
        sockets[own].send_to(b"in", (six(other), PORT).into()).expect("a short one");
    }
    assert_eq!(hears(&sockets[0]).await, Some((b"in".to_vec(), (six(1), PORT).into())));
}

#[tokio::test(start_paused = true)]
async fn a_lossy_way_loses_its_share_and_a_full_inbox_the_rest() {
    let (_fabric, sockets) = world(&[open(0), open(1)], Share::millionths(300_000).expect("less than all"));
    let mut arrived = 0;
    for _ in 0..1_000 {
        sockets[0].send_to(b"", sockets[1].local_addr()).expect("a short one");
        arrived += u32::from(hears(&sockets[1]).await.is_some());
    }
    // 700 with a standard deviation of 14.5.
    assert!((642..=758).contains(&arrived), "{arrived}");
    for _ in 0..10_000 {
        sockets[0].send_to(b"", sockets[1].local_addr()).expect("a short one");
    }
    tokio::time::advance(LONG).await;
    let mut kept = 0;
    while hears(&sockets[1]).await.is_some() {
        kept += 1;
    }
    assert_eq!(kept, INBOX_BYTES_MAX / OVERHEAD_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_port_is_bound_once_until_it_is_dropped_and_a_long_datagram_is_refused() {
    let (fabric, mut sockets) = world(&[open(0)], Share::NONE);
    let place = fabric.attach(0, &open(0))[0];
    assert_eq!(Datagrams::bind(&fabric, 0, place, PORT).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    let ports: Vec<Datagrams> = (0..256).map(|_| Datagrams::bind(&fabric, 0, place, 0).expect("free ports")).collect();
    let distinct: std::collections::BTreeSet<u16> = ports.iter().map(|socket| socket.local_addr().port()).collect();
    assert_eq!(distinct.len(), 256);
    assert!(sockets[0].send_to(&[0; DATAGRAM_BYTES_MAX + 1], sockets[0].local_addr()).is_err());
    sockets.clear();
    assert!(Datagrams::bind(&fabric, 0, place, PORT).is_ok());
}
