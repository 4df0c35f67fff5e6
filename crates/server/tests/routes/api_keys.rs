use insta::assert_snapshot;
use serde_json::json;
use strongroom_domain::audit::Event;
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
        ("create_no_grants", json!({"grants": []})),
        ("create_unknown_action", json!({"grants": [{"action": "own", "vault": "prod"}]})),
        ("create_grant_without_vault", json!({"grants": [{"action": "read", "secret": "x"}]})),
        ("create_grant_with_needless_vault", json!({"grants": [{"action": "audit", "vault": "prod"}]})),
        ("create_bad_pattern", json!({"grants": [{"action": "read", "vault": "prod:*"}]})),
        ("create_grants_no_list", json!({"grants": "read prod:*"})),
        ("create_expired", json!({"expires_at": "2025-12-31T23:59:59Z"})),
        ("create_expires_never", json!({"expires_at": "never"})),
        ("create_half_a_fingerprint", json!({"client_certificate": &FINGERPRINT[..32]})),
    ];
    for (name, body) in bad {
        assert_snapshot!(name, seen(&world, "POST", "/api_keys", Some(body)).await);
    }
    let sleeping = world.make("/bot_users", json!({"name": "sleeping", "active": false})).await;
    let body = json!({"owner_id": sleeping["id"]});
    assert_snapshot!("create_for_inactive", seen(&world, "POST", "/api_keys", Some(body)).await);
}

#[tokio::test]
async fn grants_and_an_end() {
    let world = World::new().await;
    let body = json!({
        "grants": [{"action": "resolve", "vault": "prod", "secret": "tls-*"}, {"action": "read", "vault": "*"}, {"action": "audit"}],
        "expires_at": "2026-02-01T01:00:00+01:00",
    });
    assert_snapshot!("create_with_grants", seen(&world, "POST", "/api_keys", Some(body)).await);
    let key = world.make("/api_keys", json!({"expires_at": "2026-01-02T00:00:00Z"})).await;
    let path = format!("/api_keys/{}", id(&key));
    let change = json!({"grants": [{"action": "manage", "vault": "dev"}], "expires_at": ""});
    assert_snapshot!("update_grants", seen(&world, "PATCH", &path, Some(change)).await);
    let never = json!({"grants": null, "expires_at": null});
    assert_snapshot!("update_grants_left_alone", seen(&world, "PATCH", &path, Some(never)).await);
    let event = world.store.audit_list(0, 100).await.unwrap().pop().unwrap();
    let event = Event::from_canonical(&event.canonical).unwrap();
    assert_snapshot!("grants_event", serde_json::to_string(&event).unwrap());
}

const FINGERPRINT: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[tokio::test]
async fn a_key_is_bound_to_a_certificate() {
    let world = World::new().await;
    let body = json!({"description": "bound", "client_certificate": FINGERPRINT.to_uppercase()});
    let key = world.make("/api_keys", body).await;
    assert_eq!(key["client_certificate"], FINGERPRINT);
    let token = key["token"].as_str().unwrap().to_owned();
    let call = crate::harness::Call::new("GET", "/vaults", None).bearer(&token);
    let answer = seen_call(&world, &call).await.replace(&token, "[the key's token]");
    assert_snapshot!("no_certificate", answer);
    let path = format!("/api_keys/{}", id(&key));
    assert!(world.last_event().await.contains(FINGERPRINT));
    let before = world.store.audit_list(0, 100).await.unwrap().len();
    world.answer(&world.call("PATCH", &path, Some(&json!({"client_certificate": FINGERPRINT})))).await;
    assert_eq!(world.store.audit_list(0, 100).await.unwrap().len(), before, "the same again leaves no trace");
    assert_snapshot!("unbound", seen(&world, "PATCH", &path, Some(json!({"client_certificate": ""}))).await);
    assert_eq!(world.answer(&call).await.status(), 200);
    assert!(!world.last_event().await.contains("client_certificate"));
}

/// What an admin bound, its owner does not free.
#[tokio::test]
async fn only_an_admin_frees_a_key_that_an_admin_gave_more() {
    let world = World::new().await;
    let robot = world.add_service_user("robot", true).await;
    let (_, token) = world.add_key(PrincipalId::ServiceUser(robot)).await;
    let bot = PrincipalId::ServiceUser(robot).to_string();
    let grants = json!([{"action": "resolve", "vault": "prod"}]);
    let body = json!({"owner_id": bot, "grants": grants, "client_certificate": FINGERPRINT});
    let given = world.make("/api_keys", body).await;
    let own = world.make("/api_keys", json!({"owner_id": bot, "client_certificate": FINGERPRINT})).await;
    for (key, status) in [(given, 403), (own, 200)] {
        let free = json!({"client_certificate": ""});
        let call = world.call("PATCH", &format!("/api_keys/{}", id(&key)), Some(&free)).bearer(&token);
        assert_eq!(world.answer(&call).await.status(), status);
    }
}

#[tokio::test]
async fn a_key_past_its_end_opens_nothing() {
    let world = World::new().await;
    let key = world.make("/api_keys", json!({"expires_at": "2026-01-01T00:01:00Z"})).await;
    let token = key["token"].as_str().unwrap().to_owned();
    let call = crate::harness::Call::new("GET", "/vaults", None).bearer(&token);
    world.pass(59);
    assert_eq!(world.answer(&call).await.status(), 200);
    world.pass(1);
    let answer = seen_call(&world, &call).await.replace(&token, "[the key's token]");
    assert_snapshot!("expired", answer);
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
