//! A node without its database: how long anybody waits for the answer that says so, and how soon it is well again.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_testbed::Proxy;

use super::figures;
use super::world::{Setup, World};
use crate::harness::{Client, PATIENCE, field, list_all, make_vault, poll, secret_in};

/// A database that refuses is known at once, but for who was in the middle of something.
const CUT: Duration = Duration::from_secs(2);
/// One that does not answer is waited for.
const HELD: Duration = Duration::from_secs(12);
/// A list, which may take long, is given up so much later than anything else.
const LIST: Duration = Duration::from_secs(6);
/// Whatever writes, an event of a value at least, is tried again for ten seconds.
const WRITTEN: Duration = Duration::from_secs(15);
/// It may be in the middle of a try then, and what waited behind it is tried once.
const WRITTEN_LATE: Duration = Duration::from_secs(25);
const RECOVERED: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 100;
const MANY: usize = 200;
/// As many as a node keeps to the database where nothing is said.
const CONNECTIONS: u64 = 16;
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
        figures::tell(&format!(
            "the database {fault}: {KINDS} who ask, {few:?}; {AT_ONCE} at once, {many:?}"
        ));
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
                        assert!(
                            begun.elapsed() < PATIENCE,
                            "nobody tells {number} that the database is away"
                        );
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

/// What one of many asks for, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Cached,
    List,
    Value,
    NewSecret,
    NewVault,
}

impl Wish {
    const ALL: [Self; 5] = [Self::Cached, Self::List, Self::Value, Self::NewSecret, Self::NewVault];

    fn writes(self) -> bool {
        !matches!(self, Self::Cached | Self::List)
    }
}

/// One of many.
struct Asking {
    client: Client,
    wish: Wish,
    number: usize,
    asked: usize,
    /// What it made.
    made: Vec<String>,
}

impl Asking {
    fn ask(&mut self, cached: &str) -> u16 {
        let name = format!("new-{}-{}", self.number, self.asked);
        self.asked += 1;
        let secret = json!({"name": name, "value": "v", "vault_name": "away"});
        let client = &mut self.client;
        let reply = match self.wish {
            Wish::Cached => client.get(cached),
            Wish::List => client.get(&format!("/vault_secrets?limit={}", self.number % 100 + 1)),
            Wish::Value => client.post("/strongroom/resolve", &resolving()),
            Wish::NewSecret => client.post("/vault_secrets", &secret),
            Wish::NewVault => client.post("/vaults", &json!({"name": name})),
        };
        match reply.status {
            200 => {}
            201 => self.made.push(name),
            503 => {}
            _ => panic!("{:?}: {reply}", self.wish),
        }
        reply.status
    }

    fn until_well(&mut self, cached: &str) {
        let what = format!("{:?} is answered", self.wish);
        poll(&what, || (self.ask(cached) < 300).then_some(()));
    }

    /// Asks until it is told that the database is away; the longest that it waited for any answer.
    fn until_told(&mut self, cached: &str) -> (Wish, Duration) {
        let (begun, mut longest) = (Instant::now(), Duration::ZERO);
        loop {
            let asked = Instant::now();
            let status = self.ask(cached);
            longest = longest.max(asked.elapsed());
            if status == 503 {
                return (self.wish, longest);
            }
            assert!(begun.elapsed() < PATIENCE, "nobody tells {} that the database is away", self.number);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Each of many does the same at once.
fn all_at_once<T: Send>(many: &mut [Asking], what: impl Fn(&mut Asking) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let what = &what;
        let doing: Vec<_> = many.iter_mut().map(|one| scope.spawn(move || what(one))).collect();
        doing.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// A number that a node tells of itself.
fn metric(client: &mut Client, name: &str) -> u64 {
    let told = client.get("/metrics").expect_status(200).body;
    let told = String::from_utf8(told).unwrap();
    let number = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    number.unwrap_or_else(|| panic!("no {name} in {told}")).parse().unwrap()
}

/// Reads do not wait for what writes, which is tried again for a while; nothing of it is left when the database is back.
#[test]
fn of_many_who_read_and_change_each_is_told_in_time() {
    let world = World::start();
    let (cached, reader) = prepare(&world);
    let mut many: Vec<Asking> = (0..MANY)
        .map(|number| {
            let wish = Wish::ALL[number % Wish::ALL.len()];
            let token = if wish == Wish::Value { &reader } else { &world.token };
            let client = world.client_with(1, token);
            Asking { client, wish, number, asked: 0, made: Vec::new() }
        })
        .collect();
    let faults: [(&str, fn(&Proxy), [Duration; 2]); 2] =
        [("refuses", Proxy::cut, [CUT, WRITTEN]), ("does not answer", Proxy::hold, [HELD, WRITTEN_LATE])];
    for (fault, happen, bounds) in faults {
        all_at_once(&mut many, |one| one.until_well(&cached));
        happen(&world.proxy);
        let told = all_at_once(&mut many, |one| one.until_told(&cached));
        let [read, written] = [false, true].map(|writes| {
            told.iter().filter(|(wish, _)| wish.writes() == writes).map(|(_, took)| *took).max().unwrap()
        });
        world.proxy.mend();
        let mended = Instant::now();
        all_at_once(&mut many, |one| one.until_well(&cached));
        let well_again = mended.elapsed();
        let mut client = world.client(1);
        poll("nobody waits for a connection to the database", || {
            (metric(&mut client, "strongroom_database_connections_waiting") == 0).then_some(())
        });
        let [of_clients, of_database] = ["strongroom_http_connections", "strongroom_database_connections"]
            .map(|name| metric(&mut client, name));
        figures::tell(&format!(
            "the database {fault}, {MANY} read and change: reads told after {} ms at most, what writes after {} ms; all well again after {} ms, \
             with {of_clients} connections of clients and {of_database} to the database",
            read.as_millis(),
            written.as_millis(),
            well_again.as_millis()
        ));
        assert!(read < bounds[0], "{fault}: a read took {read:?}");
        assert!(written < bounds[1], "{fault}: what writes took {written:?}");
        assert!(well_again < RECOVERED, "{fault}: well again after {well_again:?}");
        assert!(of_clients <= MANY as u64 + 1, "{of_clients} connections of {MANY} clients and this one");
        assert!(of_database <= CONNECTIONS, "{of_database} connections to the database");
    }
    let mut client = world.client(0);
    let there: Vec<Value> = [("/vaults", "vaults"), ("/vault_secrets", "secrets")]
        .iter()
        .flat_map(|(target, key)| list_all(&mut client, target, key))
        .collect();
    let there: Vec<&str> =
        there.iter().map(|thing| field(thing, "name")).filter(|name| name.starts_with("new-")).collect();
    let made: BTreeSet<&str> = many.iter().flat_map(|one| &one.made).map(String::as_str).collect();
    assert_eq!(there.len(), made.len(), "each that was made is there once, and none that was refused");
    assert_eq!(there.into_iter().collect::<BTreeSet<_>>(), made);
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
        figures::tell(&format!(
            "stale-ok: metadata within {slowest:?}; a value refused after {:?}",
            asked.elapsed()
        ));
        world.proxy.mend();
        poll("it is well again", || {
            (reader.post("/strongroom/resolve", &resolving()).status == 200).then_some(())
        });
    }
}
