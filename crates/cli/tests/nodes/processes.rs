//! Nodes that are killed, paused, and replaced.

use std::time::Duration;

use rustix::process::Signal;
use strongroom_testbed::poll;

use super::load::bad_day;
use super::rounds;
use super::world::{DATABASE, World};

/// Longer than anybody who was told of a change believes it, than the database keeps a transaction in which nothing happens, and than a
/// lease.
const PAUSE: Duration = Duration::from_secs(8);

/// Whether some node has the lease of what one at a time does.
const HELD: &str = "SELECT count(*) FROM lease \
                    WHERE name = 'sweeping' AND until > extract(epoch FROM clock_timestamp()) * 1000";

#[test]
fn nodes_are_killed() {
    let mut world = World::start();
    let day = bad_day("node killed", &mut world, |world, load| {
        for _ in 0..rounds() {
            for (node, other) in [(0, 1), (1, 0)] {
                world.nodes[node].kill();
                load.until_refused();
                load.more(other, 40);
                load.recovers("node killed", || world.nodes[node].start_again());
            }
        }
    });
    assert!(day.operations > 0, "no history was left open");
}

#[test]
fn nodes_are_paused() {
    let mut world = World::start();
    bad_day("node paused", &mut world, |world, load| {
        for _ in 0..rounds() {
            for (node, other) in [(0, 1), (1, 0)] {
                world.nodes[node].tell(Signal::STOP);
                load.nothing_of(&[node], PAUSE);
                // It may have been in the middle of a transaction, which holds the log until the database ends it.
                load.more(other, 20);
                // The one that is paused has taken none for longer than a lease lasts.
                poll("the other node has the lease", || {
                    (world.postgres.run(DATABASE, HELD) == "1").then_some(())
                });
                load.recovers("node paused", || world.nodes[node].tell(Signal::CONT));
            }
        }
    });
}

/// A rolling upgrade: never are both down.
#[test]
fn nodes_are_restarted_in_turn() {
    let mut world = World::start();
    bad_day("node restarted", &mut world, |world, load| {
        for _ in 0..rounds() {
            for (node, other) in [(0, 1), (1, 0)] {
                world.nodes[node].stop();
                load.more(other, 20);
                load.recovers("node restarted", || world.nodes[node].start_again());
            }
        }
    });
}
