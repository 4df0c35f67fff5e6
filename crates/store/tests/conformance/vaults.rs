//! Vaults.

use strongroom_domain::Error;
use strongroom_domain::audit::Action;
use strongroom_domain::error::Noun;
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;

use super::house::{House, assert_pages, filtered, id_taken, stale};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    kept_as_given,
    names_are_unique,
    ids_are_unique,
    no_more_than_allowed,
    an_update_replaces_all_but_the_origin,
    updates_are_based_on_the_last_revision,
    a_deleted_one_is_gone,
    one_that_holds_secrets_stays,
    listed_newest_first,
    filtered_by_every_field,
];

pub(super) fn taken(error: &Error) -> bool {
    matches!(error, Error::NotUnique(Noun::Vault))
}

async fn kept_as_given(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("büro/ключ.1").await;
    house.add_vault("other").await;
    assert_eq!(store.vault_find(house.account, vault.id).await.unwrap().as_deref(), Some(&vault));
    let by_name = store.vault_find_by_name(house.account, &vault.name).await.unwrap();
    assert_eq!(by_name.as_deref(), Some(&vault));
    let unknown = house.vault("unknown");
    assert!(store.vault_find(house.account, unknown.id).await.unwrap().is_none());
    // Names are told apart by every byte.
    for name in ["unknown", "OTHER", "other ", "othe", "", "%"] {
        assert!(store.vault_find_by_name(house.account, name).await.unwrap().is_none(), "{name:?}");
    }
}

async fn names_are_unique(store: &dyn Store) {
    let house = House::build(store).await;
    let first = house.add_vault("same").await;
    let mut second = house.add_vault("other").await;
    house.refuses("insert", taken, house.vault_insert(&house.vault("same"))).await;
    (second.name, second.revision) = ("same".to_owned(), 2);
    house.refuses("update", taken, house.vault_update(&second)).await;
    // Names that differ in case alone are two.
    house.add_vault("SAME").await;
    // A name that is given up can be taken.
    house.vault_delete(&first).await.unwrap();
    house.vault_update(&second).await.unwrap();
}

async fn ids_are_unique(store: &dyn Store) {
    let house = House::build(store).await;
    let first = house.add_vault("first").await;
    let second = Vault { id: first.id, ..house.vault("second") };
    house.refuses("an id that exists", id_taken, house.vault_insert(&second)).await;
}

async fn no_more_than_allowed(store: &dyn Store) {
    let house = House::build(store).await;
    let insert = async |name: &str, max| {
        let vault = house.vault(name);
        let event = house.event(&vault, Action::Created);
        store.vault_insert(house.account, vault, max, event.into()).await
    };
    let full =
        |error: &Error| matches!(error, Error::LimitReached { noun: Noun::Vault, max: 2, vault: None });
    insert("1", Some(2)).await.unwrap();
    insert("2", Some(2)).await.unwrap();
    house.refuses("a third", full, insert("3", Some(2))).await;
    let second = store.vault_find_by_name(house.account, "2").await.unwrap().unwrap();
    house.vault_delete(&second).await.unwrap();
    insert("3", Some(2)).await.unwrap();
    insert("4", None).await.unwrap();
}

async fn an_update_replaces_all_but_the_origin(store: &dyn Store) {
    let house = House::build(store).await;
    let old = house.add_vault("old").await;
    let at = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let user = house.add_service_user("robot").await;
    let new = Vault {
        name: "new".to_owned(),
        description: String::new(),
        metadata: "{}".to_owned(),
        updated_at: at,
        last_updated_by: strongroom_domain::ids::PrincipalId::ServiceUser(user.id),
        revision: 2,
        ..old.clone()
    };
    let secret = house.add_secret(&old, "inside").await;
    // Looked up before, so that what a cache keeps has to go.
    store.vault_find(house.account, old.id).await.unwrap();
    store.secret_find(house.account, secret.id).await.unwrap();
    house.vault_update(&new).await.unwrap();
    assert_eq!(store.vault_find(house.account, new.id).await.unwrap().as_deref(), Some(&new));
    assert!(store.vault_find_by_name(house.account, "old").await.unwrap().is_none());
    let inside = store.secret_find(house.account, secret.id).await.unwrap().unwrap();
    assert_eq!(inside.vault_name, "new", "a secret shows its vault's name as it is now");
}

async fn updates_are_based_on_the_last_revision(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    for revision in [0, 1, 3, u64::from(u32::MAX)] {
        let wrong = Vault { description: "wrong".to_owned(), revision, ..vault.clone() };
        house.refuses(&format!("update to {revision}"), stale, house.vault_update(&wrong)).await;
    }
    house.vault_update(&Vault { revision: 2, ..vault.clone() }).await.unwrap();
    for revision in [0, 1, 3] {
        let wrong = Vault { revision, ..vault.clone() };
        house.refuses(&format!("delete of {revision}"), stale, house.vault_delete(&wrong)).await;
    }
    let gone = Vault { revision: 2, ..house.vault("gone") };
    house.refuses("update of nothing", stale, house.vault_update(&gone)).await;
    house.refuses("delete of nothing", stale, house.vault_delete(&gone)).await;
}

async fn a_deleted_one_is_gone(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    store.vault_find(house.account, vault.id).await.unwrap();
    house.vault_delete(&vault).await.unwrap();
    assert!(store.vault_find(house.account, vault.id).await.unwrap().is_none());
    assert!(store.vault_find_by_name(house.account, "vault").await.unwrap().is_none());
}

async fn one_that_holds_secrets_stays(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_secret(&vault, "secret").await;
    let not_empty = |error: &Error| matches!(error, Error::NotEmpty);
    house.refuses("delete", not_empty, house.vault_delete(&vault)).await;
    house.secret_delete(&secret).await.unwrap();
    house.vault_delete(&vault).await.unwrap();
}

async fn listed_newest_first(store: &dyn Store) {
    let house = House::build(store).await;
    let mut ids = Vec::new();
    // The order of the names is not that of the ids.
    for name in ["m", "a", "z", "k", "b", "y", "c"] {
        ids.push(house.add_vault(name).await.id.ksuid());
    }
    let list = async |query| store.vault_list(house.account, query).await;
    assert_pages(&ids, list, |vault: &Vault| vault.id.ksuid()).await;
}

async fn filtered_by_every_field(store: &dyn Store) {
    let house = House::build(store).await;
    let a = house.add_vault("a").await;
    for name in ["b", "ab", "A"] {
        house.add_vault(name).await;
    }
    let cases = [
        (format!("obj.id == \"{}\"", a.id), vec!["a"]),
        (r#"obj.name == "ab""#.to_owned(), vec!["ab"]),
        (r#"obj.name == "c""#.to_owned(), vec![]),
        (r#"obj.name == "a" && obj.description.contains("of a")"#.to_owned(), vec!["a"]),
        (r#"obj.name == "a" || obj.name == "b""#.to_owned(), vec!["b", "a"]),
        (r#"obj.name.startsWith("a")"#.to_owned(), vec!["ab", "a"]),
        (r#"!(obj.name == "a")"#.to_owned(), vec!["A", "ab", "b"]),
        (r#"obj.metadata == "metadata of b""#.to_owned(), vec!["b"]),
        (r#"obj.created_at < timestamp("2020-01-01T00:00:00Z")"#.to_owned(), vec![]),
        (r#"obj.updated_at > timestamp("2020-01-01T00:00:00Z")"#.to_owned(), vec!["A", "ab", "b", "a"]),
        (format!("obj.created_by == \"{}\"", house.user), vec!["A", "ab", "b", "a"]),
    ];
    for (text, expected) in cases {
        let found = store.vault_list(house.account, filtered(Vault::FIELDS, &text)).await.unwrap();
        let names: Vec<_> = found.items.iter().map(|vault| vault.name.as_str()).collect();
        assert_eq!(names, expected, "{text}");
    }
}
