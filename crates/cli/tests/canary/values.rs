//! Values on their one way out, and refused on it: on every route of our own.

use serde_json::{Value, json};

use super::{Run, Words};
use crate::harness::{Request, field};

/// Values read rightly, by every kind of reference, and all that is told about them.
pub(crate) fn read_values(world: &mut Run, words: &Words) {
    let grants = json!([{"action": "resolve", "vault": "canaries"}, {"action": "read", "vault": "canaries"}]);
    let key = world.make_key(
        &json!({"description": words.control, "grants": grants, "expires_at": "2100-01-01T00:00:00Z"}),
    );
    let token = world.tokens.last().unwrap().clone();
    world.send("GET", "/strongroom/secrets?vault=canaries&limit=3", None).expect_status(200);
    let listed = world.send("GET", "/strongroom/secrets", None).expect_status(200).json();
    let first = listed["secrets"].as_array().unwrap().iter().find(|secret| secret["name"] == "s0").unwrap();
    let id = field(first, "id").to_owned();
    let resolve = |references: Value| {
        let body = json!({"secrets": references});
        Request::new("POST", "/strongroom/resolve")
            .token(&token)
            .header("user-agent", &words.control)
            .json(&body)
    };
    world.resolve(
        "resolve",
        &resolve(json!([{"vault": "canaries"}, {"vault": "canaries", "name": "s0"}, {"id": id}])),
    );
    let read = |target: &str| Request::new("GET", target).token(&token);
    let one = "/strongroom/values?vault=canaries&name=s0";
    world.resolve("values", &read(one));
    world.resolve("values of a vault", &read("/strongroom/values?vault=canaries"));
    let tag = world.exchange("values, HEAD", &Request::new("HEAD", one).token(&token));
    let tag = tag.header("etag").unwrap().to_owned();
    world.exchange("values, known", &read(one).header("if-none-match", &tag)).expect_status(304);

    let detail = format!("/strongroom/secrets/{id}");
    world.send("GET", &detail, None).expect_status(200);
    world.send("GET", "/strongroom/secrets?unused_since=2100-01-01T00:00:00Z", None).expect_status(200);
    let explain = json!({"api_key": key, "vault": "canaries", "name": "s0"});
    world.send("POST", "/strongroom/explain", Some(&explain)).expect_status(200);
    world
        .exchange("explain", &Request::new("POST", "/strongroom/explain").token(&token).json(&explain))
        .expect_status(200);
    world.exchange("self", &read("/self")).expect_status(200);
    // Sealed anew under another key, and back again.
    world.send("POST", "/vaults", Some(&json!({"name": "elsewhere"}))).expect_status(201);
    for vault in ["elsewhere", "canaries"] {
        let to = json!({"vault_name": vault});
        world.send("POST", &format!("{detail}/move"), Some(&to)).expect_status(200);
    }
    world.resolve("resolve, moved", &resolve(json!([{"id": id}])));
    let narrower = json!({"grants": [{"action": "resolve", "vault": "canaries", "secret": "s0"}, {"action": "read", "vault": "*"}]});
    world.send("PATCH", &format!("/api_keys/{key}"), Some(&narrower)).expect_status(200);
}

/// Refused for every reason there is, with the values asked for and with values where something else belongs.
pub(crate) fn refuse_values(world: &mut Run, words: &Words) {
    let token = world.tokens.last().unwrap().clone();
    let value = &words.value;
    let there = json!({"vault": "canaries", "name": "s0"});
    let denied = json!({"vault": "canaries", "name": "s1"});
    let missing = json!({"vault": "canaries", "name": "none"});
    let bodies = [
        (403, json!({"secrets": [there, denied]})),
        (403, json!({"secrets": [{"vault": "canaries"}]})),
        (404, json!({"secrets": [there, missing]})),
        (404, json!({"secrets": [{"vault": "canaries", "name": "s0", "version": 99}]})),
        (400, json!({"secrets": vec![&there; 101]})),
        (400, json!({"secrets": [{"vault": "canaries", "name": "s0", "value": value}]})),
        (400, json!({"secrets": [{"vault": "canaries", "name": "s0", "version": value}]})),
        (400, json!({"secrets": [{"vault": "canaries", "name": [value]}]})),
        (400, json!({"secrets": [value]})),
        (400, json!({"secrets": value})),
        (400, json!({"secrets": [there], "value": value})),
        (400, json!({"secrets": [{"name": value}]})),
    ];
    for (number, (status, body)) in bodies.into_iter().enumerate() {
        let request = Request::new("POST", "/strongroom/resolve").token(&token).json(&body);
        world.exchange(&format!("a refused resolve, {number}"), &request).expect_status(status);
    }
    let quoted = json!(value).to_string();
    let broken = Request::new("POST", "/strongroom/resolve").token(&token);
    let broken = broken.body(format!("{{\"secrets\":[{{\"vault\":{quoted}}}").as_bytes());
    world.exchange("a resolve cut short", &broken).expect_status(400);
    let without =
        Request::new("POST", "/strongroom/resolve").token(&world.token).json(&json!({"secrets": [there]}));
    world.exchange("a resolve without a grant", &without).expect_status(403);

    let targets = [
        (404, "/strongroom/values?vault=canaries&name=none".to_owned()),
        (403, "/strongroom/values?vault=canaries".to_owned()),
        (403, "/strongroom/values?vault=canaries&name=s1".to_owned()),
        (400, format!("/strongroom/values?vault=canaries&version={}", words.canary)),
        (400, format!("/strongroom/values?vault=canaries&value={}", words.canary)),
        (400, format!("/strongroom/secrets?unused_since={}", words.canary)),
    ];
    for (number, (status, target)) in targets.into_iter().enumerate() {
        let request = Request::new("GET", &target).token(&token).header("if-none-match", &words.canary);
        world.exchange(&format!("refused values, {number}"), &request).expect_status(status);
    }
    let keys = [
        json!({"grants": value}),
        json!({"grants": [value]}),
        json!({"grants": [{"action": value, "vault": "*"}]}),
        json!({"grants": [{"action": "read", "vault": value}]}),
        json!({"grants": [{"action": "read", "vault": "*", "secret": value}]}),
        json!({"grants": [{"action": "read", "vault": "*", "value": value}]}),
        json!({"expires_at": value}),
    ];
    for body in keys {
        world.send("POST", "/api_keys", Some(&body)).expect_status(400);
    }
    let explain = json!({"vault": "canaries", "name": "s0", "value": value});
    world.send("POST", "/strongroom/explain", Some(&explain)).expect_status(400);
}
