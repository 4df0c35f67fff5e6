//! `serve --tls self-signed`: what is made and printed, who can be told to trust it, and when it is made anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::path::{Path, PathBuf};

use harness::files::{mode, set_mode};
use harness::{Server, poll, private_folder, run, text};
use person::Person;
use rustix::process::Signal;

const ON: [&str; 2] = ["--tls", "self-signed"];

fn files(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("tls-cert.pem"), data.join("tls-key.pem"))
}

/// The fingerprint that the server printed at its start.
fn printed(server: &Server) -> String {
    let told = server.process.stdout();
    let line = told.lines().find_map(|line| line.trim().strip_prefix("TLS        SHA-256 "));
    line.unwrap_or_else(|| panic!("no fingerprint: {told}")).to_owned()
}

#[test]
fn a_client_that_is_given_the_certificate_trusts_the_server() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &ON);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let (certificate, key) = files(data.path());
    assert_eq!((mode(&certificate), mode(&key)), (0o600, 0o600));
    assert!(printed(&server).split(':').count() == 32, "{}", printed(&server));
    assert!(server.process.stdout().contains(&format!(
        "strongroom login --url {} --ca-cert {}",
        server.url,
        text(&certificate)
    )));

    let person = Person::stranger();
    let key_file = data.path().join("first-api-key");
    let login = ["login", "--url", &server.url, "--api-key-file", text(&key_file)];
    assert!(person.fails(5, &login).contains("--ca-cert"));
    person.does(&[&login[..], &["--ca-cert", text(&certificate)]].concat());
    for host in ["localhost", "127.0.0.1"] {
        let url = server.url.replace("127.0.0.1", host);
        let known =
            ["whoami", "--url", &url, "--api-key-file", text(&key_file), "--ca-cert", text(&certificate)];
        assert!(person.does(&known).contains("admin@localhost"), "{host}");
    }
    let said = run(&["doctor", "--data-dir", text(data.path()), "--tls", "self-signed"]).stdout;
    assert!(said.contains("and its key go together") && said.contains(" ends at 20"), "{said}");
    server.stop();
}

#[test]
fn it_stays_until_it_no_longer_fits() {
    let data = private_folder();
    let (certificate, _) = files(data.path());
    let start = |args: &[&str]| {
        let server = Server::start_with(data.path(), &[&ON[..], args].concat());
        let told = printed(&server);
        server.stop();
        told
    };
    let first = start(&[]);
    assert_eq!(start(&[]), first, "clients know it: it stays");
    let named = start(&["--external-url", "https://secrets.example.com"]);
    assert_ne!(named, first, "the server has another name");
    assert_eq!(start(&[]), named, "it has more names than are needed");

    std::fs::remove_file(&certificate).unwrap();
    let server = Server::start_with(data.path(), &ON);
    let before = printed(&server);
    assert_ne!(before, named);
    let made = std::fs::read(&certificate).unwrap();
    std::fs::write(&certificate, "no certificate").unwrap();
    server.process.signal(Signal::HUP);
    poll("another certificate", || {
        let now = std::fs::read(&certificate).unwrap();
        (now.starts_with(b"-----BEGIN CERTIFICATE") && now != made).then_some(())
    });
    let log = || server.process.stderr() + &server.process.stdout();
    poll("that it is read", || log().contains("the certificate was read again").then_some(()));
    server.stop();
}

#[test]
fn it_goes_with_no_other_certificate() {
    let data = private_folder();
    for args in [["--tls-cert", "cert.pem"], ["--tls-key", "key.pem"]] {
        let refused = Server::spawn(data.path(), &[&ON[..], &args].concat()).wait();
        assert!(refused.expect_refusal().stderr.contains("self-signed"), "{}", refused.stderr);
    }
    let refused = Server::spawn(data.path(), &["--tls", "letsencrypt"]).wait();
    assert!(!refused.success() && refused.stderr.contains("self-signed"), "{}", refused.stderr);
    assert!(!files(data.path()).0.exists());
}

/// The config file and the environment say it as well; doctor tells of a key that others may read.
#[test]
fn it_is_a_setting_like_the_others() {
    let data = private_folder();
    let config = data.path().join("c.toml");
    std::fs::write(&config, "tls = \"self-signed\"\n").unwrap();
    let server = Server::start_with(data.path(), &["--config", text(&config)]);
    assert!(server.url.starts_with("https://"));
    server.stop();
    let (_, key) = files(data.path());
    set_mode(&key, 0o644);
    let args = ["doctor", "--config", text(&config), "--data-dir", text(data.path())];
    let said = run(&args).stdout;
    assert!(said.contains("tls-key.pem can be read by other users"), "{said}");
}
