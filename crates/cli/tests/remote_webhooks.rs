//! `strongroom webhook`: what it prints, how it ends, and where a signing secret may show.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
#[path = "webhooks/target.rs"]
mod target;

use harness::{Server, field, poll, private_folder, text};
use person::Person;
use target::{Does, Target};

const GIVEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_webhook_from_its_making_to_its_end() {
    let folder = private_folder();
    let server =
        Server::start_with(folder.path(), &["--webhooks-allow-private", "--webhooks-retry-after=10ms"]);
    let (admin, target) = (Person::admin(&server), Target::new(Does::Answer(204)));
    let url = target.url("/in");
    let made =
        admin.run(&["webhook", "create", &url, "--event", "vault_created.v0", "--description", "pager"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        made.stdout.contains("secret       whsec_") && made.stderr.contains("shown this once"),
        "{made:?}"
    );
    let list = admin.json(&["webhook", "list", "--output", "json"]);
    let id = field(&list["webhooks"][0], "id").to_owned();
    let shown = admin.does(&["webhook", "show", &id]);
    assert!(shown.contains("description  pager\n") && !shown.contains("whsec_"), "{shown}");
    assert_eq!(shown, admin.does(&["webhook", "get", &id]));

    assert_eq!(admin.does(&["webhook", "test", &id]), "the test message was taken\n");
    target.does(Does::Answer(500));
    let told = admin.fails(1, &["webhook", "test", &id]);
    assert!(told.contains("was not taken: the target answered 500"), "{told}");
    let tested = admin.run(&["webhook", "test", &id, "--output", "json"]);
    assert_eq!(tested.code, 1, "{tested:?}");
    assert!(tested.stdout.contains("\"delivered\": false"), "{tested:?}");

    admin.does(&["vault", "create", "prod"]);
    let dead = ["webhook", "deliveries", &id, "--state", "dead"];
    let listed = poll("it is given up", || Some(admin.does(&dead)).filter(|list| list.lines().count() == 2));
    assert!(listed.contains("vault_created.v0  dead   2 "), "{listed}");
    let number = listed.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    target.does(Does::Answer(200));
    assert_eq!(admin.does(&["webhook", "retry", &id, &number]), "1 delivery is tried again now\n");
    poll("it is taken", || (admin.does(&dead).lines().count() == 1).then_some(()));
    admin.fails(3, &["webhook", "retry", &id, &number]);
    assert_eq!(admin.does(&["webhook", "retry", &id]), "0 deliveries are tried again now\n");

    let changed = admin.does(&["webhook", "update", &id, "--event", "*", "--active=false"]);
    assert!(changed.contains("active       false\n") && changed.contains("events       *\n"), "{changed}");
    admin.fails(2, &["webhook", "delete", &id]);
    assert_eq!(admin.does(&["webhook", "delete", &id, "--yes"]), format!("{id} is removed\n"));
    admin.fails(3, &["webhook", "show", &id]);
    server.stop();
}

#[test]
fn signing_secrets_come_by_file_and_are_shown_once() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let create = ["webhook", "create", "https://hooks.example.com/", "--event", "*"];
    let only = admin.does(&[&create[..], &["--secret-only"]].concat());
    assert!(only.starts_with("whsec_") && only.lines().count() == 1, "{only}");

    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{GIVEN}\n")).unwrap();
    let from_file = admin.json(&[&create[..], &["--secret-file", text(&file), "--output", "json"]].concat());
    assert_eq!(from_file["secret"], GIVEN);
    let id = field(&from_file, "id").to_owned();
    let fed = admin.feed(&["webhook", "update", &id, "--secret-file", "-"], GIVEN.as_bytes());
    assert!(fed.code == 0 && !fed.stdout.contains("whsec_"), "what was given is not shown again: {fed:?}");
    let renewed = admin.run(&["webhook", "update", &id, "--new-secret"]);
    assert!(renewed.stdout.contains("secret") && renewed.stderr.contains("shown this once"), "{renewed:?}");
    assert!(!renewed.stdout.contains(GIVEN));

    std::fs::write(&file, "whsec_short").unwrap();
    let told = admin.fails(6, &[&create[..], &["--secret-file", text(&file)]].concat());
    assert!(told.contains("24 to 64 bytes") && !told.contains("whsec_short"), "{told}");
    admin.fails(2, &["webhook", "create", "https://hooks.example.com/"]);
    let told = admin.fails(6, &["webhook", "create", "http://hooks.example.com/", "--event", "*"]);
    assert!(told.contains("ERR_STRONGROOM_1050"), "{told}");
    let told = admin.granted(&server, &["read *:*"]).fails(4, &["webhook", "list"]);
    assert!(told.contains("ERR_STRONGROOM_1053"), "{told}");
    server.stop();
}
