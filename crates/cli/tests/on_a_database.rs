//! What is done on the machine itself, where the store is in a database: with a data folder that has no store in it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use harness::process::{Ran, run};
use harness::{Server, field, first_key, make_vault, poll, private_folder, text};
use person::Person;
use serde_json::{Value, json};
use strongroom_testbed::{Options, Postgres, Stop};
use tempfile::TempDir;

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| Postgres::start(Options::default().careless()));

/// A server over a database, and another folder with a copy of its root key.
struct World {
    server: Server,
    url: String,
    data: TempDir,
    beside: TempDir,
}

fn password_file() -> String {
    text(&POSTGRES.password_file()).to_owned()
}

impl World {
    fn start(name: &str) -> Self {
        POSTGRES.create_database(name);
        let (url, data, beside) = (POSTGRES.url(name), private_folder(), private_folder());
        let password = password_file();
        let server =
            Server::start_with(data.path(), &["--database", &url, "--database-password-file", &password]);
        fs::copy(data.path().join("root.key"), beside.path().join("root.key")).unwrap();
        Self { server, url, data, beside }
    }

    /// Runs a command on the machine itself, beside the server.
    fn runs(&self, args: &[&str]) -> Ran {
        let place = ["--database", &self.url, "--database-password-file", &password_file()];
        run(&[args, &["--data-dir", text(self.beside.path())], &place].concat())
    }

    fn does(&self, args: &[&str]) -> String {
        let ran = self.runs(args);
        assert!(ran.success(), "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Keeps what a command prints.
    fn keeps(&self, name: &str, args: &[&str]) -> String {
        let path: PathBuf = self.beside.path().join(name);
        fs::write(&path, self.does(args)).unwrap();
        text(&path).to_owned()
    }
}

#[test]
fn the_log_is_read_verified_proved_and_exported() {
    let world = World::start("log");
    let mut client = world.server.client();
    for number in 0..40 {
        make_vault(&mut client, &format!("v{number}"));
    }
    let key = world.keeps("key.txt", &["audit", "key"]);
    let checkpoint = world.keeps("checkpoint.txt", &["audit", "checkpoint"]);
    make_vault(&mut client, "later");
    let told = world.does(&["audit", "verify", "--checkpoint", &checkpoint, "--key", &key]);
    assert!(told.contains("the log is whole"), "{told}");
    let listed = world.does(&["audit", "list", "--after", "3", "--limit", "2"]);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((listed.len(), &listed[0]["sequence"]), (2, &json!(4)));
    let proof: Value = serde_json::from_str(&world.does(&["audit", "prove", "5"])).unwrap();
    assert!(proof.is_object(), "{proof}");
    let export = world.beside.path().join("export.jsonl");
    world.does(&["audit", "export", text(&export)]);
    let checked = run(&["audit", "verify", "--export", text(&export), "--key", &key]);
    assert!(checked.success(), "{}", checked.stderr);

    POSTGRES.run("log", "UPDATE audit SET canonical = set_byte(canonical, 40, 1) WHERE sequence = 9");
    let ran = world.runs(&["audit", "verify"]);
    ran.expect_refusal();
    assert!(ran.stderr.contains("tampered") && ran.stderr.contains('9'), "{}", ran.stderr);
    world.server.stop();
}

#[test]
fn seed_fills_it_beside_a_server() {
    let world = World::start("seeded");
    let lines = world.beside.path().join("lines");
    let text_of = "{\"type\":\"vault\",\"name\":\"prod\"}\n\
                   {\"type\":\"secret\",\"vault_name\":\"prod\",\"name\":\"s\",\"value\":\"v\"}\n";
    fs::write(&lines, text_of).unwrap();
    assert_eq!(world.does(&["seed", text(&lines)]), "2 lines are in the store\n");
    let mut client = world.server.client();
    poll("the server sees them", || {
        let found = client.get("/vault_secrets").expect_status(200).json();
        (found["secrets"].as_array().unwrap().len() == 1).then_some(())
    });
    world.server.stop();
    assert!(!world.beside.path().join("strongroom.db").exists());
}

#[test]
fn restrictions_are_lifted_beside_a_server() {
    let world = World::start("restricted");
    let mut admin = world.server.client();
    let policy = admin.post("/ip_policies", &json!({})).expect_status(201).json();
    let rule = json!({"cidr": "192.0.2.0/24", "ip_policy_id": policy["id"], "action": "allow"});
    admin.post("/ip_policy_rules", &rule).expect_status(201);
    let restriction = json!({"type": "api", "ip_policy_ids": [policy["id"]], "enforced": true});
    let made = admin.post("/ip_restrictions?confirm_lockout=true", &restriction).expect_status(201).json();
    admin.get("/self").expect_status(403);
    assert_eq!(
        world.does(&["ip-restrictions", "disable"]),
        format!("{} is not enforced any more\n", field(&made, "id"))
    );
    poll("the server lets it in", || (admin.get("/self").status == 200).then_some(()));
    // The folder of the server itself is as good: with a database nobody has it for himself.
    let place = ["--database", &world.url, "--database-password-file", &password_file()];
    let ran =
        run(&[&["ip-restrictions", "disable", "--data-dir", text(world.data.path())], &place[..]].concat());
    assert_eq!(ran.stdout, "No restriction of the API was enforced\n", "{}", ran.stderr);
    world.server.stop();
}

/// A command that mends a store makes none.
#[test]
fn there_is_nothing_to_mend_where_there_is_no_store() {
    POSTGRES.create_database("blank");
    let (url, data) = (POSTGRES.url("blank"), private_folder());
    let place =
        ["--data-dir", text(data.path()), "--database", &url, "--database-password-file", &password_file()];
    for command in [&["ip-restrictions", "disable"][..], &["audit", "verify"], &["audit", "key"], &["doctor"]]
    {
        let ran = run(&[command, &place].concat());
        ran.expect_refusal();
    }
    assert_eq!(POSTGRES.run("blank", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn key_slots_are_looked_after_beside_a_server() {
    let world = World::start("slots");
    let (beside, password) = (text(world.beside.path()), password_file());
    let person = Person::stranger()
        .set("STRONGROOM_DATABASE", &world.url)
        .set("STRONGROOM_DATABASE_PASSWORD_FILE", &password);
    let at = ["--data-dir", beside];
    let does = |args: &[&str]| person.does(&[&["key"], args, &at].concat());
    let words: Value = serde_json::from_str(&does(&["slot", "add", "recovery", "--output", "json"])).unwrap();
    let words = person.file("words", field(&words, "words").as_bytes());
    assert!(does(&["slot", "test", "recovery", "--from", &words]).contains("opens the root key"));
    assert!(does(&["slot", "list"]).contains("recovery"));
    does(&["slot", "remove", "recovery", "--yes", "--rotate-root"]);
    assert!(does(&["slot", "test", "file"]).contains("opens the root key"));
    // The server goes on under the new root key.
    let mut client = world.server.client();
    let vault = make_vault(&mut client, "later");
    let secret = json!({"name": "s", "value": "v", "vault_id": vault["id"]});
    client.post("/vault_secrets", &secret).expect_status(201);
    let told = world.does(&["doctor"]);
    assert!(told.contains("there is one key slot"), "{told}");
    world.server.stop();
}

#[test]
fn a_key_is_made_beside_a_server() {
    let world = World::start("lost");
    let token = world.does(&["api-key", "create", "--token-only"]);
    let mut client = world.server.client_with(token.trim());
    poll("the server takes it", || (client.get("/vaults").status == 200).then_some(()));
    make_vault(&mut client, "v");
    world.server.stop();
}

#[test]
fn the_doctor_looks_at_the_database() {
    let mut postgres = Postgres::start(Options::default().careless().tls());
    postgres.create_database("store");
    let (data, url, password) =
        (private_folder(), postgres.url("store"), text(&postgres.password_file()).to_owned());
    let (here, ca) = (text(data.path()).to_owned(), text(&postgres.ca_file()).to_owned());
    let place = [
        "--data-dir",
        &here,
        "--database",
        &url,
        "--database-password-file",
        &password,
        "--database-ca",
        &ca,
    ];
    let doctor = |place: &[&str]| run(&[&["doctor"], place].concat());
    let told = doctor(&place);
    told.expect_refusal();
    assert!(told.stdout.contains("there is no store in the database"), "{}", told.stdout);
    let server = Server::start_with(data.path(), &place[2..]);
    let vault = make_vault(&mut server.client(), "v");
    let told = doctor(&place);
    assert!(told.success(), "{}{}", told.stdout, told.stderr);
    for word in [
        "answers: PostgreSQL ",
        "use TLS",
        "the audit log is whole",
        "those of 1 vaults",
        "opens the root key",
    ] {
        assert!(told.stdout.contains(word), "no {word:?} in {}", told.stdout);
    }
    server.stop();
    let without = url.replace("sslmode=verify-full", "sslmode=disable");
    let told = doctor(&[&["--data-dir", &here, "--database", &without], &place[4..6]].concat());
    assert!(told.stdout.contains("on this machine"), "{}", told.stdout);
    let id = field(&vault, "id").to_owned();
    postgres.run(
        "store",
        "UPDATE vault SET wrapped_key = set_byte(wrapped_key, 20, get_byte(wrapped_key, 20) # 1)",
    );
    let told = doctor(&place);
    told.expect_refusal();
    assert!(told.stdout.contains(&format!("the key of vault {id} does not open")), "{}", told.stdout);
    postgres.stop(Stop::Immediate);
    let told = doctor(&place);
    told.expect_refusal();
    assert!(told.stdout.contains("the database cannot be used"), "{}", told.stdout);
}

#[test]
fn backup_and_restore_say_what_copies_a_database() {
    let world = World::start("copied");
    let file = world.beside.path().join("backup.db");
    for (command, program) in [("backup", "pg_dump"), ("restore", "pg_restore")] {
        let ran = world.runs(&[command, text(&file)]);
        assert_eq!(ran.status.code(), Some(2), "{}", ran.stderr);
        for word in [program, "root.key", "docs/operating.md"] {
            assert!(ran.stderr.contains(word), "{}", ran.stderr);
        }
    }
    assert!(!file.exists());
    world.server.stop();
}

fn whole_words(server: &Server, data: &Path) -> Value {
    let mut client = server.client_with(&first_key(data));
    client.get("/vaults").expect_status(200).json()
}

/// The way that docs/operating.md names: `pg_dump`, `pg_restore`, and the root key's file.
#[test]
fn what_pg_dump_took_is_served_again() {
    let world = World::start("dumped");
    make_vault(&mut world.server.client(), "prod");
    let program = |name: &str, args: &[&str]| {
        let mut child = std::process::Command::new(name);
        child.args(args).env("PGPASSWORD", POSTGRES.password());
        let output = child.output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let dump = world.beside.path().join("strongroom.dump");
    program("pg_dump", &["--format=custom", "--file", text(&dump), &world.url]);
    let before = whole_words(&world.server, world.data.path());
    let origin = world.server.url.clone();
    world.server.stop();
    POSTGRES.create_database("restored");
    let url = POSTGRES.url("restored");
    program("pg_restore", &["--no-owner", "--exit-on-error", "--dbname", &url, text(&dump)]);
    let server = Server::start_with(
        world.beside.path(),
        &["--database", &url, "--database-password-file", &password_file()],
    );
    let after = whole_words(&server, world.data.path());
    assert_eq!(after.to_string().replace(&server.url, ""), before.to_string().replace(&origin, ""));
    server.stop();
}
