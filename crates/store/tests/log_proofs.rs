//! Proofs out of a real store, checked by another implementation of RFC 6962.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use strongroom_crypto::{LogKey, RootKey, SystemRng};
use strongroom_domain::Digest;
use strongroom_domain::app::App;
use strongroom_domain::app::audit::Log;
use strongroom_domain::audit::{Action, Actor, Event, Head, Object};
use strongroom_domain::clock::SystemClock;
use strongroom_domain::ids::{AccountId, PrincipalId, ServiceUserId, UserId};
use strongroom_domain::stamp::Stamper;
use strongroom_domain::store::Store;
use strongroom_store::sqlite::SqliteStore;

/// Past two levels of blocks, and in no way even.
const SIZE: u64 = 16 * 16 * 2 + 37;

/// A store with a log of that many events.
async fn logged(store: &SqliteStore) -> AccountId {
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let root_key = RootKey::make(&SystemRng).unwrap();
    App::install(&root_key, clock.clone(), rng.clone()).unwrap().commit(store).await.unwrap();
    let account = store.account_find().await.unwrap().unwrap().id;
    let stamper = Stamper::new(clock, rng);
    let event = || {
        let stamp = stamper.stamp().unwrap();
        let id = ServiceUserId::new(stamp.ksuid);
        let object = Object::ServiceUser { id, name: "robot".to_owned(), active: true, created_at: stamp.at };
        let actor = Actor::on_machine(PrincipalId::User(UserId::new(stamp.ksuid)), "admin".to_owned());
        Event::new(stamp, account, actor, object, Action::Updated)
    };
    let before = store.audit_head().await.unwrap().sequence;
    store.secret_resolved(account, (before..SIZE).map(|_| event()).collect()).await.unwrap();
    account
}

fn root(head: &Head) -> RootHash<Sha256> {
    RootHash::new(head.root.into(), head.sequence)
}

fn bytes(proof: &[Digest]) -> Vec<u8> {
    proof.as_flattened().to_vec()
}

#[tokio::test]
async fn another_implementation_takes_every_proof() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    let account = logged(&store).await;
    let key = LogKey::make(&SystemRng).unwrap();
    let log = Log { store: &store, account, key: &key };
    let records = store.audit_list(0, SIZE as usize).await.unwrap();
    assert_eq!(records.len() as u64, SIZE);

    for size in [1, 2, 15, 16, 17, 255, 256, 257, 300, 512, SIZE] {
        for record in records.iter().take(size as usize).step_by(if size == SIZE { 1 } else { 7 }) {
            let proved = log.inclusion(record.sequence, Some(size)).await.unwrap();
            let proof = InclusionProof::try_from_bytes(bytes(&proved.proof)).unwrap();
            let (leaf, root) = (record.sequence - 1, root(&proved.head));
            root.verify_inclusion(&record.canonical, leaf, &proof).expect("it is in the log");
            let other = (leaf + 1) % size;
            assert!(size == 1 || root.verify_inclusion(&record.canonical, other, &proof).is_err());
        }
        for from in (1..size).step_by(if size == SIZE { 1 } else { 11 }) {
            let proved = log.consistency(from, Some(size)).await.unwrap();
            let proof = ConsistencyProof::try_from_bytes(bytes(&proved.proof)).unwrap();
            root(&proved.head).verify_consistency(&root(&proved.from), &proof).expect("the log goes on");
            let forged = Head { root: [0; 32], ..proved.from };
            assert!(root(&proved.head).verify_consistency(&root(&forged), &proof).is_err());
        }
    }
}
