//! What resolving needs: secrets by name, many versions at once, lists that are limited to what a key is about, secrets
//! that move, and the last time that a value was given out.

use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use strongroom_crypto::SealedValue;
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::{Action, Actor, Client, Event};
use strongroom_domain::grant::{Grant, Target};
use strongroom_domain::page::Query;
use strongroom_domain::secret::{Resolved, Secret, Version};
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};

use super::house::{House, page, stale};
use super::versions::written;
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    a_secret_is_found_by_name,
    versions_come_in_the_order_asked,
    lists_are_limited_to_a_scope,
    a_moved_secret_is_in_the_other_vault_alone,
    a_move_takes_each_version_along_or_leaves_it,
    a_move_is_based_on_what_was_read,
    the_last_use_is_kept,
    unused_secrets_are_listed,
    a_deleted_secret_was_never_used,
    what_is_allowed_by_a_vaults_name_is_done_under_that_name,
];

/// Gives a value out to a key, so many hours after the secret was made.
pub(crate) async fn resolve(house: &House<'_>, key: &ApiKey, secret: &Secret, hours: i64) -> Resolved {
    let at = secret.created_at + SignedDuration::from_hours(hours);
    let mut event = resolved_event(house, key, secret);
    event.at = at;
    house.store.secret_resolved(house.account, vec![event]).await.unwrap();
    Resolved { at, by: key.id }
}

pub(crate) fn resolved_event(house: &House<'_>, key: &ApiKey, secret: &Secret) -> Event {
    let actor = Actor { credential: Some(key.id), ..Actor::on_machine(key.owner, "admin".to_owned()) };
    let client = Client::new(Ipv4Addr::LOCALHOST.into(), "test");
    Event::resolved(house.stamp(), house.account, actor, (secret, secret.version), client)
}

async fn a_secret_is_found_by_name(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let (a, b) = (house.add_secret(&one, "same").await, house.add_secret(&two, "same").await);
    let find = async |vault: &Vault, name: &str| {
        let found = store.secret_find_by_name(house.account, vault.id, name).await.unwrap();
        found.map(|secret| Secret::clone(&secret))
    };
    for _ in 0..2 {
        assert_eq!((find(&one, "same").await, find(&two, "same").await), (Some(a.clone()), Some(b.clone())));
    }
    assert_eq!((find(&one, "Same").await, find(&one, "other").await), (None, None));
    let renamed = Secret { name: "other".to_owned(), revision: 2, ..a.clone() };
    house.secret_update(&renamed, None).await.unwrap();
    assert_eq!((find(&one, "same").await, find(&one, "other").await), (None, Some(renamed)));
    house.secret_delete(&b).await.unwrap();
    assert_eq!(find(&two, "same").await, None);
}

async fn versions_come_in_the_order_asked(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mut secrets = Vec::new();
    for number in 0..40 {
        secrets.push(house.add_secret(&vault, &format!("s{number}")).await);
    }
    for count in [1, 3, 40] {
        let asked: Vec<&Secret> = secrets.iter().rev().take(count).collect();
        let which = asked.iter().flat_map(|secret| [(secret.id, 1), (secret.id, 2)]).collect();
        let found = store.version_list(house.account, which).await.unwrap();
        let expected = asked.iter().flat_map(|secret| [Some(Arc::new(house.version(secret))), None]);
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
}

fn scope(grants: &[&str]) -> Vec<Target> {
    grants.iter().map(|grant| grant.parse::<Grant>().unwrap().target().unwrap().clone()).collect()
}

async fn lists_are_limited_to_a_scope(store: &dyn Store) {
    let house = House::build(store).await;
    for vault in ["dev", "prod", "prod/eu"] {
        let vault = house.add_vault(vault).await;
        for name in ["tls-key", "tls-cert", "db.password", "TLS-key"] {
            house.add_secret(&vault, name).await;
        }
    }
    let asked = |grants: &[&str]| Query { scope: Some(scope(grants)), ..page(None, 100) };
    let cases: [(&[&str], usize, usize); 7] = [
        (&[], 0, 0),
        (&["read *:*"], 12, 3),
        (&["read prod:tls-*"], 2, 1),
        (&["read prod*:*key"], 4, 2),
        (&["read prod:tls-key", "read dev:*", "read dev:tls-*"], 5, 2),
        (&["read prod:db_password"], 0, 1),
        (&["read Prod:*"], 0, 0),
    ];
    for (grants, secrets, vaults) in cases {
        let listed = store.secret_list(house.account, None, asked(grants)).await.unwrap();
        assert_eq!(listed.items.len(), secrets, "{grants:?}");
        let within = scope(grants);
        for secret in &listed.items {
            assert!(
                within.iter().any(|target| target.covers(&secret.vault_name, &secret.name)),
                "{grants:?}"
            );
        }
        let listed = store.vault_list(house.account, asked(grants)).await.unwrap();
        assert_eq!(listed.items.len(), vaults, "{grants:?}");
        let listed = store.detail_list(house.account, None, None, asked(grants)).await.unwrap();
        assert_eq!(listed.items.len(), secrets, "{grants:?}");
    }
}

async fn relocate(house: &House<'_>, secret: &Secret, vault: &Vault, name: &str) -> Result<Secret> {
    let moved = Secret {
        vault_id: vault.id,
        vault_name: vault.name.clone(),
        name: name.to_owned(),
        revision: secret.revision + 1,
        ..secret.clone()
    };
    let (versions, event) = (resealed(house, &moved, 1), house.event(&moved, Action::Updated));
    let (from, to) = (Arc::new(secret.clone()), Arc::new(vault.clone()));
    house.store.secret_move(house.account, from, to, moved.clone(), versions, event).await.map(|()| moved)
}

/// The versions from one on, newest first, in other bytes than those that they were written with.
fn resealed(house: &House<'_>, secret: &Secret, oldest: u32) -> Vec<Version> {
    let number = |number| {
        let version = house.version(&Secret { version: number, ..secret.clone() });
        let ciphertext = [&version.sealed.ciphertext[..], b" moved"].concat();
        Version { sealed: SealedValue { ciphertext, ..version.sealed }, ..version }
    };
    (oldest..=secret.version).rev().map(number).collect()
}

async fn a_moved_secret_is_in_the_other_vault_alone(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let secret = written(&house, &one, "name", 3, 10).await;
    store.secret_find(house.account, secret.id).await.unwrap();
    let sealed = async |number| {
        let which = vec![(secret.id, number)];
        let found = store.version_list(house.account, which).await.unwrap().pop().unwrap();
        found.map(|version| version.sealed.clone())
    };
    let told = store.version_kept(house.account, secret.id).await.unwrap();
    let before = [sealed(1).await, sealed(2).await, sealed(3).await];
    let moved = relocate(&house, &secret, &two, "other").await.unwrap();
    for (number, version) in (1..).zip(resealed(&house, &moved, 1).into_iter().rev()) {
        assert_ne!(sealed(number).await, before[number as usize - 1], "sealed for the vault before");
        assert_eq!(sealed(number).await, Some(version.sealed), "version {number}");
    }
    assert_eq!(store.version_kept(house.account, secret.id).await.unwrap(), told, "who wrote it, and when");
    assert_eq!(store.secret_find(house.account, secret.id).await.unwrap().as_deref(), Some(&moved));
    let listed = async |vault: &Vault| house.secrets(Some(vault.id), page(None, 100)).await.unwrap().items;
    assert_eq!((listed(&one).await, listed(&two).await), (vec![], vec![moved]));
    house.vault_delete(&one).await.expect("the vault is empty now");
}

/// A version that was not sealed for the other vault could not be opened there.
async fn a_move_takes_each_version_along_or_leaves_it(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let secret = written(&house, &one, "name", 4, 10).await;
    let moved = Secret {
        vault_id: two.id,
        vault_name: two.name.clone(),
        revision: secret.revision + 1,
        ..secret.clone()
    };
    let go = async |versions| {
        let (from, to) = (Arc::new(secret.clone()), Arc::new(two.clone()));
        let event = house.event(&moved, Action::Updated);
        store.secret_move(house.account, from, to, moved.clone(), versions, event).await
    };
    let mut gap = resealed(&house, &moved, 2);
    gap.remove(1);
    house.refuses("one is left out", stale, go(gap)).await;
    store.version_prune(house.account, vec![(secret.id, 1)]).await.unwrap();
    house.refuses("one is gone", stale, go(resealed(&house, &moved, 1))).await;
    go(resealed(&house, &moved, 3)).await.unwrap();
    let kept = store.version_kept(house.account, secret.id).await.unwrap();
    assert_eq!(kept.iter().map(|kept| kept.number).collect::<Vec<_>>(), [4, 3]);
}

async fn a_move_is_based_on_what_was_read(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let (secret, taken) = (house.add_secret(&one, "name").await, house.add_secret(&two, "taken").await);
    let old = Secret { revision: 7, ..secret.clone() };
    let to_old = Vault { revision: 7, ..two.clone() };
    let refused = |result: Result<Secret>| result.map(drop);
    house
        .refuses("another revision", stale, async { refused(relocate(&house, &old, &two, "x").await) })
        .await;
    house
        .refuses("another vault", stale, async { refused(relocate(&house, &secret, &to_old, "x").await) })
        .await;
    let not_unique = |error: &Error| matches!(error, Error::NotUnique(_));
    house
        .refuses("a name that is taken", not_unique, async {
            refused(relocate(&house, &secret, &two, &taken.name).await)
        })
        .await;
}

async fn the_last_use_is_kept(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let (used, unused) = (house.add_secret(&vault, "used").await, house.add_secret(&vault, "unused").await);
    let (one, two) = (house.add_api_key(house.user, "1").await, house.add_api_key(house.user, "2").await);
    let find = async |secret: &Secret| store.resolved_find(house.account, secret.id).await.unwrap();
    assert_eq!(find(&used).await, None);
    let before = store.audit_head().await.unwrap().sequence;
    for (key, hours) in [(&one, 1), (&two, 2), (&one, 3)] {
        let resolved = resolve(&house, key, &used, hours).await;
        assert_eq!(find(&used).await, Some(resolved));
    }
    assert_eq!(find(&unused).await, None);
    assert_eq!(store.audit_head().await.unwrap().sequence, before + 3, "an event each");
    // The secret itself is as it was.
    assert_eq!(store.secret_find(house.account, used.id).await.unwrap().as_deref(), Some(&used));
}

async fn unused_secrets_are_listed(store: &dyn Store) {
    let house = House::build(store).await;
    let (vault, other) = (house.add_vault("vault").await, house.add_vault("other").await);
    let key = house.add_api_key(house.user, "key").await;
    let mut secrets = Vec::new();
    for number in 0..6 {
        secrets
            .push(house.add_secret(if number == 5 { &other } else { &vault }, &format!("s{number}")).await);
    }
    resolve(&house, &key, &secrets[1], 1).await;
    resolve(&house, &key, &secrets[2], 10).await;
    let listed = async |vault: Option<&Vault>, since: Option<Timestamp>, query: Query| {
        let vault = vault.map(|vault| vault.id);
        let page = store.detail_list(house.account, vault, since, query).await.unwrap();
        let names = page.items.iter().map(|detail| detail.secret.name.clone()).collect::<Vec<_>>().join(" ");
        (names, page.more)
    };
    let made = secrets[0].created_at;
    let hours = |hours| Some(made + SignedDuration::from_hours(hours));
    let all = || page(None, 100);
    assert_eq!(listed(None, None, all()).await.0, "s5 s4 s3 s2 s1 s0");
    assert_eq!(listed(None, hours(0), all()).await.0, "", "made since then");
    assert_eq!(listed(None, hours(1), all()).await.0, "s5 s4 s3 s0", "used at that very time");
    assert_eq!(listed(None, hours(5), all()).await.0, "s5 s4 s3 s1 s0");
    assert_eq!(listed(Some(&vault), hours(5), all()).await.0, "s4 s3 s1 s0");
    assert_eq!(listed(None, hours(11), all()).await.0, "s5 s4 s3 s2 s1 s0");
    // A page that would be empty is not shown as one that has another after it.
    let (first, more) = listed(None, hours(5), page(Some(secrets[3].id.ksuid()), 1)).await;
    assert_eq!((first.as_str(), more), ("s1", true));
}

async fn a_deleted_secret_was_never_used(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let key = house.add_api_key(house.user, "key").await;
    let secret = house.add_secret(&vault, "secret").await;
    resolve(&house, &key, &secret, 1).await;
    house.secret_delete(&secret).await.unwrap();
    let listed = store.detail_list(house.account, None, None, page(None, 100)).await.unwrap();
    assert!(listed.items.is_empty());
}

async fn what_is_allowed_by_a_vaults_name_is_done_under_that_name(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let secret = house.add_secret(&one, "secret").await;
    let renamed = Vault { name: "locked".to_owned(), revision: 2, ..one };
    let event = house.event(&renamed, Action::Updated);
    store.vault_update(house.account, renamed, event).await.unwrap();
    house.refuses("delete", stale, house.secret_delete(&secret)).await;
    house.refuses("move", stale, async { relocate(&house, &secret, &two, "x").await.map(drop) }).await;
    let now = Secret { vault_name: "locked".to_owned(), ..secret };
    house.secret_delete(&now).await.unwrap();
}
