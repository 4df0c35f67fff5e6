//! Two nodes whose clocks are an hour apart.

use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use strongroom_domain::clock::{Clock, SystemClock};

use super::check::{assert_chain_holds, assert_same, count};
use super::load::bad_day;
use super::world::{DATABASE, Setup, World};
use crate::harness::{Client, field, list_all, make_vault, poll};

/// The lease of what one node at a time does is by the database's clock, and is renewed.
const HOLDERS: &str = "SELECT name, encode(holder, 'hex') FROM lease ORDER BY name";

const EXPIRED: &str = "secret_expired.v0";
/// An end that is told of when somebody sweeps.
const DAYS: SignedDuration = SignedDuration::from_hours(20 * 24);
/// Long enough to be stored before it is over.
const SOON: SignedDuration = SignedDuration::from_secs(3);

fn start() -> World {
    let library = library();
    let ahead = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME", "+1h"),
        // Time that only passes is the same everywhere.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let world = World::start_with(&Setup { env: &ahead, ..Setup::default() });
    let mut clients = [0, 1].map(|node| world.client(node));
    let made = clients.each_mut().map(|client| {
        let vault = make_vault(client, &format!("clock-{}", client.origin().rsplit(':').next().unwrap()));
        field(&vault, "created_at").parse::<Timestamp>().unwrap()
    });
    let apart = made[1].duration_since(made[0]);
    assert!(apart > SignedDuration::from_mins(59), "the clocks are {apart} apart");
    world
}

/// Debian's package `faketime` has it, in a folder named after the kind of machine.
fn library() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.expect("faketime is not installed: cargo xtask setup does that").to_str().unwrap().to_owned()
}

#[test]
fn clocks_are_an_hour_apart() {
    let mut world = start();
    bad_day("clocks an hour apart", &mut world, |world, load| {
        let holders = || world.postgres.run(DATABASE, HOLDERS);
        poll("a node has the lease", || (!holders().is_empty()).then_some(()));
        let before = holders();
        load.more_of_both(100);
        // Longer than a lease that nobody renews.
        thread::sleep(Duration::from_secs(7));
        assert_eq!(holders(), before, "the lease of a node that lives was taken from it");
    });
}

/// Each node goes by its own clock; what is told of an end is told once, whoever told it.
#[test]
fn an_end_is_told_once() {
    let mut world = start();
    let mut behind = world.client(0);
    make_vault(&mut behind, "ends");
    let token = behind.post("/api_keys", &json!({"grants": [{"action": "resolve", "vault": "ends"}]}));
    let token = field(&token.expect_status(201).json(), "token").to_owned();
    // Past for one node and ahead for the other; and past for both, soon.
    let between = make(&mut behind, "between", SignedDuration::from_mins(30));
    let soon = make(&mut behind, "soon", SOON);
    let soon_is_over = SystemClock.now() + SOON;
    let resolve = json!({"secrets": [{"vault": "ends", "name": "between"}]});
    world.client_with(0, &token).post("/strongroom/resolve", &resolve).expect_status(200);
    let refused = world.client_with(1, &token).post("/strongroom/resolve", &resolve);
    assert_eq!(refused.json()["error_code"], "ERR_STRONGROOM_1011");

    // Who takes the lease sweeps: the node that is ahead, then the other one, then the first again. What is due for each is told with
    // whatever else is.
    world.nodes[0].stop();
    for (node, number) in [(1, 0), (0, 1), (1, 2)] {
        let mut client = world.client(1);
        let due = if number == 0 { soon.clone() } else { make(&mut client, &format!("due-{number}"), DAYS) };
        world.nodes[1].stop();
        // Else the one that is behind would have nothing to tell a second time.
        poll("the end is past for both", || (SystemClock.now() > soon_is_over).then_some(()));
        world.nodes[node].start_again();
        poll("it tells what is due", || (told(&mut world.client(node), &due) > 0).then_some(()));
        if node == 0 {
            world.nodes[0].stop();
            world.nodes[1].start_again();
        }
    }
    world.nodes[0].start_again();
    let events = assert_same(&world);
    assert_chain_holds(&world, events.len());
    for id in [&between, &soon] {
        assert_eq!(count(&events, EXPIRED, id), 1);
    }
}

fn make(client: &mut Client, name: &str, ahead: SignedDuration) -> String {
    let end = SystemClock.now() + ahead;
    let end = Timestamp::from_second(end.as_second()).unwrap().to_string();
    let body = json!({"name": name, "value": "v", "vault_name": "ends", "expires_at": end});
    field(&client.post("/vault_secrets", &body).expect_status(201).json(), "id").to_owned()
}

/// How often the log tells that a secret expires, or has.
fn told(client: &mut Client, id: &str) -> usize {
    let events = list_all(client, "/strongroom/audit_events", "audit_events");
    count(&events, EXPIRED, id) + count(&events, "secret_expiring.v0", id)
}
