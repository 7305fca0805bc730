//! Two machines, one connection, and what can become of it. Time is tokio's paused clock.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::time::Duration;

use futures::future::poll_fn;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::Endpoint;

use super::super::fabric::{Access, Attachment, Climate, Disturbance, Lines};
use super::*;
use crate::det::trace::Trace;
use crate::net::Nanos;
use crate::net::link::Tcp;
use crate::net::region::Region;
use crate::scenario::units::{Jitter, Rate, Share};

const MS: Duration = Duration::from_millis(1);

fn ip(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(45, 0, 0, u8::try_from(number).expect("few machines") + 1))
}

/// Machines 50 ms apart, with lines of 8 Mbit/s.
fn fabric(machines: usize) -> Arc<Fabric> {
    let access = Access { region: Region::Europe, up: Rate(8_000_000), down: Rate(8_000_000), last_mile: Nanos::ZERO };
    let climate = Climate { latency: Some(Nanos::from_millis(50)), jitter: Jitter::Share(Share::NONE), loss: Share::NONE, tcp: Tcp::None };
    let fabric = Fabric::new(Lines::new(vec![access; machines], climate, 1), 1, Arc::new(Trace::default()));
    tokio::spawn(fabric.clone().pump());
    fabric
}

fn address(number: u32) -> Multiaddr {
    multiaddr(SocketAddr::new(ip(number), 4_710))
}

fn listening(fabric: &Arc<Fabric>, number: u32) -> SimTransport {
    let mut transport = SimTransport::new(fabric, number, &fabric.attach(number, &Attachment::open(ip(number))));
    transport.listen_on(ListenerId::next(), address(number)).expect("a free port");
    transport
}

fn dial(transport: &mut SimTransport, to: u32) -> BoxFuture<'static, io::Result<Wire>> {
    transport.dial(address(to), DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse }).expect("an address this transport dials")
}

/// The next connection, and whom it is from.
async fn incoming(transport: &mut SimTransport) -> (Wire, Multiaddr) {
    loop {
        if let TransportEvent::Incoming { upgrade, send_back_addr, .. } = poll_fn(|context| Pin::new(&mut *transport).poll(context)).await {
            return (upgrade.await.expect("a wire"), send_back_addr);
        }
    }
}

async fn connected(fabric: &Arc<Fabric>) -> (Wire, Wire) {
    let (mut one, mut two) = (listening(fabric, 0), listening(fabric, 1));
    let ours = dial(&mut one, 1).await.expect("somebody listens");
    (ours, incoming(&mut two).await.0)
}

fn ms(since: tokio::time::Instant) -> u128 {
    since.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn a_dial_takes_a_round_trip_and_shows_the_dialers_listening_port() {
    let fabric = fabric(2);
    let (mut one, mut two) = (listening(&fabric, 0), listening(&fabric, 1));
    let begun = tokio::time::Instant::now();
    let _ours = dial(&mut one, 1).await.expect("somebody listens");
    assert_eq!(ms(begun), 100);
    assert_eq!(incoming(&mut two).await.1, address(0));
}

#[tokio::test(start_paused = true)]
async fn a_closed_port_refuses_after_a_round_trip_and_an_empty_address_after_the_systems_time_out() {
    let fabric = fabric(3);
    let (mut one, begun) = (listening(&fabric, 0), tokio::time::Instant::now());
    fabric.attach(1, &Attachment::open(ip(1)));
    assert_eq!(dial(&mut one, 1).await.expect_err("nobody listens").kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(ms(begun), 100);
    assert_eq!(dial(&mut one, 2).await.expect_err("nobody is there").kind(), io::ErrorKind::TimedOut);
    assert_eq!(ms(begun), 100 + 127_000);
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_in_order_no_sooner_than_latency_and_rate_allow() {
    let fabric = fabric(2);
    let (mut ours, mut theirs) = connected(&fabric).await;
    let begun = tokio::time::Instant::now();
    let sent: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    ours.write_all(&sent).await.expect("room");
    let mut got = vec![0; 1];
    theirs.read_exact(&mut got).await.expect("bytes");
    assert!((50..90).contains(&ms(begun)), "the first chunk after {} ms", ms(begun));
    got.resize(sent.len(), 0);
    theirs.read_exact(&mut got[1..]).await.expect("bytes");
    assert_eq!(got, sent);
    // 100,000 bytes at 8 Mbit/s take 100 ms, and 50 ms to get there; the last chunk passes both lines.
    assert!((150..200).contains(&ms(begun)), "the last chunk after {} ms", ms(begun));
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_reader_that_does_not_read() {
    let fabric = fabric(2);
    let (mut ours, mut theirs) = connected(&fabric).await;
    let mut written = 0;
    while let Ok(bytes) = tokio::time::timeout(1_000 * MS, ours.write(&[7; 4_096])).await {
        written += bytes.expect("an open connection");
    }
    assert_eq!(written, super::super::fabric::pipe::PIPE_BYTES_MAX);
    let mut some = vec![0; 1_000];
    theirs.read_exact(&mut some).await.expect("bytes");
    assert_eq!(ours.write(&[7; 4_096]).await.expect("there is room again"), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_cut_holds_one_direction_and_nothing_is_lost_when_it_is_mended() {
    let fabric = fabric(2);
    let (mut ours, mut theirs) = connected(&fabric).await;
    fabric.change(|lines| lines.disturb(3, Disturbance::Cut { from: vec![true, false], to: vec![false, true] }));
    ours.write_all(b"there").await.expect("room");
    theirs.write_all(b"back").await.expect("room");
    let mut got = [0; 4];
    ours.read_exact(&mut got).await.expect("the other direction works");
    assert_eq!(&got, b"back");
    let mut got = [0; 5];
    let early = tokio::time::timeout(10_000 * MS, theirs.read_exact(&mut got)).await;
    assert!(early.is_err(), "nothing passes the cut");
    ours.write_all(b"!").await.expect("room");
    let mended = tokio::time::Instant::now();
    fabric.change(|lines| lines.calm(3));
    theirs.read_exact(&mut got).await.expect("what was held");
    assert_eq!(&got, b"there");
    assert_eq!(ms(mended), 51, "latency, and a little for the line");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_left_reads_what_was_sent_and_then_the_end() {
    let fabric = fabric(2);
    let (mut ours, mut theirs) = connected(&fabric).await;
    ours.write_all(b"last words").await.expect("room");
    drop(ours);
    let mut all = Vec::new();
    theirs.read_to_end(&mut all).await.expect("an orderly end");
    assert_eq!(all, b"last words");
    tokio::time::advance(50 * MS).await;
    assert_eq!(theirs.write(b"hello?").await.expect_err("nobody is there").kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn a_port_is_taken_once_and_free_again_when_its_machine_is_gone() {
    let fabric = fabric(2);
    let one = listening(&fabric, 0);
    let mut again = SimTransport::new(&fabric, 0, &fabric.attach(0, &Attachment::open(ip(0))));
    assert!(again.listen_on(ListenerId::next(), address(0)).is_err());
    drop(one);
    assert!(again.listen_on(ListenerId::next(), address(0)).is_ok());
    assert!(again.listen_on(ListenerId::next(), address(1)).is_err(), "another machine's address");
}
