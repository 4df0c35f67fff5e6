use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::deleted::Retention;
use strongroom_domain::limits::Limits;
use strongroom_server::{Settings, sweeper};

use crate::harness::{Call, World, id};
use crate::{seen, seen_with};

/// A log of a few events. The harness makes the account without one.
async fn logged() -> World {
    let world = World::new().await;
    let vault = world.add_vault("prod").await;
    world.make("/vault_secrets", json!({"name": "a", "value": "v", "vault_id": vault["id"]})).await;
    world.add_vault("dev").await;
    world
}

#[tokio::test]
async fn proofs() {
    let world = logged().await;
    let seen = async |target: &str| seen(&world, "GET", target, None).await;
    assert_snapshot!("audit_checkpoint", seen("/strongroom/audit/checkpoint").await);
    assert_snapshot!("audit_inclusion", seen("/strongroom/audit/inclusion?sequence=2").await);
    assert_snapshot!("audit_inclusion_then", seen("/strongroom/audit/inclusion?sequence=2&size=2").await);
    assert_snapshot!("audit_inclusion_of_none", seen("/strongroom/audit/inclusion?sequence=4").await);
    assert_snapshot!("audit_inclusion_unnamed", seen("/strongroom/audit/inclusion").await);
    assert_snapshot!("audit_consistency", seen("/strongroom/audit/consistency?from=2").await);
    assert_snapshot!("audit_consistency_from_nothing", seen("/strongroom/audit/consistency?from=0").await);
    assert_snapshot!("audit_consistency_beyond", seen("/strongroom/audit/consistency?from=2&size=4").await);
}

#[tokio::test]
async fn listing() {
    let world = logged().await;
    let seen =
        async |query: &str| seen(&world, "GET", &format!("/strongroom/audit_events{query}"), None).await;
    assert_snapshot!("audit_newest_first", seen("?limit=2").await);
    assert_snapshot!("audit_next_page", seen("?before=2&limit=2").await);
    assert_snapshot!("audit_oldest_first", seen("?order=oldest&limit=1&after=1").await);
    assert_snapshot!("audit_bad_order", seen("?order=up").await);
    assert_snapshot!("audit_bad_bound", seen("?after=1").await);
    assert_snapshot!("audit_bad_filter_field", seen("?filter=obj.object.name%20==%20%22a%22").await);
}

/// The numbers of the events for which a filter holds, page after page.
async fn numbers(world: &World, filter: &str) -> Vec<u64> {
    let encoded: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut next = Some(format!("/strongroom/audit_events?limit=1&order=oldest&filter={encoded}"));
    let mut numbers = Vec::new();
    while let Some(target) = next {
        let answer = world.answer(&world.call("GET", &target, None)).await;
        assert_eq!(answer.status(), 200, "{filter}");
        let page: Value = serde_json::from_slice(answer.body()).unwrap();
        numbers
            .extend(page["audit_events"].as_array().unwrap().iter().map(|e| e["sequence"].as_u64().unwrap()));
        let uri = page["next_page_uri"].as_str();
        next = uri.map(|uri| uri[uri.find("/strongroom/").unwrap()..].to_owned());
    }
    numbers
}

#[tokio::test]
async fn filters_look_into_events() {
    let world = logged().await;
    world.pass(60);
    let vault = world.add_vault("later").await;
    let (_, token) = world.add_key_with(world.first_user, Some("resolve *:*")).await;
    let resolve = json!({"secrets": [{"vault": "prod", "name": "a"}]});
    let call = Call::new("POST", "/strongroom/resolve", Some(&resolve)).bearer(&token);
    assert_eq!(world.answer(&call).await.status(), 200);
    let user = world.first_user;
    for (filter, expected) in [
        ("obj.event_type == \"vault_created.v0\"".to_owned(), vec![1, 3, 4]),
        ("obj.event_type.startsWith(\"secret_\")".to_owned(), vec![2, 6]),
        ("obj.event_timestamp > timestamp(\"2026-01-01T00:00:30Z\")".to_owned(), vec![4, 5, 6]),
        (format!("obj.object.id == \"{}\"", id(&vault)), vec![4]),
        (format!("obj.principal.id == \"{user}\" && obj.event_type == \"secret_resolved.v0\""), vec![6]),
        ("obj.principal.subject == \"nobody\"".to_owned(), vec![]),
    ] {
        assert_eq!(numbers(&world, &filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn the_log_takes_its_own_grant() {
    let world = logged().await;
    let seen =
        async |grants: &str| seen_with(&world, grants, "GET", "/strongroom/audit/checkpoint", None).await;
    assert_snapshot!("audit_without_grant", seen("read *:*\nresolve *:*").await);
}

/// By the clock alone, and in whole blocks of sixteen.
#[tokio::test]
async fn events_go_when_they_are_too_old() {
    let limits = Limits { audit: Some(Retention { seconds: 600 }), ..Limits::default() };
    let world = World::with(Role::Admin, limits, Settings::default()).await;
    let first = async || world.store.audit_list(0, 1).await.unwrap()[0].sequence;
    for number in 0..20 {
        world.add_vault(&format!("old-{number}")).await;
    }
    world.pass(300);
    for number in 0..20 {
        world.add_vault(&format!("young-{number}")).await;
    }
    world.pass(299);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(first().await, 1, "none is too old yet");
    world.pass(1);
    sweeper::sweep(world.front.shared(), 15).await;
    assert_eq!(first().await, 1, "not a block behind the last checkpoint");
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(first().await, 17, "the others are too young");
    assert_eq!(world.store.counts().await.unwrap().events, 41);
    let seen = async |target: &str| seen(&world, "GET", target, None).await;
    assert_snapshot!("audit_pruned", seen("/strongroom/audit_events?limit=1").await);
    assert_snapshot!("audit_inclusion_of_a_pruned_one", seen("/strongroom/audit/inclusion?sequence=2").await);
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(world.store.counts().await.unwrap().events, 41, "nothing to do, nothing to tell");
    assert_eq!(numbers(&world, "obj.event_type == \"audit_log_pruned.v0\"").await, [41]);
}
