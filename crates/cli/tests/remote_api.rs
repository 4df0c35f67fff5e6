//! `strongroom api`: the commands and flags of `ngrok api`, against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use harness::{Server, field, private_folder};
use person::Person;
use serde_json::{Value, json};

/// As ngrok's own tool takes it: a script that passes a key in PEM changes one word.
#[test]
fn a_value_may_start_with_a_hyphen() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.does(&["vault", "create", "prod"]);
    let pem = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n";
    let create = [
        "api",
        "secrets",
        "create",
        "--vault-name",
        "prod",
        "--name",
        "k",
        "--value",
        pem,
        "--description",
        "-x",
    ];
    admin.does(&create);
    let reader = admin.granted(&server, &["resolve prod:*"]);
    assert_eq!(reader.does(&["secret", "get", "prod:k"]), pem);
    server.stop();
}

#[test]
fn vaults() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let create =
        ["api", "vaults", "create", "--name", "prod", "--description", "<b>&", "--metadata", "env=prod"];
    let printed = admin.does(&create);
    assert!(printed.starts_with("{\n  \"id\": \"vault_"), "in the server's own order: {printed}");
    assert!(printed.contains("\n  \"description\": \"<b>&\",\n"), "without HTML escaping: {printed}");
    assert!(printed.ends_with("\n}\n"), "{printed}");
    let vault: Value = serde_json::from_str(&printed).unwrap();
    let id = field(&vault, "id");
    assert_eq!(admin.json(&["api", "vaults", "get", id]), vault);

    let changed = admin.json(&["api", "vaults", "update", id, "--name", "production", "--description", ""]);
    assert_eq!(changed["name"], "production");
    assert_eq!(changed["description"], "", "an empty text is sent and clears");
    assert_eq!(changed["metadata"], "env=prod", "what is not given stays");

    let other = admin.json(&["api", "vaults", "create", "--name", "staging"]);
    let names = |args: &[&str]| -> Vec<String> {
        let list = admin.json(args);
        list["vaults"].as_array().unwrap().iter().map(|vault| field(vault, "name").to_owned()).collect()
    };
    assert_eq!(names(&["api", "vaults", "list"]), ["staging", "production"]);
    assert_eq!(names(&["api", "vaults", "list", "--limit", "1"]), ["staging"]);
    assert_eq!(names(&["api", "vaults", "list", "--before-id", field(&other, "id")]), ["production"]);
    assert_eq!(names(&["api", "vaults", "list", "--filter", "obj.name == \"production\""]), ["production"]);

    admin.does(&["api", "secrets", "create", "--name", "a", "--value", "x", "--vault-id", id]);
    let inside = admin.json(&["api", "vaults", "get-secrets-by-vault", id, "--limit", "5"]);
    assert_eq!(inside["secrets"][0]["name"], "a");

    assert_eq!(admin.does(&["api", "vaults", "delete", field(&other, "id")]), "", "204 has no body to print");
    admin.fails(3, &["api", "vaults", "get", field(&other, "id")]);
    server.stop();
}

#[test]
fn secrets_and_their_values() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve *:*"]);
    admin.does(&["api", "vaults", "create", "--name", "prod"]);
    let file = admin.file("value", b"line one\nline two\n");
    let create = ["api", "secrets", "create", "--vault-name", "prod", "--name"];
    let of_file = admin.json(&[&create[..], &["file", "--value-file", &file, "--metadata", "m"]].concat());
    assert_eq!(of_file["vault_name"], "prod");
    assert_eq!(of_file["metadata"], "m");
    assert_eq!(of_file.get("value"), None);
    assert_eq!(reader.does(&["secret", "get", "prod:file"]), "line one\nline two\n", "kept exactly");

    let piped = admin.feed(&[&create[..], &["pipe", "--value-file", "-"]].concat(), "ä\n\n".as_bytes());
    assert_eq!((piped.code, piped.stderr.as_str()), (0, ""));
    assert_eq!(reader.does(&["secret", "get", "prod:pipe"]), "ä\n\n");

    let typed = admin.run(&[&create[..], &["typed", "--value", "hunter2"]].concat());
    assert_eq!(typed.code, 0, "{typed:?}");
    assert!(typed.stderr.starts_with("warning: ") && typed.stderr.contains("--value-file"), "{typed:?}");
    assert!(!typed.stderr.contains("hunter2") && !typed.stdout.contains("hunter2"), "{typed:?}");

    let id = field(&of_file, "id");
    let update =
        ["api", "secrets", "update", id, "--name", "renamed", "--value-file", "-", "--description", "d"];
    let changed = admin.feed(&update, b"new");
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(reader.does(&["secret", "get", "prod:renamed"]), "new");
    assert_eq!(admin.json(&["api", "secrets", "get", id])["description"], "d");
    let list = admin.json(&["api", "secrets", "list", "--filter", "obj.name == \"pipe\"", "--limit", "1"]);
    assert_eq!(list["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(admin.does(&["api", "secrets", "delete", id]), "");
    admin.fails(3, &["api", "secrets", "get", id]);
    admin.fails(2, &[&create[..], &["both", "--value", "x", "--value-file", &file]].concat());
    server.stop();
}

#[test]
fn bytes_that_are_no_text_are_refused_with_a_hint() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.does(&["vault", "create", "prod"]);
    let file = admin.file("binary", b"\xff\xfe\x00secret");
    let create = ["api", "secrets", "create", "--name", "x", "--vault-name", "prod", "--value-file"];
    let told = admin.fails(6, &[&create[..], &[&file]].concat());
    assert!(told.contains(&format!("base64 < {file}")), "{told}");
    let missing = admin.fails(3, &[&create[..], &["/nowhere/value"]].concat());
    assert!(missing.contains("/nowhere/value"), "{missing}");
    assert_eq!(admin.json(&["api", "secrets", "list"])["secrets"], json!([]));
    server.stop();
}

#[test]
fn api_keys() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let bot = admin.json(&["api", "service-users", "create", "--name", "deploy"]);
    let create = ["api", "api-keys", "create", "--description", "ci", "--owner-id", field(&bot, "id")];
    let bounds =
        ["--grant", "resolve prod:tls-*", "--grant", "audit", "--expires-at", "2999-01-01T00:00:00Z"];
    let made = admin.json(&[&create[..], &bounds].concat());
    assert!(made["token"].is_string());
    let grants = json!([{"action": "resolve", "vault": "prod", "secret": "tls-*"}, {"action": "audit"}]);
    assert_eq!((&made["grants"], &made["expires_at"]), (&grants, &json!("2999-01-01T00:00:00Z")));
    let id = field(&made, "id");
    let plain = admin.json(&["api", "api-keys", "create", "--owner-email", "admin@localhost"]);
    assert_eq!(plain["grants"], Value::Null);

    let update = ["api", "api-keys", "update", id, "--metadata", "m", "--expires-at", "", "--grant", "admin"];
    let changed = admin.json(&update);
    assert_eq!((&changed["metadata"], &changed["expires_at"]), (&json!("m"), &Value::Null));
    assert_eq!(changed["grants"], json!([{"action": "admin"}]));
    assert_eq!(admin.json(&["api", "api-keys", "get", id])["token"], Value::Null);
    let list = admin.json(&["api", "api-keys", "list", "--filter", "obj.description == \"ci\""]);
    assert_eq!(list["keys"][0]["id"], id);
    assert_eq!(admin.does(&["api", "api-keys", "delete", id]), "");
    admin.fails(3, &["api", "api-keys", "get", id]);
    admin.fails(2, &["api", "api-keys", "create", "--grant", "resolve prod:a:b"]);
    server.stop();
}

#[test]
fn users_under_both_names() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    for (noun, prefix, list) in
        [("service-users", "service_", "service_users"), ("bot-users", "bot_", "bot_users")]
    {
        let made = admin.json(&["api", noun, "create", "--name", noun, "--active"]);
        let id = field(&made, "id");
        assert!(id.starts_with(prefix), "{id}");
        assert_eq!(made["active"], true);
        for (flag, expected) in [("--active=false", false), ("--active=T", true), ("--active=0", false)] {
            assert_eq!(admin.json(&["api", noun, "update", id, flag])["active"], expected);
        }
        assert_eq!(admin.json(&["api", noun, "update", id, "--name", "other"])["name"], "other");
        assert_eq!(admin.json(&["api", noun, "get", id])["name"], "other");
        assert_eq!(admin.json(&["api", noun, "list", "--limit", "1"])[list][0]["id"], id);
        assert_eq!(admin.does(&["api", noun, "delete", id]), "");
        admin.fails(3, &["api", noun, "get", id]);
    }
    let filter = ["list", "--filter", "obj.name == \"x\""];
    admin.does(&[&["api", "service-users"], &filter[..]].concat());
    let told = admin.run(&[&["api", "bot-users"], &filter[..]].concat());
    assert_eq!(told.code, 2, "ngrok's has no filter there: {told:?}");
    server.stop();
}

#[test]
fn root_and_self() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    assert_eq!(
        admin.json(&["api", "root", "get"])["subresource_uris"]["vaults"],
        format!("{}/vaults", server.url)
    );
    assert_eq!(admin.json(&["api", "root", "self"])["user"], "admin@localhost");
    server.stop();
}

#[test]
fn a_refusal_is_told_as_ngroks_client_does() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.does(&["api", "vaults", "create", "--name", "prod"]);
    let told = admin.fails(7, &["api", "vaults", "create", "--name", "prod"]);
    let line = "HTTP 400: Vault names must be unique within an account. [ERR_NGROK_23004]\n";
    assert!(told.contains(line) && told.contains("operation id: op_"), "{told}");
    let told = admin.fails(6, &["api", "vaults", "create", "--name", "no spaces"]);
    assert!(told.contains("HTTP 400: ") && told.contains("[ERR_NGROK_23000]"), "{told}");
    let told = admin.fails(6, &["api", "vaults", "list", "--limit", "1000"]);
    assert!(told.contains("HTTP 400: "), "{told}");
    server.stop();
}

#[test]
fn an_id_stays_one_segment_of_the_path() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    for id in ["../self", "..", ".", "?limit=1", "#", "%2e%2e", "a/b", "ä b"] {
        admin.fails(3, &["api", "vaults", "get", id]);
    }
    assert_eq!(admin.run(&["api", "vaults", "get", ""]).code, 2);
    server.stop();
}

#[test]
fn ngroks_own_flags_and_variable_are_taken() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let token = harness::first_key(&server.data);
    let person = Person::stranger().set("STRONGROOM_URL", &server.url);
    let ngroks = ["--log=false", "--log-format", "json", "--log-level=debug"];
    let typed = person.run(&[&["api", "--api-key", &token], &ngroks[..], &["vaults", "list"]].concat());
    assert_eq!(typed.code, 0, "{typed:?}");
    assert!(typed.stderr.starts_with("warning: ") && !typed.stderr.contains(&token), "{typed:?}");
    let person = person.set("NGROK_API_KEY", &token);
    let by_variable = person.run(&["api", "vaults", "list"]);
    assert_eq!((by_variable.code, by_variable.stderr.as_str()), (0, ""));
    let wrong = person.set("STRONGROOM_API_KEY", "wrong");
    wrong.fails(4, &["api", "vaults", "list"]);
    server.stop();
}

#[test]
fn ip_policies_rules_and_restrictions() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let policy = admin.json(&["api", "ip-policies", "create", "--description", "offices"]);
    let policy_id = field(&policy, "id");
    let changed = admin.json(&["api", "ip-policies", "update", policy_id, "--metadata", "m"]);
    assert_eq!((&changed["description"], &changed["metadata"]), (&json!("offices"), &json!("m")));
    assert_eq!(admin.json(&["api", "ip-policies", "list"])["ip_policies"], json!([changed]));

    let create =
        ["api", "ip-policy-rules", "create", "--ip-policy-id", policy_id, "--action", "allow", "--cidr"];
    let rule = admin.json(&[&create[..], &["127.0.0.0/8"]].concat());
    assert_eq!(rule["ip_policy"]["id"], policy["id"]);
    admin.fails(6, &[&create[..], &["127.0.0.1"]].concat());
    let filter = ["api", "ip-policy-rules", "list", "--filter", "obj.cidr == \"127.0.0.0/8\""];
    assert_eq!(admin.json(&filter)["ip_policy_rules"], json!([rule]));

    let bound = ["--type", "api", "--ip-policy-ids", policy_id, "--enforced"];
    let it = admin.json(&[&["api", "ip-restrictions", "create"], &bound[..]].concat());
    assert_eq!((&it["enforced"], &it["type"]), (&json!(true), &json!("api")));
    let id = field(&it, "id");
    assert_eq!(admin.json(&["api", "ip-restrictions", "get", id]), it);
    let update = ["api", "ip-policy-rules", "update", field(&rule, "id"), "--cidr", "192.0.2.0/24"];
    let told = admin.fails(7, &update);
    assert!(told.contains("confirm_lockout"), "{told}");
    admin.json(&["api", "ip-restrictions", "update", id, "--enforced=false"]);
    admin.json(&update);
    admin.fails(6, &["api", "ip-policies", "delete", policy_id]);
    assert_eq!(admin.does(&["api", "ip-restrictions", "delete", id]), "");
    admin.json(&[&["api", "ip-restrictions", "create", "--confirm-lockout"], &bound[..]].concat());
    admin.fails(4, &["api", "ip-policies", "list"]);
    server.stop();
}
