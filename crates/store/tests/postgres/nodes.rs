//! Several nodes over one database, exactly: opening, leases, what each is told of the others, and commits whose end nobody told.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_domain::Error;
use strongroom_domain::audit::{Action, Event, Object};
use strongroom_domain::ids::VaultId;
use strongroom_domain::store::{Lease, LeaseStore, Moment, NodeId, OthersChanges, SharedStore, Store};
use strongroom_store::cache::CachedStore;
use strongroom_store::postgres::{OpenError, PostgresStore};
use strongroom_testbed::Towards;

use crate::conformance::house::House;
use crate::conformance::revoked::Keys;
use crate::place::Place;
use crate::serializable;

static PLACE: LazyLock<Place> = LazyLock::new(|| Place::new("nodes"));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_open_an_empty_database_at_once_make_one_set_of_tables() {
    for set in [|options| options, serializable] {
        let schema = PLACE.schema();
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let options = set(schema.options());
                tokio::spawn(async move { PostgresStore::open(&options).await })
            })
            .collect();
        let mut nodes = Vec::new();
        for opening in opening {
            nodes.push(opening.await.unwrap().unwrap());
        }
        let count =
            |what: &str| PLACE.run(&format!("SELECT count(*), min(version) FROM {}.{what}", schema.name));
        assert_eq!(count("store_version"), "1|1");
        let house = House::build(&nodes[0]).await;
        for (number, node) in nodes.iter().enumerate() {
            house.over(node).add_vault(&number.to_string()).await;
        }
        assert_eq!(nodes[7].counts().await.unwrap().vaults, 8);
        assert!(PostgresStore::open_current_to_read(&schema.options()).await.is_ok());
    }
}

#[tokio::test]
async fn of_nodes_that_begin_at_once_one_makes_the_account() {
    let schema = PLACE.schema();
    let (one, other) = (schema.node().await, schema.node().await);
    House::build(&one).await;
    let elsewhere = PLACE.schema();
    let elsewhere = elsewhere.node().await;
    let late = House::build(&elsewhere).await;
    let (account, user, key) = late.founding();
    let events = vec![late.event(&key, Action::Created)];
    let refused = other.account_insert(account, user, key, Vec::new(), events).await;
    assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
    assert_eq!(other.audit_head().await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_store_of_a_later_version_is_refused() {
    let schema = PLACE.schema();
    drop(schema.node().await);
    PLACE.run(&format!("UPDATE {}.store_version SET version = 99", schema.name));
    for opened in [
        PostgresStore::open(&schema.options()).await,
        PostgresStore::open_current_to_read(&schema.options()).await,
    ] {
        assert!(matches!(opened, Err(OpenError::Newer { found: 99, .. })), "{:?}", opened.err());
    }
    assert_eq!(PLACE.run(&format!("SELECT version FROM {}.store_version", schema.name)), "99");
}

/// Plans that are made for tables of which nothing is known read a vault's secrets one after the other, for every change.
#[tokio::test]
async fn the_tables_of_a_young_store_are_looked_at() {
    let schema = PLACE.schema();
    let store = schema.node().await;
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    for number in 0..80 {
        house.add_secret(&vault, &number.to_string()).await;
    }
    let looked_at = format!(
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_stat_user_tables WHERE schemaname = '{}' \
         AND relname IN ('secret', 'version', 'audit', 'answer') AND last_analyze IS NOT NULL",
        schema.name
    );
    strongroom_testbed::poll("the tables are looked at", || {
        (PLACE.run(&looked_at) == "answer audit secret version").then_some(())
    });
}

/// Who asks is not kept waiting by a database that is, and is answered again once it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_has_a_deadline() {
    let schema = PLACE.schema();
    let store = schema.node().await;
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let lock =
        format!("BEGIN; LOCK TABLE {}.vault IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(11)", schema.name);
    let held = thread::spawn(move || PLACE.run(&lock));
    let locked = format!(
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = '{}.vault'::regclass",
        schema.name
    );
    strongroom_testbed::poll("the table is locked", || (PLACE.run(&locked) != "0").then_some(()));
    let begun = Instant::now();
    let answer = store.vault_find(house.account, vault.id).await;
    let took = begun.elapsed();
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    // Once in time, and once more on another connection.
    assert!((4..12).contains(&took.as_secs()), "{took:?}");
    held.join().unwrap();
    assert!(store.vault_find(house.account, vault.id).await.unwrap().is_some());
}

const SPAN: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_lease_is_one_nodes_until_its_span_is_over_by_the_databases_clock() {
    let schema = PLACE.schema();
    let (a, b) = (schema.node().await, schema.node().await);
    let house = House::build(&a).await;
    let (one, other) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
    let take = async |node: &PostgresStore, lease, holder, span| {
        node.lease_take(house.account, lease, holder, span).await.unwrap()
    };
    let begun = Instant::now();
    assert!(take(&a, Lease::Sweeping, one, SPAN).await);
    assert!(take(&b, Lease::Rotating, other, SPAN).await, "another lease is another's");
    let left = format!(
        "SELECT until - extract(epoch FROM clock_timestamp()) * 1000 FROM {}.lease WHERE name = 'sweeping'",
        schema.name
    );
    let left: f64 = PLACE.run(&left).parse().unwrap();
    assert!(left <= SPAN.as_millis() as f64, "{left} ms are left by the database's clock");
    while !take(&b, Lease::Sweeping, other, SPAN).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begun.elapsed() >= SPAN, "it was taken away after {:?}", begun.elapsed());

    let long = Duration::from_secs(3600);
    assert!(take(&b, Lease::Sweeping, other, long).await, "who has it keeps it");
    assert!(!take(&a, Lease::Sweeping, one, long).await);
    a.lease_give_back(house.account, Lease::Sweeping, one).await.unwrap();
    assert!(!take(&a, Lease::Sweeping, one, long).await, "only who has it gives it back");
    b.lease_give_back(house.account, Lease::Sweeping, other).await.unwrap();
    assert!(take(&a, Lease::Sweeping, one, long).await);
    // By the database's clock alone: what it holds to be over is over.
    PLACE.run(&format!("UPDATE {}.lease SET until = until - 3600000", schema.name));
    assert!(take(&b, Lease::Sweeping, other, long).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_a_lease_at_once_one_has_it() {
    let schema = PLACE.schema();
    let store = Arc::new(schema.node().await);
    let account = House::build(&*store).await.account;
    let taking = (0..12).map(|number| {
        let store = store.clone();
        let holder = NodeId::from_bytes([number; 16]);
        tokio::spawn(
            async move { store.lease_take(account, Lease::Rotating, holder, SPAN * 100).await.unwrap() },
        )
    });
    let taking: Vec<_> = taking.collect();
    let mut held = 0;
    for taking in taking {
        held += u32::from(taking.await.unwrap());
    }
    assert_eq!(held, 1);
}

/// What a node is told, and from when it is told next.
async fn told(node: &PostgresStore, since: &mut Moment) -> OthersChanges {
    let changes = node.changed_by_others(Some(*since)).await.unwrap();
    *since = changes.now;
    changes
}

fn numbers(changes: &OthersChanges) -> Vec<u64> {
    changes.records.iter().map(|record| record.sequence).collect()
}

async fn now(node: &PostgresStore) -> Moment {
    let changes = node.changed_by_others(None).await.unwrap();
    assert!(changes.records.is_empty() && !changes.untold && !changes.unknown);
    changes.now
}

#[tokio::test]
async fn a_node_is_told_what_others_did_and_not_what_it_did_itself() {
    let schema = PLACE.schema();
    let (a, b) = (schema.node().await, schema.node().await);
    let at_a = House::build(&a).await;
    let at_b = at_a.over(&b);
    let (mut seen_a, mut seen_b) = (now(&a).await, now(&b).await);
    assert_eq!((seen_a, seen_a.record), (seen_b, 1));

    let vault = at_a.add_vault("vault").await;
    let secret = at_a.add_secret(&vault, "secret").await;
    let (by_a, by_b) = (told(&a, &mut seen_a).await, told(&b, &mut seen_b).await);
    assert_eq!((numbers(&by_a), by_a.untold), (vec![], false), "what it did itself");
    assert_eq!((numbers(&by_b), by_b.untold), (vec![2, 3], false));
    let made = Event::from_canonical(&by_b.records[1].canonical).unwrap().object;
    assert!(matches!(made, Object::Secret { id, .. } if id == secret.id), "{made:?}");

    // In turn: each is told the other's alone.
    for round in 0..6 {
        (if round % 2 == 0 { &at_a } else { &at_b }).add_vault(&round.to_string()).await;
    }
    let (by_a, by_b) = (told(&a, &mut seen_a).await, told(&b, &mut seen_b).await);
    assert_eq!((numbers(&by_a), by_a.untold), (vec![5, 7, 9], false));
    assert_eq!((numbers(&by_b), by_b.untold), (vec![4, 6, 8], false));

    // What no record tells, and that it was the other who did it.
    a.version_prune(at_a.account, vec![(secret.id, 9)]).await.unwrap();
    let (by_a, by_b) = (told(&a, &mut seen_a).await, told(&b, &mut seen_b).await);
    assert_eq!((numbers(&by_a), by_a.untold), (vec![], false));
    assert_eq!((numbers(&by_b), by_b.untold, by_b.unknown), (vec![], true, false));

    // A change that is refused is none.
    assert!(at_a.vault_insert(&vault).await.is_err());
    let before = seen_b;
    let by_b = told(&b, &mut seen_b).await;
    assert_eq!((numbers(&by_b), by_b.untold, seen_b), (vec![], false, before));
}

#[tokio::test]
async fn too_many_changes_are_told_as_such() {
    let schema = PLACE.schema();
    let (a, b) = (schema.node().await, schema.node().await);
    let house = House::build(&a).await;
    let vault = house.add_vault("vault").await;
    let (mut seen_a, mut seen_b) = (now(&a).await, now(&b).await);
    for _ in 0..5 {
        let events = (0..1000).map(|_| house.event(&vault, Action::Resolved)).collect();
        a.secret_resolved(house.account, events).await.unwrap();
    }
    let (by_a, by_b) = (told(&a, &mut seen_a).await, told(&b, &mut seen_b).await);
    assert_eq!((numbers(&by_a), by_a.unknown), (vec![], false), "its own are not too many");
    assert_eq!((numbers(&by_b), by_b.unknown), (vec![], true));
    assert_eq!(seen_b.record, 5002);
}

/// A node that heard nothing for longer than records are kept.
#[tokio::test]
async fn records_that_are_gone_are_told_as_such() {
    let schema = PLACE.schema();
    let (a, b) = (schema.node().await, schema.node().await);
    let house = House::build(&a).await;
    let vault = house.add_vault("vault").await;
    let (long_ago, mut seen) = (now(&b).await, now(&b).await);
    let events = (0..40).map(|_| house.event(&vault, Action::Resolved)).collect();
    a.secret_resolved(house.account, events).await.unwrap();
    assert_eq!(told(&b, &mut seen).await.records.len(), 40);
    let pruned = house.event(Object::AuditLog { upto: 32, root: [0; 32] }, Action::Pruned);
    a.audit_prune(0, 32, pruned).await.unwrap();
    let late = b.changed_by_others(Some(long_ago)).await.unwrap();
    assert!(late.unknown, "{:?}", numbers(&late));
    let in_time = told(&b, &mut seen).await;
    assert_eq!((numbers(&in_time), in_time.unknown), (vec![43], false));
}

/// The last commits of a database are gone with it, and the one that takes its place goes on, by more commits, as many, or fewer.
#[tokio::test]
async fn a_database_that_lost_what_a_node_has_seen_is_told_as_such() {
    for (lost, made) in [(2, 0), (2, 1), (2, 2), (2, 5), (1, 1), (20, 21)] {
        let schema = PLACE.schema();
        let (a, b) = (schema.node().await, schema.node().await);
        let at_a = House::build(&a).await;
        let at_b = at_a.over(&b);
        // Another moment than that of the account's making.
        at_a.add_vault("before").await;
        let (mut seen_a, mut seen_b) = (now(&a).await, now(&b).await);
        let (before_a, before_b) = (seen_a, seen_b);
        schema.keep("before");
        for number in 0..lost {
            at_b.add_vault(&format!("lost-{number}")).await;
        }
        assert_eq!(told(&a, &mut seen_a).await.records.len(), lost);
        schema.put_back("before");
        for number in 0..made {
            at_a.add_vault(&format!("made-{number}")).await;
        }
        let why = format!("{lost} are lost, {made} made");
        assert!(told(&a, &mut seen_a).await.unknown, "{why}: seen, and its own since");
        assert!(told(&b, &mut seen_b).await.unknown, "{why}: its own, and another's since");
        // From there on as ever.
        at_b.add_vault("after").await;
        let (by_a, by_b) = (told(&a, &mut seen_a).await, told(&b, &mut seen_b).await);
        assert_eq!((vaults(&by_a).len(), by_a.unknown), (1, false), "{why}");
        assert_eq!((vaults(&by_b).len(), by_b.unknown), (0, false), "{why}");
        // Who had seen nothing of what is lost is told what there is, whoever made it.
        let late = schema.node().await;
        let of_both = late.changed_by_others(Some(before_a)).await.unwrap();
        assert_eq!((before_a, of_both.records.len(), of_both.unknown), (before_b, made + 1, false), "{why}");
    }
}

/// The cache does with that what it has to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_revoked_on_a_database_which_lost_commits_opens_nothing() {
    let schema = PLACE.schema();
    let other = schema.node().await;
    let house = House::build(&other).await;
    let key = house.add_api_key(house.user, "key").await;
    schema.keep("before");
    // What the database has that takes over, with more commits than there were.
    house.api_key_delete(&key).await.unwrap();
    for number in 0..4 {
        house.add_vault(&format!("made-{number}")).await;
    }
    schema.keep("after");
    schema.put_back("before");
    let cached = CachedStore::shared(Arc::new(schema.node().await), false);
    let another = schema.node().await;
    for number in 0..2 {
        house.over(&another).add_vault(&format!("lost-{number}")).await;
    }
    cached.catch_up().await.unwrap();
    assert!(cached.credential_find(key.id).await.unwrap().is_some());
    schema.put_back("after");
    cached.catch_up().await.unwrap();
    assert!(cached.credential_find(key.id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_key_is_revoked_by_a_second_later_it_is_at_the_other_node() {
    let schema = PLACE.schema();
    let nodes = [schema.node().await, schema.node().await];
    let [a, b] = nodes.map(|node| CachedStore::shared(Arc::new(node), false));
    let at_a = House::build(&a).await;
    let at_b = at_a.over(&b);
    let keys = Keys::make(&at_a).await;
    assert_eq!(keys.open_still(&at_b).await.len(), 5);
    keys.revoke(&at_a).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(keys.open_still(&at_b).await, [""; 0]);
}

/// Whatever a node itself does at the same time, on many connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_another_is_missed_among_ones_own() {
    let schema = PLACE.schema();
    let (a, b) = (schema.node().await, Arc::new(schema.node().await));
    let (at_a, mut seen) = (House::build(&a).await, now(&b).await);
    let at_b = at_a.over(&*b);
    let (mut made, mut heard) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..40 {
        let own: Vec<_> = (0..6)
            .map(|number| {
                let (b, account) = (b.clone(), at_b.account);
                let vault = at_b.vault(&format!("own-{round}-{number}"));
                let event = at_b.event(&vault, Action::Created);
                tokio::spawn(async move { b.vault_insert(account, vault, None, event.into()).await })
            })
            .collect();
        made.insert(at_a.add_vault(&round.to_string()).await.id);
        heard.extend(vaults(&told(&b, &mut seen).await));
        for own in own {
            own.await.unwrap().unwrap();
        }
        heard.extend(vaults(&told(&b, &mut seen).await));
    }
    assert_eq!(made.difference(&heard).count(), 0, "never told");
}

fn vaults(changes: &OthersChanges) -> Vec<VaultId> {
    let events = changes.records.iter().map(|record| Event::from_canonical(&record.canonical).unwrap());
    let ids = events.filter_map(|event| match event.object {
        Object::Vault { id, .. } => Some(id),
        _ => None,
    });
    ids.collect()
}

/// The commit is done and its answer lost, or it never arrives: the change is made once, and its caller told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_told_the_end_of_is_made_once() {
    let place = Place::behind_a_proxy("lost");
    let schema = place.schema();
    let (store, other) = (schema.node().await, schema.node().await);
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let mut secret = house.add_secret(&vault, "secret").await;
    let mut seen = now(&other).await;
    for (round, (towards, passes)) in
        [(Towards::Client, 0), (Towards::Client, 6), (Towards::Server, 0), (Towards::Server, 6)]
            .into_iter()
            .enumerate()
    {
        let before = store.audit_head().await.unwrap().sequence;
        let lose = || place.proxy().lose(towards, b"COMMIT\0", passes);
        // One of each kind: a transaction of its own, a change that goes with others, events alone.
        lose();
        let made = house.add_vault(&format!("made-{round}")).await;
        lose();
        secret.revision += 1;
        house.secret_update(&secret, None).await.unwrap();
        lose();
        let event = house.event(&vault, Action::Resolved);
        store.secret_resolved(house.account, vec![event]).await.unwrap();
        assert_eq!(place.proxy().lost(), 3 * (round + 1), "what was to be lost was");
        assert_eq!(store.audit_head().await.unwrap().sequence, before + 3, "{towards:?} {passes}");
        assert_eq!(
            store.secret_find(house.account, secret.id).await.unwrap().unwrap().revision,
            secret.revision
        );
        let by_other = told(&other, &mut seen).await;
        assert_eq!((numbers(&by_other), by_other.untold), ((before + 1..=before + 3).collect(), false));
        // The second is told to have been used.
        assert_eq!(vaults(&by_other), [made.id, vault.id]);
    }
    let verified = strongroom_domain::app::audit::verify(&store, |_| ()).await.unwrap();
    assert!(verified.is_ok(), "the chain holds");
}

/// What is refused stays refused, and a change that another one made impossible meanwhile is not made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_is_not_made_again_over_anothers() {
    let place = Place::behind_a_proxy("lost_race");
    let schema = place.schema();
    let (store, other) = (schema.node().await, schema.node().await);
    let house = House::build(&store).await;
    let at_other = house.over(&other);
    let vault = house.add_vault("vault").await;
    for round in 0..10 {
        let secret = house.add_secret(&vault, &format!("secret-{round}")).await;
        let mut mine = secret.clone();
        (mine.description, mine.revision) = ("mine".to_owned(), 2);
        let mut theirs = secret.clone();
        (theirs.description, theirs.revision) = ("theirs".to_owned(), 2);
        let towards = if round % 2 == 0 { Towards::Server } else { Towards::Client };
        place.proxy().lose(towards, b"COMMIT\0", 0);
        let (first, second) =
            tokio::join!(house.secret_update(&mine, None), at_other.secret_update(&theirs, None));
        let found = store.secret_find(house.account, secret.id).await.unwrap().unwrap();
        match (&first, &second) {
            (Ok(()), Err(Error::Stale)) => assert_eq!(found.description, "mine"),
            (Err(Error::Stale), Ok(())) => assert_eq!(found.description, "theirs"),
            both => panic!("{both:?}"),
        }
    }
    let head = store.audit_head().await.unwrap();
    assert_eq!(head.sequence, 2 + 10 * 2);
}
