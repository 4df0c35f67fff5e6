//! A node without its database: how long anybody waits for the answer that says so, and how soon it is well again.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testbed::Proxy;

use super::world::{Setup, World};
use crate::harness::{Client, field, list_all, make_vault, poll, secret_in};

/// A database that refuses is known at once, but for who was in the middle of something.
const CUT: Duration = Duration::from_secs(2);
/// One that does not answer is waited for.
const HELD: Duration = Duration::from_secs(12);
/// A list, which may take long, is given up so much later than anything else.
const LIST: Duration = Duration::from_secs(6);
/// A change is tried again for ten seconds, and may be in the middle of a try then.
const CHANGED: Duration = Duration::from_secs(20);
const RECOVERED: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 100;
/// What is asked for: a secret in memory, lists, a value.
const KINDS: usize = 4;

/// Paths to read: one that is in memory, and lists that are not.
fn prepare(world: &World) -> (String, String) {
    let mut admin = world.client(1);
    let vault = make_vault(&mut admin, "away");
    let made = admin.post("/vault_secrets", &secret_in(&vault, "s", "v")).expect_status(201).json();
    let cached = format!("/vault_secrets/{}", field(&made, "id"));
    admin.get(&cached).expect_status(200);
    let key = json!({"grants": [{"action": "resolve", "vault": "away"}]});
    let key = admin.post("/api_keys", &key).expect_status(201).json();
    (cached, field(&key, "token").to_owned())
}

fn resolving() -> Value {
    json!({"secrets": [{"vault": "away", "name": "s"}]})
}

#[test]
fn without_the_database_nobody_waits_long() {
    let world = World::start();
    let (cached, reader) = prepare(&world);
    let faults: [(&str, fn(&Proxy), Duration); 2] =
        [("refuses", Proxy::cut, CUT), ("does not answer", Proxy::hold, HELD)];
    for (fault, happen, bound) in faults {
        let few = without(&world, happen, (KINDS, &cached, &reader));
        let many = without(&world, happen, (AT_ONCE, &cached, &reader));
        eprintln!("the database {fault}: {KINDS} who ask, {few:?}; {AT_ONCE} at once, {many:?}");
        assert!(few.longest.max(many.longest) < bound, "{fault}");
        assert!(many.longest < few.longest + LIST, "{fault}: they wait for each other");
        assert!(few.well_again.max(many.well_again) < RECOVERED, "{fault}");
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "all of them are printed")]
struct Figures {
    /// The longest that anybody waited, for whatever answer.
    longest: Duration,
    /// The first answer that the database is away, and the last of another kind.
    away_after: Duration,
    told_until: Duration,
    well_again: Duration,
}

/// Has the database away until each of so many clients was told so.
fn without(world: &World, happen: fn(&Proxy), (count, cached, reader): (usize, &str, &str)) -> Figures {
    let mut clients: Vec<Client> = (0..count)
        .map(|number| world.client_with(1, if number % KINDS == 3 { reader } else { &world.token }))
        .collect();
    happen(&world.proxy);
    let begun = Instant::now();
    let asked: Vec<(Duration, Duration, u16)> = thread::scope(|scope| {
        let asking: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                scope.spawn(move || {
                    let mut asked: Vec<(Duration, Duration, u16)> = Vec::new();
                    while asked.last().is_none_or(|(_, _, status)| *status != 503) {
                        let at = begun.elapsed();
                        let status = ask(client, number, cached);
                        asked.push((at, begun.elapsed() - at, status));
                        thread::sleep(Duration::from_millis(20));
                    }
                    asked
                })
            })
            .collect();
        asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect()
    });
    world.proxy.mend();
    let mended = Instant::now();
    let mut client = world.client(1);
    poll("it is well again", || {
        ["/vaults", cached].iter().all(|target| client.get(target).status == 200).then_some(())
    });
    let well_again = mended.elapsed();
    assert!(asked.iter().all(|(_, _, status)| [200, 503].contains(status)), "{asked:?}");
    let is_away = |(_, _, status): &&(Duration, Duration, u16)| *status == 503;
    Figures {
        longest: asked.iter().map(|(_, took, _)| *took).max().unwrap(),
        away_after: asked.iter().filter(is_away).map(|(at, took, _)| *at + *took).min().unwrap(),
        told_until: asked
            .iter()
            .filter(|asked| !is_away(asked))
            .map(|(at, ..)| *at)
            .max()
            .unwrap_or_default(),
        well_again,
    }
}

fn ask(client: &mut Client, number: usize, cached: &str) -> u16 {
    match number % KINDS {
        0 => client.get(cached).status,
        1 => client.get("/vaults").status,
        2 => client.get(&format!("/vault_secrets?limit={}", number + 1)).status,
        _ => client.post("/strongroom/resolve", &resolving()).status,
    }
}

/// What was asked for just before the database went is tried again, and refused in the end.
#[test]
fn a_change_without_the_database_is_refused_in_time() {
    let world = World::start();
    prepare(&world);
    for (fault, happen) in [("refuses", Proxy::cut as fn(&Proxy)), ("does not answer", Proxy::hold)] {
        happen(&world.proxy);
        let begun = Instant::now();
        // Its key is believed still.
        world.client(1).post("/vaults", &json!({"name": "never"})).expect_status(503);
        let took = begun.elapsed();
        eprintln!("the database {fault}: a change is refused after {took:?}");
        assert!(took < CHANGED, "{fault}");
        world.proxy.mend();
        let mut client = world.client(1);
        poll("it is well again", || (client.get("/vaults").status == 200).then_some(()));
    }
    let vaults = list_all(&mut world.client(0), "/vaults", "vaults");
    assert_eq!(vaults.len(), 1, "it was refused, and is there");
}

#[test]
fn what_is_in_memory_is_answered_where_that_is_wanted() {
    let world = World::start_with(&Setup { args: &["--database-stale-ok"], ..Setup::default() });
    let (cached, reader) = prepare(&world);
    let mut client = world.client(1);
    let before = client.get(&cached).expect_status(200).json();
    let mut reader = world.client_with(1, &reader);
    reader.post("/strongroom/resolve", &resolving()).expect_status(200);
    for happen in [Proxy::cut, Proxy::hold] {
        happen(&world.proxy);
        let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
        // Longer than it would be believed otherwise.
        while begun.elapsed() < Duration::from_secs(2) {
            let asked = Instant::now();
            assert_eq!(client.get(&cached).expect_status(200).json(), before);
            slowest = slowest.max(asked.elapsed());
            thread::sleep(Duration::from_millis(5));
        }
        let asked = Instant::now();
        reader.post("/strongroom/resolve", &resolving()).expect_status(503);
        eprintln!("stale-ok: metadata within {slowest:?}; a value refused after {:?}", asked.elapsed());
        world.proxy.mend();
        poll("it is well again", || {
            (reader.post("/strongroom/resolve", &resolving()).status == 200).then_some(())
        });
    }
}
