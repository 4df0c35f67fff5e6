//! The network between one node and the database.

use std::thread;
use std::time::Duration;

use super::load::bad_day;
use super::rounds;
use super::world::World;

/// Longer than a node believes what it has in memory.
const WHILE: Duration = Duration::from_secs(2);
/// One way, for each packet.
const SLOW: Duration = Duration::from_millis(20);

#[test]
fn a_node_is_cut_off_held_and_slow() {
    let mut world = World::start();
    bad_day("network cut, held, slow", &mut world, |world, load| {
        for _ in 0..rounds() {
            for fault in [strongroom_testbed::Proxy::cut, strongroom_testbed::Proxy::hold] {
                fault(&world.proxy);
                thread::sleep(WHILE);
                // What was under way there may hold the log until the database ends it.
                load.more(0, 20);
                world.proxy.mend();
                load.more_of_both(20);
            }
            world.proxy.slow(SLOW);
            load.more_of_both(40);
            world.proxy.slow(Duration::ZERO);
            load.more_of_both(20);
            world.proxy.drop_connections();
            load.more_of_both(20);
        }
    });
}
