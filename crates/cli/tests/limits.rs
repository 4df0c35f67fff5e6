//! Limits that are settings: requests per minute, numbers of things, the length of a value.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::time::Instant;

use harness::{Reply, Request, Server, field, list_all, make_vault, private_folder, secret_in};
use serde_json::json;

fn assert_code(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply}");
    assert_eq!(reply.json()["error_code"], code, "{reply}");
}

#[test]
fn a_hundred_and_twenty_requests_a_minute() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--requests-per-minute", "120"]);
    let mut client = server.client();
    let start = Instant::now();
    let mut allowed = 0;
    while client.get("/vaults").status == 200 {
        allowed += 1;
    }
    // Two more each second may have been let in again by the time that all were sent.
    let most = 120 + 2 * start.elapsed().as_secs() + 2;
    assert!((120..=most).contains(&allowed), "{allowed} requests were allowed");
    let refused = client.post("/vaults", &json!({"name": "too late"}));
    assert_code(&refused, 429, "ERR_NGROK_226");
    let wait: u32 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&wait), "Retry-After: {wait}");
    let message = "Your account is rate limited to 120 API requests per minute.";
    assert!(field(&refused.json(), "msg").contains(message), "{refused}");

    // The limit is the account's, so another key of it is refused as well; a probe needs no account.
    assert_eq!(server.client().get("/self").status, 429);
    assert_eq!(client.get("/healthz").status, 200);
    server.stop();

    let again = Server::start(data.path());
    assert!(list_all(&mut again.client(), "/vaults", "vaults").is_empty(), "the refused create was run");
    again.stop();
}

#[test]
fn no_limit_of_requests_unless_it_is_set() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    for n in 1..=300 {
        assert_eq!(client.get("/vaults").status, 200, "request {n}");
    }
    server.stop();
}

#[test]
fn the_number_of_vaults() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--max-vaults", "2"]);
    let mut client = server.client();
    let first = make_vault(&mut client, "one");
    make_vault(&mut client, "two");
    assert_code(&client.post("/vaults", &json!({"name": "three"})), 400, "ERR_NGROK_23005");
    assert_eq!(list_all(&mut client, "/vaults", "vaults").len(), 2);

    client.delete(&format!("/vaults/{}", field(&first, "id"))).expect_status(204);
    make_vault(&mut client, "three");
    server.stop();
}

#[test]
fn the_number_of_secrets() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--max-secrets", "2"]);
    let mut client = server.client();
    let vault = make_vault(&mut client, "v");
    let first = client.post("/vault_secrets", &secret_in(&vault, "one", "v")).expect_status(201).json();
    client.post("/vault_secrets", &secret_in(&vault, "two", "v")).expect_status(201);
    let refused = client.post("/vault_secrets", &secret_in(&vault, "three", "v"));
    assert_code(&refused, 400, "ERR_NGROK_24007");
    assert!(field(&refused.json(), "msg").contains("(2)"), "{refused}");
    assert_eq!(list_all(&mut client, "/vault_secrets", "secrets").len(), 2);

    // A full vault still takes changes and gives room when something goes.
    let path = format!("/vault_secrets/{}", field(&first, "id"));
    client.patch(&path, &json!({"value": "w"})).expect_status(200);
    client.delete(&path).expect_status(204);
    client.post("/vault_secrets", &secret_in(&vault, "three", "v")).expect_status(201);
    server.stop();
}

#[test]
fn the_longest_of_everything_is_accepted() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    let (name, description, metadata) = ("n".repeat(255), "d".repeat(255), "m".repeat(4096));
    let body = json!({"name": name, "description": description, "metadata": metadata});
    let vault = client.post("/vaults", &body).expect_status(201).json();
    assert_eq!(field(&vault, "metadata"), metadata);
    client.post("/vault_secrets", &secret_in(&vault, &name, &"v".repeat(65_536))).expect_status(201);
    server.stop();
}

/// Every byte of a value may need six in JSON: the request body has to have room for that.
#[test]
fn the_length_of_a_value_can_be_raised_to_a_mebibyte() {
    const MEBIBYTE: usize = 1 << 20;
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--max-value", "1048576"]);
    let mut client = server.client();
    let vault = make_vault(&mut client, "v");
    let longest = [("plain", "v".repeat(MEBIBYTE)), ("escaped", "\u{1}".repeat(MEBIBYTE))];
    for (name, value) in longest {
        client.post("/vault_secrets", &secret_in(&vault, name, &value)).expect_status(201);
    }
    let refused = client.post("/vault_secrets", &secret_in(&vault, "longer", &"v".repeat(MEBIBYTE + 1)));
    assert_code(&refused, 400, "ERR_NGROK_24004");
    server.stop();
}

#[test]
fn a_value_limit_beyond_a_mebibyte_is_refused() {
    let data = private_folder();
    let ran = Server::spawn(data.path(), &["--max-value", "1048577"]).wait();
    ran.expect_refusal();
    assert!(ran.stderr.contains("1MiB"), "it does not name the bound: {}", ran.stderr);
}

/// A list of empty objects is three bytes an item on the wire and is not to be hundreds in memory.
#[test]
fn a_long_list_costs_no_memory() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--max-value", "1MiB"]);
    let most = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let body = format!("{{\"name\":[{}{{}}]}}", "{},".repeat(1_900_000));
    let request =
        Request::new("POST", "/vaults").token(&harness::first_key(data.path())).body(body.as_bytes());
    let before = most();
    harness::http::exchange(server.address(), &request).expect_status(400);
    let grown = (most() - before) / 1024;
    assert!(grown < 64, "a body of {} MiB took {grown} MiB", body.len() >> 20);
    server.stop();
}
