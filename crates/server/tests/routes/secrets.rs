use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{World, id};
use crate::seen;

const UNKNOWN: &str = "/vault_secrets/secret_0000000000000000000000000xY";

#[tokio::test]
async fn create() {
    let world = World::new().await;
    let vault = world.add_vault("vault").await;
    let full = json!({
        "name": "db/password-1", "value": "correct horse", "vault_id": vault["id"], "vault_name": "vault",
        "description": "the \"main\" one", "metadata": "{\"team\":[\"ü\"]}",
    });
    assert_snapshot!("create", seen(&world, "POST", "/vault_secrets", Some(full)).await);
    let least = json!({"name": "least", "value": "v", "vault_name": "vault"});
    assert_snapshot!("create_least", seen(&world, "POST", "/vault_secrets", Some(least.clone())).await);
    assert_snapshot!("create_name_taken", seen(&world, "POST", "/vault_secrets", Some(least)).await);
    let unknown = "vault_0000000000000000000000000xY";
    let bad = [
        ("create_no_name", json!({"value": "v", "vault_name": "vault"})),
        ("create_no_value", json!({"name": "n", "vault_name": "vault"})),
        ("create_no_vault", json!({"name": "n", "value": "v"})),
        ("create_unknown_vault_id", json!({"name": "n", "value": "v", "vault_id": unknown})),
        ("create_unknown_vault_name", json!({"name": "n", "value": "v", "vault_name": "none"})),
        (
            "create_two_vaults",
            json!({"name": "n", "value": "v", "vault_id": vault["id"], "vault_name": "none"}),
        ),
        ("create_bad_name", json!({"name": "a b", "value": "v", "vault_name": "vault"})),
        ("create_value_no_text", json!({"name": "n", "value": 7, "vault_name": "vault"})),
    ];
    for (name, body) in bad {
        assert_snapshot!(name, seen(&world, "POST", "/vault_secrets", Some(body)).await);
    }
}

#[tokio::test]
async fn a_value_that_is_too_long() {
    let limits = strongroom_domain::limits::Limits { value: 8, ..Default::default() };
    let world = World::with(strongroom_domain::caller::Role::Admin, limits, Default::default()).await;
    world.add_vault("vault").await;
    let body = json!({"name": "n", "value": "123456789", "vault_name": "vault"});
    assert_snapshot!("create_long_value", seen(&world, "POST", "/vault_secrets", Some(body)).await);
}

#[tokio::test]
async fn no_more_than_allowed() {
    let limits = strongroom_domain::limits::Limits { secrets: Some(1), ..Default::default() };
    let world = World::with(strongroom_domain::caller::Role::Admin, limits, Default::default()).await;
    let vault = world.add_vault("vault").await;
    world.add_secret(&vault, "one").await;
    let body = json!({"name": "two", "value": "v", "vault_name": "vault"});
    assert_snapshot!("create_limit_reached", seen(&world, "POST", "/vault_secrets", Some(body)).await);
}

#[tokio::test]
async fn get() {
    let world = World::new().await;
    let vault = world.add_vault("vault").await;
    let secret = world.add_secret(&vault, "secret").await;
    let path = format!("/vault_secrets/{}", id(&secret));
    assert_snapshot!("get", seen(&world, "GET", &path, None).await);
    assert_snapshot!("get_unknown", seen(&world, "GET", UNKNOWN, None).await);
    assert_snapshot!("get_no_id", seen(&world, "GET", "/vault_secrets/password", None).await);
}

#[tokio::test]
async fn list() {
    let world = World::new().await;
    assert_snapshot!("list_empty", seen(&world, "GET", "/vault_secrets", None).await);
    let (one, two) = (world.add_vault("one").await, world.add_vault("two").await);
    for (vault, name) in [(&one, "other"), (&one, "same"), (&two, "same")] {
        world.pass(1);
        world.add_secret(vault, name).await;
    }
    assert_snapshot!("list", seen(&world, "GET", "/vault_secrets", None).await);
    assert_snapshot!("list_page", seen(&world, "GET", "/vault_secrets?limit=2", None).await);
    let filter = "/vault_secrets?filter=obj.name+%3D%3D+%22same%22";
    assert_snapshot!("list_filtered", seen(&world, "GET", filter, None).await);
    let value = "/vault_secrets?filter=obj.value+%3D%3D+%22v%22";
    assert_snapshot!("list_filter_on_the_value", seen(&world, "GET", value, None).await);
}

#[tokio::test]
async fn update() {
    let world = World::new().await;
    let vault = world.add_vault("vault").await;
    let secret = world.add_secret(&vault, "old").await;
    world.add_secret(&vault, "taken").await;
    let path = format!("/vault_secrets/{}", id(&secret));
    world.pass(60);
    let same = json!({"name": "old", "value": "v", "description": "", "metadata": ""});
    assert_snapshot!("update_nothing", seen(&world, "PATCH", &path, Some(same)).await);
    let body = json!({"value": "another"});
    assert_snapshot!("update_value", seen(&world, "PATCH", &path, Some(body)).await);
    world.pass(60);
    let body = json!({"name": "new", "description": "d", "metadata": "m", "value": "third"});
    assert_snapshot!("update", seen(&world, "PATCH", &path, Some(body)).await);
    let bad = [
        ("update_name_taken", json!({"name": "taken"})),
        ("update_empty_value", json!({"value": ""})),
        ("update_of_the_vault", json!({"vault_id": vault["id"]})),
    ];
    for (name, body) in bad {
        assert_snapshot!(name, seen(&world, "PATCH", &path, Some(body)).await);
    }
    assert_snapshot!("update_unknown", seen(&world, "PATCH", UNKNOWN, Some(json!({}))).await);
}

#[tokio::test]
async fn delete() {
    let world = World::new().await;
    let vault = world.add_vault("vault").await;
    let secret = world.add_secret(&vault, "secret").await;
    let path = format!("/vault_secrets/{}", id(&secret));
    assert_snapshot!("delete", seen(&world, "DELETE", &path, None).await);
    assert_snapshot!("delete_again", seen(&world, "DELETE", &path, None).await);
}
