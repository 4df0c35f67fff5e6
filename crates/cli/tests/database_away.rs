//! A database that is not there, at the start or later: what a server tells then, what it waits for, and what it does not.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use harness::http::{connect, exchange};
use harness::{Process, Reply, Request, Server, make_vault, poll, private_folder, text};
use strongroom_testbed::{Options, Postgres, Proxy, Stop};

const DATABASE: &str = "store";

/// A server of PostgreSQL with an empty database.
fn postgres() -> Postgres {
    let postgres = Postgres::start(Options::default().careless());
    postgres.create_database(DATABASE);
    postgres
}

/// An address of loopback that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Starts a server at that address, without waiting for it.
fn spawn(data: &Path, address: &str, (url, password): (&str, &Path), more: &[&str]) -> Process {
    let serve = ["serve", "--data-dir", text(data), "--listen", address];
    let database = ["--database", url, "--database-password-file", text(password)];
    Process::spawn(&[&serve[..], &database, more].concat(), &[])
}

/// What is answered there, if anybody listens.
fn try_get(address: &str, path: &str) -> Option<Reply> {
    let mut stream = connect(address).ok()?;
    stream.write_all(&Request::new("GET", path).bytes(address)).ok()?;
    Reply::read(&mut BufReader::new(stream), "GET").ok()
}

fn status(address: &str, path: &str) -> Option<u16> {
    try_get(address, path).map(|reply| reply.status)
}

fn counters(address: &str) -> String {
    let reply = exchange(address, &Request::new("GET", "/metrics")).expect_status(200);
    String::from_utf8(reply.body).unwrap()
}

#[test]
fn the_counters_of_the_server_itself_are_told_without_the_database() {
    let postgres = postgres();
    let (data, proxy, metrics) = (private_folder(), Proxy::to(postgres.address()), free_address());
    let url = postgres.url_at(proxy.address(), DATABASE);
    let password = postgres.password_file();
    let args = ["--database", &url, "--database-password-file", text(&password)];
    let server = Server::start_with(data.path(), &[&args[..], &["--metrics-listen", &metrics]].concat());
    make_vault(&mut server.client(), "v");
    let whole = |told: &str| {
        told.contains("\nstrongroom_store_up 1\n") && told.contains("\nstrongroom_store_vaults 1\n")
    };
    assert!(whole(&counters(&metrics)), "{}", counters(&metrics));
    for away in [Proxy::cut, Proxy::hold] {
        away(&proxy);
        let told = counters(&metrics);
        assert!(told.contains("\nstrongroom_store_up 0\n"), "{told}");
        assert!(told.contains("\nstrongroom_http_connections "), "{told}");
        for unread in ["strongroom_store_vaults", "strongroom_key_rotations ", "strongroom_webhook_waiting"] {
            assert!(!told.contains(unread), "{unread} was not read: {told}");
        }
        assert!(told.ends_with("\n# EOF\n"), "{told}");
        proxy.mend();
        poll("the store is counted again", || whole(&counters(&metrics)).then_some(()));
    }
    server.stop();
}

#[test]
fn a_server_waits_for_a_database_that_starts_later() {
    let mut postgres = postgres();
    let (data, address, metrics) = (private_folder(), free_address(), free_address());
    let (url, password) = (postgres.url(DATABASE), postgres.password_file());
    postgres.stop(Stop::Fast);
    let process = spawn(data.path(), &address, (&url, &password), &["--metrics-listen", &metrics]);
    poll("it says that it waits", || process.stderr().contains("the server waits for it").then_some(()));
    poll("it lives", || (status(&address, "/healthz") == Some(200)).then_some(()));
    for (address, path) in [(&address, "/readyz"), (&address, "/vaults"), (&metrics, "/metrics")] {
        assert_eq!(status(address, path), Some(503), "{path}");
    }
    // A kept connection does not hold the server back later.
    let kept = connect(&address).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(process.stderr().matches("cannot be reached").count(), 1, "{}", process.stderr());
    postgres.start_again();
    let server = Server::wait_until_ready(data.path(), process);
    assert_eq!(status(&address, "/readyz"), Some(200));
    assert_eq!(status(&metrics, "/metrics"), Some(200));
    make_vault(&mut server.client(), "v");
    drop(kept);
    server.stop();
}

#[test]
fn a_server_that_waits_can_be_stopped() {
    let mut postgres = postgres();
    let (data, address) = (private_folder(), free_address());
    let (url, password) = (postgres.url(DATABASE), postgres.password_file());
    postgres.stop(Stop::Fast);
    let process = spawn(data.path(), &address, (&url, &password), &[]);
    poll("it says that it waits", || process.stderr().contains("the server waits for it").then_some(()));
    process.terminate();
    let ran = process.wait();
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
}

#[test]
fn what_does_not_pass_by_itself_ends_the_start_at_once() {
    let mut postgres = postgres();
    let (data, files) = (private_folder(), private_folder());
    let (url, password) = (postgres.url(DATABASE), postgres.password_file());
    let wrong = files.path().join("wrong");
    fs::copy(&password, &wrong).unwrap();
    fs::write(&wrong, "wrong").unwrap();
    let encrypted = url.replace("sslmode=disable", "sslmode=require");
    assert_ne!(encrypted, url);
    postgres.create_database("newer");
    postgres.run("newer", "CREATE TABLE store_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)");
    postgres
        .run("newer", "INSERT INTO store_version VALUES (1, 99); GRANT SELECT ON store_version TO PUBLIC");
    let refused = |url: &str, password: &Path, more: &[&str]| {
        let ran = spawn(data.path(), "127.0.0.1:0", (url, password), more).wait();
        ran.expect_refusal();
        assert!(!ran.stderr.contains("waits for it"), "{}", ran.stderr);
        ran
    };
    for (what, url, password, word) in [
        ("a wrong password", &url, &wrong, "password authentication failed"),
        ("a database that there is not", &postgres.url("nowhere"), &password, "does not exist"),
        ("TLS that it does not have", &encrypted, &password, "TLS"),
        ("tables of a later version", &postgres.url("newer"), &password, "use a later"),
    ] {
        let told = refused(url, password, &[]).stderr;
        assert!(told.contains(word), "{what}: {told}");
    }
    postgres.stop(Stop::Fast);
    let ran = refused(&url, &password, &["--database-wait", "0"]);
    assert_eq!(ran.status.code(), Some(5), "{}", ran.stderr);
    let ran = spawn(data.path(), "127.0.0.1:0", (&url, &password), &["--database-wait", "2s"]).wait();
    ran.expect_refusal();
    assert!(ran.stderr.contains("waits for it"), "{}", ran.stderr);
}

/// A balancer sends nothing to who is not ready, and what is in memory would be of no use.
#[test]
fn who_answers_from_memory_stays_ready_without_the_database() {
    let postgres = postgres();
    for (name, args, expected) in [("strict", &[][..], 503), ("stale", &["--database-stale-ok"][..], 200)] {
        postgres.create_database(name);
        let (data, proxy) = (private_folder(), Proxy::to(postgres.address()));
        let (url, password) = (postgres.url_at(proxy.address(), name), postgres.password_file());
        let database = ["--database", &url, "--database-password-file", text(&password)];
        let server = Server::start_with(data.path(), &[&database[..], args].concat());
        let mut client = server.client();
        let vault = make_vault(&mut client, "v");
        let path = format!("/vaults/{}", harness::field(&vault, "id"));
        client.get(&path).expect_status(200);
        assert_eq!(status(server.address(), "/readyz"), Some(200), "{name}");
        for away in [Proxy::cut, Proxy::hold] {
            away(&proxy);
            poll("the database is away", || (client.get("/vaults").status == 503).then_some(()));
            assert_eq!(status(server.address(), "/readyz"), Some(expected), "{name}");
            // What is in memory is believed for half a second either way.
            poll(name, || (client.get(&path).status == expected).then_some(()));
            proxy.mend();
            poll("it is well again", || (client.get("/vaults").status == 200).then_some(()));
        }
        assert_eq!(status(server.address(), "/readyz"), Some(200), "{name}");
        server.stop();
    }
}

#[test]
fn another_password_counts_without_a_start() {
    let postgres = postgres();
    let (data, files) = (private_folder(), private_folder());
    let password = files.path().join("password");
    fs::copy(postgres.password_file(), &password).unwrap();
    let url = postgres.url(DATABASE);
    let args = ["--database", &url, "--database-password-file", text(&password)];
    let server = Server::start_with(data.path(), &args);
    let mut client = server.client();
    make_vault(&mut client, "before");
    postgres.run("postgres", "ALTER ROLE strongroom PASSWORD 'another'");
    fs::write(&password, "another\n").unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'strongroom'";
    postgres.run("postgres", end);
    poll("new connections are made", || (client.get("/vaults").status == 200).then_some(()));
    make_vault(&mut client, "after");
    server.stop();
}

/// A newer server makes the tables new while this one runs.
#[test]
fn tables_of_a_later_version_are_not_written_to() {
    let postgres = postgres();
    for (name, args) in [("strict", &[][..]), ("stale", &["--database-stale-ok"][..])] {
        postgres.create_database(name);
        let (data, url, password) = (private_folder(), postgres.url(name), postgres.password_file());
        let database = ["--database", &url, "--database-password-file", text(&password)];
        let server = Server::start_with(data.path(), &[&database[..], args].concat());
        let mut client = server.client();
        make_vault(&mut client, "before");
        let events = "SELECT sequence FROM audit_head";
        let before = postgres.run(name, events);
        postgres.run(name, "UPDATE store_version SET version = version + 1");
        client.post("/vaults", &serde_json::json!({"name": "after"})).expect_status(503);
        assert_eq!(postgres.run(name, events), before, "{name}: it was written to");
        poll("it is not ready", || (status(server.address(), "/readyz") == Some(503)).then_some(()));
        let told = server.process.stderr();
        assert_eq!(told.matches("this server changes nothing any more").count(), 1, "{name}: {told}");
        server.stop();
        let refused = Server::spawn(data.path(), &[&database[..], args].concat()).wait();
        assert!(refused.expect_refusal().stderr.contains("use a later"), "{name}: {}", refused.stderr);
    }
}
