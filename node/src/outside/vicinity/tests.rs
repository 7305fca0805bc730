//! What is near a station, and who may say so.

use super::*;
use crate::clock::NOON;
use crate::outside::address::AddressRefused as R;
use crate::outside::fake::Fake;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A peer in a /24 of its own.
fn witness(number: u8) -> Cluster {
    Cluster::V4([9, 9, number])
}

fn judged(vicinity: &Vicinity, rows: &[(&str, Result<(), R>)]) {
    for (text, verdict) in rows {
        assert_eq!(vicinity.judge([ip(text)]), *verdict, "{text}");
    }
}

#[test]
fn whoever_is_on_a_link_of_this_machine_or_in_its_home_is_too_near() {
    let fake = Fake::default().with_own("5.6.7.8/22").with_own("8.8.4.4/32").with_own("2a01:4f8:1:2::5/64");
    let vicinity = Vicinity::new(Arc::new(fake.with_own("2a02:1:2:300::9/128").with_own("2a03:7::1/48")));
    judged(
        &vicinity,
        &[
            ("5.6.7.8", Err(R::Own)),
            ("5.6.4.1", Err(R::Own)),
            ("5.6.7.254", Err(R::Own)),
            ("::ffff:5.6.7.1", Err(R::Own)),
            ("5.6.8.1", Ok(())),
            ("8.8.4.4", Err(R::Own)),
            ("8.8.4.5", Ok(())),
            // The router, the printer, and the other links of the same home.
            ("2a01:4f8:1:2::1", Err(R::Own)),
            ("2a01:4f8:1:ff::1", Err(R::Own)),
            ("2a01:4f8:1:100::1", Ok(())),
            ("2a02:1:2:3ff::1", Err(R::Own)),
            ("2a02:1:2:400::1", Ok(())),
            ("2a03:7:0:ffff::1", Err(R::Own)),
            ("2a03:7:1::1", Ok(())),
            ("1.1.1.1", Ok(())),
        ],
    );
}

#[test]
fn an_interface_without_a_mask_does_not_make_the_world_near() {
    let vicinity = Vicinity::new(Arc::new(Fake::default().with_own("5.6.7.8/0").with_own("2a01:4f8:1:2::5/0")));
    judged(&vicinity, &[("5.6.7.9", Err(R::Own)), ("5.6.8.9", Ok(())), ("2a01:4f8:1:9::", Err(R::Own)), ("2a01:4f9::", Ok(()))]);
}

#[test]
fn where_interfaces_cannot_be_listed_nobody_may_be_contacted() {
    judged(&Vicinity::new(Arc::new(Fake::default().blind())), &[("1.1.1.1", Err(R::Unlisted)), ("2606:4700::1", Err(R::Unlisted))]);
}

#[test]
fn where_most_networks_see_the_station_is_its_router_and_stays_refused_for_a_day() {
    let vicinity = Vicinity::new(Arc::new(Fake::default()));
    judged(&vicinity, &[("8.8.8.8", Ok(()))]);
    vicinity.seen(witness(1), ip("8.8.8.8"), NOON);
    vicinity.seen(witness(1), ip("2a01:4f8:1:2::5"), NOON);
    judged(&vicinity, &[("8.8.8.8", Err(R::Own)), ("8.8.8.9", Ok(())), ("2a01:4f8:1:3::1", Err(R::Own)), ("2a01:4f8:1:100::1", Ok(()))]);
    // The line has another address: the old one stays refused until a day is over.
    for number in 1..=3 {
        vicinity.seen(witness(number), ip("9.9.9.9"), NOON.plus(1));
    }
    judged(&vicinity, &[("8.8.8.8", Err(R::Own)), ("9.9.9.9", Err(R::Own))]);
    vicinity.seen(witness(4), ip("9.9.9.9"), NOON.plus(DAY + 1));
    judged(&vicinity, &[("8.8.8.8", Ok(())), ("9.9.9.9", Err(R::Own))]);
}

#[test]
fn one_network_that_lies_keeps_no_station_from_whom_it_names() {
    let vicinity = Vicinity::new(Arc::new(Fake::default()));
    vicinity.seen(witness(1), ip("8.8.8.8"), NOON);
    for _ in 0..100 {
        vicinity.seen(witness(2), ip("1.1.1.1"), NOON);
    }
    judged(&vicinity, &[("8.8.8.8", Err(R::Own)), ("1.1.1.1", Ok(()))]);
}

#[test]
fn what_is_remembered_of_witnesses_and_places_is_bounded() {
    let vicinity = Vicinity::new(Arc::new(Fake::default()));
    for number in 0..=255 {
        vicinity.seen(witness(number), ip("8.8.8.8"), NOON);
    }
    for place in 0..=255_u8 {
        (0..16).for_each(|number| vicinity.seen(witness(number), ip(&format!("8.8.{place}.8")), NOON));
    }
    let seen = vicinity.seen.lock().unwrap();
    assert!(seen[0].witnesses.len() == WITNESSES_MAX && seen[0].believed.len() <= PLACES_MAX);
}

#[test]
fn what_the_operator_announces_is_its_own() {
    let vicinity = Vicinity::new(Arc::new(Fake::default()));
    vicinity.announced(ip("8.8.8.8"));
    judged(&vicinity, &[("8.8.8.8", Err(R::Own)), ("8.8.8.9", Ok(()))]);
}
