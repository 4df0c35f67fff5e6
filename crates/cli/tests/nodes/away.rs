//! A node without its database: how long anybody waits for the answer that says so, and how soon it is well again.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testbed::Proxy;

use super::world::{Setup, World};
use crate::harness::{Client, field, make_vault, poll, secret_in};

/// A database that refuses is known at once, but for who was in the middle of something.
const CUT: Duration = Duration::from_secs(2);
/// One that does not answer is waited for.
const HELD: Duration = Duration::from_secs(12);
const RECOVERED: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 100;

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

/// Asks until it is known that the database is away.
fn until_known(client: &mut Client, target: &str) {
    poll("it is known that the database is away", || (client.get(target).status == 503).then_some(()));
}

#[test]
fn without_the_database_nobody_waits_long() {
    let world = World::start();
    let (cached, reader) = prepare(&world);
    let faults: [(&str, fn(&Proxy), Duration); 2] =
        [("refuses", Proxy::cut, CUT), ("does not answer", Proxy::hold, HELD)];
    for (fault, happen, bound) in faults {
        happen(&world.proxy);
        let mut client = world.client(1);
        until_known(&mut client, &cached);
        let alone = longest(1, 5, || world.client(1), |client, _| client.get(&cached).status);
        let listing = longest(1, 1, || world.client(1), |client, _| client.get("/vaults").status);
        let resolving_one = longest(
            1,
            1,
            || world.client_with(1, &reader),
            |client, _| client.post("/strongroom/resolve", &resolving()).status,
        );
        let together = longest(
            AT_ONCE,
            1,
            || world.client(1),
            |client, number| {
                let list = format!("/vault_secrets?limit={}", number + 1);
                client.get(if number % 2 == 0 { &cached } else { &list }).status
            },
        );
        let changed = Instant::now();
        client.post("/vaults", &json!({"name": "never"})).expect_status(503);
        let changed = changed.elapsed();
        world.proxy.mend();
        let mended = Instant::now();
        poll("it is well again", || (client.get(&cached).status == 200).then_some(()));
        client.get("/vaults").expect_status(200);
        let recovered = mended.elapsed();
        eprintln!(
            "the database {fault}: 503 after {alone:?} at most, for a list {listing:?}, for a value {resolving_one:?}, for {AT_ONCE} \
             at once {together:?}, for a change {changed:?}; well again after {recovered:?}"
        );
        assert!(alone < bound && listing < bound && together < bound, "{fault}");
        assert!(together < listing.max(alone) + Duration::from_secs(1), "{fault}: they wait for each other");
        assert!(changed < 2 * HELD && recovered < RECOVERED, "{fault}");
    }
}

/// Asks by so many clients, so often each; the longest that one waited for its 503.
fn longest(
    clients: usize,
    times: usize,
    connect: impl Fn() -> Client,
    ask: impl Fn(&mut Client, usize) -> u16 + Sync,
) -> Duration {
    let mut clients: Vec<Client> = (0..clients).map(|_| connect()).collect();
    let ask = &ask;
    thread::scope(|scope| {
        let asking = clients.iter_mut().enumerate().map(|(number, client)| {
            scope.spawn(move || {
                let one = |_| {
                    let begun = Instant::now();
                    assert_eq!(ask(client, number), 503);
                    begun.elapsed()
                };
                (0..times).map(one).max().unwrap()
            })
        });
        let asking: Vec<_> = asking.collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).max().unwrap()
    })
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
