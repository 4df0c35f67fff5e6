//! `kill -9` under load, again and again: nothing acknowledged is lost, nothing is half done, the chain is whole.
//!
//! `STRONGROOM_CRASHES` sets how often (200), `STRONGROOM_SEED` repeats the moments of an earlier run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod harness;
#[path = "crash/writer.rs"]
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use harness::rng::Rng;
use harness::{Server, assert_chain_holds, audit_events, field, first_key, list_all, private_folder};
use serde_json::Value;
use writer::Writer;

const WRITERS: u64 = 4;

/// After so many crashes a new folder is begun: that keeps each check short and brings the first start into the danger
/// zone as well.
const CRASHES_PER_FOLDER: u64 = 20;

#[expect(clippy::disallowed_methods, reason = "a setting of this test, not of the server")]
fn number_from_env(name: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    std::env::var(name).map_or_else(|_| otherwise(), |text| text.parse().expect("a number"))
}

#[test]
fn crash() {
    let crashes = number_from_env("STRONGROOM_CRASHES", || 200);
    let seed = number_from_env("STRONGROOM_SEED", Rng::fresh_seed);
    eprintln!("{crashes} crashes, STRONGROOM_SEED={seed}");
    let mut rng = Rng::new(seed);
    let (mut done, mut acknowledged) = (0, 0);
    while done < crashes {
        let here = CRASHES_PER_FOLDER.min(crashes - done);
        acknowledged += crash_one_folder(here, &mut rng);
        done += here;
        eprintln!("{done} crashes, {acknowledged} changes acknowledged");
    }
    assert!(acknowledged > crashes, "the load was too small to prove anything");
}

/// Crashes the server of a new folder again and again; the number of changes that were acknowledged before.
fn crash_one_folder(crashes: u64, rng: &mut Rng) -> u64 {
    let data = private_folder();
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, rng.next())).collect();
    for _ in 0..crashes {
        if rng.below(4) == 0 {
            crash_during_start(data.path(), rng);
        } else {
            crash_under_load(data.path(), &mut writers, rng);
        }
    }
    let server = Server::start(data.path());
    check(&server, &mut writers);
    check_events(data.path(), &writers);
    server.stop();
    // Once more without a server, and after its last checkpoint.
    assert_chain_holds(data.path());
    writers.iter().map(|writer| writer.acknowledged).sum()
}

/// Kills it within the time a start takes, so that key, account and migrations are cut off in the middle.
fn crash_during_start(data: &Path, rng: &mut Rng) {
    let process = Server::spawn(data, &[]);
    thread::sleep(Duration::from_micros(rng.below(60_000)));
    process.kill();
}

fn crash_under_load(data: &Path, writers: &mut [Writer], rng: &mut Rng) {
    let server = Server::start(data);
    check(&server, writers);
    let token = first_key(data);
    let (address, delay) = (server.address().to_owned(), Duration::from_micros(rng.below(300_000)));
    thread::scope(|scope| {
        for writer in writers {
            let (address, token) = (&address, &token);
            scope.spawn(move || writer.write_until_the_server_dies(address, token));
        }
        thread::sleep(delay);
        server.process.kill();
    });
}

/// Compares what the server has with what each writer was told.
fn check(server: &Server, writers: &mut [Writer]) {
    let mut client = server.client();
    // Every other one asks again; of the others, what is found without that is looked at.
    writers.iter_mut().step_by(2).for_each(|writer| writer.repeat(&mut client));
    let mut by_vault: HashMap<String, Vec<Value>> = HashMap::new();
    for secret in list_all(&mut client, "/vault_secrets", "secrets") {
        by_vault.entry(field(&secret, "vault_name").to_owned()).or_default().push(secret);
    }
    let mut deleted: HashMap<String, Vec<Value>> = HashMap::new();
    for secret in list_all(&mut client, "/strongroom/deleted", "secrets") {
        deleted.entry(field(&secret, "vault_name").to_owned()).or_default().push(secret);
    }
    let vaults = list_all(&mut client, "/vaults", "vaults");
    for writer in writers {
        let vault = vaults.iter().find(|vault| field(vault, "name") == writer.vault_name);
        let found = by_vault.remove(&writer.vault_name).unwrap_or_default();
        writer.settle(vault, found, deleted.remove(&writer.vault_name).unwrap_or_default());
        writer.check_versions(&mut client);
    }
    assert!(by_vault.is_empty(), "secrets that nobody wrote: {by_vault:?}");
    assert_chain_holds(&server.data);
}

/// Every change that exists has its event, every event its change, and the last event of a secret is its state.
fn check_events(data: &Path, writers: &[Writer]) {
    let mut expected: HashMap<&str, &Vec<&'static str>> = HashMap::new();
    for writer in writers {
        expected.extend(writer.history.iter().map(|(id, changes)| (id.as_str(), changes)));
    }
    let mut logged: HashMap<String, Vec<String>> = HashMap::new();
    let mut last_object: HashMap<String, Value> = HashMap::new();
    for event in audit_events(data) {
        let event_type = field(&event, "event_type");
        if event_type.starts_with("secret_") {
            let id = field(&event["object"], "id").to_owned();
            logged.entry(id.clone()).or_default().push(event_type.to_owned());
            last_object.insert(id, event["object"].clone());
        }
    }
    assert_eq!(logged.len(), expected.len(), "secrets in the log and secrets written");
    for (id, changes) in expected {
        assert_eq!(
            logged.get(id).map(|types| types.iter().map(String::as_str).collect()).as_ref(),
            Some(changes),
            "{id}"
        );
    }
    for (id, mark) in writers.iter().flat_map(Writer::marks) {
        assert_eq!(writer::mark_of(&last_object[id]), *mark, "the last event of {id} is not its state");
    }
}
