//! A backup taken while the server works, and what comes back from it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::files::{contents, mode, root_key};
use harness::http::exchange;
use harness::process::Ran;
use harness::{
    Request, Server, assert_chain_holds, audit_events, field, first_key, list_all, make_vault,
    private_folder, run, secret_in, text, visible_state,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A data folder with a server, and a place for a backup file.
struct World {
    folder: TempDir,
    server: Server,
}

impl World {
    fn start() -> Self {
        let folder = private_folder();
        let server = Server::start(&folder.path().join("data"));
        Self { folder, server }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn backup(file: &Path, data: &Path) -> Ran {
    run(&["backup", text(file), "--data-dir", text(data)])
}

/// Restores with a copy of the root key, which no backup holds.
fn restore(file: &Path, data: &Path, key: &Path) -> Ran {
    run(&["restore", text(file), "--data-dir", text(data), "--root-key-file", text(key)])
}

fn start_restored(data: &Path, key: &Path) -> Server {
    Server::start_with(data, &["--root-key-file", text(key)])
}

/// The same but for the origin, which is another port's.
fn without_origin(lists: &[Vec<Value>], origin: &str) -> Value {
    let text = serde_json::to_string(lists).unwrap().replace(origin, "");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_restored_server_answers_the_same() {
    let world = World::start();
    let mut client = world.server.client();
    let vault = client.post("/vaults", &json!({"name": "v", "metadata": "kept"})).expect_status(201).json();
    for n in 0..120 {
        let secret = secret_in(&vault, &format!("s{n}"), &format!("value {n}"));
        client.post("/vault_secrets", &secret).expect_status(201);
    }
    client.post("/bot_users", &json!({"name": "robot"})).expect_status(201);
    let (file, data, key) = (world.path("backup"), world.path("restored"), root_key(&world.server.data).path);
    let made = backup(&file, &world.server.data);
    assert!(made.success(), "{}", made.stderr);
    assert_eq!(mode(&file), 0o600);
    let before = without_origin(&visible_state(&mut client), &world.server.url);
    let events = audit_events(&world.server.data);
    let token = first_key(&world.server.data);
    world.server.stop();

    let restored = restore(&file, &data, &key);
    assert!(restored.success(), "{}", restored.stderr);
    assert_eq!(mode(&data), 0o700);
    assert_chain_holds(&data);
    let server = start_restored(&data, &key);
    let mut client = server.client_with(&token);
    assert_eq!(without_origin(&visible_state(&mut client), &server.url), before);
    assert_eq!(audit_events(&data)[..events.len()], events[..], "the log's past has changed");
    // Sealed values came along in a form that can be opened: only then is a rewrite known to change nothing.
    let first = list_all(&mut client, "/vault_secrets?filter=obj.name%3D%3D%22s0%22", "secrets").remove(0);
    let path = format!("/vault_secrets/{}", field(&first, "id"));
    let count = audit_events(&data).len();
    client.patch(&path, &json!({"value": "value 0"})).expect_status(200);
    assert_eq!(audit_events(&data).len(), count, "the restored value is another");
    client.patch(&path, &json!({"value": "another"})).expect_status(200);
    assert_eq!(audit_events(&data).len(), count + 1);
    server.stop();
}

/// A create that is in a backup and comes again gets its answer from what was restored; one that is not is done.
#[test]
fn what_is_asked_again_of_a_restored_server_is_answered_by_what_it_has() {
    let world = World::start();
    let token = first_key(&world.server.data);
    let make = |server: &Server, target: &str, body: &Value| {
        let request = Request::new("POST", target).token(&token).json(body).header("idempotency-key", "k");
        let reply = exchange(server.address(), &request).expect_status(201);
        let replayed = reply.header("idempotent-replayed").is_some();
        (reply.json(), replayed)
    };
    let vault = make_vault(&mut world.server.client(), "v");
    let mut secret = secret_in(&vault, "s", "value");
    secret["expires_at"] = json!("2100-01-01T00:00:00Z");
    let key = json!({"description": "web"});
    let (made, _) = make(&world.server, "/vault_secrets", &secret);
    let (made_key, _) = make(&world.server, "/api_keys", &key);
    let (file, data, root) =
        (world.path("backup"), world.path("restored"), root_key(&world.server.data).path);
    assert!(backup(&file, &world.server.data).success());
    let later = json!({"name": "later"});
    let (lost, _) = make(&world.server, "/vaults", &later);
    world.server.stop();
    assert!(restore(&file, &data, &root).success());

    let server = start_restored(&data, &root);
    let (again, replayed) = make(&server, "/vault_secrets", &secret);
    assert_eq!((&again["id"], replayed), (&made["id"], true));
    let (again, replayed) = make(&server, "/api_keys", &key);
    assert_eq!((&again["token"], replayed), (&made_key["token"], true));
    let (again, replayed) = make(&server, "/vaults", &later);
    assert!(again["id"] != lost["id"] && !replayed, "{again}");
    let mut client = server.client_with(&token);
    let detail = client.get(&format!("/strongroom/secrets/{}", field(&made, "id"))).expect_status(200).json();
    assert_eq!(detail["expires_at"], "2100-01-01T00:00:00Z");
    assert_chain_holds(&data);
    server.stop();
}

/// Each writer counts up; a backup is one moment, so what it holds of a writer has no gap.
#[test]
fn a_backup_under_load_is_one_moment() {
    const WRITERS: usize = 4;
    let world = World::start();
    let key = root_key(&world.server.data).path;
    let vaults: Vec<Value> =
        (0..WRITERS).map(|n| make_vault(&mut world.server.client(), &format!("w{n}"))).collect();
    let done = AtomicBool::new(false);
    let files: Vec<_> = (0..3).map(|n| world.path(&format!("backup-{n}"))).collect();

    let acknowledged = thread::scope(|scope| {
        let write = |vault| {
            let (server, done) = (&world.server, &done);
            scope.spawn(move || count_up(server, vault, done))
        };
        let threads: Vec<_> = vaults.iter().map(write).collect();
        for file in &files {
            let made = backup(file, &world.server.data);
            assert!(made.success(), "{}", made.stderr);
        }
        done.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    world.server.stop();

    let mut held = Vec::new();
    for file in &files {
        let data = file.with_extension("restored");
        assert!(restore(file, &data, &key).success());
        assert_chain_holds(&data);
        let secrets = without_gaps(&data, &key);
        let created =
            audit_events(&data).iter().filter(|event| event["event_type"] == "secret_created.v0").count();
        assert_eq!(created, secrets, "events and secrets of {}", file.display());
        held.push(secrets);
    }
    assert!(held.is_sorted() && held[2] > 0 && held[2] <= acknowledged, "{held:?} of {acknowledged}");
}

/// Creates `0`, `1`, `2` … until told to stop; how many were acknowledged.
fn count_up(server: &Server, vault: &Value, done: &AtomicBool) -> usize {
    let mut client = server.client();
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        client.post("/vault_secrets", &secret_in(vault, &count.to_string(), "v")).expect_status(201);
        count += 1;
    }
    count
}

/// Starts the folder and counts its secrets; fails where a vault holds a number but not one before it.
fn without_gaps(data: &Path, key: &Path) -> usize {
    let server = start_restored(data, key);
    let token = first_key(&data.parent().unwrap().join("data"));
    let secrets = list_all(&mut server.client_with(&token), "/vault_secrets", "secrets");
    let mut numbers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for secret in &secrets {
        numbers.entry(field(secret, "vault_name")).or_default().push(field(secret, "name").parse().unwrap());
    }
    for (vault, mut found) in numbers {
        found.sort_unstable();
        assert!(found.iter().copied().eq(0..found.len()), "{vault} has gaps: {found:?}");
    }
    server.stop();
    secrets.len()
}

#[test]
fn a_folder_that_is_not_empty_is_refused_untouched() {
    let world = World::start();
    let (file, key) = (world.path("backup"), root_key(&world.server.data).path);
    assert!(backup(&file, &world.server.data).success());
    let data = world.path("occupied");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("note"), "mine").unwrap();
    for occupied in [&data, &world.server.data] {
        let names = || contents(occupied).into_keys().collect::<Vec<_>>();
        let before = names();
        let refused = restore(&file, occupied, &key);
        refused.expect_refusal();
        assert!(
            refused.stderr.contains("empty") && refused.stderr.contains(text(occupied)),
            "{}",
            refused.stderr
        );
        assert_eq!(names(), before);
    }
    world.server.client().get("/vaults").expect_status(200);
    world.server.stop();
}

#[test]
fn a_backup_never_overwrites_a_file() {
    let world = World::start();
    let file = world.path("precious");
    fs::write(&file, "precious").unwrap();
    let refused = backup(&file, &world.server.data);
    refused.expect_refusal();
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(refused.stderr.contains(text(&file)), "{}", refused.stderr);
    world.server.stop();
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let world = World::start();
    let (file, key) = (world.path("backup"), root_key(&world.server.data).path);
    assert!(backup(&file, &world.server.data).success());
    let whole = fs::read(&file).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2..].fill(0xa5);
    for (name, bytes) in [("cut", &whole[..whole.len() / 2]), ("altered", &altered), ("none", b"no backup")] {
        let (broken, data) = (world.path(name), world.path(&format!("{name}-restored")));
        fs::write(&broken, bytes).unwrap();
        restore(&broken, &data, &key).expect_refusal();
        // Nothing is left that would stand in the way of the whole one.
        let restored = restore(&file, &data, &key);
        assert!(restored.success(), "after {name}: {}", restored.stderr);
    }
    world.server.stop();
}
