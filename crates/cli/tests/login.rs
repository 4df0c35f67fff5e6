//! Profiles: what `login` stores and where, who may read it, and which server a key is sent to.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use harness::files::{mode, set_mode};
use harness::{Server, first_key, private_folder, text};
use person::Person;

fn config_of(person: &Person) -> PathBuf {
    person.home().join(".config/strongroom/config.toml")
}

#[test]
fn a_login_is_checked_stored_and_used() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let token = first_key(&server.data);
    let person = Person::stranger();
    let login = person.feed(&["login", "--url", &server.url], format!("{token}\n").as_bytes());
    assert_eq!(login.code, 0, "{login:?}");
    assert!(login.stdout.contains("user     admin@localhost\n"), "{login:?}");
    assert!(login.stdout.contains("grants   what its owner may, but no values\n"), "{login:?}");
    assert!(!login.stdout.contains(&token) && !login.stderr.contains(&token), "{login:?}");
    let config = config_of(&person);
    assert_eq!((mode(&config), mode(config.parent().unwrap())), (0o600, 0o700));
    assert_eq!(person.does(&["vault", "create", "prod"]), "prod is made\n");
    assert!(person.does(&["whoami"]).contains(&format!("server   {}\n", server.url)));

    assert!(person.does(&["logout"]).starts_with("The profile default is removed."));
    assert!(!std::fs::read_to_string(&config).unwrap().contains(&token));
    person.fails(4, &["whoami"]);
    person.fails(3, &["logout"]);
    server.stop();
}

#[test]
fn a_key_that_opens_nothing_is_not_stored() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let person = Person::stranger();
    for key in ["wrong", "", "two words"] {
        let login = person.feed(&["login", "--url", &server.url], key.as_bytes());
        assert_eq!((login.code, login.stdout.as_str()), (4, ""), "{login:?}");
        assert!(!config_of(&person).exists());
    }
    let url = server.url.clone();
    server.stop();
    assert_eq!(person.feed(&["login", "--url", &url], b"key").code, 5);
    assert!(!config_of(&person).exists());
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let person = Person::stranger();
    person.does(&["login", "--url", &server.url, "--api-key-file", text(&server.data.join("first-api-key"))]);
    let config = config_of(&person);
    for bits in [0o640, 0o604, 0o620] {
        set_mode(&config, bits);
        for args in [&["whoami"][..], &["login"], &["logout"]] {
            let told = person.fails(6, args);
            assert!(told.contains(&format!("chmod 600 {}", config.display())), "{told}");
        }
    }
    set_mode(&config, 0o600);
    person.does(&["whoami"]);
    std::fs::write(&config, "default = \"prod\"\n[profiles.prod]\nurl = \"x\"\napi_key = hunter2\n").unwrap();
    let told = person.fails(6, &["whoami"]);
    assert!(told.contains("line 4") && !told.contains("hunter2"), "{told}");
    server.stop();
}

/// An admin with variables for that server, and with this file of profiles.
fn admin_with_profiles(config: &Path, server: &Server) -> Person {
    Person::admin(server).set("STRONGROOM_CLIENT_CONFIG", text(config))
}

#[test]
fn profiles_are_chosen_by_name() {
    let (one, two) = (private_folder(), private_folder());
    let (one, two) = (Server::start(one.path()), Server::start(two.path()));
    let person = Person::stranger();
    for (name, server) in [("one", &one), ("two", &two)] {
        let file = server.data.join("first-api-key");
        person.does(&["login", "--profile", name, "--url", &server.url, "--api-key-file", text(&file)]);
    }
    let server = |person: &Person, args: &[&str]| {
        let told = person.does(&[&["whoami"], args].concat());
        told.lines().next().unwrap().trim_start_matches("server").trim().to_owned()
    };
    assert_eq!(server(&person, &[]), one.url, "the first one is the default");
    assert_eq!(server(&person, &["--profile", "two"]), two.url);
    let by_variable = Person::stranger().set("STRONGROOM_PROFILE", "two");
    let config = config_of(&person);
    assert_eq!(server(&by_variable, &["--config", text(&config)]), two.url);
    // ngrok's own client takes several, of which the last counts.
    let last = ["--config", "/nowhere", "--config", text(&config)];
    assert_eq!(server(&by_variable, &last), two.url);
    let by_variable = by_variable.set("STRONGROOM_CLIENT_CONFIG", text(&config));
    assert_eq!(server(&by_variable, &[]), two.url);
    let mixed = by_variable.set("STRONGROOM_API_KEY", "wrong").set("STRONGROOM_URL", "http://127.0.0.1:1");
    mixed.fails(5, &["whoami"]);
    assert_eq!(server(&mixed, &["--profile", "one"]), one.url, "what is typed goes before variables");
    mixed.does(&["vault", "list", "--profile", "one"]);
    mixed.does(&["vault", "--profile", "one", "list"]);
    person.fails(3, &["whoami", "--profile", "three"]);
    // What is not given stays as it was, and what variables give is for other commands.
    let other = admin_with_profiles(&config, &one);
    let login = other.feed(&["login", "--profile", "two"], first_key(&two.data).as_bytes());
    assert_eq!(login.code, 0, "{login:?}");
    assert_eq!(server(&person, &["--profile", "two"]), two.url);
    let file = two.data.join("first-api-key");
    person.does(&["login", "--profile", "two", "--api-key-file", text(&file), "--set-default"]);
    assert_eq!(server(&person, &[]), two.url);
    one.stop();
    two.stop();
}

#[test]
fn a_profiles_key_is_sent_to_no_other_server() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let person = Person::stranger();
    person.does(&["login", "--url", &server.url, "--api-key-file", text(&server.data.join("first-api-key"))]);
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}", trap.local_addr().unwrap());
    let told = person.fails(4, &["vault", "list", "--url", &url]);
    assert!(told.contains("the profile 'default' has the key of"), "{told}");
    let person = person.set("STRONGROOM_URL", &url);
    person.fails(4, &["vault", "list"]);
    assert!(trap.accept().is_err(), "nobody called");
    server.stop();
}

#[test]
fn a_token_in_clear_is_warned_of() {
    // An address for documentation (RFC 5737), where nobody answers; a proxy that is nobody keeps it from the network.
    let person = Person::stranger().set("STRONGROOM_API_KEY", "key").set("http_proxy", "http://127.0.0.1:1");
    let done = person.run(&["whoami", "--url", "http://192.0.2.1:7070"]);
    assert_eq!(done.code, 5, "{done:?}");
    assert!(
        done.stderr.starts_with("warning: the key and all values cross the network unencrypted"),
        "{done:?}"
    );
}

#[test]
fn a_server_is_trusted_by_the_authority_that_is_named() {
    let (data, files) = (private_folder(), private_folder());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let args =
        ["serve", "--data-dir", text(data.path()), "--listen", "127.0.0.1:0", "--tls-cert", text(&cert)];
    let process = harness::Process::spawn(&[&args[..], &["--tls-key", text(&key)]].concat(), &[]);
    let server = Server::wait_until_ready(data.path(), process);
    let url = server.url.replace("127.0.0.1", "localhost");
    let person = Person::stranger();
    let key_file = data.path().join("first-api-key");
    let login = ["login", "--url", &url, "--api-key-file", text(&key_file)];
    let told = person.fails(5, &login);
    assert!(told.contains("cannot be trusted") && told.contains("--ca-cert"), "{told}");
    person.does(&[&login[..], &["--ca-cert", text(&cert)]].concat());
    assert!(person.does(&["whoami"]).contains("admin@localhost"), "the profile keeps the authority");
    let empty = person.file("empty.pem", b"nothing");
    person.fails(6, &["whoami", "--ca-cert", &empty]);
    server.stop();
}

#[test]
fn a_server_that_sends_on_is_not_followed() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = format!("http://{}/self", trap.local_addr().unwrap());
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
    });
    let person = Person::stranger().set("STRONGROOM_API_KEY", "key").set("STRONGROOM_URL", &url);
    let told = person.fails(1, &["whoami"]);
    assert!(told.contains("not followed"), "{told}");
    served.join().unwrap();
    assert!(trap.accept().is_err(), "nobody called");
}
