//! Who is charged as what.

use super::*;

fn key(number: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    NodeId(bytes)
}

fn ip(host: usize) -> IpAddr {
    [45, 7, 1, u8::try_from(host % 250).expect("small")].into()
}

#[tokio::test(start_paused = true)]
async fn who_is_known_is_bounded_and_misconduct_takes_it_away() {
    let ledger = Ledger::new(Reach::Global, [key(0)]);
    (1..=KNOWN_MAX + 10).for_each(|number| ledger.knows(key(number), true));
    assert_eq!(ledger.lock().known.len(), KNOWN_MAX);
    let last = key(KNOWN_MAX + 10);
    assert!(ledger.comes_first(&last));
    ledger.knows(last, false);
    assert!(!ledger.comes_first(&last) && ledger.comes_first(&key(0)));
    ledger.remembers(last);
    assert!(!ledger.comes_first(&last), "what it did before does not count any more");
    ledger.knows(last, true);
    ledger.remembers(key(KNOWN_MAX + 11));
    assert!(ledger.comes_first(&last) && ledger.comes_first(&key(KNOWN_MAX + 11)));
    (0..=2 * KNOWN_MAX).for_each(|number| ledger.knows(key(number), false));
    assert_eq!(ledger.lock().fallen.len(), KNOWN_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_is_one_only_while_it_is_connected() {
    let ledger = Ledger::new(Reach::Global, []);
    ledger.chose(key(1));
    assert!(ledger.lock().chosen.is_empty(), "it is gone already");
    ledger.connected(key(1), Cluster::V4([45, 7, 1]));
    ledger.chose(key(1));
    assert_eq!(ledger.lock().payer(key(1)).acquaintance, Acquaintance::Neighbour);
    ledger.disconnected(&key(1));
    assert!(ledger.lock().chosen.is_empty());
}

#[tokio::test(start_paused = true)]
async fn connections_and_handshakes_are_paid_for_by_the_network_too() {
    let ledger = Ledger::new(Reach::Global, []);
    let connections = (0..1_000).filter(|number| ledger.charge_at(key(*number), ip(*number), Charge::Connections).is_ok()).count();
    assert_eq!(connections as u64, Charge::Connections.cluster().burst);
    let ledger = Ledger::new(Reach::Global, []);
    let handshakes = (0..1_000).filter(|host| ledger.charge_host(ip(*host % 50), Charge::Handshakes, 1).is_ok()).count();
    assert_eq!(handshakes as u64, Charge::Handshakes.cluster().burst);
}
