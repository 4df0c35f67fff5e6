//! Under both of their names, which show the same users with other ids.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{World, id};
use crate::seen;

/// The collection, and what its snapshots are called.
const FLAVOURS: [(&str, &str, &str); 2] =
    [("/bot_users", "bot_users", "bot_"), ("/service_users", "service_users", "service_")];

/// A service user's path under one of its names, out of what the other one shows.
fn path(collection: &str, prefix: &str, user: &Value) -> String {
    let number = id(user).split_once('_').unwrap().1;
    format!("{collection}/{prefix}{number}")
}

#[tokio::test]
async fn create() {
    for (collection, name, _) in FLAVOURS {
        let world = World::new().await;
        let full = json!({"name": "a robot, ключ", "active": false});
        assert_snapshot!(format!("{name}_create"), seen(&world, "POST", collection, Some(full)).await);
        let least = json!({"name": "least"});
        assert_snapshot!(
            format!("{name}_create_least"),
            seen(&world, "POST", collection, Some(least.clone())).await
        );
        assert_snapshot!(
            format!("{name}_create_name_taken"),
            seen(&world, "POST", collection, Some(least)).await
        );
    }
    let world = World::new().await;
    let bad = [
        ("create_no_name", json!({})),
        ("create_long_name", json!({"name": "n".repeat(256)})),
        ("create_wrong_kind", json!({"name": "n", "active": "yes"})),
    ];
    for (name, body) in bad {
        assert_snapshot!(name, seen(&world, "POST", "/service_users", Some(body)).await);
    }
}

#[tokio::test]
async fn get() {
    for (collection, name, prefix) in FLAVOURS {
        let world = World::new().await;
        let user = world.make("/bot_users", json!({"name": "robot"})).await;
        let own = path(collection, prefix, &user);
        assert_snapshot!(format!("{name}_get"), seen(&world, "GET", &own, None).await);
        let unknown = format!("{collection}/{prefix}0000000000000000000000000xY");
        assert_snapshot!(format!("{name}_get_unknown"), seen(&world, "GET", &unknown, None).await);
    }
}

#[tokio::test]
async fn list() {
    for (collection, name, prefix) in FLAVOURS {
        let world = World::new().await;
        assert_snapshot!(format!("{name}_list_empty"), seen(&world, "GET", collection, None).await);
        let mut users = Vec::new();
        for user in ["one", "two"] {
            world.pass(1);
            users.push(world.make("/bot_users", json!({"name": user})).await);
        }
        let page = format!("{collection}?limit=1");
        assert_snapshot!(format!("{name}_list_page"), seen(&world, "GET", &page, None).await);
        let last = path("", prefix, &users[1]);
        let rest = format!("{collection}?before_id={}", last.trim_start_matches('/'));
        assert_snapshot!(format!("{name}_list_rest"), seen(&world, "GET", &rest, None).await);
    }
}

#[tokio::test]
async fn update() {
    for (collection, name, prefix) in FLAVOURS {
        let world = World::new().await;
        let user = world.make("/bot_users", json!({"name": "old"})).await;
        let own = path(collection, prefix, &user);
        let body = json!({"name": "new", "active": false});
        assert_snapshot!(format!("{name}_update"), seen(&world, "PATCH", &own, Some(body)).await);
    }
}

#[tokio::test]
async fn delete() {
    for (collection, name, prefix) in FLAVOURS {
        let world = World::new().await;
        let user = world.make("/bot_users", json!({"name": "robot"})).await;
        world.make("/api_keys", json!({"owner_id": user["id"]})).await;
        let own = path(collection, prefix, &user);
        assert_snapshot!(format!("{name}_delete"), seen(&world, "DELETE", &own, None).await);
        assert_snapshot!(format!("{name}_delete_again"), seen(&world, "DELETE", &own, None).await);
        let keys = seen(&world, "GET", "/api_keys", None).await;
        assert_snapshot!(format!("{name}_delete_keys_left"), keys);
    }
}
