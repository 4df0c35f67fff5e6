//! Certificates of clients: who gets in, and API keys that work with one certificate alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "tls/client.rs"]
mod client;
mod harness;
mod person;

use std::path::{Path, PathBuf};

use client::{Dialled, Offer};
use harness::{Request, Server, audit_events, field, first_key, poll, private_folder, text};
use person::Person;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

/// An authority that issues certificates of clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A client's certificate and its key.
struct Identity {
    der: Vec<u8>,
    pem: String,
    key: String,
}

impl Authority {
    fn make() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, name: &str) -> Identity {
        self.issue_until(name, 2100)
    }

    fn issue_until(&self, name: &str, year: i32) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Identity { der: made.der().to_vec(), pem: made.pem(), key: key.serialize_pem() }
    }
}

impl Identity {
    /// What people bind a key to, as they see it with `openssl x509 -fingerprint -sha256`.
    fn fingerprint(&self) -> String {
        format!("{:#}", strongroom_domain::fingerprint::Fingerprint::of(&self.der))
    }

    fn files(&self, person: &Person) -> [String; 2] {
        [person.file("client.pem", self.pem.as_bytes()), person.file("client.key", self.key.as_bytes())]
    }
}

/// A server that asks clients for a certificate of one authority.
struct World {
    server: Server,
    authority: Authority,
    authorities: PathBuf,
    own: Vec<u8>,
    token: String,
    _folders: [tempfile::TempDir; 2],
}

impl World {
    fn start(auth: &str) -> Self {
        let (data, folder) = (private_folder(), private_folder());
        let authority = Authority::make();
        let authorities = folder.path().join("clients.pem");
        std::fs::write(&authorities, &authority.pem).unwrap();
        let args = ["--tls", "self-signed", "--tls-client-ca", text(&authorities), "--tls-client-auth", auth];
        let server = Server::start_with(data.path(), &args);
        let own = own_certificate(data.path());
        let token = first_key(data.path());
        Self { server, authority, authorities, own, token, _folders: [data, folder] }
    }

    fn offer(&self, shown: Option<&Identity>) -> Offer {
        let offer = Offer::new(std::slice::from_ref(&self.own)).protocols(&[b"http/1.1"]);
        match shown {
            Some(identity) => offer.identity(&identity.der, &identity.key),
            None => offer,
        }
    }

    fn dial(&self, shown: Option<&Identity>) -> std::io::Result<Dialled> {
        let address = self.server.url.strip_prefix("https://").unwrap();
        Dialled::with(address, self.offer(shown).config())
    }

    /// The status of an answer on a new connection, or none where the server turns it away: with TLS 1.3 that comes after the
    /// client's part of the handshake.
    fn status(&self, token: &str, shown: Option<&Identity>) -> Option<u16> {
        let mut dialled = self.dial(shown).ok()?;
        dialled.try_exchange(&Request::new("GET", "/self").token(token)).ok().map(|reply| reply.status)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> harness::Reply {
        let request = Request::new(method, path).token(&self.token).json(body);
        self.dial(None).unwrap().exchange(&request)
    }

    /// An API key that is bound to a certificate.
    fn bound(&self, to: &Identity) -> (String, String) {
        let body = json!({"description": "bound", "client_certificate": to.fingerprint()});
        let made = self.call("POST", "/api_keys", &body).expect_status(201).json();
        assert_eq!(field(&made, "client_certificate"), to.fingerprint().replace(':', "").to_lowercase());
        (field(&made, "id").to_owned(), field(&made, "token").to_owned())
    }
}

fn own_certificate(data: &Path) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::from_pem_file(data.join("tls-cert.pem")).unwrap().to_vec()
}

#[test]
fn only_certificates_of_the_authority_get_in() {
    let stranger = Authority::make().issue("stranger");
    for (auth, without) in [("optional", Some(200)), ("required", None)] {
        let world = World::start(auth);
        let known = world.authority.issue("web");
        let ended = world.authority.issue_until("web", 2020);
        assert_eq!(world.status(&world.token, Some(&known)), Some(200), "{auth}");
        assert_eq!(world.status(&world.token, None), without, "{auth}");
        assert_eq!(world.status(&world.token, Some(&stranger)), None, "{auth}: of another authority");
        assert_eq!(world.status(&world.token, Some(&ended)), None, "{auth}: past its end");
        world.server.stop();
    }
}

#[test]
fn a_bound_key_works_with_its_certificate_alone() {
    let world = World::start("optional");
    let (web, other) = (world.authority.issue("web"), world.authority.issue("other"));
    let (id, token) = world.bound(&web);
    assert_eq!(world.status(&token, Some(&web)), Some(200));
    for (shown, said) in [(None, "showed none"), (Some(&other), "showed another one")] {
        let get = Request::new("GET", "/self").token(&token);
        let refused = world.dial(shown).unwrap().exchange(&get).expect_status(403).json();
        assert_eq!(field(&refused, "error_code"), "ERR_STRONGROOM_1080");
        assert!(field(&refused, "msg").contains(said), "{refused}");
    }
    // A key that is not bound works with any certificate.
    assert_eq!(world.status(&world.token, Some(&web)), Some(200));

    // Who sends a body is looked at once more after it, with the certificate that the connection showed.
    let by_itself = |method: &str, path: &str, body: &Value| {
        world.dial(Some(&web)).unwrap().exchange(&Request::new(method, path).token(&token).json(body))
    };
    by_itself("POST", "/vaults", &json!({"name": "bound"})).expect_status(201);

    let path = format!("/api_keys/{id}");
    let elsewhere = by_itself("PATCH", &path, &json!({"client_certificate": other.fingerprint()}));
    let refused = elsewhere.expect_status(409).json();
    assert_eq!(field(&refused, "error_code"), "ERR_STRONGROOM_1081", "it would lock itself out");
    let shown = world.call("GET", &path, &Value::Null);
    assert_eq!(shown.status, 400, "a GET has no body");
    let changed =
        world.call("PATCH", &path, &json!({"client_certificate": other.fingerprint()})).expect_status(200);
    assert_eq!(world.status(&token, Some(&web)), Some(403));
    assert_eq!(world.status(&token, Some(&other)), Some(200));
    let same = world.call("PATCH", &path, &json!({"description": "bound"})).expect_status(200);
    assert_eq!(same.json()["client_certificate"], changed.json()["client_certificate"], "left out, it stays");
    let freed = world.call("PATCH", &path, &json!({"client_certificate": ""})).expect_status(200).json();
    assert_eq!(freed["client_certificate"], Value::Null);
    assert_eq!(world.status(&token, None), Some(200));
    let bad = world.call("PATCH", &path, &json!({"client_certificate": "ab:cd"})).expect_status(400).json();
    assert!(field(&bad, "msg").contains("client_certificate"), "{bad}");

    let data = world.server.data.clone();
    world.server.stop();
    let bindings: Vec<Value> = audit_events(&data)
        .iter()
        .filter(|event| event["object"]["id"] == id.as_str())
        .map(|event| event["object"]["client_certificate"].clone())
        .collect();
    let plain = |identity: &Identity| Value::from(identity.fingerprint().replace(':', "").to_lowercase());
    assert_eq!(bindings, [plain(&web), plain(&other), Value::Null]);
}

/// A binding counts from the next request on, on a connection that is open too.
#[test]
fn a_binding_counts_on_open_connections() {
    let world = World::start("optional");
    let web = world.authority.issue("web");
    let made =
        world.call("POST", "/api_keys", &json!({"description": "later bound"})).expect_status(201).json();
    let get = Request::new("GET", "/vaults").token(field(&made, "token"));
    let (mut plain, mut showing) = (world.dial(None).unwrap(), world.dial(Some(&web)).unwrap());
    plain.exchange(&get).expect_status(200);
    showing.exchange(&get).expect_status(200);
    let bind = json!({"client_certificate": web.fingerprint()});
    world.call("PATCH", &format!("/api_keys/{}", field(&made, "id")), &bind).expect_status(200);
    plain.exchange(&get).expect_status(403);
    showing.exchange(&get).expect_status(200);
    world.server.stop();
}

/// No connection goes on with what an earlier one has shown: an authority that is taken away counts for all new ones.
#[test]
fn an_authority_that_is_taken_away_lets_nobody_in() {
    let world = World::start("required");
    let web = world.authority.issue("web");
    let address = world.server.url.strip_prefix("https://").unwrap();
    let get = Request::new("GET", "/self").token(&world.token);
    let configs: Vec<_> =
        [&TLS13, &TLS12].map(|version| world.offer(Some(&web)).version(version).config()).into();
    for config in &configs {
        for _ in 0..2 {
            let mut dialled = Dialled::with(address, config.clone()).unwrap();
            dialled.exchange(&get).expect_status(200);
            assert_ne!(dialled.agreed().2, HandshakeKind::Resumed);
        }
    }
    let mut open = world.dial(Some(&web)).unwrap();
    open.exchange(&get).expect_status(200);
    let log = || world.server.process.stderr() + &world.server.process.stdout();
    let reload = |outcome: &str| {
        let before = log().matches(outcome).count();
        world.server.process.signal(Signal::HUP);
        poll(outcome, || (log().matches(outcome).count() > before).then_some(()));
    };
    std::fs::write(&world.authorities, "").unwrap();
    reload("the certificate could not be read again");
    assert_eq!(world.status(&world.token, Some(&web)), Some(200), "the ones before stay in use");
    std::fs::write(&world.authorities, Authority::make().pem).unwrap();
    reload("the certificate was read again");
    for config in configs {
        let done = Dialled::with(address, config).and_then(|mut dialled| dialled.try_exchange(&get));
        assert!(done.is_err(), "it still gets in");
    }
    open.exchange(&get).expect_status(200);
    world.server.stop();
}

#[test]
fn the_commands_show_a_certificate() {
    let world = World::start("required");
    let web = world.authority.issue("web");
    let person = Person::stranger();
    let [certificate, key] = web.files(&person);
    let (own, first) = (world.server.data.join("tls-cert.pem"), world.server.data.join("first-api-key"));
    let login =
        ["login", "--url", &world.server.url, "--ca-cert", text(&own), "--api-key-file", text(&first)];
    let told = person.fails(5, &login);
    assert!(told.contains("--client-cert"), "{told}");
    let told = person.fails(2, &[&login[..], &["--client-cert", &certificate]].concat());
    assert!(told.contains("--client-key"), "{told}");
    person.does(&[&login[..], &["--client-cert", &certificate, "--client-key", &key]].concat());
    assert!(person.does(&["whoami"]).contains("admin@localhost"), "the profile keeps both");
    let other = person.file("other.key", KeyPair::generate().unwrap().serialize_pem().as_bytes());
    let told = person.fails(6, &["whoami", "--client-cert", &certificate, "--client-key", &other]);
    assert!(told.contains("other.key"), "{told}");

    let bound = ["api-key", "create", "--client-certificate", &web.fingerprint(), "--token-only"];
    let token = person.does(&bound);
    let bound =
        Person::stranger().set("STRONGROOM_API_KEY", token.trim()).set("STRONGROOM_URL", &world.server.url);
    let bound = bound.set("STRONGROOM_CA_CERT", text(&own)).set("STRONGROOM_CLIENT_CERT", &certificate);
    let bound = bound.set("STRONGROOM_CLIENT_KEY", &key);
    assert!(bound.does(&["whoami"]).contains("admin@localhost"));
    world.server.stop();
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let (data, folder) = (private_folder(), private_folder());
    let authorities = folder.path().join("clients.pem");
    std::fs::write(&authorities, "no certificate").unwrap();
    for (args, said) in [
        (&["--tls-client-auth", "required", "--tls", "self-signed"][..], "--tls-client-ca"),
        (&["--tls-client-ca", text(&authorities)], "TLS, which is off"),
        (&["--tls-client-ca", text(&authorities), "--tls", "self-signed"], "clients.pem"),
    ] {
        let refused = Server::spawn(data.path(), args).wait();
        assert!(refused.expect_refusal().stderr.contains(said), "{}", refused.stderr);
    }
}
