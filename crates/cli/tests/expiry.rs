//! Ends of secrets, by hand: setting and showing them, and that nothing past its end is used.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
mod prod;

use harness::{Server, files, poll, private_folder};
use jiff::{SignedDuration, Timestamp};
use person::{Done, Person};
use prod::Prod;
use strongroom_domain::clock::{Clock, SystemClock};

const VALUE: &str = "canary-with-an-end";

/// A time that is a few seconds ahead, as a command takes it.
fn soon() -> String {
    let at = SystemClock.now().checked_add(SignedDuration::from_secs(6)).unwrap();
    Timestamp::from_second(at.as_second()).unwrap().to_string()
}

#[test]
fn an_end_is_set_shown_and_taken_away() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let set = |args: &[&str]| {
        let args = [&["secret", "set", "prod:token", "--create-vault"], args].concat();
        let done = admin.feed(&args, VALUE.as_bytes());
        assert_eq!(done.code, 0, "{done:?}");
    };
    let shown = || {
        let shown = admin.does(&["secret", "show", "prod:token"]);
        shown.lines().find_map(|line| line.strip_prefix("expires")).unwrap().trim().to_owned()
    };
    set(&["--expires-at", "2100-01-01T01:00:00+01:00"]);
    assert_eq!(shown(), "2100-01-01T00:00:00Z");
    set(&["--description", "of a partner"]);
    assert_eq!(shown(), "2100-01-01T00:00:00Z", "it stays");
    assert!(admin.does(&["secret", "list"]).contains("  2100-01-01T00:00:00Z  of a partner"));
    let expiring =
        |time: &str| admin.does(&["secret", "list", "prod", "--expiring", time]).lines().count() - 1;
    assert_eq!(expiring("30d"), 0);
    set(&["--expires-in", "20d"]);
    assert_eq!((expiring("30d"), expiring("10d")), (1, 0));
    let json = admin.json(&["secret", "list", "--expiring", "30d", "--output", "json"]);
    assert!(json["secrets"][0]["expires_at"].as_str().unwrap().starts_with("20"), "{json}");
    set(&["--expires-at", ""]);
    assert_eq!((shown().as_str(), expiring("30d")), ("never", 0));
    for (code, args) in [
        (6, &["--expires-at", "tomorrow"][..]),
        (6, &["--expires-at", "2020-01-01T00:00:00Z"]),
        (2, &["--expires-in", "0d"]),
        (2, &["--expires-in", "1d", "--expires-at", "2100-01-01T00:00:00Z"]),
    ] {
        let args = [&["secret", "set", "prod:token"], args].concat();
        let done = admin.feed(&args, VALUE.as_bytes());
        assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{args:?}: {done:?}");
        assert!(!done.stderr.contains(VALUE), "{done:?}");
    }
    server.stop();
}

fn run(reader: &Person, args: &[&str]) -> Done {
    reader.run(&[&["run", "--vault", "prod"], args, &["--", "sh", "-c", "echo $DB_PASSWORD"]].concat())
}

/// A secret that ends in a few seconds, whose value is in the cache of a reader.
fn cached_and_ending() -> Prod {
    let prod = Prod::with(&[("db-password", VALUE)]);
    let admin = Person::admin(&prod.server);
    let done = admin.feed(&["secret", "set", "prod:db-password", "--expires-at", &soon()], VALUE.as_bytes());
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(run(&prod.reader, &["--offline"]).stdout, format!("{VALUE}\n"));
    prod
}

#[test]
fn a_value_past_its_end_is_given_to_nobody() {
    let prod = cached_and_ending();
    let Prod { server, reader, .. } = &prod;
    let refused =
        poll("it ends", || Some(reader.run(&["secret", "get", "prod:db-password"])).filter(|d| d.code != 0));
    assert_eq!((refused.code, refused.stdout.as_str()), (3, ""), "{refused:?}");
    let told = &refused.stderr;
    assert!(told.contains("prod:db-password at 20") && told.contains("ERR_STRONGROOM_1011"), "{told}");
    prod.refuses(3, &["--vault", "prod"]);
    let template = reader.file("template", b"${secrets.get('prod','db-password')}");
    reader.fails(3, &["render", &template, "-o", prod.path("rendered").to_str().unwrap()]);
    assert!(!prod.path("rendered").exists());
    // The server is believed, and what was cached goes.
    assert!(!files::contents(&reader.home().join(".cache/strongroom")).is_empty());
    assert_eq!(run(reader, &["--offline"]).code, 3);
    assert!(files::contents(&reader.home().join(".cache/strongroom")).is_empty());
    // It is there all the same, and another end brings its value back.
    let admin = Person::admin(server);
    assert!(admin.does(&["secret", "list", "--expiring", "1s"]).contains("prod:db-password"));
    admin.feed(&["secret", "set", "prod:db-password", "--expires-at", ""], VALUE.as_bytes());
    assert_eq!(reader.does(&["secret", "get", "prod:db-password"]), VALUE);
    prod.server.stop();
}

#[test]
fn a_cached_value_past_its_end_is_not_used() {
    let Prod { server, reader, .. } = cached_and_ending();
    server.stop();
    let done = poll("it ends", || Some(run(&reader, &["--offline"])).filter(|done| done.code != 0));
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{done:?}");
    assert!(done.stderr.contains("the cached value of prod:db-password expired at 20"), "{done:?}");
}
