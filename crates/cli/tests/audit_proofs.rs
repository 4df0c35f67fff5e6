//! The audit log made checkable from outside: checkpoints, proofs, and exports that need neither store nor server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use harness::process::Ran;
use harness::{Server, make_vault, private_folder, run, text};
use serde_json::Value;
use strongroom_domain::audit::checkpoint::LogPublicKey;
use strongroom_domain::audit::proof::{continues, includes};
use strongroom_domain::{Digest, audit::Head};

/// A folder with a log of some length and what was asked of it.
struct Logged {
    data: tempfile::TempDir,
    out: tempfile::TempDir,
}

impl Logged {
    fn build(vaults: usize) -> Self {
        let logged = Self { data: private_folder(), out: private_folder() };
        logged.grow(vaults);
        logged
    }

    fn grow(&self, vaults: usize) {
        let server = Server::start(self.data.path());
        let before = harness::audit_events(self.data.path()).len();
        for n in 0..vaults {
            make_vault(&mut server.client(), &format!("v{before}-{n}"));
        }
        server.stop();
    }

    fn audit(&self, args: &[&str]) -> Ran {
        run(&[&["audit"], args, &["--data-dir", text(self.data.path())]].concat())
    }

    /// What a command prints, in a file.
    fn kept(&self, name: &str, args: &[&str]) -> PathBuf {
        let ran = self.audit(args);
        assert!(ran.success(), "{args:?}: {}", ran.stderr);
        self.keep(name, &ran.stdout)
    }

    fn keep(&self, name: &str, content: &str) -> PathBuf {
        let path = self.out.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn export(&self, name: &str) -> PathBuf {
        let path = self.out.path().join(name);
        let ran = self.audit(&["export", text(&path)]);
        assert!(ran.success(), "{}", ran.stderr);
        path
    }
}

fn json(ran: &Ran) -> Value {
    assert!(ran.success(), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn digest(hex: &Value) -> Digest {
    let hex = hex.as_str().unwrap();
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    bytes.collect::<Vec<_>>().try_into().unwrap()
}

fn digests(list: &Value) -> Vec<Digest> {
    list.as_array().unwrap().iter().map(digest).collect()
}

fn head(proof: &Value) -> Head {
    Head { sequence: proof["size"].as_u64().unwrap(), root: digest(&proof["root"]) }
}

#[test]
fn proofs_lead_to_signed_checkpoints() {
    let logged = Logged::build(20);
    let key: LogPublicKey = logged.audit(&["key"]).stdout.parse().unwrap();
    let now = key.open(&logged.audit(&["checkpoint"]).stdout).unwrap();
    assert!(now.sequence >= 20);
    for sequence in 1..=now.sequence {
        for size in [sequence, now.sequence] {
            let proof = json(&logged.audit(&["prove", &sequence.to_string(), "--size", &size.to_string()]));
            assert_eq!(key.open(proof["checkpoint"].as_str().unwrap()), Ok(head(&proof)));
            let (hash, hashes) = (digest(&proof["hash"]), digests(&proof["proof"]));
            assert!(includes(sequence - 1, hash, size, &hashes, &head(&proof).root), "{sequence} of {size}");
        }
    }
    for from in [0, 1, 7, 16, now.sequence] {
        let proof = json(&logged.audit(&["prove", "--from", &from.to_string()]));
        assert_eq!(key.open(proof["checkpoint"].as_str().unwrap()), Ok(now));
        let earlier = digest(&proof["from_root"]);
        let hashes = digests(&proof["proof"]);
        assert!(continues((from, &earlier), (now.sequence, &now.root), &hashes), "from {from}");
    }
    let beyond = (now.sequence + 1).to_string();
    for args in [["prove", "0"], ["prove", &beyond]] {
        logged.audit(&args).expect_refusal();
    }
    logged.audit(&["prove", "--from", &beyond]).expect_refusal();
    logged.audit(&["prove", "1", "--size", &beyond]).expect_refusal();
}

/// The same over HTTP, beside the commands on the machine.
#[test]
fn a_server_gives_the_same_proofs() {
    let logged = Logged::build(3);
    let key: LogPublicKey = logged.audit(&["key"]).stdout.parse().unwrap();
    let server = Server::start(logged.data.path());
    let mut client = server.client();
    let answer = client.get("/strongroom/audit/checkpoint").expect_status(200);
    let note = String::from_utf8(answer.body).unwrap();
    assert_eq!(note, logged.audit(&["checkpoint"]).stdout);
    let now = key.open(&note).unwrap();
    let included = client.get("/strongroom/audit/inclusion?sequence=2").expect_status(200).json();
    assert_eq!(included, json(&logged.audit(&["prove", "2"])));
    let continued = client.get("/strongroom/audit/consistency?from=3").expect_status(200).json();
    assert_eq!(continued, json(&logged.audit(&["prove", "--from", "3"])));
    assert_eq!(head(&continued), now);
    server.stop();
}

fn verify(export: &Path, key: &str, checkpoints: &[&Path]) -> Ran {
    let mut args = vec!["audit", "verify", "--export", text(export), "--key", key];
    args.extend(checkpoints.iter().flat_map(|path| ["--checkpoint", text(path)]));
    run(&args)
}

#[test]
fn an_export_is_verified_alone() {
    let logged = Logged::build(20);
    let key = logged.audit(&["key"]).stdout.trim().to_owned();
    let early = logged.kept("early.txt", &["checkpoint"]);
    logged.grow(15);
    let late = logged.kept("late.txt", &["checkpoint"]);
    let export = logged.export("audit.jsonl");
    let whole = fs::read_to_string(&export).unwrap();
    let key_file = logged.keep("key.txt", &key);
    assert!(verify(&export, text(&key_file), &[&early, &late]).success());
    logged.audit(&["export", text(&export)]).expect_refusal();

    let lines: Vec<&str> = whole.lines().collect();
    let event = |number: usize| {
        lines.iter().position(|line| line.starts_with(&format!("{{\"sequence\":{number},"))).unwrap()
    };
    let refused = |change: &dyn Fn(&mut Vec<String>), named: &str| {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut changed);
        let path = logged.keep("changed.jsonl", &(changed.join("\n") + "\n"));
        let ran = verify(&path, &key, &[]);
        ran.expect_refusal();
        assert!(ran.stderr.contains(named), "{named}: {}", ran.stderr);
    };
    // An event told with the bytes of another one.
    let bytes = |number: usize| lines[event(number)].split_once(",\"canonical\"").unwrap().1.to_owned();
    refused(&|l| l[event(9)] = format!("{{\"sequence\":9,\"canonical\"{}", bytes(8)), "record 9 was altered");
    refused(&|l| drop(l.remove(event(9))), "record 9 is missing");
    refused(&|l| l.swap(event(9), event(10)), "record 9 is missing");
    refused(&|l| drop(l.pop()), "the end is missing");
    refused(&|l| drop(l.remove(l.len() - 2)), "the log ends at record");
    refused(&|l| l.push(l[event(9)].clone()), "follows after the end");
    refused(&|l| l[0] = "{}".to_owned(), "no export");
    refused(&|l| l[1] = l[1].replacen("\"hashes\":[[\"", "\"hashes\":[[\"AA", 1), "line 2");

    let useless = logged.audit(&["verify", "--key", &key]);
    assert_eq!(useless.status.code(), Some(2), "a key with nothing to open");
    assert!(useless.stderr.contains("--checkpoint"), "{}", useless.stderr);

    // An earlier export is whole in itself; only the checkpoint that was kept elsewhere tells that it lacks the end.
    let other = Logged::build(1);
    let other_key = other.audit(&["key"]).stdout.trim().to_owned();
    let ran = verify(&export, &other_key, &[]);
    assert!(ran.expect_refusal().stderr.contains("another log's"), "{}", ran.stderr);
    let foreign = other.kept("foreign.txt", &["checkpoint"]);
    verify(&export, &key, &[&foreign]).expect_refusal();
}

/// Going back to an earlier copy of the whole store, which is whole in itself, shows by a later checkpoint alone.
#[test]
fn a_checkpoint_shows_what_the_store_cannot() {
    let logged = Logged::build(2);
    let key = logged.audit(&["key"]).stdout.trim().to_owned();
    let copy = logged.out.path().join("copy.db");
    let database = harness::files::database(logged.data.path());
    fs::copy(&database, &copy).unwrap();
    let early = logged.kept("early.txt", &["checkpoint"]);
    logged.grow(2);
    let late = logged.kept("late.txt", &["checkpoint"]);
    let check =
        |checkpoint: &Path| logged.audit(&["verify", "--checkpoint", text(checkpoint), "--key", &key]);
    assert!(check(&early).success() && check(&late).success());
    fs::copy(&copy, &database).unwrap();
    assert!(check(&early).success(), "it is the log of then");
    let ran = check(&late);
    assert!(ran.expect_refusal().stderr.contains("the checkpoint was made at record"), "{}", ran.stderr);
    assert!(logged.audit(&["verify"]).success(), "alone, the store shows nothing");
    let forged = fs::read_to_string(&late).unwrap().replacen('\n', "\n0", 1);
    logged
        .audit(&["verify", "--checkpoint", text(&logged.keep("forged.txt", &forged)), "--key", &key])
        .expect_refusal();
}

/// The log of a server, for whoever may read it: by page, by filter, and as it grows.
#[test]
fn a_server_lists_its_log() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    for n in 0..130 {
        make_vault(&mut client, &format!("v{n}"));
    }
    let key_file = data.path().join("first-api-key");
    let ask = |args: &[&str]| {
        let remote = ["--url", server.url.as_str(), "--api-key-file", text(&key_file)];
        let ran = run(&[&["audit"], args, &remote].concat());
        assert!(ran.success(), "{args:?}: {}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let numbers =
        |events: &[Value]| events.iter().map(|e| e["sequence"].as_u64().unwrap()).collect::<Vec<_>>();
    let oldest = ask(&["events", "--oldest-first"]);
    assert_eq!(numbers(&oldest), (1..=131).collect::<Vec<_>>());
    // The URLs apart, which hold the server's address.
    let logged = harness::audit_events(data.path());
    let bare = |event: &Value| event.to_string().replace(&server.url, "");
    assert_eq!(oldest.iter().map(bare).collect::<Vec<_>>(), logged.iter().map(bare).collect::<Vec<_>>());
    assert_eq!(numbers(&ask(&["events", "--limit", "105"])), (27..=131).rev().collect::<Vec<_>>());
    let filter = "obj.event_type == \"api_key_created.v0\"";
    assert_eq!(numbers(&ask(&["events", "--filter", filter])), [1]);
    assert_eq!(numbers(&ask(&["tail", "-n", "3"])), [129, 130, 131]);
    assert_eq!(numbers(&ask(&["tail", "--filter", filter])), [1]);

    let token = harness::first_key(data.path());
    let env = [("STRONGROOM_API_KEY", token.as_str())];
    let tail = harness::Process::spawn(&["audit", "tail", "-n", "1", "-f", "--url", &server.url], &env);
    harness::poll("the last event", || tail.stdout().contains("\"sequence\":131").then_some(()));
    make_vault(&mut client, "later");
    harness::poll("the new event", || tail.stdout().contains("\"sequence\":132").then_some(()));
    assert_eq!(tail.stdout().lines().count(), 2);
    drop(tail);
    server.stop();
}
