use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::limits::Limits;
use strongroom_server::Settings;

use crate::harness::{Call, World, id};
use crate::{seen, seen_call, seen_with};

/// A vault `prod` with two secrets, and `dev` with one of the same name.
async fn furnished() -> (World, Value) {
    let world = World::new().await;
    let (prod, dev) = (world.add_vault("prod").await, world.add_vault("dev").await);
    let secret = |vault: &Value, name: &str, value: &str| json!({"name": name, "value": value, "vault_id": vault["id"]});
    world.make("/vault_secrets", secret(&prod, "tls-key", "-----BEGIN\n\"x\"\n")).await;
    let password = world.make("/vault_secrets", secret(&prod, "db-password", "correct horse")).await;
    world.make("/vault_secrets", secret(&dev, "db-password", "ü")).await;
    (world, password)
}

fn resolve(references: Value) -> Option<Value> {
    Some(json!({"secrets": references}))
}

#[tokio::test]
async fn resolving() {
    let (world, password) = furnished().await;
    let seen = async |grants: &str, references| {
        seen_with(&world, grants, "POST", "/strongroom/resolve", resolve(references)).await
    };
    let by_name = json!([{"vault": "prod", "name": "db-password"}]);
    assert_snapshot!("resolve_by_name", seen("resolve prod:*", by_name.clone()).await);
    let in_order = json!([
        {"id": password["id"]}, {"vault": "dev", "name": "db-password", "version": 1}, {"vault": "prod"}
    ]);
    assert_snapshot!("resolve_in_the_order_asked", seen("resolve *:*", in_order).await);
    assert_snapshot!(
        "resolve_what_is_granted_of_a_vault",
        seen("resolve prod:tls-*", json!([{"vault": "prod"}])).await
    );
    let missing = json!([
        {"vault": "prod", "name": "nothing"}, {"vault": "prod", "name": "tls-key"}, {"vault": "none"},
        {"id": "secret_0000000000000000000000000xY"}, {"vault": "prod", "name": "tls-key", "version": 2},
    ]);
    assert_snapshot!("resolve_missing", seen("resolve *:*", missing).await);
    let old = json!([{"vault": "prod", "name": "tls-key", "version": 2}]);
    assert_snapshot!("resolve_missing_version", seen("resolve *:*", old).await);
    assert_snapshot!("resolve_not_visible", seen("resolve dev:*", by_name.clone()).await);
    assert_snapshot!(
        "resolve_visible_and_not_allowed",
        seen("resolve dev:*\nread prod:*", by_name.clone()).await
    );
    assert_snapshot!("resolve_without_a_grant", seen("manage *:*", by_name).await);
    let bad = [
        ("resolve_nothing", json!([])),
        ("resolve_too_much", json!(vec![json!({"vault": "prod"}); 101])),
        ("resolve_no_reference", json!([{"name": "db-password"}])),
        ("resolve_two_in_one", json!([{"vault": "prod", "id": password["id"]}])),
        ("resolve_a_version_of_a_vault", json!([{"vault": "prod", "version": 1}])),
        ("resolve_a_version_that_is_none", json!([{"vault": "prod", "name": "tls-key", "version": 0}])),
        ("resolve_a_text", json!(["prod:db-password"])),
        ("resolve_an_unknown_field", json!([{"vault": "prod", "nam": "x"}])),
        ("resolve_no_list", json!({"vault": "prod"})),
    ];
    for (name, references) in bad {
        assert_snapshot!(name, seen("resolve *:*", references).await);
    }
}

#[tokio::test]
async fn reading_again() {
    let (world, _) = furnished().await;
    let (_, token) = world.add_key_with(world.first_user, Some("resolve prod:*")).await;
    let get = |target: &str| Call::new("GET", target, None).bearer(&token);
    let seen = async |call: Call| seen_call(&world, &call).await.replace(&token, "[token]");
    let target = "/strongroom/values?vault=prod&name=db-password";
    assert_snapshot!("values_get", seen(get(target)).await);
    assert_snapshot!("values_get_vault", seen(get("/strongroom/values?vault=prod")).await);
    assert_snapshot!("values_get_without_a_vault", seen(get("/strongroom/values?name=x")).await);
    assert_snapshot!(
        "values_get_version_of_vault",
        seen(get("/strongroom/values?vault=prod&version=1")).await
    );

    let tag = async || {
        let answer = world.answer(&get(target)).await;
        answer.headers()["etag"].to_str().unwrap().to_owned()
    };
    let first = tag().await;
    let events = world.store.counts().await.unwrap().events;
    for same in [first.clone(), format!("W/{first}"), format!("\"x\", {first}"), "*".to_owned()] {
        let answer = world.answer(&get(target).header("if-none-match", &same)).await;
        assert_eq!((answer.status().as_u16(), answer.body().len()), (304, 0), "{same}");
        assert_eq!(answer.headers()["etag"].to_str().unwrap(), first);
    }
    assert_eq!(
        world.store.counts().await.unwrap().events,
        events,
        "no value was given out, so there is no event"
    );
    let head = Call { method: "HEAD".to_owned(), ..get(target) };
    let head = world.answer(&head).await;
    assert_eq!((head.status().as_u16(), head.headers()["etag"].to_str().unwrap()), (200, first.as_str()));
    assert_eq!(world.store.counts().await.unwrap().events, events, "HEAD gives no value either");
    let other = world.answer(&get(target).header("if-none-match", "\"x\"")).await;
    assert_eq!(other.status(), 200);

    let listed =
        world.answer(&world.call("GET", "/vault_secrets?filter=obj.vault_name==%22prod%22", None)).await;
    let listed: Value = serde_json::from_slice(listed.body()).unwrap();
    let password =
        listed["secrets"].as_array().unwrap().iter().find(|secret| secret["name"] == "db-password");
    let path = format!("/vault_secrets/{}", id(password.unwrap()));
    for change in [json!({"value": "another"}), json!({"description": "x"})] {
        let before = tag().await;
        assert_eq!(world.answer(&world.call("PATCH", &path, Some(&change))).await.status(), 200);
        assert_ne!(tag().await, before, "{change}");
    }
}

#[tokio::test]
async fn last_use() {
    let (world, password) = furnished().await;
    let path = format!("/strongroom/secrets/{}", id(&password));
    assert_snapshot!("detail_never_used", seen(&world, "GET", &path, None).await);
    world.pass(60);
    let by_id = resolve(json!([{"id": password["id"]}]));
    let (_, token) = world.add_key_with(world.first_user, Some("resolve prod:*")).await;
    let call = Call::new("POST", "/strongroom/resolve", by_id.as_ref())
        .bearer(&token)
        .header("user-agent", "app/1.0");
    assert_eq!(world.answer(&call).await.status(), 200);
    assert_snapshot!("detail_used", seen(&world, "GET", &path, None).await);
    assert_snapshot!("resolved_event", world.last_event().await);
    let unused = "/strongroom/secrets?vault=prod&unused_since=2026-01-01T01:00:30%2B01:00&limit=1";
    assert_snapshot!("details_unused", seen(&world, "GET", unused, None).await);
    assert_snapshot!(
        "details_page",
        seen(&world, "GET", "/strongroom/secrets?vault=prod&limit=1", None).await
    );
    assert_snapshot!(
        "details_bad_time",
        seen(&world, "GET", "/strongroom/secrets?unused_since=soon", None).await
    );
    assert_snapshot!(
        "details_no_such_vault",
        seen(&world, "GET", "/strongroom/secrets?vault=none", None).await
    );
}

#[tokio::test]
async fn moving() {
    let (world, password) = furnished().await;
    let path = format!("/strongroom/secrets/{}/move", id(&password));
    let to = |body: Value| Some(body);
    let taken = to(json!({"vault_name": "dev"}));
    assert_snapshot!("move_name_taken", seen(&world, "POST", &path, taken).await);
    world.pass(60);
    let renamed = to(json!({"vault_name": "dev", "name": "prod-password"}));
    assert_snapshot!("move", seen(&world, "POST", &path, renamed.clone()).await);
    assert_snapshot!("move_again", seen(&world, "POST", &path, renamed).await);
    assert_snapshot!("move_nowhere", seen(&world, "POST", &path, to(json!({}))).await);
    let moved = resolve(json!([{"id": password["id"]}]));
    assert_snapshot!(
        "move_value",
        seen_with(&world, "resolve dev:*", "POST", "/strongroom/resolve", moved).await
    );
    // A key does not move within its own reach what it may not read where it is.
    let back = to(json!({"vault_name": "prod"}));
    assert_snapshot!(
        "move_to_read",
        seen_with(&world, "manage *:*\nresolve prod:*", "POST", &path, back).await
    );
}

#[tokio::test]
async fn explaining() {
    let (world, _) = furnished().await;
    let secret = json!({"vault": "prod", "name": "tls-key"});
    assert_snapshot!("explain_own", seen(&world, "POST", "/strongroom/explain", Some(secret.clone())).await);
    let robot = strongroom_domain::ids::PrincipalId::ServiceUser(world.add_service_user("robot", true).await);
    let (key, _) = world.add_key_with(robot, Some("resolve prod:tls-*\nread prod:*\nadmin")).await;
    let of = |name: &str| json!({"api_key": key.to_string(), "vault": "prod", "name": name});
    assert_snapshot!("explain_other", seen(&world, "POST", "/strongroom/explain", Some(of("tls-key"))).await);
    assert_snapshot!("explain_partly", seen(&world, "POST", "/strongroom/explain", Some(of("db"))).await);
    let seen_by_other = seen_with(&world, "read prod:*", "POST", "/strongroom/explain", Some(of("db"))).await;
    assert_snapshot!("explain_not_visible", seen_by_other);
    let bad = json!({"vault": "a b", "name": "x"});
    assert_snapshot!("explain_bad_name", seen(&world, "POST", "/strongroom/explain", Some(bad)).await);
}

#[tokio::test]
async fn an_answer_is_bounded_in_bytes() {
    let limits = Limits { value: 1 << 20, ..Limits::default() };
    let world = World::with(Role::Admin, limits, Settings::default()).await;
    let vault = world.add_vault("prod").await;
    let secret = json!({"name": "large", "value": "x".repeat(1 << 20), "vault_id": vault["id"]});
    world.make("/vault_secrets", secret).await;
    let (_, token) = world.add_key_with(world.first_user, Some("resolve prod:*")).await;
    let events = world.store.counts().await.unwrap().events;
    for (count, status) in [(9, 400), (7, 200)] {
        let body = resolve(json!(vec![json!({"vault": "prod", "name": "large"}); count]));
        let call = Call::new("POST", "/strongroom/resolve", body.as_ref()).bearer(&token);
        let answer = world.answer(&call).await;
        assert_eq!(answer.status(), status, "{count} MiB");
        if status == 400 {
            assert!(String::from_utf8_lossy(answer.body()).contains("up to 8 MiB"));
            assert_eq!(world.store.counts().await.unwrap().events, events);
        }
    }
}
