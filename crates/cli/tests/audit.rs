//! The audit log from outside: ngrok's envelope for every change, and an alteration that does not go unnoticed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::path::Path;

use harness::files::database;
use harness::{
    Client, Server, assert_chain_holds, audit_events, field, list_all, make_vault, private_folder, run,
    secret_in, text,
};
use serde_json::{Value, json};

/// Creates, changes and deletes one thing; its id, and what the API said of it each time.
fn live(client: &mut Client, collection: &str, create: &Value, change: &Value) -> (String, Vec<Value>) {
    let made = client.post(collection, create).expect_status(201).json();
    let id = field(&made, "id").to_owned();
    let path = format!("{collection}/{id}");
    let changed = client.patch(&path, change).expect_status(200).json();
    client.delete(&path).expect_status(204);
    (id, vec![made, changed.clone(), changed])
}

/// The object as the log has it: without the origin, which is the request's, and never with a token.
fn as_logged(answer: &Value, origin: &str) -> Value {
    let mut object: Value = serde_json::from_str(&answer.to_string().replace(origin, "")).unwrap();
    if object.get("token").is_some() {
        object["token"] = Value::Null;
    }
    object
}

fn assert_envelope(event: &Value, key_id: &str) {
    let (id, at) = (field(event, "event_id"), field(event, "event_timestamp"));
    assert!(id.starts_with("ev_") && id.len() == 30, "{event}");
    assert!(at.len() == 20 && at.ends_with('Z'), "{event}");
    assert!(field(event, "account_id").starts_with("ac_"), "{event}");
    let principal = &event["principal"];
    assert!(field(principal, "id").starts_with("usr_") && !field(principal, "subject").is_empty(), "{event}");
    assert_eq!(principal["source"], "API", "{event}");
    assert_eq!(
        principal["credential"],
        json!({"id": key_id, "uri": format!("/api_keys/{key_id}")}),
        "{event}"
    );
}

#[test]
fn every_change_has_its_event() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    let key_id = field(&client.get("/self").expect_status(200).json()["api_key"], "id").to_owned();
    let vault = make_vault(&mut client, "home");
    let lives = [
        ("vault", "/vaults", json!({"name": "v"}), json!({"metadata": "m"})),
        ("secret", "/vault_secrets", secret_in(&vault, "s", "v"), json!({"value": "w", "description": "d"})),
        ("api_key", "/api_keys", json!({}), json!({"description": "d"})),
    ];
    for (noun, collection, create, change) in lives {
        let before = audit_events(data.path()).len();
        let (id, answers) = live(&mut client, collection, &create, &change);
        let events = audit_events(data.path()).split_off(before);
        let types: Vec<&str> = events.iter().map(|event| field(event, "event_type")).collect();
        let expected = ["created", "updated", "deleted"].map(|action| format!("{noun}_{action}.v0"));
        assert_eq!(types, expected, "{id}");
        for (event, answer) in events.iter().zip(&answers) {
            assert_envelope(event, &key_id);
            assert_eq!(event["object"], as_logged(answer, &server.url), "{id}");
        }
    }
    assert_chain_holds(data.path());
    server.stop();
}

/// The events are numbered without a gap, and each hash is another.
#[test]
fn the_log_is_numbered_from_one() {
    let data = private_folder();
    let server = Server::start(data.path());
    for n in 0..20 {
        make_vault(&mut server.client(), &format!("v{n}"));
    }
    let events = audit_events(data.path());
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    let mut hashes: Vec<&str> = events.iter().map(|event| field(event, "hash")).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), events.len());
    server.stop();
}

#[test]
fn an_altered_record_is_named() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    let vault = make_vault(&mut client, "v");
    let path = format!("/vaults/{}", field(&vault, "id"));
    // A description that only an event still holds, since the vault has another by now.
    for description in ["the first", "to be altered", "the last"] {
        client.patch(&path, &json!({"description": description})).expect_status(200);
    }
    let events = audit_events(data.path());
    let target = events.iter().find(|event| event["object"]["description"] == "to be altered").unwrap();
    server.stop();
    assert_chain_holds(data.path());

    replace(data.path(), b"to be altered", b"To be altered");

    let verified = run(&["audit", "verify", "--data-dir", text(data.path())]);
    verified.expect_refusal();
    let number = target["sequence"].to_string();
    let named = verified.stderr.split(|letter: char| !letter.is_ascii_digit()).any(|word| word == number);
    assert!(named, "record {number} is not named: {}", verified.stderr);
    run(&["doctor", "--data-dir", text(data.path())]).expect_refusal();
}

/// Puts other bytes, as many, in the place of some, in a store that nobody has open.
fn replace(data: &Path, old: &[u8], new: &[u8]) {
    let database = database(data);
    let mut bytes = fs::read(&database).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert!(!places.is_empty(), "it is not in {}", database.display());
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    fs::write(&database, bytes).unwrap();
}

/// One record that is damaged does not hide the others, nor is it hidden by a filter.
#[test]
fn a_record_that_cannot_be_read_is_told_beside_the_others() {
    let data = private_folder();
    let server = Server::start(data.path());
    for name in ["a", "damaged", "b"] {
        make_vault(&mut server.client(), name);
    }
    server.stop();
    replace(data.path(), b"\"name\":\"damaged\"", b"\"nome\":\"damaged\"");
    let server = Server::start(data.path());
    let mut client = server.client();
    let seen = |events: &[Value]| {
        let number = |event: &Value| event["sequence"].as_u64().unwrap();
        let unreadable = |event: &Value| event.get("unreadable") == Some(&json!(true));
        events.iter().map(|event| (number(event), unreadable(event))).collect::<Vec<_>>()
    };
    let all = [(1, false), (2, false), (3, true), (4, false)];
    let listed = list_all(&mut client, "/strongroom/audit_events?order=oldest&limit=2", "audit_events");
    assert_eq!(seen(&listed), all);
    assert_eq!(field(&listed[2], "hash").len(), 64);
    let filter = "?order=oldest&filter=obj.event_type%3D%3D%22api_key_created.v0%22";
    let listed = list_all(&mut client, &format!("/strongroom/audit_events{filter}"), "audit_events");
    assert_eq!(seen(&listed), [(1, false), (3, true)]);
    assert_eq!(seen(&audit_events(data.path())), all);
    let key = data.path().join("first-api-key");
    let remote = ["--url", server.url.as_str(), "--api-key-file", text(&key)];
    let asked = run(&[&["audit", "events", "--oldest-first"], &remote[..]].concat());
    let lines = asked.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    assert_eq!(seen(&lines.collect::<Vec<Value>>()), all, "{}", asked.stderr);
    server.stop();
}
