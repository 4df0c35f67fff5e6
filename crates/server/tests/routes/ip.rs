//! IP policies, their rules and restrictions, and who gets in.

use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::limits::Limits;
use strongroom_server::Settings;

use crate::harness::{Call, World, id};
use crate::{seen, seen_call};

/// Where the requests of the harness come from.
const HERE: &str = "127.0.0.0/8";

async fn policy(world: &World) -> Value {
    world.make("/ip_policies", json!({"description": "the offices"})).await
}

async fn rule(world: &World, policy: &Value, cidr: &str, action: &str) -> Value {
    let body = json!({"cidr": cidr, "ip_policy_id": policy["id"], "action": action});
    world.make("/ip_policy_rules", body).await
}

async fn restrict(world: &World, policy: &Value, enforced: bool) -> Value {
    let body = json!({"type": "api", "ip_policy_ids": [policy["id"]], "enforced": enforced});
    world.make("/ip_restrictions", body).await
}

#[tokio::test]
async fn policies() {
    let world = World::new().await;
    let full = json!({"description": "the offices", "metadata": "{}"});
    assert_snapshot!("ip_policy_create", seen(&world, "POST", "/ip_policies", Some(full)).await);
    assert_snapshot!("ip_policy_create_event", world.last_event().await);
    world.pass(1);
    let least = world.make("/ip_policies", json!({})).await;
    let own = format!("/ip_policies/{}", id(&least));
    assert_snapshot!("ip_policy_get", seen(&world, "GET", &own, None).await);
    assert_snapshot!("ip_policy_list_page", seen(&world, "GET", "/ip_policies?limit=1", None).await);
    let filtered = "/ip_policies?filter=obj.description==%22the+offices%22";
    assert_snapshot!("ip_policy_list_filtered", seen(&world, "GET", filtered, None).await);
    let change = json!({"description": "homes"});
    assert_snapshot!("ip_policy_update", seen(&world, "PATCH", &own, Some(change)).await);
    rule(&world, &least, "192.0.2.0/24", "allow").await;
    let restriction = restrict(&world, &least, false).await;
    assert_snapshot!("ip_policy_delete_named", seen(&world, "DELETE", &own, None).await);
    let of = format!("/ip_restrictions/{}", id(&restriction));
    assert_eq!(world.answer(&world.call("DELETE", &of, None)).await.status(), 204);
    assert_snapshot!("ip_policy_delete", seen(&world, "DELETE", &own, None).await);
    assert_snapshot!("ip_policy_delete_rules_left", seen(&world, "GET", "/ip_policy_rules", None).await);
    assert_snapshot!("ip_policy_get_unknown", seen(&world, "GET", &own, None).await);
}

#[tokio::test]
async fn rules() {
    let world = World::new().await;
    let policy = policy(&world).await;
    let full = |cidr: &str| {
        json!({
            "cidr": cidr, "ip_policy_id": policy["id"], "action": "allow", "description": "nyc office", "metadata": "m",
        })
    };
    let create = async |body: Value| seen(&world, "POST", "/ip_policy_rules", Some(body)).await;
    assert_snapshot!("ip_rule_create", create(full("212.3.14.0/24")).await);
    assert_snapshot!("ip_rule_create_event", world.last_event().await);
    assert_snapshot!("ip_rule_create_again", create(full("::ffff:212.3.14.0/120")).await);
    for (name, field, value) in [
        ("no_cidr", "cidr", json!(null)),
        ("no_policy", "ip_policy_id", json!("")),
        ("no_action", "action", json!(null)),
        ("bad_cidr", "cidr", json!("10.0.0.0/33")),
        ("no_cidr_at_all", "cidr", json!("hunter2")),
        ("no_mask", "cidr", json!("10.1.2.3")),
        ("not_the_lowest", "cidr", json!("10.1.2.3/8")),
        ("unknown_policy", "ip_policy_id", json!("ipp_0000000000000000000000000xY")),
        ("bad_action", "action", json!("permit")),
        ("long_description", "description", json!("d".repeat(256))),
        ("bad_confirmation", "cidr", json!("10.0.0.0/8")),
    ] {
        let mut body = full("192.0.2.0/24");
        body[field] = value;
        let target = if name == "bad_confirmation" {
            "/ip_policy_rules?confirm_lockout=1"
        } else {
            "/ip_policy_rules"
        };
        assert_snapshot!(format!("ip_rule_create_{name}"), seen(&world, "POST", target, Some(body)).await);
    }
    world.pass(1);
    let other = rule(&world, &policy, "2001:DB8::/32", "deny").await;
    let own = format!("/ip_policy_rules/{}", id(&other));
    assert_snapshot!("ip_rule_get", seen(&world, "GET", &own, None).await);
    let filter = format!(
        "obj.ip_policy.id=='{}'+%26%26+obj.action=='deny'+%26%26+obj.cidr.startsWith('2001')",
        id(&policy)
    );
    let filtered = format!("/ip_policy_rules?filter={filter}");
    assert_snapshot!("ip_rule_list_filtered", seen(&world, "GET", &filtered, None).await);
    let change = json!({"cidr": "2001:db8::/33", "description": "d", "metadata": ""});
    assert_snapshot!("ip_rule_update", seen(&world, "PATCH", &own, Some(change)).await);
    let change = json!({"cidr": "212.3.14.0/24"});
    assert_snapshot!("ip_rule_update_taken", seen(&world, "PATCH", &own, Some(change)).await);
    let change = json!({"action": "allow"});
    assert_snapshot!("ip_rule_update_action", seen(&world, "PATCH", &own, Some(change)).await);
    assert_snapshot!("ip_rule_delete", seen(&world, "DELETE", &own, None).await);
    assert_snapshot!("ip_rule_get_unknown", seen(&world, "GET", &own, None).await);
}

#[tokio::test]
async fn restrictions() {
    let world = World::new().await;
    let (policy, other) = (policy(&world).await, policy(&world).await);
    let full = json!({
        "type": "dashboard", "ip_policy_ids": [other["id"], policy["id"]], "enforced": true, "description": "d", "metadata": "m",
    });
    let create = async |body: Value| seen(&world, "POST", "/ip_restrictions", Some(body)).await;
    assert_snapshot!("ip_restriction_create", create(full.clone()).await);
    assert_snapshot!("ip_restriction_create_event", world.last_event().await);
    let least = json!({"type": "api", "ip_policy_ids": [policy["id"]]});
    assert_snapshot!("ip_restriction_create_least", create(least).await);
    for (name, field, value) in [
        ("no_type", "type", json!(null)),
        ("bad_type", "type", json!("ssh")),
        ("no_policies", "ip_policy_ids", json!(null)),
        ("empty_policies", "ip_policy_ids", json!([])),
        ("a_text_for_policies", "ip_policy_ids", policy["id"].clone()),
        ("unknown_policy", "ip_policy_ids", json!(["ipp_0000000000000000000000000xY"])),
        ("a_policy_twice", "ip_policy_ids", json!([policy["id"], policy["id"]])),
        ("too_many_policies", "ip_policy_ids", json!(vec![policy["id"].clone(); 11])),
        ("a_text_for_enforced", "enforced", json!("yes")),
    ] {
        let mut body = full.clone();
        body[field] = value;
        assert_snapshot!(format!("ip_restriction_create_{name}"), create(body).await);
    }
    world.pass(1);
    let it = restrict(&world, &policy, false).await;
    let own = format!("/ip_restrictions/{}", id(&it));
    assert_snapshot!("ip_restriction_get", seen(&world, "GET", &own, None).await);
    let filtered = "/ip_restrictions?filter=obj.enforced+%26%26+obj.type=='dashboard'";
    assert_snapshot!("ip_restriction_list_filtered", seen(&world, "GET", filtered, None).await);
    let change = json!({"ip_policy_ids": [other["id"]], "description": "another"});
    assert_snapshot!("ip_restriction_update", seen(&world, "PATCH", &own, Some(change)).await);
    let nothing = json!({"ip_policy_ids": []});
    assert_snapshot!("ip_restriction_update_no_policies", seen(&world, "PATCH", &own, Some(nothing)).await);
    let change = json!({"type": "agent"});
    assert_snapshot!("ip_restriction_update_type", seen(&world, "PATCH", &own, Some(change)).await);
    assert_snapshot!("ip_restriction_delete", seen(&world, "DELETE", &own, None).await);
    assert_snapshot!("ip_restriction_get_unknown", seen(&world, "GET", &own, None).await);
}

/// A create that comes again makes nothing.
#[tokio::test]
async fn creates_may_come_again() {
    let world = World::new().await;
    let policy = policy(&world).await;
    for (path, body) in [
        ("/ip_policies", json!({"description": "d"})),
        ("/ip_policy_rules", json!({"cidr": "::/0", "ip_policy_id": policy["id"], "action": "deny"})),
        ("/ip_restrictions", json!({"type": "agent", "ip_policy_ids": [policy["id"]], "enforced": true})),
    ] {
        let call = world.call("POST", path, Some(&body)).header("idempotency-key", "once");
        let (first, second) = (world.answer(&call).await, world.answer(&call).await);
        assert_eq!((first.status(), second.status()), (201.try_into().unwrap(), 201.try_into().unwrap()));
        assert_eq!(first.body(), second.body(), "{path}");
        assert_eq!(second.headers()["idempotent-replayed"], "true");
    }
}

#[tokio::test]
async fn who_is_kept_out() {
    let world = World::new().await;
    let policy = policy(&world).await;
    rule(&world, &policy, "192.0.2.0/24", "allow").await;
    let body = json!({"type": "api", "ip_policy_ids": [policy["id"]], "enforced": true});
    let path = "/ip_restrictions";
    assert_snapshot!("ip_lock_out", seen(&world, "POST", path, Some(body.clone())).await);
    assert_eq!(world.answer(&world.call("GET", "/self", None)).await.status(), 200, "nothing was done");
    let confirmed = "/ip_restrictions?confirm_lockout=true";
    assert_snapshot!("ip_lock_out_confirmed", seen(&world, "POST", confirmed, Some(body)).await);
    assert_snapshot!("ip_kept_out", seen(&world, "GET", "/self", None).await);
    // Who shows no key that counts gets to know of no restriction.
    let unknown = Call::new("GET", "/self", None);
    assert!(String::from_utf8_lossy(world.answer(&unknown).await.body()).contains("ERR_NGROK_200"));
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(world.answer(&Call::new("GET", path, None)).await.status(), 200, "{path}");
    }
}

/// Each change that would keep out its own sender is refused, and done once that is confirmed.
#[tokio::test]
async fn every_change_that_locks_out_must_be_confirmed() {
    type Change = fn(&Value, &Value, &Value, &Value) -> (&'static str, String, Option<Value>);
    let changes: [Change; 7] = [
        |_, empty, _, _| {
            let body = json!({"type": "api", "ip_policy_ids": [empty["id"]], "enforced": true});
            ("POST", "/ip_restrictions".to_owned(), Some(body))
        },
        |_, empty, it, _| {
            ("PATCH", of("/ip_restrictions", it), Some(json!({"ip_policy_ids": [empty["id"]]})))
        },
        |_, _, _, warns| ("PATCH", of("/ip_restrictions", warns), Some(json!({"enforced": true}))),
        |rule, _, _, _| ("DELETE", of("/ip_policy_rules", rule), None),
        |rule, _, _, _| ("PATCH", of("/ip_policy_rules", rule), Some(json!({"cidr": "10.0.0.0/8"}))),
        |rule, _, _, _| {
            let body =
                json!({"cidr": "127.0.0.1/32", "action": "deny", "ip_policy_id": rule["ip_policy"]["id"]});
            ("POST", "/ip_policy_rules".to_owned(), Some(body))
        },
        |rule, _, _, _| {
            let body = json!({"cidr": "::ffff:127.0.0.0/120", "action": "deny", "ip_policy_id": rule["ip_policy"]["id"]});
            ("POST", "/ip_policy_rules".to_owned(), Some(body))
        },
    ];
    for change in changes {
        let world = World::new().await;
        let (used, empty) = (policy(&world).await, policy(&world).await);
        let allow = rule(&world, &used, HERE, "allow").await;
        let (it, warns) = (restrict(&world, &used, true).await, restrict(&world, &empty, false).await);
        let (method, path, body) = change(&allow, &empty, &it, &warns);
        let events = world.store.counts().await.unwrap().events;
        let answer = async |query: &str| {
            world.answer(&world.call(method, &format!("{path}{query}"), body.as_ref())).await
        };
        for query in ["", "?confirm_lockout=false", "?confirm_lockout="] {
            let refused = answer(query).await;
            let text = String::from_utf8_lossy(refused.body());
            assert_eq!(refused.status(), 409, "{method} {path}: {text}");
            assert!(text.contains("ERR_STRONGROOM_1061") && text.contains("127.0.0.1"), "{text}");
        }
        assert_eq!(world.store.counts().await.unwrap().events, events, "{method} {path}: something was done");
        let done = answer("?confirm_lockout=true").await;
        assert!(done.status().is_success(), "{method} {path}: {}", String::from_utf8_lossy(done.body()));
        assert_eq!(world.answer(&world.call("GET", "/", None)).await.status(), 403, "{method} {path}");
    }
}

fn of(collection: &str, it: &Value) -> String {
    format!("{collection}/{}", id(it))
}

/// A server whose only trusted proxy is where the requests of the harness come from.
async fn behind_a_proxy() -> World {
    let trusted_proxies = vec![HERE.parse().unwrap()];
    World::with(Role::Admin, Limits::default(), Settings { trusted_proxies, ..Settings::default() }).await
}

#[tokio::test]
async fn behind_a_proxy_that_is_trusted() {
    let world = behind_a_proxy().await;
    let policy = policy(&world).await;
    rule(&world, &policy, "192.0.2.0/24", "allow").await;
    let body = json!({"type": "api", "ip_policy_ids": [policy["id"]], "enforced": true});
    // The proxy itself is not allowed, and the guard is about who asks.
    let make = world.call("POST", "/ip_restrictions", Some(&body)).header("x-forwarded-for", "192.0.2.7");
    assert_eq!(world.answer(&make).await.status(), 201);
    let from = |address: &str| world.call("GET", "/", None).header("x-forwarded-for", address);
    for (address, status) in [
        ("192.0.2.7", 200),
        ("203.0.113.9, 192.0.2.7", 200),
        ("192.0.2.7, 203.0.113.9", 403),
        ("192.0.2.7, 127.0.0.2", 200),
        ("127.0.0.2", 403),
        ("unknown", 400),
    ] {
        assert_eq!(world.answer(&from(address)).await.status(), status, "{address}");
    }
    assert_eq!(world.answer(&world.call("GET", "/", None)).await.status(), 403, "the proxy itself");
    assert_snapshot!("ip_malformed_forwarded_for", seen_call(&world, &from("192.0.2.7, unknown")).await);
}

/// Where a value was given out to is the client, not the proxy.
#[tokio::test]
async fn the_audit_log_tells_the_client() {
    let world = behind_a_proxy().await;
    let vault = world.add_vault("prod").await;
    world.add_secret(&vault, "s").await;
    let (_, token) = world.add_key_with(world.first_user, Some("resolve *:*")).await;
    let call = Call::new("GET", "/strongroom/values?vault=prod&name=s", None).bearer(&token);
    let call = call.header("x-forwarded-for", "2001:db8::7, 192.0.2.7");
    assert_eq!(world.answer(&call).await.status(), 200);
    let event: Value = serde_json::from_str(&world.last_event().await).unwrap();
    assert_eq!(event["client"]["address"], "192.0.2.7");
}

/// Without a trusted proxy nobody is believed.
#[tokio::test]
async fn the_header_of_anybody_else_is_nothing() {
    let world = World::new().await;
    let policy = policy(&world).await;
    rule(&world, &policy, HERE, "allow").await;
    restrict(&world, &policy, true).await;
    for header in ["203.0.113.9", "nonsense"] {
        let call = world.call("GET", "/", None).header("x-forwarded-for", header);
        assert_eq!(world.answer(&call).await.status(), 200, "{header}");
    }
}
