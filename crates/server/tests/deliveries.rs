//! What deliveries come to in time: a list that is full, what is removed, what is signed with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::time::Duration;

use harness::{World, id};
use serde_json::{Value, json};
use strongroom_crypto::SigningSecret;
use strongroom_domain::caller::Role;
use strongroom_domain::deleted::Retention;
use strongroom_domain::ids::WebhookId;
use strongroom_domain::limits::Limits;
use strongroom_domain::webhook::{DeliveryState, Settled, Webhook};
use strongroom_server::{Settings, delivery, sweeper};

const DAY: i64 = 24 * 3600;

async fn deliveries(world: &World, webhook: WebhookId, query: &str) -> Vec<Value> {
    let target = format!("/strongroom/webhooks/{webhook}/deliveries{query}");
    let answer = world.answer(&world.call("GET", &target, None)).await;
    assert_eq!(answer.status(), 200);
    let page: Value = serde_json::from_slice(answer.body()).unwrap();
    page["deliveries"].as_array().unwrap().clone()
}

/// Waits until a webhook has a delivery of the newest change.
async fn delivered_to(world: &World, webhook: WebhookId) -> Value {
    let newest = world.store.audit_head().await.unwrap().sequence;
    for _ in 0..3000 {
        let first = deliveries(world, webhook, "?limit=1").await.pop();
        if let Some(first) = first.filter(|first| first["sequence"] == newest) {
            return first;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no delivery of record {newest} to {webhook}");
}

async fn position(world: &World, webhook: WebhookId) -> u64 {
    world.store.webhook_find(world.account(), webhook).await.unwrap().unwrap().position
}

async fn metrics(world: &World) -> String {
    let answer = world.answer(&world.call("GET", "/metrics", None)).await;
    String::from_utf8(answer.into_body()).unwrap()
}

/// Waits until the counters say that.
async fn told(world: &World, line: &str) {
    for _ in 0..3000 {
        if metrics(world).await.lines().any(|told| told == line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no {line} in {}", metrics(world).await);
}

async fn change(world: &World, target: &str, body: Value) {
    let call = world.call("PATCH", target, Some(&body));
    assert_eq!(world.answer(&call).await.status(), 200, "{target}");
}

/// The targets here are on no network, so that each attempt fails at once.
#[tokio::test]
async fn a_list_full_of_those_that_wait_holds_the_place_until_there_is_room() {
    let world = World::new().await;
    let (full, other) = (world.add_webhook().await, world.add_webhook().await);
    let vault = world.add_vault("prod").await;
    let secret = world.add_secret(&vault, "tls-key").await;
    change(&world, &format!("/vault_secrets/{}", id(&secret)), json!({"description": "changed"})).await;
    // They are due much later than what is looked at.
    world.pass(365 * DAY);
    world.add_deliveries(full, 1_000_000..1_000_000 + Webhook::DELIVERIES_MAX, DeliveryState::Waiting).await;
    world.pass(-365 * DAY);
    let before = position(&world, full).await;
    let running = tokio::spawn(delivery::run(world.front.shared().clone()));
    let failed = delivered_to(&world, other).await;
    assert_eq!((&failed["attempts"], &failed["state"]), (&json!(1), &json!("waiting")));
    told(&world, "strongroom_webhook_held 1").await;
    assert_eq!(position(&world, full).await, before, "it went on though the list is full");
    assert!(!metrics(&world).await.contains("strongroom_webhook_lag 0\n"), "it is behind");

    let one = vec![Settled::Delivered(1_000_000)];
    world.store.delivery_settle(world.account(), full, 0, one).await.unwrap();
    change(&world, &format!("/strongroom/webhooks/{full}"), json!({"description": "a nudge"})).await;
    told(&world, "strongroom_webhook_held 0").await;
    told(&world, "strongroom_webhook_lag 0").await;
    let oldest = format!("?before={}", failed["sequence"].as_u64().unwrap() + 1);
    assert_eq!(deliveries(&world, full, &oldest).await[0]["sequence"], failed["sequence"]);
    running.abort();
}

/// A secret that does not open, say: each message is noted as not sent, and the place goes on.
#[tokio::test]
async fn attempts_that_cannot_be_made_are_noted_like_others() {
    let world = World::new().await;
    let webhook = world.add_webhook().await;
    world.damage_webhook(webhook).await;
    let vault = world.add_vault("prod").await;
    let secret = world.add_secret(&vault, "tls-key").await;
    for number in 0..6 {
        let target = format!("/vault_secrets/{}", id(&secret));
        change(&world, &target, json!({"description": format!("changed {number} times")})).await;
    }
    let newest = world.store.audit_head().await.unwrap().sequence;
    let running = tokio::spawn(delivery::run(world.front.shared().clone()));
    told(&world, "strongroom_webhook_waiting 6").await;
    running.abort();
    assert_eq!(position(&world, webhook).await, newest);
    for failed in deliveries(&world, webhook, "").await {
        assert_eq!(failed["attempts"], 1);
        assert!(failed["error"].as_str().unwrap().contains("this server could not"), "{failed}");
    }
}

#[tokio::test]
async fn dead_deliveries_make_room_the_oldest_first() {
    let world = World::new().await;
    let webhook = world.add_webhook().await;
    let last = 1_000_000 + Webhook::DELIVERIES_MAX;
    world.add_deliveries(webhook, 1_000_001..last, DeliveryState::Dead).await;
    world.pass(-DAY);
    world.add_deliveries(webhook, last..last + 1, DeliveryState::Dead).await;
    world.pass(DAY);
    let vault = world.add_vault("prod").await;
    let secret = world.add_secret(&vault, "tls-key").await;
    change(&world, &format!("/vault_secrets/{}", id(&secret)), json!({"description": "changed"})).await;
    let running = tokio::spawn(delivery::run(world.front.shared().clone()));
    told(&world, "strongroom_webhook_waiting 1").await;
    running.abort();
    let counts = world.store.delivery_counts(world.account(), webhook).await.unwrap();
    assert!(counts.waiting + counts.dead <= Webhook::DELIVERIES_MAX, "{counts:?}");
    assert!(counts.dead >= Webhook::DELIVERIES_MAX - 32, "{counts:?}");
    let newest = deliveries(&world, webhook, "?limit=1").await;
    assert_eq!(newest[0]["sequence"], last - 1, "that with the greatest number was given up first");
}

/// What a webhook was not to be told while it happened is not told later, after a restart either.
#[tokio::test]
async fn other_types_count_from_their_change_on() {
    let world = World::new().await;
    let webhook = world.add_webhook().await;
    let target = format!("/strongroom/webhooks/{webhook}");
    for number in 0..20 {
        world.add_vault(&format!("v{number}")).await;
    }
    let (before, passed) =
        (position(&world, webhook).await, world.store.audit_head().await.unwrap().sequence);
    let running = tokio::spawn(delivery::run(world.front.shared().clone()));
    // Its end is in memory, and then the webhook has looked at all of it.
    let vault = world.add_vault("gone").await;
    assert_eq!(
        world.answer(&world.call("DELETE", &format!("/vaults/{}", id(&vault)), None)).await.status(),
        204
    );
    delivered_to(&world, webhook).await;
    for number in 20..40 {
        world.add_vault(&format!("v{number}")).await;
    }
    let newest = world.store.audit_head().await.unwrap().sequence;
    for attempt in 0.. {
        // It may not have looked at the last ones yet.
        change(
            &world,
            &target,
            json!({"event_types": ["vault_deleted.v0"], "description": format!("{attempt}")}),
        )
        .await;
        if position(&world, webhook).await >= newest {
            break;
        }
        assert!(attempt < 3000, "{newest} is not stored as seen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(before < passed && passed < newest);
    change(&world, &target, json!({"event_types": ["*"]})).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let again = tokio::spawn(delivery::run(world.front.shared().clone()));
    world.add_vault("new").await;
    let failed = delivered_to(&world, webhook).await;
    assert_eq!(failed["event_type"], "vault_created.v0", "{failed}");
    assert_eq!(deliveries(&world, webhook, "").await.len(), 2, "the vault that went, and the new one");
    again.abort();
}

#[tokio::test]
async fn a_webhook_can_be_told_of_ends_alone() {
    let world = World::new().await;
    let webhook = world.add_webhook().await;
    let types = json!({"event_types": ["secret_expiring.v0", "secret_expired.v0"]});
    change(&world, &format!("/strongroom/webhooks/{webhook}"), types).await;
    let vault = world.add_vault("prod").await;
    let end = world.now().checked_add(jiff::SignedDuration::from_hours(40 * 24)).unwrap().to_string();
    let body = json!({"name": "token", "value": "v", "vault_id": vault["id"], "expires_at": end});
    world.make("/vault_secrets", body).await;
    let running = tokio::spawn(delivery::run(world.front.shared().clone()));
    let mut heard = Vec::new();
    for passed in [20 * DAY, 21 * DAY] {
        world.pass(passed);
        sweeper::sweep(world.front.shared(), u64::MAX).await;
        let failed = delivered_to(&world, webhook).await;
        heard.push(failed["event_type"].as_str().unwrap().to_owned());
    }
    running.abort();
    assert_eq!(heard, ["secret_expiring.v0", "secret_expired.v0"]);
    let feed = world.answer(&world.call("GET", "/strongroom/changes?after=start", None)).await;
    let feed: Value = serde_json::from_slice(feed.body()).unwrap();
    let kinds: Vec<_> =
        feed["changes"].as_array().unwrap().iter().map(|change| change["type"].clone()).collect();
    assert_eq!(kinds[2..], ["secret_expiring.v0", "secret_expired.v0"]);
}

#[tokio::test]
async fn dead_deliveries_are_kept_for_thirty_days() {
    let world = World::new().await;
    let webhook = world.add_webhook().await;
    world.add_deliveries(webhook, 1..3, DeliveryState::Dead).await;
    world.pass(DAY);
    world.add_deliveries(webhook, 3..5, DeliveryState::Dead).await;
    world.add_deliveries(webhook, 5..6, DeliveryState::Waiting).await;
    let shared = world.front.shared();
    for (passed, left) in [(29 * DAY - 1, 5), (1, 3), (DAY, 1), (100 * DAY, 1)] {
        world.pass(passed);
        sweeper::sweep(shared, u64::MAX).await;
        assert_eq!(deliveries(&world, webhook, "").await.len(), left, "after {passed} s more");
    }
}

#[tokio::test]
async fn what_is_still_to_be_told_is_not_pruned() {
    let limits = Limits { audit: Some(Retention { seconds: 600 }), ..Limits::default() };
    let world = World::with(Role::Admin, limits, Settings::default()).await;
    let first = async || world.store.audit_list(0, 1).await.unwrap()[0].sequence;
    let webhook = world.add_webhook().await;
    let place = position(&world, webhook).await;
    for number in 0..40 {
        world.add_vault(&format!("old-{number}")).await;
    }
    world.pass(DAY);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!((first().await, place), (1, 1));
    world.store.delivery_settle(world.account(), webhook, 17, Vec::new()).await.unwrap();
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(first().await, 17, "in whole blocks of sixteen");
    let off =
        world.call("PATCH", &format!("/strongroom/webhooks/{webhook}"), Some(&json!({"active": false})));
    assert_eq!(world.answer(&off).await.status(), 200);
    world.pass(DAY);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(first().await, 33, "an inactive one is told nothing");
}

#[tokio::test]
async fn a_secret_that_was_replaced_signs_along_for_a_day() {
    let world = World::new().await;
    let webhook = world.add_webhook().await;
    let target = format!("/strongroom/webhooks/{webhook}");
    let new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signatures = async || {
        let webhook = world.store.webhook_find(world.account(), webhook).await.unwrap().unwrap();
        let app = world.front.shared().app();
        let signed = app.webhook_sign(&webhook, "msg", app.clock().now(), b"{}").await.unwrap();
        let of_new = SigningSecret::parse(new).unwrap().sign("msg", app.clock().now().as_second(), b"{}");
        let of_new = signed.starts_with(&of_new);
        (signed.split(' ').count(), of_new, webhook.old_secret.is_some())
    };
    assert_eq!(signatures().await, (1, false, false));
    let change = world.call("PATCH", &target, Some(&json!({"secret": new})));
    assert_eq!(world.answer(&change).await.status(), 200);
    world.pass(DAY - 1);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(signatures().await, (2, true, true));
    world.pass(1);
    assert_eq!(signatures().await, (1, true, true), "it counts no more, swept or not");
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(signatures().await, (1, true, false), "and then it is destroyed");
}
