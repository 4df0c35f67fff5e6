//! Secrets and their values.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_domain::Error;
use strongroom_domain::audit::Action;
use strongroom_domain::error::Noun;
use strongroom_domain::ids::PrincipalId;
use strongroom_domain::secret::Secret;
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;

use super::house::{House, assert_pages, filtered, id_taken, page, stale};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    kept_as_given,
    names_are_unique_in_a_vault,
    no_more_than_allowed,
    a_vault_that_changed_takes_no_value,
    an_update_without_a_value_keeps_the_value,
    updates_are_based_on_the_last_revision,
    a_deleted_one_is_gone_with_its_value,
    listed_newest_first_in_all_and_in_one_vault,
    filtered_by_every_field,
    the_same_name_in_many_vaults_is_listed_newest_first,
];

fn taken(error: &Error) -> bool {
    matches!(error, Error::NotUnique(Noun::Secret))
}

async fn kept_as_given(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    house.add_secret(&vault, "other").await;
    assert_eq!(store.secret_find(house.account, secret.id).await.unwrap().as_deref(), Some(&secret));
    let version = store.version_find(house.account, secret.id, 1).await.unwrap();
    assert_eq!(version, Some(house.version(&secret)));
    for number in [0, 2, u32::MAX] {
        let none = store.version_find(house.account, secret.id, number).await.unwrap();
        assert_eq!(none, None, "version {number}");
    }
    let unknown = house.secret(&vault, "unknown");
    assert!(store.secret_find(house.account, unknown.id).await.unwrap().is_none());
    assert!(store.version_find(house.account, unknown.id, 1).await.unwrap().is_none());
}

async fn names_are_unique_in_a_vault(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let first = house.add_secret(&one, "same").await;
    house.refuses("insert", taken, house.secret_insert(&one, &house.secret(&one, "same"))).await;
    house.add_secret(&two, "same").await;
    let mut second = house.add_secret(&one, "other").await;
    (second.name, second.revision, second.version) = ("same".to_owned(), 2, 2);
    let version = house.version(&second);
    house.refuses("update", taken, house.secret_update(&second, Some(version))).await;
    let copy = Secret { id: first.id, ..house.secret(&one, "new") };
    house.refuses("an id that exists", id_taken, house.secret_insert(&one, &copy)).await;
    house.secret_delete(&first).await.unwrap();
    house.secret_update(&second, None).await.unwrap();
}

async fn no_more_than_allowed(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let insert = async |vault: &Vault, name: &str, max| {
        let secret = house.secret(vault, name);
        let (version, event) = (house.version(&secret), house.event(&secret, Action::Created));
        store.secret_insert(house.account, Arc::new(vault.clone()), secret, version, max, event.into()).await
    };
    insert(&one, "1", Some(2)).await.unwrap();
    insert(&two, "2", Some(2)).await.unwrap();
    let full =
        |error: &Error| matches!(error, Error::LimitReached { noun: Noun::Secret, max: 2, vault: Some(_) });
    // The limit is the account's: another vault does not help.
    for vault in [&one, &two] {
        house.refuses("a third", full, insert(vault, "3", Some(2))).await;
    }
    insert(&one, "3", None).await.unwrap();
}

/// The value was sealed for the vault as it was: what is stored must open.
async fn a_vault_that_changed_takes_no_value(store: &dyn Store) {
    let house = House::build(store).await;
    let old = house.add_vault("old").await;
    let renamed = Vault { name: "new".to_owned(), revision: 2, ..old.clone() };
    house.vault_update(&renamed).await.unwrap();
    house.refuses("renamed", stale, house.secret_insert(&old, &house.secret(&old, "s"))).await;
    house.secret_insert(&renamed, &house.secret(&renamed, "s")).await.unwrap();
    let gone = house.add_vault("gone").await;
    house.vault_delete(&gone).await.unwrap();
    house.refuses("deleted", stale, house.secret_insert(&gone, &house.secret(&gone, "s"))).await;
    let never = house.vault("never");
    house.refuses("never made", stale, house.secret_insert(&never, &house.secret(&never, "s"))).await;
}

async fn an_update_without_a_value_keeps_the_value(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let old = house.add_secret(&vault, "old").await;
    let user = house.add_service_user("robot").await;
    store.secret_find(house.account, old.id).await.unwrap();
    let new = Secret {
        name: "new".to_owned(),
        description: String::new(),
        metadata: "{}".to_owned(),
        updated_at: Timestamp::from_second(1_800_000_000).unwrap(),
        last_updated_by: PrincipalId::ServiceUser(user.id),
        revision: 2,
        ..old.clone()
    };
    house.secret_update(&new, None).await.unwrap();
    assert_eq!(store.secret_find(house.account, old.id).await.unwrap().as_deref(), Some(&new));
    let version = store.version_find(house.account, old.id, 1).await.unwrap();
    assert_eq!(version, Some(house.version(&old)));
}

async fn updates_are_based_on_the_last_revision(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    for revision in [0, 1, 3] {
        let wrong = Secret { description: "wrong".to_owned(), version: 2, revision, ..secret.clone() };
        let update = house.secret_update(&wrong, Some(house.version(&wrong)));
        house.refuses(&format!("update to {revision}"), stale, update).await;
    }
    house.secret_update(&Secret { revision: 2, ..secret.clone() }, None).await.unwrap();
    for revision in [0, 1, 3] {
        let wrong = Secret { revision, ..secret.clone() };
        house.refuses(&format!("delete of {revision}"), stale, house.secret_delete(&wrong)).await;
    }
    let gone = Secret { revision: 2, ..house.secret(&vault, "gone") };
    house.refuses("update of nothing", stale, house.secret_update(&gone, Some(house.version(&gone)))).await;
    house.refuses("delete of nothing", stale, house.secret_delete(&gone)).await;
}

async fn a_deleted_one_is_gone_with_its_value(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let (secret, other) = (house.add_secret(&vault, "a").await, house.add_secret(&vault, "b").await);
    store.secret_find(house.account, secret.id).await.unwrap();
    house.secret_delete(&secret).await.unwrap();
    assert!(store.secret_find(house.account, secret.id).await.unwrap().is_none());
    assert_eq!(store.version_find(house.account, secret.id, 1).await.unwrap(), None);
    let kept = store.version_find(house.account, other.id, 1).await.unwrap();
    assert_eq!(kept, Some(house.version(&other)), "another secret's value went too");
}

async fn listed_newest_first_in_all_and_in_one_vault(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let (mut all, mut in_one) = (Vec::new(), Vec::new());
    for name in ["m", "a", "z", "k", "b", "y", "c"] {
        // The vaults take turns, so that a page of one skips over the other's.
        in_one.push(house.add_secret(&one, name).await.id.ksuid());
        all.extend([in_one[in_one.len() - 1], house.add_secret(&two, name).await.id.ksuid()]);
    }
    let id = |secret: &Secret| secret.id.ksuid();
    assert_pages(&all, async |query| house.secrets(None, query).await, id).await;
    let list = async |query| house.secrets(Some(one.id), query).await;
    assert_pages(&in_one, list, id).await;
    let empty = house.add_vault("empty").await;
    let none = store.secret_list(house.account, Some(empty.id), page(None, 100)).await.unwrap();
    assert!(none.items.is_empty() && !none.more);
}

async fn filtered_by_every_field(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let mut ids = Vec::new();
    for (vault, name) in [(&one, "a"), (&two, "a"), (&one, "b"), (&two, "ab")] {
        ids.push(house.add_secret(vault, name).await.id);
    }
    let everything = ["two/ab", "one/b", "two/a", "one/a"];
    let cases: [(String, Vec<&str>, Vec<&str>); 10] = [
        (r#"obj.name == "a""#.to_owned(), vec!["two/a", "one/a"], vec!["one/a"]),
        (r#"obj.name == "a" && obj.vault_name == "two""#.to_owned(), vec!["two/a"], vec![]),
        (format!("obj.name == \"a\" && obj.vault.id == \"{}\"", one.id), vec!["one/a"], vec!["one/a"]),
        (r#"obj.name == "c""#.to_owned(), vec![], vec![]),
        (r#"obj.name.contains("b")"#.to_owned(), vec!["two/ab", "one/b"], vec!["one/b"]),
        (format!("obj.id == \"{}\"", ids[1]), vec!["two/a"], vec![]),
        (format!("obj.vault.id == \"{}\"", two.id), vec!["two/ab", "two/a"], vec![]),
        (r#"obj.description == "description of b""#.to_owned(), vec!["one/b"], vec!["one/b"]),
        (r#"obj.metadata.endsWith("of a")"#.to_owned(), vec!["two/a", "one/a"], vec!["one/a"]),
        (
            format!("obj.created_by == \"{}\" && obj.created_at == obj.updated_at", house.user),
            everything.to_vec(),
            vec!["one/b", "one/a"],
        ),
    ];
    for (text, in_all, in_one) in cases {
        for (vault, expected) in [(None, in_all), (Some(one.id), in_one)] {
            let query = filtered(Secret::FIELDS, &text);
            let found = store.secret_list(house.account, vault, query).await.unwrap();
            let names: Vec<_> =
                found.items.iter().map(|secret| format!("{}/{}", secret.vault_name, secret.name)).collect();
            assert_eq!(names, expected, "{text} in {vault:?}");
        }
    }
}

/// A name that must be equal is looked up in the index of names, whose order is not that of the list.
async fn the_same_name_in_many_vaults_is_listed_newest_first(store: &dyn Store) {
    let house = House::build(store).await;
    let mut vaults = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        vaults.push(house.add_vault(name).await);
    }
    let mut ids = Vec::new();
    for place in [3, 0, 4, 1, 2] {
        ids.push(house.add_secret(&vaults[place], "same").await.id.ksuid());
        house.add_secret(&vaults[place], "noise").await;
    }
    let filter = filtered(Secret::FIELDS, r#"obj.name == "same""#).filter;
    let list = async |mut query: strongroom_domain::page::Query| {
        query.filter.clone_from(&filter);
        house.secrets(None, query).await
    };
    assert_pages(&ids, list, |secret: &Secret| secret.id.ksuid()).await;
}
