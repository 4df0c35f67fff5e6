//! When the server must not start: one clear line, and nothing touched.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::path::Path;

use harness::files::{contents, database, root_key};
use harness::process::Ran;
use harness::{Server, private_folder, run, text};
use tempfile::TempDir;

/// A data folder in which a server has run and stopped.
fn used_folder() -> TempDir {
    let data = private_folder();
    Server::start(data.path()).stop();
    data
}

/// Tries to start, expects a refusal, and that the folder is byte for byte what it was.
fn refused_untouched(data: &Path, args: &[&str]) -> Ran {
    let before = contents(data);
    let ran = Server::spawn(data, args).wait();
    ran.expect_refusal();
    let after = contents(data);
    assert!(before.keys().eq(after.keys()), "files came or went: {:?} → {:?}", before.keys(), after.keys());
    for (path, bytes) in &before {
        assert!(after[path] == *bytes, "{} was touched", path.display());
    }
    ran
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let data = private_folder();
    let first = Server::start(data.path());
    let second = Server::spawn(data.path(), &[]).wait();
    second.expect_refusal();
    assert!(second.stderr.contains(text(data.path())), "it does not name the folder: {}", second.stderr);
    assert!(second.stderr.contains("another") || second.stderr.contains("already"), "{}", second.stderr);
    first.client().get("/vaults").expect_status(200);
    first.stop();
}

#[test]
fn another_address_than_loopback_needs_tls_or_plain_http() {
    // An address kept for documentation: no machine has it, so nothing is ever opened to the network.
    let foreign = "192.0.2.1:7070";
    let data = private_folder();
    let serve = ["serve", "--data-dir", text(data.path()), "--listen", foreign];
    let refused = run(&serve);
    refused.expect_refusal();
    assert!(
        refused.stderr.contains("--plain-http") && refused.stderr.contains("--tls-cert"),
        "{}",
        refused.stderr
    );

    let allowed = run(&[&serve[..], &["--plain-http"]].concat());
    allowed.expect_refusal();
    assert!(!allowed.stderr.contains("--plain-http"), "refused in spite of it: {}", allowed.stderr);
    assert!(allowed.stderr.contains(foreign), "it does not name the address: {}", allowed.stderr);
}

#[test]
fn a_wrong_root_key_is_one_clear_line() {
    let (ours, theirs) = (used_folder(), used_folder());
    let (our_key, their_key) = (root_key(ours.path()), root_key(theirs.path()));
    fs::copy(&their_key.path, &our_key.path).unwrap();

    let ran = refused_untouched(ours.path(), &[]);
    // What to do about it may follow, indented; nothing else may.
    let mut lines = ran.stderr.lines();
    let line = lines.next().unwrap();
    assert!(lines.all(|hint| hint.starts_with("  ")), "not one line:\n{}", ran.stderr);
    let position = |id: &str| line.find(id).unwrap_or_else(|| panic!("key id {id} is not in: {line}"));
    assert!(line.contains("expected") && line.contains("found"), "{line}");
    // Whichever comes first, each id must stand behind its own word.
    let after = |word: &str, id: &str| position(id) > line.find(word).unwrap();
    assert!(after("expected", &our_key.id) && after("found", &their_key.id), "{line}");
}

/// What a crash leaves in the store's log is acknowledged data too: a refused start must not move it.
#[test]
fn a_refused_start_after_a_crash_touches_nothing() {
    let (ours, theirs) = (private_folder(), used_folder());
    let server = Server::start(ours.path());
    harness::make_vault(&mut server.client(), "kept");
    server.process.kill();
    let lasting = |folder: &Path| {
        let mut files = contents(folder);
        // An index of the log, which whoever looks into it makes anew.
        files.retain(|path, _| path.extension().is_none_or(|extension| extension != "db-shm"));
        files
    };
    let root_key_file = root_key(theirs.path()).path;
    let before = lasting(ours.path());
    assert!(
        before.iter().any(|(path, bytes)| text(path).ends_with("-wal") && !bytes.is_empty()),
        "no log is left"
    );
    Server::spawn(ours.path(), &["--root-key-file", text(&root_key_file)]).wait().expect_refusal();
    assert!(lasting(ours.path()) == before, "a refused start changed the folder");
    let server = Server::start(ours.path());
    assert_eq!(harness::list_all(&mut server.client(), "/vaults", "vaults").len(), 1);
    server.stop();
}

#[test]
fn a_lost_root_key_is_not_replaced_by_a_new_one() {
    let data = used_folder();
    let key = root_key(data.path());
    fs::remove_file(&key.path).unwrap();
    let ran = refused_untouched(data.path(), &[]);
    assert!(ran.stderr.contains(text(&key.path)), "it does not name the file: {}", ran.stderr);
}

#[test]
fn a_damaged_root_key_file_is_refused_without_quoting_it() {
    let data = used_folder();
    let key = root_key(data.path());
    let whole = fs::read_to_string(&key.path).unwrap();
    fs::write(&key.path, whole.replace(&key.id, "0000000000000000")).unwrap();
    let ran = refused_untouched(data.path(), &[]);
    assert!(!ran.stderr.contains(&key.key), "the key is quoted");
    assert!(ran.stderr.contains(text(&key.path)), "it does not name the file: {}", ran.stderr);
}

#[test]
fn a_store_newer_than_the_binary_is_refused() {
    let data = used_folder();
    let path = database(data.path());
    let mut bytes = fs::read(&path).unwrap();
    // SQLite keeps `user_version` at offset 60 of the file, big-endian.
    bytes[60..64].copy_from_slice(&999_999_u32.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let ran = refused_untouched(data.path(), &[]);
    assert!(ran.stderr.contains("999999") && ran.stderr.contains("newer"), "{}", ran.stderr);
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let data = used_folder();
    fs::write(database(data.path()), vec![b'x'; 8192]).unwrap();
    refused_untouched(data.path(), &[]);
}

#[test]
fn an_unknown_config_key_is_refused_by_name() {
    let folder = private_folder();
    let (config, data) = (folder.path().join("strongroom.toml"), folder.path().join("data"));
    fs::write(&config, "listen = \"127.0.0.1:0\"\ncolour = \"red\"\n").unwrap();
    for command in [&["serve"][..], &["config", "show"]] {
        let args = [command, &["--config", text(&config), "--data-dir", text(&data)]].concat();
        let ran = run(&args);
        ran.expect_refusal();
        assert!(ran.stderr.contains("colour") && ran.stderr.contains(text(&config)), "{}", ran.stderr);
    }
    assert!(!data.exists(), "a refused start made a data folder");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let data = private_folder();
    let cases: [&[&str]; 4] = [
        &["--listen", "not-an-address"],
        &["--tls-cert", "/nowhere/cert.pem"],
        &["--external-url", "not a url"],
        &["--log-format", "yaml"],
    ];
    for args in cases {
        let serve = ["serve", "--data-dir", text(data.path())];
        let listen: &[&str] = if args[0] == "--listen" { &[] } else { &["--listen", "127.0.0.1:0"] };
        let ran = run(&[&serve, listen, args].concat());
        ran.expect_refusal();
        let plain = |text: &str| text.to_lowercase().replace(['-', '_'], " ");
        assert!(plain(&ran.stderr).contains(plain(args[0]).trim()), "{args:?}: {}", ran.stderr);
    }
}
