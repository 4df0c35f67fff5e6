//! Rotations of keys in the real binary: what the commands print; `kill -9`, a full disk and readers in the middle of them; and
//! many vaults (`STRONGROOM_ROTATION_VAULTS`, 1000).
//!
//! `STRONGROOM_ROTATION_CRASHES` sets how often it is killed (25), `STRONGROOM_SEED` repeats the moments of an earlier run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod harness;
#[path = "rotation/load.rs"]
mod load;
mod person;

use std::fmt::Write as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use harness::process::{BINARY, Process};
use harness::rng::Rng;
use harness::{
    Server, assert_chain_holds, audit_events, field, first_key, list_all, poll, private_folder, run, text,
};
use load::{Values, key_of, start_rotation};
use person::Person;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

#[expect(clippy::disallowed_methods, reason = "a setting of this test, not of the server")]
fn number_from_env(name: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    std::env::var(name).map_or_else(|_| otherwise(), |text| text.parse().expect("a number"))
}

#[test]
fn the_commands_rotate_and_tell() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let (admin, mut client) = (Person::admin(&server), server.client());
    let values = Values::make(&mut client, 2, 6);
    let before = admin.json(&["key", "list", "--output", "json"]);
    let table = admin.does(&["key", "list"]);
    assert!(table.contains("KEY ") && table.contains("v0") && table.contains("18 values"), "{table}");

    let told = admin.does(&["key", "rotate", "vault", "v0"]);
    assert!(told.starts_with("v0: done, 18 values under the new key "), "{told}");
    assert!(told.ends_with("; the old key is destroyed\n"), "{told}");
    let told = admin.does(&["key", "rotate", "data", "--all"]);
    assert_eq!(told.matches(": done, 18 values, none of them under a data key of before\n").count(), 2);
    let begun = admin.json(&["key", "rotate", "vault", "--all", "--no-wait", "--output", "json"]);
    assert_eq!(begun.as_array().unwrap().len(), 2, "{begun}");
    poll("all are done", || {
        let keys = list_all(&mut client, "/strongroom/keys", "keys");
        keys.iter().all(|key| key["rotation"].is_null()).then_some(())
    });
    let after = admin.json(&["key", "list", "--output", "json"]);
    assert_eq!(after["root_key"]["id"], before["root_key"]["id"]);
    for (old, new) in before["keys"].as_array().unwrap().iter().zip(after["keys"].as_array().unwrap()) {
        assert_eq!(old["vault"], new["vault"]);
        assert_ne!(old["id"], new["id"]);
    }
    values.assert_all_resolve(&server);

    admin.fails(2, &["key", "rotate", "vault"]);
    admin.fails(3, &["key", "rotate", "vault", "none"]);
    let told = admin.granted(&server, &["read *:*", "manage *:*"]).fails(4, &["key", "list"]);
    assert!(told.contains("ERR_STRONGROOM_1070"), "{told}");
    let metrics = String::from_utf8(client.get("/metrics").expect_status(200).body).unwrap();
    for line in ["strongroom_key_rotations 0\n", "strongroom_key_rotation_values_total 90\n"] {
        assert!(metrics.contains(line), "{line:?} in {metrics}");
    }
    let data = server.data.clone();
    server.stop();
    let kinds: Vec<_> =
        audit_events(&data).iter().map(|event| field(event, "event_type").to_owned()).collect();
    let count = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
    assert_eq!((count("vault_key_rotation_started.v0"), count("vault_key_rotated.v0")), (3, 3));
    assert_eq!((count("data_keys_rotation_started.v0"), count("data_keys_rotated.v0")), (2, 2));
    assert_chain_holds(&data);
    let doctor = run(&["doctor", "--data-dir", text(&data)]);
    assert!(!doctor.stdout.contains("does not open"), "{}", doctor.stdout);
}

/// Whatever moment it is killed in, with readers and writers: every value resolves, and at the end no old key is left.
#[test]
fn killed_at_any_moment() {
    let crashes = number_from_env("STRONGROOM_ROTATION_CRASHES", || 25);
    let seed = number_from_env("STRONGROOM_SEED", Rng::fresh_seed);
    eprintln!("{crashes} crashes, STRONGROOM_SEED={seed}");
    let mut rng = Rng::new(seed);
    let folder = private_folder();
    let server = Server::start(folder.path());
    let mut values = Values::make(&mut server.client(), 3, 40);
    let mut seen_keys = vec![values.keys(&mut server.client())];
    server.stop();
    let mut resumed = 0;
    for _ in 0..crashes {
        let server = Server::start(folder.path());
        let mut client = server.client();
        let under_way = list_all(&mut client, "/strongroom/keys", "keys");
        resumed += under_way.iter().filter(|key| !key["rotation"].is_null()).count();
        for vault in 0..3 {
            start_rotation(
                &mut client,
                values.vault(vault),
                if rng.below(2) == 0 { "vault" } else { "data" },
            );
        }
        let delay = Duration::from_micros(rng.below(120_000));
        values.while_read_and_written(&server, || {
            thread::sleep(delay);
            server.process.signal(rustix::process::Signal::KILL);
        });
        server.process.kill();
    }
    let server = Server::start(folder.path());
    let mut client = server.client();
    values.settle(&mut client);
    poll("every rotation goes on to its end", || {
        let keys = list_all(&mut client, "/strongroom/keys", "keys");
        keys.iter().all(|key| key["rotation"].is_null()).then_some(())
    });
    // Once more, so that each vault has a key that it did not begin with.
    for vault in 0..3 {
        start_rotation(&mut client, values.vault(vault), "vault");
        poll("it is done", || key_of(&mut client, values.vault(vault))["rotation"].is_null().then_some(()));
    }
    seen_keys.push(values.keys(&mut client));
    assert!(seen_keys[0].iter().zip(&seen_keys[1]).all(|(first, last)| first != last));
    values.assert_all_resolve(&server);
    assert_chain_holds(&server.data);
    server.stop();
    load::assert_no_old_key(folder.path());
    eprintln!("{resumed} rotations were gone on with after a crash");
    assert!(crashes < 20 || resumed > 0, "none was killed in the middle: the test shows nothing");
}

/// What the root key is called.
fn root_key_id(server: &Server) -> String {
    let page = server.client().get("/strongroom/keys?limit=1").expect_status(200).json();
    page["root_key"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_root_key_is_rotated_and_the_old_one_is_gone() {
    let folder = private_folder();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let values = Values::make(&mut server.client(), 2, 5);
    let admin = Person::admin(&server);
    let file = std::fs::read_to_string(data.join("root.key")).unwrap();
    let old = root_key_id(&server);
    let backup = folder.path().join("backup.db");
    assert!(run(&["backup", text(&backup), "--data-dir", text(&data)]).success());
    let sealed_to_slots = load::sealed_root_keys(&data);
    assert_eq!(sealed_to_slots.len(), 1);

    let refused = admin.fails(2, &["key", "rotate", "root"]);
    assert!(refused.contains("--yes"), "{refused}");
    assert_eq!(root_key_id(&server), old);
    let told = admin.does(&["key", "rotate", "root", "--yes"]);
    let new = root_key_id(&server);
    assert_ne!(new, old);
    assert!(told.starts_with(&format!("The root key is now {new}, ")), "{told}");
    assert!(told.contains(&format!("the old key {old}, which is destroyed")), "{told}");
    values.assert_all_resolve(&server);
    server.stop();

    assert_eq!(std::fs::read_to_string(data.join("root.key")).unwrap(), file, "the key file stays as it was");
    for entry in std::fs::read_dir(&data).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for old in &sealed_to_slots {
            assert!(!bytes.windows(old.len()).any(|window| window == old), "the old root key is still there");
        }
    }
    let server = Server::start(&data);
    values.assert_all_resolve(&server);
    server.stop();
    let doctor = run(&["doctor", "--data-dir", text(&data)]);
    assert!(doctor.stdout.contains("opens the store's keys"), "{}", doctor.stdout);
    // A backup of before holds the old key, and the same file opens it.
    let restored = folder.path().join("restored");
    let key_file = data.join("root.key");
    let args = ["restore", text(&backup), "--data-dir", text(&restored), "--root-key-file", text(&key_file)];
    let told = run(&args);
    assert!(told.stdout.contains("opens it: start it"), "{}{}", told.stdout, told.stderr);
    std::fs::copy(data.join("first-api-key"), restored.join("first-api-key")).unwrap();
    let server = Server::start_with(&restored, &["--root-key-file", text(&key_file)]);
    assert_eq!(root_key_id(&server), old);
    values.assert_all_resolve(&server);
    server.stop();
}

/// A root key's rotation that is killed at any moment, with readers and writers: the same key file opens what is there.
#[test]
fn killed_while_the_root_key_is_rotated() {
    let crashes = number_from_env("STRONGROOM_ROTATION_CRASHES", || 25);
    let seed = number_from_env("STRONGROOM_SEED", Rng::fresh_seed);
    eprintln!("{crashes} crashes, STRONGROOM_SEED={seed}");
    let mut rng = Rng::new(seed);
    let folder = private_folder();
    let server = Server::start(folder.path());
    let mut values = Values::make(&mut server.client(), 60, 1);
    Person::admin(&server).does(&["key", "slot", "add", "recovery"]);
    server.stop();
    let mut rotated = 0;
    for _ in 0..crashes {
        let server = Server::start(folder.path());
        let before = root_key_id(&server);
        let (mut client, delay) = (server.client(), Duration::from_micros(rng.below(150_000)));
        values.while_read_and_written(&server, || {
            thread::scope(|scope| {
                // It is killed before it answers, as a rule.
                scope.spawn(|| client.try_call("POST", "/strongroom/root_key/rotate", None));
                thread::sleep(delay);
                server.process.signal(rustix::process::Signal::KILL);
            });
        });
        server.process.kill();
        let server = Server::start(folder.path());
        rotated += usize::from(root_key_id(&server) != before);
        server.stop();
    }
    let server = Server::start(folder.path());
    values.settle(&mut server.client());
    values.assert_all_resolve(&server);
    let last = root_key_id(&server);
    Person::admin(&server).does(&["key", "rotate", "root", "--yes"]);
    assert_ne!(root_key_id(&server), last);
    values.assert_all_resolve(&server);
    assert_chain_holds(&server.data);
    server.stop();
    eprintln!("the root key was another one after {rotated} of {crashes} crashes");
}

/// A disk that is full in the middle: the store as it was, a line in the log, and the end once there is room.
#[test]
fn a_disk_that_is_full_in_the_middle() {
    let folder = private_folder();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let values = Values::make(&mut server.client(), 1, 400);
    server.stop();
    // A file that may not grow is told by a signal too, which ends a process that does not expect it.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", BINARY]);
    let args = ["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0"];
    let server = Server::wait_until_ready(&data, Process::spawn_by(shell, &args, &[]));
    let mut client = server.client();
    let limit = |bytes| {
        let pid = Pid::from_raw(i32::try_from(server.process.id()).unwrap()).unwrap();
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    // The log begins anew with a start: there is room for the beginning, and not for all.
    limit(Some(256 << 10));
    start_rotation(&mut client, values.vault(0), "data");
    let told = poll("it fails", || {
        Some(key_of(&mut client, values.vault(0))).filter(|key| key["rotation"]["failing"] == true)
    });
    assert!(told["rotation"]["left"].as_u64().unwrap() > 0, "{told}");
    poll("the log tells of it", || {
        server
            .process
            .stderr()
            .contains("a rotation of keys failed, and no value is lost by that")
            .then_some(())
    });
    let waiting = Person::admin(&server).fails(7, &["key", "rotate", "vault", "v0"]);
    assert!(waiting.contains("ERR_STRONGROOM_1071"), "{waiting}");
    limit(None);
    values.assert_all_resolve(&server);
    server.stop();
    // It is gone on with at the start.
    let server = Server::start(&data);
    let mut client = server.client();
    poll("it is done", || key_of(&mut client, values.vault(0))["rotation"].is_null().then_some(()));
    values.assert_all_resolve(&server);
    assert_chain_holds(&data);
    server.stop();
}

/// Prints how long it takes, and what readers notice; only absurd figures fail.
#[test]
fn many_vaults() {
    let vaults = number_from_env("STRONGROOM_ROTATION_VAULTS", || 1000);
    let folder = private_folder();
    let data = folder.path().join("data");
    Server::start(&data).stop();
    let mut lines = String::new();
    for number in 0..vaults {
        let _ = writeln!(lines, "{}", json!({"type": "vault", "name": format!("v{number}")}));
        let secret = json!({"type": "secret", "vault_name": format!("v{number}"), "name": "s", "value": "v"});
        let _ = writeln!(lines, "{secret}");
    }
    let file = folder.path().join("lines");
    std::fs::write(&file, lines).unwrap();
    let seeded = Process::spawn(&["seed", text(&file), "--data-dir", text(&data)], &[]).wait();
    assert!(seeded.success(), "{}", seeded.stderr);
    let server = Server::start(&data);
    let token = first_key(&data);
    let quiet = load::p99(server.address(), &token, || thread::sleep(Duration::from_secs(1)));
    let begun = Instant::now();
    let loaded = load::p99(server.address(), &token, || {
        let ids: Vec<Value> = list_all(&mut server.client(), "/vaults", "vaults");
        let threads = ids.chunks(ids.len().div_ceil(16)).map(<[Value]>::to_vec);
        thread::scope(|scope| {
            for ids in threads {
                let mut client = server.client();
                scope.spawn(move || {
                    ids.iter().for_each(|id| start_rotation(&mut client, field(id, "id"), "vault"))
                });
            }
        });
        let mut client = server.client();
        let start = Instant::now();
        loop {
            let metrics = String::from_utf8(client.get("/metrics").body).unwrap();
            if metrics.contains("strongroom_key_rotations 0\n") {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(600), "it does not end");
            thread::sleep(Duration::from_millis(20));
        }
    });
    let took = begun.elapsed();
    eprintln!("{vaults} vault keys in {took:?}; p99 of reads {quiet:?} before, {loaded:?} meanwhile");
    assert!(loaded < Duration::from_secs(2), "readers wait: {loaded:?}");
    let begun = Instant::now();
    let loaded = load::p99(server.address(), &token, || {
        server.client().post("/strongroom/root_key/rotate", &json!({})).expect_status(200);
    });
    eprintln!(
        "the root key over {vaults} vaults in {:?}; p99 of reads {loaded:?} meanwhile",
        begun.elapsed()
    );
    assert!(loaded < Duration::from_secs(2), "readers wait: {loaded:?}");
    server.stop();
    load::assert_no_old_key(&data);
}
