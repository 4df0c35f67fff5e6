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
use strongroom_domain::webhook::{DeliveryState, Webhook};
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

/// The targets here are on no network, so that each attempt fails at once.
#[tokio::test]
async fn a_full_list_holds_the_place_until_there_is_room() {
    let world = World::new().await;
    let (full, other) = (world.add_webhook().await, world.add_webhook().await);
    world.add_deliveries(full, 1_000_000..1_000_000 + Webhook::DELIVERIES_MAX, DeliveryState::Dead).await;
    let vault = world.add_vault("prod").await;
    let secret = world.add_secret(&vault, "tls-key").await;
    let target = format!("/vault_secrets/{}", id(&secret));
    let change = world.call("PATCH", &target, Some(&json!({"description": "changed"})));
    assert_eq!(world.answer(&change).await.status(), 200);
    let before = position(&world, full).await;
    let running = tokio::spawn(delivery::run(world.front.shared().clone()));
    let failed = delivered_to(&world, other).await;
    assert_eq!((&failed["attempts"], &failed["state"]), (&json!(1), &json!("waiting")));
    assert_eq!(position(&world, full).await, before, "it went on though the list is full");

    let prune = world.store.delivery_prune(world.account(), full, jiff::Timestamp::MAX, 1).await;
    assert_eq!(prune.unwrap(), 1);
    let nudge = format!("/strongroom/webhooks/{full}");
    let nudge = world.call("PATCH", &nudge, Some(&json!({"event_types": ["secret_updated.v0"]})));
    assert_eq!(world.answer(&nudge).await.status(), 200);
    let sequence = &failed["sequence"];
    for _ in 0..3000 {
        let found = deliveries(&world, full, "?state=waiting").await;
        if found.first().is_some_and(|found| found["sequence"] == *sequence) {
            running.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not go on, though there is room");
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
        let signed = app.webhook_sign(&webhook, "msg", app.clock().now(), b"{}").unwrap();
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
