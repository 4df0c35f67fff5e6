use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::keep::Keep;
use strongroom_domain::limits::Limits;
use strongroom_server::{Settings, sweeper};

use crate::harness::{Call, World, id};
use crate::{seen, seen_with};

async fn keeping(keep: Keep) -> World {
    World::with(Role::Admin, Limits { keep, ..Limits::default() }, Settings::default()).await
}

/// A secret `prod:db-password` whose values were `value 1` and so on, a minute from each to the next.
async fn written(world: &World, versions: u32) -> Value {
    let vault = world.add_vault("prod").await;
    let body = json!({"name": "db-password", "value": "value 1", "vault_id": vault["id"]});
    let secret = world.make("/vault_secrets", body).await;
    for number in 2..=versions {
        world.pass(60);
        set(world, &secret, &format!("value {number}")).await;
    }
    secret
}

async fn set(world: &World, secret: &Value, value: &str) {
    let path = format!("/vault_secrets/{}", id(secret));
    let answer = world.answer(&world.call("PATCH", &path, Some(&json!({"value": value})))).await;
    assert_eq!(answer.status(), 200);
}

/// The value of a version, or the status that it is refused with.
async fn value(world: &World, version: Option<u32>) -> Result<String, u16> {
    let (_, token) = world.add_key_with(world.first_user, Some("resolve *:*")).await;
    let version = version.map_or_else(String::new, |version| format!("&version={version}"));
    let target = format!("/strongroom/values?vault=prod&name=db-password{version}");
    let answer = world.answer(&Call::new("GET", &target, None).bearer(&token)).await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    match answer.status().as_u16() {
        200 => Ok(body["secrets"][0]["value"].as_str().unwrap().to_owned()),
        status => Err(status),
    }
}

async fn kept(world: &World, secret: &Value) -> Vec<u64> {
    let target = format!("/strongroom/secrets/{}/versions", id(secret));
    let answer = world.answer(&world.call("GET", &target, None)).await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    body["versions"].as_array().unwrap().iter().map(|version| version["version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn versions_and_going_back() {
    let world = World::new().await;
    let secret = written(&world, 3).await;
    let path = format!("/strongroom/secrets/{}", id(&secret));
    let rollback = format!("{path}/rollback");
    let to = |version: u32| Some(json!({"version": version}));
    assert_snapshot!("versions", seen(&world, "GET", &format!("{path}/versions"), None).await);
    assert_snapshot!(
        "versions_not_visible",
        seen_with(&world, "read dev:*", "GET", &format!("{path}/versions"), None).await
    );
    world.pass(60);
    assert_snapshot!("rollback", seen(&world, "POST", &rollback, to(1)).await);
    assert_snapshot!("rollback_event", world.last_event().await);
    assert_eq!(value(&world, None).await.as_deref(), Ok("value 1"));
    for version in 1..=3 {
        assert_eq!(value(&world, Some(version)).await, Ok(format!("value {version}")));
    }
    // That value is current already: nothing happens, under either number.
    let events = world.store.counts().await.unwrap().events;
    assert_snapshot!("rollback_to_the_same_value", seen(&world, "POST", &rollback, to(1)).await);
    let answer = world.answer(&world.call("POST", &rollback, Some(&json!({"version": 4})))).await;
    assert_eq!(answer.status(), 200);
    assert_eq!((world.store.counts().await.unwrap().events, kept(&world, &secret).await.len()), (events, 4));
    assert_snapshot!("rollback_to_none", seen(&world, "POST", &rollback, to(5)).await);
    assert_snapshot!("rollback_without_a_version", seen(&world, "POST", &rollback, Some(json!({}))).await);
    assert_snapshot!("rollback_to_zero", seen(&world, "POST", &rollback, to(0)).await);
    assert_snapshot!(
        "rollback_not_allowed",
        seen_with(&world, "read *:*\nresolve *:*", "POST", &rollback, to(2)).await
    );
}

#[tokio::test]
async fn the_last_ten_are_kept() {
    let world = World::new().await;
    let secret = written(&world, 13).await;
    assert_eq!(kept(&world, &secret).await, (4..=13).rev().collect::<Vec<_>>());
    assert_eq!(value(&world, Some(4)).await.as_deref(), Ok("value 4"));
    assert_eq!(value(&world, Some(3)).await, Err(404));
    let rollback = format!("/strongroom/secrets/{}/rollback", id(&secret));
    assert_snapshot!(
        "rollback_to_one_that_is_gone",
        seen(&world, "POST", &rollback, Some(json!({"version": 3}))).await
    );
    assert_eq!(kept(&world, &secret).await.len(), 10);
}

#[tokio::test]
async fn the_same_value_again_and_again_is_one_version() {
    let world = World::new().await;
    let secret = written(&world, 1).await;
    let events = world.store.counts().await.unwrap().events;
    for _ in 0..10_000 {
        set(&world, &secret, "value 1").await;
    }
    assert_eq!((kept(&world, &secret).await, world.store.counts().await.unwrap().events), (vec![1], events));
}

#[tokio::test]
async fn a_vault_keeps_as_many_as_it_says() {
    let world = World::new().await;
    let secret = written(&world, 5).await;
    let vault = format!("/strongroom/vaults/{}", secret["vault"]["id"].as_str().unwrap());
    assert_snapshot!("vault_detail", seen(&world, "GET", &vault, None).await);
    world.pass(60);
    let two = json!({"keep_versions": 2, "keep_versions_for": 3600});
    assert_snapshot!("vault_keep", seen(&world, "PATCH", &vault, Some(two.clone())).await);
    let event = world.store.audit_list(0, 1000).await.unwrap().pop().unwrap();
    assert_snapshot!("vault_keep_event", world.last_event().await);
    let shown = strongroom_server::view::event(&event, &strongroom_server::origin::Origin::none()).unwrap();
    assert_snapshot!("vault_keep_event_shown", serde_json::to_string_pretty(&shown.object).unwrap());
    let events = world.store.counts().await.unwrap().events;
    assert_eq!(world.answer(&world.call("PATCH", &vault, Some(&two))).await.status(), 200);
    assert_eq!(world.store.counts().await.unwrap().events, events, "a change of nothing");
    set(&world, &secret, "value 6").await;
    assert_eq!(kept(&world, &secret).await, [6, 5]);
    for (name, body) in [
        ("vault_keep_too_many", json!({"keep_versions": 101})),
        ("vault_keep_no_number", json!({"keep_versions": "2"})),
        ("vault_keep_less_than_nothing", json!({"keep_versions_for": -1})),
        ("vault_keep_too_long", json!({"keep_versions_for": 1_u64 << 32})),
        ("vault_keep_unknown_field", json!({"keep_version": 2})),
    ] {
        assert_snapshot!(name, seen(&world, "PATCH", &vault, Some(body)).await);
    }
    let as_server = json!({"keep_versions": 0, "keep_versions_for": 0});
    assert_snapshot!("vault_keep_as_server", seen(&world, "PATCH", &vault, Some(as_server)).await);
    // ngrok's own shape tells nothing of it.
    let vault = format!("/vaults/{}", secret["vault"]["id"].as_str().unwrap());
    let answer = world.answer(&world.call("GET", &vault, None)).await;
    assert!(!String::from_utf8_lossy(answer.body()).contains("keep"));
}

#[tokio::test]
async fn what_is_too_much_or_too_old_goes_with_a_sweep() {
    let world = keeping(Keep { versions: 10, versions_for: Some(600) }).await;
    let secret = written(&world, 4).await;
    assert_eq!(kept(&world, &secret).await, [4, 3, 2, 1]);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(kept(&world, &secret).await, [4, 3, 2, 1], "none is too old yet");
    // Version 1 was replaced 120 s ago, and 2 a minute later.
    world.pass(600 - 120);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(kept(&world, &secret).await, [4, 3, 2]);
    assert_eq!(value(&world, Some(1)).await, Err(404));
    let vault = format!("/strongroom/vaults/{}", secret["vault"]["id"].as_str().unwrap());
    let longer = json!({"keep_versions": 2, "keep_versions_for": 1_000_000});
    assert_eq!(world.answer(&world.call("PATCH", &vault, Some(&longer))).await.status(), 200);
    world.pass(100_000);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(kept(&world, &secret).await, [4, 3], "the vault keeps two, and for longer");
    world.pass(1_000_000);
    let events = world.store.counts().await.unwrap().events;
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(world.store.counts().await.unwrap().events, events, "a setting does it, and nobody");
    assert_eq!(kept(&world, &secret).await, [4], "the current one always");
    assert_eq!(value(&world, None).await.as_deref(), Ok("value 4"));
}

#[tokio::test]
async fn a_secret_takes_its_versions_along() {
    let world = World::new().await;
    let secret = written(&world, 4).await;
    let staging = world.add_vault("staging").await;
    let vault = format!("/strongroom/vaults/{}", id(&staging));
    let three = json!({"keep_versions": 3});
    assert_eq!(world.answer(&world.call("PATCH", &vault, Some(&three))).await.status(), 200);
    let target = format!("/strongroom/secrets/{}/move", id(&secret));
    for (vault, expected) in [("staging", [4, 3, 2]), ("prod", [4, 3, 2])] {
        let answer = world.answer(&world.call("POST", &target, Some(&json!({"vault_name": vault})))).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(kept(&world, &secret).await, expected, "{vault}");
    }
    for version in 2..=4 {
        assert_eq!(value(&world, Some(version)).await, Ok(format!("value {version}")));
    }
    let rollback = format!("/strongroom/secrets/{}/rollback", id(&secret));
    let answer = world.answer(&world.call("POST", &rollback, Some(&json!({"version": 2})))).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(value(&world, None).await.as_deref(), Ok("value 2"));
}
