//! An audit log that is kept for a time: old events go, and what is left is as checkable as before.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::files::root_key;
use harness::process::{BINARY, Process, Ran};
use harness::{
    Server, assert_chain_holds, audit_events, list_all, make_vault, poll, private_folder, run, text,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What has a server keep events for no longer than it must.
const SHORT: [&str; 2] = ["--keep-audit-for", "1s"];

struct Logged {
    data: TempDir,
    out: TempDir,
}

impl Logged {
    /// A log of so many events.
    fn build(events: usize) -> Self {
        let logged = Self { data: private_folder(), out: private_folder() };
        logged.grow(events);
        logged
    }

    /// Lets it grow to so many events.
    fn grow(&self, events: usize) {
        let server = Server::start(self.data());
        let mut client = server.client();
        for number in audit_events(self.data()).len()..events {
            make_vault(&mut client, &format!("v{number}"));
        }
        server.stop();
    }

    fn data(&self) -> &Path {
        self.data.path()
    }

    fn audit(&self, args: &[&str]) -> Ran {
        run(&[&["audit"], args, &["--data-dir", text(self.data())]].concat())
    }

    /// What a command prints, in a file.
    fn kept(&self, name: &str, args: &[&str]) -> PathBuf {
        let ran = self.audit(args);
        assert!(ran.success(), "{args:?}: {}", ran.stderr);
        let path = self.out.path().join(name);
        fs::write(&path, ran.stdout).unwrap();
        path
    }

    /// Waits until every event is too old to be kept.
    fn age(&self) {
        let last = audit_events(self.data()).pop().unwrap();
        let at: Timestamp = last["event_timestamp"].as_str().unwrap().parse().unwrap();
        let old = at + SignedDuration::from_secs(2);
        poll("the events get old", || (now() > old).then_some(()));
    }

    fn first(&self) -> u64 {
        audit_events(self.data())[0]["sequence"].as_u64().unwrap()
    }

    /// Has a server prune it, until it starts with that event.
    fn prune(&self, first: u64, more: &[&str]) -> Server {
        self.age();
        let server = Server::start_with(self.data(), &[&SHORT[..], more].concat());
        poll("the log is pruned", || (self.first() == first).then_some(()));
        server
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no clock of its own")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn json(ran: &Ran) -> Value {
    assert!(ran.success(), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn what_is_left_of_a_log_is_whole_in_every_way() {
    let logged = Logged::build(1);
    let earliest = logged.kept("earliest.txt", &["checkpoint"]);
    logged.grow(41);
    let early = logged.kept("early.txt", &["checkpoint"]);
    let key = logged.audit(&["key"]).stdout.trim().to_owned();
    let before = audit_events(logged.data());
    let server = logged.prune(33, &[]);
    let mut client = server.client();
    let listed = list_all(&mut client, "/strongroom/audit_events?order=oldest&limit=5", "audit_events");
    assert_eq!(listed.len(), 10);
    assert_eq!((&listed[0]["sequence"], &listed[0]["hash"]), (&json!(33), &before[32]["hash"]));
    let told = listed.last().unwrap();
    assert_eq!((&told["event_type"], &told["sequence"]), (&json!("audit_log_pruned.v0"), &json!(42)));
    assert_eq!(
        (&told["object"]["pruned_upto"], &told["principal"]["source"]),
        (&json!(32), &json!("SERVER"))
    );
    server.stop();

    let verified = logged.audit(&["verify"]);
    assert!(
        verified.stdout.starts_with("42 audit events, of which the first 32 are pruned, the log is whole")
    );
    let doctor = run(&["doctor", "--data-dir", text(logged.data())]);
    assert!(
        doctor.stdout.contains("whole: 42 audit events, of which the first 32 are pruned"),
        "{}",
        doctor.stdout
    );
    for checkpoint in [&earliest, &early] {
        let verified = logged.audit(&["verify", "--checkpoint", text(checkpoint), "--key", &key]);
        assert!(verified.success(), "{}", verified.stderr);
    }
    let proof = json(&logged.audit(&["prove", "5"]));
    assert_eq!(proof["hash"], before[4]["hash"], "of an event that is pruned");
    assert_eq!(json(&logged.audit(&["prove", "--from", "32"]))["from_root"], told["object"]["root"]);

    exports_are_verified_alone(&logged, &key, &earliest, &early);
    let (file, data) = (logged.out.path().join("backup.db"), logged.out.path().join("restored"));
    assert!(run(&["backup", text(&file), "--data-dir", text(logged.data())]).success());
    let key_file = root_key(logged.data()).path;
    let place = ["--data-dir", text(&data), "--root-key-file", text(&key_file)];
    assert!(run(&[&["restore", text(&file)], &place[..]].concat()).success());
    assert_chain_holds(&data);
    assert_eq!(audit_events(&data), audit_events(logged.data()));
}

fn exports_are_verified_alone(logged: &Logged, key: &str, earliest: &Path, early: &Path) {
    let export = logged.out.path().join("audit.jsonl");
    let told = logged.audit(&["export", text(&export)]);
    assert!(told.stdout.starts_with("10 audit events"), "{}{}", told.stdout, told.stderr);
    let verify = |export: &Path, more: &[&str]| {
        run(&[&["audit", "verify", "--export", text(export), "--key", key], more].concat())
    };
    let verified = verify(&export, &["--checkpoint", text(early)]);
    assert!(verified.stdout.contains("of which the first 32 are pruned"), "{}", verified.stderr);
    let refused = verify(&export, &["--checkpoint", text(earliest)]);
    assert!(refused.expect_refusal().stderr.contains("before the first event of the export, which is 33"));

    let whole = fs::read_to_string(&export).unwrap();
    let edge = whole.split_once("\"edge\":\"").unwrap().1.split_once('"').unwrap().0;
    let other = if edge.starts_with('A') { "B" } else { "A" };
    let upto = "\"upto\":32,";
    for (what, changed, named) in [
        ("another edge", whole.replacen(edge, &(other.to_owned() + &edge[1..]), 1), ""),
        ("another start", whole.replacen(upto, "\"upto\":16,", 1), "no export"),
        ("no edge", whole.replacen(edge, "", 1), "no export"),
        ("no event that tells of it", without_last_event(&whole), "the log ends at record"),
    ] {
        let path = logged.out.path().join("changed.jsonl");
        fs::write(&path, &changed).unwrap();
        assert_ne!(changed, whole, "{what}");
        let refused = verify(&path, &[]);
        assert!(refused.expect_refusal().stderr.contains(named), "{what}: {}", refused.stderr);
    }
}

fn without_last_event(export: &str) -> String {
    let mut lines: Vec<&str> = export.lines().collect();
    lines.remove(lines.len() - 2);
    lines.join("\n") + "\n"
}

/// What goes is behind the last checkpoint in the second place, never at it.
#[test]
fn pruning_ends_before_the_last_checkpoint() {
    let logged = Logged::build(32);
    let place = logged.out.path().join("checkpoint.txt");
    let flags = ["--audit-checkpoint-to", text(&place), "--audit-checkpoint-every", "1h"];
    logged.prune(17, &flags).stop();
    // The log leads on from the one that was written at the end.
    Server::start_with(logged.data(), &flags).stop();
    logged.prune(33, &[]).stop();
    Server::start_with(logged.data(), &flags).stop();
    assert_chain_holds(logged.data());
}

/// A step is there with the event that tells of it, or not at all.
#[test]
fn a_crash_while_pruning_leaves_a_whole_log() {
    let logged = Logged::build(100);
    logged.age();
    for round in 0..12 {
        let server = Server::start_with(logged.data(), &SHORT);
        // At another moment each time, also before there is anything to see.
        for _ in 0..round {
            server.client().get("/healthz").expect_status(200);
        }
        server.process.kill();
        assert_chain_holds(logged.data());
        let pruned = logged.first() - 1;
        let last = audit_events(logged.data()).pop().unwrap();
        assert_eq!(last["event_type"] == "audit_log_pruned.v0", pruned > 0, "{last}");
        assert!(pruned == 0 || last["object"]["pruned_upto"] == pruned, "{pruned}: {last}");
    }
    logged.prune(97, &[]).stop();
}

/// There is no room for what pruning writes: the log stays as it is, reading goes on, and the next sweep goes on.
#[test]
fn a_full_disk_while_pruning_loses_nothing() {
    let logged = Logged::build(1);
    let server = Server::start(logged.data());
    let mut client = server.client();
    for number in 0..47 {
        let body = json!({"name": format!("large-{number}"), "metadata": "m".repeat(4000)});
        client.post("/vaults", &body).expect_status(201);
    }
    server.stop();
    logged.age();
    let before = audit_events(logged.data());

    // No file may grow beyond forty kilobytes, the store's log among them.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 80; exec \"$0\" \"$@\"", BINARY]);
    let serve = ["serve", "--data-dir", text(logged.data()), "--listen", "127.0.0.1:0"];
    let process = Process::spawn_by(shell, &[&serve[..], &SHORT].concat(), &[]);
    let server = Server::wait_until_ready(logged.data(), process);
    poll("the sweep fails", || server.process.stderr().contains("a sweep failed").then_some(()));
    assert_eq!(audit_events(logged.data()), before);
    assert_chain_holds(logged.data());
    let listed = list_all(&mut server.client(), "/strongroom/audit_events?order=oldest", "audit_events");
    assert_eq!(listed.len(), before.len());
    server.process.kill();

    logged.prune(49, &[]).stop();
    assert_chain_holds(logged.data());
}
