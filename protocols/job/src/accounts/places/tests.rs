use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const NOW: Time = Time(1_000);

fn ip(a: u8, network: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(a, 1, network, host).into()
}

fn stranger(places: &mut Places<u32>, id: u32, ip: IpAddr) -> Result<Option<u32>, NoPlace> {
    places.begin(id, ip, Way::Direct, NOW.plus(u64::from(id)))?;
    places.open(id, ip, Way::Direct, Opened::ByStranger, NOW.plus(u64::from(id))).inspect_err(|_| places.close(&id))
}

#[test]
fn one_machine_holds_eight_places_and_one_network_sixteen() {
    let mut places = Places::new(64);
    let taken = (0..100).filter(|id| stranger(&mut places, *id, ip(8, 1, 1)).is_ok()).count();
    assert_eq!(taken, HOST_PLACES_MAX);
    let taken = (100..300).filter(|id| stranger(&mut places, *id, ip(8, 1, u8::try_from(id - 99).expect("small"))).is_ok()).count();
    assert_eq!(taken, NETWORK_PLACES_MAX - HOST_PLACES_MAX);
    assert_eq!(stranger(&mut places, 300, ip(8, 1, 200)), Err(NoPlace::Network));
    assert_eq!(stranger(&mut places, 301, ip(8, 2, 1)), Ok(None), "another network has room");
}

#[test]
fn handshakes_that_never_end_take_places_too() {
    let mut places = Places::new(64);
    for id in 0..8 {
        assert_eq!(places.begin(id, ip(8, 1, 1), Way::Direct, NOW), Ok(()));
    }
    assert_eq!(places.begin(8, ip(8, 1, 1), Way::Direct, NOW), Err(NoPlace::Host));
    places.close(&0);
    assert_eq!(places.begin(8, ip(8, 1, 1), Way::Direct, NOW), Ok(()));
}

#[test]
fn when_places_become_fewer_nobody_is_sent_away_and_they_go_with_those_who_leave() {
    let mut places = Places::new(8);
    for id in 0..6 {
        assert_eq!(stranger(&mut places, id, ip(8, u8::try_from(id).expect("small"), 1)), Ok(None));
    }
    places.resize(4);
    assert_eq!((places.inbound(), places.ceiling()), (6, 6));
    assert_eq!(stranger(&mut places, 6, ip(9, 1, 1)), Err(NoPlace::All), "there is no place, and no network with two");
    places.close(&0);
    assert_eq!((places.inbound(), places.ceiling()), (5, 5));
    for id in 1..4 {
        places.close(&id);
    }
    assert_eq!((places.inbound(), places.ceiling()), (2, 4));
    assert_eq!(stranger(&mut places, 7, ip(9, 1, 1)), Ok(None));
}

#[test]
fn a_64_is_one_machine_and_a_48_one_network() {
    let mut places = Places::new(512);
    let v6 = |subnet: u16, host: u16| IpAddr::from([0x2a01, 1, 1, subnet, 0, 0, 0, host]);
    for id in 0..8 {
        assert_eq!(stranger(&mut places, id, v6(1, u16::try_from(id).expect("small"))), Ok(None));
    }
    assert_eq!(stranger(&mut places, 8, v6(1, 99)), Err(NoPlace::Host));
    let more = (9..100).filter(|id| stranger(&mut places, *id, v6(u16::try_from(*id).expect("small"), 1)).is_ok()).count();
    assert_eq!(more, NETWORK_PLACES_MAX - 8);
}

#[test]
fn where_everybody_shares_a_few_private_addresses_the_limits_are_sixteen_times_as_wide() {
    let mut places = Places::new(512);
    let taken = (0..600).filter(|id| stranger(&mut places, *id, Ipv4Addr::LOCALHOST.into()).is_ok()).count();
    assert_eq!(taken, 128);
}

#[test]
fn when_all_places_are_taken_the_newest_of_the_largest_network_goes() {
    let mut places = Places::new(20);
    for id in 0..16 {
        assert_eq!(stranger(&mut places, id, ip(8, 1, u8::try_from(id).expect("small"))), Ok(None));
    }
    for id in 16..20 {
        assert_eq!(stranger(&mut places, id, ip(8, u8::try_from(id).expect("small"), 1)), Ok(None));
    }
    assert_eq!(stranger(&mut places, 20, ip(9, 1, 1)), Ok(Some(15)));
    assert_eq!(stranger(&mut places, 21, ip(9, 1, 2)), Ok(Some(14)));
    assert_eq!(places.inbound(), 20);
}

#[test]
fn nobody_goes_for_a_network_that_would_hold_as_many() {
    let mut places = Places::new(4);
    for id in 0..4 {
        assert_eq!(stranger(&mut places, id, ip(8, u8::try_from(id).expect("small"), 1)), Ok(None));
    }
    assert_eq!(stranger(&mut places, 4, ip(9, 1, 1)), Err(NoPlace::All));
    assert_eq!(places.inbound(), 4);
}

#[test]
fn who_comes_first_has_a_place_for_a_stranger_s_and_never_loses_it_to_one() {
    let mut places = Places::new(4);
    for id in 0..4 {
        assert_eq!(stranger(&mut places, id, ip(8, u8::try_from(id).expect("small"), 1)), Ok(None));
    }
    for id in 10..14 {
        assert!(places.open(id, ip(8, 1, 1), Way::Direct, Opened::ByAcquaintance, NOW).expect("a place").is_some());
    }
    assert_eq!(places.open(14, ip(8, 1, 1), Way::Direct, Opened::ByAcquaintance, NOW), Err(NoPlace::All), "they have an end too");
    assert_eq!(stranger(&mut places, 20, ip(9, 1, 1)), Err(NoPlace::All));
}

#[test]
fn what_this_station_dialled_takes_nobodys_place() {
    let mut places = Places::new(2);
    for id in 0..10 {
        assert_eq!(places.open(id, ip(8, 1, 1), Way::Direct, Opened::ByUs, NOW), Ok(None));
    }
    assert_eq!(stranger(&mut places, 20, ip(8, 1, 1)), Ok(None));
    assert_eq!(places.inbound(), 1);
}

#[test]
fn those_behind_one_relay_are_counted_by_themselves() {
    let mut places = Places::new(64);
    let taken = (0..100).filter(|id| places.open(*id, ip(8, 1, 1), Way::Relayed, Opened::ByStranger, NOW).is_ok()).count();
    assert_eq!(taken, RELAYED_PLACES_MAX);
    assert_eq!(stranger(&mut places, 200, ip(8, 1, 1)), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(15), ..ProptestConfig::default() })]
    #[test]
    fn no_order_of_coming_and_going_breaks_a_limit(steps in prop::collection::vec((0u32..60, 0u8..3, 0u8..4, 0u8..6), 0..400)) {
        let mut places = Places::new(24);
        for (step, (id, network, host, what)) in steps.into_iter().enumerate() {
            let (ip, now) = (ip(8, network, host), NOW.plus(step as u64));
            match what {
                0 => places.close(&id),
                1 => drop(places.begin(id, ip, Way::Direct, now)),
                2 => drop(places.open(id, ip, Way::Direct, Opened::ByUs, now)),
                _ => drop(places.open(id, ip, Way::Direct, Opened::ByStranger, now)),
            }
            let theirs = || places.taken.values().filter(|place| place.opened != Some(Opened::ByUs));
            prop_assert!(places.inbound() <= 24);
            for place in theirs() {
                prop_assert!(theirs().filter(|other| other.host == place.host).count() <= HOST_PLACES_MAX);
                prop_assert!(theirs().filter(|other| other.network == place.network).count() <= NETWORK_PLACES_MAX);
            }
        }
    }
}
