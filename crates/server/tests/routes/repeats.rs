use http::Response;
use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::ids::PrincipalId;
use strongroom_server::sweeper;

use crate::harness::{Call, World, id, made};
use crate::{seen_call, without_token};

const DAY: i64 = 24 * 3600;

/// A create under a key.
fn create(world: &World, target: &str, key: &str, body: &Value) -> Call {
    world.call("POST", target, Some(body)).header("idempotency-key", key)
}

fn is_replayed(answer: &Response<Vec<u8>>) -> bool {
    answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true")
}

fn code(answer: &Response<Vec<u8>>) -> (u16, String) {
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), body["error_code"].as_str().unwrap_or_default().to_owned())
}

/// One of each kind, and what changes it, if anything can.
fn kinds(vault: &Value) -> [(&'static str, Value, Option<Value>); 5] {
    let secret =
        json!({"name": "a", "value": "v", "vault_id": vault["id"], "expires_at": "2026-01-01T12:00:00Z"});
    let rename = Some(json!({"name": "renamed"}));
    [
        ("/vaults", json!({"name": "a", "metadata": "m"}), rename.clone()),
        ("/vault_secrets", secret, rename.clone()),
        ("/api_keys", json!({"description": "a", "expires_at": "2026-01-01T12:00:00Z"}), None),
        ("/service_users", json!({"name": "a"}), rename.clone()),
        ("/bot_users", json!({"name": "b"}), rename),
    ]
}

#[tokio::test]
async fn the_first_answer_is_given_again_whatever_came_of_it() {
    let world = World::new().await;
    let vault = world.add_vault("home").await;
    for (target, body, change) in kinds(&vault) {
        let call = create(&world, target, "k", &body);
        let first = world.answer(&call).await;
        let thing = made(&first);
        assert!(!is_replayed(&first), "{target}");
        let events = world.store.counts().await.unwrap().events;
        world.pass(3600);
        let again = async |when: &str| {
            let again = world.answer(&call).await;
            assert_eq!(again.status(), 201, "{target}, {when}");
            assert_eq!(again.body(), first.body(), "{target}, {when}");
            assert_eq!(again.headers().get("etag"), first.headers().get("etag"), "{target}, {when}");
            assert!(is_replayed(&again), "{target}, {when}");
        };
        again("as it was made").await;
        assert_eq!(world.store.counts().await.unwrap().events, events, "{target}: nothing was made");
        let path = format!("{target}/{}", id(&thing));
        if let Some(change) = change {
            assert_eq!(world.answer(&world.call("PATCH", &path, Some(&change))).await.status(), 200);
            again("changed").await;
        }
        assert_eq!(world.answer(&world.call("DELETE", &path, None)).await.status(), 204, "{path}");
        again("deleted").await;
        // By now the end that was asked for is past, which a new request could not ask for.
        world.pass(12 * 3600);
        again("past its end").await;
        world.pass(-13 * 3600);
    }
}

#[tokio::test]
async fn what_a_client_sees() {
    let world = World::new().await;
    let body = json!({"name": "prod"});
    let call = create(&world, "/vaults", "\"8e03978e-40d5\"", &body);
    assert_snapshot!("create", seen_call(&world, &call).await);
    assert_snapshot!(
        "create_again",
        seen_call(&world, &call.clone().header("idempotency-key", "8e03978e-40d5")).await
    );
    let other = create(&world, "/vaults", "8e03978e-40d5", &json!({"name": "prod", "description": "d"}));
    assert_snapshot!("create_another", seen_call(&world, &other).await);
    assert_snapshot!("no_key", seen_call(&world, &create(&world, "/vaults", "two words", &body)).await);
    let key = create(&world, "/api_keys", "k", &json!({"description": "web"}));
    let (first, again) = (world.answer(&key).await, world.answer(&key).await);
    assert_eq!(first.body(), again.body(), "the token too");
    let token = made(&again)["token"].as_str().unwrap().to_owned();
    assert_eq!(world.answer(&Call::new("GET", "/vaults", None).bearer(&token)).await.status(), 200);
    assert!(!without_token(&String::from_utf8_lossy(again.body())).contains(&token));
    let preflight = Call::new("OPTIONS", "/vaults", None)
        .without("ngrok-version")
        .header("origin", "https://console.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "idempotency-key");
    let allowed = world.answer(&preflight).await;
    assert_eq!(allowed.headers()["access-control-allow-headers"], "idempotency-key");
}

#[tokio::test]
async fn a_key_counts_for_its_sender_its_path_and_a_day() {
    let world = World::new().await;
    let (_, other) = world.add_key(world.first_user).await;
    let named = |name: &str| json!({"name": name});
    let ask = async |call: Call| {
        let answer = world.answer(&call).await;
        (code(&answer).0, is_replayed(&answer))
    };
    assert_eq!(ask(create(&world, "/vaults", "k", &named("a"))).await, (201, false));
    assert_eq!(ask(create(&world, "/vaults", "K", &named("b"))).await, (201, false), "another key");
    assert_eq!(ask(create(&world, "/service_users", "k", &named("a"))).await, (201, false), "another path");
    assert_eq!(ask(create(&world, "/bot_users", "k", &named("b"))).await, (201, false));
    assert_eq!(ask(create(&world, "/bot_users", "k", &named("a"))).await, (422, false));
    let from_other = |name: &str| create(&world, "/vaults", "k", &named(name)).bearer(&other);
    assert_eq!(ask(from_other("c")).await, (201, false), "another sender");
    assert_eq!(ask(from_other("a")).await, (422, false));
    assert_eq!(ask(from_other("c")).await, (201, true));
    let without = world.call("POST", "/vaults", Some(&named("a")));
    assert_eq!(ask(without).await, (400, false), "without the header nothing is known of it");
    world.pass(DAY - 1);
    assert_eq!(ask(create(&world, "/vaults", "k", &named("a"))).await, (201, true));
    world.pass(1);
    assert_eq!(ask(create(&world, "/vaults", "k", &named("a"))).await, (400, false), "the name is taken");
    assert_eq!(ask(create(&world, "/vaults", "k", &named("d"))).await, (201, false), "a day is over");
    assert_eq!(ask(create(&world, "/vaults", "k", &named("d"))).await, (201, true));
}

#[tokio::test]
async fn what_was_refused_is_tried_again() {
    let world = World::new().await;
    let vault = world.add_vault("taken").await;
    let call = create(&world, "/vaults", "k", &json!({"name": "taken"}));
    assert_eq!(code(&world.answer(&call).await), (400, "ERR_NGROK_23004".to_owned()));
    assert_eq!(
        world.answer(&world.call("DELETE", &format!("/vaults/{}", id(&vault)), None)).await.status(),
        204
    );
    let answer = world.answer(&call).await;
    assert_eq!((answer.status().as_u16(), is_replayed(&answer)), (201, false));
    assert!(is_replayed(&world.answer(&call).await));
    // What is refused before it is looked at leaves no trace either.
    let bad = create(&world, "/vaults", "other", &json!({"name": "a b"}));
    assert_eq!(world.answer(&bad).await.status(), 400);
    let good = create(&world, "/vaults", "other", &json!({"name": "ab"}));
    assert_eq!(world.answer(&good).await.status(), 201);
}

#[tokio::test]
async fn a_key_that_may_less_by_now_gets_less() {
    let world = World::new().await;
    world.add_vault("prod").await;
    let (key, token) = world.add_key_with(world.first_user, Some("manage *:*\nadmin")).await;
    let robot = PrincipalId::ServiceUser(world.add_service_user("robot", true).await);
    let calls = [
        ("/vaults", json!({"name": "new"})),
        ("/vault_secrets", json!({"name": "db", "value": "v", "vault_name": "prod"})),
        ("/api_keys", json!({"owner_id": robot.to_string()})),
        ("/service_users", json!({"name": "new"})),
    ]
    .map(|(target, body)| create(&world, target, "k", &body).bearer(&token));
    for call in &calls {
        made(&world.answer(call).await);
    }
    let narrowed = async |grants: Value| {
        let call = world.call("PATCH", &format!("/api_keys/{key}"), Some(&json!({"grants": grants})));
        assert_eq!(world.answer(&call).await.status(), 200);
        let mut statuses = Vec::new();
        for call in &calls {
            let answer = world.answer(call).await;
            assert_eq!(is_replayed(&answer), answer.status() == 201);
            statuses.push(answer.status().as_u16());
        }
        statuses
    };
    let grant =
        |action: &str, vault: &str, secret: &str| json!({"action": action, "vault": vault, "secret": secret});
    assert_eq!(narrowed(json!([grant("manage", "*", "*"), {"action": "admin"}])).await, [201, 201, 201, 201]);
    assert_eq!(narrowed(json!([grant("manage", "prod", "*")])).await, [403, 201, 403, 403]);
    assert_eq!(narrowed(json!([grant("read", "prod", "*")])).await, [403, 403, 403, 403]);
    assert_eq!(narrowed(json!([grant("manage", "other", "*")])).await, [403, 404, 403, 403]);
    world.delete_key(key).await;
    for call in &calls {
        assert_eq!(world.answer(call).await.status(), 403);
    }
}

#[tokio::test]
async fn answers_are_forgotten_after_a_day() {
    let world = World::new().await;
    let make = async |target: &str, key: &str, body: Value| {
        made(&world.answer(&create(&world, target, key, &body)).await);
    };
    for number in 0..3 {
        make("/vaults", &format!("k{number}"), json!({"name": format!("v{number}")})).await;
    }
    make("/api_keys", "key", json!({})).await;
    world.pass(3600);
    make("/vaults", "later", json!({"name": "later"})).await;
    world.add_vault("without").await;
    world.pass(DAY - 3601);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    let events = world.store.counts().await.unwrap().events;
    // As another sweep would, and before it: what is left is what it finds.
    assert_eq!(world.answers_left().await, 5, "none for what came without a key");
    make("/vaults", "k9", json!({"name": "v9"})).await;
    world.pass(DAY - 1);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(world.answers_left().await, 1);
    make("/vaults", "k10", json!({"name": "v10"})).await;
    world.pass(DAY);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(world.answers_left().await, 0);
    assert_eq!(world.store.counts().await.unwrap().events, events + 2, "forgetting is no change");
}
