//! TLS: both protocols, certificates that are replaced while serving, and clients that are slow or confused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "tls/client.rs"]
mod client;
mod harness;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::{Dialled, Offer};
use harness::http::connect;
use harness::{PATIENCE, Request, Server, first_key, poll, private_folder, text};
use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};

/// A certificate for `localhost`, signed by itself, and its key, as files.
struct Certificate {
    der: Vec<u8>,
    pem: String,
    key: String,
}

impl Certificate {
    fn make() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Self { der: made.cert.der().to_vec(), pem: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn in_folder(folder: &Path) -> Self {
        Self { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
    }

    fn put(&self, certificate: &Certificate) {
        std::fs::write(&self.certificate, &certificate.pem).unwrap();
        std::fs::write(&self.key, &certificate.key).unwrap();
    }
}

/// A server that speaks TLS and gives a handshake one second.
struct World {
    server: Server,
    files: Files,
    certificate: Certificate,
    token: String,
    _folders: [tempfile::TempDir; 2],
}

impl World {
    fn start() -> Self {
        let (data, folder) = (private_folder(), private_folder());
        let (files, certificate) = (Files::in_folder(folder.path()), Certificate::make());
        files.put(&certificate);
        let args = [
            "--tls-cert",
            text(&files.certificate),
            "--tls-key",
            text(&files.key),
            "--handshake-timeout",
            "1s",
        ];
        let server = Server::start_with(data.path(), &args);
        let token = first_key(data.path());
        Self { server, files, certificate, token, _folders: [data, folder] }
    }

    fn address(&self) -> &str {
        self.server.url.strip_prefix("https://").expect("a URL of https")
    }

    fn get(&self, path: &str) -> Request {
        Request::new("GET", path).token(&self.token)
    }

    /// The certificate that a new connection is shown.
    fn shown(&self, among: &[&Certificate]) -> Vec<u8> {
        let dialled = Dialled::new(self.address(), &ders(among), &[b"http/1.1"]);
        dialled.expect("a handshake").certificate()
    }

    /// Has the files read again, and waits until the log says how that went.
    fn reload(&self, outcome: &str) {
        let count = || self.log().matches(outcome).count();
        let before = count();
        self.server.process.signal(Signal::HUP);
        poll(outcome, || (count() > before).then_some(()));
    }

    fn log(&self) -> String {
        self.server.process.stderr() + &self.server.process.stdout()
    }
}

fn ders(certificates: &[&Certificate]) -> Vec<Vec<u8>> {
    certificates.iter().map(|certificate| certificate.der.clone()).collect()
}

const READ_AGAIN: &str = "the certificate was read again";
const NOT_READ: &str = "the certificate could not be read again";

#[test]
fn both_protocols_are_spoken() {
    let world = World::start();
    let trusted = ders(&[&world.certificate]);
    for (offered, expected) in [
        (vec![&b"h2"[..], b"http/1.1"], Some(&b"h2"[..])),
        (vec![b"h2"], Some(b"h2")),
        (vec![b"http/1.1"], Some(b"http/1.1")),
        (vec![], None),
    ] {
        let mut dialled = Dialled::new(world.address(), &trusted, &offered).expect("a handshake");
        assert_eq!(dialled.protocol(), expected, "offered {offered:?}");
        if expected == Some(b"h2") {
            assert_eq!(dialled.get_over_http2("/healthz"), (200, b"ok\n".to_vec()));
        } else {
            let root = dialled.exchange(&world.get("/")).expect_status(200).json();
            assert_eq!(harness::field(&root, "uri"), "https://localhost/", "URLs are those of https");
        }
    }
    let none = Dialled::new(world.address(), &trusted, &[b"spdy/3"]);
    assert!(none.is_err(), "a protocol that nobody speaks was agreed on");
    let untrusted = Dialled::new(world.address(), &ders(&[&Certificate::make()]), &[]);
    assert!(untrusted.is_err(), "the client trusts anyone: the other checks show nothing");
    world.server.stop();
}

/// TLS 1.3 and 1.2; the way to agree on a key that no quantum computer breaks, whenever the client knows it.
#[test]
fn the_best_of_what_a_client_knows_is_agreed_on() {
    use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let world = World::start();
    let trusted = ders(&[&world.certificate]);
    let agreed =
        |offer: Offer| Dialled::with(world.address(), offer.config()).map(|dialled| dialled.agreed());
    let offer = || Offer::new(&trusted);
    let (version, group, _) = agreed(offer()).unwrap();
    assert_eq!((version, group), (ProtocolVersion::TLSv1_3, Some(NamedGroup::X25519MLKEM768)));
    for (groups, expected) in [
        (vec![X25519MLKEM768, X25519], NamedGroup::X25519MLKEM768),
        (vec![X25519], NamedGroup::X25519),
        (vec![SECP384R1, SECP256R1], NamedGroup::secp384r1),
    ] {
        let (_, group, _) = agreed(offer().groups(&groups)).unwrap();
        assert_eq!(group, Some(expected), "offered {groups:?}");
    }
    let (version, group, _) = agreed(offer().version(&TLS12)).unwrap();
    assert_eq!((version, group), (ProtocolVersion::TLSv1_2, Some(NamedGroup::X25519)));
    world.server.stop();
}

/// A hello of TLS 1.1 is one of 1.2 with another number, here in both places that hold one: it is told that there is no such
/// version, and nothing else.
#[test]
fn what_is_older_than_tls_1_2_is_turned_away() {
    const ALERT: u8 = 21;
    const PROTOCOL_VERSION: u8 = 70;
    const CLIENT_VERSION: std::ops::Range<usize> = 9..11;
    /// Extension 43, `supported_versions`: three bytes, of which two are versions, that of TLS 1.2.
    const SUPPORTED_VERSIONS: [u8; 7] = [0, 43, 0, 3, 2, 3, 3];
    let world = World::start();
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut hello = client::hello_of(&TLS12);
        hello[CLIENT_VERSION].copy_from_slice(&version);
        let at = hello.windows(7).position(|window| window == SUPPORTED_VERSIONS).expect("the extension");
        hello[at + 5..at + 7].copy_from_slice(&version);
        let mut stream = connect(world.address()).unwrap();
        stream.write_all(&hello).unwrap();
        let mut answer = Vec::new();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!((answer.first(), answer.get(6)), (Some(&ALERT), Some(&PROTOCOL_VERSION)), "{version:?}");
    }
    world.server.stop();
}

/// A session goes on where it was with the same client; nothing is sent before the handshake is done, as it could be sent again.
#[test]
fn sessions_are_resumed_without_early_data() {
    let world = World::start();
    for version in [&TLS13, &TLS12] {
        let config = Offer::new(&ders(&[&world.certificate])).version(version).config();
        let mut first = Dialled::with(world.address(), config.clone()).unwrap();
        // The tickets of TLS 1.3 come with the first answer.
        first.exchange(&world.get("/")).expect_status(200);
        assert_ne!(first.agreed().2, HandshakeKind::Resumed);
        let mut again = Dialled::with(world.address(), config).unwrap();
        assert_eq!(again.agreed().2, HandshakeKind::Resumed, "{version:?}");
        assert!(!again.may_send_early());
        again.exchange(&world.get("/")).expect_status(200);
    }
    world.server.stop();
}

#[test]
fn sighup_picks_up_a_new_certificate() {
    let world = World::start();
    let (old, new) = (&world.certificate, Certificate::make());
    let mut open = Dialled::new(world.address(), &ders(&[old]), &[b"http/1.1"]).expect("a handshake");
    open.exchange(&world.get("/")).expect_status(200);

    world.files.put(&new);
    assert!(world.shown(&[old]) == old.der, "the new one is shown before anybody said so");
    world.reload(READ_AGAIN);
    assert!(world.shown(&[&new]) == new.der, "the old one is still shown");
    // A connection that was open goes on with what it has.
    open.exchange(&world.get("/vaults")).expect_status(200);
    assert!(open.certificate() == old.der);
    world.server.stop();
}

/// In a container without a shell nobody sends a signal. What a mounted secret is changed by is a link that leads elsewhere.
#[test]
fn files_that_change_are_read_without_a_signal() {
    let world = World::start();
    let (new, folder) = (Certificate::make(), private_folder());
    let elsewhere = Files::in_folder(folder.path());
    elsewhere.put(&new);
    let lead = |from: &Path, to: &Path| {
        let link = from.with_extension("new");
        std::os::unix::fs::symlink(to, &link).unwrap();
        std::fs::rename(&link, from).unwrap();
    };
    lead(&world.files.key, &elsewhere.key);
    lead(&world.files.certificate, &elsewhere.certificate);
    poll("the files are read again", || world.log().contains(READ_AGAIN).then_some(()));
    assert!(world.shown(&[&new]) == new.der, "the old one is still shown");
    // Of files that are no good the log tells, and what was good stays.
    std::fs::write(&elsewhere.certificate, "swordfish").unwrap();
    poll("it is told", || world.log().contains(NOT_READ).then_some(()));
    assert!(world.shown(&[&new]) == new.der);
    world.server.stop();
}

#[test]
fn bad_files_leave_the_old_certificate_in_use() {
    let world = World::start();
    let (old, other) = (&world.certificate, Certificate::make());
    let (path, key_path) = (&world.files.certificate, &world.files.key);
    let cut = &other.pem[..other.pem.len() / 2];
    let bad: [(&str, &Path, &str); 5] = [
        ("no PEM", path, "swordfish"),
        ("an empty file", path, ""),
        ("a certificate cut off", path, cut),
        ("another certificate's key", key_path, &other.key),
        ("a certificate in place of the key", key_path, &old.pem),
    ];
    for (what, file, content) in bad {
        world.files.put(old);
        std::fs::write(file, content).unwrap();
        world.reload(NOT_READ);
        assert!(world.shown(&[old]) == old.der, "{what}");
    }
    for file in [path, key_path] {
        world.files.put(old);
        std::fs::remove_file(file).unwrap();
        world.reload(NOT_READ);
        assert!(world.shown(&[old]) == old.der, "without {}", file.display());
    }
    assert!(!world.log().contains("swordfish"), "a file's content is in the log");
    // Once the files are good, so is the next SIGHUP.
    world.files.put(&other);
    world.reload(READ_AGAIN);
    assert!(world.shown(&[&other]) == other.der);
    world.server.stop();
}

#[test]
fn bad_files_are_refused_at_the_start() {
    let (data, folder) = (private_folder(), private_folder());
    let files = Files::in_folder(folder.path());
    files.put(&Certificate::make());
    std::fs::write(&files.key, Certificate::make().key).unwrap();
    let args = ["--tls-cert", text(&files.certificate), "--tls-key", text(&files.key)];
    Server::spawn(data.path(), &args).wait().expect_refusal();
    std::fs::remove_file(&files.certificate).unwrap();
    let refused = Server::spawn(data.path(), &args).wait();
    assert!(refused.expect_refusal().stderr.contains("cert.pem"), "{}", refused.stderr);
}

/// Reads until the server hangs up; `None` if it does not within the time.
fn hung_up(stream: &mut TcpStream, within: Duration) -> Option<Duration> {
    let start = Instant::now();
    stream.set_read_timeout(Some(within)).unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
        {
            None
        }
        // A reset is an end too.
        _ => Some(start.elapsed()),
    }
}

#[test]
fn clear_text_on_the_port_does_not_hang() {
    let world = World::start();
    let mut stream = connect(world.address()).unwrap();
    stream.write_all(&world.get("/").bytes("localhost")).unwrap();
    let took = hung_up(&mut stream, PATIENCE).expect("the server hangs up");
    assert!(took < Duration::from_secs(5), "{took:?}");
    world.shown(&[&world.certificate]);
    world.server.stop();
}

/// Silent, stuck in the middle, one byte at a time: all are cut off by the same second.
#[test]
fn a_handshake_takes_a_second_at_most() {
    const LIMIT: Duration = Duration::from_secs(1);
    let world = World::start();
    let hello = client::hello();
    for (what, start) in [("silent", &[][..]), ("stuck", &hello[..hello.len() / 2])] {
        let mut stream = connect(world.address()).unwrap();
        let begun = Instant::now();
        stream.write_all(start).unwrap();
        hung_up(&mut stream, PATIENCE).unwrap_or_else(|| panic!("{what}: never cut off"));
        let took = begun.elapsed();
        assert!(took >= LIMIT - Duration::from_millis(100) && took < 5 * LIMIT, "{what}: after {took:?}");
    }
    let mut stream = connect(world.address()).unwrap();
    let begun = Instant::now();
    for byte in &hello {
        // A byte well within the limit each time: the limit is on the whole.
        std::thread::sleep(Duration::from_millis(100));
        if stream.write_all(&[*byte]).is_err() || begun.elapsed() > 5 * LIMIT {
            break;
        }
    }
    assert!(begun.elapsed() < 5 * LIMIT, "a byte at a time: never cut off");
    // All the while others get in.
    world.shown(&[&world.certificate]);
    world.server.stop();
}
