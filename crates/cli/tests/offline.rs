//! `--offline`: values from the sealed cache when the server cannot be reached, and only then.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
mod prod;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{Server, files, poll};
use person::{Done, Person};
use prod::Prod;

const VALUE: &str = "canary-of-the-cache";
const SHOW: [&str; 4] = ["--", "sh", "-c", "echo $DB_PASSWORD"];

fn filled() -> Prod {
    let prod = Prod::with(&[("db-password", VALUE)]);
    let done = offline(&prod, &[]);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("canary-of-the-cache\n", ""), "{done:?}");
    prod
}

fn offline(prod: &Prod, args: &[&str]) -> Done {
    prod.run(&[&["--vault", "prod", "--offline"], args, &SHOW].concat())
}

fn cache(person: &Person) -> PathBuf {
    person.home().join(".cache/strongroom")
}

fn only_file(person: &Person) -> PathBuf {
    let mut found: Vec<PathBuf> = files::contents(&cache(person)).into_keys().collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_stopped_server_is_replaced_by_the_cache_within_a_second_or_so() {
    let prod = filled();
    let (server, reader) = (prod.server, prod.reader);
    let run =
        |person: &Person, args: &[&str]| person.run(&[&["run", "--vault", "prod"], args, &SHOW].concat());
    let file = only_file(&reader);
    assert_eq!((files::mode(&cache(&reader)), files::mode(&file)), (0o700, 0o600));
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()));
    let stranger = Person::admin(&server).granted(&server, &["resolve prod:*"]);
    let address = server.address().to_owned();
    server.stop();

    let start = Instant::now();
    let done = run(&reader, &["--offline"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "canary-of-the-cache\n"), "{done:?}");
    assert!(done.stderr.starts_with("strongroom: server not reachable; using values cached "), "{done:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(run(&reader, &["--offline", "--redact"]).stdout, "[redacted]\n");

    // A server that takes connections and never answers.
    let silent = TcpListener::bind(&address).unwrap();
    let start = Instant::now();
    assert_eq!(run(&reader, &["--offline"]).stdout, "canary-of-the-cache\n");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(silent);

    for (person, args) in [
        // Not asked for; another question; another key.
        (&reader, &[][..]),
        (&reader, &["--offline", "--only", "db-password"]),
        (&stranger, &["--offline"]),
    ] {
        let done = run(person, args);
        assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{args:?}: {done:?}");
        assert!(!done.stderr.contains(VALUE), "{done:?}");
    }
    assert!(!cache(&stranger).exists());
}

#[test]
fn without_the_flag_there_is_no_cache() {
    let prod = Prod::with(&[("db-password", VALUE)]);
    assert_eq!(prod.run(&[&["--vault", "prod"][..], &SHOW].concat()).code, 0);
    assert!(!cache(&prod.reader).exists());
    prod.server.stop();
}

#[test]
fn a_cache_past_its_age_is_refused_with_both_ages() {
    let prod = filled();
    let (server, reader) = (prod.server, prod.reader);
    server.stop();
    let args = [&["run", "--vault", "prod", "--offline", "--max-age", "1s"][..], &SHOW].concat();
    let done = poll("the cache is too old", || Some(reader.run(&args)).filter(|done| done.code != 0));
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{done:?}");
    assert!(done.stderr.contains("2s old") && done.stderr.contains("--max-age allows 1s"), "{done:?}");
}

#[test]
fn an_altered_cache_is_told_and_not_used() {
    let prod = filled();
    let (server, reader) = (prod.server, prod.reader);
    server.stop();
    let file = only_file(&reader);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let done = reader.run(&[&["run", "--vault", "prod", "--offline"][..], &SHOW].concat());
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{done:?}");
    assert!(done.stderr.contains("the cache is not used") && done.stderr.contains("altered"), "{done:?}");
}

#[test]
fn a_server_that_says_no_is_believed_and_ends_the_cache() {
    // What is taken away: the key, or the secrets with their vault.
    for (code, delete_key) in [(4, true), (3, false)] {
        let mut prod = filled();
        only_file(&prod.reader);
        if delete_key {
            let token = prod.reader.command(&[]);
            let token = token.get_envs().find(|(name, _)| *name == "STRONGROOM_API_KEY").unwrap().1.unwrap();
            let id = format!("ak_{}", token.to_str().unwrap().split_once('_').unwrap().0);
            prod.client.delete(&format!("/api_keys/{id}")).expect_status(204);
        } else {
            let secrets = prod.client.get("/vault_secrets").json();
            let id = secrets["secrets"][0]["id"].as_str().unwrap().to_owned();
            prod.client.delete(&format!("/vault_secrets/{id}")).expect_status(204);
            let vaults = prod.client.get("/vaults").json();
            let id = vaults["vaults"][0]["id"].as_str().unwrap().to_owned();
            prod.client.delete(&format!("/vaults/{id}")).expect_status(204);
        }
        // A change counts within a second.
        let done = poll("the server refuses", || Some(offline(&prod, &[])).filter(|done| done.code != 0));
        assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{done:?}");
        assert!(files::contents(&cache(&prod.reader)).is_empty());
        stopped_and_refused(prod.server, &prod.reader);
    }
}

fn stopped_and_refused(server: Server, reader: &Person) {
    server.stop();
    let done = reader.run(&[&["run", "--vault", "prod", "--offline"][..], &SHOW].concat());
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{done:?}");
}
