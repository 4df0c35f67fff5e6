//! Nodes that are killed, paused, and replaced.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::load::bad_day;
use super::rounds;
use super::world::World;

/// Longer than anybody who was told of a change believes it.
const PAUSE: Duration = Duration::from_secs(2);

#[test]
fn nodes_are_killed_paused_and_restarted() {
    let mut world = World::start();
    bad_day("nodes killed, paused, restarted", &mut world, |world, load| {
        for _ in 0..rounds() {
            for (node, other) in [(0, 1), (1, 0)] {
                world.nodes[node].kill();
                load.more(other, 40);
                world.nodes[node].start_again();
                load.more_of_both(20);
            }
            for (node, other) in [(0, 1), (1, 0)] {
                world.nodes[node].tell(Signal::STOP);
                thread::sleep(PAUSE);
                // It may have been in the middle of a transaction, which holds the log until the database ends it.
                load.more(other, 20);
                world.nodes[node].tell(Signal::CONT);
                load.more_of_both(20);
            }
            // A rolling upgrade: never are both down.
            for node in [0, 1] {
                world.nodes[node].stop();
                world.nodes[node].start_again();
                load.more_of_both(20);
            }
        }
    });
}
