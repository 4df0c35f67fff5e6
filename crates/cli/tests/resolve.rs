//! Resolving against the real binary: limits, order, all or nothing, and no value without its event on disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "resolve/at_once.rs"]
mod at_once;
#[path = "resolve/durable.rs"]
mod durable;
mod harness;

use std::thread;

use harness::{
    Client, Request, Server, assert_chain_holds, audit_events, field, http, make_vault, private_folder,
    secret_in,
};
use serde_json::{Value, json};

/// The token of a new key of the admin with that grant to resolve.
pub(crate) fn resolver(admin: &mut Client, vault: &str) -> String {
    let body = json!({"grants": [{"action": "resolve", "vault": vault}]});
    field(&admin.post("/api_keys", &body).expect_status(201).json(), "token").to_owned()
}

pub(crate) fn resolve(client: &mut Client, references: &Value) -> harness::Reply {
    client.post("/strongroom/resolve", &json!({"secrets": references}))
}

/// What tells of values that were given out.
pub(crate) fn resolved_events(data: &std::path::Path) -> Vec<Value> {
    let mut events = audit_events(data);
    events.retain(|event| event["event_type"] == "secret_resolved.v0");
    events
}

/// `vault:name=value` of what was resolved.
fn told(answer: &Value) -> Vec<String> {
    let item =
        |item: &Value| format!("{}:{}={}", field(item, "vault"), field(item, "name"), field(item, "value"));
    answer["secrets"].as_array().unwrap().iter().map(item).collect()
}

#[test]
fn an_answer_holds_up_to_a_thousand_values() {
    const MAKERS: usize = 8;
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let (vault, other) = (make_vault(&mut admin, "full"), make_vault(&mut admin, "other"));
    thread::scope(|scope| {
        for maker in 0..MAKERS {
            let (server, vault) = (&server, &vault);
            scope.spawn(move || {
                let mut client = server.client();
                for number in (maker..1000).step_by(MAKERS) {
                    let name = format!("s{number:04}");
                    let body = secret_in(vault, &name, &format!("v{number}"));
                    client.post("/vault_secrets", &body).expect_status(201);
                }
            });
        }
    });
    let mut client = server.client_with(&resolver(&mut admin, "*"));
    let all: Vec<String> = (0..1000).map(|number| format!("full:s{number:04}=v{number}")).collect();
    let answer = resolve(&mut client, &json!([{"vault": "full"}])).expect_status(200).json();
    assert_eq!(told(&answer), all, "all of them, by name");
    let read = client.get("/strongroom/values?vault=full").expect_status(200).json();
    assert_eq!(read, answer, "the other way to ask");

    let before = audit_events(data.path()).len();
    admin.post("/vault_secrets", &secret_in(&other, "one-more", "v")).expect_status(201);
    let one_more = json!([{"vault": "full"}, {"vault": "other", "name": "one-more"}]);
    let twice = json!([{"vault": "full"}, {"vault": "full"}]);
    for too_many in [&one_more, &twice] {
        let refused = resolve(&mut client, too_many).expect_status(400).json();
        assert!(field(&refused, "msg").contains("1000"), "{refused}");
        assert_eq!(refused["error_code"], "ERR_STRONGROOM_1005");
    }
    admin.post("/vault_secrets", &secret_in(&vault, "s1000", "v")).expect_status(201);
    resolve(&mut client, &json!([{"vault": "full"}])).expect_status(400);
    client.get("/strongroom/values?vault=full").expect_status(400);
    assert_eq!(audit_events(data.path()).len(), before + 2, "two secrets were made, and nothing was read");

    let reference = json!({"vault": "full", "name": "s0000"});
    resolve(&mut client, &json!(vec![&reference; 100])).expect_status(200);
    let refused = resolve(&mut client, &json!(vec![&reference; 101])).expect_status(400).json();
    assert!(field(&refused, "msg").contains("1 to 100"), "{refused}");
    server.stop();
}

#[test]
fn values_come_in_the_order_asked_and_all_or_none() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let (prod, dev) = (make_vault(&mut admin, "prod"), make_vault(&mut admin, "dev"));
    let mut make = |vault: &Value, name: &str, value: &str| {
        admin.post("/vault_secrets", &secret_in(vault, name, value)).expect_status(201).json()
    };
    let (b, _) = (make(&prod, "b", "1"), make(&prod, "a", "2"));
    let (_, _) = (make(&prod, "B", "\u{0}\n\"é\u{1f980}"), make(&dev, "b", "4"));
    let mut client = server.client_with(&resolver(&mut admin, "prod"));
    let order = json!([{"vault": "prod", "name": "b"}, {"vault": "prod"}, {"id": b["id"]}, {"vault": "prod", "name": "a"}]);
    let answer = resolve(&mut client, &order).expect_status(200).json();
    let expected = ["prod:b=1", "prod:B=\u{0}\n\"é\u{1f980}", "prod:a=2", "prod:b=1", "prod:b=1", "prod:a=2"];
    assert_eq!(told(&answer), expected);
    let events = resolved_events(data.path());
    assert_eq!(events.len(), 3, "one for each secret, however often it was named: {events:#?}");

    let mut both = server.client_with(&resolver(&mut admin, "*"));
    let some = json!([{"vault": "prod", "name": "a"}, {"vault": "prod", "name": "none"}, {"vault": "nowhere"}, {"vault": "dev", "name": "a"}]);
    let refused = resolve(&mut both, &some).expect_status(404).json();
    assert_eq!(refused["details"]["missing"], "prod:none, nowhere, dev:a");
    let unseen = json!([{"vault": "prod", "name": "a"}, {"vault": "dev", "name": "b"}]);
    let refused = resolve(&mut client, &unseen).expect_status(404).json();
    assert_eq!(refused["details"]["missing"], "dev:b", "what is not visible is missing");
    assert_eq!(resolved_events(data.path()).len(), 3, "nothing was given out");
    server.stop();
}

/// A tag is as good as the values: it spares them, and their events, until one of them is another.
#[test]
fn what_is_known_is_not_given_again() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let vault = make_vault(&mut admin, "prod");
    let secret = admin.post("/vault_secrets", &secret_in(&vault, "a", "1")).expect_status(201).json();
    let token = resolver(&mut admin, "prod");
    let read = Request::new("GET", "/strongroom/values?vault=prod").token(&token);
    let first = http::exchange(server.address(), &read).expect_status(200);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let tag = first.header("etag").unwrap().to_owned();
    let events = audit_events(data.path()).len();
    for _ in 0..3 {
        let known = http::exchange(server.address(), &read.clone().header("if-none-match", &tag));
        assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag.as_str())));
        assert_eq!(known.header("cache-control"), Some("no-store"));
    }
    assert_eq!(audit_events(data.path()).len(), events, "an event without a value");
    let path = format!("/vault_secrets/{}", field(&secret, "id"));
    admin.patch(&path, &json!({"value": "2"})).expect_status(200);
    let changed = http::exchange(server.address(), &read.header("if-none-match", &tag)).expect_status(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    assert_eq!(told(&changed.json()), ["prod:a=2"]);
    server.stop();
}

#[test]
fn each_value_has_its_event() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let vault = make_vault(&mut admin, "prod");
    let secret = admin.post("/vault_secrets", &secret_in(&vault, "a", "1")).expect_status(201).json();
    let path = format!("/vault_secrets/{}", field(&secret, "id"));
    admin.patch(&path, &json!({"value": "2"})).expect_status(200);
    let token = resolver(&mut admin, "prod");
    let key = field(&server.client_with(&token).get("/self").json()["api_key"], "id").to_owned();
    let read = Request::new("GET", "/strongroom/values?vault=prod&name=a").token(&token);
    let long = "é".repeat(200);
    for (user_agent, logged) in [("app/1.0 (x; \"y\")", "app/1.0 (x; \"y\")"), ("", ""), ("a\tb", "a\tb")] {
        http::exchange(server.address(), &read.clone().header("user-agent", user_agent)).expect_status(200);
        let event = resolved_events(data.path()).pop().unwrap();
        assert_eq!(event["client"], json!({"address": "127.0.0.1", "user_agent": logged}));
        assert_eq!(event["principal"]["credential"]["id"], json!(key));
        let object = &event["object"];
        assert_eq!((&object["id"], &object["version"]), (&secret["id"], &json!(2)), "{event}");
        assert_eq!((&object["name"], &object["vault_name"]), (&json!("a"), &json!("prod")), "{event}");
    }
    // Whatever a client calls itself, its answer comes and its event is one.
    http::exchange(server.address(), &read.header("user-agent", &long)).expect_status(200);
    assert_eq!(resolved_events(data.path()).len(), 4);
    let detail = admin.get(&format!("/strongroom/secrets/{}", field(&secret, "id"))).json();
    assert_eq!(detail["last_resolved_by"]["id"], json!(key));
    assert_chain_holds(data.path());
    server.stop();
}
