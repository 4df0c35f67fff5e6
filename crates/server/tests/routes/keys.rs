use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::deleted::Retention;
use strongroom_domain::limits::Limits;
use strongroom_server::{Settings, rotator, sweeper};

use crate::harness::{Call, World, id};
use crate::seen;

/// The vault `prod` with a secret of two values, and one that is deleted.
async fn furnished(world: &World) -> (Value, Value) {
    let vault = world.add_vault("prod").await;
    let secret = world.add_secret(&vault, "db-password").await;
    let gone = world.add_secret(&vault, "gone").await;
    let change = json!({"value": "another value"});
    let path = format!("/vault_secrets/{}", id(&secret));
    assert_eq!(world.answer(&world.call("PATCH", &path, Some(&change))).await.status(), 200);
    let path = format!("/vault_secrets/{}", id(&gone));
    assert_eq!(world.answer(&world.call("DELETE", &path, None)).await.status(), 204);
    (vault, gone)
}

async fn json_of(world: &World, target: &str) -> Value {
    let answer = world.answer(&world.call("GET", target, None)).await;
    serde_json::from_slice(answer.body()).unwrap()
}

async fn resolved(world: &World, name: &str, version: u32) -> String {
    let (_, token) = world.add_key_with(world.first_user, Some("resolve *:*")).await;
    let target = format!("/strongroom/values?vault=prod&name={name}&version={version}");
    let answer = world.answer(&Call::new("GET", &target, None).bearer(&token)).await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    body["secrets"][0]["value"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

/// Every value, the earlier one and the deleted one included, which is brought back and deleted again for that.
async fn values(world: &World, gone: &Value) -> [String; 3] {
    let path = format!("/strongroom/secrets/{}/undelete", id(gone));
    assert_eq!(world.answer(&world.call("POST", &path, None)).await.status(), 200);
    let values = [
        resolved(world, "db-password", 1).await,
        resolved(world, "db-password", 2).await,
        resolved(world, "gone", 1).await,
    ];
    let path = format!("/vault_secrets/{}", id(gone));
    assert_eq!(world.answer(&world.call("DELETE", &path, None)).await.status(), 204);
    values
}

#[tokio::test]
async fn a_vault_key_is_rotated() {
    let world = World::new().await;
    let (vault, gone) = furnished(&world).await;
    let path = format!("/strongroom/keys/{}", id(&vault));
    let before = values(&world, &gone).await;
    assert_snapshot!("key_list", seen(&world, "GET", "/strongroom/keys", None).await);
    let first = json_of(&world, &path).await;
    world.pass(60);
    assert_snapshot!("key_rotate", seen(&world, "POST", &format!("{path}/rotate"), None).await);
    assert_snapshot!("key_rotation_started_event", world.last_event().await);
    let begun = json_of(&world, &path).await;
    assert_ne!(begun["id"], first["id"]);
    // Both keys open at once, and what is written is under the new one.
    assert_eq!(values(&world, &gone).await, before);
    world.add_secret(&vault, "later").await;
    let counted = json_of(&world, &path).await;
    assert_eq!((&counted["values"], &counted["rotation"]["left"]), (&json!(4), &json!(3)));
    let again = Some(json!({"kind": "data"}));
    assert_snapshot!("key_rotate_twice", seen(&world, "POST", &format!("{path}/rotate"), again).await);

    rotator::go_on(world.front.shared()).await;
    assert_snapshot!("key_rotated_event", world.last_event().await);
    assert_snapshot!("key_get", seen(&world, "GET", &path, None).await);
    assert_eq!(values(&world, &gone).await, before);
    resolved(&world, "later", 1).await;
}

#[tokio::test]
async fn data_keys_are_rotated() {
    let world = World::new().await;
    let (vault, gone) = furnished(&world).await;
    let path = format!("/strongroom/keys/{}", id(&vault));
    let before = values(&world, &gone).await;
    let kept = json_of(&world, "/strongroom/secrets").await;
    let body = Some(json!({"kind": "data"}));
    assert_snapshot!("key_rotate_data", seen(&world, "POST", &format!("{path}/rotate"), body).await);
    let events = world.store.counts().await.unwrap().events;
    rotator::go_on(world.front.shared()).await;
    assert_eq!(world.store.counts().await.unwrap().events, events + 1, "no event for each value");
    assert_snapshot!("data_keys_rotated_event", world.last_event().await);
    assert_eq!(json_of(&world, &path).await["rotation"], Value::Null);
    assert_eq!(
        json_of(&world, "/strongroom/secrets").await["secrets"],
        kept["secrets"],
        "nothing shows of it"
    );
    assert_eq!(values(&world, &gone).await, before);
}

#[tokio::test]
async fn only_an_admin_looks_after_keys() {
    let world = World::with(Role::Developer, Limits::default(), Settings::default()).await;
    let vault = world.add_vault("prod").await;
    let path = format!("/strongroom/keys/{}/rotate", id(&vault));
    assert_snapshot!("key_rotate_by_a_developer", seen(&world, "POST", &path, None).await);
}

/// By age, once each; none where no age is set.
#[tokio::test]
async fn keys_are_rotated_by_age() {
    let limits = Limits { vault_keys: Some(Retention { seconds: 3600 }), ..Limits::default() };
    for (limits, expected) in [(limits, true), (Limits::default(), false)] {
        let world = World::with(Role::Admin, limits, Settings::default()).await;
        let (vault, gone) = furnished(&world).await;
        let path = format!("/strongroom/keys/{}", id(&vault));
        let before = (values(&world, &gone).await, json_of(&world, &path).await);
        for (seconds, rotated) in [(3599, false), (1, expected), (3599, expected)] {
            world.pass(seconds);
            sweeper::sweep(world.front.shared(), 0).await;
            rotator::go_on(world.front.shared()).await;
            let now = json_of(&world, &path).await;
            assert_eq!(now["id"] != before.1["id"], rotated, "after {seconds} s more");
        }
        assert_eq!(values(&world, &gone).await, before.0);
    }
}

/// All that the root key wraps: two vaults, of which one is rotated and one deleted; a kept token; signing secrets.
#[tokio::test]
async fn the_root_key_is_rotated() {
    let world = World::new().await;
    let (vault, gone) = furnished(&world).await;
    let deleted = world.add_vault("deleted").await;
    let target = format!("/vaults/{}", id(&deleted));
    assert_eq!(world.answer(&world.call("DELETE", &target, None)).await.status(), 204);
    let body = json!({"url": "https://hooks.example.com/", "event_types": ["*"]});
    let webhook = world.make("/strongroom/webhooks", body).await;
    let renewed = json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    let target = format!("/strongroom/webhooks/{}", id(&webhook));
    assert_eq!(world.answer(&world.call("PATCH", &target, Some(&renewed))).await.status(), 200);
    let again = world.call("POST", "/api_keys", Some(&json!({}))).header("idempotency-key", "k");
    let first = world.answer(&again).await.into_body();
    let path = format!("/strongroom/keys/{}", id(&vault));
    assert_eq!(world.answer(&world.call("POST", &format!("{path}/rotate"), None)).await.status(), 202);
    let before = values(&world, &gone).await;

    world.pass(60);
    let rotate = "/strongroom/root_key/rotate";
    assert_snapshot!("root_key_rotate", seen(&world, "POST", rotate, None).await);
    assert_snapshot!("root_key_rotated_event", world.last_event().await);
    assert_snapshot!("root_key_rotate_again", seen(&world, "POST", rotate, None).await);
    let listed = json_of(&world, "/strongroom/keys").await;
    assert_eq!(listed["root_key"]["created_at"], "2026-01-01T00:01:00Z");

    assert_eq!(values(&world, &gone).await, before);
    rotator::go_on(world.front.shared()).await;
    assert_eq!(values(&world, &gone).await, before);
    assert_eq!(world.answer(&again).await.into_body(), first, "the token is told once more");
    // Its signing secret opens, as it is compared with the given one.
    let same = world.answer(&world.call("PATCH", &target, Some(&renewed))).await;
    assert_eq!(same.status(), 200);
    let back = format!("/strongroom/vaults/{}/undelete", id(&deleted));
    assert_eq!(world.answer(&world.call("POST", &back, None)).await.status(), 200);
    world.add_secret(&deleted, "new").await;
    world.add_secret(&world.add_vault("later").await, "new").await;
}
