//! A log that was pruned: what is left is as checkable as before, and whatever is done to it is found.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use strongroom_crypto::{LogKey, SystemRng};
use strongroom_domain::app::App;
use strongroom_domain::app::audit::{Log as Proofs, root_over, tree_at, verify_against};
use strongroom_domain::audit::proof::{continues, includes};
use strongroom_domain::audit::{Broken, Event, Head, Object};
use strongroom_domain::clock::SystemClock;
use strongroom_domain::deleted::Retention;
use strongroom_domain::limits::Limits;
use strongroom_domain::store::Store;
use strongroom_store::sqlite::SqliteStore;

use super::{Dice, Log, bytes, remove, set, tamper_inside};

const LENGTH: u64 = 20_000;
const PRUNED: u64 = 8192;

/// The house over a log, which it keeps for no time at all.
async fn house(log: Log) -> App {
    let limits = Limits { audit: Some(Retention { seconds: 0 }), ..Limits::default() };
    App::open(log.store, log.root_key, limits, Arc::new(SystemClock), Arc::new(SystemRng)).await.unwrap()
}

/// Where the log stood at some lengths, before it was pruned.
async fn heads(store: &dyn Store, lengths: &[u64]) -> Vec<Head> {
    let mut heads = Vec::new();
    for length in lengths {
        heads.push(Head { sequence: *length, root: root_over(store, 0..*length).await.unwrap() });
    }
    heads
}

async fn pruned(path: &Path) -> Vec<Head> {
    let log = Log::build(path).await;
    log.append(LENGTH - log.store.audit_head().await.unwrap().sequence).await;
    let mut checkpoints = heads(&*log.store, &[0, 5000, PRUNED, LENGTH]).await;
    let app = house(log).await;
    assert_eq!(app.audit_sweep(PRUNED + 15).await.unwrap(), Ok(PRUNED), "in whole blocks");
    assert_eq!(app.audit_sweep(PRUNED).await.unwrap(), Ok(0));
    checkpoints.push(app.audit_head().await.unwrap());
    checkpoints
}

async fn verified(path: &Path, checkpoints: &[Head]) -> Result<Head, Broken> {
    let store = SqliteStore::open_to_read(path).unwrap();
    verify_against(&store, checkpoints, |_| ()).await.unwrap()
}

fn run(connection: &Connection, sql: &str) {
    assert!(connection.execute(sql, []).unwrap() > 0, "nothing to do for {sql}");
}

/// What is done to a log, and what is to be found.
fn tamper(connection: &Connection, how: u64, dice: &mut Dice, end: &Head) -> (&'static str, Broken) {
    let one = dice.between(PRUNED + 1, LENGTH - 1);
    let other = dice.between(one + 1, LENGTH + 1);
    let hash = dice.between(0, 4900);
    let among = |level: u32| {
        let width = 16_u64.pow(level + 1);
        let first = hash / width * width + 1;
        Broken::AlteredAmong { first, last: first + width - 1 }
    };
    let alter = |level: u32| {
        let index = hash >> (4 * level);
        let id = i64::try_from(index / 16).unwrap() - (i64::from(level) << 48);
        let sql = "UPDATE audit_tree SET hashes = CAST(substr(hashes, 1, 32 * ?2) || randomblob(32) || \
                   substr(hashes, 32 * ?2 + 33) AS BLOB) WHERE id = ?1";
        assert_eq!(connection.execute(sql, (id, index % 16)).unwrap(), 1);
    };
    let start = |upto: u64| run(connection, &format!("UPDATE audit_head SET pruned_upto = {upto}"));
    if let Some(done) = tamper_inside(connection, how, dice, (one, other)) {
        return done;
    }
    match how {
        5 => {
            run(connection, &format!("DELETE FROM audit WHERE sequence > {one}"));
            ("cut", Broken::WrongEnd { expected: end.sequence, found: one })
        }
        6 => {
            let upto = PRUNED + 1;
            remove(connection, upto);
            ("the first dropped", Broken::Gap { expected: upto, found: upto + 1 })
        }
        7 => {
            run(connection, &format!("DELETE FROM audit WHERE sequence <= {one}"));
            start(one);
            ("old ones deleted, and the start moved", Broken::Start { upto: one })
        }
        8 => {
            start(one);
            ("the start moved on", Broken::Start { upto: one })
        }
        9 => {
            start(hash);
            ("the start moved back", Broken::Gap { expected: hash + 1, found: PRUNED + 1 })
        }
        10 => {
            alter(0);
            ("the hash of a pruned one altered", among(0))
        }
        11 => {
            alter(1);
            // It is compared with the hashes of the sixteen that it is over.
            let first = hash / 16 * 16 + 1;
            ("a hash over pruned ones altered", Broken::AlteredAmong { first, last: first + 15 })
        }
        12 => {
            run(connection, &format!("DELETE FROM audit_tree WHERE id = {}", hash / 16));
            ("the hashes of pruned ones dropped", Broken::HashMissing { sequence: hash / 16 * 16 + 1 })
        }
        _ => {
            let canonical = bytes(connection, one);
            set(connection, hash + 1, &canonical);
            ("one put before the start", Broken::BeforeStart { found: hash + 1 })
        }
    }
}

#[tokio::test]
async fn whatever_is_done_to_a_pruned_log_is_found() {
    const WAYS: u64 = 14;
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("store.db"), folder.path().join("copy.db"));
    let checkpoints = pruned(&path).await;
    let end = *checkpoints.last().unwrap();
    let mut dice = Dice(20_261_126);
    let mut seen = BTreeSet::new();
    for how in (0..WAYS).cycle().take(2 * WAYS as usize) {
        std::fs::copy(&path, &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        // Nothing here has to outlive a power failure.
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        let step = connection.unchecked_transaction().unwrap();
        let (what, expected) = tamper(&step, how, &mut dice, &end);
        step.commit().unwrap();
        drop(connection);
        assert_eq!(verified(&copy, &checkpoints).await, Err(expected), "{what}");
        seen.insert(what);
    }
    assert_eq!(seen.len(), WAYS as usize);
    assert_eq!(verified(&path, &checkpoints).await, Ok(end), "untouched");
}

/// Somebody cuts off the events that tell of the pruning, and makes the rest look right.
#[tokio::test]
async fn a_pruned_log_without_the_event_of_it_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let checkpoints = pruned(&path).await;
    let tree = tree_at(&SqliteStore::open_to_read(&path).unwrap(), LENGTH).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    run(&connection, &format!("DELETE FROM audit WHERE sequence > {LENGTH}"));
    let head = "UPDATE audit_head SET sequence = ?1, root = ?2, edge = ?3";
    connection.execute(head, (tree.size(), tree.root(), tree.to_bytes())).unwrap();
    drop(connection);
    assert_eq!(verified(&path, &[]).await, Err(Broken::Start { upto: PRUNED }));
    let expected = Broken::BeforeCheckpoint { expected: checkpoints[4].sequence, found: LENGTH };
    assert_eq!(verified(&path, &checkpoints).await, Err(expected));
}

/// An event that somebody exported before it was pruned is still provably in the log, and an old checkpoint is still of it.
#[tokio::test]
async fn proofs_reach_what_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let log = Log::build(&path).await;
    log.append(3000).await;
    let kept = log.store.audit_list(0, 3000).await.unwrap();
    let before = heads(&*log.store, &[1, 1000, 2048, 2999]).await;
    let (store, account) = (log.store.clone(), log.account);
    let app = house(log).await;
    assert_eq!(app.audit_sweep(2048).await.unwrap(), Ok(2048));
    let key = LogKey::make(&SystemRng).unwrap();
    let proofs = Proofs { store: &*store, account, key: &key };
    for record in kept.iter().step_by(97) {
        let inclusion = proofs.inclusion(record.sequence, None).await.unwrap();
        let Head { sequence, root } = inclusion.head;
        assert!(includes(record.sequence - 1, record.hash(), sequence, &inclusion.proof, &root));
    }
    for head in &before {
        let consistency = proofs.consistency(head.sequence, None).await.unwrap();
        assert_eq!(consistency.from, *head);
        let now = consistency.head;
        assert!(continues((head.sequence, &head.root), (now.sequence, &now.root), &consistency.proof));
    }
    let first = store.audit_list(0, 1).await.unwrap().remove(0);
    assert_eq!(first, kept[2048]);
    let last = store.audit_list(now_less_one(&*store).await, 2).await.unwrap().remove(0);
    let told = Event::from_canonical(&last.canonical).unwrap();
    assert_eq!(told.kind, "audit_log_pruned.v0");
    assert_eq!((&*told.principal.source, told.principal.credential), ("SERVER", None));
    assert_eq!(told.object, Object::AuditLog { upto: 2048, root: before[2].root });
    assert_eq!(store.counts().await.unwrap().events, last.sequence, "all that were ever written");
}

async fn now_less_one(store: &dyn Store) -> u64 {
    store.audit_head().await.unwrap().sequence - 1
}

/// The walk over the rest would find nothing wrong any more.
#[tokio::test]
async fn what_was_altered_is_not_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let log = Log::build(&path).await;
    log.append(3000).await;
    let store = log.store.clone();
    let app = house(log).await;
    let backdoor = Connection::open(&path).unwrap();
    let kept = bytes(&backdoor, 1500);
    set(&backdoor, 1500, b"x");
    assert_eq!(app.audit_sweep(2900).await.unwrap(), Err(Broken::Altered { sequence: 1500 }));
    assert_eq!(store.audit_pruned().await.unwrap(), 1024, "the step before");
    remove(&backdoor, 1500);
    let gap = Broken::Gap { expected: 1500, found: 1501 };
    assert_eq!(app.audit_sweep(2900).await.unwrap(), Err(gap.clone()));
    assert_eq!(verify_against(&*store, &[], |_| ()).await.unwrap(), Err(gap));
    set(&backdoor, 1500, &kept);
    assert_eq!(app.audit_sweep(2900).await.unwrap(), Ok(2896 - 1024), "mended");
    assert!(verify_against(&*store, &[], |_| ()).await.unwrap().is_ok());
}

/// A pruning event of ours would make the start that somebody moved one that is told of.
#[tokio::test]
async fn a_log_whose_start_was_moved_is_not_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let log = Log::build(&path).await;
    log.append(3000).await;
    let store = log.store.clone();
    let app = house(log).await;
    let backdoor = Connection::open(&path).unwrap();
    for pruned_before in [0, 1024] {
        assert_eq!(app.audit_sweep(pruned_before).await.unwrap(), Ok(pruned_before));
        for moved_to in [pruned_before + 160, pruned_before + 167] {
            let step = backdoor.unchecked_transaction().unwrap();
            let kept = format!("CREATE TEMP TABLE kept AS SELECT * FROM audit WHERE sequence <= {moved_to}");
            step.execute_batch(&kept).unwrap();
            run(&step, &format!("DELETE FROM audit WHERE sequence <= {moved_to}"));
            run(&step, &format!("UPDATE audit_head SET pruned_upto = {moved_to}"));
            step.commit().unwrap();
            assert_eq!(app.audit_sweep(2900).await.unwrap(), Err(Broken::Start { upto: moved_to }));
            assert_eq!(store.audit_pruned().await.unwrap(), moved_to, "nothing went");
            run(&backdoor, "INSERT INTO audit SELECT * FROM kept");
            run(&backdoor, &format!("UPDATE audit_head SET pruned_upto = {pruned_before}"));
            backdoor.execute_batch("DROP TABLE kept").unwrap();
            assert!(verify_against(&*store, &[], |_| ()).await.unwrap().is_ok(), "as it was");
        }
    }
}

/// A walk goes on while the log is pruned under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_whole_while_it_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::build(&folder.path().join("store.db")).await;
    log.append(12_000).await;
    let store = log.store.clone();
    let app = house(log).await;
    let pruning = tokio::spawn(async move { app.audit_sweep(u64::MAX).await.unwrap().unwrap() });
    let mut walks = 0;
    while !pruning.is_finished() {
        let walked = verify_against(&*store, &[], |_| ()).await.unwrap();
        assert!(walked.is_ok(), "{walked:?}");
        walks += 1;
    }
    assert!(pruning.await.unwrap() >= 12_000 && walks > 0);
    assert!(verify_against(&*store, &[], |_| ()).await.unwrap().is_ok());
}

/// How long the one thread that writes is held up: `cargo test --release … -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "measures, and shows nothing that could be right or wrong"]
async fn a_step_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::build(&folder.path().join("store.db")).await;
    log.append(200_000).await;
    let (store, events) = (log.store.clone(), log.resolved());
    for rows in [256_u64, 512, 1024, 2048, 4096] {
        let mut times = Vec::new();
        for _ in 0..8 {
            let from = store.audit_pruned().await.unwrap();
            let begun = Instant::now();
            store.audit_prune(from, from + rows, events.clone()).await.unwrap();
            times.push(begun.elapsed());
        }
        times.sort();
        eprintln!("{rows} events: {:?} as a rule, {:?} at most", times[4], times[7]);
    }
}
