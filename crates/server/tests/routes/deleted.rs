use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::deleted::Retention;
use strongroom_domain::limits::Limits;
use strongroom_server::{Settings, sweeper};

use crate::harness::{Call, World, id};
use crate::{seen, seen_with};

async fn status(world: &World, method: &str, target: &str, body: Option<&Value>) -> u16 {
    world.answer(&world.call(method, target, body)).await.status().as_u16()
}

/// The vault `prod` with the secret `db-password` of two values.
async fn furnished(world: &World) -> (Value, Value) {
    let vault = world.add_vault("prod").await;
    let body = json!({"name": "db-password", "value": "value 1", "vault_id": vault["id"]});
    let secret = world.make("/vault_secrets", body).await;
    let path = format!("/vault_secrets/{}", id(&secret));
    assert_eq!(status(world, "PATCH", &path, Some(&json!({"value": "value 2"}))).await, 200);
    (vault, secret)
}

async fn delete(world: &World, collection: &str, thing: &Value) {
    assert_eq!(status(world, "DELETE", &format!("/{collection}/{}", id(thing)), None).await, 204);
}

async fn value(world: &World, name: &str, version: u32) -> Result<String, u16> {
    let (_, token) = world.add_key_with(world.first_user, Some("resolve *:*")).await;
    let target = format!("/strongroom/values?vault=prod&name={name}&version={version}");
    let answer = world.answer(&Call::new("GET", &target, None).bearer(&token)).await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    match answer.status().as_u16() {
        200 => Ok(body["secrets"][0]["value"].as_str().unwrap().to_owned()),
        status => Err(status),
    }
}

async fn deleted(world: &World) -> Value {
    let answer = world.answer(&world.call("GET", "/strongroom/deleted", None)).await;
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn a_secret_comes_back() {
    let world = World::new().await;
    let (_, secret) = furnished(&world).await;
    let path = format!("/strongroom/secrets/{}", id(&secret));
    let (undelete, purge) = (format!("{path}/undelete"), format!("{path}/purge"));
    let none = || Some(json!({}));
    assert_snapshot!("undelete_what_is_not_deleted", seen(&world, "POST", &undelete, none()).await);
    assert_snapshot!("purge_what_is_not_deleted", seen(&world, "POST", &purge, None).await);
    world.pass(60);
    delete(&world, "vault_secrets", &secret).await;
    assert_eq!(value(&world, "db-password", 2).await, Err(404));
    assert_snapshot!("deleted", seen(&world, "GET", "/strongroom/deleted", None).await);
    assert_snapshot!(
        "deleted_not_visible",
        seen_with(&world, "read dev:*", "GET", "/strongroom/deleted", None).await
    );
    assert_snapshot!(
        "undelete_not_visible",
        seen_with(&world, "manage dev:*", "POST", &undelete, none()).await
    );
    world.pass(60);
    assert_snapshot!("undelete", seen(&world, "POST", &undelete, none()).await);
    assert_snapshot!("undelete_event", world.last_event().await);
    for version in 1..=2 {
        assert_eq!(value(&world, "db-password", version).await, Ok(format!("value {version}")));
    }
    assert_snapshot!("undelete_again", seen(&world, "POST", &undelete, none()).await);
}

#[tokio::test]
async fn a_taken_name_asks_for_another() {
    let world = World::new().await;
    let (vault, secret) = furnished(&world).await;
    delete(&world, "vault_secrets", &secret).await;
    world
        .make("/vault_secrets", json!({"name": "db-password", "value": "new", "vault_id": vault["id"]}))
        .await;
    let undelete = format!("/strongroom/secrets/{}/undelete", id(&secret));
    assert_snapshot!("undelete_taken", seen(&world, "POST", &undelete, Some(json!({}))).await);
    assert_snapshot!(
        "undelete_bad_name",
        seen(&world, "POST", &undelete, Some(json!({"name": "a b"}))).await
    );
    // Not under a name that would give the key a value to read.
    let body = Some(json!({"name": "tls"}));
    let gains = "manage prod:*\nresolve prod:tls";
    assert_snapshot!("undelete_to_read", seen_with(&world, gains, "POST", &undelete, body).await);
    assert_eq!(status(&world, "POST", &undelete, Some(&json!({"name": "old"}))).await, 200);
    assert_eq!(value(&world, "old", 2).await.as_deref(), Ok("value 2"));
    assert_eq!(value(&world, "db-password", 1).await.as_deref(), Ok("new"));
}

#[tokio::test]
async fn a_vault_comes_back_before_its_secrets() {
    let world = World::new().await;
    let (vault, secret) = furnished(&world).await;
    delete(&world, "vault_secrets", &secret).await;
    delete(&world, "vaults", &vault).await;
    let undelete = format!("/strongroom/secrets/{}/undelete", id(&secret));
    let of_vault = format!("/strongroom/vaults/{}/undelete", id(&vault));
    assert_snapshot!("undelete_without_vault", seen(&world, "POST", &undelete, Some(json!({}))).await);
    assert_snapshot!("deleted_both", seen(&world, "GET", "/strongroom/deleted?limit=1", None).await);
    let other = world.add_vault("prod").await;
    assert_snapshot!("vault_undelete_taken", seen(&world, "POST", &of_vault, Some(json!({}))).await);
    delete(&world, "vaults", &other).await;
    world.pass(60);
    assert_snapshot!("vault_undelete", seen(&world, "POST", &of_vault, Some(json!({}))).await);
    assert_snapshot!("vault_undelete_event", world.last_event().await);
    assert_snapshot!("vault_undelete_again", seen(&world, "POST", &of_vault, Some(json!({}))).await);
    assert_eq!(status(&world, "POST", &undelete, Some(&json!({}))).await, 200);
    assert_eq!(value(&world, "db-password", 2).await.as_deref(), Ok("value 2"));
}

#[tokio::test]
async fn purging() {
    let world = World::new().await;
    let (vault, secret) = furnished(&world).await;
    delete(&world, "vault_secrets", &secret).await;
    let path = format!("/strongroom/secrets/{}", id(&secret));
    assert_snapshot!("purge", seen(&world, "POST", &format!("{path}/purge"), None).await);
    assert_snapshot!("purge_event", world.last_event().await);
    assert_snapshot!("purge_again", seen(&world, "POST", &format!("{path}/purge"), None).await);
    assert_eq!(status(&world, "POST", &format!("{path}/undelete"), Some(&json!({}))).await, 404);
    // A vault takes its deleted secrets along.
    for number in 0..120 {
        let body = json!({"name": format!("s{number}"), "value": "v", "vault_id": vault["id"]});
        delete(&world, "vault_secrets", &world.make("/vault_secrets", body).await).await;
    }
    delete(&world, "vaults", &vault).await;
    let events = world.store.counts().await.unwrap().events;
    let purge = format!("/strongroom/vaults/{}/purge", id(&vault));
    assert_snapshot!("vault_purge", seen(&world, "POST", &purge, None).await);
    assert_eq!(world.store.counts().await.unwrap().events, events + 121, "one for each");
    assert_eq!(deleted(&world).await["secrets"], json!([]));
    assert_eq!(status(&world, "POST", &purge, None).await, 404);
}

#[tokio::test]
async fn what_is_deleted_goes_when_its_time_is_over() {
    let world = World::new().await;
    let (vault, secret) = furnished(&world).await;
    delete(&world, "vault_secrets", &secret).await;
    delete(&world, "vaults", &vault).await;
    world.pass(7 * 24 * 3600 - 1);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(deleted(&world).await["secrets"].as_array().unwrap().len(), 1);
    world.pass(1);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    let left = deleted(&world).await;
    assert_eq!((&left["secrets"], &left["vaults"]), (&json!([]), &json!([])));
    assert_snapshot!("swept_event", world.last_event().await);
}

#[tokio::test]
async fn nothing_is_kept_where_nothing_is_to_be() {
    let limits = Limits { deleted: Retention { seconds: 0 }, ..Limits::default() };
    let world = World::with(Role::Admin, limits, Settings::default()).await;
    let (vault, secret) = furnished(&world).await;
    delete(&world, "vault_secrets", &secret).await;
    delete(&world, "vaults", &vault).await;
    let left = deleted(&world).await;
    assert_eq!((&left["secrets"], &left["vaults"]), (&json!([]), &json!([])));
    let undelete = format!("/strongroom/secrets/{}/undelete", id(&secret));
    assert_eq!(status(&world, "POST", &undelete, Some(&json!({}))).await, 404);
}
