//! Earlier values of a secret and deleted things, by hand: listing them, going back, bringing back, destroying.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use harness::{Server, private_folder};
use person::Person;

#[test]
fn an_earlier_value_is_read_and_made_current_again() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve prod:*"]);
    for value in ["one", "two", "three"] {
        admin.feed(&["secret", "set", "prod:db", "--create-vault"], value.as_bytes());
    }
    let listed = admin.does(&["secret", "versions", "prod:db"]);
    let numbers: Vec<_> = listed.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(numbers, ["3", "2", "1"], "{listed}");
    assert!(listed.lines().nth(1).unwrap().ends_with("  -"), "the current one is not replaced: {listed}");
    assert_eq!(reader.does(&["secret", "get", "prod:db@1"]), "one");
    let told = admin.does(&["secret", "rollback", "prod:db", "--to", "1"]);
    assert_eq!(told, "prod:db has the value of version 1 again: it is version 4\n");
    assert_eq!(reader.does(&["secret", "get", "prod:db"]), "one");
    assert_eq!(reader.does(&["secret", "get", "prod:db@3"]), "three");
    let told = admin.does(&["secret", "rollback", "prod:db", "--to", "1"]);
    assert!(told.ends_with("it is version 4\n"), "it has that value already: {told}");
    let told = admin.fails(3, &["secret", "rollback", "prod:db", "--to", "9"]);
    assert!(told.contains("there are 1 to 4") && told.contains("ERR_STRONGROOM_1021"), "{told}");
    admin.fails(3, &["secret", "versions", "prod:nope"]);
    reader.fails(3, &["secret", "rollback", "prod:db", "--to", "1"]);
    assert_eq!(admin.run(&["secret", "rollback", "prod:db", "--to", "0"]).code, 2);
    assert_eq!(admin.run(&["secret", "versions", "prod:db@1"]).code, 2);
    let json = admin.json(&["secret", "versions", "prod:db", "--output", "json"]);
    assert_eq!((&json["versions"][0]["version"], &json["versions"][0]["current"]), (&4.into(), &true.into()));
    server.stop();
}

#[test]
fn a_vault_keeps_as_many_as_it_is_told() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.does(&["vault", "create", "prod"]);
    let as_server = "vault     prod\nversions  as the server is set\nfor       as the server is set\n";
    assert_eq!(admin.does(&["vault", "keep", "prod"]), as_server);
    let set = admin.does(&["vault", "keep", "prod", "--versions", "2", "--for", "36h"]);
    assert_eq!(set, "vault     prod\nversions  2\nfor       1d12h\n");
    assert_eq!(admin.does(&["vault", "keep", "prod", "--versions", "3"]), set.replace("  2\n", "  3\n"));
    for value in ["one", "two", "three", "four"] {
        admin.feed(&["secret", "set", "prod:db"], value.as_bytes());
    }
    assert_eq!(admin.does(&["secret", "versions", "prod:db"]).lines().count(), 1 + 3);
    assert_eq!(admin.does(&["vault", "keep", "prod", "--as-server"]), as_server);
    admin.fails(3, &["vault", "keep", "nowhere"]);
    for bad in [&["--versions", "101"][..], &["--for", "0d"], &["--versions", "2", "--as-server"]] {
        assert_eq!(admin.run(&[&["vault", "keep", "prod"], bad].concat()).code, 2, "{bad:?}");
    }
    admin.fails(6, &["vault", "keep", "prod", "--for", "50000d"]);
    server.stop();
}

/// What is set when the server starts counts for what was written before.
#[test]
fn a_start_destroys_what_is_not_to_be_kept_any_longer() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    for value in ["one", "two", "three"] {
        admin.feed(&["secret", "set", "prod:db", "--create-vault"], value.as_bytes());
    }
    server.stop();
    let server = Server::start_with(folder.path(), &["--keep-versions", "2"]);
    let admin = Person::admin(&server);
    let count = || admin.does(&["secret", "versions", "prod:db"]).lines().count() - 1;
    harness::poll("the first version goes", || (count() == 2).then_some(()));
    server.stop();
}

#[test]
fn a_deleted_secret_is_listed_brought_back_and_destroyed() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve prod:*"]);
    for value in ["one", "two"] {
        admin.feed(&["secret", "set", "prod:db", "--create-vault"], value.as_bytes());
    }
    admin.fails(3, &["secret", "undelete", "prod:db"]);
    admin.does(&["secret", "delete", "prod:db", "--yes"]);
    reader.fails(3, &["secret", "get", "prod:db"]);
    reader.fails(3, &["secret", "get", "prod:db@1"]);
    let listed = admin.does(&["secret", "deleted", "prod"]);
    assert!(listed.lines().nth(1).unwrap().starts_with("prod:db  2 "), "{listed}");
    assert_eq!(admin.does(&["secret", "deleted", "staging"]).lines().count(), 1);
    admin.feed(&["secret", "set", "prod:db"], b"another");
    let told = admin.fails(7, &["secret", "undelete", "prod:db"]);
    assert!(told.contains("ERR_STRONGROOM_1025"), "{told}");
    assert_eq!(admin.does(&["secret", "undelete", "prod:db", "--name", "db-old"]), "prod:db-old is back\n");
    assert_eq!(reader.does(&["secret", "get", "prod:db-old@1"]), "one");
    for _ in 0..2 {
        admin.does(&["secret", "delete", "prod:db", "--yes"]);
        admin.feed(&["secret", "set", "prod:db"], b"again");
    }
    let told = admin.fails(6, &["secret", "purge", "prod:db", "--yes"]);
    assert!(told.contains("several secrets called 'prod:db' were deleted"), "{told}");
    let json = admin.json(&["secret", "deleted", "prod", "--output", "json"]);
    let id = json[0]["id"].as_str().unwrap();
    admin.fails(2, &["secret", "purge", "prod:db", "--id", id]);
    let told = admin.does(&["secret", "purge", "prod:db", "--id", id, "--yes"]);
    assert_eq!(told, "prod:db is destroyed\n");
    assert_eq!(
        admin.does(&["secret", "undelete", "prod:db", "--name", "b"]),
        "prod:b is back\n",
        "the other one"
    );
    server.stop();
}

#[test]
fn a_deleted_vault_is_brought_back_before_its_secrets() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.feed(&["secret", "set", "prod:db", "--create-vault"], b"one");
    admin.does(&["secret", "delete", "prod:db", "--yes"]);
    admin.does(&["vault", "delete", "prod", "--yes"]);
    assert!(admin.does(&["vault", "deleted"]).lines().nth(1).unwrap().starts_with("prod  "));
    let told = admin.fails(7, &["secret", "undelete", "prod:db"]);
    assert!(told.contains("ERR_STRONGROOM_1024"), "{told}");
    assert_eq!(admin.does(&["vault", "undelete", "prod"]), "prod is back\n");
    assert_eq!(admin.does(&["secret", "undelete", "prod:db"]), "prod:db is back\n");
    admin.does(&["secret", "delete", "prod:db", "--yes"]);
    admin.does(&["vault", "delete", "prod", "--yes"]);
    assert_eq!(admin.does(&["vault", "purge", "prod", "--yes"]), "prod is destroyed\n");
    assert_eq!(admin.does(&["secret", "deleted"]).lines().count(), 1, "it took its secret along");
    admin.fails(3, &["vault", "undelete", "prod"]);
    server.stop();
}
