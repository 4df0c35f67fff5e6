//! The real binary under test: started on a port of its own, spoken to over a socket, ended by its own process id.

#![allow(dead_code, unused_imports, reason = "each test binary uses the part it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod database;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod rng;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) use files::private_folder;
pub(crate) use http::{Client, Reply, Request};
pub(crate) use process::{Process, Server, run};
pub(crate) use strongroom_testbed::{PATIENCE, poll};

/// The admin's token that the first start left in the data folder.
pub(crate) fn first_key(data: &Path) -> String {
    let path = data.join("first-api-key");
    let token = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    token.trim().to_owned()
}

/// The audit log as `strongroom audit list` prints it: one JSON event a line, oldest first.
pub(crate) fn audit_events(data: &Path) -> Vec<Value> {
    let listed = run(&["audit", "list", "--data-dir", text(data)]);
    assert!(listed.success(), "audit list failed: {}", listed.stderr);
    let lines = listed.stdout.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line:?}"))).collect()
}

/// Fails unless `strongroom audit verify` finds the log whole.
pub(crate) fn assert_chain_holds(data: &Path) {
    let verified = run(&["audit", "verify", "--data-dir", text(data)]);
    assert!(verified.success(), "audit verify: {}{}", verified.stdout, verified.stderr);
}

/// Every item of a list, page after page along `next_page_uri`.
pub(crate) fn list_all(client: &mut Client, target: &str, key: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = Some(target.to_owned());
    while let Some(target) = next {
        let page = client.get(&target).expect_status(200).json();
        items.extend(page[key].as_array().unwrap_or_else(|| panic!("no {key:?} in {page}")).iter().cloned());
        next = page["next_page_uri"].as_str().map(|uri| {
            let path =
                uri.strip_prefix(&client.origin()).unwrap_or_else(|| panic!("foreign page link {uri}"));
            path.to_owned()
        });
    }
    items
}

/// Everything the API lists: equal before and after means that nothing visible has changed.
pub(crate) fn visible_state(client: &mut Client) -> Vec<Vec<Value>> {
    let lists = [
        ("/vaults", "vaults"),
        ("/vault_secrets", "secrets"),
        ("/api_keys", "keys"),
        ("/bot_users", "bot_users"),
    ];
    lists.map(|(target, key)| list_all(client, target, key)).to_vec()
}

pub(crate) fn make_vault(client: &mut Client, name: &str) -> Value {
    client.post("/vaults", &json!({"name": name})).expect_status(201).json()
}

/// The body that makes a secret in this vault.
pub(crate) fn secret_in(vault: &Value, name: &str, value: &str) -> Value {
    json!({"name": name, "value": value, "vault_id": field(vault, "id")})
}

/// A path as an argument; temporary folders have plain names.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A string field that must be there.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no string {name:?} in {value}"))
}
