//! Machines behind boxes and firewalls that dial each other. Time is tokio's paused clock.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join, poll_fn};
use libp2p::Multiaddr;
use libp2p::core::Endpoint;
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, Transport, TransportEvent};
use libp2p::multiaddr::Protocol;

use super::*;
use crate::net::link::Tcp;
use crate::net::nat::kind::{Behaviour, NatKind, Unsolicited};
use crate::net::region::Region;
use crate::net::transport::{SimTransport, Wire};
use crate::scenario::group::Firewall;
use crate::scenario::units::{Jitter, Rate, Share};

const PORT: u16 = 4_710;

fn public(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(45, 0, u8::try_from(number).expect("few machines"), 1))
}

fn behind(number: u32, nat: NatKind) -> Attachment {
    Attachment { boxes: nat.boxes(), nat: nat.name().to_owned(), ..Attachment::open(public(number)) }
}

fn multiaddr(ip: IpAddr) -> Multiaddr {
    Multiaddr::from(ip).with(Protocol::Tcp(PORT))
}

/// These machines, 20 ms apart, all of which listen.
fn world(attachments: &[Attachment]) -> (Arc<Fabric>, Vec<SimTransport>) {
    let access = Access { region: Region::Europe, up: Rate(8_000_000), down: Rate(8_000_000), last_mile: Nanos::ZERO };
    let climate = Climate { latency: Some(Nanos::from_millis(20)), jitter: Jitter::Share(Share::NONE), loss: Share::NONE, tcp: Tcp::None };
    let fabric = Fabric::new(Lines::new(vec![access; attachments.len()], climate, 1), 1, Arc::default());
    let machine = |(number, attachment): (u32, &Attachment)| {
        let places = fabric.attach(number, attachment);
        let mut transport = SimTransport::new(&fabric, number, &places);
        for place in places {
            transport.listen_on(ListenerId::next(), multiaddr(place.ip)).expect("a free port");
        }
        transport
    };
    let machines = (0..).zip(attachments).map(machine).collect();
    (fabric, machines)
}

fn dial(machine: &mut SimTransport, to: IpAddr) -> BoxFuture<'static, std::io::Result<Wire>> {
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };
    machine.dial(multiaddr(to), options).expect("an address this transport dials").boxed()
}

/// From where the next connection comes.
async fn incoming(machine: &mut SimTransport) -> Multiaddr {
    loop {
        if let TransportEvent::Incoming { send_back_addr, .. } = poll_fn(|context| Pin::new(&mut *machine).poll(context)).await {
            return send_back_addr;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_behind_boxes_dials_out_and_is_seen_at_its_outermost_box() {
    for nat in [NatKind::FullCone, NatKind::PortRestricted, NatKind::Symmetric, NatKind::CgnatSymmetric] {
        let (_fabric, mut machines) = world(&[behind(0, nat), Attachment::open(public(1))]);
        let _wire = dial(&mut machines[0], public(1)).await.expect("out is always allowed");
        let seen = incoming(&mut machines[1]).await;
        assert_eq!(seen.iter().next(), Some(Protocol::from(public(0))), "{}", nat.name());
        // Ports are preserved but by the symmetric ones.
        let preserved = !matches!(nat, NatKind::Symmetric | NatKind::CgnatSymmetric);
        assert_eq!(seen == multiaddr(public(0)), preserved, "{}", nat.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_does_not_get_in_unless_the_box_is_open_to_everybody() {
    for (nat, gets_in) in [(NatKind::FullCone, true), (NatKind::AddressRestricted, false), (NatKind::Symmetric, false), (NatKind::Cgnat, false)] {
        let (_fabric, mut machines) = world(&[behind(0, nat), Attachment::open(public(1)), Attachment::open(public(2))]);
        let _out = dial(&mut machines[0], public(1)).await.expect("out is always allowed");
        let begun = Instant::now();
        let stranger = dial(&mut machines[2], public(0)).await;
        assert_eq!(stranger.is_ok(), gets_in, "{}", nat.name());
        assert_eq!(begun.elapsed(), Duration::from_millis(if gets_in { 40 } else { 127_000 }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_firewall_lets_out_and_not_in_and_one_that_resets_says_so_at_once() {
    let walled = Attachment { firewall: Firewall::Stateful, ..Attachment::open(public(0)) };
    let (_fabric, mut machines) = world(&[walled, Attachment::open(public(1)), Attachment::open(public(2))]);
    assert!(dial(&mut machines[0], public(1)).await.is_ok());
    assert_eq!(dial(&mut machines[2], public(0)).await.err().map(|error| error.kind()), Some(std::io::ErrorKind::TimedOut));
    let [home] = NatKind::PortRestricted.boxes()[..] else { panic!("one box") };
    let resets = Attachment { boxes: vec![Behaviour { unsolicited: Unsolicited::Reset, ..home }], ..behind(0, NatKind::PortRestricted) };
    let (_fabric, mut machines) = world(&[resets, Attachment::open(public(1))]);
    let begun = Instant::now();
    assert_eq!(dial(&mut machines[1], public(0)).await.err().map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(begun.elapsed(), Duration::from_millis(40));
}

#[tokio::test(start_paused = true)]
async fn two_that_dial_each_other_at_once_meet_where_their_boxes_keep_their_ports() {
    use NatKind::{AddressRestricted, Cgnat, PortRestricted, Symmetric};
    for (one, two, meets) in
        [(PortRestricted, PortRestricted, true), (AddressRestricted, Cgnat, true), (PortRestricted, Symmetric, false), (Symmetric, Symmetric, false)]
    {
        for apart_ms in [0, 5, 700] {
            let (fabric, mut machines) = world(&[behind(0, one), behind(1, two)]);
            let ours = dial(&mut machines[0], public(1));
            let theirs = dial(&mut machines[1], public(0));
            let late = async {
                sleep_until(Instant::now() + Duration::from_millis(apart_ms)).await;
                theirs.await
            };
            let (ours, theirs) = join(ours, late).await;
            let what = format!("{} and {}, {apart_ms} ms apart", one.name(), two.name());
            assert_eq!((ours.is_ok(), theirs.is_ok()), (meets, meets), "{what}");
            let punched: u64 = fabric.dials().iter().map(|dials| dials.punched).sum();
            assert_eq!(punched, if meets { 2 } else { 0 }, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_address_is_reached_by_those_who_have_one_and_dials_are_counted_by_their_boxes() {
    let six = |number: u16| Some(IpAddr::V6([0x2a00, number, 0, 0, 0, 0, 0, 1].into()));
    let both = |number: u16| Attachment { ipv6: six(number), ..Attachment::open(public(u32::from(number))) };
    let home = Attachment { ipv6: six(3), ..behind(3, NatKind::PortRestricted) };
    let (fabric, mut machines) = world(&[both(0), both(1), Attachment::open(public(2)), home]);
    let to = six(1).expect("an address");
    assert!(dial(&mut machines[0], to).await.is_ok());
    assert_eq!(incoming(&mut machines[1]).await, multiaddr(six(0).expect("an address")));
    assert_eq!(dial(&mut machines[2], to).await.err().map(|error| error.kind()), Some(std::io::ErrorKind::NetworkUnreachable));
    // A router at home lets nobody in by IPv6 either, and translates nothing on the way out.
    assert!(dial(&mut machines[3], to).await.is_ok());
    assert_eq!(incoming(&mut machines[1]).await, multiaddr(six(3).expect("an address")));
    assert!(dial(&mut machines[0], six(3).expect("an address")).await.is_err());
    let dials: Vec<_> = fabric.dials().into_iter().map(|of| (of.from, of.to, of.tried, of.direct, of.punched)).collect();
    let none = || "none".to_owned();
    let home = || "port_restricted".to_owned();
    assert_eq!(dials, [(none(), none(), 1, 1, 0), (none(), home(), 1, 0, 0), (home(), none(), 1, 1, 0)]);
}
