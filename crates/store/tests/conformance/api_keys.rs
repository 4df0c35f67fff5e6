//! API keys.

use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::Action;
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::ids::PrincipalId;
use strongroom_domain::store::{ApiKeysOf, Store};

use super::house::{House, assert_pages, comparable, filtered, stale};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    kept_as_given,
    an_update_changes_all_but_owner_and_hash,
    changes_are_based_on_the_last_revision,
    a_deleted_one_opens_nothing,
    listed_newest_first_of_all_and_of_one_owner,
    filtered_by_every_field,
];

async fn update(house: &House<'_>, key: &ApiKey) -> strongroom_domain::Result<()> {
    house.store.api_key_update(house.account, key.clone(), house.event(key, Action::Updated)).await
}

async fn kept_as_given(store: &dyn Store) {
    let house = House::build(store).await;
    let key = house.add_api_key(house.user, "key").await;
    let found = store.api_key_find(house.account, key.id).await.unwrap().expect("the key");
    assert_eq!(comparable(&found), comparable(&key));
    let unknown = house.api_key(house.user, "unknown");
    assert!(store.api_key_find(house.account, unknown.id).await.unwrap().is_none());
    // Keys have no names: two may look the same.
    house.add_api_key(house.user, "key").await;
}

async fn an_update_changes_all_but_owner_and_hash(store: &dyn Store) {
    let house = House::build(store).await;
    let robot = house.add_service_user("robot").await;
    let key = house.add_api_key(house.user, "old").await;
    store.credential_find(key.id).await.unwrap();
    let new = ApiKey {
        description: "new".to_owned(),
        metadata: String::new(),
        grants: Some("resolve prod:tls-*\nread *:*".parse().unwrap()),
        expires_at: Some(key.created_at + jiff::SignedDuration::from_hours(1)),
        client_certificate: Some(Fingerprint::of(b"a certificate")),
        revision: 2,
        // Which token is its and for whom is settled when it is made.
        owner: PrincipalId::ServiceUser(robot.id),
        hash: house.api_key(house.user, "other").hash,
        ..key.clone()
    };
    update(&house, &new).await.unwrap();
    let expected = ApiKey { owner: key.owner, hash: key.hash, ..new };
    let found = store.api_key_find(house.account, key.id).await.unwrap().unwrap();
    assert_eq!(comparable(&found), comparable(&expected));
    let credential = store.credential_find(key.id).await.unwrap().unwrap();
    assert_eq!(comparable(&credential.key), comparable(&expected), "the credential is as it was");
}

async fn changes_are_based_on_the_last_revision(store: &dyn Store) {
    let house = House::build(store).await;
    let key = house.add_api_key(house.user, "key").await;
    for revision in [0, 1, 3] {
        let wrong = ApiKey { description: "wrong".to_owned(), revision, ..key.clone() };
        house.refuses(&format!("update to {revision}"), stale, update(&house, &wrong)).await;
    }
    update(&house, &ApiKey { revision: 2, ..key.clone() }).await.unwrap();
    for revision in [0, 1, 3] {
        let wrong = ApiKey { revision, ..key.clone() };
        house.refuses(&format!("delete of {revision}"), stale, house.api_key_delete(&wrong)).await;
    }
    let gone = ApiKey { revision: 2, ..house.api_key(house.user, "gone") };
    house.refuses("update of nothing", stale, update(&house, &gone)).await;
    house.refuses("delete of nothing", stale, house.api_key_delete(&gone)).await;
}

async fn a_deleted_one_opens_nothing(store: &dyn Store) {
    let house = House::build(store).await;
    let (key, other) =
        (house.add_api_key(house.user, "key").await, house.add_api_key(house.user, "other").await);
    for key in [&key, &other] {
        assert!(store.credential_find(key.id).await.unwrap().is_some());
    }
    house.api_key_delete(&key).await.unwrap();
    assert!(store.credential_find(key.id).await.unwrap().is_none(), "a deleted key opens");
    assert!(store.api_key_find(house.account, key.id).await.unwrap().is_none());
    assert!(store.credential_find(other.id).await.unwrap().is_some(), "another key went too");
}

async fn listed_newest_first_of_all_and_of_one_owner(store: &dyn Store) {
    let house = House::build(store).await;
    let (robot, idle) = (house.add_service_user("robot").await, house.add_service_user("idle").await);
    let robot = PrincipalId::ServiceUser(robot.id);
    let founding =
        store.api_key_list(house.account, ApiKeysOf::Account, super::house::page(None, 1)).await.unwrap();
    let (mut all, mut of_robot) = (vec![founding.items[0].id.ksuid()], Vec::new());
    for number in 0..4 {
        of_robot.push(house.add_api_key(robot, &number.to_string()).await.id.ksuid());
        all.extend([of_robot[number], house.add_api_key(house.user, "user's").await.id.ksuid()]);
    }
    let id = |key: &ApiKey| key.id.ksuid();
    assert_pages(&all, async |query| store.api_key_list(house.account, ApiKeysOf::Account, query).await, id)
        .await;
    let list = async |query| store.api_key_list(house.account, ApiKeysOf::Owner(robot), query).await;
    assert_pages(&of_robot, list, id).await;
    let idle = PrincipalId::ServiceUser(idle.id);
    let none = store
        .api_key_list(house.account, ApiKeysOf::Owner(idle), super::house::page(None, 100))
        .await
        .unwrap();
    assert!(none.items.is_empty() && !none.more);
}

async fn filtered_by_every_field(store: &dyn Store) {
    let house = House::build(store).await;
    let robot = house.add_service_user("robot").await;
    let owner = PrincipalId::ServiceUser(robot.id);
    let a = house.add_api_key(owner, "a").await;
    house.add_api_key(owner, "b").await;
    let cases = [
        (format!("obj.id == \"{}\"", a.id), vec!["a"]),
        (r#"obj.description == "b""#.to_owned(), vec!["b"]),
        (r#"obj.metadata == "metadata of a""#.to_owned(), vec!["a"]),
        (format!("obj.owner_id == \"{owner}\""), vec!["b", "a"]),
        (format!("obj.owner_id == \"{}\"", house.user), vec!["first"]),
        (r#"obj.created_at < timestamp("2020-01-01T00:00:00Z")"#.to_owned(), vec![]),
    ];
    for (text, expected) in cases {
        let query = filtered(ApiKey::FIELDS, &text);
        let found = store.api_key_list(house.account, ApiKeysOf::Account, query).await.unwrap();
        let shown: Vec<_> = found.items.iter().map(|key| key.description.as_str()).collect();
        assert_eq!(shown, expected, "{text}");
    }
}
