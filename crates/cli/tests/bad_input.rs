//! What bad input gets: the documented error, a JSON body, nothing changed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "bad_input/fields.rs"]
mod fields;
mod harness;
#[path = "bad_input/ip.rs"]
mod ip;
#[path = "bad_input/keys.rs"]
mod keys;
#[path = "bad_input/queries.rs"]
mod queries;
#[path = "bad_input/requests.rs"]
mod requests;
#[path = "bad_input/slots.rs"]
mod slots;
#[path = "bad_input/table.rs"]
mod table;
#[path = "bad_input/values.rs"]
mod values;
#[path = "bad_input/webhooks.rs"]
mod webhooks;

use harness::{
    Client, Reply, Request, Server, audit_events, field, http, make_vault, private_folder, secret_in,
    visible_state,
};
use serde_json::{Value, json};
use table::{Case, World};

/// The shape every error has, whatever went wrong: rule 8 of docs/compatibility.md.
fn assert_error_shape(case: &Case, reply: &Reply) {
    let name = &case.name;
    let body = reply.json();
    let content_type = reply.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("application/json"), "{name}: content type {content_type:?}");
    assert_eq!(body["status_code"], json!(reply.status), "{name}: status_code in {body}");
    assert!(body["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{name}: msg in {body}");
    let details = body["details"].as_object().unwrap_or_else(|| panic!("{name}: details in {body}"));
    assert!(details.values().all(Value::is_string), "{name}: details in {body}");

    let operation = reply.header("ngrok-operation-id").unwrap_or_default();
    assert!(operation.len() == 30 && operation.starts_with("op_"), "{name}: operation id {operation:?}");
    if !details.contains_key("path") {
        assert_eq!(details["operation_id"], json!(operation), "{name}: operation id in {body}");
    }
}

fn assert_documented(case: &Case, reply: &Reply) {
    assert_eq!(reply.status, case.status, "{}: {reply}", case.name);
    assert_error_shape(case, reply);
    let code = reply.json()["error_code"].as_str().unwrap_or_default().to_owned();
    assert!(case.codes.contains(&code.as_str()), "{}: expected {:?}: {reply}", case.name, case.codes);
}

/// Sends every case and reports all that went wrong, not only the first.
fn check_all(cases_of: impl Fn(&World) -> Vec<Case>) {
    let data = private_folder();
    let server = Server::start(data.path());
    let world = World::make(&mut server.client());
    let mut watcher = server.client();
    let before = visible_state(&mut watcher);
    let events_before = audit_events(data.path()).len();

    let cases = cases_of(&world);
    let failures: Vec<String> =
        cases.iter().filter_map(|case| complaint(&server, &mut watcher, case, &before)).collect();

    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert_eq!(audit_events(data.path()).len(), events_before, "a refused request left an audit event");
    server.stop();
}

/// What is wrong with the answer to one case, if anything.
fn complaint(server: &Server, watcher: &mut Client, case: &Case, before: &[Vec<Value>]) -> Option<String> {
    let reply = http::exchange(server.address(), &case.request);
    let verdict = std::panic::catch_unwind(|| assert_documented(case, &reply));
    let changed = visible_state(watcher) != before;
    match verdict {
        Ok(()) if changed => Some(format!("{}: something changed", case.name)),
        Ok(()) => None,
        Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| case.name.clone())),
    }
}

#[test]
fn credentials_and_versions() {
    check_all(|world| [requests::credentials(world), requests::versions(world)].concat());
}

#[test]
fn bodies_and_fields() {
    check_all(|world| {
        [requests::bodies(world), fields::vault_fields(world), fields::secret_fields(world)].concat()
    });
}

#[test]
fn key_and_user_fields() {
    check_all(fields::key_and_user_fields);
}

#[test]
fn queries_and_filters() {
    check_all(|world| [queries::queries(world), queries::filters(world)].concat());
}

#[test]
fn ids_and_routes() {
    check_all(|world| [requests::ids(world), requests::routes(world)].concat());
}

#[test]
fn grants_and_ends() {
    check_all(values::grants);
}

#[test]
fn references() {
    check_all(|world| [values::resolving(world), values::reading_values(world)].concat());
}

#[test]
fn details_moves_and_explanations() {
    check_all(|world| [values::details_and_moves(world), values::explaining(world)].concat());
}

#[test]
fn versions_and_keeping() {
    check_all(values::versions_and_keeping);
}

#[test]
fn deleted_things() {
    check_all(values::deleted_things);
}

#[test]
fn ip_policies_and_restrictions() {
    check_all(ip::ip);
}

#[test]
fn keys() {
    check_all(keys::keys);
}

#[test]
fn key_slots() {
    check_all(slots::slots);
}

#[test]
fn webhooks() {
    check_all(webhooks::webhooks);
}

#[test]
fn expectations() {
    check_all(values::expectations);
}

#[test]
fn repeatable_creates() {
    check_all(values::repeatable_creates);
}

/// What is in an `If-None-Match` decides whether the values come along, and nothing else.
#[test]
fn a_tag_that_is_none_is_passed_over() {
    let data = private_folder();
    let server = Server::start(data.path());
    let world = World::make(&mut server.client());
    let read = Request::new("GET", "/strongroom/values?vault=taken").token(&world.resolver);
    for tag in ["x", "\"", "\"\"", "W/", "w/\"x\"", ",,,", "**", "\"*\"", "\"a\", \"b\"", "é"] {
        let reply = http::exchange(server.address(), &read.clone().header("if-none-match", tag));
        assert_eq!(reply.expect_status(200).json()["secrets"].as_array().unwrap().len(), 2, "{tag}");
    }
    server.stop();
}

#[test]
fn an_unrouted_path_is_named_and_nothing_else() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    for (method, target) in [("GET", "/tunnels?limit=1"), ("PUT", "/vaults"), ("GET", "/secrets")] {
        let body = client.try_call(method, target, None).unwrap().expect_status(404).json();
        let path = target.split('?').next().unwrap();
        assert_eq!(body["msg"], "Not Found", "{method} {target}");
        assert_eq!(body["details"], json!({"path": path}), "{method} {target}");
    }
    server.stop();
}

/// The texts a caller may show to a person, with their blanks filled in: docs/errors.md.
#[test]
fn messages_follow_the_catalogue() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    let vault = make_vault(&mut client, "taken");
    client.post("/vault_secrets", &secret_in(&vault, "s", "v")).expect_status(201);

    let cases = [
        (json!({"name": "a b"}), r#"The vault name "a b" is invalid."#),
        (json!({"name": ""}), "The vault name cannot be empty."),
        (json!({"name": "x".repeat(256)}), "Your vault name must be less than 256 characters."),
        (json!({"name": "taken"}), "Vault names must be unique within an account."),
        (json!({"nmae": "x"}), "nmae"),
    ];
    for (body, expected) in cases {
        let reply = client.post("/vaults", &body).expect_status(400).json();
        assert!(field(&reply, "msg").contains(expected), "{body} → {reply}");
    }
    let reply = client.delete(&format!("/vaults/{}", field(&vault, "id"))).expect_status(400).json();
    assert!(field(&reply, "msg").contains("A Vault must be empty before it can be deleted."), "{reply}");
    server.stop();
}

/// A credential in an error would end in every log on the way: the message masks it.
#[test]
fn a_refused_credential_is_not_quoted() {
    let data = private_folder();
    let server = Server::start(data.path());
    let secret_part = "59G1nFjCYtpoGt8Fp41Fm";
    for token in
        [format!("32ELEgPmoXjxGJ3MXfoPBbZKrfD_{secret_part}"), format!("no-credential-{secret_part}")]
    {
        let reply = server.client_with(&token).get("/vaults").expect_status(403);
        assert!(!String::from_utf8_lossy(&reply.wire).contains(secret_part), "{reply}");
    }
    server.stop();
}
