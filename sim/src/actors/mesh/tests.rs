//! Attackers against the real node's network, over the simulator's wires.

use std::net::{IpAddr, Ipv4Addr};

use station_node::network::{Command, Event, Network, NetworkConfig, Reach};
use station_protocol::bounded::{List, Text};
use station_protocol::call::{Call, CallState};
use station_protocol::content::{Content, RAW, cid_of};
use station_protocol::experiment::{Class, Experiment, JobsRef, Labels, Trust};
use station_protocol::identity::Hash32;
use station_protocol::time::{MINUTE, Time};
use station_protocol::worker::Admission;
use station_protocol::{Signed, SigningKey};

use super::*;
use crate::net::Nanos;
use crate::net::fabric::{Access, Attachment, Climate, Fabric, Lines, NodeIndex};
use crate::net::link::Tcp;
use crate::net::region::Region;
use crate::net::transport::build;
use crate::scenario::Fidelity;
use crate::scenario::units::{Jitter, Rate, Share};

/// The machines of these tests: two stations and an attacker.
const MACHINES: usize = 3;
const PORT: u16 = 4_710;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn keypair(machine: NodeIndex) -> Keypair {
    station_node::network::peer_id::keypair(secret(machine))
}

fn secret(machine: NodeIndex) -> [u8; 32] {
    [u8::try_from(machine).expect("a few") + 1; 32]
}

fn fabric() -> Arc<Fabric> {
    let access = Access { region: Region::Europe, up: Rate(1_000_000_000), down: Rate(1_000_000_000), last_mile: Nanos::ZERO };
    let climate = Climate { latency: Some(Nanos::from_millis(1)), jitter: Jitter::Share(Share::NONE), loss: Share::NONE, tcp: Tcp::None };
    let fabric = Fabric::new(Lines::new(vec![access; MACHINES], climate, 1), 1, Arc::default());
    tokio::spawn(fabric.clone().pump());
    fabric
}

fn ip(machine: NodeIndex) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, u8::try_from(machine).expect("a few") + 1)
}

fn transport(fabric: &Arc<Fabric>, machine: NodeIndex) -> Boxed<(PeerId, StreamMuxerBox)> {
    build(fabric, machine, &fabric.attach(machine, &Attachment::open(IpAddr::V4(ip(machine)))), &keypair(machine), Fidelity::Fast)
        .expect("a transport")
}

fn listen(machine: NodeIndex) -> Multiaddr {
    Multiaddr::from(ip(machine)).with(libp2p::multiaddr::Protocol::Tcp(PORT))
}

fn address(machine: NodeIndex) -> Multiaddr {
    listen(machine).with(libp2p::multiaddr::Protocol::P2p(keypair(machine).public().to_peer_id()))
}

/// A real station's network, which dials `bootstrap` first.
fn station(fabric: &Arc<Fabric>, machine: NodeIndex, bootstrap: Vec<Multiaddr>) -> Network {
    let mut config = NetworkConfig::new(name("lab"), vec![name("t")]);
    config.listen = vec![listen(machine)];
    config.bootstrap = bootstrap;
    config.reach = Reach::Any;
    config.dcutr = false;
    Network::new(config, &keypair(machine), transport(fabric, machine), Tasks::new()).expect("a network")
}

fn attacker(fabric: &Arc<Fabric>, machine: NodeIndex, targets: Vec<Multiaddr>, strategy: Strategy) -> Attacker {
    let plan = Plan { network: name("lab"), topics: vec![name("t")], listen: listen(machine), secret: secret(machine), targets, strategy };
    Attacker::new(&keypair(machine), transport(fabric, machine), Tasks::new(), plan).expect("an attacker")
}

fn call(seq: u64) -> Signed<Call> {
    let key = SigningKey::from_bytes(&secret(0));
    let body = Experiment {
        requester: key.node(),
        network: name("lab"),
        topic: name("t"),
        name: Text::cut("experiment"),
        module: Content { cid: cid_of(RAW, b"module"), bytes: 6 },
        profile: name("station-wasm-2"),
        needs: std::collections::BTreeMap::new(),
        limits: station_protocol::limits::Limits::default(),
        class: Class::Pure(Trust::Fixed(3)),
        jobs: JobsRef { root: cid_of(RAW, b"jobs"), count: 1, target: None },
        labels: Labels::new(),
        deadline: Time(10 * MINUTE),
        contact: Text::cut("mailto:lab@example.org"),
        commitment: Hash32([0; 32]),
        input: station_protocol::experiment::InputForm::DagCbor,
        output: station_protocol::experiment::OutputForm::DagCbor,
        previous: None,
    };
    let (nbf, exp) = (Time(0), Time(10 * MINUTE));
    let call = Call {
        experiment: key.sign(&name("lab"), body),
        seq,
        state: CallState::Open,
        claim_below: u64::MAX,
        wanted: 1,
        at: List::default(),
        nbf,
        exp,
    };
    key.sign(&name("lab"), call)
}

/// Drives the victim until `deeds` say what is waited for; an hour of virtual time is a hang.
async fn until(victim: &mut Network, deeds: &Mutex<Deeds>, enough: impl Fn(Deeds) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let limit = Instant::now() + Duration::from_secs(3_600);
    while !enough(*deeds.lock().expect("not poisoned")) {
        assert!(Instant::now() < limit, "it never happened: {:?}", deeds.lock());
        tokio::select! {
            event = victim.next() => {
                if let Event::Call { ticket, .. } = &event {
                    victim.perform(Command::Judge { ticket: *ticket, admission: Admission::Accept });
                }
                events.push(event);
            }
            _ = tick.tick() => {}
        }
    }
    events
}

#[tokio::test(start_paused = true)]
async fn a_spammer_makes_its_target_ask_for_messages_that_do_not_exist() {
    let fabric = fabric();
    let mut victim = station(&fabric, 0, Vec::new());
    let attacker = attacker(&fabric, 2, vec![address(0)], Strategy::IhaveSpam { per_second: 10 });
    let deeds = attacker.deeds();
    let running = tokio::spawn(attacker.run());
    until(&mut victim, &deeds, |deeds| deeds.announced >= 30 && deeds.asked_bytes > 300).await;
    running.abort();
}

/// The author (machine 0) publishes once the attacker is in its mesh; what the other station hears is from the attacker alone.
async fn attacked(strategy: Strategy, calls: u64) -> (Deeds, Vec<Event>) {
    let fabric = fabric();
    let mut author = station(&fabric, 0, Vec::new());
    let mut other = station(&fabric, 1, Vec::new());
    let attacker = attacker(&fabric, 2, vec![address(0), address(1)], strategy);
    let deeds = attacker.deeds();
    let running = tokio::spawn(attacker.run());
    let mut heard = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_secs(10));
    let mut published = 0;
    // The first tick is at once; by the second the mesh has formed.
    while published <= calls {
        tokio::select! {
            _ = author.next() => {}
            event = other.next() => {
                if let Event::Call { ticket, .. } = &event {
                    other.perform(Command::Judge { ticket: *ticket, admission: Admission::Accept });
                    heard.push(event);
                }
            }
            _ = tick.tick() => {
                if published > 0 {
                    author.perform(Command::Publish { topic: name("t"), bytes: station_protocol::codec::encode(&call(published)) });
                }
                published += 1;
            }
        }
    }
    running.abort();
    let deeds = *deeds.lock().expect("not poisoned");
    (deeds, heard)
}

#[tokio::test(start_paused = true)]
async fn a_censor_hears_and_forwards_nothing() {
    let (deeds, heard) = attacked(Strategy::Censor { only: BTreeSet::new() }, 4).await;
    assert!(deeds.heard >= 3 && deeds.withheld == deeds.heard && deeds.forwarded == 0, "{deeds:?}");
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_censor_of_one_requester_forwards_the_others() {
    let (theirs, others) = (SigningKey::from_bytes(&secret(0)).node(), SigningKey::from_bytes(&secret(1)).node());
    let (deeds, heard) = attacked(Strategy::Censor { only: [theirs].into() }, 4).await;
    assert!(deeds.withheld >= 3 && heard.is_empty(), "{deeds:?}");
    let (deeds, heard) = attacked(Strategy::Censor { only: [others].into() }, 4).await;
    assert!(deeds.forwarded >= 3 && heard.len() >= 3, "{deeds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_covert_flash_forwards_until_its_time_comes() {
    let (deeds, heard) = attacked(Strategy::CovertFlash { after: Duration::from_secs(25) }, 5).await;
    assert!(deeds.forwarded >= 1 && deeds.withheld >= 2, "{deeds:?}");
    assert_eq!(heard.len() as u64, deeds.forwarded);
}

#[tokio::test(start_paused = true)]
async fn flipped_copies_reach_nobody() {
    let (deeds, heard) = attacked(Strategy::Flip, 4).await;
    assert!(deeds.forged >= 3, "{deeds:?}");
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn each_call_of_a_flood_is_good_and_of_another_author() {
    let fabric = fabric();
    let mut victim = station(&fabric, 0, Vec::new());
    let attacker = attacker(&fabric, 2, vec![address(0)], Strategy::Flood { every: Duration::from_millis(200), seed: [3; 32], victims: Vec::new() });
    let deeds = attacker.deeds();
    let running = tokio::spawn(attacker.run());
    let events = until(&mut victim, &deeds, |deeds| deeds.flooded >= 20).await;
    running.abort();
    let authors: BTreeSet<NodeId> = events
        .iter()
        .filter_map(|event| match event {
            Event::Call { call, .. } => Some(call.author),
            _ => None,
        })
        .collect();
    assert!(authors.len() >= 10, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_weapons_name_the_machine_of_their_victim() {
    let fabric = fabric();
    let mut victim = station(&fabric, 0, Vec::new());
    let pointed = IpAddr::V4(ip(1));
    let strategy = Strategy::Flood { every: Duration::from_millis(200), seed: [3; 32], victims: vec![pointed] };
    let attacker = attacker(&fabric, 2, vec![address(0)], strategy);
    let deeds = attacker.deeds();
    let running = tokio::spawn(attacker.run());
    let events = until(&mut victim, &deeds, |deeds| deeds.flooded >= 5).await;
    running.abort();
    let mut named = events.iter().filter_map(|event| match event {
        Event::Call { call, .. } => Some(call.body.at.iter().map(Address::ip).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(named.next(), Some(vec![pointed]), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_sent_until_the_target_has_enough() {
    let fabric = fabric();
    let mut victim = station(&fabric, 0, Vec::new());
    let attacker = attacker(&fabric, 2, vec![address(0)], Strategy::Nonsense { per_second: 100 });
    let deeds = attacker.deeds();
    let running = tokio::spawn(attacker.run());
    until(&mut victim, &deeds, |deeds| deeds.nonsense >= 50).await;
    running.abort();
}

fn liar(strategy: Strategy) -> Liar {
    let plan = Plan { network: name("lab"), topics: vec![name("t")], listen: listen(2), secret: secret(2), targets: Vec::new(), strategy };
    Liar::new(&plan, Time(1_800_000_000_000))
}

#[test]
fn a_lying_requester_gives_leases_to_whoever_wants_none_and_never_the_same_again() {
    let mut liar = liar(Strategy::LyingRequester { every: REDIAL, module: flood::nothing(), input: vec![0xa0] });
    let (node, mut deeds) = (SigningKey::from_bytes(&secret(0)).node(), Deeds::default());
    let claim = station_protocol::work::Deliver {
        experiment: Content::raw(b"experiment").cid,
        receipts: List::default(),
        holding: List::default(),
        free: 0,
        cursor: 0,
        returned: List::default(),
    };
    let firsts: Vec<Option<u64>> = (0..2)
        .map(|_| match liar.answer(node, &Request::Deliver(claim.clone()), &mut deeds) {
            station_protocol::work::Response::Acked(ack) => ack.body.leases.map(|leases| leases.first),
            _ => None,
        })
        .collect();
    assert_eq!((firsts, deeds.leases), (vec![Some(0), Some(32)], 64));
}

#[test]
fn a_hog_gives_what_is_asked_for_of_modules_that_no_station_has() {
    let mut liar = liar(Strategy::CompileHogs { compile_ms: 20_000, input: vec![0xa0] });
    let (node, mut deeds) = (SigningKey::from_bytes(&secret(0)).node(), Deeds::default());
    let mut leases = |free| {
        let deliver = station_protocol::work::Deliver {
            experiment: Content::raw(b"experiment").cid,
            receipts: List::default(),
            holding: List::default(),
            free,
            cursor: 0,
            returned: List::default(),
        };
        match liar.answer(node, &Request::Deliver(deliver), &mut deeds) {
            station_protocol::work::Response::Acked(ack) => ack.body.leases.map(|leases| leases.leases.len()),
            _ => None,
        }
    };
    assert_eq!([leases(0), leases(1), leases(9)], [Some(0), Some(1), Some(1)]);
    let modules = hogs::Modules::default();
    let several = [(&secret(2), 1), (&secret(2), 2), (&secret(1), 1)].map(|(secret, round)| modules.another(20_000, secret, round).cid);
    assert!(several[0] != several[1] && several[0] != several[2]);
}

#[test]
fn ground_records_are_good_and_those_of_the_smallest_hashes() {
    use station_protocol::census::Census;
    let mut liar = liar(Strategy::GroundCensus { keys: 1_000 });
    let (node, mut deeds) = (SigningKey::from_bytes(&secret(0)).node(), Deeds::default());
    let question = Request::Peers { topic: name("t"), have: List::default() };
    let station_protocol::work::Response::Peers { records, .. } = liar.answer(node, &question, &mut deeds) else { panic!("no answer") };
    let census = Census::new(&name("lab"), &name("t"), node, station_protocol::address::Reach::Global);
    assert!(records.iter().all(|record| census.vouch(record, Time(1_800_000_000_000)).is_ok()));
    assert_eq!((records.len() as u64, deeds.records), (256, 256));
}

#[test]
fn a_flipped_copy_differs_in_one_bit_and_nothing_is_too_short_to_handle() {
    let call = vec![7; 100];
    let copy = flipped(call.clone()).expect("long enough");
    assert_eq!(call.iter().zip(&copy).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>(), 1);
    assert_eq!(flipped(vec![1, 2, 3]), None);
}

#[test]
fn messages_written_by_hand_are_protobuf() {
    assert_eq!(rpc::subscriptions(&["t".to_owned()]), [7, 0x0a, 5, 0x08, 1, 0x12, 1, b't']);
    let ihave = rpc::ihave("t", &[[9; 32]]);
    assert_eq!(ihave[..8], [41, 0x1a, 39, 0x0a, 37, 0x0a, 1, b't']);
    assert_eq!((ihave.len(), &ihave[8..10]), (42, &[0x12, 32][..]));
}
