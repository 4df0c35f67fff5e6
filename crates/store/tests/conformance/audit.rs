//! The audit log: in the same step as what it tells of, numbered without gaps, under its tree.

use std::convert::Infallible;

use strongroom_domain::Digest;
use strongroom_domain::app::audit::verify;
use strongroom_domain::audit::tree::{BLOCK, Block, Tree};
use strongroom_domain::audit::{Action, Event, Head, Object};
use strongroom_domain::error::Error;
use strongroom_domain::ids::PrincipalId;
use strongroom_domain::store::Store;

use super::house::House;
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    an_empty_log_is_whole,
    every_change_appends_its_events,
    read_piece_by_piece,
    hashes_are_read_by_level,
    old_records_are_pruned,
    who_waits_for_records_is_told
];

async fn who_waits_for_records_is_told(store: &dyn Store) {
    let house = House::build(store).await;
    let end = store.audit_head().await.unwrap().sequence;
    assert_eq!(store.audit_watch(0).await.unwrap(), end, "what is there is told at once");
    let mut waiting = std::pin::pin!(store.audit_watch(end));
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(20), &mut waiting).await;
    assert!(quiet.is_err(), "nothing came");
    let (last, _) = tokio::join!(waiting, house.add_vault("vault"));
    assert_eq!(last.unwrap(), end + 1);
    assert_eq!(store.audit_list(end, 10).await.unwrap().len(), 1, "it can be read by then");
}

async fn an_empty_log_is_whole(store: &dyn Store) {
    assert_eq!(store.audit_head().await.unwrap(), Head::empty());
    assert_eq!(store.audit_list(0, 10).await.unwrap(), []);
    assert_eq!(verify(store, |_| ()).await.unwrap(), Ok(Head::empty()));
}

/// The types of all events, after the log was walked.
async fn logged(store: &dyn Store) -> Vec<String> {
    let head = verify(store, |_| ()).await.unwrap().expect("the log is whole");
    let records = store.audit_list(0, 1000).await.unwrap();
    let numbers: Vec<u64> = records.iter().map(|record| record.sequence).collect();
    assert_eq!(numbers, (1..=head.sequence).collect::<Vec<_>>());
    let event = |bytes: &[u8]| Event::from_canonical(bytes).unwrap().kind.into_owned();
    records.iter().map(|record| event(&record.canonical)).collect()
}

async fn every_change_appends_its_events(store: &dyn Store) {
    let house = House::build(store).await;
    let mut expected = vec!["api_key_created.v0"];
    assert_eq!(logged(store).await, expected);

    let mut vault = house.add_vault("vault").await;
    vault.revision = 2;
    house.vault_update(&vault).await.unwrap();
    let mut secret = house.add_secret(&vault, "secret").await;
    (secret.revision, secret.version) = (2, 2);
    house.secret_update(&secret, Some(house.version(&secret))).await.unwrap();
    house.secret_delete(&secret).await.unwrap();
    house.vault_delete(&vault).await.unwrap();
    expected.extend(["vault_created.v0", "vault_updated.v0", "secret_created.v0", "secret_updated.v0"]);
    expected.extend(["secret_deleted.v0", "vault_deleted.v0"]);
    assert_eq!(logged(store).await, expected);

    let mut user = house.add_service_user("robot").await;
    user.revision = 2;
    house.service_user_update(&user).await.unwrap();
    let mut key = house.add_api_key(PrincipalId::ServiceUser(user.id), "key").await;
    key.revision = 2;
    let event = house.event(&key, Action::Updated);
    store.api_key_update(house.account, key.clone(), event).await.unwrap();
    house.api_key_delete(&key).await.unwrap();
    house.service_user_delete(&user, &[]).await.unwrap();
    expected.extend(["service_user_created.v0", "service_user_updated.v0", "api_key_created.v0"]);
    expected.extend(["api_key_updated.v0", "api_key_deleted.v0", "service_user_deleted.v0"]);
    assert_eq!(logged(store).await, expected);
}

async fn read_piece_by_piece(store: &dyn Store) {
    let house = House::build(store).await;
    let mut given = Vec::new();
    for number in 0..9 {
        let vault = house.vault(&number.to_string());
        let event = house.event(&vault, Action::Created);
        given.push(event.to_canonical().unwrap());
        store.vault_insert(house.account, vault, None, event).await.unwrap();
    }
    // The bytes that are kept are those that were given: the tree is over them.
    let kept = store.audit_list(1, 1000).await.unwrap();
    assert_eq!(kept.iter().map(|record| record.canonical.clone()).collect::<Vec<_>>(), given);
    let all = store.audit_list(0, 1000).await.unwrap();
    for limit in [1, 3, 10, 11] {
        let mut pieces = Vec::new();
        while let Some(after) = Some(pieces.len() as u64) {
            let piece = store.audit_list(after, limit).await.unwrap();
            assert!(piece.len() <= limit);
            if piece.is_empty() {
                break;
            }
            pieces.extend(piece);
        }
        assert_eq!(pieces, all, "in pieces of {limit}");
    }
    let mut tree = Tree::default();
    for record in &all {
        tree.append(record.hash(), |_| Ok::<_, Infallible>(())).unwrap();
    }
    assert_eq!(store.audit_head().await.unwrap(), Head::from(&tree));
}

/// Hashes of all levels, from blocks that are full and from the edge, from anywhere on.
async fn hashes_are_read_by_level(store: &dyn Store) {
    let house = House::build(store).await;
    let mut levels: Vec<Vec<Digest>> = vec![Vec::new(); 3];
    let mut tree = Tree::default();
    let user = house.add_service_user("robot").await;
    let events = |count| (0..count).map(|_| house.event(&user, Action::Updated)).collect::<Vec<_>>();
    for count in [1, 10, 300, 7] {
        store.secret_resolved(house.account, events(count)).await.unwrap();
    }
    for record in store.audit_list(0, 1000).await.unwrap() {
        levels[0].push(record.hash());
        let keep = |block: Block<'_>| {
            levels[block.level as usize + 1].push(block.root);
            Ok::<_, Infallible>(())
        };
        tree.append(record.hash(), keep).unwrap();
    }
    assert_eq!(levels.iter().map(Vec::len).collect::<Vec<_>>(), [320, 20, 1]);
    for (level, hashes) in levels.iter().enumerate() {
        for first in 0..hashes.len() + 2 {
            for count in [0, 1, 3, BLOCK, 100] {
                let found = store.audit_hashes(level as u32, first as u64, count as u64).await.unwrap();
                let expected: Vec<Digest> = hashes.iter().skip(first).take(count).copied().collect();
                assert_eq!(found, expected, "level {level}, {count} from {first}");
            }
        }
    }
}

async fn old_records_are_pruned(store: &dyn Store) {
    let house = House::build(store).await;
    let user = house.add_service_user("robot").await;
    let events = (0..60).map(|_| house.event(&user, Action::Updated)).collect();
    store.secret_resolved(house.account, events).await.unwrap();
    let hashes = store.audit_hashes(0, 0, 100).await.unwrap();
    let end = store.audit_head().await.unwrap().sequence;
    let told = |upto| house.event(Object::AuditLog { upto, root: [0; 32] }, Action::Pruned);
    assert_eq!(store.audit_pruned().await.unwrap(), 0);
    for (from, upto) in [(16, 32), (0, end + 1)] {
        let refused = store.audit_prune(from, upto, told(upto)).await;
        assert!(matches!(refused, Err(Error::Stale)), "{from} to {upto}: {refused:?}");
    }
    assert_eq!(store.audit_head().await.unwrap().sequence, end, "what is refused is not told");
    for (from, upto) in [(0, 16), (16, 48)] {
        store.audit_prune(from, upto, told(upto)).await.unwrap();
        assert_eq!(store.audit_pruned().await.unwrap(), upto);
        let numbers: Vec<u64> =
            store.audit_list(0, 100).await.unwrap().iter().map(|record| record.sequence).collect();
        let last = store.audit_head().await.unwrap().sequence;
        assert_eq!(numbers, (upto + 1..=last).collect::<Vec<_>>());
        assert_eq!(store.audit_hashes(0, 0, hashes.len() as u64).await.unwrap(), hashes);
    }
    assert_eq!(store.counts().await.unwrap().events, end + 2);
}
