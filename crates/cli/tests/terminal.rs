//! A session at a real terminal: what is asked, what is shown of the answers, and colours.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
#[path = "terminal/pty.rs"]
mod pty;

use harness::{Server, first_key, private_folder};
use person::Person;
use pty::Session;
use rustix::process::Signal;

/// Starts a command and waits until it asks this, without showing what will be typed.
fn asked(person: &Person, args: &[&str], question: &str) -> Session {
    let session = Session::start(person.command(args));
    session.wait_for(question);
    session
}

#[test]
fn login_asks_for_the_key_and_does_not_show_it() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let token = first_key(&server.data);
    let person = Person::stranger();
    let mut session = asked(&person, &["login", "--url", &server.url], "API key for http://127.0.0.1:");
    assert!(!session.echoes());
    session.types(&format!("{token}\r"));
    let (code, screen, echoes) = session.end();
    assert_eq!(code, 0, "{screen}");
    assert!(echoes, "the terminal is as it was");
    assert!(screen.contains("admin@localhost") && !screen.contains(&token), "{screen}");
    person.does(&["vault", "list"]);
    server.stop();
}

#[test]
fn a_value_is_asked_for_twice_and_not_shown() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve *:*"]);
    let set = ["secret", "set", "prod:x", "--create-vault"];
    let mut session = asked(&admin, &set, "Value of prod:x: ");
    session.types("canary wrong\u{15}canary-ä\u{7f}ö\r").wait_for("Once more: ");
    session.types("canary-ö\r");
    let (code, screen, echoes) = session.end();
    assert_eq!((code, echoes), (0, true), "{screen}");
    assert!(screen.contains("prod:x is made") && !screen.contains("canary"), "{screen}");
    assert_eq!(reader.does(&["secret", "get", "prod:x"]), "canary-ö", "without the new line that ended it");

    let mut session = asked(&admin, &set, "Value of prod:x: ");
    session.types("one\r").wait_for("Once more: ");
    session.types("two\r");
    let (code, screen, echoes) = session.end();
    assert_eq!((code, echoes), (6, true), "{screen}");
    assert!(screen.contains("the two are not the same"), "{screen}");
    assert_eq!(reader.does(&["secret", "get", "prod:x"]), "canary-ö");
    server.stop();
}

#[test]
fn a_pasted_value_may_be_longer_than_a_terminals_line() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let value = "0123456789abcdef".repeat(1000);
    let mut session =
        asked(&admin, &["secret", "set", "prod:long", "--create-vault"], "Value of prod:long: ");
    session.types(&format!("{value}\r")).wait_for("Once more: ");
    session.types(&format!("{value}\r"));
    let (code, screen, _) = session.end();
    assert_eq!(code, 0, "{screen}");
    let reader = admin.granted(&server, &["resolve *:*"]);
    assert_eq!(reader.does(&["secret", "get", "prod:long"]), value);
    server.stop();
}

#[test]
fn who_changes_their_mind_gets_the_terminal_back() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    for keys in ["half\u{3}", "\u{4}"] {
        let mut session = asked(&admin, &["secret", "set", "prod:x", "--create-vault"], "Value of prod:x: ");
        session.types(keys);
        let (code, screen, echoes) = session.end();
        assert_eq!((code, echoes), (1, true), "{screen}");
        assert!(screen.contains("nothing was done") && !screen.contains("half"), "{screen}");
    }
    admin.fails(3, &["vault", "show", "prod"]);
    server.stop();
}

#[test]
fn a_prompt_that_is_ended_gives_the_terminal_back() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    for signal in [Signal::TERM, Signal::HUP] {
        let session = asked(&admin, &["secret", "set", "prod:x"], "Value of prod:x: ");
        assert!(!session.echoes());
        session.signal(signal);
        let (_, screen, echoes) = session.end();
        assert!(echoes, "after {signal:?}: {screen}");
    }
    server.stop();
}

#[test]
fn nothing_is_removed_without_consent() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.feed(&["secret", "set", "prod:x", "--create-vault"], b"x");
    for (answer, code) in [("\n", 1), ("n\n", 1), ("no way\n", 1), ("y\n", 0)] {
        let mut session = asked(&admin, &["secret", "delete", "prod:x"], "Remove the secret prod:x? [y/N] ");
        session.types(answer);
        let (ended, screen, _) = session.end();
        assert_eq!(ended, code, "{answer:?}: {screen}");
        let there = admin.run(&["secret", "show", "prod:x"]).code == 0;
        assert_eq!(there, code != 0, "{answer:?}");
    }
    let mut session = asked(&admin, &["vault", "delete", "prod"], "Remove the vault prod? [y/N] ");
    session.types("y\n");
    assert_eq!(session.end().0, 0);
    server.stop();
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server).set("TERM", "xterm-256color");
    admin.does(&["vault", "create", "prod"]);
    let shown = |person: &Person, args: &[&str]| Session::start(person.command(args)).end().1;
    assert!(shown(&admin, &["vault", "list"]).contains("\u{1b}[1mNAME"), "a bold heading");
    assert!(shown(&admin, &["--help"]).contains("\u{1b}[1m"));
    let plain = admin.set("NO_COLOR", "1");
    for args in [&["vault", "list"][..], &["vault", "show", "prod"], &["--help"]] {
        let screen = shown(&plain, args);
        assert!(!screen.contains('\u{1b}'), "{screen:?}");
    }
    server.stop();
}

#[test]
fn a_value_on_a_terminal_ends_its_line() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.feed(&["secret", "set", "prod:x", "--create-vault"], b"hunter2");
    let reader = admin.granted(&server, &["resolve *:*"]);
    let (code, screen, _) = Session::start(reader.command(&["secret", "get", "prod:x"])).end();
    assert_eq!((code, screen.as_str()), (0, "hunter2\r\n"));
    assert_eq!(reader.does(&["secret", "get", "prod:x"]), "hunter2");
    server.stop();
}
