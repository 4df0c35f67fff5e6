//! Key slots, a server that is sealed, and what unseals it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
#[path = "terminal/pty.rs"]
mod pty;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{
    Process, Server, assert_chain_holds, audit_events, first_key, poll, private_folder, run, text,
};
use person::Person;
use pty::Session;
use serde_json::{Value, json};

const PASSPHRASE: &str = "canary correct horse battery";

/// A server with a value, and the admin.
fn furnished(data: &Path) -> (Server, Person) {
    let server = Server::start(data);
    let admin = Person::admin(&server);
    admin.feed(&["secret", "set", "prod:db", "--create-vault"], b"canary-value");
    (server, admin)
}

fn names(admin: &Person) -> Vec<String> {
    let slots = admin.json(&["key", "slot", "list", "--output", "json"]);
    let slots = slots.as_array().unwrap();
    let mut names: Vec<String> = slots.iter().map(|slot| slot["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// What unseals a server, for those who come without a key.
fn stranger(server: &Server) -> Person {
    Person::stranger().set("STRONGROOM_URL", &server.url)
}

fn resolves(server: &Server) -> bool {
    let reader = Person::admin(server).granted(server, &["resolve *:*"]);
    reader.does(&["secret", "get", "prod:db"]) == "canary-value"
}

/// All that a sealed server may not answer: none of its routes but those that tell of it.
fn assert_sealed(server: &Server) {
    let mut client = server.client();
    for target in ["/", "/vaults", "/strongroom/keys", "/strongroom/key_slots", "/metrics", "/api_keys"] {
        let answer = client.get(target).expect_status(503);
        assert_eq!(answer.json()["error_code"], "ERR_STRONGROOM_1090", "{target}");
    }
    client.post("/strongroom/resolve", &json!({"secrets": []})).expect_status(503);
    client.get("/healthz").expect_status(200);
    client.get("/readyz").expect_status(503);
    let refused = Person::admin(server).fails(5, &["vault", "list"]);
    assert!(refused.contains("strongroom unseal"), "{refused}");
}

/// Takes the file away that opens the store by itself.
fn without_file(admin: &Person, data: &Path) {
    admin.does(&["key", "slot", "remove", "file", "--yes"]);
    fs::remove_file(data.join("root.key")).unwrap();
}

#[test]
fn slots_are_added_listed_tried_and_removed() {
    let folder = private_folder();
    let (server, admin) = furnished(folder.path());
    assert_eq!(names(&admin), ["file"]);
    let last = admin.fails(7, &["key", "slot", "remove", "file", "--yes"]);
    assert!(last.contains("ERR_STRONGROOM_1091"), "{last}");
    let words = admin.json(&["key", "slot", "add", "recovery", "--output", "json"]);
    let words = admin.file("words", words["words"].as_str().unwrap().as_bytes());
    let passphrase = admin.file("passphrase", format!("{PASSPHRASE}\n").as_bytes());
    admin.does(&["key", "slot", "add", "passphrase", "--name", "ops", "--passphrase-file", &passphrase]);
    let taken = admin.fails(7, &["key", "slot", "add", "recovery"]);
    assert!(taken.contains("name"), "{taken}");
    assert_eq!(names(&admin), ["file", "ops", "recovery"]);
    for (slot, from) in [("recovery", &words), ("ops", &passphrase)] {
        let told = admin.does(&["key", "slot", "test", slot, "--from", from]);
        assert!(told.contains("opens the root key"), "{told}");
    }
    let wrong = admin.file("wrong", b"another passphrase altogether");
    let refused = admin.fails(4, &["key", "slot", "test", "ops", "--from", &wrong]);
    assert!(refused.contains("does not open with that") && !refused.contains("altogether"), "{refused}");
    // Whatever the root key is, each of them opens it.
    admin.does(&["key", "rotate", "root", "--yes"]);
    for (slot, from) in [("recovery", &words), ("ops", &passphrase)] {
        admin.does(&["key", "slot", "test", slot, "--from", from]);
    }
    admin.does(&["key", "slot", "remove", "recovery", "--yes", "--rotate-root"]);
    assert_eq!(names(&admin), ["file", "ops"]);
    let kinds: Vec<Value> =
        audit_events(&server.data).into_iter().map(|event| event["event_type"].clone()).collect();
    for (kind, count) in [("key_slot_created.v0", 2), ("key_slot_deleted.v0", 1), ("root_key_rotated.v0", 2)]
    {
        assert_eq!(kinds.iter().filter(|found| **found == kind).count(), count, "{kind}");
    }
    server.stop();
    // What opened nothing any more is not in the store either.
    let server = Server::start(folder.path());
    assert!(resolves(&server));
    server.stop();
}

#[test]
fn a_server_without_a_key_of_its_own_waits_to_be_unsealed() {
    let folder = private_folder();
    let (server, admin) = furnished(folder.path());
    let passphrase = admin.file("passphrase", PASSPHRASE.as_bytes());
    let words = admin.json(&["key", "slot", "add", "recovery", "--output", "json"]);
    let words = words["words"].as_str().unwrap().to_owned();
    admin.does(&["key", "slot", "add", "passphrase", "--passphrase-file", &passphrase]);
    admin.does(&["key", "slot", "remove", "file", "--yes"]);
    let doctor = || run(&["doctor", "--data-dir", text(folder.path())]);
    let told = doctor();
    assert!(told.success() && told.stdout.contains("is that of no key slot"), "{}", told.stdout);
    fs::remove_file(folder.path().join("root.key")).unwrap();
    let told = doctor();
    assert!(told.success() && told.stdout.contains("there is no key file"), "{}", told.stdout);
    server.stop();
    for (with, given) in [("passphrase", PASSPHRASE), ("recovery", &words)] {
        let server = Server::start(folder.path());
        assert!(server.process.stdout().contains("SEALED"), "{}", server.process.stdout());
        assert_sealed(&server);
        let state = server.client().get("/strongroom/seal").expect_status(200).json();
        assert_eq!(state, json!({"sealed": true, "kinds": ["passphrase", "recovery"]}));
        let ops = stranger(&server);
        let file = ops.file("given", given.as_bytes());
        let told = ops.does(&["unseal", "--with", with, "--from", &file]);
        assert_eq!(told, "The server is unsealed.\n");
        assert!(resolves(&server), "{with}");
        assert_eq!(ops.does(&["unseal"]), "The server is not sealed.\n");
        server.stop();
    }
    assert_chain_holds(folder.path());
    let events = audit_events(folder.path());
    let unsealed = events.iter().filter(|event| event["event_type"] == "server_unsealed.v0").count();
    assert_eq!(unsealed, 2);
}

/// Whatever is wrong with it, a passphrase is slow to be refused, and one answer tells nothing.
#[test]
fn a_wrong_passphrase_is_slow_and_without_a_hint() {
    let folder = private_folder();
    let (server, admin) = furnished(folder.path());
    let passphrase = admin.file("passphrase", PASSPHRASE.as_bytes());
    admin.does(&["key", "slot", "add", "passphrase", "--passphrase-file", &passphrase]);
    without_file(&admin, folder.path());
    server.stop();
    let server = Server::start(folder.path());
    let try_it = |text: &str| server.client().post("/strongroom/unseal", &json!({"passphrase": text}));
    let (begun, first) = (Instant::now(), try_it("a wrong one, but long enough"));
    let took = begun.elapsed();
    let (status, told) = (first.status, first.json());
    assert_eq!((status, told["error_code"].as_str().unwrap()), (403, "ERR_STRONGROOM_1093"));
    assert!(took > Duration::from_millis(50), "{took:?}");
    // The next one is not even tried for a while, not the right one either.
    let next = try_it(PASSPHRASE);
    assert_eq!((next.status, next.json()["error_code"].as_str().unwrap()), (429, "ERR_STRONGROOM_1094"));
    let other = poll("it is tried", || Some(try_it("")).filter(|answer| answer.status != 429));
    assert_eq!(other.json()["msg"], told["msg"]);
    poll("the right one", || Some(try_it(PASSPHRASE)).filter(|answer| answer.status == 200));
    assert!(resolves(&server));
    for (body, code) in [
        (json!({}), "ERR_STRONGROOM_1095"),
        (json!({"passphrase": "x", "words": "y"}), "ERR_STRONGROOM_1095"),
        (json!({"shares": []}), "ERR_STRONGROOM_1095"),
        (json!({"token": "x"}), "ERR_NGROK_214"),
    ] {
        let answer = server.client().post("/strongroom/unseal", &body).expect_status(400);
        assert_eq!(answer.json()["error_code"], code, "{body}");
    }
    server.stop();
}

#[test]
fn shares_come_from_several_people() {
    let folder = private_folder();
    let (server, admin) = furnished(folder.path());
    let out = admin.home().join("shares");
    fs::create_dir(&out).unwrap();
    admin.does(&["key", "slot", "add", "shamir", "--shares", "5", "--threshold", "3", "--out", text(&out)]);
    let share = |number: u8| fs::read_to_string(out.join(format!("share-{number}.txt"))).unwrap();
    let others = admin.json(&["key", "slot", "add", "shamir", "--name", "others", "--output", "json"]);
    let other = others["shares"][0].as_str().unwrap().to_owned();
    let test = admin.file("three", [share(5), share(1), share(3)].concat().as_bytes());
    admin.does(&["key", "slot", "test", "shamir", "--from", &test]);
    admin.does(&["key", "slot", "remove", "others", "--yes"]);
    without_file(&admin, folder.path());
    server.stop();

    let server = Server::start(folder.path());
    let give = |text: &str| {
        let answer = || server.client().post("/strongroom/unseal", &json!({"shares": [text]}));
        poll("it is tried", || Some(answer()).filter(|answer| answer.status != 429))
    };
    let state = give(&share(2)).expect_status(200).json();
    let set = share(2)[4..12].to_owned();
    assert_eq!(state["shares"], json!([{"set": set, "given": 1, "needed": 3}]));
    for (text, told) in [
        (share(2), "Share 2 was given already"),
        (other, "Share 1 is of another set of shares"),
        (
            share(3).trim_end().trim_end_matches(|letter: char| letter != '-').to_owned(),
            "Share 3 was mistyped or cut",
        ),
        ("what?".to_owned(), "That is no share"),
    ] {
        let answer = give(&text).expect_status(400).json();
        assert!(answer["msg"].as_str().unwrap().starts_with(told), "{answer}");
    }
    let ops = stranger(&server);
    let file = ops.file("share", share(4).as_bytes());
    let told =
        poll("it is tried", || Some(ops.run(&["unseal", "--from", &file])).filter(|done| done.code == 0));
    assert_eq!(
        (told.stdout.as_str(), told.stderr.contains("2 of 3")),
        ("The server waits for more shares.\n", true)
    );
    assert_sealed(&server);
    give(&share(5)).expect_status(200);
    assert!(resolves(&server));
    server.stop();
}

#[test]
fn sealing_forgets_at_once() {
    let folder = private_folder();
    let (server, admin) = furnished(folder.path());
    let passphrase = admin.file("passphrase", PASSPHRASE.as_bytes());
    admin.does(&["key", "slot", "add", "passphrase", "--passphrase-file", &passphrase]);
    let reader = admin.granted(&server, &["resolve *:*", "read *:*"]);
    reader.fails(4, &["seal", "--yes"]);
    // Somebody who waits for changes waits no longer.
    let mut watching = server.client();
    let cursor = watching.get("/strongroom/changes").expect_status(200).json()["cursor"].clone();
    let url = format!("/strongroom/changes?after={}&wait=60s", cursor.as_str().unwrap());
    let waiting = std::thread::spawn(move || {
        let begun = Instant::now();
        (watching.get(&url).status, begun.elapsed())
    });
    poll("it waits", || {
        let metrics = String::from_utf8(server.client().get("/metrics").body).unwrap();
        metrics
            .lines()
            .any(|line| line.starts_with("strongroom_feed_watchers") && !line.ends_with(" 0"))
            .then_some(())
    });
    assert!(admin.does(&["seal", "--yes"]).contains("sealed"));
    assert_sealed(&server);
    let (status, took) = waiting.join().unwrap();
    assert!(status == 503 && took < Duration::from_secs(30), "{status} after {took:?}");
    stranger(&server).does(&["unseal", "--from", &passphrase]);
    assert_eq!(reader.does(&["secret", "get", "prod:db"]), "canary-value");
    let events = audit_events(&server.data);
    assert!(events.iter().any(|event| event["event_type"] == "server_sealed.v0"));
    server.stop();
}

#[test]
fn words_are_asked_for_and_a_typing_error_is_told_by_its_place() {
    let folder = private_folder();
    let (server, admin) = furnished(folder.path());
    let table = admin.does(&["key", "slot", "add", "recovery"]);
    let numbered = table.lines().filter(|line| line.starts_with("  "));
    let words: Vec<&str> = numbered.flat_map(str::split_whitespace).skip(1).step_by(2).collect();
    assert_eq!(words.len(), 24, "{table}");
    without_file(&admin, folder.path());
    server.stop();
    let server = Server::start(folder.path());
    let ops = stranger(&server);
    let mut wrong = words.clone();
    wrong[16] = "strongrom";
    let file = ops.file("wrong", wrong.join(" ").as_bytes());
    let told = ops.fails(6, &["unseal", "--from", &file]);
    assert!(told.contains("word 17 ") && !told.contains("strongrom "), "{told}");
    let mut session = Session::start(ops.command(&["unseal"]));
    session.wait_for("The 24 words: ");
    assert!(!session.echoes());
    session.types(&format!("{}\r", words.join(" ")));
    let (code, screen, echoes) = session.end();
    assert_eq!((code, echoes), (0, true), "{screen}");
    assert!(screen.contains("unsealed") && !screen.contains(words[3]), "{screen}");
    assert!(resolves(&server));
    server.stop();
}

#[test]
fn a_key_file_of_its_own_opens_and_the_first_one_no_more() {
    let folder = private_folder();
    let (server, admin) = furnished(folder.path());
    let second = admin.home().join("second.key");
    let nowhere = admin.fails(2, &["key", "slot", "add", "file", "--name", "second"]);
    assert!(nowhere.contains("--out"), "{nowhere}");
    admin.does(&["key", "slot", "add", "file", "--name", "second", "--out", text(&second)]);
    admin.fails(1, &["key", "slot", "add", "file", "--name", "third", "--out", text(&second)]);
    assert_eq!(names(&admin), ["file", "second"]);
    admin.does(&["key", "slot", "remove", "file", "--yes", "--rotate-root"]);
    server.stop();
    let told = run(&["serve", "--data-dir", text(folder.path()), "--listen", "127.0.0.1:0"]);
    told.expect_refusal();
    assert!(told.stderr.contains("expected key") && told.stderr.contains("found key"), "{}", told.stderr);
    let server = Server::start_with(folder.path(), &["--root-key-file", text(&second)]);
    assert!(resolves(&server));
    server.stop();
}

/// A command about the slots in a folder.
fn slot_in<'a>(data: &'a str, what: &[&'a str]) -> Vec<&'a str> {
    [&["key", "slot"], what, &["--data-dir", data]].concat()
}

/// Whoever is at the machine itself needs neither a server nor an API key.
#[test]
fn a_stopped_server_has_its_slots_looked_after_in_its_folder() {
    let folder = private_folder();
    let data = text(folder.path());
    let (server, _) = furnished(folder.path());
    let ops = Person::stranger().set("STRONGROOM_URL", &server.url);
    // To look takes no lock, and a change is the running server's.
    assert!(ops.does(&slot_in(data, &["list"])).contains("file"));
    let locked = ops.fails(1, &slot_in(data, &["add", "recovery"]));
    assert!(locked.contains("leave out --data-dir"), "{locked}");
    let neither = ops.fails(2, &[&slot_in(data, &["list"])[..], &["--url", &server.url]].concat());
    assert!(neither.contains("give either"), "{neither}");
    server.stop();

    let last = ops.fails(7, &slot_in(data, &["remove", "file", "--yes"]));
    assert!(last.contains("last"), "{last}");
    let added = ops.json(&slot_in(data, &["add", "recovery", "--output", "json"]));
    let words = ops.file("words", added["words"].as_str().unwrap().as_bytes());
    let taken = ops.fails(7, &slot_in(data, &["add", "recovery"]));
    assert!(taken.contains("name"), "{taken}");
    let unset = ops.fails(7, &slot_in(data, &["add", "transit"]));
    assert!(unset.contains("--transit-address"), "{unset}");
    ops.does(&slot_in(data, &["test", "recovery", "--from", &words]));
    ops.does(&slot_in(data, &["test", "file"]));
    let server = Server::start(folder.path());
    assert!(resolves(&server), "the key file opens it as before");
    server.stop();

    ops.does(&slot_in(data, &["remove", "file", "--yes", "--rotate-root"]));
    let other = ops.fails(3, &slot_in(data, &["test", "file"]));
    assert!(other.contains("no key slot called file"), "{other}");
    // Nothing opens it without a person any more, and the command asks nobody.
    let shut = ops.fails(1, &slot_in(data, &["add", "recovery", "--name", "second"]));
    assert!(shut.contains("without a person"), "{shut}");
    ops.does(&slot_in(data, &["test", "recovery", "--from", &words]));
    fs::remove_file(folder.path().join("root.key")).unwrap();
    assert_eq!(ops.json(&slot_in(data, &["list", "--output", "json"])).as_array().unwrap().len(), 1);
    let server = Server::start(folder.path());
    stranger(&server).does(&["unseal", "--from", &words]);
    assert!(resolves(&server));
    server.stop();
    assert_chain_holds(folder.path());
    let made = audit_events(folder.path());
    let made = made.iter().find(|event| event["event_type"] == "key_slot_created.v0").unwrap();
    assert_eq!(made["principal"]["source"], "CLI");
}

#[test]
fn a_folder_without_a_store_stays_without_one() {
    let folder = private_folder();
    for what in [&["list"][..], &["add", "recovery"], &["remove", "file", "--yes"], &["test", "file"]] {
        let told = Person::stranger().fails(1, &slot_in(text(folder.path()), what));
        assert!(told.contains("there is no store in"), "{told}");
    }
    assert!(harness::files::contents(folder.path()).is_empty(), "nothing was made");
    let alone = Person::stranger().fails(2, &["key", "slot", "list", "--root-key-file", "root.key"]);
    assert!(alone.contains("--data-dir"), "{alone}");
}

/// As systemd lays it out: read-only, in a folder that a variable of the service's names.
#[test]
fn a_credential_is_the_root_key_file_where_none_is_named() {
    let folder = private_folder();
    let (data, credentials) = (folder.path().join("data"), folder.path().join("credentials"));
    let (server, _) = furnished(&data);
    server.stop();
    fs::create_dir(&credentials).unwrap();
    let credential = credentials.join("root.key");
    fs::rename(data.join("root.key"), &credential).unwrap();
    harness::files::set_mode(&credential, 0o400);
    let variable = [("CREDENTIALS_DIRECTORY", text(&credentials))];
    let serve = ["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0"];
    let server = Server::wait_until_ready(&data, Process::spawn(&serve, &variable));
    assert!(resolves(&server));
    let shown = Process::spawn(&["config", "show"], &variable).wait().stdout;
    let line = shown.lines().find(|line| line.starts_with("root_key_file ")).unwrap();
    assert!(line.contains(text(&credential)) && line.ends_with("# credential"), "{line}");
    server.stop();
    // One that is named goes before it, and one that others may read is refused as any other.
    let named = Process::spawn(&[&serve[..], &["--root-key-file", "/nowhere"]].concat(), &variable).wait();
    assert!(named.expect_refusal().stderr.contains("/nowhere is missing"), "{}", named.stderr);
    harness::files::set_mode(&credential, 0o444);
    let open = Process::spawn(&serve, &variable).wait();
    assert!(open.expect_refusal().stderr.contains("can be read by other users"), "{}", open.stderr);
}

/// No passphrase, word, share or key of a slot is anywhere but where it was put.
#[test]
fn nothing_that_opens_a_slot_is_left_behind() {
    let folder = private_folder();
    let data = folder.path().join("data");
    let (server, admin) = furnished(&data);
    let passphrase = admin.file("passphrase", PASSPHRASE.as_bytes());
    admin.does(&["key", "slot", "add", "passphrase", "--passphrase-file", &passphrase]);
    let words = admin.json(&["key", "slot", "add", "recovery", "--output", "json"]);
    let words = words["words"].as_str().unwrap().to_owned();
    let shares = admin.json(&["key", "slot", "add", "shamir", "--output", "json"]);
    let share = shares["shares"][2].as_str().unwrap().to_owned();
    let body = |number: usize| share.split('-').nth(number).unwrap().to_owned();
    admin.does(&["key", "slot", "test", "passphrase", "--from", &passphrase]);
    let file = admin.file("words", words.as_bytes());
    admin.does(&["key", "slot", "test", "recovery", "--from", &file]);
    let mut client = server.client();
    client.post("/strongroom/unseal", &json!({"passphrase": PASSPHRASE})).expect_status(200);
    let _ = client.get(&format!("/strongroom/unseal?passphrase={}", PASSPHRASE.replace(' ', "%20")));
    let key = harness::files::root_key(&data).key;
    let log = server.process.stderr() + &server.process.stdout();
    server.stop();
    let first_words: Vec<&str> = words.split(' ').take(4).collect();
    let needles = [PASSPHRASE.to_owned(), first_words.join(" "), body(4), key.clone()];
    for needle in &needles {
        assert!(!log.contains(needle.as_str()), "in the log");
        for (path, bytes) in harness::files::contents(&data) {
            let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(!found || (*needle == key && path.ends_with("root.key")), "in {}", path.display());
        }
    }
    assert!(first_key(&data).len() > 20);
}
