//! A key slot whose key an OpenBao server keeps: a real one, over TLS. `STRONGROOM_TEST_BAO` names its program, which
//! `cargo xtask test` installs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Server, audit_events, poll, private_folder, text};
use person::Person;

/// A server in memory, with the certificate that it made itself; ended when it is dropped.
struct Bao {
    process: Child,
    program: String,
    url: String,
    ca: String,
    folder: String,
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Bao {
    fn start(folder: &Path) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a setting of this test, not of the server")]
        let program = std::env::var("STRONGROOM_TEST_BAO")
            .expect("STRONGROOM_TEST_BAO names the OpenBao server; cargo xtask test --only unit installs and names it");
        // Free a moment ago: OpenBao has no way to choose one itself.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(&program)
            .args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token", "-dev-tls"])
            .arg(format!("-dev-tls-cert-dir={}", text(folder)))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (url, folder) = (format!("https://127.0.0.1:{port}"), text(folder).to_owned());
        let bao = Self { process, program, url, ca: format!("{folder}/vault-ca.pem"), folder };
        poll("OpenBao is up", || bao.ask(&["status"]).then_some(()));
        bao
    }

    /// Runs its own client.
    fn ask(&self, args: &[&str]) -> bool {
        let mut client = Command::new(&self.program);
        client.args(args).env_clear().env("HOME", &self.folder);
        client.env("BAO_ADDR", &self.url).env("BAO_CACERT", &self.ca).env("BAO_TOKEN", "root");
        client.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    fn does(&self, args: &[&str]) {
        assert!(self.ask(args), "{args:?}");
    }

    /// What a Strongroom server is told of it.
    fn settings(&self, token_file: &str, key: &str) -> Vec<String> {
        let flags = [
            ("--transit-address", self.url.as_str()),
            ("--transit-ca", &self.ca),
            ("--transit-token-file", token_file),
            ("--transit-key", key),
        ];
        flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
    }
}

/// A way to a server that can be broken off, and be there again at the same address.
struct Bridge {
    address: SocketAddr,
    to: SocketAddr,
}

impl Bridge {
    /// One that is broken off.
    fn to(url: &str) -> Self {
        let to = url.strip_prefix("https://").unwrap().parse().unwrap();
        Self { address: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(), to }
    }

    /// Is there from now on, until the test ends.
    fn open(&self) {
        let (listener, to) = (TcpListener::bind(self.address).unwrap(), self.to);
        thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                let far = TcpStream::connect(to).unwrap();
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)]
                {
                    thread::spawn(move || {
                        // A side that goes away ends the other's.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
    }
}

fn private_file(folder: &Path, name: &str, text_of_it: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text_of_it).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    text(&path).to_owned()
}

fn start(data: &Path, settings: &[String]) -> Server {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Server::start_with(data, &settings)
}

#[test]
fn a_transit_key_opens_the_store_by_itself() {
    let folder = private_folder();
    let data = folder.path().join("data");
    let certificates = folder.path().join("bao");
    fs::create_dir(&certificates).unwrap();
    let bao = Bao::start(&certificates);
    bao.does(&["secrets", "enable", "transit"]);
    for key in ["strongroom", "other"] {
        bao.does(&["write", "-f", &format!("transit/keys/{key}")]);
    }
    let token = private_file(folder.path(), "token", "root\n");
    let settings = bao.settings(&token, "strongroom");

    // Without it configured there is no such slot.
    let server = Server::start(&data);
    let admin = Person::admin(&server);
    let refused = admin.fails(7, &["key", "slot", "add", "transit"]);
    assert!(refused.contains("--transit-address"), "{refused}");
    server.stop();

    let server = start(&data, &settings);
    let admin = Person::admin(&server);
    admin.feed(&["secret", "set", "prod:db", "--create-vault"], b"canary");
    for name in ["transit", "second"] {
        admin.does(&["key", "slot", "add", "transit", "--name", name]);
        admin.does(&["key", "slot", "test", name]);
    }
    let words = admin.json(&["key", "slot", "add", "recovery", "--output", "json"]);
    let words = admin.file("words", words["words"].as_str().unwrap().as_bytes());
    admin.does(&["key", "slot", "remove", "file", "--yes", "--rotate-root"]);
    fs::remove_file(data.join("root.key")).unwrap();
    server.stop();

    let opened = |settings: &[String]| {
        let server = start(&data, settings);
        let ready = server.client().get("/readyz").status;
        let log = server.process.stderr();
        if ready == 503 {
            let ops = Person::stranger().set("STRONGROOM_URL", &server.url);
            ops.does(&["unseal", "--from", &words]);
            assert_eq!(server.client().get("/readyz").status, 200, "words unseal it");
        }
        let reader = Person::admin(&server).granted(&server, &["resolve *:*"]);
        assert_eq!(reader.does(&["secret", "get", "prod:db"]), "canary");
        server.stop();
        (ready, log)
    };
    assert_eq!(opened(&settings).0, 200);

    // What is wrong is told, and it starts sealed.
    let wrong = private_file(folder.path(), "wrong", "s.wrong\n");
    for (settings, told) in [
        (bao.settings(&wrong, "strongroom"), "the token may not use that key"),
        (bao.settings(&token, "other"), "'other' is configured"),
        (Vec::new(), "is not configured"),
    ] {
        let (ready, log) = opened(&settings);
        assert_eq!(ready, 503, "{told}: {log}");
        assert!(log.contains(told) && !log.contains("s.wrong"), "{told}: {log}");
    }
    fs::set_permissions(&wrong, PermissionsExt::from_mode(0o644)).unwrap();
    let (ready, log) = opened(&bao.settings(&wrong, "strongroom"));
    assert!(ready == 503 && log.contains("chmod 600"), "{log}");

    // Another key under the same name: what it sealed before is not opened.
    bao.does(&["write", "transit/keys/strongroom/config", "deletion_allowed=true"]);
    bao.does(&["delete", "transit/keys/strongroom"]);
    bao.does(&["write", "-f", "transit/keys/strongroom"]);
    let (ready, log) = opened(&settings);
    assert!(ready == 503 && log.contains("a key slot does not open"), "{log}");
    drop(bao);
    let (ready, log) = opened(&settings);
    assert!(ready == 503 && log.contains("cannot be reached"), "{log}");
}

/// A service that is away at the start unseals the server once it is there; a person who seals the server is not overruled.
#[test]
fn a_service_that_comes_back_unseals_the_server_by_itself() {
    let folder = private_folder();
    let data = folder.path().join("data");
    let certificates = folder.path().join("bao");
    fs::create_dir(&certificates).unwrap();
    let mut bao = Bao::start(&certificates);
    bao.does(&["secrets", "enable", "transit"]);
    bao.does(&["write", "-f", "transit/keys/strongroom"]);
    let token = private_file(folder.path(), "token", "root\n");
    let server = start(&data, &bao.settings(&token, "strongroom"));
    let admin = Person::admin(&server);
    admin.feed(&["secret", "set", "prod:db", "--create-vault"], b"canary");
    admin.does(&["key", "slot", "add", "transit"]);
    admin.does(&["key", "slot", "remove", "file", "--yes"]);
    fs::remove_file(data.join("root.key")).unwrap();
    server.stop();

    let bridge = Bridge::to(&bao.url);
    bao.url = format!("https://{}", bridge.address);
    let server = start(&data, &bao.settings(&token, "strongroom"));
    let ready = || server.client().get("/readyz").status;
    assert_eq!(ready(), 503);
    bridge.open();
    poll("it unseals itself", || (ready() == 200).then_some(()));
    let admin = Person::admin(&server);
    let reader = admin.granted(&server, &["resolve *:*"]);
    assert_eq!(reader.does(&["secret", "get", "prod:db"]), "canary");
    let log = poll("it tells so", || {
        Some(server.process.stderr()).filter(|log| log.contains("the server was unsealed"))
    });
    assert_eq!(log.matches("asked again until").count(), 1, "{log}");
    assert_eq!(log.matches("a key slot does not open").count(), 1, "{log}");
    let unsealed = || {
        let events = audit_events(&data);
        events.iter().filter(|event| event["event_type"] == "server_unsealed.v0").count()
    };
    assert_eq!(unsealed(), 1);

    admin.does(&["seal", "--yes"]);
    // Longer than the first pause, in which the service would have been asked.
    let sealed_at = Instant::now();
    poll("a pause is over", || (sealed_at.elapsed() > Duration::from_secs(7)).then_some(()));
    assert_eq!((ready(), unsealed()), (503, 1));
    server.stop();
}

/// The engine makes a key for whoever may make one and encrypts by one that is not there.
#[test]
fn a_mistyped_key_is_not_made() {
    let folder = private_folder();
    let data = folder.path().join("data");
    let certificates = folder.path().join("bao");
    fs::create_dir(&certificates).unwrap();
    let bao = Bao::start(&certificates);
    bao.does(&["secrets", "enable", "transit"]);
    bao.does(&["write", "-f", "transit/keys/strongroom"]);
    let token = private_file(folder.path(), "token", "root\n");
    let server = start(&data, &bao.settings(&token, "strongrom"));
    let refused = Person::admin(&server).fails(7, &["key", "slot", "add", "transit"]);
    assert!(refused.contains("'strongrom'") && refused.contains("make it first"), "{refused}");
    assert!(bao.ask(&["read", "transit/keys/strongroom"]));
    assert!(!bao.ask(&["read", "transit/keys/strongrom"]), "it was made");
    server.stop();
}
