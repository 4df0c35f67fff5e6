//! From nothing to a program that uses a secret: a server, a vault, a secret, and `psql`, which reaches a real PostgreSQL
//! with the password that `run` gives it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use harness::{Server, private_folder};
use person::Person;
use serde_json::Value;
use strongroom_testbed::{Options, Postgres};

const PASSWORD: &str = "correct horse; '\"$battery\" \\ staple ü";
const WRONG: &str = "another";

fn set_password(postgres: &Postgres, password: &str) {
    let quoted = password.replace('\'', "''");
    postgres.run("postgres", &format!("ALTER ROLE app PASSWORD '{quoted}'"));
}

#[test]
fn a_program_reaches_its_database_with_the_password_it_is_given() {
    let postgres = Postgres::start(Options::default().careless());
    postgres.run("postgres", "CREATE ROLE app LOGIN");
    set_password(&postgres, PASSWORD);

    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let set = |value: &str| {
        let set = admin.feed(&["secret", "set", "prod:db-password", "--create-vault"], value.as_bytes());
        assert_eq!(set.code, 0, "{}", set.stderr);
    };
    set(PASSWORD);
    let made = admin.run(&["api-key", "create", "--grant", "resolve prod:db-*", "--output", "json"]);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let app = Person::with_key(&server, harness::field(&made, "token"));

    let port = postgres.address().port().to_string();
    let who = "SELECT current_user || ' over ' || host(inet_server_addr())";
    let program = ["psql", "-h", "127.0.0.1", "-p", &port, "-U", "app", "-d", "postgres", "-Atw", "-c", who];
    let run = |options: &[&str]| app.run(&[&["run"], options, &["--"], &program].concat());
    let mapped = ["--map", "PGPASSWORD=prod:db-password"];
    let reached = run(&mapped);
    assert_eq!((reached.code, reached.stdout.as_str()), (0, "app over 127.0.0.1\n"), "{}", reached.stderr);

    // The password is what opens it: with another one it does not, and psql's own code is what `run` ends with.
    set(WRONG);
    let refused = run(&mapped);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("password authentication failed"), "{}", refused.stderr);
    set_password(&postgres, WRONG);
    assert_eq!(run(&mapped).code, 0);

    // Without the mapping the program gets the secret under its own name, which psql does not look at.
    let unnamed = run(&["--vault", "prod"]);
    assert_eq!(unnamed.code, 2, "{}", unnamed.stderr);
    let given = harness::audit_events(&server.data);
    let resolved = given.iter().filter(|event| event["event_type"] == "secret_resolved.v0");
    assert_eq!(resolved.count(), 4);
    server.stop();
}
