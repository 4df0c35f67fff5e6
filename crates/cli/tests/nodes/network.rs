//! The network between one node and the database.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use strongroom_testbed::{Proxy, poll};

use super::load::{Load, bad_day};
use super::rounds;
use super::world::World;

/// Longer than a node believes what it has in memory.
const WHILE: Duration = Duration::from_secs(2);
/// One way, for each packet.
const SLOW: Duration = Duration::from_millis(20);

/// The node behind the network does nothing meanwhile, and the other one goes on.
fn is_away(title: &str, fault: fn(&Proxy)) {
    let mut world = World::start();
    let day = bad_day(title, &mut world, |world, load: &Load| {
        for _ in 0..rounds() {
            fault(&world.proxy);
            load.nothing_of(&[1], WHILE);
            load.until_refused();
            // What was under way there may hold the log until the database ends it.
            load.more(0, 20);
            load.recovers(title, || world.proxy.mend());
        }
    });
    assert!(day.operations > 0, "no history was left open");
}

#[test]
fn a_node_is_cut_off() {
    is_away("network cut", Proxy::cut);
}

#[test]
fn a_node_hears_nothing_of_the_database() {
    is_away("network held", Proxy::hold);
}

#[test]
fn a_node_is_far_away() {
    let mut world = World::start();
    bad_day("network slow", &mut world, |world, load| {
        let mut client = world.client(1);
        for _ in 0..rounds() {
            world.proxy.slow(SLOW);
            load.more_of_both(40);
            let begun = Instant::now();
            client.get("/strongroom/audit_events?limit=1").expect_status(200);
            assert!(begun.elapsed() >= SLOW * 2, "it is no slower than before");
            load.recovers("network slow", || world.proxy.slow(Duration::ZERO));
        }
    });
}

/// Who is connected to the database.
fn connected(world: &World) -> BTreeSet<String> {
    let all = "SELECT pid FROM pg_stat_activity WHERE application_name = 'strongroom'";
    world.postgres.run("postgres", all).lines().map(str::to_owned).collect()
}

#[test]
fn a_node_loses_its_connections() {
    let mut world = World::start();
    bad_day("connections dropped", &mut world, |world, load| {
        for _ in 0..3 * rounds() {
            let before = connected(world);
            world.proxy.drop_connections();
            poll("the database ends them", || (!before.is_subset(&connected(world))).then_some(()));
            load.recovers("connections dropped", || ());
        }
    });
}
