//! What a first start leaves behind, and how a server ends.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

use harness::files::{contents, mode, root_key, set_mode};
use harness::{
    PATIENCE, Reply, Request, Server, field, first_key, http, list_all, make_vault, poll, private_folder,
    run, text,
};
use serde_json::json;
use tempfile::TempDir;

/// A data folder that does not exist yet, below one that is removed after the test.
fn fresh() -> (TempDir, std::path::PathBuf) {
    let parent = private_folder();
    let data = parent.path().join("data");
    (parent, data)
}

#[test]
fn the_data_folder_is_private() {
    let (_parent, data) = fresh();
    let server = Server::start(&data);
    assert_eq!(mode(&data), 0o700, "the folder");
    assert_eq!(mode(&root_key(&data).path), 0o600, "the root key");
    assert_eq!(mode(&data.join("first-api-key")), 0o600, "the first API key");
    for path in contents(&data).into_keys() {
        assert_eq!(mode(&path) & 0o077, 0, "{} is open to others", path.display());
    }
    server.stop();
}

#[test]
fn the_token_is_printed_by_the_first_start_only() {
    let (_parent, data) = fresh();
    let first = Server::start(&data);
    let token = first_key(&data);
    let (stdout, stderr) = (first.process.stdout(), first.process.stderr());
    assert!(stdout.contains(&token), "the first start does not print its key:\n{stdout}");
    assert!(!stderr.contains(&token), "the key is in the log");
    first.stop();

    let second = Server::start(&data);
    second.client().get("/vaults").expect_status(200);
    let (stdout, stderr) = (second.process.stdout(), second.process.stderr());
    assert!(!stdout.contains(&token) && !stderr.contains(&token), "a later start prints the key");
    assert_eq!(first_key(&data), token, "a later start changes the key");
    second.stop();
}

#[test]
fn the_printed_curl_line_works_when_pasted() {
    let (_parent, data) = fresh();
    let server = Server::start(&data);
    let stdout = server.process.stdout();
    let curl = stdout.lines().find_map(|line| line.find("curl ").map(|at| line[at..].to_owned()));
    let curl = curl.unwrap_or_else(|| panic!("no curl line in:\n{stdout}"));

    let pasted = Command::new("sh").args(["-c", &curl]).output().unwrap();
    let stderr = String::from_utf8_lossy(&pasted.stderr);
    assert_ne!(pasted.status.code(), Some(127), "curl is needed for this test: install the package `curl`");
    assert!(pasted.status.success(), "{curl}\n{stderr}");
    let answer: serde_json::Value = serde_json::from_slice(&pasted.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&pasted.stdout)));
    assert!(answer.get("error_code").is_none(), "{answer}");
    assert!(answer["uri"].as_str().is_some_and(|uri| uri.starts_with(&server.url)), "{answer}");
    server.stop();
}

#[test]
fn the_first_key_belongs_to_an_admin() {
    let (_parent, data) = fresh();
    let server = Server::start(&data);
    let mut admin = server.client();
    let keys = list_all(&mut admin, "/api_keys", "keys");
    assert_eq!(keys.len(), 1);
    assert!(field(&keys[0], "owner_id").starts_with("usr_"), "{}", keys[0]);
    admin.post("/bot_users", &json!({"name": "only an admin makes one"})).expect_status(201);
    assert!(list_all(&mut admin, "/vaults", "vaults").is_empty());
    server.stop();
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let (_parent, data) = fresh();
    let server = Server::start(&data);
    let mut client = server.client();
    let vault = make_vault(&mut client, "kept");
    let vault_path = format!("/vaults/{}", field(&vault, "id"));
    server.stop();

    let server = Server::start(&data);
    let found = server.client().get(&vault_path).expect_status(200).json();
    assert_eq!((field(&found, "name"), field(&found, "created_at")), ("kept", field(&vault, "created_at")));
    server.stop();
}

#[test]
fn sigterm_lets_a_running_request_finish() {
    let (_parent, data) = fresh();
    let server = Server::start(&data);
    let address = server.address().to_owned();
    let token = first_key(&data);
    let bytes = Request::new("POST", "/vaults").token(&token).json(&json!({"name": "slow"})).bytes(&address);
    let (early, late) = bytes.split_at(bytes.len() - 5);

    let mut slow = http::connect(&address).unwrap();
    slow.write_all(early).unwrap();
    // An answer on a second connection shows that the accept loop has been round since the first one came.
    server.client().get("/vaults").expect_status(200);
    server.process.terminate();
    poll("new connections are refused", || TcpStream::connect(&address).is_err().then_some(()));
    slow.write_all(late).unwrap();
    let created = Reply::read(&mut BufReader::new(slow), "POST").unwrap();

    assert_eq!(created.status, 201, "{created}");
    let ran = server.process.wait();
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    let again = Server::start(&data);
    again.client().get(&format!("/vaults/{}", field(&created.json(), "id"))).expect_status(200);
    again.stop();
}

#[test]
fn sigterm_does_not_wait_for_idle_connections() {
    let (_parent, data) = fresh();
    let server = Server::start(&data);
    let mut idle = server.client();
    idle.get("/vaults").expect_status(200);
    let start = std::time::Instant::now();
    server.stop();
    assert!(start.elapsed() < PATIENCE / 3, "an idle connection held the server for {:?}", start.elapsed());
    assert!(idle.try_call("GET", "/vaults", None).is_err());
}

#[test]
fn a_request_that_never_ends_does_not_hold_the_server() {
    let (_parent, data) = fresh();
    let server = Server::start_with(&data, &["--drain-timeout", "500ms"]);
    let bytes = Request::new("POST", "/vaults").token(&first_key(&data)).json(&json!({"name": "never"}));
    let bytes = bytes.bytes(server.address());
    let mut stuck = http::connect(server.address()).unwrap();
    stuck.write_all(&bytes[..bytes.len() - 1]).unwrap();
    server.client().get("/vaults").expect_status(200);
    let start = std::time::Instant::now();
    server.stop();
    assert!(start.elapsed() < PATIENCE / 3, "it took {:?}", start.elapsed());
    let again = Server::start(&data);
    assert!(list_all(&mut again.client(), "/vaults", "vaults").is_empty());
    again.stop();
}

/// Balancers are to notice first: until then requests still come, and are answered.
#[test]
fn a_server_that_stops_later_is_not_ready_and_answers() {
    let (_parent, data) = fresh();
    let server = Server::start_with(&data, &["--drain-delay", "5m"]);
    let ready = || http::exchange(server.address(), &Request::new("GET", "/readyz"));
    ready().expect_status(200);
    server.process.terminate();
    let told = poll("it is not ready", || Some(ready()).filter(|reply| reply.status == 503));
    assert!(told.to_string().contains("ERR_STRONGROOM_1098"), "{told}");
    http::exchange(server.address(), &Request::new("GET", "/healthz")).expect_status(200);
    make_vault(&mut server.client(), "late");
    // Whoever cannot wait says so again.
    server.stop();

    let server = Server::start_with(&data, &["--drain-delay", "1s"]);
    assert_eq!(list_all(&mut server.client(), "/vaults", "vaults").len(), 1);
    server.stop();
}

/// The server keeps no token, so who lost the first key needs another way to one than a key.
#[test]
fn who_lost_the_first_key_makes_another_on_the_machine_itself() {
    let (parent, data) = fresh();
    let server = Server::start(&data);
    fs::remove_file(data.join("first-api-key")).unwrap();
    let out = parent.path().join("new-api-key");
    let make = ["api-key", "create", "--data-dir", text(&data), "--out", text(&out)];
    if !strongroom_testbed::is_postgres() {
        let ran = run(&make);
        ran.expect_refusal();
        assert!(ran.stderr.contains("stop it first"), "{}", ran.stderr);
        assert!(!out.exists(), "a key that was not made has a file");
    }
    server.stop();
    let before = harness::audit_events(&data).len();
    let ran = run(&make);
    assert!(ran.success(), "{}", ran.stderr);
    let token = fs::read_to_string(&out).unwrap().trim().to_owned();
    assert_eq!(mode(&out), 0o600);
    assert!(!ran.stdout.contains(&token) && !ran.stderr.contains(&token), "{}{}", ran.stdout, ran.stderr);
    run(&make).expect_refusal();
    assert_eq!(fs::read_to_string(&out).unwrap().trim(), token, "the file was written again");
    let printed = run(&["api-key", "create", "--data-dir", text(&data), "--token-only"]);
    assert!(printed.success(), "{}", printed.stderr);
    let made = harness::audit_events(&data).split_off(before);
    let kinds: Vec<&str> = made.iter().map(|event| field(event, "event_type")).collect();
    assert_eq!(kinds, ["api_key_created.v0"; 2]);
    let server = Server::start(&data);
    for (name, token) in [("first", token.as_str()), ("second", printed.stdout.trim())] {
        let mut client = server.client_with(token);
        make_vault(&mut client, name);
        // Only an admin sees the keys of others.
        assert!(list_all(&mut client, "/api_keys", "keys").len() >= 3);
    }
    server.stop();
}

#[test]
fn config_show_prints_what_is_in_force() {
    let (parent, data) = fresh();
    let config = parent.path().join("strongroom.toml");
    fs::write(&config, "listen = \"127.0.0.1:7171\"\n").unwrap();
    let shown = run(&["config", "show", "--config", text(&config), "--data-dir", text(&data)]);
    assert!(shown.success(), "{}", shown.stderr);
    assert!(shown.stdout.contains("127.0.0.1:7171"), "from the file:\n{}", shown.stdout);
    assert!(shown.stdout.contains(text(&data)), "from the command line:\n{}", shown.stdout);
    assert!(!data.exists(), "showing the configuration made a data folder");
}

#[test]
fn a_setting_of_the_environment_is_in_force() {
    let (_parent, data) = fresh();
    let env = [("STRONGROOM_DATA_DIR", text(&data)), ("STRONGROOM_LISTEN", "127.0.0.1:0")];
    let process = harness::Process::spawn(&["serve"], &env);
    let server = Server::wait_until_ready(&data, process);
    server.client().get("/vaults").expect_status(200);
    server.stop();
}

#[test]
fn doctor_says_how_to_mend_loose_permissions() {
    let (_parent, data) = fresh();
    Server::start(&data).stop();
    let healthy = run(&["doctor", "--data-dir", text(&data)]);
    assert!(healthy.success(), "{}{}", healthy.stdout, healthy.stderr);

    let key = root_key(&data).path;
    let cases = [(key.as_path(), 0o644, 0o600), (data.as_path(), 0o755, 0o700)];
    for (path, loose, tight) in cases {
        set_mode(path, loose);
        let ill = run(&["doctor", "--data-dir", text(&data)]);
        set_mode(path, tight);
        let report = format!("{}{}", ill.stdout, ill.stderr);
        assert!(!ill.success(), "{} with mode {loose:o} is passed:\n{report}", path.display());
        assert!(report.contains(&format!("chmod {tight:o} {}", path.display())), "no remedy in:\n{report}");
    }
    assert!(run(&["doctor", "--data-dir", text(&data)]).success(), "mended, and still ill");
}
