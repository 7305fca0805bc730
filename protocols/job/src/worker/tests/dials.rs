//! Who pays for a dial, and which addresses are left alone.

use super::super::dials::Dials;
use super::*;
use crate::accounts::{Acquaintance, Charge, KNOWN_TIMES, Payer};

fn payer(number: u8, acquaintance: Acquaintance) -> Payer {
    Payer::node(key(number).node(), None, acquaintance)
}

fn stranger(number: u8) -> Payer {
    payer(number, Acquaintance::Stranger)
}

/// Addresses of machines in as many networks.
fn apart(of: u8, count: u16) -> impl Iterator<Item = Address> {
    let node = key(of).node();
    (0..count).map(move |net| address(node, &format!("45.{}.{}.1", 100 + net / 250, net % 250)))
}

/// How many of `at` are dialled for `payer`.
fn dialled(dials: &mut Dials, payer: &Payer, at: impl IntoIterator<Item = Address>, now: Time) -> usize {
    at.into_iter().filter(|address| dials.pay(payer, [address.clone()], now).is_ok()).count()
}

/// It is charged whether anybody is there or not, before the dial.
#[test]
fn whoever_names_addresses_pays_for_each_of_them_whatever_machines_they_are() {
    let mut dials = Dials::default();
    let share = Charge::Dials.payer();
    assert_eq!(dialled(&mut dials, &stranger(10), apart(10, 100), START), 16);
    assert_eq!(share.burst, 16);
    assert_eq!(dialled(&mut dials, &stranger(10), apart(10, 100), START.plus(MINUTE)) as u64, share.per_minute);
    // Nobody else's share is less for it, and who is known has more.
    assert_eq!(dialled(&mut dials, &stranger(11), apart(11, 100).skip(50), START), 16);
    assert_eq!(dialled(&mut dials, &payer(12, Acquaintance::Known), apart(12, 100), START) as u64, KNOWN_TIMES * share.burst);
}

#[test]
fn a_machine_and_a_network_are_knocked_at_a_few_times_by_whatever_keys_and_who_was_refused_has_not_paid() {
    let mut dials = Dials::default();
    let mut knocks = |keys: std::ops::Range<u8>, host: fn(u8) -> u8| {
        keys.filter(|number| dials.pay(&stranger(*number), [address(key(*number).node(), &format!("45.9.9.{}", host(*number)))], START).is_ok())
            .count()
    };
    assert_eq!(knocks(10..60, |_| 1) as u64, Charge::Dials.payer().burst);
    assert_eq!(knocks(60..160, |number| number) as u64, Charge::Dials.cluster().burst - Charge::Dials.payer().burst);
    let at_victim = std::iter::repeat_n(address(key(200).node(), "45.9.9.1"), 50);
    assert_eq!(dialled(&mut dials, &stranger(200), at_victim, START), 0);
    assert_eq!(dialled(&mut dials, &stranger(200), apart(200, 100), START), 16, "what was not dialled cost nothing");
    // Whom work is done with is dialled although strangers knocked there.
    assert_eq!(dialled(&mut dials, &payer(201, Acquaintance::Known), [address(key(201).node(), "45.9.9.1")], START), 1);
}

#[test]
fn where_a_node_was_not_found_it_is_not_dialled_for_ten_minutes_and_another_node_is() {
    let mut dials = Dials::default();
    let (mine, other) = (address(key(10).node(), "45.9.9.1"), address(key(11).node(), "45.9.9.1"));
    dials.mute(&mine, START);
    assert_eq!(dials.pay(&stranger(10), [mine.clone()], START), Err(START.plus(10 * MINUTE)));
    assert_eq!(dialled(&mut dials, &stranger(11), [other], START), 1);
    assert_eq!(dialled(&mut dials, &stranger(10), [mine.clone()], START.plus(10 * MINUTE)), 1);
    dials.unmute(&key(10).node());
    assert_eq!(dialled(&mut dials, &stranger(10), [mine], START), 1, "it is here, or said something new");
}

#[test]
fn private_addresses_are_never_muted() {
    let mut dials = Dials::default();
    let home = address(key(10).node(), "192.168.1.7");
    dials.mute(&home, START);
    assert_eq!(dialled(&mut dials, &stranger(10), [home], START), 1);
}

#[test]
fn muted_addresses_are_bounded_and_forgotten_when_their_time_is_over() {
    let mut dials = Dials::default();
    let count = |dials: &Dials| dials.gauges().next().map(|gauge| (gauge.len, gauge.max)).expect("the first is of them");
    let node = key(10).node();
    for number in 0..4_100_u32 {
        let port = 1 + number;
        dials.mute(&Address::parse(&format!("/ip4/45.9.9.9/tcp/{port}/p2p/{node}")).expect("an address"), START.plus(u64::from(number)));
    }
    assert_eq!(count(&dials), (4_096, 4_096));
    dials.sweep(START.plus(10 * MINUTE + 4_090));
    assert_eq!(count(&dials).0, 9);
    dials.sweep(START.plus(HOUR));
    assert_eq!(count(&dials).0, 0);
}
