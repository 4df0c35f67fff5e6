//! Values that are read while they are changed, renamed and moved: never a mixture, never an error of the server's own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Client, Server, assert_chain_holds, field, make_vault, private_folder, secret_in};
use crate::{resolve, resolver};

const READERS: usize = 3;

/// Runs the readers until the writers are done.
fn while_written(write: impl FnOnce(), read: impl Fn(usize) + Sync) -> usize {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let (done, read) = (&done, &read);
                scope.spawn(move || {
                    let mut times = 0;
                    while !done.load(Ordering::Relaxed) {
                        read(reader);
                        times += 1;
                    }
                    times
                })
            })
            .collect();
        // A writer that fails must not leave the readers running.
        let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(write));
        done.store(true, Ordering::Relaxed);
        let times = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        written.unwrap();
        times
    })
}

struct World {
    _data: tempfile::TempDir,
    server: Server,
    admin: Client,
    token: String,
    id: String,
}

/// Vaults `left` and `right`, and in `left` a secret `s0` whose value is `1`.
fn world() -> World {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let left = make_vault(&mut admin, "left");
    make_vault(&mut admin, "right");
    let secret = admin.post("/vault_secrets", &secret_in(&left, "s0", "1")).expect_status(201).json();
    let token = resolver(&mut admin, "*");
    World { _data: data, server, admin, token, id: field(&secret, "id").to_owned() }
}

/// The value tells which version it was written as.
fn assert_whole(secret: &Value) {
    assert_eq!(field(secret, "value"), secret["version"].to_string(), "a mixture: {secret}");
}

#[test]
fn a_value_belongs_to_the_version_that_is_told() {
    const CHANGES: u32 = 300;
    let World { _data, server, mut admin, token, id } = world();
    let path = format!("/vault_secrets/{id}");
    let references = [
        json!([{"id": id}]),
        json!([{"vault": "left", "name": "s0"}, {"id": id}]),
        json!([{"vault": "left"}]),
    ];
    let write = || {
        for version in 2..=CHANGES {
            admin.patch(&path, &json!({"value": version.to_string()})).expect_status(200);
        }
    };
    let times = while_written(write, |reader| {
        let mut client = server.client_with(&token);
        let (mut last, mut tags) = (0, BTreeMap::new());
        for _ in 0..50 {
            let answer = resolve(&mut client, &references[reader]).expect_status(200).json();
            let secrets = answer["secrets"].as_array().unwrap();
            secrets.iter().for_each(assert_whole);
            let version = secrets[0]["version"].as_u64().unwrap();
            assert!(version >= last, "{version} after {last}");
            last = version;
            let read = client.get("/strongroom/values?vault=left&name=s0").expect_status(200);
            let (secret, tag) = (read.json()["secrets"][0].clone(), read.header("etag").unwrap().to_owned());
            assert_whole(&secret);
            let of_tag = tags.entry(tag).or_insert_with(|| secret.clone());
            assert_eq!(*of_tag, secret, "one tag, two values");
        }
    });
    eprintln!("{} answers while it was changed", times * 100);
    assert_chain_holds(&server.data);
    server.stop();
}

/// By its id a secret is always there; by a name that it has for a while, it is there or it is not.
#[test]
fn a_secret_that_is_renamed_and_moved_is_itself() {
    const ROUNDS: usize = 100;
    let World { _data, server, mut admin, token, id } = world();
    let path = format!("/vault_secrets/{id}");
    let write = || {
        for round in 0..ROUNDS {
            let (to, name) = ([("right"), ("left")][round % 2], format!("s{}", round % 3));
            let body = json!({"vault_name": to, "name": name});
            let moved =
                admin.post(&format!("/strongroom/secrets/{id}/move"), &body).expect_status(200).json();
            assert_eq!((field(&moved, "id"), field(&moved, "vault_name")), (id.as_str(), to));
            admin.patch(&path, &json!({"name": format!("s{}", (round + 1) % 3)})).expect_status(200);
        }
    };
    let times = while_written(write, |reader| {
        let mut client = server.client_with(&token);
        for number in 0..30 {
            let (vault, name) = (["left", "right"][number % 2], format!("s{}", number % 3));
            let by_id = resolve(&mut client, &json!([{"id": id}])).expect_status(200).json();
            let mut answers = vec![by_id];
            let reference = match reader {
                0 => json!([{"vault": vault, "name": name}]),
                _ => json!([{"vault": vault}, {"id": id}]),
            };
            let reply = resolve(&mut client, &reference);
            match reply.status {
                200 => answers.push(reply.json()),
                404 if reader == 0 => {}
                _ => panic!("{reference}: {reply}"),
            }
            for secret in answers.iter().flat_map(|answer| answer["secrets"].as_array().unwrap()) {
                assert_eq!((field(secret, "value"), field(secret, "id")), ("1", id.as_str()), "{secret}");
                assert!(["left", "right"].contains(&field(secret, "vault")), "{secret}");
            }
            if let (0, Some(found)) = (reader, answers.get(1)) {
                let secret = &found["secrets"][0];
                assert_eq!((field(secret, "vault"), field(secret, "name")), (vault, name.as_str()));
            }
        }
    });
    eprintln!("{} answers while it was renamed and moved", times * 60);
    assert_chain_holds(&server.data);
    server.stop();
}

/// A vault of another name is another place for those who ask by name, and the same secret for those who ask by id.
#[test]
fn a_vault_that_is_renamed_keeps_its_values() {
    const ROUNDS: usize = 150;
    let World { _data, server, mut admin, token, id } = world();
    let vault = admin.get(&format!("/vault_secrets/{id}")).json()["vault"]["id"].as_str().unwrap().to_owned();
    let path = format!("/vaults/{vault}");
    let write = || {
        for round in 0..ROUNDS {
            let name = ["middle", "left"][round % 2];
            admin.patch(&path, &json!({"name": name})).expect_status(200);
        }
    };
    while_written(write, |_| {
        let mut client = server.client_with(&token);
        for vault in ["left", "middle"].repeat(15) {
            let by_id = resolve(&mut client, &json!([{"id": id}])).expect_status(200).json();
            assert_eq!(by_id["secrets"][0]["value"], "1");
            let reply = resolve(&mut client, &json!([{"vault": vault}]));
            match reply.status {
                200 => {
                    for secret in reply.json()["secrets"].as_array().unwrap() {
                        // The vault is found first and then its secrets: by then it may have its next name.
                        assert!(["left", "middle"].contains(&field(secret, "vault")), "{secret}");
                        assert_eq!(field(secret, "value"), "1");
                    }
                }
                404 => assert_eq!(reply.json()["details"]["missing"], vault),
                _ => panic!("{vault}: {reply}"),
            }
        }
    });
    assert_chain_holds(&server.data);
    server.stop();
}
