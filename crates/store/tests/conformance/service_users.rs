//! Service users.

use strongroom_domain::Error;
use strongroom_domain::audit::Action;
use strongroom_domain::error::Noun;
use strongroom_domain::ids::PrincipalId;
use strongroom_domain::principal::ServiceUser;
use strongroom_domain::store::Store;

use super::house::{House, assert_pages, filtered, page, stale};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    kept_as_given,
    names_are_unique,
    a_change_reaches_its_credentials,
    changes_are_based_on_the_last_revision,
    a_deleted_one_takes_its_keys_along,
    keys_that_differ_keep_it,
    listed_newest_first,
    filtered_by_every_field,
];

fn taken(error: &Error) -> bool {
    matches!(error, Error::NotUnique(Noun::ServiceUser))
}

async fn kept_as_given(store: &dyn Store) {
    let house = House::build(store).await;
    let user = house.add_service_user("a robot, ключ & 鍵").await;
    assert_eq!(store.service_user_find(house.account, user.id).await.unwrap(), Some(user));
    let sleeping = ServiceUser { active: false, ..house.service_user("sleeping") };
    house.service_user_insert(&sleeping).await.unwrap();
    let id = PrincipalId::ServiceUser(sleeping.id);
    assert_eq!(store.principal_is_active(house.account, id).await.unwrap(), Some(false));
    assert_eq!(store.service_user_find(house.account, sleeping.id).await.unwrap(), Some(sleeping));
    let unknown = house.service_user("unknown");
    assert_eq!(store.service_user_find(house.account, unknown.id).await.unwrap(), None);
}

async fn names_are_unique(store: &dyn Store) {
    let house = House::build(store).await;
    house.add_service_user("same").await;
    let other = house.add_service_user("other").await;
    house.refuses("insert", taken, house.service_user_insert(&house.service_user("same"))).await;
    let renamed = ServiceUser { name: "same".to_owned(), revision: 2, ..other };
    house.refuses("update", taken, house.service_user_update(&renamed)).await;
}

async fn a_change_reaches_its_credentials(store: &dyn Store) {
    let house = House::build(store).await;
    let user = house.add_service_user("old").await;
    let key = house.add_api_key(PrincipalId::ServiceUser(user.id), "key").await;
    let told = async || {
        let credential = store.credential_find(key.id).await.unwrap().expect("the credential");
        (credential.subject.clone(), credential.active)
    };
    assert_eq!(told().await, ("old".to_owned(), true));
    for (revision, name, active) in [(2, "old", false), (3, "new", false), (4, "new", true)] {
        let changed = ServiceUser { name: name.to_owned(), active, revision, ..user.clone() };
        house.service_user_update(&changed).await.unwrap();
        assert_eq!(told().await, (name.to_owned(), active), "revision {revision}");
        let principal = PrincipalId::ServiceUser(user.id);
        let found = store.principal_is_active(house.account, principal).await.unwrap();
        assert_eq!(found, Some(active));
    }
}

async fn changes_are_based_on_the_last_revision(store: &dyn Store) {
    let house = House::build(store).await;
    let user = house.add_service_user("robot").await;
    for revision in [0, 1, 3] {
        let wrong = ServiceUser { active: false, revision, ..user.clone() };
        house.refuses(&format!("update to {revision}"), stale, house.service_user_update(&wrong)).await;
    }
    house.service_user_update(&ServiceUser { revision: 2, ..user.clone() }).await.unwrap();
    for revision in [0, 1, 3] {
        let wrong = ServiceUser { revision, ..user.clone() };
        house.refuses(&format!("delete of {revision}"), stale, house.service_user_delete(&wrong, &[])).await;
    }
    let gone = ServiceUser { revision: 2, ..house.service_user("gone") };
    house.refuses("update of nothing", stale, house.service_user_update(&gone)).await;
    house.refuses("delete of nothing", stale, house.service_user_delete(&gone, &[])).await;
}

async fn a_deleted_one_takes_its_keys_along(store: &dyn Store) {
    let house = House::build(store).await;
    let (user, other) = (house.add_service_user("robot").await, house.add_service_user("other").await);
    let (owner, foreign) = (PrincipalId::ServiceUser(user.id), PrincipalId::ServiceUser(other.id));
    let first = house.add_api_key(owner, "first").await;
    let kept = house.add_api_key(foreign, "kept").await;
    let second = house.add_api_key(owner, "second").await;
    for key in [&first, &second, &kept] {
        assert!(store.credential_find(key.id).await.unwrap().is_some());
    }
    let before = store.audit_head().await.unwrap().sequence;
    let events = vec![
        house.event(&second, Action::Deleted),
        house.event(&first, Action::Deleted),
        house.event(&user, Action::Deleted),
    ];
    let keys = vec![second.id, first.id];
    store.service_user_delete(house.account, user.id, 1, keys, events).await.unwrap();
    assert_eq!(store.audit_head().await.unwrap().sequence, before + 3);
    assert_eq!(store.service_user_find(house.account, user.id).await.unwrap(), None);
    assert_eq!(store.principal_is_active(house.account, owner).await.unwrap(), None);
    for key in [&first, &second] {
        assert!(store.credential_find(key.id).await.unwrap().is_none(), "a key of nobody opens");
        assert!(store.api_key_find(house.account, key.id).await.unwrap().is_none());
    }
    assert!(store.credential_find(kept.id).await.unwrap().is_some(), "another one's key went too");
}

/// A key that was made or deleted in between has no event in what the caller brought: it has to look again.
async fn keys_that_differ_keep_it(store: &dyn Store) {
    let house = House::build(store).await;
    let user = house.add_service_user("robot").await;
    let owner = PrincipalId::ServiceUser(user.id);
    let first = house.add_api_key(owner, "first").await;
    let second = house.add_api_key(owner, "second").await;
    let foreign = house.add_api_key(house.user, "foreign").await;
    let wrong: [(&str, Vec<_>); 4] = [
        ("none named", vec![]),
        ("one missed", vec![second.id]),
        ("one too many", vec![foreign.id, second.id, first.id]),
        ("another one's", vec![foreign.id, second.id]),
    ];
    for (what, keys) in wrong {
        house.refuses(what, stale, house.service_user_delete(&user, &keys)).await;
    }
    house.service_user_delete(&user, &[second.id, first.id]).await.unwrap();
}

async fn listed_newest_first(store: &dyn Store) {
    let house = House::build(store).await;
    let empty = store.service_user_list(house.account, page(None, 1)).await.unwrap();
    assert!(empty.items.is_empty() && !empty.more);
    let mut ids = Vec::new();
    for name in ["m", "a", "z", "k", "b"] {
        ids.push(house.add_service_user(name).await.id.ksuid());
    }
    let list = async |query| store.service_user_list(house.account, query).await;
    assert_pages(&ids, list, |user: &ServiceUser| user.id.ksuid()).await;
}

async fn filtered_by_every_field(store: &dyn Store) {
    let house = House::build(store).await;
    let awake = house.add_service_user("awake").await;
    let sleeping = ServiceUser { active: false, ..house.service_user("asleep") };
    house.service_user_insert(&sleeping).await.unwrap();
    let cases = [
        (format!("obj.id == \"{}\"", awake.id), vec!["awake"]),
        (r#"obj.name == "asleep""#.to_owned(), vec!["asleep"]),
        ("obj.active".to_owned(), vec!["awake"]),
        ("!obj.active".to_owned(), vec!["asleep"]),
        (r#"obj.name.startsWith("a") && obj.active"#.to_owned(), vec!["awake"]),
        (r#"obj.created_at > timestamp("2020-01-01T00:00:00Z")"#.to_owned(), vec!["asleep", "awake"]),
    ];
    for (text, expected) in cases {
        let query = filtered(ServiceUser::FIELDS, &text);
        let found = store.service_user_list(house.account, query).await.unwrap();
        let names: Vec<_> = found.items.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, expected, "{text}");
    }
}
