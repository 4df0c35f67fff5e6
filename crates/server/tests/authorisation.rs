//! Who may do what: every method of every route with every kind of caller. A route without a row fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::collections::BTreeSet;

use harness::{Call, World, id};
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::ids::PrincipalId;
use strongroom_domain::limits::Limits;
use strongroom_server::{ROUTES, Settings};

/// What those who show a valid key are answered; all others are always 403.
struct Row {
    method: &'static str,
    path: &'static str,
    viewer: u16,
    developer: u16,
    admin: u16,
    /// What keys with grants are answered, in the order of [`GRANTS`].
    granted: [u16; GRANTS.len()],
}

/// The kinds of keys with grants, all of an admin.
const GRANTS: [&str; 7] = [
    "read *:*",
    "manage *:*",
    "resolve *:*",
    "audit",
    "admin",
    // It may do all that has a target, but not where the requests go.
    "manage elsewhere:*\nresolve elsewhere:*",
    // One secret of the vault that the requests go to, by no name that they use.
    "manage v*:another\nresolve v*:another\nread v*:another",
];

const fn row(
    method: &'static str,
    path: &'static str,
    statuses: [u16; 3],
    granted: [u16; GRANTS.len()],
) -> Row {
    let [viewer, developer, admin] = statuses;
    Row { method, path, viewer, developer, admin, granted }
}

/// What is behind `{id}` is the caller's own where things have owners: a key.
const ROWS: &[Row] = &[
    row("GET", "/", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("GET", "/self", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("GET", "/metrics", [200, 200, 200], [403, 403, 403, 200, 200, 403, 403]),
    row("GET", "/vaults", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("POST", "/vaults", [403, 201, 201], [403, 201, 403, 403, 403, 403, 403]),
    row("GET", "/vaults/{id}", [200, 200, 200], [200, 200, 403, 404, 404, 404, 200]),
    row("PATCH", "/vaults/{id}", [403, 200, 200], [403, 200, 403, 404, 404, 404, 403]),
    row("DELETE", "/vaults/{id}", [403, 204, 204], [403, 204, 403, 404, 404, 404, 403]),
    row("GET", "/vaults/{id}/secrets", [200, 200, 200], [200, 200, 200, 404, 404, 404, 200]),
    row("GET", "/vault_secrets", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("POST", "/vault_secrets", [403, 201, 201], [403, 201, 403, 404, 404, 404, 403]),
    row("GET", "/vault_secrets/{id}", [200, 200, 200], [200, 200, 403, 404, 404, 404, 404]),
    row("PATCH", "/vault_secrets/{id}", [403, 200, 200], [403, 200, 403, 404, 404, 404, 404]),
    row("DELETE", "/vault_secrets/{id}", [403, 204, 204], [403, 204, 403, 404, 404, 404, 404]),
    row("GET", "/api_keys", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("POST", "/api_keys", [403, 201, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/api_keys/{id}", [200, 200, 200], [404, 404, 404, 404, 200, 404, 404]),
    row("PATCH", "/api_keys/{id}", [403, 200, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/api_keys/{id}", [403, 204, 204], [403, 403, 403, 403, 204, 403, 403]),
    row("GET", "/bot_users", [200, 200, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/bot_users", [403, 403, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/bot_users/{id}", [200, 200, 200], [404, 404, 404, 404, 200, 404, 404]),
    row("PATCH", "/bot_users/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/bot_users/{id}", [403, 403, 204], [403, 403, 403, 403, 204, 403, 403]),
    row("GET", "/service_users", [200, 200, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/service_users", [403, 403, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/service_users/{id}", [200, 200, 200], [404, 404, 404, 404, 200, 404, 404]),
    row("PATCH", "/service_users/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/service_users/{id}", [403, 403, 204], [403, 403, 403, 403, 204, 403, 403]),
    row("GET", "/ip_policies", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/ip_policies", [403, 403, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/ip_policies/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("PATCH", "/ip_policies/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/ip_policies/{id}", [403, 403, 204], [403, 403, 403, 403, 204, 403, 403]),
    row("GET", "/ip_policy_rules", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/ip_policy_rules", [403, 403, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/ip_policy_rules/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("PATCH", "/ip_policy_rules/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/ip_policy_rules/{id}", [403, 403, 204], [403, 403, 403, 403, 204, 403, 403]),
    row("GET", "/ip_restrictions", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/ip_restrictions", [403, 403, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/ip_restrictions/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("PATCH", "/ip_restrictions/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/ip_restrictions/{id}", [403, 403, 204], [403, 403, 403, 403, 204, 403, 403]),
    // A key without grants reads no value, whoever it is of.
    row("POST", "/strongroom/resolve", [403, 403, 403], [403, 403, 200, 403, 403, 404, 404]),
    row("GET", "/strongroom/values", [403, 403, 403], [403, 403, 200, 403, 403, 404, 404]),
    row("POST", "/strongroom/explain", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("GET", "/strongroom/secrets", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("GET", "/strongroom/secrets/{id}", [200, 200, 200], [200, 200, 403, 404, 404, 404, 404]),
    // What a key does not see is not told to it.
    row("GET", "/strongroom/changes", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("GET", "/strongroom/audit_events", [403, 403, 200], [403, 403, 403, 200, 403, 403, 403]),
    row("GET", "/strongroom/audit/checkpoint", [403, 403, 200], [403, 403, 403, 200, 403, 403, 403]),
    row("GET", "/strongroom/audit/inclusion", [403, 403, 200], [403, 403, 403, 200, 403, 403, 403]),
    row("GET", "/strongroom/audit/consistency", [403, 403, 200], [403, 403, 403, 200, 403, 403, 403]),
    row("POST", "/strongroom/secrets/{id}/move", [403, 200, 200], [403, 200, 403, 404, 404, 404, 404]),
    row("GET", "/strongroom/secrets/{id}/versions", [200, 200, 200], [200, 200, 403, 404, 404, 404, 404]),
    row("POST", "/strongroom/secrets/{id}/rollback", [403, 200, 200], [403, 200, 403, 404, 404, 404, 404]),
    row("GET", "/strongroom/vaults/{id}", [200, 200, 200], [200, 200, 403, 404, 404, 404, 200]),
    row("PATCH", "/strongroom/vaults/{id}", [403, 200, 200], [403, 200, 403, 404, 404, 404, 403]),
    row("GET", "/strongroom/deleted", [200, 200, 200], [200, 200, 200, 200, 200, 200, 200]),
    row("POST", "/strongroom/secrets/{id}/undelete", [403, 200, 200], [403, 200, 403, 404, 404, 404, 404]),
    row("POST", "/strongroom/secrets/{id}/purge", [403, 204, 204], [403, 204, 403, 404, 404, 404, 404]),
    row("POST", "/strongroom/vaults/{id}/undelete", [403, 200, 200], [403, 200, 403, 404, 404, 404, 403]),
    row("POST", "/strongroom/vaults/{id}/purge", [403, 204, 204], [403, 204, 403, 404, 404, 404, 403]),
    row("GET", "/strongroom/keys", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("GET", "/strongroom/keys/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/strongroom/keys/{id}/rotate", [403, 403, 202], [403, 403, 403, 403, 202, 403, 403]),
    row("GET", "/strongroom/webhooks", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/strongroom/webhooks", [403, 403, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/strongroom/webhooks/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("PATCH", "/strongroom/webhooks/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/strongroom/webhooks/{id}", [403, 403, 204], [403, 403, 403, 403, 204, 403, 403]),
    row("GET", "/strongroom/webhooks/{id}/deliveries", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/strongroom/webhooks/{id}/retry", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/strongroom/webhooks/{id}/test", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("GET", "/strongroom/key_slots", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/strongroom/key_slots", [403, 403, 201], [403, 403, 403, 403, 201, 403, 403]),
    row("GET", "/strongroom/key_slots/{id}", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("DELETE", "/strongroom/key_slots/{id}", [403, 403, 204], [403, 403, 403, 403, 204, 403, 403]),
    row("POST", "/strongroom/key_slots/{id}/test", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    row("POST", "/strongroom/seal", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
    // The last one: what the harness itself wraps, it wraps by the root key before.
    row("POST", "/strongroom/root_key/rotate", [403, 403, 200], [403, 403, 403, 403, 200, 403, 403]),
];

/// 64 bytes in base64.
const ENROLMENT: &str =
    "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQ==";
/// Those of the slot that [`World::add_key_slot`] makes.
const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art";

const UNKNOWN: &str = "0000000000000000000000000xY_1111111111111111111111";

#[test]
fn every_method_of_every_route_has_a_row() {
    let routed: Vec<_> =
        ROUTES.iter().flat_map(|route| route.methods.iter().map(|method| (route.path, *method))).collect();
    let rows: Vec<_> = ROWS.iter().map(|row| (row.path, row.method)).collect();
    assert_eq!(rows.len(), BTreeSet::from_iter(&rows).len(), "a row twice");
    assert_eq!(BTreeSet::from_iter(rows), BTreeSet::from_iter(routed));
}

/// A request that is good but for who sends it, on something that was made for it.
async fn good_call(world: &World, maker: &str, owner: PrincipalId, row: &Row) -> Call {
    let make = async |target: &str, body: Value| {
        harness::made(&world.answer(&Call::new("POST", target, Some(&body)).bearer(maker)).await)
    };
    world.unseal().await;
    if row.path.starts_with("/ip_") {
        world.clear_ip().await;
    }
    // A name that no call before has taken.
    let name = format!("n{}", world.store.counts().await.unwrap().events);
    let vault = async || make("/vaults", json!({"name": format!("v{name}")})).await;
    let secret = |vault: &Value| json!({"name": &name, "value": "v", "vault_id": vault["id"]});
    let path = match row.path.split_once("{id}") {
        None => row.path.to_owned(),
        Some((before, after)) => {
            let target = match before {
                "/vaults/" | "/strongroom/vaults/" | "/strongroom/keys/" => id(&vault().await).to_owned(),
                "/vault_secrets/" | "/strongroom/secrets/" => {
                    let body = secret(&vault().await);
                    id(&make("/vault_secrets", body).await).to_owned()
                }
                "/api_keys/" => world.add_key(owner).await.0.to_string(),
                "/bot_users/" | "/service_users/" => world.add_service_user(&name, true).await.to_string(),
                "/strongroom/webhooks/" => world.add_webhook().await.to_string(),
                "/strongroom/key_slots/" => world.add_key_slot().await.to_string(),
                "/ip_policies/" => world.add_ip_policy().await.to_string(),
                "/ip_policy_rules/" => world.add_ip_rule().await.to_string(),
                "/ip_restrictions/" => world.add_ip_restriction().await.to_string(),
                other => panic!("nothing to put behind {other}"),
            };
            format!("{before}{target}{after}")
        }
    };
    if matches!(row.path, "/strongroom/resolve" | "/strongroom/values") {
        let body = secret(&vault().await);
        make("/vault_secrets", body).await;
    }
    let path = match row.path {
        "/strongroom/values" => format!("{path}?vault=v{name}&name={name}"),
        "/strongroom/audit/inclusion" => format!("{path}?sequence=1"),
        "/strongroom/audit/consistency" => format!("{path}?from=1"),
        _ => path,
    };
    let body = match (row.method, row.path) {
        ("POST", "/vault_secrets") => Some(secret(&vault().await)),
        ("POST", "/strongroom/resolve") => {
            Some(json!({"secrets": [{"vault": format!("v{name}"), "name": name}]}))
        }
        ("POST", "/strongroom/explain") => Some(json!({"vault": name, "name": name})),
        ("POST", "/strongroom/secrets/{id}/move") => {
            let to = make("/vaults", json!({"name": format!("to{name}")})).await;
            Some(json!({"vault_id": to["id"]}))
        }
        ("POST", route) if route.ends_with("/undelete") || route.ends_with("/purge") => {
            let ngroks = path.replace("/strongroom/secrets/", "/vault_secrets/").replace("/strongroom", "");
            let target = ngroks.rsplit_once('/').unwrap().0;
            let answer = world.answer(&Call::new("DELETE", target, None).bearer(maker)).await;
            assert_eq!(answer.status(), 204);
            route.ends_with("/undelete").then(|| json!({}))
        }
        ("POST", "/strongroom/secrets/{id}/rollback") => {
            let target = path.replace("/strongroom/secrets/", "/vault_secrets/").replace("/rollback", "");
            let change = Call::new("PATCH", &target, Some(&json!({"value": "w"}))).bearer(maker);
            assert_eq!(world.answer(&change).await.status(), 200);
            Some(json!({"version": 1}))
        }
        ("PATCH", "/strongroom/vaults/{id}") => Some(json!({"keep_versions": 3})),
        ("POST" | "PATCH", path) if path.starts_with("/api_keys") => Some(json!({"description": name})),
        ("POST", "/strongroom/webhooks") => {
            Some(json!({"url": "https://hooks.example.com/", "event_types": ["*"]}))
        }
        ("POST", "/ip_policy_rules") => {
            let policy = world.add_ip_policy().await.to_string();
            Some(json!({"cidr": "192.0.2.0/24", "ip_policy_id": policy, "action": "deny"}))
        }
        ("POST", "/ip_restrictions") => {
            Some(json!({"type": "api", "ip_policy_ids": [world.add_ip_policy().await.to_string()]}))
        }
        ("POST" | "PATCH", path) if path.starts_with("/ip_") => Some(json!({"description": name})),
        ("POST", "/strongroom/keys/{id}/rotate") => Some(json!({"kind": "data"})),
        ("POST", "/strongroom/root_key/rotate" | "/strongroom/seal") => None,
        ("POST", "/strongroom/key_slots") => {
            world.clear_key_slots().await;
            Some(json!({"kind": "recovery", "name": name, "enrolment": ENROLMENT, "opener": "{}"}))
        }
        ("POST", "/strongroom/key_slots/{id}/test") => Some(json!({"words": WORDS})),
        ("POST", path) if path.ends_with("/retry") || path.ends_with("/test") => None,
        ("PATCH", "/strongroom/webhooks/{id}") => Some(json!({"description": name})),
        ("POST" | "PATCH", _) => Some(json!({"name": name})),
        _ => None,
    };
    Call::new(row.method, &path, body.as_ref())
}

#[tokio::test]
async fn without_a_valid_key_there_is_nothing() {
    let world = World::new().await;
    let asleep = world.add_service_user("asleep", false).await;
    let (_, of_asleep) = world.add_key(PrincipalId::ServiceUser(asleep)).await;
    let (deleted, of_deleted) = world.add_key(world.first_user).await;
    let (alive, of_alive) = world.add_key(world.first_user).await;
    // Used once, so that it is known when it is deleted.
    assert_eq!(world.answer(&Call::new("GET", "/", None).bearer(&of_deleted)).await.status(), 200);
    world.delete_key(deleted).await;
    let of_expired = expiring_key(&world, 10).await;
    assert_eq!(world.answer(&Call::new("GET", "/", None).bearer(&of_expired)).await.status(), 200);
    world.pass(10);
    let wrong = format!("{}x", &of_alive[..of_alive.len() - 1]);
    let basic = |pair: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    let credentials = [
        ("none", None),
        ("empty", Some(String::new())),
        ("a word", Some("Bearer swordfish".to_owned())),
        ("no scheme", Some(of_alive.clone())),
        ("another scheme", Some(format!("Digest {of_alive}"))),
        ("the key's id", Some(format!("Bearer {alive}"))),
        ("an unknown token", Some(format!("Bearer {UNKNOWN}"))),
        ("a token with a wrong end", Some(format!("Bearer {wrong}"))),
        ("a deleted key", Some(format!("Bearer {of_deleted}"))),
        ("a key of a sleeping user", Some(format!("Bearer {of_asleep}"))),
        ("an expired key with every grant", Some(format!("Bearer {of_expired}"))),
        ("an unknown token, the other way", Some(basic(&format!("{UNKNOWN}:")))),
        ("a key of a sleeping user, the other way", Some(basic(&format!("x:{of_asleep}")))),
    ];
    for row in ROWS {
        let good = good_call(&world, &world.first, world.first_user, row).await;
        let events = world.store.counts().await.unwrap().events;
        for (what, credential) in &credentials {
            let call = match credential {
                Some(value) => good.clone().header("authorization", value),
                None => good.clone(),
            };
            let answer = world.answer(&call).await;
            assert_eq!(answer.status(), 403, "{} {} with {what}", row.method, row.path);
            let text = String::from_utf8_lossy(answer.body());
            assert!(text.contains("\"error_code\":\"ERR_NGROK_"), "{what}: {text}");
        }
        let after = world.store.counts().await.unwrap().events;
        assert_eq!(after, events, "{} {}: something was changed", row.method, row.path);
    }
}

#[tokio::test]
async fn with_a_valid_key_it_is_up_to_the_role() {
    let world = World::new().await;
    let robot = PrincipalId::ServiceUser(world.add_service_user("robot", true).await);
    let (_, of_robot) = world.add_key(robot).await;
    let callers = [(&of_robot, robot, "developer"), (&world.first, world.first_user, "admin")];
    for row in ROWS {
        for (token, owner, role) in callers {
            let call = good_call(&world, &world.first, owner, row).await.bearer(token);
            let expected = if role == "admin" { row.admin } else { row.developer };
            let answer = world.answer(&call).await;
            let text = String::from_utf8_lossy(answer.body());
            assert_eq!(answer.status(), expected, "{} {} as {role}: {text}", row.method, row.path);
        }
    }
}

/// The API makes no viewers: here the account's first user is one.
#[tokio::test]
async fn a_viewer_reads() {
    let world = World::with(Role::Viewer, Limits::default(), Settings::default()).await;
    let maker = PrincipalId::ServiceUser(world.add_service_user("maker", true).await);
    let (_, of_maker) = world.add_key(maker).await;
    for row in ROWS {
        let call = good_call(&world, &of_maker, world.first_user, row).await.bearer(&world.first);
        let events = world.store.counts().await.unwrap().events;
        let answer = world.answer(&call).await;
        let text = String::from_utf8_lossy(answer.body());
        assert_eq!(answer.status(), row.viewer, "{} {} as viewer: {text}", row.method, row.path);
        assert_eq!(world.store.counts().await.unwrap().events, events, "a viewer changed something");
    }
}

/// The token of a key with every grant, which ends so many seconds from now.
async fn expiring_key(world: &World, seconds: i64) -> String {
    let every = ["manage", "resolve"].map(|action| json!({"action": action, "vault": "*"})).to_vec();
    let every = [every, ["audit", "admin"].map(|action| json!({"action": action})).to_vec()].concat();
    let end = jiff::Timestamp::from_second(1_767_225_600 + seconds).unwrap().to_string();
    let made = world.make("/api_keys", json!({"grants": every, "expires_at": end})).await;
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_with_grants_does_what_they_say_and_nothing_else() {
    let world = World::new().await;
    for row in ROWS {
        for (grants, expected) in GRANTS.into_iter().zip(row.granted) {
            let (_, token) = world.add_key_with(world.first_user, Some(grants)).await;
            let call = good_call(&world, &world.first, world.first_user, row).await.bearer(&token);
            let events = world.store.counts().await.unwrap().events;
            let answer = world.answer(&call).await;
            let text = String::from_utf8_lossy(answer.body());
            assert_eq!(answer.status(), expected, "{} {} with '{grants}': {text}", row.method, row.path);
            let changed = world.store.counts().await.unwrap().events != events;
            assert!(!changed || expected < 300, "{} {} with '{grants}': it was done", row.method, row.path);
        }
    }
}

/// The same grants on a key of one whose role rules some of it out.
#[tokio::test]
async fn a_grant_gives_nothing_that_the_role_rules_out() {
    let world = World::with(Role::Viewer, Limits::default(), Settings::default()).await;
    let maker = PrincipalId::ServiceUser(world.add_service_user("maker", true).await);
    let (_, of_maker) = world.add_key(maker).await;
    let (_, of_viewer) = world.add_key_with(world.first_user, Some("manage *:*\nadmin")).await;
    let (_, of_developer) = world.add_key_with(maker, Some("manage *:*\nadmin")).await;
    for row in ROWS {
        let key_or_user = row.path.contains("_users") || row.path.starts_with("/api_keys");
        let call = good_call(&world, &of_maker, world.first_user, row).await;
        let answer = world.answer(&call.clone().bearer(&of_viewer)).await;
        let changes = row.method != "GET" && row.path != "/strongroom/explain";
        let expected = if changes { 403 } else { row.granted[1] };
        assert_eq!(answer.status(), expected, "{} {} as viewer", row.method, row.path);
        let answer = world.answer(&call.bearer(&of_developer)).await;
        let expected = if key_or_user && changes { 403 } else { row.granted[1] };
        assert_eq!(answer.status(), expected, "{} {} as developer", row.method, row.path);
    }
}

/// What is changed of a key counts with the very next request: nothing is remembered of who it was.
#[tokio::test]
async fn a_change_of_a_key_counts_with_the_next_request() {
    let world = World::new().await;
    let robot = world.add_service_user("robot", true).await;
    let robot_path = format!("/service_users/service_{}", robot.ksuid());
    let vault = world.add_vault("prod").await;
    world.add_secret(&vault, "tls-key").await;
    let all = json!([{"action": "resolve", "vault": "*"}]);
    let body = json!({"owner_id": PrincipalId::ServiceUser(robot), "grants": all});
    let key = world.make("/api_keys", body).await;
    let (path, token) = (format!("/api_keys/{}", id(&key)), key["token"].as_str().unwrap());
    let reference = json!({"secrets": [{"vault": "prod", "name": "tls-key"}]});
    let resolve = Call::new("POST", "/strongroom/resolve", Some(&reference)).bearer(token);
    let read = Call::new("GET", "/strongroom/values?vault=prod", None).bearer(token);
    let grants = |grants: Value| json!({"grants": grants});
    let steps = [
        (path.as_str(), grants(json!([{"action": "resolve", "vault": "dev"}])), 404),
        (&path, grants(json!([{"action": "read", "vault": "*"}])), 403),
        (
            &path,
            grants(json!([{"action": "resolve", "vault": "dev"}, {"action": "read", "vault": "*"}])),
            403,
        ),
        (&path, grants(json!([{"action": "resolve", "vault": "prod", "secret": "tls-*"}])), 200),
        (&path, json!({"expires_at": "2026-01-01T00:00:05Z"}), 200),
        (&robot_path, json!({"active": false}), 403),
        (&robot_path, json!({"active": true}), 200),
    ];
    for (path, body, expected) in steps {
        for call in [&resolve, &read] {
            // Asked before too, so that whatever is kept of a key is kept.
            world.answer(call).await;
        }
        let changed = world.answer(&world.call("PATCH", path, Some(&body))).await;
        assert_eq!(changed.status(), 200, "{path} {body}");
        for call in [&resolve, &read] {
            assert_eq!(world.answer(call).await.status(), expected, "{} after {body}", call.target);
        }
    }
    world.pass(4);
    assert_eq!(world.answer(&resolve).await.status(), 200, "a second before its end");
    world.pass(1);
    assert_eq!(world.answer(&resolve).await.status(), 403, "at its end");
    let prolonged = world.answer(&world.call("PATCH", &path, Some(&json!({"expires_at": ""})))).await;
    assert_eq!(prolonged.status(), 200);
    assert_eq!(world.answer(&resolve).await.status(), 200, "without an end");
    assert_eq!(world.answer(&world.call("DELETE", &path, None)).await.status(), 204);
    assert_eq!(world.answer(&resolve).await.status(), 403, "deleted");
    let (_, token) = world.add_key_with(PrincipalId::ServiceUser(robot), Some("resolve *:*")).await;
    assert_eq!(world.answer(&resolve.clone().bearer(&token)).await.status(), 200);
    assert_eq!(world.answer(&world.call("DELETE", &robot_path, None)).await.status(), 204);
    assert_eq!(world.answer(&resolve.bearer(&token)).await.status(), 403, "its owner is deleted");
}

/// Who looks after keys gives what the role allows and takes no more than is known to be the account's.
#[tokio::test]
async fn only_an_admin_gives_what_only_an_admin_gives() {
    let world = World::new().await;
    let robot = PrincipalId::ServiceUser(world.add_service_user("robot", true).await);
    let (_, developer) = world.add_key(robot).await;
    let (_, granted_admin) = world.add_key_with(world.first_user, Some("admin")).await;
    let (_, manager) = world.add_key_with(world.first_user, Some("manage *:*\nresolve *:*\naudit")).await;
    let (given, _) = world.add_key_with(robot, Some("resolve prod:*")).await;
    let mut gifts = vec![];
    for (action, target, by_developer) in [
        ("read", true, 201),
        ("manage", true, 201),
        ("resolve", true, 403),
        ("audit", false, 403),
        ("admin", false, 403),
    ] {
        let grant = if target { json!({"action": action, "vault": "*"}) } else { json!({"action": action}) };
        gifts.push((json!([grant]), by_developer));
        // Among others it is the same.
        gifts.push((json!([{"action": "read", "vault": "prod"}, grant]), by_developer));
    }
    for (grants, by_developer) in gifts {
        let body = json!({"grants": grants});
        for (token, expected) in [(&developer, by_developer), (&granted_admin, 201), (&manager, 403)] {
            let answer = world.answer(&Call::new("POST", "/api_keys", Some(&body)).bearer(token)).await;
            assert_eq!(answer.status(), expected, "{body}: {}", String::from_utf8_lossy(answer.body()));
        }
    }
    // What an admin gave, the owner's own other key neither widens nor narrows, prolongs nor ends; it may be thrown away.
    let path = format!("/api_keys/{given}");
    for body in [
        json!({"grants": [{"action": "manage", "vault": "*"}]}),
        json!({"grants": [{"action": "resolve", "vault": "*"}]}),
        json!({"expires_at": "2030-01-01T00:00:00Z"}),
    ] {
        let answer = world.answer(&Call::new("PATCH", &path, Some(&body)).bearer(&developer)).await;
        assert_eq!(answer.status(), 403, "{body}");
    }
    for (body, status) in [(json!({"description": "d"}), 200), (json!({"expires_at": ""}), 200)] {
        let answer = world.answer(&Call::new("PATCH", &path, Some(&body)).bearer(&developer)).await;
        assert_eq!(answer.status(), status, "{body}");
    }
    let answer = world.answer(&Call::new("DELETE", &path, None).bearer(&developer)).await;
    assert_eq!(answer.status(), 204);
}

#[tokio::test]
async fn a_developer_sees_no_key_but_its_own() {
    let world = World::new().await;
    let robot = PrincipalId::ServiceUser(world.add_service_user("robot", true).await);
    let (own, token) = world.add_key(robot).await;
    let (foreign, _) = world.add_key(world.first_user).await;
    let path = format!("/api_keys/{foreign}");
    let change = json!({"description": "mine now"});
    for (method, body) in [("GET", None), ("PATCH", Some(&change)), ("DELETE", None)] {
        let answer = world.answer(&Call::new(method, &path, body).bearer(&token)).await;
        assert_eq!(answer.status(), 404, "{method}");
    }
    let listed = world.answer(&Call::new("GET", "/api_keys", None).bearer(&token)).await;
    let listed: Value = serde_json::from_slice(listed.body()).unwrap();
    let ids: Vec<_> = listed["keys"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, [own.to_string()]);
    let admins = world.answer(&world.call("GET", &path, None)).await;
    assert_eq!(admins.status(), 200, "it is still there, for an admin");
    for owner in [json!({"owner_id": world.first_user}), json!({"owner_email": "admin@localhost"})] {
        let answer = world.answer(&Call::new("POST", "/api_keys", Some(&owner)).bearer(&token)).await;
        assert_eq!(answer.status(), 403, "{owner}");
    }
}

#[tokio::test]
async fn no_method_is_answered_with_405() {
    const METHODS: [&str; 9] =
        ["GET", "POST", "PATCH", "DELETE", "PUT", "TRACE", "CONNECT", "OPTIONS", "PURGE"];
    let world = World::new().await;
    for route in ROUTES {
        let path = route.path.replace("{id}", "vault_0000000000000000000000000xY");
        // Whether it is sealed is told without a key.
        let plain = |method: &str| method == "GET" && route.path == "/strongroom/seal";
        let others = METHODS.iter().filter(|method| !route.methods.contains(method) && !plain(method));
        for method in others {
            for call in [Call::new(method, &path, None), world.call(method, &path, None)] {
                let answer = world.answer(&call).await;
                assert_eq!(answer.status(), 404, "{method} {path}");
                assert!(!answer.headers().contains_key("allow"), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_may_start_with_two_slashes() {
    let world = World::new().await;
    for row in ROWS.iter().filter(|row| row.path != "/") {
        for slashes in ["/", "//"] {
            let mut call = good_call(&world, &world.first, world.first_user, row).await.bearer(&world.first);
            call.target.insert_str(0, slashes);
            let answer = world.answer(&call).await;
            assert_eq!(answer.status(), row.admin, "{} {}", row.method, call.target);
            let text = String::from_utf8_lossy(answer.body());
            assert!(!text.contains("example//"), "a URL of two slashes: {text}");
        }
    }
}

#[tokio::test]
async fn head_is_answered_as_get_is() {
    let world = World::new().await;
    for row in ROWS.iter().filter(|row| row.method == "GET") {
        let get = good_call(&world, &world.first, world.first_user, row).await;
        for get in [get.clone(), get.bearer(&world.first)] {
            let (got, head) = (
                world.answer(&get).await,
                world.answer(&Call { method: "HEAD".to_owned(), ..get.clone() }).await,
            );
            assert_eq!(head.status(), got.status(), "HEAD {}", get.target);
            for name in ["content-type", "cache-control"] {
                assert_eq!(head.headers().get(name), got.headers().get(name), "HEAD {}", get.target);
            }
        }
    }
}

/// Browsers ask without a key.
#[tokio::test]
async fn a_preflight_needs_no_key() {
    let world = World::new().await;
    for route in ROUTES {
        let path = route.path.replace("{id}", "vault_0000000000000000000000000xY");
        for path in [path.clone(), format!("/{path}")] {
            let call = Call::new("OPTIONS", &path, None)
                .without("ngrok-version")
                .header("origin", "https://console.example")
                .header("access-control-request-method", route.methods[0])
                .header("access-control-request-headers", "authorization");
            let answer = world.answer(&call).await;
            assert_eq!(answer.status(), 204, "{path}");
            let told = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(told("access-control-allow-origin"), "https://console.example");
            assert_eq!(told("access-control-allow-headers"), "authorization");
            assert_eq!(told("access-control-allow-methods"), route.methods.join(", "), "{path}");
        }
    }
    // The call itself needs one all the same, and its refusal is readable to the page.
    let call = Call::new("GET", "/vaults", None).header("origin", "https://console.example");
    let answer = world.answer(&call).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://console.example");
}
