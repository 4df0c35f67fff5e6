use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{World, id};
use crate::seen;

const UNKNOWN: &str = "/vaults/vault_0000000000000000000000000xY";

#[tokio::test]
async fn create() {
    let world = World::new().await;
    let full =
        json!({"name": "prod/db-1", "description": "the \"main\" one", "metadata": "{\"team\":[\"ü\"]}"});
    assert_snapshot!("create", seen(&world, "POST", "/vaults", Some(full)).await);
    let least = json!({"name": "least"});
    assert_snapshot!("create_least", seen(&world, "POST", "/vaults", Some(least.clone())).await);
    assert_snapshot!("create_name_taken", seen(&world, "POST", "/vaults", Some(least)).await);
    let bad = [
        ("create_no_name", json!({})),
        ("create_long_name", json!({"name": "n".repeat(256)})),
        ("create_bad_name", json!({"name": "a b"})),
        ("create_long_description", json!({"name": "n", "description": "d".repeat(256)})),
        ("create_long_metadata", json!({"name": "n", "metadata": "m".repeat(4097)})),
        ("create_unknown_field", json!({"name": "n", "colour": "red"})),
        ("create_wrong_kind", json!({"name": 7})),
    ];
    for (name, body) in bad {
        assert_snapshot!(name, seen(&world, "POST", "/vaults", Some(body)).await);
    }
}

#[tokio::test]
async fn no_more_than_allowed() {
    let limits = strongroom_domain::limits::Limits { vaults: Some(1), ..Default::default() };
    let role = strongroom_domain::caller::Role::Admin;
    let world = World::with(role, limits, Default::default()).await;
    world.add_vault("one").await;
    let answer = seen(&world, "POST", "/vaults", Some(json!({"name": "two"}))).await;
    assert_snapshot!("create_limit_reached", answer);
}

#[tokio::test]
async fn get() {
    let world = World::new().await;
    let vault = world.add_vault("vault").await;
    assert_snapshot!("get", seen(&world, "GET", &format!("/vaults/{}", id(&vault)), None).await);
    assert_snapshot!("get_unknown", seen(&world, "GET", UNKNOWN, None).await);
    assert_snapshot!("get_no_id", seen(&world, "GET", "/vaults/prod", None).await);
}

#[tokio::test]
async fn list() {
    let world = World::new().await;
    assert_snapshot!("list_empty", seen(&world, "GET", "/vaults", None).await);
    for name in ["one", "two", "three"] {
        world.pass(1);
        world.add_vault(name).await;
    }
    assert_snapshot!("list", seen(&world, "GET", "/vaults", None).await);
    assert_snapshot!("list_page", seen(&world, "GET", "/vaults?limit=1", None).await);
    let filter = "/vaults?limit=1&filter=obj.name.startsWith(%22t%22)+%26%26+true";
    assert_snapshot!("list_filtered_page", seen(&world, "GET", filter, None).await);
    let bad = [
        ("list_limit_zero", "/vaults?limit=0"),
        ("list_limit_text", "/vaults?limit=ten"),
        ("list_foreign_before_id", "/vaults?before_id=secret_0000000000000000000000000xY"),
        ("list_bad_filter", "/vaults?filter=obj.colour+%3D%3D+%22red%22"),
        ("list_unknown_parameter", "/vaults?page=2"),
        ("list_repeated_parameter", "/vaults?limit=1&limit=2"),
    ];
    for (name, target) in bad {
        assert_snapshot!(name, seen(&world, "GET", target, None).await);
    }
}

#[tokio::test]
async fn update() {
    let world = World::new().await;
    let vault = world.add_vault("old").await;
    world.add_vault("taken").await;
    let path = format!("/vaults/{}", id(&vault));
    world.pass(60);
    assert_snapshot!("update_nothing", seen(&world, "PATCH", &path, Some(json!({"name": "old"}))).await);
    let body = json!({"name": "new", "description": "d", "metadata": "m"});
    assert_snapshot!("update", seen(&world, "PATCH", &path, Some(body)).await);
    let body = json!({"name": "taken"});
    assert_snapshot!("update_name_taken", seen(&world, "PATCH", &path, Some(body)).await);
    assert_snapshot!("update_unknown", seen(&world, "PATCH", UNKNOWN, Some(json!({}))).await);
}

#[tokio::test]
async fn delete() {
    let world = World::new().await;
    let (vault, full) = (world.add_vault("empty").await, world.add_vault("full").await);
    world.add_secret(&full, "secret").await;
    let path = format!("/vaults/{}", id(&vault));
    assert_snapshot!("delete", seen(&world, "DELETE", &path, None).await);
    assert_snapshot!("delete_again", seen(&world, "DELETE", &path, None).await);
    let path = format!("/vaults/{}", id(&full));
    assert_snapshot!("delete_not_empty", seen(&world, "DELETE", &path, None).await);
}

#[tokio::test]
async fn secrets() {
    let world = World::new().await;
    let (vault, other) = (world.add_vault("vault").await, world.add_vault("other").await);
    for name in ["a", "b"] {
        world.pass(1);
        world.add_secret(&vault, name).await;
        world.add_secret(&other, name).await;
    }
    let path = format!("/vaults/{}/secrets", id(&vault));
    assert_snapshot!("secrets", seen(&world, "GET", &path, None).await);
    let page = format!("{path}?limit=1");
    assert_snapshot!("secrets_page", seen(&world, "GET", &page, None).await);
    let unknown = format!("{UNKNOWN}/secrets");
    assert_snapshot!("secrets_unknown", seen(&world, "GET", &unknown, None).await);
}
