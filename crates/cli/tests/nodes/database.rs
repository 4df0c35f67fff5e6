//! The database is restarted, frozen, failed over, out of connections and on a full disk, under load.

use std::fs::{self, File};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use strongroom_testbed::{Options, Postgres, Replication, SmallDisk, Stop, poll};

use super::load::{Ends, bad_day};
use super::rounds;
use super::world::{DATABASE, Setup, World, turn};

/// Longer than a node believes what it has in memory.
const WHILE: Duration = Duration::from_secs(1);
/// Longer than a statement waits for its answer.
const FROZEN: Duration = Duration::from_secs(7);

#[test]
fn the_database_is_restarted() {
    let mut world = World::start();
    bad_day("database restarted", &mut world, |world, load| {
        for _ in 0..rounds() {
            let postgres = &mut world.postgres;
            let down: [(&str, fn(&mut Postgres)); 3] = [
                ("database stopped", |postgres| postgres.stop(Stop::Fast)),
                ("database crashed", |postgres| postgres.stop(Stop::Immediate)),
                ("database killed", Postgres::kill),
            ];
            for (how, end) in down {
                end(postgres);
                load.nothing_of(&[0, 1], WHILE);
                load.recovers(how, || postgres.start_again());
            }
        }
    });
}

#[test]
fn the_database_is_frozen() {
    let mut world = World::start();
    let day = bad_day("database frozen", &mut world, |world, load| {
        for _ in 0..rounds() {
            world.postgres.freeze();
            load.nothing_of(&[0, 1], FROZEN);
            load.until_refused();
            load.recovers("database frozen", || world.postgres.thaw());
        }
    });
    assert!(day.requests > 0, "nobody was refused");
}

/// Its URL names both hosts.
#[test]
fn the_database_fails_over_to_a_synchronous_standby() {
    let turn = turn();
    let primary = Postgres::start(Options::default().careless());
    primary.create_database(DATABASE);
    let standby = primary.replica(Replication::Synchronous);
    let (first, second) = (primary.address().to_string(), standby.address().to_string());
    let url = primary.url(DATABASE).replace(&first, &format!("{first},{second}"));
    let mut world = World::over(turn, primary, &Setup { url: Some(url), ..Setup::default() });
    let mut standby = Some(standby);
    bad_day("failover", &mut world, |world, load| {
        let promoted = standby.take().unwrap();
        world.postgres.kill();
        load.nothing_of(&[0, 1], WHILE);
        load.recovers("database failed over", || promoted.promote());
        // The old one is gone for good.
        world.postgres = promoted;
    });
}

/// Others take all connections that the database allows, and one node loses its own.
#[test]
fn the_database_is_out_of_connections() {
    const ALLOWED: usize = 24;
    let turn = turn();
    let options = Options::default().careless().setting("max_connections", &ALLOWED.to_string());
    let postgres = Postgres::start(options);
    postgres.create_database(DATABASE);
    // Both nodes together leave some to who looks at the log afterwards.
    let args = &["--database-connections", "8"];
    let mut world = World::over(turn, postgres, &Setup { args, ..Setup::default() });
    bad_day("out of connections", &mut world, |world, load| {
        for _ in 0..rounds() {
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                let _ends = Ends(&over);
                for _ in 0..ALLOWED {
                    scope.spawn(|| take_a_connection(&world.postgres, &over));
                }
                let mut client = world.client(1);
                poll("a node has no connection", || {
                    world.proxy.drop_connections();
                    (client.get("/vault_secrets").status == 503).then_some(())
                });
                thread::sleep(WHILE);
                load.more(0, 20);
            });
            load.recovers("out of connections", || ());
        }
    });
}

/// Keeps one for most of the time, as long as there is one.
fn take_a_connection(postgres: &Postgres, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        if postgres.try_run("postgres", "SELECT pg_sleep(0.5)").is_err() {
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn the_disk_of_the_tables_is_full() {
    let turn = turn();
    let Some(disk) = SmallDisk::mount(48) else { return };
    let postgres = Postgres::start(Options::default().careless());
    postgres.create_database_on(&disk, DATABASE);
    let mut world = World::over(turn, postgres, &Setup::default());
    bad_day("full disk", &mut world, |_, load| {
        for _ in 0..rounds() {
            disk.fill();
            load.until_refused();
            load.nothing_of(&[0, 1], WHILE);
            load.recovers("full disk", || disk.make_room());
        }
    });
    drop(world);
}

/// Where its log is on the full disk too, it goes down by itself.
#[test]
fn the_disk_of_the_whole_database_is_full() {
    let turn = turn();
    let Some(disk) = SmallDisk::mount(112) else { return };
    let ballast = disk.path().join("ballast");
    let postgres = Postgres::start(Options::default().careless().on(disk));
    postgres.create_database(DATABASE);
    let mut world = World::over(turn, postgres, &Setup::default());
    bad_day("full disk, the database's log on it", &mut world, |world, load| {
        for _ in 0..rounds() {
            let mut file = File::create(&ballast).unwrap();
            while file.write_all(&[7; 1 << 12]).is_ok() {}
            drop(file);
            load.until_refused();
            thread::sleep(WHILE);
            load.recovers("full disk, the database's log on it", || {
                fs::remove_file(&ballast).unwrap();
                poll("the database is up again", || {
                    if !world.postgres.is_running() {
                        world.postgres.start_again();
                    }
                    world.postgres.try_run("postgres", "SELECT 1").ok()
                });
            });
        }
    });
}
