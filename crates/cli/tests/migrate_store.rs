//! A store is moved from a file to a real PostgreSQL and back, by the command: what a server answers stays the same, and nothing
//! that is not whole, not up to date or not in order becomes a store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "migrate_store/furnished.rs"]
mod furnished;
mod harness;
mod person;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use furnished::{Furnished, answers};
use harness::process::{Process, Ran, run};
use harness::{Server, assert_chain_holds, audit_events, first_key, make_vault, poll, private_folder, text};
use serde_json::json;
use strongroom_testbed::{Options, Postgres, Proxy};
use tempfile::TempDir;

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| Postgres::start(Options::default().careless()));

/// A database of one's own.
struct Database {
    name: &'static str,
    url: String,
    password_file: String,
}

impl Database {
    fn make(name: &'static str) -> Self {
        POSTGRES.create_database(name);
        let password_file = text(&POSTGRES.password_file()).to_owned();
        Self { name, url: POSTGRES.url(name), password_file }
    }

    fn serve(&self, data: &Path, key: &Path) -> Server {
        let args = ["--database", &self.url, "--database-password-file", &self.password_file];
        Server::start_with(data, &[&args[..], &["--root-key-file", text(key)]].concat())
    }

    /// The arguments that move the store of a folder there.
    fn moved_there(&self, data: &Path) -> Vec<String> {
        self.args(&format!("sqlite:{}", data.display()), &self.url)
    }

    /// Those that move it back.
    fn moved_back(&self, file: &Path, key: &Path) -> Vec<String> {
        let mut args = self.args(&self.url, &format!("sqlite:{}", file.display()));
        args.extend(["--root-key-file".to_owned(), text(key).to_owned()]);
        args
    }

    fn args(&self, from: &str, to: &str) -> Vec<String> {
        let args =
            ["migrate-store", "--from", from, "--to", to, "--database-password-file", &self.password_file];
        args.map(str::to_owned).to_vec()
    }

    fn count(&self, table: &str) -> u64 {
        POSTGRES.run(self.name, &format!("SELECT count(*) FROM {table}")).parse().unwrap()
    }
}

fn moves(args: &[String]) -> Ran {
    spawn(args).wait()
}

fn spawn(args: &[String]) -> Process {
    Process::spawn(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[])
}

fn says(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in: {}", ran.stderr);
    }
}

/// A data folder filled by `seed`: a vault of so many secrets.
fn seeded(secrets: usize) -> TempDir {
    let data = private_folder();
    let mut lines = "{\"type\":\"vault\",\"name\":\"prod\"}\n".to_owned();
    for number in 0..secrets {
        let _ = writeln!(
            lines,
            "{{\"type\":\"secret\",\"vault_name\":\"prod\",\"name\":\"s{number}\",\"value\":\"value {number}\"}}"
        );
    }
    let file = data.path().join("lines");
    fs::write(&file, lines).unwrap();
    let ran = run(&["seed", text(&file), "--data-dir", text(data.path())]);
    assert!(ran.success(), "{}", ran.stderr);
    fs::remove_file(file).unwrap();
    data
}

#[test]
fn a_store_with_everything_in_it_there_and_back() {
    let mut furnished = Furnished::build();
    let data = furnished.data.path().to_owned();
    let database = Database::make("everything");
    let (key, token) = (data.join("root.key"), first_key(&data));
    let before_log = audit_events(&data);

    let ran = moves(&database.moved_there(&data));
    assert!(ran.success(), "{}{}", ran.stdout, ran.stderr);
    for told in
        ["the log is whole", "values, such as that of ", "of which the first", "strongroom serve --database"]
    {
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
    }
    // Nothing ran on it yet: what comes back is what went there, to the byte.
    let back = private_folder();
    let file = back.path().join("strongroom.db");
    let ran = moves(&database.moved_back(back.path(), &key));
    assert!(ran.success(), "{}{}", ran.stdout, ran.stderr);
    furnished::assert_same_tables(&data.join("strongroom.db"), &file);

    // The old place answers once more, then the two new ones.
    let server = Server::start(&data);
    let before = answers(&furnished, &server, &token);
    server.stop();
    let node = private_folder();
    let server = database.serve(node.path(), &key);
    assert_eq!(answers(&furnished, &server, &token), before, "over the database");
    furnished.goes_on(&server, &token);
    server.stop();
    let server = Server::start_with(back.path(), &["--root-key-file", text(&key)]);
    assert_eq!(answers(&furnished, &server, &token), before, "after the way back");
    furnished.goes_on(&server, &token);
    server.stop();
    assert_chain_holds(back.path());
    let log = audit_events(back.path());
    assert_eq!(log[..before_log.len()], before_log, "the log's past has changed");
}

#[test]
fn a_place_that_is_not_empty_is_refused_untouched() {
    let (data, database) = (seeded(3), Database::make("occupied"));
    assert!(moves(&database.moved_there(data.path())).success());
    let ran = moves(&database.moved_there(seeded(1).path()));
    assert_eq!(ran.status.code(), Some(7));
    says(&ran, &["there is a store in", "already", "nothing is overwritten"]);
    assert_eq!(database.count("secret"), 3);

    let key = data.path().join("root.key");
    let before = fs::read(data.path().join("strongroom.db")).unwrap();
    let ran = moves(&database.moved_back(data.path(), &key));
    assert_eq!(ran.status.code(), Some(7));
    says(&ran, &["there is a store in", text(data.path())]);
    assert!(fs::read(data.path().join("strongroom.db")).unwrap() == before);
    // A server that runs in the folder is not overtaken either.
    let server = Server::start(data.path());
    let ran = moves(&database.moved_back(data.path(), &key));
    ran.expect_refusal();
    says(&ran, &["in use"]);
    server.stop();
}

#[test]
fn what_it_cannot_do_is_told() {
    let (data, database) = (seeded(1), Database::make("refusals"));
    let from = format!("sqlite:{}", data.path().display());
    let refused = |args: &[&str], code: i32, words: &[&str]| {
        let ran = run(&[&["migrate-store"], args].concat());
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", ran.stderr);
        says(&ran, words);
        ran
    };
    refused(&["--from", &from, "--to", &from], 2, &["both are files", "strongroom backup"]);
    refused(&["--from", &database.url, "--to", &database.url], 2, &["both are databases", "pg_dump"]);
    let ran =
        refused(&["--from", &from, "--to", "mysql://u:swordfish@h/d"], 2, &["names no store", "sqlite:"]);
    assert!(!ran.stderr.contains("swordfish"));
    let with_password = database.url.replace("strongroom@", "strongroom:swordfish@");
    let ran = refused(&["--from", &from, "--to", &with_password], 1, &["holds a password"]);
    assert!(!ran.stderr.contains("swordfish"));
    refused(
        &["--from", "sqlite:/nowhere/at/all.db", "--to", &database.url],
        3,
        &["there is no store /nowhere"],
    );
    refused(&["--from", &from, "--to", &database.url], 1, &["nothing can be moved", "password"]);

    // There is no store in the database yet.
    let ran = moves(&database.moved_back(&data.path().join("new.db"), &data.path().join("root.key")));
    ran.expect_refusal();
    says(&ran, &["there is no store in the database", "migrate-store moves one there"]);

    // Another root key opens nothing, and nothing is written then.
    let other = seeded(1);
    let mut elsewhere = database.moved_there(data.path());
    elsewhere.extend(["--root-key-file".to_owned(), text(&other.path().join("root.key")).to_owned()]);
    let ran = moves(&elsewhere);
    ran.expect_refusal();
    says(&ran, &["another key than the store was sealed under", "--root-key-file"]);
    assert_eq!(
        POSTGRES.run(database.name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
}

/// The byte of a value that was altered in the old store: the log tells nothing of it, but it does not open.
#[test]
fn a_value_that_was_altered_before_is_found_and_nothing_is_moved() {
    let (data, database) = (seeded(40), Database::make("altered"));
    let first = moves(&database.moved_there(data.path()));
    assert!(first.success(), "{}", first.stderr);
    POSTGRES.run(
        database.name,
        "UPDATE version SET ciphertext = set_byte(ciphertext, 9, get_byte(ciphertext, 9) # 1) \
         WHERE secret IN (SELECT secret FROM version ORDER BY secret LIMIT 2)",
    );
    let file = private_folder();
    let to = file.path().join("back.db");
    let ran = moves(&database.moved_back(&to, &data.path().join("root.key")));
    ran.expect_refusal();
    says(
        &ran,
        &["nothing was moved", "2 of 40 values do not open, the first version 1 of secret", "altered"],
    );
    assert_eq!(fs::read_dir(file.path()).unwrap().count(), 0, "something is left");

    POSTGRES.run(database.name, "UPDATE audit SET canonical = set_byte(canonical, 40, 1) WHERE sequence = 7");
    let sql = "UPDATE version SET ciphertext = set_byte(ciphertext, 9, get_byte(ciphertext, 9) # 1) \
               WHERE secret IN (SELECT secret FROM version ORDER BY secret LIMIT 2)";
    POSTGRES.run(database.name, sql);
    let ran = moves(&database.moved_back(&to, &data.path().join("root.key")));
    ran.expect_refusal();
    says(&ran, &["nothing was moved", "the audit log was tampered with or damaged", "7"]);
    assert_eq!(fs::read_dir(file.path()).unwrap().count(), 0, "something is left");
}

/// The arguments that move a store there by way of a slow line, so that something can happen meanwhile.
fn slowly(database: &Database, data: &Path) -> (Vec<String>, Proxy) {
    let proxy = Proxy::to(POSTGRES.address());
    proxy.slow(Duration::from_millis(15));
    let url = POSTGRES.url_at(proxy.address(), database.name);
    (database.args(&format!("sqlite:{}", data.display()), &url), proxy)
}

/// Waits until that is the last statement of a move.
fn in_the_middle(database: &Database, process: &mut Process, statement: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND query LIKE '{statement}%'",
        database.name
    );
    poll("it is in the middle", || {
        assert!(process.exited().is_none(), "it ended: {}{}", process.stdout(), process.stderr());
        (POSTGRES.run("postgres", &sql) != "0").then_some(())
    });
}

#[test]
fn a_store_that_is_changed_meanwhile_is_not_moved() {
    let (data, database) = (seeded(4000), Database::make("changed"));
    let server = Server::start(data.path());
    let mut client = server.client();
    let (slow, _proxy) = slowly(&database, data.path());
    let mut process = spawn(&slow);
    in_the_middle(&database, &mut process, "INSERT INTO \"version\"");
    // It is read, and goes on being read; and then it is changed.
    client.get("/vault_secrets?limit=100").expect_status(200);
    make_vault(&mut client, "later");
    // A server makes no store of its own there meanwhile.
    let node = private_folder();
    let begins = || {
        let place = ["--database", &database.url, "--database-password-file", &database.password_file];
        let refused = Server::spawn(node.path(), &place).wait();
        refused.expect_refusal();
        says(&refused, &["was not moved to the end", "strongroom migrate-store once more"]);
        assert!(!node.path().join("root.key").exists());
    };
    begins();
    let ran = process.wait();
    assert_eq!(ran.status.code(), Some(7), "{}{}", ran.stdout, ran.stderr);
    says(&ran, &["was changed while it was copied", "run this again"]);
    // What is there is no store.
    begins();

    // A server that is only read does not keep it from being moved.
    let ran = moves(&database.moved_there(data.path()));
    assert!(ran.success(), "{}{}", ran.stdout, ran.stderr);
    server.stop();
    assert_eq!(database.count("vault"), 2);
    let server = database.serve(node.path(), &data.path().join("root.key"));
    let found = server.client_with(&first_key(data.path())).get("/vaults").expect_status(200).json();
    assert_eq!(found["vaults"].as_array().unwrap().len(), 2);
    server.stop();
}

#[test]
fn a_move_that_is_killed_is_begun_anew() {
    let (data, database) = (seeded(4000), Database::make("killed"));
    let args = database.moved_there(data.path());
    let (slow, _proxy) = slowly(&database, data.path());
    // While it is filled, and while it is read back.
    for statement in ["INSERT INTO \"secret\"", "INSERT INTO \"version\"", "SELECT \"account\", \"secret\""] {
        let mut process = spawn(&slow);
        in_the_middle(&database, &mut process, statement);
        process.kill();
        // The database lets go of it once it notices.
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", database.name);
        poll("the database noticed", || (POSTGRES.run("postgres", &sql) == "0").then_some(()));
        assert!(matches!(database.count("secret"), 0 | 4000), "a part is there");
    }
    let ran = moves(&args);
    assert!(ran.success(), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(database.count("secret"), 4000);

    // The same on the way back.
    let (folder, key) = (private_folder(), data.path().join("root.key"));
    let args = database.moved_back(folder.path(), &key);
    let slow: Vec<String> =
        args.iter().map(|arg| if *arg == database.url { slow[4].clone() } else { arg.clone() }).collect();
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    let mut process = spawn(&slow);
    in_the_middle(&database, &mut process, "SELECT \"account\", \"secret\"");
    assert!(file("strongroom.db.part").exists());
    process.kill();
    assert!(!file("strongroom.db").exists());
    // A server makes a new store of an empty folder, and is not to take what was left for one.
    let ran = moves(&args);
    assert!(ran.success(), "{}{}", ran.stdout, ran.stderr);
    assert!(!file("strongroom.db.part").exists());
    let server = Server::start_with(folder.path(), &["--root-key-file", text(&key)]);
    let mut admin = server.client_with(&first_key(data.path()));
    let key = json!({"grants": [{"action": "resolve", "vault": "prod"}]});
    let key = admin.post("/api_keys", &key).expect_status(201).json();
    let mut client = server.client_with(harness::field(&key, "token"));
    client
        .post("/strongroom/resolve", &json!({"secrets": [{"vault": "prod", "name": "s3999"}]}))
        .expect_status(200);
    server.stop();
}

#[test]
fn many_secrets() {
    const SECRETS: usize = 20_000;
    let (data, database) = (seeded(SECRETS), Database::make("many"));
    let begun = Instant::now();
    let ran = moves(&database.moved_there(data.path()));
    assert!(ran.success(), "{}{}", ran.stdout, ran.stderr);
    let there = begun.elapsed();
    let back = private_folder();
    let begun = Instant::now();
    let ran = moves(&database.moved_back(back.path(), &data.path().join("root.key")));
    assert!(ran.success(), "{}{}", ran.stdout, ran.stderr);
    eprintln!("{SECRETS} secrets: there in {there:.1?}, back in {:.1?}", begun.elapsed());
    assert!(ran.stdout.contains(&format!("{SECRETS} values, such as that of prod:s")), "{}", ran.stdout);
    furnished::assert_same_tables(&data.path().join("strongroom.db"), &back.path().join("strongroom.db"));
}
