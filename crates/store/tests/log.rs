//! The audit log at size: what an event takes on disk, and that whatever is done to a log of 100,000 is found.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "log/pruned.rs"]
mod pruned;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use strongroom_crypto::{RootKey, SystemRng, chain_digest};
use strongroom_domain::app::App;
use strongroom_domain::app::audit::verify_against;
use strongroom_domain::audit::tree::{Block, Tree};
use strongroom_domain::audit::{Action, Actor, Broken, Client, Entry, Event, Head, Object, Record};
use strongroom_domain::clock::SystemClock;
use strongroom_domain::ids::{AccountId, ApiKeyId, PrincipalId, SecretId, ServiceUserId, VaultId};
use strongroom_domain::stamp::Stamper;
use strongroom_domain::store::Store;
use strongroom_store::sqlite::SqliteStore;

/// Events in one change.
const AT_ONCE: u64 = 500;
/// Sixty bytes, as browsers and libraries send.
const USER_AGENT: &str = "strongroom-client/1.4.2 (linux; x86_64; rustls 0.23; run) ci";

struct Log {
    store: Arc<SqliteStore>,
    root_key: RootKey,
    account: AccountId,
    stamper: Stamper,
}

impl Log {
    async fn build(path: &Path) -> Self {
        let store = Arc::new(SqliteStore::open(path).unwrap());
        let root_key = RootKey::make(&SystemRng).unwrap();
        let installed = App::install(&root_key, Arc::new(SystemClock), Arc::new(SystemRng)).unwrap();
        installed.commit(&*store).await.unwrap();
        let account = store.account_find().await.unwrap().unwrap().id;
        Self { store, root_key, account, stamper: Stamper::new(Arc::new(SystemClock), Arc::new(SystemRng)) }
    }

    /// A service user's key resolves a secret from an address of the longer kind.
    fn resolved(&self) -> Event {
        let ksuid = || self.stamper.stamp().unwrap().ksuid;
        let actor = Actor {
            id: PrincipalId::ServiceUser(ServiceUserId::new(ksuid())),
            subject: "payments-deploy".to_owned(),
            source: "API".into(),
            credential: Some(ApiKeyId::new(ksuid())),
        };
        let object = Object::Value {
            id: SecretId::new(ksuid()),
            name: "payments/db-password".to_owned(),
            vault: VaultId::new(ksuid()),
            vault_name: "production-eu".to_owned(),
            version: 17,
        };
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0x4a0, 0x12, 0x8d1e, 0x77aa, 0x19, 0x3f02);
        let stamp = self.stamper.stamp().unwrap();
        let event = Event::new(stamp, self.account, actor, object, Action::Resolved);
        Event { client: Some(Client::new(address.into(), USER_AGENT)), ..event }
    }

    /// Appends events; gives the seconds that it took the store to commit them.
    async fn append(&self, count: u64) -> f64 {
        let mut seconds = 0.0;
        for done in (0..count).step_by(AT_ONCE as usize) {
            let events = (done..count.min(done + AT_ONCE)).map(|_| self.resolved()).collect();
            let start = Instant::now();
            self.store.secret_resolved(self.account, events).await.unwrap();
            seconds += start.elapsed().as_secs_f64();
        }
        seconds
    }
}

/// All of it counted: rows, pages, the tree, the head.
#[tokio::test]
async fn a_resolve_event_takes_at_most_400_bytes_on_disk() {
    const EVENTS: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let (empty, full) = (folder.path().join("empty.db"), folder.path().join("full.db"));
    for (path, count) in [(&empty, 0), (&full, EVENTS)] {
        Log::build(path).await.append(count).await;
    }
    assert_eq!(USER_AGENT.len(), 60);
    // Closing has moved the write-ahead log into the file.
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let bytes = (size(&full) - size(&empty)) / EVENTS;
    assert!(bytes <= 400, "{bytes} bytes an event");
    assert!(bytes > 250, "{bytes} bytes an event: too few to be true");
}

/// How fast the one thread that writes appends: `cargo test --release … -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "measures, and shows nothing that could be right or wrong"]
async fn appending_is_fast() {
    const EVENTS: u64 = 200_000;
    let folder = tempfile::tempdir().unwrap();
    let log = Log::build(&folder.path().join("store.db")).await;
    let seconds = log.append(EVENTS).await;
    eprintln!("{:.0} events a second through the store", EVENTS as f64 / seconds);
    let events: Vec<Event> = (0..AT_ONCE).map(|_| log.resolved()).collect();
    let (before, now) =
        (chained(&folder.path().join("chain.db"), &events, EVENTS), log.one_thread(&events, EVENTS));
    eprintln!(
        "on the writing thread alone: {before:.0} with JSON and a chain, {now:.0} with compact events and a tree"
    );
}

impl Log {
    /// Appends a second as the writing thread does, without the store around it.
    fn one_thread(&self, events: &[Event], count: u64) -> f64 {
        let folder = tempfile::tempdir().unwrap();
        let create = "CREATE TABLE audit (sequence INTEGER PRIMARY KEY, canonical BLOB NOT NULL) STRICT; \
                      CREATE TABLE audit_tree (id INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT; \
                      CREATE TABLE audit_head (root BLOB, edge BLOB); INSERT INTO audit_head VALUES (x'', x'')";
        let connection = raw(&folder.path().join("tree.db"), create);
        let entries: Vec<Entry> = events.iter().map(|event| Entry::new(event).unwrap()).collect();
        let mut tree = Tree::default();
        let start = Instant::now();
        while tree.size() < count {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut insert = connection.prepare_cached("INSERT INTO audit VALUES (?1, ?2)").unwrap();
            let mut full = connection.prepare_cached("INSERT INTO audit_tree VALUES (?1, ?2)").unwrap();
            for Entry { canonical, hash } in &entries {
                insert.execute((tree.size() + 1, canonical)).unwrap();
                let keep = |block: Block<'_>| {
                    let id = i64::try_from(block.number).unwrap() - (i64::from(block.level) << 48);
                    full.execute((id, block.hashes.as_flattened())).map(drop)
                };
                tree.append(*hash, keep).unwrap();
            }
            let head = (tree.root(), tree.to_bytes());
            connection.execute("UPDATE audit_head SET root = ?1, edge = ?2", head).unwrap();
            connection.execute_batch("COMMIT").unwrap();
        }
        count as f64 / start.elapsed().as_secs_f64()
    }
}

fn raw(path: &Path, create: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.pragma_update(None, "secure_delete", true).unwrap();
    connection.execute_batch(create).unwrap();
    connection
}

/// Appends a second as they were before there was a tree.
fn chained(path: &Path, events: &[Event], count: u64) -> f64 {
    let create = "CREATE TABLE audit (sequence INTEGER PRIMARY KEY, hash BLOB NOT NULL, canonical BLOB NOT NULL) STRICT; \
                  CREATE TABLE audit_head (hash BLOB); INSERT INTO audit_head VALUES (x'')";
    let connection = raw(path, create);
    let events: Vec<Vec<u8>> = events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
    let (mut sequence, mut hash) = (0, [0; 32]);
    let start = Instant::now();
    while sequence < count {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut insert = connection.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3)").unwrap();
        for canonical in &events {
            sequence += 1;
            hash = chain_digest(&hash, sequence, canonical);
            insert.execute((sequence, hash, canonical)).unwrap();
        }
        connection.execute("UPDATE audit_head SET hash = ?1", [hash]).unwrap();
        connection.execute_batch("COMMIT").unwrap();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

const LENGTH: u64 = 100_000;

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        from + (mixed ^ (mixed >> 31)) % (to - from)
    }
}

/// Moves the records from a number on by one, up or down.
fn shift(connection: &Connection, from: u64, by: i64) {
    // By way of negative numbers: the numbers are unique at every moment.
    connection
        .execute("UPDATE audit SET sequence = -sequence - ?2 WHERE sequence >= ?1", (from, by))
        .unwrap();
    connection.execute("UPDATE audit SET sequence = -sequence WHERE sequence < 0", []).unwrap();
}

fn bytes(connection: &Connection, sequence: u64) -> Vec<u8> {
    connection
        .query_row("SELECT canonical FROM audit WHERE sequence = ?1", [sequence], |row| row.get(0))
        .unwrap()
}

fn set(connection: &Connection, sequence: u64, canonical: &[u8]) {
    let sql = "INSERT OR REPLACE INTO audit (sequence, canonical) VALUES (?1, ?2)";
    connection.execute(sql, (sequence, canonical)).unwrap();
}

fn remove(connection: &Connection, sequence: u64) {
    assert_eq!(connection.execute("DELETE FROM audit WHERE sequence = ?1", [sequence]).unwrap(), 1);
}

/// Computes the whole tree again, as somebody does who wants the log to look right.
fn cover_up(connection: &Connection) {
    let mut tree = Tree::default();
    connection.execute("DELETE FROM audit_tree", []).unwrap();
    let mut insert = connection.prepare("INSERT INTO audit_tree (id, hashes) VALUES (?1, ?2)").unwrap();
    let mut select = connection.prepare("SELECT canonical FROM audit ORDER BY sequence").unwrap();
    let mut rows = select.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let record = Record { sequence: tree.size() + 1, canonical: row.get(0).unwrap() };
        let keep = |block: Block<'_>| {
            let id = i64::try_from(block.number).unwrap() - (i64::from(block.level) << 48);
            insert.execute((id, block.hashes.as_flattened())).unwrap();
            Ok::<_, Infallible>(())
        };
        tree.append(record.hash(), keep).unwrap();
    }
    let head = "UPDATE audit_head SET sequence = ?1, root = ?2, edge = ?3";
    connection.execute(head, (tree.size(), tree.root(), tree.to_bytes())).unwrap();
}

/// What is done to a log inside of its ends, and what is to be found.
fn tamper_inside(
    connection: &Connection,
    how: u64,
    dice: &mut Dice,
    (one, other): (u64, u64),
) -> Option<(&'static str, Broken)> {
    let altered = Broken::Altered { sequence: one };
    Some(match how {
        0 => {
            let mut canonical = bytes(connection, one);
            let at = dice.between(0, canonical.len() as u64) as usize;
            canonical[at] ^= 1 << dice.between(0, 8);
            set(connection, one, &canonical);
            ("edited", altered)
        }
        1 => {
            remove(connection, one);
            ("dropped", Broken::Gap { expected: one, found: one + 1 })
        }
        2 => {
            remove(connection, one);
            shift(connection, one + 1, -1);
            ("dropped, and the rest moved up", altered)
        }
        3 => {
            let copy = bytes(connection, other);
            shift(connection, one, 1);
            set(connection, one, &copy);
            ("inserted", altered)
        }
        4 => {
            let (first, second) = (bytes(connection, one), bytes(connection, other));
            set(connection, one, &second);
            set(connection, other, &first);
            ("swapped", altered)
        }
        _ => return None,
    })
}

/// What is done to a log, and what is to be found.
fn tamper(connection: &Connection, how: u64, dice: &mut Dice) -> (&'static str, Broken) {
    let one = dice.between(1, LENGTH - 1);
    let other = dice.between(one + 1, LENGTH + 1);
    if let Some(done) = tamper_inside(connection, how, dice, (one, other)) {
        return done;
    }
    match how {
        5 => {
            connection.execute("DELETE FROM audit WHERE sequence > ?1", [one]).unwrap();
            ("cut", Broken::WrongEnd { expected: LENGTH, found: one })
        }
        6 => {
            connection.execute("DELETE FROM audit WHERE sequence > ?1", [one]).unwrap();
            cover_up(connection);
            ("cut, and covered up", Broken::BeforeCheckpoint { expected: LENGTH, found: one })
        }
        _ => {
            let canonical = bytes(connection, other);
            set(connection, one, &canonical);
            cover_up(connection);
            ("edited, and covered up", Broken::NotCheckpoint { sequence: LENGTH })
        }
    }
}

/// The last checkpoint stands in another place: with it not even the end can be cut off, nor the tree computed anew.
#[tokio::test]
async fn whatever_is_done_to_a_long_log_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("store.db"), folder.path().join("copy.db"));
    let log = Log::build(&path).await;
    let installed = log.store.audit_head().await.unwrap().sequence;
    log.append(LENGTH - installed).await;
    let checkpoint = log.store.audit_head().await.unwrap();
    assert_eq!(checkpoint.sequence, LENGTH);
    drop(log);

    let mut dice = Dice(20_261_125);
    let mut seen = BTreeSet::new();
    for how in (0..8).cycle().take(24) {
        std::fs::copy(&path, &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        // Nothing here has to outlive a power failure.
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        let step = connection.unchecked_transaction().unwrap();
        let (what, expected) = tamper(&step, how, &mut dice);
        step.commit().unwrap();
        drop(connection);
        assert_eq!(verified(&copy, &checkpoint).await, Err(expected), "{what}");
        seen.insert(what);
    }
    assert_eq!(seen.len(), 8);
    assert_eq!(verified(&path, &checkpoint).await, Ok(checkpoint), "untouched");
}

async fn verified(path: &Path, checkpoint: &Head) -> Result<Head, Broken> {
    let store = SqliteStore::open_to_read(path).unwrap();
    verify_against(&store, &[*checkpoint], |_| ()).await.unwrap()
}
