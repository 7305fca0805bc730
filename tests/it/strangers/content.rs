//! Content in bad faith: what is declared and is not there, asked for and not wanted, or somebody else's.

use station_stranger::alone::alone;
use station_stranger::attacks::content::{bomb, break_off, rob};
use station_stranger::world::World;

use super::{honest_work_settles, many, program, seconds};

#[test]
fn a_module_larger_than_any_may_be_is_never_fetched() {
    alone(|| async {
        let world = World::start(program()).await;
        let bombed = bomb(&world, 256, 1, seconds(3, 30)).await;
        assert_eq!((bombed.claims, &bombed.standing), (0, &None), "{bombed:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn modules_of_one_leaf_many_times_take_bounded_memory() {
    alone(|| async {
        let world = World::start(program()).await;
        let bombed = bomb(&world, 16, many(3, 20), seconds(4, 60)).await;
        assert!(bombed.claims > 0, "{bombed:?}");
        assert!(bombed.peak_mb <= 512.0, "{bombed:?}");
        honest_work_settles(&world).await;
    });
}

#[test]
fn requests_that_are_broken_off_starve_nobody() {
    alone(|| async {
        let world = World::start(program()).await;
        let starved = break_off(&world, 2 << 20, 8, many(4, 25)).await;
        assert_eq!(starved.served, starved.honest, "{starved:?}");
    });
}

#[test]
fn an_output_that_is_somebodys_module_does_not_take_it_away() {
    alone(|| async {
        let world = World::start(program()).await;
        let robbed = rob(&world).await;
        assert!(robbed.delivered > 0 && robbed.before, "the target runs it: {robbed:?}");
        assert!(robbed.after, "{robbed:?}");
    });
}
