use std::collections::BTreeSet;

use super::*;
use crate::scenario::Scenario;

const MIXED: &str = "[run]\nduration = \"1m\"\n[network]\nipv6 = \"30%\"\n\
    [[group]]\nname = \"home\"\ncount = 400\nnat = { none = \"25%\", symmetric = \"50%\", cgnat = \"25%\" }\n\
    [[group]]\nname = \"farm\"\ncount = 40\nper_subnet = 20\nregion = \"europe\"\nroles = [\"relay\"]\n\
    [[requester]]\nname = \"lab\"\nkeys = 3\n";

fn planned(text: &str) -> Vec<Station> {
    stations(&Scenario::parse(text).unwrap())
}

#[test]
fn a_group_added_or_removed_changes_no_other_stations_luck() {
    let all = planned(MIXED);
    let without = planned(&MIXED.replace("[[group]]\nname = \"farm\"", "[[group]]\nname = \"other\"").replace("count = 40\n", "count = 7\n"));
    let luck = |stations: &[Station], name: &str| {
        let one = stations.iter().find(|station| station.name == name).unwrap();
        (one.region, one.nat.clone(), one.ipv6.is_some(), one.starts)
    };
    for name in ["home-0", "home-399", "lab-2"] {
        assert_eq!(luck(&all, name), luck(&without, name));
    }
}

#[test]
fn another_seed_is_another_draw_and_the_same_is_the_same() {
    let other = MIXED.replace("duration", "seed = 2\nduration");
    assert_eq!(planned(MIXED), planned(MIXED));
    assert_ne!(planned(MIXED), planned(&other));
}

#[test]
fn mixes_are_drawn_in_their_shares() {
    let all = planned(MIXED);
    let count = |nat: &str| all.iter().filter(|station| station.name.starts_with("home") && station.nat == nat).count();
    assert!((70..130).contains(&count("none")) && (160..240).contains(&count("symmetric")) && (70..130).contains(&count("cgnat")));
    assert_eq!(all.iter().find(|station| station.nat == "cgnat").map(|station| station.boxes.len()), Some(2));
    let v6 = all.iter().filter(|station| station.ipv6.is_some()).count();
    assert!((90..180).contains(&v6), "{v6}");
    let regions: BTreeSet<_> = all.iter().filter(|station| station.name.starts_with("home")).map(|station| station.region).collect();
    assert_eq!(regions.len(), 8);
}

#[test]
fn addresses_are_unique_and_share_subnets_only_where_they_should() {
    let all = planned(MIXED);
    let addresses: BTreeSet<_> = all.iter().map(|station| station.public).collect();
    assert_eq!(addresses.len(), all.len());
    let subnet = |station: &Station| match station.public {
        IpAddr::V4(ip) => [ip.octets()[0], ip.octets()[1], ip.octets()[2]],
        IpAddr::V6(_) => panic!("public addresses are IPv4"),
    };
    let subnets = |name: &str| all.iter().filter(|station| station.name.starts_with(name)).map(subnet).collect::<BTreeSet<_>>();
    assert_eq!((subnets("home").len(), subnets("farm").len(), subnets("lab").len()), (400, 2, 3));
    let spread = planned(&MIXED.replace("region = \"europe\"\n", ""));
    let farm: BTreeSet<_> =
        spread.iter().filter(|station| station.name.starts_with("farm")).map(|station| (subnet(station), station.region)).collect();
    assert_eq!(farm.len(), 2, "a subnet is in one place");
    assert!(subnets("home").is_disjoint(&subnets("farm")) && subnets("farm").is_disjoint(&subnets("lab")));
}

#[test]
fn who_is_meant_follows_group_region_role_and_requester() {
    let all = planned(MIXED);
    let count = |who: &str| all.iter().filter(|station| station.is(&who.parse().unwrap())).count();
    assert_eq!((count("everyone"), count("group:farm"), count("role:relay"), count("requester:lab"), count("group:lab")), (443, 40, 40, 3, 0));
    assert!(count("region:europe") >= 40);
}

#[test]
fn victims_are_as_many_as_the_share_says_and_at_least_one() {
    let scenario = Scenario::parse(MIXED).unwrap();
    let all = stations(&scenario);
    let drawn = |share: &str, purpose| victims(&scenario, &all, &Who::Role(Role::Relay), share.parse().unwrap(), purpose);
    assert_eq!((drawn("50%", "fault 1").len(), drawn("0%", "fault 1").len(), drawn("0.1%", "fault 1").len()), (20, 0, 1));
    assert_ne!(drawn("50%", "fault 1"), drawn("50%", "fault 2"));
    let (few, many): (BTreeSet<_>, BTreeSet<_>) = (drawn("20%", "f").into_iter().collect(), drawn("60%", "f").into_iter().collect());
    assert!(few.is_subset(&many), "a larger share takes the same stations and more");
}
