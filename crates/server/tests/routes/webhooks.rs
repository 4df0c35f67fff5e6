use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::webhook::DeliveryState;

use crate::harness::{World, id};
use crate::{seen, seen_call, seen_with};

const PATH: &str = "/strongroom/webhooks";
const URL: &str = "https://hooks.example.com/in?token=x";

fn least() -> Value {
    json!({"url": URL, "event_types": ["*"]})
}

fn of(webhook: &Value) -> String {
    format!("{PATH}/{}", id(webhook))
}

#[tokio::test]
async fn create() {
    let world = World::new().await;
    let full = json!({
        "url": "https://hooks.example.com:8443/in?token=x",
        "event_types": ["secret_updated.v0", "vault_deleted.v0"],
        "description": "to the pager",
        "metadata": "{}",
        "active": false,
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    });
    assert_snapshot!("webhook_create", seen(&world, "POST", PATH, Some(full)).await);
    assert_snapshot!("webhook_create_event", world.last_event().await);
    assert_snapshot!("webhook_create_least", seen(&world, "POST", PATH, Some(least())).await);
    let with = |name: &str, value: Value| {
        let mut body = least();
        body[name] = value;
        body
    };
    let bad = [
        ("no_url", json!({"event_types": ["*"]})),
        ("http", with("url", json!("http://hooks.example.com/"))),
        ("private", with("url", json!("https://10.0.0.1/"))),
        ("user_info", with("url", json!("https://user:pass@hooks.example.com/"))),
        ("no_types", json!({"url": URL})),
        ("unknown_type", with("event_types", json!(["secret_updated.v0", "secret_read.v0"]))),
        ("types_of_another_kind", with("event_types", json!("*"))),
        ("short_secret", with("secret", json!("whsec_c2hvcnQ="))),
        ("long_description", with("description", json!("d".repeat(256)))),
    ];
    for (name, body) in bad {
        assert_snapshot!(format!("webhook_create_{name}"), seen(&world, "POST", PATH, Some(body)).await);
    }
    for _ in 2..100 {
        world.make(PATH, least()).await;
    }
    assert_snapshot!("webhook_create_too_many", seen(&world, "POST", PATH, Some(least())).await);
}

/// Nothing is made under a key that would be no help.
#[tokio::test]
async fn a_create_cannot_be_asked_for_again() {
    let world = World::new().await;
    let call = world.call("POST", PATH, Some(&least())).header("idempotency-key", "8e03978e");
    assert_snapshot!("webhook_create_under_a_key", seen_call(&world, &call).await);
    assert_snapshot!("webhook_list_after_refusal", seen(&world, "GET", PATH, None).await);
}

#[tokio::test]
async fn get_and_list() {
    let world = World::new().await;
    assert_snapshot!("webhook_list_empty", seen(&world, "GET", PATH, None).await);
    let one = world.make(PATH, least()).await;
    world.pass(1);
    let two = world.make(PATH, least()).await;
    assert_snapshot!("webhook_get", seen(&world, "GET", &of(&one), None).await);
    let unknown = format!("{PATH}/wh_0000000000000000000000000xY");
    assert_snapshot!("webhook_get_unknown", seen(&world, "GET", &unknown, None).await);
    assert_snapshot!("webhook_get_no_id", seen(&world, "GET", &format!("{PATH}/x"), None).await);
    assert_snapshot!("webhook_list_page", seen(&world, "GET", &format!("{PATH}?limit=1"), None).await);
    let rest = format!("{PATH}?limit=1&before_id={}", id(&two));
    assert_snapshot!("webhook_list_rest", seen(&world, "GET", &rest, None).await);
    let filtered = format!("{PATH}?filter=obj.id");
    assert_snapshot!("webhook_list_filter", seen(&world, "GET", &filtered, None).await);
    assert_snapshot!("webhook_list_denied", seen_with(&world, "manage *:*", "GET", PATH, None).await);
}

#[tokio::test]
async fn update() {
    let world = World::new().await;
    let webhook = world.make(PATH, least()).await;
    world.pass(1);
    let body = json!({
        "url": "https://other.example.com/", "event_types": ["vault_created.v0"], "description": "d", "metadata": "m",
        "active": false, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    });
    assert_snapshot!("webhook_update", seen(&world, "PATCH", &of(&webhook), Some(body.clone())).await);
    assert_snapshot!("webhook_update_event", world.last_event().await);
    let events = world.store.counts().await.unwrap().events;
    world.pass(1);
    assert_snapshot!("webhook_update_nothing", seen(&world, "PATCH", &of(&webhook), Some(body)).await);
    assert_eq!(world.store.counts().await.unwrap().events, events, "it left a trace");
    let bad = json!({"url": "https://localhost/#x"});
    assert_snapshot!("webhook_update_bad_url", seen(&world, "PATCH", &of(&webhook), Some(bad)).await);
}

#[tokio::test]
async fn delete() {
    let world = World::new().await;
    let webhook = world.make(PATH, least()).await;
    assert_snapshot!("webhook_delete", seen(&world, "DELETE", &of(&webhook), None).await);
    assert_snapshot!("webhook_delete_event", world.last_event().await);
    assert_snapshot!("webhook_delete_again", seen(&world, "DELETE", &of(&webhook), None).await);
}

#[tokio::test]
async fn deliveries() {
    let world = World::new().await;
    let webhook = world.add_webhook().await;
    let path = format!("{PATH}/{webhook}");
    let list = format!("{path}/deliveries");
    assert_snapshot!("delivery_list_empty", seen(&world, "GET", &list, None).await);
    let states = [(7, DeliveryState::Dead), (9, DeliveryState::Waiting), (11, DeliveryState::Dead)];
    for (sequence, state) in states {
        world.add_deliveries(webhook, sequence..sequence + 1, state).await;
    }
    assert_snapshot!("delivery_list", seen(&world, "GET", &list, None).await);
    let dead = format!("{list}?state=dead&limit=1");
    assert_snapshot!("delivery_list_dead", seen(&world, "GET", &dead, None).await);
    let rest = format!("{list}?before=11&limit=1&state=dead");
    assert_snapshot!("delivery_list_rest", seen(&world, "GET", &rest, None).await);
    for query in ["state=gone", "before=x", "limit=0", "after=1"] {
        let name = format!("delivery_list_bad_{}", query.split_once('=').unwrap().0);
        assert_snapshot!(name, seen(&world, "GET", &format!("{list}?{query}"), None).await);
    }
    let retry = format!("{path}/retry");
    let one = json!({"sequence": 7});
    assert_snapshot!("delivery_retry_one", seen(&world, "POST", &retry, Some(one)).await);
    let unknown = json!({"sequence": 8});
    assert_snapshot!("delivery_retry_unknown", seen(&world, "POST", &retry, Some(unknown)).await);
    let bad = json!({"sequence": 0});
    assert_snapshot!("delivery_retry_bad", seen(&world, "POST", &retry, Some(bad)).await);
    assert_snapshot!("delivery_retry_all", seen(&world, "POST", &retry, None).await);
    assert_snapshot!("delivery_list_after_retry", seen(&world, "GET", &list, None).await);
    assert_snapshot!("webhook_test_refused", seen(&world, "POST", &format!("{path}/test"), None).await);
}
