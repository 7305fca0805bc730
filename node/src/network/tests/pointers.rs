//! The bounds of what a DHT server keeps.

use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::kad::store::RecordStore;
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use libp2p::multiaddr::multiaddr;

use super::super::kad_store::{ADDRESSES_MAX, LIFE, OWN_MAX, PER_KEY_MAX, PER_PEER_MAX, Pointers, TOTAL_MAX};
use super::super::peer_id::peer_of;
use super::node;

/// A peer id that need not be a valid key: the store does not care.
fn peer(number: usize) -> PeerId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    peer_of(station_protocol::NodeId(id))
}

fn record(key: usize, provider: usize, expires: Instant) -> ProviderRecord {
    let mut record = ProviderRecord::new(RecordKey::new(&key.to_be_bytes()), peer(provider), Vec::new());
    record.expires = Some(expires);
    record
}

fn store() -> Pointers {
    Pointers::new(peer_of(node(1)))
}

#[test]
fn values_are_never_kept() {
    let mut store = store();
    assert!(store.put(Record::new(RecordKey::new(b"k"), vec![1])).is_err());
    assert!(store.get(&RecordKey::new(b"k")).is_none());
}

#[test]
fn a_key_has_twenty_providers_and_a_flood_does_not_wash_out_fresh_ones() {
    let (mut store, end) = (store(), Instant::now() + LIFE);
    for provider in 0..PER_KEY_MAX {
        store.add_provider(record(1, provider, end)).expect("room");
    }
    assert!(store.add_provider(record(1, 100, end + LIFE / 2 - Duration::from_secs(1))).is_err(), "the others are fresh");
    store.add_provider(record(1, 0, end + LIFE / 2)).expect("a renewal always has room");
    store.add_provider(record(1, 100, end + LIFE / 2)).expect("the others are past half their life");
    let providers = store.providers(&RecordKey::new(&1_usize.to_be_bytes()));
    assert_eq!(providers.len(), PER_KEY_MAX);
    assert!(providers.iter().any(|record| record.provider == peer(100)));
    assert!(providers.iter().any(|record| record.provider == peer(0)), "renewed, so not the oldest");
    assert!(!providers.iter().any(|record| record.provider == peer(1)), "the oldest went");
}

#[test]
fn a_peer_has_sixty_four_records() {
    let (mut store, end) = (store(), Instant::now() + LIFE);
    for key in 0..PER_PEER_MAX {
        store.add_provider(record(key, 1, end)).expect("room");
    }
    assert!(store.add_provider(record(PER_PEER_MAX, 1, end)).is_err());
    store.add_provider(record(PER_PEER_MAX, 2, end)).expect("room for another peer");
    store.remove_provider(&RecordKey::new(&0_usize.to_be_bytes()), &peer(1));
    store.add_provider(record(PER_PEER_MAX, 1, end)).expect("room again");
    assert_eq!(store.len(), PER_PEER_MAX + 1);
}

#[test]
fn there_are_never_more_than_the_total() {
    let (mut store, end) = (store(), Instant::now() + LIFE);
    for number in 0..TOTAL_MAX {
        store.add_provider(record(number, number / PER_PEER_MAX, end)).expect("room");
    }
    assert!(store.add_provider(record(TOTAL_MAX, TOTAL_MAX, end)).is_err());
    store.add_provider(record(TOTAL_MAX, TOTAL_MAX, end + LIFE)).expect("the oldest has expired");
    assert_eq!(store.len(), TOTAL_MAX);
}

#[test]
fn addresses_are_bounded_and_a_record_without_an_end_is_refused() {
    let mut store = store();
    let mut many = record(1, 1, Instant::now() + LIFE);
    many.addresses = (0..100).map(|port: u16| multiaddr!(Ip4([192, 0, 2, 1]), Tcp(port))).collect();
    store.add_provider(many).expect("room");
    assert_eq!(store.providers(&RecordKey::new(&1_usize.to_be_bytes()))[0].addresses.len(), ADDRESSES_MAX);
    let mut endless = record(2, 1, Instant::now());
    endless.expires = None;
    assert!(store.add_provider(endless).is_err());
}

#[test]
fn what_the_station_itself_provides_is_bounded_apart_from_others() {
    let mut store = store();
    let own = |key: usize| ProviderRecord::new(RecordKey::new(&key.to_be_bytes()), peer_of(node(1)), Vec::new());
    for key in 0..OWN_MAX {
        store.add_provider(own(key)).expect("room");
    }
    assert!(store.add_provider(own(OWN_MAX)).is_err());
    assert_eq!((store.provided().count(), store.len()), (OWN_MAX, 0));
    store.remove_provider(&RecordKey::new(&0_usize.to_be_bytes()), &peer_of(node(1)));
    store.add_provider(own(OWN_MAX)).expect("room again");
}
