//! What strangers tell: Calls, records, addresses, and floods of what means nothing.

use station_stranger::alone::alone;
use station_stranger::attacks::addresses::{name_nobody, name_the_victim, trick};
use station_stranger::attacks::census::{Claimed, grind};
use station_stranger::attacks::floods::{FLOODS, FRAMES, Flood, SERVICES, flood};
use station_stranger::world::World;

use super::{honest_work_settles, many, program, seconds};

/// What a station may take under any flood.
const RESIDENT_MB_MAX: f64 = 512.0;

#[test]
fn ground_keys_count_as_what_they_prove_and_work_goes_on() {
    alone(|| async {
        for claimed in [Claimed::Nowhere, Claimed::OneNetwork] {
            let world = World::start(program()).await;
            let ground = grind(&world, many(10_000, 1_000_000), claimed, seconds(60, 60)).await;
            assert!(ground.told > 0, "the target asks a newcomer for peers: {ground:?}");
            // The target and the one network of the attacker.
            assert!(ground.counted_most <= 2 * (ground.before + 1), "{claimed:?}: {ground:?}");
            honest_work_settles(&world).await;
        }
    });
}

#[test]
fn records_at_addresses_that_nobody_has_do_not_stop_a_network() {
    alone(|| async {
        let world = World::start(program()).await;
        let ground = grind(&world, many(30_000, 1_000_000), Claimed::ManyNetworks, seconds(60, 60)).await;
        assert!(ground.told > 0, "{ground:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn no_address_leads_to_a_machine_that_it_does_not_name() {
    alone(|| async {
        let world = World::start(program()).await;
        let tricked = trick(&world, many(1_000, 10_000), seconds(4, 60)).await;
        assert!(tricked.tricks >= 1_000, "{tricked:?}");
        assert_eq!((tricked.knocks, tricked.lookups), (0, 0), "{tricked:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn calls_that_name_a_victims_address_keep_it_out_of_no_table() {
    alone(|| async {
        let world = World::start(program()).await;
        let kept_out = name_the_victim(&world, 8, false, seconds(1, 5)).await;
        assert!(kept_out.claims > 0, "{kept_out:?}");
    });
}

#[test]
fn calls_that_name_dead_addresses_leave_dials_for_others() {
    alone(|| async {
        let world = World::start(program()).await;
        let kept_out = name_nobody(&world, many(60, 1_000), seconds(1, 30)).await;
        assert!(kept_out.claims > 0, "{kept_out:?}");
    });
}

#[test]
fn calls_that_name_a_victims_address_mute_nobody() {
    alone(|| async {
        let world = World::start(program()).await;
        let kept_out = name_the_victim(&world, 4, true, seconds(8, 20)).await;
        assert!(kept_out.claims > 0, "{kept_out:?}");
    });
}

#[test]
fn a_flood_of_well_formed_nonsense_is_let_go() {
    alone(|| async {
        let world = World::start(program()).await;
        let flooded = flood(&world, Flood::Nonsense, seconds(20, 600), false).await;
        assert!(flooded.let_go > 0, "{flooded:?}");
        assert!(flooded.peak_mb <= RESIDENT_MB_MAX, "{flooded:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn a_flood_of_what_every_peer_serves_is_let_go() {
    alone(|| async {
        let world = World::start(program()).await;
        for kind in SERVICES {
            let flooded = flood(&world, kind, seconds(20, 600), false).await;
            assert!(flooded.let_go > 0, "{kind:?}: {flooded:?}");
            assert!(flooded.peak_mb <= RESIDENT_MB_MAX, "{kind:?}: {flooded:?}");
        }
        honest_work_settles(&world).await;
    });
}

#[test]
fn a_flood_of_frames_that_no_protocol_sees_is_let_go() {
    alone(|| async {
        let world = World::start(program()).await;
        for kind in FRAMES {
            let flooded = flood(&world, kind, seconds(20, 600), false).await;
            assert!(flooded.let_go > 0, "{kind:?}: {flooded:?}");
            assert!(flooded.peak_mb <= RESIDENT_MB_MAX, "{kind:?}: {flooded:?}");
        }
        honest_work_settles(&world).await;
    });
}

#[test]
fn no_flood_takes_more_memory_than_a_station_has_and_work_settles_beside_it() {
    alone(|| async {
        let world = World::start(program()).await;
        let mut sent = 0;
        for kind in FLOODS {
            let flooded = flood(&world, kind, seconds(1, 600), true).await;
            sent += flooded.sent;
            assert!(flooded.peak_mb <= RESIDENT_MB_MAX, "{kind:?}: {flooded:?}");
        }
        assert!(sent > 1_000, "the floods flood: {sent}");
        honest_work_settles(&world).await;
    });
}
