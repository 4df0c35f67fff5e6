use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::audit::Event;
use strongroom_server::sweeper;

use crate::harness::{Call, World, id};
use crate::{seen, seen_with};

const DAY: i64 = 24 * 3600;

/// A vault `prod` with a secret that ends after so many days.
async fn ending(world: &World, days: i64) -> Value {
    let vault = world.add_vault("prod").await;
    let body =
        json!({"name": "token", "value": "v", "vault_id": vault["id"], "expires_at": days_on(world, days)});
    world.make("/vault_secrets", body).await
}

/// The time that is so many days on.
fn days_on(world: &World, days: i64) -> String {
    world.now().checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap().to_string()
}

async fn change(world: &World, secret: &Value, body: Value) -> u16 {
    let call = world.call("PATCH", &format!("/vault_secrets/{}", id(secret)), Some(&body));
    world.answer(&call).await.status().as_u16()
}

async fn detail(world: &World, secret: &Value) -> Value {
    let call = world.call("GET", &format!("/strongroom/secrets/{}", id(secret)), None);
    serde_json::from_slice(world.answer(&call).await.body()).unwrap()
}

async fn events(world: &World) -> Vec<Event> {
    let records = world.store.audit_list(0, 1000).await.unwrap();
    records.iter().map(|record| Event::from_canonical(&record.canonical).unwrap()).collect()
}

/// The types of the events that a sweep writes.
async fn swept(world: &World) -> Vec<String> {
    let before = events(world).await.len();
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    events(world).await[before..].iter().map(|event| event.kind.to_string()).collect()
}

#[tokio::test]
async fn an_end_is_told_by_our_own_routes_alone() {
    let world = World::new().await;
    let vault = world.add_vault("prod").await;
    let body = json!({
        "name": "token", "value": "v", "vault_id": vault["id"], "expires_at": "2026-03-01T02:30:00.9+02:00"
    });
    assert_snapshot!("create", seen(&world, "POST", "/vault_secrets", Some(body)).await);
    assert_snapshot!("created_event", world.last_event().await);
    let path = "/strongroom/secrets?filter=obj.expires_at+!%3D+null";
    assert_snapshot!("details", seen(&world, "GET", path, None).await);
    let body = json!({"secrets": [{"vault": "prod", "name": "token"}]});
    assert_snapshot!(
        "resolve",
        seen_with(&world, "resolve prod:*", "POST", "/strongroom/resolve", Some(body)).await
    );
    let record = world.store.audit_list(0, 1000).await.unwrap().swap_remove(1);
    let shown = strongroom_server::view::event(&record, &strongroom_server::origin::Origin::none()).unwrap();
    assert_eq!(shown.object["expires_at"], "2026-03-01T00:30:00Z");
}

#[tokio::test]
async fn an_end_is_set_moved_and_taken_away() {
    let world = World::new().await;
    let secret = ending(&world, 40).await;
    let (first, later) = (days_on(&world, 40), days_on(&world, 50));
    assert_eq!(detail(&world, &secret).await["expires_at"], first.as_str());
    let tag = async || {
        let call = world.call("GET", &format!("/vault_secrets/{}", id(&secret)), None);
        world.answer(&call).await.headers()["etag"].clone()
    };
    let (before, count) = (tag().await, events(&world).await.len());
    world.pass(1);
    for nothing in [json!({"expires_at": first}), json!({"expires_at": null}), json!({"description": ""})] {
        assert_eq!(change(&world, &secret, nothing).await, 200);
    }
    assert_eq!((tag().await, events(&world).await.len()), (before.clone(), count), "a change of nothing");
    assert_eq!(change(&world, &secret, json!({"expires_at": later})).await, 200);
    assert_eq!(detail(&world, &secret).await["expires_at"], later.as_str());
    assert_ne!(tag().await, before);
    assert_eq!(change(&world, &secret, json!({"value": "another"})).await, 200);
    assert_eq!(detail(&world, &secret).await["expires_at"], later.as_str(), "another value keeps it");
    let rollback = format!("/strongroom/secrets/{}/rollback", id(&secret));
    let answer = world.answer(&world.call("POST", &rollback, Some(&json!({"version": 1})))).await;
    let rolled: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(rolled["expires_at"], later.as_str(), "and so does an earlier one");
    world.add_vault("staging").await;
    let path = format!("/strongroom/secrets/{}/move", id(&secret));
    let answer = world.answer(&world.call("POST", &path, Some(&json!({"vault_name": "staging"})))).await;
    assert_eq!(answer.status(), 200);
    let path = format!("/vault_secrets/{}", id(&secret));
    assert_eq!(world.answer(&world.call("DELETE", &path, None)).await.status(), 204);
    let path = format!("/strongroom/secrets/{}/undelete", id(&secret));
    assert_eq!(world.answer(&world.call("POST", &path, Some(&json!({})))).await.status(), 200);
    assert_eq!(detail(&world, &secret).await["expires_at"], later.as_str(), "moved, deleted, brought back");
    assert_eq!(change(&world, &secret, json!({"expires_at": ""})).await, 200);
    assert_eq!(detail(&world, &secret).await["expires_at"], "");
}

#[tokio::test]
async fn past_its_end_a_value_is_not_given_out() {
    let world = World::new().await;
    let secret = ending(&world, 1).await;
    let vault = secret["vault"].clone();
    world.add_secret(&vault, "endless").await;
    let (_, token) = world.add_key_with(world.first_user, Some("resolve prod:*")).await;
    let get = "/strongroom/values?vault=prod&name=token";
    let ask = async |call: &Call| {
        let answer = world.answer(&call.clone().bearer(&token)).await;
        (answer.status().as_u16(), answer.headers().get("etag").cloned())
    };
    world.pass(DAY - 1);
    let (status, etag) = ask(&world.call("GET", get, None)).await;
    assert_eq!(status, 200);
    let known = world.call("GET", get, None).header("if-none-match", etag.unwrap().to_str().unwrap());
    assert_eq!(ask(&known).await.0, 304);
    world.pass(1);
    assert_eq!(ask(&known).await.0, 410, "what the client has is not good any more either");
    assert_eq!(ask(&world.call("GET", "/strongroom/values?vault=prod", None)).await.0, 410, "all or nothing");
    let endless = "/strongroom/values?vault=prod&name=endless";
    assert_eq!(ask(&world.call("GET", endless, None)).await.0, 200);
    let given_out =
        async || events(&world).await.iter().filter(|event| event.kind == "secret_resolved.v0").count();
    let count = given_out().await;
    let body = json!({"secrets": [
        {"vault": "prod", "name": "endless"}, {"vault": "prod", "name": "token"}, {"id": secret["id"], "version": 1}
    ]});
    let seen = seen_with(&world, "resolve prod:*", "POST", "/strongroom/resolve", Some(body.clone())).await;
    assert_snapshot!("resolve_expired", seen);
    let missing = json!({"secrets": [{"vault": "prod", "name": "token"}, {"vault": "prod", "name": "none"}]});
    let call = world.call("POST", "/strongroom/resolve", Some(&missing));
    assert_eq!(ask(&call).await.0, 404, "what is missing is told first");
    let call = world.call("POST", "/strongroom/resolve", Some(&body));
    let (_, other) = world.add_key_with(world.first_user, Some("read prod:*\nresolve other:*")).await;
    assert_eq!(world.answer(&call.clone().bearer(&other)).await.status(), 403, "and what is not granted");
    assert_eq!(given_out().await, count, "no value, no event");

    // All but its value is there, and can be changed.
    assert_eq!(detail(&world, &secret).await["version"], 1);
    assert_eq!(change(&world, &secret, json!({"description": "d", "value": "another"})).await, 200);
    let same = detail(&world, &secret).await["expires_at"].clone();
    assert_eq!(change(&world, &secret, json!({"expires_at": same, "metadata": "m"})).await, 200, "it has it");
    assert_eq!(change(&world, &secret, json!({"expires_at": "2026-01-01T12:00:00Z"})).await, 400);
    assert_eq!(ask(&call).await.0, 410);
    assert_eq!(change(&world, &secret, json!({"expires_at": days_on(&world, 1)})).await, 200);
    assert_eq!(ask(&world.call("GET", get, None)).await.0, 200);
}

#[tokio::test]
async fn an_end_is_told_of_ahead_and_when_it_is_past() {
    let world = World::new().await;
    let secret = ending(&world, 40).await;
    let before = detail(&world, &secret).await;
    let (expiring, expired) = ("secret_expiring.v0", "secret_expired.v0");
    let none: [&str; 0] = [];
    assert_eq!(swept(&world).await, none);
    for (days, first, then) in [(9, none.as_slice(), none), (1, &[expiring], none), (22, &[], none)] {
        world.pass(days * DAY);
        assert_eq!(swept(&world).await, first, "{days}");
        assert_eq!(swept(&world).await, then, "once");
    }
    world.pass(DAY);
    assert_eq!(swept(&world).await, [expiring], "7 days ahead");
    let event = world.last_event().await;
    world.pass(6 * DAY);
    assert_eq!(swept(&world).await, [expiring], "1 day ahead");
    world.pass(DAY - 1);
    assert_eq!(swept(&world).await, none);
    world.pass(1);
    assert_eq!(swept(&world).await, [expired]);
    world.pass(100 * DAY);
    assert_eq!(swept(&world).await, none);
    assert_snapshot!("expiring_event", event);
    assert_eq!(detail(&world, &secret).await, before, "telling is no change");
    assert_eq!(change(&world, &secret, json!({"expires_at": days_on(&world, 8)})).await, 200);
    assert_eq!(swept(&world).await, [expiring], "a new end starts anew");
    world.pass(DAY);
    assert_eq!(swept(&world).await, [expiring]);
}

#[tokio::test]
async fn what_was_missed_is_told_once_and_as_it_is_now() {
    let world = World::new().await;
    ending(&world, 40).await;
    let vault = world.add_vault("other").await;
    for number in 0..250 {
        let body = json!({
            "name": format!("token-{number}"), "value": "v", "vault_id": vault["id"], "expires_at": days_on(&world, 90)
        });
        world.make("/vault_secrets", body).await;
    }
    world.pass(35 * DAY);
    assert_eq!(swept(&world).await, ["secret_expiring.v0"], "not for 30 days and for 7");
    world.pass(55 * DAY);
    let told = swept(&world).await;
    assert_eq!(told, vec!["secret_expired.v0"; 251], "more than one step takes");
    assert_eq!(swept(&world).await.len(), 0);
}
