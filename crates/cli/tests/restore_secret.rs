//! One secret out of a backup, put into a server that runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::fs;
use std::path::PathBuf;

use harness::files::root_key;
use harness::{Server, audit_events, make_vault, private_folder, run, secret_in, text};
use person::{Done, Person};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Values, which are in no output.
const VALUES: [&str; 4] = ["canary-first", "canary-second", "canary-third", "canary-gone"];

/// A server, its admin, and a backup of it: prod:db had three values, prod:gone was deleted, prod:same was, twice.
struct World {
    folder: TempDir,
    server: Server,
    admin: Person,
    backup: PathBuf,
}

impl World {
    fn build() -> Self {
        let folder = private_folder();
        let server = Server::start(&folder.path().join("data"));
        let mut client = server.client();
        let vault = make_vault(&mut client, "prod");
        let mut make = |name: &str, value: &str| {
            let mut body = secret_in(&vault, name, value);
            body["description"] = json!(format!("what {name} is for"));
            body["metadata"] = json!(format!("metadata of {name}"));
            let made = client.post("/vault_secrets", &body).expect_status(201).json();
            format!("/vault_secrets/{}", made["id"].as_str().unwrap())
        };
        let (db, gone) = (make("db", VALUES[0]), make("gone", VALUES[3]));
        for _ in 0..2 {
            let same = make("same", VALUES[3]);
            server.client().delete(&same);
        }
        let mut client = server.client();
        for value in &VALUES[1..3] {
            client.patch(&db, &json!({"value": value})).expect_status(200);
        }
        client.delete(&gone).expect_status(204);
        let backup = folder.path().join("backup.db");
        assert!(run(&["backup", text(&backup), "--data-dir", text(&server.data)]).success());
        let admin = Person::admin(&server);
        Self { folder, server, admin, backup }
    }

    fn restore(&self, person: &Person, args: &[&str]) -> Done {
        let key = root_key(&self.server.data).path;
        let from = ["restore", "--from", text(&self.backup), "--root-key-file", text(&key)];
        let done = person.run(&[&from[..], args].concat());
        for value in VALUES {
            assert!(!done.stdout.contains(value) && !done.stderr.contains(value), "{done:?}");
        }
        done
    }

    #[track_caller]
    fn restores(&self, person: &Person, args: &[&str]) -> String {
        let done = self.restore(person, args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done.stdout
    }

    #[track_caller]
    fn refuses(&self, code: i32, args: &[&str]) -> String {
        let done = self.restore(&self.admin, args);
        assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{args:?}: {done:?}");
        done.stderr
    }

    fn value(&self, name: &str) -> String {
        value(&self.server, &self.admin, name)
    }
}

fn value(server: &Server, admin: &Person, name: &str) -> String {
    admin.granted(server, &["resolve *:*"]).does(&["secret", "get", name])
}

fn detail(admin: &Person, name: &str) -> Value {
    admin.json(&["secret", "show", name, "--output", "json"])
}

#[test]
fn a_value_that_was_overwritten_comes_back() {
    let world = World::build();
    world.admin.feed(&["secret", "set", "prod:db"], b"overwritten");
    let id = detail(&world.admin, "prod:db")["id"].clone();
    let events = audit_events(&world.server.data).len();
    let told = world.restores(&world.admin, &["--secret", "prod:db", "--dry-run"]);
    assert!(
        told.contains("would give prod:db, now at version 4, the value of prod:db@3 of the backup"),
        "{told}"
    );
    assert_eq!(audit_events(&world.server.data).len(), events, "nothing is done");

    let told = world.restores(&world.admin, &["--secret", "prod:db"]);
    assert!(told.contains("prod:db has the value of prod:db@3 of the backup, written 20"), "{told}");
    assert!(told.contains("it is version 5 now"), "{told}");
    assert_eq!((world.value("prod:db"), &detail(&world.admin, "prod:db")["id"]), (VALUES[2].to_owned(), &id));
    let told = world.restores(&world.admin, &["--secret", "prod:db"]);
    assert!(told.contains("already: nothing was changed"), "{told}");
    assert_eq!(detail(&world.admin, "prod:db")["version"], 5);

    let told = world.restores(&world.admin, &["--secret", "prod:db", "--version", "1"]);
    assert!(told.contains("the value of prod:db@1 of the backup"), "{told}");
    assert_eq!(world.value("prod:db"), VALUES[0]);
    world.restores(&world.admin, &["--secret", "prod:db", "--version", "2", "--to", "prod:db-old"]);
    assert_eq!((world.value("prod:db-old"), world.value("prod:db")), (VALUES[1].into(), VALUES[0].into()));
    world.server.stop();
}

#[test]
fn a_deleted_secret_comes_back() {
    let world = World::build();
    let told = world.restores(&world.admin, &["--secret", "prod:gone"]);
    assert!(told.contains("prod:gone is made, with the value of prod:gone@1 of the backup"), "{told}");
    assert!(told.contains("(deleted 20"), "it was so when the backup was made: {told}");
    let made = detail(&world.admin, "prod:gone");
    assert_eq!(
        (&made["description"], &made["metadata"]),
        (&json!("what gone is for"), &json!("metadata of gone"))
    );
    assert_eq!(world.value("prod:gone"), VALUES[3]);

    // One that was there when the backup was made, and is not any more.
    world.admin.does(&["secret", "delete", "prod:db", "--yes"]);
    let told = world.restores(&world.admin, &["--secret", "prod:db"]);
    assert!(told.contains("prod:db is made") && !told.contains("deleted"), "{told}");

    let told = world.refuses(6, &["--secret", "prod:same"]);
    let ids: Vec<&str> = told.split_whitespace().filter(|word| word.starts_with("secret_")).collect();
    assert_eq!(ids.len(), 2, "{told}");
    world.restores(&world.admin, &["--secret", "prod:same", "--id", ids[1]]);
    assert_eq!(world.value("prod:same"), VALUES[3]);
    world.server.stop();
}

/// The server is another one, with another root key and without the vault.
#[test]
fn another_server_takes_it() {
    let world = World::build();
    let other = Server::start(&world.folder.path().join("other"));
    let admin = Person::admin(&other);
    let done = world.restore(&admin, &["--secret", "prod:db"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("--create-vault"), "{done:?}");
    let told = world.restores(&admin, &["--secret", "prod:db", "--create-vault", "--dry-run"]);
    assert!(told.contains("would make the vault prod\nwould make prod:db"), "{told}");
    world.restores(&admin, &["--secret", "prod:db", "--create-vault"]);
    assert_eq!(value(&other, &admin, "prod:db"), VALUES[2]);
    other.stop();
    // The one that the backup is of need not run.
    let done = world.restore(&admin, &["--secret", "prod:db"]);
    assert_eq!(done.code, 5, "{done:?}");
    world.server.stop();
}

#[test]
fn what_cannot_be_restored_is_told() {
    let world = World::build();
    let told = world.refuses(3, &["--secret", "prod:nothing"]);
    assert!(told.contains("there is no secret prod:nothing in the backup"), "{told}");
    world.refuses(3, &["--secret", "dev:db"]);
    world.refuses(3, &["--secret", "prod:db", "--id", "secret_32ELEgPmoXjxGJ3MXfoPBbZKrfD"]);
    let told = world.refuses(3, &["--secret", "prod:db", "--version", "4"]);
    assert!(told.contains("it has 1, 2, 3"), "{told}");
    for args in [&["--secret", "prod:db@2"][..], &["--secret", "prod:db", "--version", "0"], &[]] {
        world.refuses(2, args);
    }

    let backup = text(&world.backup);
    let other = world.folder.path().join("other.key");
    let aside = Server::start(&world.folder.path().join("aside"));
    fs::copy(root_key(&aside.data).path, &other).unwrap();
    aside.stop();
    let missing = world.folder.path().join("no.key");
    for key in [&other, &missing] {
        let args = ["restore", "--from", backup, "--secret", "prod:db", "--root-key-file", text(key)];
        let told = world.admin.fails(1, &args);
        assert!(told.contains("the backup needs key") && told.contains("--root-key-file"), "{told}");
    }
    assert!(world.admin.fails(2, &["restore", "--from", backup]).contains("--secret"));
    assert!(world.admin.fails(2, &["restore", backup, "--secret", "prod:db"]).contains("--secret"));

    let whole = fs::read(&world.backup).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2..].fill(0xa5);
    let key = root_key(&world.server.data).path;
    for (name, bytes) in
        [("cut", &whole[..whole.len() / 2]), ("altered", &altered), ("none", b"no backup"), ("empty", b"")]
    {
        let broken = world.folder.path().join(name);
        fs::write(&broken, bytes).unwrap();
        let args = ["restore", "--from", text(&broken), "--secret", "prod:db", "--root-key-file", text(&key)];
        let told = world.admin.fails(1, &args);
        assert!(told.contains("cannot be read") || told.contains("is damaged"), "{name}: {told}");
    }
    let older = world.folder.path().join("older.db");
    let mut bytes = whole.clone();
    // Where SQLite keeps the version of the store.
    bytes[60..64].copy_from_slice(&4_u32.to_be_bytes());
    fs::write(&older, &bytes).unwrap();
    let args = ["restore", "--from", text(&older), "--secret", "prod:db", "--root-key-file", text(&key)];
    let told = world.admin.fails(1, &args);
    assert!(told.contains("an older Strongroom") && told.contains("into an empty folder"), "{told}");
    assert_eq!(fs::read(&older).unwrap(), bytes, "it is not migrated");
    world.admin.fails(3, &["restore", "--from", "/nowhere.db", "--secret", "prod:db"]);
    let profiles = world.folder.path().join("profiles.toml");
    let args = ["--secret", "prod:db", "--profile", "none", "--client-config", text(&profiles)];
    let told = world.refuses(3, &args);
    assert!(told.contains("there is no profile 'none'") && told.contains(text(&profiles)), "{told}");
    assert_eq!(fs::read(&world.backup).unwrap(), whole, "the backup is left as it was");
    world.server.stop();
}
