//! The account, its users and their credentials; and that no other account finds anything.

use std::sync::Arc;

use strongroom_domain::audit::Action;
use strongroom_domain::caller::Role;
use strongroom_domain::ids::{AccountId, ApiKeyId, PrincipalId, ServiceUserId};
use strongroom_domain::store::{ApiKeysOf, Store};

use super::house::{House, comparable, page, stale};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    an_empty_store_has_no_account,
    the_account_is_kept_as_it_was_given,
    there_is_one_account,
    users_are_found_by_their_address,
    a_credential_tells_its_owner,
    a_key_needs_an_owner,
    another_account_finds_nothing,
    another_account_changes_nothing,
    the_counts_count,
];

async fn an_empty_store_has_no_account(store: &dyn Store) {
    assert_eq!(store.account_find().await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().events, 0);
}

async fn the_account_is_kept_as_it_was_given(store: &dyn Store) {
    let house = House::build(store).await;
    let (account, user, _) = house.founding();
    assert_eq!(store.account_find().await.unwrap(), Some(account));
    assert_eq!(store.user_find(house.account, &user.email).await.unwrap(), Some(user));
}

async fn there_is_one_account(store: &dyn Store) {
    let house = House::build(store).await;
    let (account, user, key) = house.founding();
    let event = house.event(&key, Action::Created);
    let again = store.account_insert(account, user, key, Vec::new(), vec![event]);
    house.refuses("a second account", stale, again).await;
}

async fn users_are_found_by_their_address(store: &dyn Store) {
    let house = House::build(store).await;
    for other in ["", "First@example.com", "first@example.co", "first@example.com "] {
        assert_eq!(store.user_find(house.account, other).await.unwrap(), None, "{other:?}");
    }
    let active = store.principal_is_active(house.account, house.user).await.unwrap();
    assert_eq!(active, Some(true));
    let unknown = PrincipalId::ServiceUser(ServiceUserId::new(house.stamp().ksuid));
    assert_eq!(store.principal_is_active(house.account, unknown).await.unwrap(), None);
}

async fn a_credential_tells_its_owner(store: &dyn Store) {
    let house = House::build(store).await;
    let robot = house.add_service_user("robot").await;
    let of_robot = house.add_api_key(PrincipalId::ServiceUser(robot.id), "robot's").await;
    let of_user = house.add_api_key(house.user, "user's").await;
    let expected = [(of_robot, "robot", Role::Developer), (of_user, "first@example.com", Role::Admin)];
    for (key, subject, role) in expected {
        let found = store.credential_find(key.id).await.unwrap().expect(subject);
        assert_eq!(comparable(&found.key), comparable(&key));
        let told = (found.account, found.subject.as_str(), found.role, found.active);
        assert_eq!(told, (house.account, subject, role, true));
    }
    let unknown = ApiKeyId::new(house.stamp().ksuid);
    assert!(store.credential_find(unknown).await.unwrap().is_none());
}

async fn a_key_needs_an_owner(store: &dyn Store) {
    let house = House::build(store).await;
    let nobody = PrincipalId::ServiceUser(ServiceUserId::new(house.stamp().ksuid));
    let key = house.api_key(nobody, "nobody's");
    house.refuses("a key of nobody's", stale, house.api_key_insert(&key)).await;
    assert!(store.credential_find(key.id).await.unwrap().is_none());
}

/// A store may say that it does not know the account, or that there is nothing; it may not show anything.
async fn another_account_finds_nothing(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    let user = house.add_service_user("robot").await;
    let (_, _, key) = house.founding();
    house.api_key_insert(&key).await.unwrap();
    let other = AccountId::new(house.stamp().ksuid);
    // Looked up by the rightful account first, so that what a cache keeps is there to be found.
    house.shown().await;
    store.vault_find(house.account, vault.id).await.unwrap().expect("the vault");
    store.secret_find(house.account, secret.id).await.unwrap().expect("the secret");

    let all = || page(None, 100);
    let principal = PrincipalId::ServiceUser(user.id);
    let seen = [
        ("user", store.user_find(other, "first@example.com").await.is_ok_and(|found| found.is_some())),
        ("principal", store.principal_is_active(other, principal).await.is_ok_and(|found| found.is_some())),
        ("vault", store.vault_find(other, vault.id).await.is_ok_and(|found| found.is_some())),
        ("vault name", store.vault_find_by_name(other, "vault").await.is_ok_and(|found| found.is_some())),
        ("vaults", store.vault_list(other, all()).await.is_ok_and(|list| !list.items.is_empty())),
        ("secret", store.secret_find(other, secret.id).await.is_ok_and(|found| found.is_some())),
        ("secrets", store.secret_list(other, None, all()).await.is_ok_and(|list| !list.items.is_empty())),
        ("value", store.version_find(other, secret.id, 1).await.is_ok_and(|found| found.is_some())),
        ("key", store.api_key_find(other, key.id).await.is_ok_and(|found| found.is_some())),
        (
            "keys",
            store
                .api_key_list(other, ApiKeysOf::Account, all())
                .await
                .is_ok_and(|list| !list.items.is_empty()),
        ),
        ("service user", store.service_user_find(other, user.id).await.is_ok_and(|found| found.is_some())),
        ("service users", store.service_user_list(other, all()).await.is_ok_and(|l| !l.items.is_empty())),
    ];
    let found: Vec<_> = seen.iter().filter(|(_, found)| *found).map(|(what, _)| what).collect();
    assert!(found.is_empty(), "another account sees {found:?}");
}

async fn another_account_changes_nothing(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    let user = house.add_service_user("robot").await;
    let key = house.add_api_key(house.user, "key").await;
    let empty = house.add_vault("empty").await;
    let other = AccountId::new(house.stamp().ksuid);
    let before = house.shown().await;

    let (mut new_vault, mut new_secret, mut new_key, mut new_user) =
        (vault.clone(), secret.clone(), key.clone(), user.clone());
    (new_vault.revision, new_secret.revision, new_key.revision, new_user.revision) = (2, 2, 2, 2);
    let (updated, deleted) = (Action::Updated, Action::Deleted);
    let (version, mark) = (house.version(&secret), house.deletion());
    let results = [
        store.vault_update(other, new_vault, house.event(&vault, updated)).await,
        store.vault_delete(other, Arc::new(empty.clone()), mark, true, house.event(&empty, deleted)).await,
        store
            .secret_insert(
                other,
                Arc::new(vault.clone()),
                house.secret(&vault, "foreign"),
                version.clone(),
                None,
                house.event(&secret, Action::Created).into(),
            )
            .await,
        store.secret_update(other, new_secret, Some(version), 10, house.event(&secret, updated)).await,
        store.secret_delete(other, Arc::new(secret.clone()), mark, true, house.event(&secret, deleted)).await,
        store.api_key_update(other, new_key, house.event(&key, updated)).await,
        store.api_key_delete(other, key.id, 1, house.event(&key, deleted)).await,
        store.service_user_update(other, new_user, house.event(&user, updated)).await,
        store.service_user_delete(other, user.id, 1, vec![], vec![house.event(&user, deleted)]).await,
    ];
    for (place, result) in results.iter().enumerate() {
        assert!(result.is_err(), "change {place} by another account was done");
    }
    assert_eq!(house.shown().await, before);
}

async fn the_counts_count(store: &dyn Store) {
    let house = House::build(store).await;
    let numbers = async || {
        let counts = store.counts().await.unwrap();
        assert!(counts.bytes > Some(0), "a store takes room: {counts:?}");
        assert!(counts.commits <= counts.changes, "a commit holds a change at least: {counts:?}");
        (counts.vaults, counts.secrets, counts.api_keys, counts.events)
    };
    assert_eq!(numbers().await, (0, 0, 1, 1));
    store.ready().await.unwrap();
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let secret = house.add_secret(&one, "a").await;
    house.add_secret(&one, "b").await;
    let user = house.add_service_user("robot").await;
    let owner = PrincipalId::ServiceUser(user.id);
    let (first, second) = (house.add_api_key(owner, "1").await, house.add_api_key(owner, "2").await);
    assert_eq!(numbers().await, (2, 2, 3, 8));
    house.secret_delete(&secret).await.unwrap();
    house.vault_delete(&two).await.unwrap();
    house.service_user_delete(&user, &[second.id, first.id]).await.unwrap();
    assert_eq!(numbers().await, (1, 1, 1, 11));
    house.vault_insert(&one).await.expect_err("the name is taken");
    assert_eq!(numbers().await, (1, 1, 1, 11), "a failed change was counted");
}
