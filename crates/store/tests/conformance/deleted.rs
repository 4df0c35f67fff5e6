//! What was deleted: that it is out of the way, that it comes back as it was, and that it goes for good.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use strongroom_domain::audit::Action;
use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
use strongroom_domain::error::Noun;
use strongroom_domain::grant::Grant;
use strongroom_domain::ids::SecretId;
use strongroom_domain::page::Query;
use strongroom_domain::secret::Secret;
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};

use super::house::{House, id_taken, page, stale};
use super::versions::written;
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    a_deleted_secret_is_out_of_the_way_and_comes_back_as_it_was,
    a_deleted_vault_is_out_of_the_way_and_comes_back_as_it_was,
    nothing_comes_back_twice,
    a_name_that_is_taken_stays_with_who_has_it,
    limits_count_what_is_there,
    a_vault_that_changed_takes_nothing_back,
    a_purged_secret_is_gone_for_good,
    a_vault_goes_after_its_deleted_secrets,
    secrets_that_go_with_a_vault_stay_once_it_is_back,
    a_vault_of_deleted_secrets_is_kept_for_them,
    an_id_of_something_deleted_is_taken,
    both_kinds_are_listed_in_one_order,
    a_secret_and_a_vault_of_one_id_are_both_listed,
    the_list_is_limited_to_a_scope,
    what_is_due_is_found_oldest_first,
];

pub(crate) fn deletion(house: &House<'_>, hours: i64) -> Deletion {
    Deletion { at: house.stamp().at + SignedDuration::from_hours(hours), by: house.user }
}

pub(crate) async fn delete_secret(house: &House<'_>, secret: &Secret, deletion: Deletion) {
    let event = house.event(secret, Action::Deleted);
    let secret = Arc::new(secret.clone());
    house.store.secret_delete(house.account, secret, deletion, true, event).await.unwrap();
}

pub(crate) async fn delete_vault(house: &House<'_>, vault: &Vault, deletion: Deletion) {
    let event = house.event(vault, Action::Deleted);
    let vault = Arc::new(vault.clone());
    house.store.vault_delete(house.account, vault, deletion, true, event).await.unwrap();
}

/// Brings a secret back as the next revision of what it was.
pub(crate) async fn bring_back(
    house: &House<'_>,
    vault: &Vault,
    secret: &Secret,
    max: Option<u64>,
) -> Result<()> {
    let event = house.event(secret, Action::Undeleted);
    house.store.secret_undelete(house.account, Arc::new(vault.clone()), secret.clone(), max, event).await
}

async fn bring_vault_back(house: &House<'_>, vault: &Vault, max: Option<u64>) -> Result<()> {
    let event = house.event(vault, Action::Undeleted);
    house.store.vault_undelete(house.account, vault.clone(), max, event).await
}

pub(crate) async fn purge(house: &House<'_>, secrets: &[&Secret]) -> Result<()> {
    let which = secrets.iter().map(|secret| (secret.id, secret.revision)).collect();
    let events = secrets.iter().map(|secret| house.event(*secret, Action::Purged)).collect();
    house.store.secrets_purge(house.account, which, None, events).await
}

pub(crate) async fn purge_vault(house: &House<'_>, vault: &Vault) -> Result<()> {
    let event = house.event(vault, Action::Purged);
    house.store.vault_purge(house.account, vault.id, vault.revision, event).await
}

fn next(secret: &Secret) -> Secret {
    Secret { revision: secret.revision + 1, ..secret.clone() }
}

async fn a_deleted_secret_is_out_of_the_way_and_comes_back_as_it_was(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = written(&house, &vault, "secret", 3, 10).await;
    let kept = store.version_kept(house.account, secret.id).await.unwrap();
    let versions = async || {
        let which = (1..=3).map(|number| (secret.id, number)).collect();
        store.version_list(house.account, which).await.unwrap()
    };
    let before = versions().await;
    assert!(before.iter().all(Option::is_some));
    let mark = deletion(&house, 5);
    delete_secret(&house, &secret, mark).await;
    assert_eq!(store.secret_find(house.account, secret.id).await.unwrap(), None);
    assert_eq!(versions().await, [None, None, None], "its values are not to be read");
    assert_eq!(store.version_find(house.account, secret.id, 3).await.unwrap(), None);
    assert_eq!(store.version_kept(house.account, secret.id).await.unwrap(), []);
    assert_eq!(store.counts().await.unwrap().secrets, 0);
    let found = store.deleted_secret_find(house.account, secret.id).await.unwrap();
    assert_eq!(found, Some(Deleted { was: secret.clone(), deletion: mark }));
    // The name is free at once.
    let other = house.add_secret(&vault, "secret").await;
    house.secret_delete(&other).await.unwrap();
    let back = next(&secret);
    bring_back(&house, &vault, &back, None).await.unwrap();
    assert_eq!(store.secret_find(house.account, secret.id).await.unwrap().as_deref(), Some(&back));
    assert_eq!(versions().await, before);
    assert_eq!(store.version_kept(house.account, secret.id).await.unwrap(), kept);
    assert_eq!(store.deleted_secret_find(house.account, secret.id).await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().secrets, 1);
}

async fn a_deleted_vault_is_out_of_the_way_and_comes_back_as_it_was(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mark = deletion(&house, 5);
    store.vault_find(house.account, vault.id).await.unwrap();
    delete_vault(&house, &vault, mark).await;
    assert_eq!(store.vault_find(house.account, vault.id).await.unwrap(), None);
    assert_eq!(store.vault_find_by_name(house.account, "vault").await.unwrap(), None);
    let found = store.deleted_vault_find(house.account, vault.id).await.unwrap();
    assert_eq!(found, Some(Deleted { was: vault.clone(), deletion: mark }));
    let counts = store.counts().await.unwrap();
    let back = Vault { revision: 2, ..vault };
    bring_vault_back(&house, &back, None).await.unwrap();
    assert_eq!(store.vault_find(house.account, back.id).await.unwrap().as_deref(), Some(&back));
    assert_eq!(store.deleted_vault_find(house.account, back.id).await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().vaults, counts.vaults + 1);
}

async fn nothing_comes_back_twice(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    let other = house.add_vault("other").await;
    let never = house.secret(&vault, "never");
    house.refuses("never deleted", stale, bring_back(&house, &vault, &next(&secret), None)).await;
    house.refuses("never made", stale, bring_back(&house, &vault, &next(&never), None)).await;
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    delete_vault(&house, &other, deletion(&house, 0)).await;
    let wrong = Secret { revision: 7, ..secret.clone() };
    house.refuses("another revision", stale, bring_back(&house, &vault, &wrong, None)).await;
    bring_back(&house, &vault, &next(&secret), None).await.unwrap();
    house.refuses("twice", stale, bring_back(&house, &vault, &next(&secret), None)).await;
    let back = Vault { revision: 2, ..other };
    bring_vault_back(&house, &back, None).await.unwrap();
    house.refuses("a vault twice", stale, bring_vault_back(&house, &back, None)).await;
}

async fn a_name_that_is_taken_stays_with_who_has_it(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    house.add_secret(&vault, "secret").await;
    let taken = |error: &Error| matches!(error, Error::NotUnique(Noun::Secret));
    house.refuses("taken", taken, bring_back(&house, &vault, &next(&secret), None)).await;
    assert!(store.deleted_secret_find(house.account, secret.id).await.unwrap().is_some(), "it is still kept");
    let renamed = Secret { name: "another".to_owned(), ..next(&secret) };
    bring_back(&house, &vault, &renamed, None).await.unwrap();
    let other = house.add_vault("other").await;
    delete_vault(&house, &other, deletion(&house, 0)).await;
    house.add_vault("other").await;
    let taken = |error: &Error| matches!(error, Error::NotUnique(Noun::Vault));
    let back = Vault { revision: 2, ..other };
    house.refuses("a vault's name", taken, bring_vault_back(&house, &back, None)).await;
    bring_vault_back(&house, &Vault { name: "free".to_owned(), ..back }, None).await.unwrap();
}

async fn limits_count_what_is_there(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let (one, two) = (house.add_secret(&vault, "1").await, house.add_secret(&vault, "2").await);
    delete_secret(&house, &one, deletion(&house, 0)).await;
    let full = |error: &Error| matches!(error, Error::LimitReached { noun: Noun::Secret, max: 1, .. });
    house.refuses("full", full, bring_back(&house, &vault, &next(&one), Some(1))).await;
    delete_secret(&house, &two, deletion(&house, 0)).await;
    bring_back(&house, &vault, &next(&one), Some(1)).await.unwrap();
    let other = house.add_vault("other").await;
    delete_vault(&house, &other, deletion(&house, 0)).await;
    let full = |error: &Error| matches!(error, Error::LimitReached { noun: Noun::Vault, max: 1, .. });
    let back = Vault { revision: 2, ..other };
    house.refuses("vaults", full, bring_vault_back(&house, &back, Some(1))).await;
    bring_vault_back(&house, &back, Some(2)).await.unwrap();
}

async fn a_vault_that_changed_takes_nothing_back(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    let renamed = Vault { name: "new".to_owned(), revision: 2, ..vault.clone() };
    house.vault_update(&renamed).await.unwrap();
    house.refuses("renamed", stale, bring_back(&house, &vault, &next(&secret), None)).await;
    let told = store.deleted_secret_find(house.account, secret.id).await.unwrap().unwrap();
    assert_eq!(told.was.vault_name, "new", "it is told under the name that its vault has now");
    delete_vault(&house, &renamed, deletion(&house, 0)).await;
    house.refuses("deleted", stale, bring_back(&house, &renamed, &next(&secret), None)).await;
    let told = store.deleted_secret_find(house.account, secret.id).await.unwrap().unwrap();
    assert_eq!(told.was.vault_name, "new", "and that it had");
}

async fn a_purged_secret_is_gone_for_good(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let (one, two) = (house.add_secret(&vault, "1").await, house.add_secret(&vault, "2").await);
    house.refuses("not deleted", stale, purge(&house, &[&one])).await;
    delete_secret(&house, &one, deletion(&house, 0)).await;
    house.refuses("one is not deleted", stale, purge(&house, &[&one, &two])).await;
    assert!(store.deleted_secret_find(house.account, one.id).await.unwrap().is_some());
    delete_secret(&house, &two, deletion(&house, 0)).await;
    purge(&house, &[&one, &two]).await.unwrap();
    for secret in [&one, &two] {
        assert_eq!(store.deleted_secret_find(house.account, secret.id).await.unwrap(), None);
        house.refuses("back", stale, bring_back(&house, &vault, &next(secret), None)).await;
    }
    house.refuses("again", stale, purge(&house, &[&one])).await;
}

async fn a_vault_goes_after_its_deleted_secrets(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    let full = |error: &Error| matches!(error, Error::NotEmpty);
    let event = house.event(&vault, Action::Deleted);
    let delete = store.vault_delete(house.account, Arc::new(vault.clone()), deletion(&house, 0), true, event);
    house.refuses("not empty", full, delete).await;
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    house.refuses("not deleted", full, purge_vault(&house, &vault)).await;
    delete_vault(&house, &vault, deletion(&house, 0)).await;
    house.refuses("its secret is kept", full, purge_vault(&house, &vault)).await;
    assert_eq!(store.deleted_secrets_of(house.account, vault.id, 10).await.unwrap().len(), 1);
    purge(&house, &[&secret]).await.unwrap();
    assert_eq!(store.deleted_secrets_of(house.account, vault.id, 10).await.unwrap().len(), 0);
    purge_vault(&house, &vault).await.unwrap();
    house.refuses("again", stale, purge_vault(&house, &vault)).await;
    assert_eq!(store.deleted_vault_find(house.account, vault.id).await.unwrap(), None);
}

async fn secrets_that_go_with_a_vault_stay_once_it_is_back(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    let purge_with = async |revision| {
        let (which, events) =
            (vec![(secret.id, secret.revision)], vec![house.event(&secret, Action::Purged)]);
        store.secrets_purge(house.account, which, Some((vault.id, revision)), events).await
    };
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    house.refuses("never deleted", stale, purge_with(1)).await;
    delete_vault(&house, &vault, deletion(&house, 0)).await;
    house.refuses("another revision", stale, purge_with(2)).await;
    let back = Vault { revision: 2, ..vault.clone() };
    bring_vault_back(&house, &back, None).await.unwrap();
    house.refuses("back", stale, purge_with(1)).await;
    assert!(store.deleted_secret_find(house.account, secret.id).await.unwrap().is_some());
    delete_vault(&house, &back, deletion(&house, 0)).await;
    house.refuses("deleted again", stale, purge_with(1)).await;
    purge_with(2).await.unwrap();
    assert_eq!(store.deleted_secret_find(house.account, secret.id).await.unwrap(), None);
}

/// Where nothing is kept: a vault that went with its key would leave secrets behind that nobody can open.
async fn a_vault_of_deleted_secrets_is_kept_for_them(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let secret = house.add_secret(&one, "secret").await;
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    for (vault, kept) in [(&one, true), (&two, false)] {
        house.vault_delete(vault).await.unwrap();
        let found = store.deleted_vault_find(house.account, vault.id).await.unwrap();
        assert_eq!(found.is_some(), kept, "{}", vault.name);
    }
}

async fn an_id_of_something_deleted_is_taken(store: &dyn Store) {
    let house = House::build(store).await;
    let (vault, other) = (house.add_vault("vault").await, house.add_vault("other").await);
    let secret = house.add_secret(&vault, "secret").await;
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    delete_vault(&house, &other, deletion(&house, 0)).await;
    house.refuses("a secret's", id_taken, house.secret_insert(&vault, &secret)).await;
    house.refuses("a vault's", id_taken, house.vault_insert(&other)).await;
}

async fn both_kinds_are_listed_in_one_order(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        if number % 3 == 0 {
            let other = house.add_vault(&format!("v{number}")).await;
            delete_vault(&house, &other, deletion(&house, number)).await;
            ids.push(other.id.ksuid());
        } else {
            let secret = house.add_secret(&vault, &format!("s{number}")).await;
            delete_secret(&house, &secret, deletion(&house, number)).await;
            ids.push(secret.id.ksuid());
        }
    }
    ids.reverse();
    for limit in 1..=8 {
        let (mut before, mut found) = (None, Vec::new());
        loop {
            let Leftovers { secrets, vaults, more } =
                store.deleted_list(house.account, page(before, limit)).await.unwrap();
            let secrets = secrets.iter().map(|secret| secret.was.id.ksuid());
            let mut shown: Vec<_> = secrets.chain(vaults.iter().map(|vault| vault.was.id.ksuid())).collect();
            shown.sort_unstable_by(|a, b| b.cmp(a));
            assert!(shown.len() <= limit as usize && (!more || shown.len() == limit as usize));
            before = shown.last().copied();
            found.extend(shown);
            if !more {
                break;
            }
        }
        assert_eq!(found, ids, "limit {limit}");
    }
}

/// Ids are of a kind: those of two kinds may be the same, when they are brought along. The next page would begin after both.
async fn a_secret_and_a_vault_of_one_id_are_both_listed(store: &dyn Store) {
    let house = House::build(store).await;
    let (older, vault) = (house.add_vault("older").await, house.add_vault("vault").await);
    let home = house.add_vault("home").await;
    let secret = Secret { id: SecretId::new(vault.id.ksuid()), ..house.secret(&home, "secret") };
    house.secret_insert(&home, &secret).await.unwrap();
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    for vault in [&older, &vault] {
        delete_vault(&house, vault, deletion(&house, 0)).await;
    }
    let list = async |before| {
        let found = store.deleted_list(house.account, page(before, 1)).await.unwrap();
        (found.secrets.len(), found.vaults.len(), found.more)
    };
    assert_eq!(list(None).await, (1, 1, true));
    assert_eq!(list(Some(vault.id.ksuid())).await, (0, 1, false));
}

async fn the_list_is_limited_to_a_scope(store: &dyn Store) {
    let house = House::build(store).await;
    let (prod, dev) = (house.add_vault("prod").await, house.add_vault("dev").await);
    for vault in [&prod, &dev] {
        for name in ["tls-key", "db"] {
            let secret = house.add_secret(vault, name).await;
            delete_secret(&house, &secret, deletion(&house, 0)).await;
        }
    }
    delete_vault(&house, &dev, deletion(&house, 0)).await;
    for (grants, expected) in [
        (&["read *:*"][..], (4, 1)),
        (&["read prod:tls-*"], (1, 0)),
        (&["read dev:db"], (1, 1)),
        (&["read staging:*"], (0, 0)),
        (&[], (0, 0)),
    ] {
        let scope = grants.iter().map(|grant| grant.parse::<Grant>().unwrap().target().unwrap().clone());
        let query = Query { scope: Some(scope.collect()), ..page(None, 100) };
        let found = store.deleted_list(house.account, query).await.unwrap();
        assert_eq!((found.secrets.len(), found.vaults.len()), expected, "{grants:?}");
    }
}

async fn what_is_due_is_found_oldest_first(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mut secrets = Vec::new();
    for (name, hours) in [("c", 3), ("a", 1), ("b", 2)] {
        let secret = house.add_secret(&vault, name).await;
        delete_secret(&house, &secret, deletion(&house, hours)).await;
        secrets.push(name);
    }
    delete_vault(&house, &vault, deletion(&house, 3)).await;
    let at = |hours: i64| house.stamp().at + SignedDuration::from_hours(hours);
    let due = async |by: Timestamp, limit| {
        let due = store.deleted_due(house.account, by, limit).await.unwrap();
        let names: Vec<_> = due.secrets.iter().map(|secret| secret.was.name.clone()).collect();
        (names.join(" "), due.vaults.len())
    };
    assert_eq!(due(at(1) - SignedDuration::from_secs(1), 10).await, (String::new(), 0));
    assert_eq!(due(at(1), 10).await, ("a".to_owned(), 0));
    assert_eq!(due(at(3), 10).await, ("a b c".to_owned(), 1));
    assert_eq!(due(at(3), 2).await, ("a b".to_owned(), 1));
}
