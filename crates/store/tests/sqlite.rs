//! The SQLite store does what every store has to, bare and behind the cache.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use conformance::house::{House, page, under_root};
use conformance::{answers, deleted, values};
use strongroom_domain::audit::{Action, Event, Object};
use strongroom_domain::ids::SecretId;
use strongroom_domain::secret::{Resolved, Secret};
use strongroom_domain::store::{RotationStore, Store};
use strongroom_domain::vault::Vault;
use strongroom_store::cache::CachedStore;
use strongroom_store::migrate::{Source, Target};
use strongroom_store::sqlite::SqliteStore;

/// Runs every case on a store of its own, and fails with the names of all that failed.
fn conforms(dress: fn(SqliteStore) -> Box<dyn Store>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut failed = Vec::new();
    for case in conformance::every_case() {
        let folder = tempfile::tempdir().unwrap();
        let store = dress(SqliteStore::open(&folder.path().join("store.db")).unwrap());
        let run = AssertUnwindSafe(|| runtime.block_on((case.run)(&*store)));
        if catch_unwind(run).is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "failed, as told above: {failed:#?}");
}

#[test]
fn bare() {
    conforms(|store| Box::new(store));
}

#[test]
fn behind_the_cache() {
    conforms(|store| Box::new(CachedStore::new(Arc::new(store))));
}

async fn last_uses(store: &SqliteStore) -> BTreeMap<SecretId, Resolved> {
    let account = store.account_find().await.unwrap().unwrap().id;
    let listed = store.detail_list(account, None, None, page(None, 100)).await.unwrap();
    let uses = listed.items.iter().filter_map(|detail| Some((detail.secret.id, detail.resolved?)));
    for (id, resolved) in uses.clone() {
        assert_eq!(store.resolved_find(account, id).await.unwrap(), Some(resolved));
    }
    uses.collect()
}

/// Of a store in use, whose table of them is behind: its rows, and those that are in none yet, are more than are read at a time.
#[tokio::test]
async fn last_uses_that_are_in_no_table_yet_are_moved_once() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    let store = SqliteStore::open(&from).unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let key = house.add_api_key(house.user, "key").await;
    let mut secrets = Vec::new();
    for number in 0..600 {
        secrets.push(house.add_secret(&vault, &number.to_string()).await);
    }
    let events = |secrets: &[Secret]| {
        secrets.iter().map(|secret| values::resolved_event(&house, &key, secret)).collect()
    };
    // Every other one of the first half of them; closing brings them to the table.
    let early: Vec<Secret> = secrets[..300].iter().step_by(2).cloned().collect();
    store.secret_resolved(house.account, events(&early)).await.unwrap();
    let (account, late) = (house.account, events(&secrets));
    drop(store);
    let count = |path: &std::path::Path, what: &str| -> u64 {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.query_row(&format!("SELECT count({what}) FROM resolved"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&from, "*"), 150);
    let store = SqliteStore::open(&from).unwrap();
    store.secret_resolved(account, late).await.unwrap();
    assert_eq!(count(&from, "*"), 150, "the table is behind");

    let mut source = Source::file(&from).unwrap();
    let filled = Target::file(&to).unwrap().fill(&mut source, |_| ()).await.unwrap();
    filled.read_back(|_| ()).await.unwrap();
    filled.accept().await.unwrap();
    assert_eq!((count(&to, "*"), count(&to, "DISTINCT secret")), (600, 600));
    let moved = SqliteStore::open(&to).unwrap();
    for secret in &secrets {
        let use_of = async |store: &SqliteStore| store.resolved_find(account, secret.id).await.unwrap();
        assert_eq!(use_of(&moved).await, use_of(&store).await);
    }
}

/// They are written to their table late; a crash before that loses none, nor does closing, nor a long log in between.
#[tokio::test]
async fn last_uses_outlive_a_crash_and_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let key = house.add_api_key(house.user, "key").await;
    let mut expected = BTreeMap::new();
    for number in 0..5 {
        let secret = house.add_secret(&vault, &format!("s{number}")).await;
        expected.insert(secret.id, values::resolve(&house, &key, &secret, 1).await);
    }
    let busy = house.add_secret(&vault, "busy").await;
    // Past the number of events after which the table is written.
    for _ in 0..34 {
        let events: Vec<Event> = (0..1000).map(|_| values::resolved_event(&house, &key, &busy)).collect();
        store.secret_resolved(house.account, events).await.unwrap();
    }
    expected.insert(busy.id, values::resolve(&house, &key, &busy, 2).await);
    assert_eq!(last_uses(&store).await, expected);

    // What a crash leaves: the files as they are now.
    let crashed = folder.path().join("crashed.db");
    for end in ["", "-wal"] {
        let copy = |name: &str| folder.path().join(format!("{name}.db{end}"));
        std::fs::copy(copy("store"), copy("crashed")).unwrap();
    }
    assert_eq!(last_uses(&SqliteStore::open(&crashed).unwrap()).await, expected);

    drop(store);
    assert_eq!(last_uses(&SqliteStore::open(&path).unwrap()).await, expected);
    assert_eq!(
        last_uses(&SqliteStore::open_to_read(&path).unwrap()).await,
        expected,
        "in the table, once closed"
    );
}

/// The table of last uses is filled from the log after a crash: what is pruned is in the table before it goes.
#[tokio::test]
async fn last_uses_outlive_pruning_and_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let key = house.add_api_key(house.user, "key").await;
    let mut expected = BTreeMap::new();
    for number in 0..10 {
        let secret = house.add_secret(&vault, &format!("s{number}")).await;
        expected.insert(secret.id, values::resolve(&house, &key, &secret, 1).await);
    }
    let pruned = |upto| house.event(Object::AuditLog { upto, root: [0; 32] }, Action::Pruned);
    store.audit_prune(0, 16, pruned(16)).await.unwrap();
    let later = house.add_secret(&vault, "later").await;
    expected.insert(later.id, values::resolve(&house, &key, &later, 1).await);
    assert_eq!(last_uses(&store).await, expected);

    let crashed = folder.path().join("crashed.db");
    for end in ["", "-wal"] {
        let copy = |name: &str| folder.path().join(format!("{name}.db{end}"));
        std::fs::copy(copy("store"), copy("crashed")).unwrap();
    }
    let again = SqliteStore::open(&crashed).unwrap();
    assert_eq!(last_uses(&again).await, expected);
    assert_eq!(again.audit_list(0, 1).await.unwrap()[0].sequence, 17);
}

/// A record that is gone by other means is no reason to prune on, and nothing of a step that fails is kept.
#[tokio::test]
async fn a_step_of_pruning_that_fails_leaves_all_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    for number in 0..40 {
        house.add_vault(&format!("v{number}")).await;
    }
    let backdoor = rusqlite::Connection::open(&path).unwrap();
    backdoor.execute("DELETE FROM audit WHERE sequence = 5", []).unwrap();
    let (head, records) = (store.audit_head().await.unwrap(), store.audit_list(0, 100).await.unwrap());
    let event = || house.event(Object::AuditLog { upto: 16, root: [0; 32] }, Action::Pruned);
    // Beside another change, which is not to go down with it.
    let (refused, vault) = tokio::join!(store.audit_prune(0, 16, event()), house.add_vault("beside"));
    refused.unwrap_err();
    assert_eq!(store.audit_pruned().await.unwrap(), 0);
    assert!(store.vault_find(house.account, vault.id).await.unwrap().is_some());
    assert_eq!(store.audit_head().await.unwrap().sequence, head.sequence + 1);
    assert_eq!(store.audit_list(0, records.len()).await.unwrap(), records);
}

/// What is given out without its event would be the worst: the log refuses it, and stays as it was.
#[tokio::test]
async fn an_event_that_cannot_be_written_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let key = house.add_api_key(house.user, "key").await;
    let secret = house.add_secret(&vault, "secret").await;
    let backdoor = rusqlite::Connection::open(&path).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON audit WHEN instr(NEW.canonical, 'secret_resolved') > 0 \
                  BEGIN SELECT RAISE(ABORT, 'no'); END";
    backdoor.execute_batch(refuse).unwrap();
    let before = store.audit_head().await.unwrap();
    let refused = store.secret_resolved(house.account, vec![values::resolved_event(&house, &key, &secret)]);
    refused.await.unwrap_err();
    assert_eq!(store.resolved_find(house.account, secret.id).await.unwrap(), None);
    assert_eq!(store.audit_head().await.unwrap(), before);
    // The next change is chained to the last that is there.
    house.add_vault("another").await;
    backdoor.execute_batch("DROP TRIGGER refuse").unwrap();
    let resolved = values::resolve(&house, &key, &secret, 1).await;
    assert_eq!(store.resolved_find(house.account, secret.id).await.unwrap(), Some(resolved));
    let verified = strongroom_domain::app::audit::verify(&store, |_| ()).await.unwrap();
    assert!(verified.is_ok(), "{verified:?}");
}

/// The log is moved into the store beside the writing, and begins anew again and again: it does not grow with what is written.
#[tokio::test]
async fn the_log_stays_short_however_much_is_written() {
    const CHANGES: u64 = 2500;
    const LENGTH: usize = 60 << 10;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    for revision in 2..=CHANGES {
        let description = char::from(b'a' + (revision % 26) as u8).to_string().repeat(LENGTH);
        let next = Secret { description, revision, ..secret.clone() };
        house.secret_update(&next, None).await.unwrap();
    }
    let log = std::fs::metadata(folder.path().join("store.db-wal")).unwrap().len();
    let written = CHANGES * LENGTH as u64;
    assert!(log < written / 2, "{log} bytes of log after {written} bytes of changes");
    let account = house.account;
    drop(house);
    drop(store);
    let again = SqliteStore::open(&path).unwrap();
    let found = again.secret_find(account, secret.id).await.unwrap().unwrap();
    assert_eq!((found.revision, found.description.len()), (CHANGES, LENGTH));
    assert_eq!(again.check().await.unwrap(), None);
}

/// How many of these marks, each in `<` and `>`, are found in the store's files.
fn found(path: &std::path::Path, marks: &BTreeSet<Vec<u8>>) -> usize {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.extend(std::fs::read(path.with_extension("db-wal")).unwrap_or_default());
    let starts = (0..bytes.len()).filter(|place| bytes[*place] == b'<');
    let mark = |start: usize| {
        let end = bytes[start..].iter().take(100).position(|byte| *byte == b'>')?;
        marks.get(&bytes[start..=start + end])
    };
    starts.filter_map(mark).collect::<BTreeSet<_>>().len()
}

/// Neither in the database, in free pages and in gaps of others, nor in its log: for values of every size, with many
/// neighbours, after many changes, and while others read.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_leaves_no_copy_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let wrapped_key = under_root(b"<a key that goes with its vault>");
    let gone_vault = Vault { wrapped_key, ..house.vault("gone") };
    house.vault_insert(&gone_vault).await.unwrap();
    let (mut victims, mut marks) = (Vec::new(), BTreeSet::new());
    for number in 0..400_usize {
        let secret = house.secret(&vault, &format!("s{number}"));
        let mut version = house.version(&secret);
        let mark = format!("<{number}:{}>", secret.id).into_bytes();
        version.sealed.ciphertext = mark.repeat(1 + number * number % 97 * (number % 7));
        version.sealed.wrapped_key = strongroom_crypto::WrappedKey::from_bytes([b"key ", &mark[..]].concat());
        let event = house.event(&secret, strongroom_domain::audit::Action::Created);
        let insert = store.secret_insert(
            house.account,
            Arc::new(vault.clone()),
            secret.clone(),
            version,
            None,
            event.into(),
        );
        insert.await.unwrap();
        if number % 3 == 0 {
            victims.push(secret);
            marks.insert(mark);
        } else if number % 3 == 1 {
            // Neighbours come, grow and go, so that pages are split and joined.
            house.secret_delete(&secret).await.unwrap();
        }
    }
    marks.insert(gone_vault.wrapped_key.as_bytes()[strongroom_crypto::KeyId::LENGTH..].to_vec());
    for victim in &victims {
        deleted::delete_secret(&house, victim, deleted::deletion(&house, 0)).await;
    }
    deleted::delete_vault(&house, &gone_vault, deleted::deletion(&house, 0)).await;
    assert_eq!(found(&path, &marks), marks.len(), "they are there to be found");
    for victims in victims.chunks(10) {
        deleted::purge(&house, &victims.iter().collect::<Vec<_>>()).await.unwrap();
    }
    deleted::purge_vault(&house, &gone_vault).await.unwrap();
    assert_eq!(found(&path, &marks), 0);
    assert_eq!(std::fs::metadata(path.with_extension("db-wal")).unwrap().len(), 0, "the log is cut off");
}

/// A key that was rotated, and what was sealed under it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_rotated_leaves_no_copy_behind() {
    use strongroom_crypto::{KeyId, SealedValue, WrappedKey};
    use strongroom_domain::rotation::{Kind, NewKey, Rotation, Turned};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let wrapped_key = under_root(b"<the old key of the vault>");
    let vault = Vault { wrapped_key: wrapped_key.clone(), ..house.vault("vault") };
    house.vault_insert(&vault).await.unwrap();
    let mut marks = BTreeSet::from([wrapped_key.as_bytes()[KeyId::LENGTH..].to_vec()]);
    for number in 0..200_usize {
        let secret = house.secret(&vault, &format!("s{number}"));
        let mut version = house.version(&secret);
        let mark = format!("<{number}:{}>", secret.id).into_bytes();
        version.sealed.ciphertext = mark.repeat(1 + number * number % 97 * (number % 7));
        marks.insert(mark);
        let (vault, event) = (Arc::new(vault.clone()), house.event(&secret, Action::Created));
        store.secret_insert(house.account, vault, secret, version, None, event.into()).await.unwrap();
    }
    assert_eq!(found(&path, &marks), marks.len(), "they are there to be found");
    let id = KeyId::from_bytes(*b"new key ");
    for kind in [Kind::DataKeys, Kind::VaultKey] {
        let key = (kind == Kind::VaultKey).then(|| {
            let wrapped = under_root(b"the new key");
            NewKey { id, wrapped, replaces: wrapped_key.clone() }
        });
        let rotation = Rotation { vault: vault.id, kind, started_at: house.stamp().at, done: 0 };
        let event = || house.event(Object::from(&vault), Action::Rotated);
        store.rotation_begin(house.account, rotation, key, event()).await.unwrap();
        let due = store.rotation_due(house.account, vault.id, kind, None, 1000).await.unwrap();
        let turned = due.into_iter().map(|due| {
            let key = if kind == Kind::VaultKey { "new" } else { "old" };
            let text = format!("{key} key for {}", due.secret).into_bytes();
            let ciphertext = vec![7; due.sealed.ciphertext.len()];
            let sealed = SealedValue { wrapped_key: WrappedKey::from_bytes(text), ciphertext };
            Turned { secret: due.secret, number: due.number, was: due.sealed.wrapped_key, sealed }
        });
        let done = store.rotation_step(house.account, vault.id, kind, turned.collect()).await.unwrap();
        assert_eq!(done, 200);
        store.rotation_end(house.account, vault.id, kind, event()).await.unwrap();
    }
    assert_eq!(found(&path, &marks), 0);
    assert_eq!(std::fs::metadata(path.with_extension("db-wal")).unwrap().len(), 0, "the log is cut off");
}

/// The sealed token of a new key goes with its answer, when that is forgotten and when another one takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_answer_leaves_no_token_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let mut marks = BTreeSet::new();
    let make = async |number: u8, hours| {
        let key = house.api_key(house.user, &format!("key-{number}"));
        let mut creation = answers::creation(&house, &key, number % 100, hours);
        let token = format!("<token {number}>").into_bytes();
        creation.answer.as_mut().unwrap().token = Some(strongroom_crypto::SealedValue {
            wrapped_key: under_root(&token),
            ciphertext: token.clone(),
        });
        store.api_key_insert(house.account, key, creation).await.unwrap();
        token
    };
    for number in 0..100 {
        marks.insert(make(number, 0).await);
    }
    assert_eq!(found(&path, &marks), 100, "they are there to be found");
    // The same requests a day later; the log is cut off with the batch that does it, or a later one.
    for number in 100..150 {
        make(number, 24).await;
    }
    let gone = store.answers_prune(house.account, house.stamp().at, 1000).await.unwrap();
    assert_eq!(gone, 50, "those that were not asked for again");
    assert_eq!(found(&path, &marks), 0);
    assert_eq!(std::fs::metadata(path.with_extension("db-wal")).unwrap().len(), 0, "the log is cut off");
}

/// A crash between a purge and the cutting off of the log: the first change after the next start makes up for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_a_crash_left_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    let house = House::build(&store).await;
    let crashed = folder.path().join("crashed.db");
    for end in ["", "-wal"] {
        let copy = |name: &str| folder.path().join(format!("{name}.db{end}"));
        std::fs::copy(copy("store"), copy("crashed")).unwrap();
    }
    let log = || std::fs::metadata(crashed.with_extension("db-wal")).unwrap().len();
    assert!(log() > 0);
    let again = SqliteStore::open(&crashed).unwrap();
    let vault = house.vault("vault");
    let event = house.event(&vault, strongroom_domain::audit::Action::Created);
    again.vault_insert(house.account, vault, None, event.into()).await.unwrap();
    assert_eq!(log(), 0);
}

/// Who reads for long holds up neither the purge nor the changes after it; the log is cut off once they have ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_reader_only_puts_off_the_cutting_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.secret(&vault, "secret");
    let mut version = house.version(&secret);
    version.sealed.ciphertext = b"<sealed>".to_vec();
    let event = house.event(&secret, strongroom_domain::audit::Action::Created);
    let made = Arc::new(vault.clone());
    store.secret_insert(house.account, made, secret.clone(), version, None, event.into()).await.unwrap();
    deleted::delete_secret(&house, &secret, deleted::deletion(&house, 0)).await;
    let marks = BTreeSet::from([b"<sealed>".to_vec()]);
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let _: i64 = reader.query_row("SELECT count(*) FROM version", [], |row| row.get(0)).unwrap();
    deleted::purge(&house, &[&secret]).await.unwrap();
    assert_eq!(found(&path, &marks), 1, "the reader's moment has it");
    reader.execute_batch("COMMIT").unwrap();
    let mut tries = 0;
    while found(&path, &marks) > 0 {
        tries += 1;
        assert!(tries < 100, "it stays");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        house.add_vault(&format!("change {tries}")).await;
    }
}
