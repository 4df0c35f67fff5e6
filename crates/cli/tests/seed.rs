//! `strongroom seed`: things with chosen ids, as a migration brings them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;

use harness::{Server, assert_chain_holds, audit_events, field, list_all, private_folder, run, text};
use serde_json::{Value, json};
use tempfile::TempDir;

const VAULT: &str = "vault_32ELIFtgRqQ13kcDvI8Bu4y0Ra7";
const SECRET: &str = "secret_32ELIJG8pybfIzK6EGVZ3HWrk1E";

/// A used, stopped data folder and a file of JSON lines.
fn seeded(lines: &[Value]) -> (TempDir, harness::process::Ran) {
    let folder = private_folder();
    let (data, file) = (folder.path().join("data"), folder.path().join("lines"));
    Server::start(&data).stop();
    fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let ran = run(&["seed", text(&file), "--data-dir", text(&data)]);
    (folder, ran)
}

#[test]
fn chosen_ids_are_kept_and_logged() {
    let lines = [
        json!({"type": "vault", "id": VAULT, "name": "prod-vault", "metadata": "env=prod"}),
        json!({"type": "secret", "id": SECRET, "vault_id": VAULT, "name": "db-password", "value": "v"}),
        json!({"type": "secret", "vault_name": "prod-vault", "name": "other", "value": "v",
               "expires_at": "2100-01-01T01:00:00.5+01:00"}),
    ];
    let (folder, ran) = seeded(&lines);
    assert!(ran.success(), "{}", ran.stderr);
    let data = folder.path().join("data");
    let types: Vec<Value> = audit_events(&data).iter().map(|event| event["event_type"].clone()).collect();
    assert_eq!(types[1..], ["vault_created.v0", "secret_created.v0", "secret_created.v0"]);
    assert_chain_holds(&data);

    let server = Server::start(&data);
    let mut client = server.client();
    let vault = client.get(&format!("/vaults/{VAULT}")).expect_status(200).json();
    // The recorded id holds the recorded instant, and both belong together.
    assert_eq!(
        (field(&vault, "metadata"), field(&vault, "created_at")),
        ("env=prod", "2025-09-04T10:11:43Z")
    );
    let secret = client.get(&format!("/vault_secrets/{SECRET}")).expect_status(200).json();
    assert_eq!(secret["vault"]["id"], VAULT);
    assert_eq!(list_all(&mut client, &format!("/vaults/{VAULT}/secrets"), "secrets").len(), 2);
    let details = list_all(&mut client, "/strongroom/secrets", "secrets");
    let ends =
        |name: &str| details.iter().find(|detail| detail["name"] == name).unwrap()["expires_at"].clone();
    assert_eq!((ends("other"), ends("db-password")), (json!("2100-01-01T00:00:00Z"), json!("")));
    server.stop();
}

#[test]
fn a_refused_line_is_named_without_its_value() {
    let good = json!({"type": "vault", "name": "v"});
    let canary = "value-that-nobody-may-see";
    let bad_lines = [
        json!({"type": "secret", "vault_name": "v", "name": "no spaces", "value": canary}),
        json!({"type": "secret", "vault_name": "nowhere", "name": "s", "value": canary}),
        json!({"type": "secret", "vault_name": "v", "name": "s", "value": canary, "expires_at": "2020-01-01T00:00:00Z"}),
        json!({"type": "secret", "vault_name": "v", "name": "s", "value": canary, "expires_at": "soon"}),
        json!({"type": "secret", "vault_name": "v", "name": "s", "value": [canary]}),
        json!({"type": "secret", "vault_name": "v", "name": "s", "valeu": canary}),
        json!({"type": canary}),
        json!(canary),
    ];
    for bad in bad_lines {
        let (_folder, ran) = seeded(&[good.clone(), bad.clone()]);
        ran.expect_refusal();
        assert!(ran.stderr.contains("line 2"), "{bad}: {}", ran.stderr);
        assert!(!ran.stderr.contains(canary) && !ran.stdout.contains(canary), "{bad}: {}", ran.stderr);
    }
}

#[test]
fn a_served_folder_is_refused() {
    let folder = private_folder();
    let (data, file) = (folder.path().join("data"), folder.path().join("lines"));
    let server = Server::start(&data);
    fs::write(&file, json!({"type": "vault", "name": "v"}).to_string()).unwrap();
    run(&["seed", text(&file), "--data-dir", text(&data)]).expect_refusal();
    assert!(list_all(&mut server.client(), "/vaults", "vaults").is_empty());
    server.stop();
}
