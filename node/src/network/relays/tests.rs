//! Whom a station asks for a place, and when again.

use libp2p::core::transport::ListenerId;

use super::*;

fn id(number: u8) -> NodeId {
    NodeId([number; 32])
}

/// The relay `number`, of a /24 of its own.
fn offer(relays: &mut Relays, number: u8) {
    offer_from(relays, number, number);
}

fn offer_from(relays: &mut Relays, number: u8, subnet: u8) {
    let address: Multiaddr = format!("/ip4/198.51.{subnet}.{number}/tcp/4710").parse().expect("an address");
    relays.offered(id(number), address, Cluster::V4([198, 51, subnet]));
}

/// Asks everybody whom it wants to ask.
fn ask(relays: &mut Relays, now: Instant) -> Vec<(u8, ListenerId)> {
    let mut asked = Vec::new();
    while let Some((node, _)) = relays.next(now) {
        let listener = ListenerId::next();
        relays.asked(node, listener);
        asked.push((node.0[0], listener));
    }
    asked
}

#[test]
fn two_relays_are_asked_while_they_are_needed_and_given_back_when_they_are_not() {
    let (mut relays, now) = (Relays::new(id(0)), Instant::now());
    (1..=5).for_each(|number| offer(&mut relays, number));
    assert_eq!(ask(&mut relays, now), [], "not needed");
    assert_eq!(relays.need(true), []);
    let asked = ask(&mut relays, now);
    assert_eq!(asked.len(), HELD);
    let mut back = relays.need(false);
    back.sort_by_key(|listener| format!("{listener:?}"));
    let mut listeners: Vec<ListenerId> = asked.into_iter().map(|(_, listener)| listener).collect();
    listeners.sort_by_key(|listener| format!("{listener:?}"));
    assert_eq!(back, listeners);
    assert_eq!(relays.deadline(), None);
}

#[test]
fn relays_of_one_cluster_are_one() {
    let (mut relays, now) = (Relays::new(id(0)), Instant::now());
    relays.need(true);
    (1..=3).for_each(|number| offer_from(&mut relays, number, 7));
    assert_eq!(ask(&mut relays, now).len(), 1);
    assert_eq!(relays.deadline(), None, "nobody is waited for in vain");
    offer(&mut relays, 9);
    assert_eq!(ask(&mut relays, now).len(), 1);
}

#[test]
fn a_relay_that_refused_is_asked_again_ever_more_rarely_and_from_the_start_once_it_gave_a_place() {
    let (mut relays, mut now) = (Relays::new(id(0)), Instant::now());
    relays.need(true);
    offer(&mut relays, 1);
    for wait in [10, 20, 40, 80, 160, 320, 600, 600] {
        let (_, listener) = ask(&mut relays, now)[0];
        assert!(relays.closed(listener, now) && !relays.closed(listener, now));
        assert_eq!(relays.deadline(), Some(now + Duration::from_secs(wait)));
        assert_eq!(ask(&mut relays, now + Duration::from_secs(wait) - Duration::from_millis(1)), []);
        now += Duration::from_secs(wait);
    }
    let (_, listener) = ask(&mut relays, now)[0];
    relays.accepted(id(1));
    relays.closed(listener, now);
    assert_eq!(relays.deadline(), Some(now + AGAIN));
}

#[test]
fn another_relay_is_asked_at_once_in_place_of_one_that_is_lost() {
    let (mut relays, now) = (Relays::new(id(0)), Instant::now());
    relays.need(true);
    (1..=3).for_each(|number| offer(&mut relays, number));
    let asked = ask(&mut relays, now);
    relays.closed(asked[0].1, now);
    let again = ask(&mut relays, now);
    assert_eq!(again.len(), 1);
    assert!(asked.iter().all(|(number, _)| *number != again[0].0), "the third");
}

#[test]
fn stations_ask_different_relays_and_a_bounded_number_is_known() {
    let now = Instant::now();
    let chosen = |own: u8| {
        let mut relays = Relays::new(id(own));
        relays.need(true);
        (1..=100).for_each(|number| offer(&mut relays, number));
        assert_eq!(relays.known.len(), KNOWN_MAX);
        ask(&mut relays, now).into_iter().map(|(number, _)| number).collect::<Vec<_>>()
    };
    let all: std::collections::BTreeSet<Vec<u8>> = (101..=120).map(chosen).collect();
    assert!(all.len() >= 15, "{all:?}");
    let mut own = Relays::new(id(1));
    own.need(true);
    offer(&mut own, 1);
    assert_eq!(ask(&mut own, now), [], "nobody relays for itself");
}

#[test]
fn a_relay_is_taken_at_the_address_where_it_is_met_and_at_no_other() {
    let [met, other] = ["/ip4/198.51.100.7/tcp/4710", "/ip4/203.0.113.9/tcp/443"].map(|text| text.parse::<Multiaddr>().expect("an address"));
    let ip: IpAddr = [198, 51, 100, 7].into();
    assert_eq!(confirmed(&[other.clone(), met.clone()], ip), Some(&met));
    assert_eq!(confirmed(&[other], ip), None);
}
