use insta::assert_snapshot;
use serde_json::json;
use strongroom_domain::ids::PrincipalId;

use crate::harness::{World, id};
use crate::{seen, seen_call};

const UNKNOWN: &str = "/api_keys/ak_0000000000000000000000000xY";

#[tokio::test]
async fn create() {
    let world = World::new().await;
    let own = json!({"description": "my own", "metadata": "m"});
    assert_snapshot!("create", seen(&world, "POST", "/api_keys", Some(own)).await);
    let robot = world.make("/bot_users", json!({"name": "robot"})).await;
    let for_robot = json!({"owner_id": robot["id"]});
    assert_snapshot!("create_for_another", seen(&world, "POST", "/api_keys", Some(for_robot)).await);
    let by_email = json!({"owner_email": "admin@localhost"});
    assert_snapshot!("create_by_email", seen(&world, "POST", "/api_keys", Some(by_email)).await);
    let bad = [
        ("create_unknown_owner", json!({"owner_id": "bot_0000000000000000000000000xY"})),
        ("create_no_owner_id", json!({"owner_id": "robot"})),
        ("create_unknown_email", json!({"owner_email": "nobody@localhost"})),
        ("create_two_owners", json!({"owner_id": robot["id"], "owner_email": "admin@localhost"})),
        ("create_long_description", json!({"description": "d".repeat(256)})),
        ("create_long_metadata", json!({"metadata": "m".repeat(4097)})),
    ];
    for (name, body) in bad {
        assert_snapshot!(name, seen(&world, "POST", "/api_keys", Some(body)).await);
    }
    let sleeping = world.make("/bot_users", json!({"name": "sleeping", "active": false})).await;
    let body = json!({"owner_id": sleeping["id"]});
    assert_snapshot!("create_for_inactive", seen(&world, "POST", "/api_keys", Some(body)).await);
}

#[tokio::test]
async fn a_developer_makes_keys_for_itself_alone() {
    let world = World::new().await;
    let robot = world.add_service_user("robot", true).await;
    let (_, token) = world.add_key(PrincipalId::ServiceUser(robot)).await;
    let body = json!({"owner_email": "admin@localhost"});
    let call = world.call("POST", "/api_keys", Some(&body)).bearer(&token);
    let answer = seen_call(&world, &call).await.replace(&token, "[the developer's token]");
    assert_snapshot!("create_as_developer", answer);
}

#[tokio::test]
async fn get() {
    let world = World::new().await;
    let key = world.make("/api_keys", json!({"description": "key"})).await;
    let path = format!("/api_keys/{}", id(&key));
    assert_snapshot!("get", seen(&world, "GET", &path, None).await);
    assert_snapshot!("get_unknown", seen(&world, "GET", UNKNOWN, None).await);
}

#[tokio::test]
async fn list() {
    let world = World::new().await;
    world.pass(1);
    world.make("/api_keys", json!({"description": "key"})).await;
    assert_snapshot!("list", seen(&world, "GET", "/api_keys", None).await);
    assert_snapshot!("list_page", seen(&world, "GET", "/api_keys?limit=1", None).await);
}

#[tokio::test]
async fn update() {
    let world = World::new().await;
    let key = world.make("/api_keys", json!({"description": "old"})).await;
    let path = format!("/api_keys/{}", id(&key));
    let body = json!({"description": "new", "metadata": "m"});
    assert_snapshot!("update", seen(&world, "PATCH", &path, Some(body)).await);
    let body = json!({"owner_id": "usr_0000000000000000000000000xY"});
    assert_snapshot!("update_of_the_owner", seen(&world, "PATCH", &path, Some(body)).await);
    assert_snapshot!("update_unknown", seen(&world, "PATCH", UNKNOWN, Some(json!({}))).await);
}

#[tokio::test]
async fn delete() {
    let world = World::new().await;
    let key = world.make("/api_keys", json!({})).await;
    let path = format!("/api_keys/{}", id(&key));
    assert_snapshot!("delete", seen(&world, "DELETE", &path, None).await);
    assert_snapshot!("delete_again", seen(&world, "DELETE", &path, None).await);
}
