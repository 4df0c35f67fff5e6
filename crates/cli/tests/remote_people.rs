//! The short forms, against a real server: what they do, how they end, and where values may show.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::process::Stdio;

use harness::{Server, field, first_key, make_vault, private_folder};
use person::Person;
use serde_json::json;

#[test]
fn a_secret_from_its_making_to_its_end() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve *:*"]);
    let set = ["secret", "set", "prod:db-password", "--create-vault", "--description", "the database"];
    let made = admin.feed(&set, b"hunter2\n");
    assert_eq!((made.code, made.stdout.as_str()), (0, "prod:db-password is made\n"), "{made:?}");
    assert_eq!(
        reader.does(&["secret", "get", "prod:db-password"]),
        "hunter2\n",
        "a pipe's bytes are kept exactly"
    );
    let id = field(&admin.json(&["secret", "show", "prod:db-password", "--output", "json"]), "id").to_owned();

    let changed = admin.feed(&["secret", "set", "prod:db-password", "--trim"], b"hunter3\r\n");
    assert_eq!((changed.code, changed.stdout.as_str()), (0, "prod:db-password is stored\n"), "{changed:?}");
    assert_eq!(reader.does(&["secret", "get", "prod:db-password"]), "hunter3");
    let shown = admin.does(&["secret", "show", "prod:db-password"]);
    for line in ["version      2\n", "description  the database\n", &format!("id           {id}\n")] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
    assert!(shown.contains("resolved     20") && shown.contains(" by ak_"), "{shown}");

    assert_eq!(
        admin.does(&["secret", "rename", "prod:db-password", "pg"]),
        "prod:db-password is now prod:pg\n"
    );
    admin.does(&["vault", "create", "staging"]);
    assert_eq!(admin.does(&["secret", "move", "prod:pg", "staging"]), "prod:pg is now staging:pg\n");
    let moved = admin.json(&["secret", "move", "staging:pg", "prod:postgres", "--output", "json"]);
    assert_eq!((field(&moved, "id"), field(&moved, "name")), (id.as_str(), "postgres"));
    assert_eq!(reader.does(&["secret", "get", "prod:postgres"]), "hunter3");
    admin.fails(6, &["secret", "move", "prod:postgres", "prod:x"]);

    admin.fails(2, &["secret", "delete", "prod:postgres"]);
    assert_eq!(admin.does(&["secret", "delete", "prod:postgres", "--yes"]), "prod:postgres is removed\n");
    admin.fails(3, &["secret", "show", "prod:postgres"]);
    server.stop();
}

#[test]
fn vaults_by_name() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    assert_eq!(admin.does(&["vault", "create", "prod", "--description", "Production"]), "prod is made\n");
    assert_eq!(admin.does(&["vault", "rename", "prod", "production"]), "prod is now production\n");
    assert!(admin.does(&["vault", "show", "production"]).contains("description  Production\n"));
    let list = admin.does(&["vault", "list"]);
    assert!(list.starts_with("NAME        CREATED               DESCRIPTION\nproduction  20"), "{list}");
    let (short, api) =
        (admin.json(&["vault", "list", "--output", "json"]), admin.json(&["api", "vaults", "list"]));
    assert_eq!(short, api, "the API's own shape");
    admin.does(&["secret", "set", "production:x", "--value", "x"]);
    let told = admin.fails(7, &["vault", "delete", "production", "--yes"]);
    assert!(told.contains("ERR_NGROK_23003"), "{told}");
    admin.does(&["secret", "delete", "production:x", "-y"]);
    assert_eq!(admin.does(&["vault", "delete", "production", "--yes"]), "production is removed\n");
    admin.fails(3, &["vault", "show", "production"]);
    server.stop();
}

#[test]
fn lists_are_whole_whatever_their_length() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let mut client = server.client();
    for number in 0..205 {
        make_vault(&mut client, &format!("vault-{number:03}"));
    }
    let vaults = Person::admin(&server).json(&["vault", "list", "--output", "json"]);
    let names: Vec<_> =
        vaults["vaults"].as_array().unwrap().iter().map(|vault| field(vault, "name")).collect();
    let expected: Vec<_> = (0..205).map(|number| format!("vault-{number:03}")).collect();
    assert_eq!(names, expected);
    server.stop();
}

#[test]
fn secrets_are_listed_by_vault_and_pattern() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    for name in ["prod:tls-key", "prod:tls-cert", "prod:db", "staging:tls-key"] {
        assert_eq!(admin.feed(&["secret", "set", name, "--create-vault"], b"x").code, 0);
    }
    admin.does(&["vault", "create", "empty"]);
    let listed = |args: &[&str]| -> Vec<String> {
        let text = admin.does(&[&["secret", "list"], args].concat());
        text.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&[]), ["prod:db", "prod:tls-cert", "prod:tls-key", "staging:tls-key"]);
    assert_eq!(listed(&["prod"]), ["prod:db", "prod:tls-cert", "prod:tls-key"]);
    assert_eq!(listed(&["prod:tls-*"]), ["prod:tls-cert", "prod:tls-key"]);
    assert_eq!(listed(&["prod:db"]), ["prod:db"]);
    assert_eq!(listed(&["empty"]), Vec::<String>::new());
    admin.fails(3, &["secret", "list", "nowhere"]);
    admin.fails(2, &["secret", "list", "*:db"]);
    let json = admin.json(&["secret", "list", "prod:db", "--output", "json"]);
    assert_eq!(json["secrets"][0]["version"], 1);
    server.stop();
}

#[test]
fn several_values_come_as_json_in_the_order_asked() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve prod:*"]);
    for (name, value) in [("prod:a", "one"), ("prod:b", "two"), ("staging:c", "three")] {
        admin.feed(&["secret", "set", name, "--create-vault"], value.as_bytes());
    }
    let both = reader.json(&["secret", "get", "prod:b", "prod:a@1", "--output", "json"]);
    let values: Vec<_> =
        both["secrets"].as_array().unwrap().iter().map(|secret| field(secret, "value")).collect();
    assert_eq!(values, ["two", "one"]);
    reader.fails(2, &["secret", "get", "prod:a", "prod:b"]);
    let told = reader.fails(3, &["secret", "get", "prod:a", "prod:nope", "--output", "json"]);
    assert!(told.contains("prod:nope") && !told.contains("one"), "{told}");
    reader.fails(3, &["secret", "get", "prod:a@7"]);
    reader.fails(3, &["secret", "get", "staging:c"]);
    let told = admin.fails(4, &["secret", "get", "prod:a"]);
    assert!(
        told.contains("ERR_STRONGROOM_1002") && told.contains("strongroom api-key create --grant"),
        "{told}"
    );
    server.stop();
}

#[test]
fn keys_are_made_explained_and_removed() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.feed(&["secret", "set", "prod:tls-key", "--create-vault"], b"x");
    let create =
        ["api-key", "create", "--grant", "resolve prod:tls-*", "--expires-in", "90d", "--description", "web"];
    let made = admin.run(&create);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stderr.contains("this once"), "{made:?}");
    let line = |name: &str| {
        let line = made.stdout.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {}", made.stdout)).trim()
    };
    let (id, token) = (line("id "), line("token "));
    assert_eq!((line("grants "), line("description ")), ("resolve prod:tls-*", "web"));
    assert!(line("expires ").ends_with('Z'));
    let web = Person::with_key(&server, token);
    assert_eq!(web.does(&["secret", "get", "prod:tls-key"]), "x");
    assert!(web.does(&["whoami"]).contains("grants   resolve prod:tls-*\n"));

    let explained = admin.does(&["explain", "--key", id, "prod:tls-key"]);
    assert!(explained.contains(&format!("{id} acts for usr_")), "{explained}");
    let resolve = explained.lines().find(|line| line.starts_with("resolve ")).unwrap();
    assert!(resolve.contains("yes      resolve prod:tls-*"), "{explained}");
    let other = web.json(&["explain", "prod:db", "--output", "json"]);
    assert_eq!((&other["visible"], &other["actions"][2]["allowed"]), (&json!(false), &json!(false)));

    let list = admin.does(&["api-key", "list"]);
    let (short, api) =
        (admin.json(&["api-key", "list", "--output", "json"]), admin.json(&["api", "api-keys", "list"]));
    assert_eq!(short, api, "the API's own shape");
    assert!(list.contains(id) && list.contains("resolve prod:tls-*") && !list.contains(token), "{list}");
    assert!(!admin.does(&["api-key", "show", id]).contains(token));
    admin.fails(2, &["api-key", "delete", id]);
    admin.does(&["api-key", "delete", id, "--yes"]);
    web.fails(4, &["secret", "get", "prod:tls-key"]);
    for bad in ["--expires-in=0d", "--expires-in=90", "--grant=resolve a:b:c", "--grant="] {
        assert_eq!(admin.run(&["api-key", "create", bad]).code, 2, "{bad}");
    }
    server.stop();
}

#[test]
fn stale_secrets_are_those_that_nobody_used() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    for name in ["prod:used", "prod:unused", "staging:unused"] {
        admin.feed(&["secret", "set", name, "--create-vault"], b"x");
    }
    let count = |args: &[&str]| admin.does(&[&["stale", "--older"], args].concat()).lines().count() - 1;
    assert_eq!(count(&["90d"]), 0, "all of them were made just now");
    // Times are whole seconds, so one that was made in this second is not yet older than one second.
    harness::poll("they get older than a second", || (count(&["1s"]) == 3).then_some(()));
    admin.granted(&server, &["resolve prod:*"]).does(&["secret", "get", "prod:used"]);
    assert_eq!(count(&["1h"]), 0);
    assert_eq!(count(&["1s", "--vault", "staging"]), 1);
    admin.fails(3, &["stale", "--older", "1d", "--vault", "nowhere"]);
    assert_eq!(admin.run(&["stale", "--older", "1y"]).code, 2);
    server.stop();
}

#[test]
fn the_exit_code_tells_the_kind_of_failure() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.does(&["vault", "create", "prod"]);
    admin.fails(3, &["secret", "show", "prod:nope"]);
    admin.fails(3, &["secret", "rename", "prod:nope", "x"]);
    admin.fails(3, &["vault", "delete", "nope", "--yes"]);
    let no_vault = admin.fails(3, &["secret", "set", "nope:x", "--value", "x"]);
    assert!(no_vault.contains("--create-vault"), "{no_vault}");
    admin.fails(7, &["vault", "create", "prod"]);
    admin.fails(6, &["vault", "create", "no spaces"]);
    admin.fails(6, &["secret", "set", "prod:x", "--value", ""]);
    admin.fails(2, &["secret", "set", "prod:x", "value"]);
    assert_eq!(admin.run(&["vault", "frobnicate"]).code, 2);
    assert_eq!(admin.run(&["secret", "get", "no-colon"]).code, 2);
    assert_eq!(admin.run(&["secret", "show", "prod:x@3"]).code, 2);
    Person::with_key(&server, "wrong").fails(4, &["vault", "list"]);
    let told = Person::stranger().fails(4, &["vault", "list"]);
    for way in ["strongroom login", "STRONGROOM_API_KEY", "NGROK_API_KEY", "--api-key-file"] {
        assert!(told.contains(way), "{way} in {told}");
    }
    admin.fails(6, &["vault", "list", "--url", "http://127.0.0.1:7070/path"]);
    let gone = Person::admin(&server);
    server.stop();
    let told = gone.fails(5, &["vault", "list"]);
    assert!(told.contains("cannot be reached") && told.contains("--url"), "{told}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let mut child =
        admin.command(&["vault", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    server.stop();
}

#[test]
fn what_a_terminal_would_obey_is_shown_and_not_done() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    admin.does(&["vault", "create", "prod", "--description", "a\u{1b}[2Jb\nc"]);
    for args in [&["vault", "list"][..], &["vault", "show", "prod"]] {
        let printed = admin.does(args);
        assert!(printed.contains("a\\u{1b}[2Jb\\nc") && !printed.contains('\u{1b}'), "{printed}");
    }
    server.stop();
}

#[test]
fn colours_are_not_put_into_a_pipe() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server).set("TERM", "xterm-256color").set("COLORTERM", "truecolor");
    admin.does(&["vault", "create", "prod"]);
    for args in [&["vault", "list"][..], &["vault", "show", "prod"], &["--help"]] {
        let done = admin.run(args);
        assert!(!done.stdout.contains('\u{1b}') && !done.stderr.contains('\u{1b}'), "{done:?}");
    }
    server.stop();
}

#[test]
fn values_and_tokens_show_only_where_they_were_asked_for() {
    const VALUE: &str = "canary-value-7f3a9";
    let folder = private_folder();
    let server = Server::start(folder.path());
    let token = first_key(&server.data);
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve prod:*"]);
    let file = admin.file("value", VALUE.as_bytes());
    let wrong = format!("{token}x");
    let bad_key = Person::with_key(&server, &wrong);
    let odd_key = Person::with_key(&server, &format!("{token} {token}"));
    let ran = [
        admin.run(&["secret", "set", "prod:a", "--value-file", &file]),
        admin.run(&["secret", "set", "prod:a", "--value-file", &file, "--create-vault"]),
        admin.run(&["secret", "set", "prod:a", "--value", VALUE, "--output", "json"]),
        admin.run(&["secret", "set", "prod:a", VALUE]),
        admin.feed(&["secret", "set", "no good", "--create-vault"], VALUE.as_bytes()),
        admin.run(&["api", "secrets", "create", "--name", "a", "--value", VALUE, "--vault-name", "prod"]),
        admin.run(&["api", "secrets", "create", "--name", "c", "--value", VALUE, "--vault-name", "prod"]),
        admin.run(&[
            "api",
            "secrets",
            "create",
            "--name",
            "!",
            "--value-file",
            &file,
            "--vault-name",
            "prod",
        ]),
        admin.run(&["secret", "list", "--output", "json"]),
        admin.run(&["secret", "show", "prod:a"]),
        reader.run(&["secret", "get", "prod:a", "prod:nope", "--output", "json"]),
        admin.run(&["secret", "get", "prod:a"]),
        admin.run(&["secret", "rename", "prod:a", "b"]),
        admin.run(&["secret", "delete", "prod:c", "--yes"]),
        admin.run(&["api-key", "list", "--output", "json"]),
        admin.run(&["whoami", "--output", "json"]),
        admin.run(&["whoami", "--api-key", &token, "--profile", ""]),
        bad_key.run(&["whoami"]),
        odd_key.run(&["whoami"]),
        bad_key.run(&["login"]),
        admin.run(&["whoami", "--url", "http://127.0.0.1:1"]),
        admin.run(&["login", "--help"]),
    ];
    for done in ran {
        let all = format!("{}{}", done.stdout, done.stderr);
        assert!(!all.contains(VALUE), "{all}");
        assert!(!all.contains(&token), "{all}");
    }
    assert_eq!(reader.does(&["secret", "get", "prod:b"]), VALUE, "it was there to be found");
    server.stop();
}
