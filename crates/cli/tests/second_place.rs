//! The second place of checkpoints: a store that was rolled back is not served, unless that is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use harness::{Server, make_vault, poll, private_folder, run, text};
use strongroom_domain::audit::Head;
use strongroom_domain::audit::checkpoint::LogPublicKey;

/// A data folder, and a second place beside it.
struct Place {
    data: tempfile::TempDir,
    apart: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { data: private_folder(), apart: private_folder() }
    }

    fn checkpoint(&self) -> String {
        text(&self.apart.path().join("checkpoint.txt")).to_owned()
    }

    fn flags(&self, every: &str) -> Vec<String> {
        let words = ["--audit-checkpoint-to", &self.checkpoint(), "--audit-checkpoint-every", every];
        words.map(str::to_owned).to_vec()
    }

    fn start(&self, every: &str, more: &[&str]) -> Server {
        let flags = self.flags(every);
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Server::start_with(self.data.path(), &flags)
    }

    /// Starts a server that is to refuse; what it says.
    fn refused(&self) -> String {
        let flags = self.flags("1h");
        let flags = flags.iter().map(String::as_str);
        let args: Vec<&str> = ["serve", "--listen", "127.0.0.1:0", "--data-dir", text(self.data.path())]
            .into_iter()
            .chain(flags)
            .collect();
        let ran = run(&args);
        ran.expect_refusal();
        ran.stderr
    }

    fn head(&self) -> Head {
        let key = run(&["audit", "key", "--data-dir", text(self.data.path())]).stdout;
        let key: LogPublicKey = key.parse().unwrap();
        key.open(&fs::read_to_string(self.checkpoint()).unwrap()).unwrap()
    }

    fn database(&self) -> std::path::PathBuf {
        harness::files::database(self.data.path())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

#[test]
fn checkpoints_are_written_while_the_log_grows_and_at_the_end() {
    let place = Place::new();
    let server = place.start("50ms", &[]);
    let first = place.head().sequence;
    make_vault(&mut server.client(), "a");
    poll("a later checkpoint", || (place.head().sequence > first).then_some(()));
    server.stop();
    let server = place.start("1h", &[]);
    make_vault(&mut server.client(), "b");
    server.stop();
    assert_eq!(place.head().sequence, first + 2, "written at the end");
}

#[test]
fn a_store_that_was_rolled_back_is_not_served() {
    let place = Place::new();
    let earlier = place.apart.path().join("earlier.db");
    place.start("1h", &[]).stop();
    copy(&place.database(), &earlier);
    let server = place.start("1h", &[]);
    make_vault(&mut server.client(), "a");
    server.stop();
    let last = place.head();

    copy(&earlier, &place.database());
    assert!(place.refused().contains("rolled back or tampered with"));
    assert_eq!(place.head(), last, "the checkpoint is left alone");
    // As long as the last one, and another log.
    let aside = Server::start(place.data.path());
    make_vault(&mut aside.client(), "another");
    aside.stop();
    assert!(place.refused().contains("are not those that the checkpoint was made of"));

    let server = place.start("1h", &["--allow-rolled-back-log"]);
    make_vault(&mut server.client(), "b");
    server.stop();
    assert_ne!(place.head(), last);
    place.start("1h", &[]).stop();
}

#[test]
fn what_is_no_checkpoint_of_the_log_is_not_replaced() {
    let (place, other) = (Place::new(), Place::new());
    place.start("1h", &[]).stop();
    other.start("1h", &[]).stop();
    for content in ["", "not a checkpoint\n", &fs::read_to_string(other.checkpoint()).unwrap()] {
        fs::write(place.checkpoint(), content).unwrap();
        assert!(place.refused().contains("cannot be used"), "{content}");
        assert_eq!(fs::read_to_string(place.checkpoint()).unwrap(), content);
    }
    fs::remove_file(place.checkpoint()).unwrap();
    place.start("1h", &[]).stop();
    // A folder that is not there is told at the start.
    drop(place.apart);
    let gone = Place { data: place.data, apart: private_folder() };
    fs::remove_dir(gone.apart.path()).unwrap();
    assert!(gone.refused().contains("no checkpoint can be written"));
}

/// Somebody removes the key that signs, and the next start makes another: checkpoints from before do not fit it.
#[test]
fn a_key_that_was_lost_is_told() {
    let place = Place::new();
    place.start("1h", &[]).stop();
    let note = fs::read_to_string(place.checkpoint()).unwrap();
    let doctor = || run(&["doctor", "--data-dir", text(place.data.path())]);
    assert!(!doctor().stdout.contains("checkpoints"), "{}", doctor().stdout);
    harness::files::lose_log_key(place.data.path());
    let told = doctor();
    assert!(
        told.stdout.contains("bad   the key of the audit log's checkpoints is missing"),
        "{}",
        told.stdout
    );
    assert_eq!(told.status.code(), Some(1));

    let refused = place.refused();
    assert!(refused.contains("not signed with the log's key"), "{refused}");
    assert!(refused.contains("--allow-rolled-back-log"), "{refused}");
    assert!(refused.contains("CHECKPOINTS WAS MISSING"), "{refused}");
    assert_eq!(fs::read_to_string(place.checkpoint()).unwrap(), note, "the checkpoint is left alone");

    let server = Server::start(place.data.path());
    // A thread writes the log, and may do so after the server answers.
    harness::poll("the missing key is told", || {
        server.process.stderr().contains("CHECKPOINTS WAS MISSING").then_some(())
    });
    server.stop();
    let told = doctor();
    assert!(
        told.stdout.contains("warn  the key of the audit log's checkpoints was missing"),
        "{}",
        told.stdout
    );
    place.start("1h", &["--allow-rolled-back-log"]).stop();
    place.start("1h", &[]).stop();
}

/// A server that keeps what is put to it, and gives it back.
struct Shelf {
    url: String,
    kept: Arc<Mutex<Option<String>>>,
}

impl Shelf {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/kept?secret=swordfish", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(None));
        let shelf = kept.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&mut BufReader::new(stream.unwrap()), &shelf);
            }
        });
        Self { url, kept }
    }

    fn text(&self) -> Option<String> {
        self.kept.lock().unwrap().clone()
    }
}

fn answer(stream: &mut BufReader<TcpStream>, kept: &Mutex<Option<String>>) {
    let (mut head, mut length) = (String::new(), 0);
    while stream.read_line(&mut head).unwrap() > 2 {
        let line = head.lines().last().unwrap().to_ascii_lowercase();
        length = line.strip_prefix("content-length:").map_or(length, |number| number.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let (status, text) = if head.starts_with("PUT /kept?secret=swordfish ") {
        *kept.lock().unwrap() = Some(String::from_utf8(body).unwrap());
        ("201 Created", String::new())
    } else {
        kept.lock().unwrap().clone().map_or(("404 Not Found", String::new()), |text| ("200 OK", text))
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.get_mut().write_all((head + &text).as_bytes()).unwrap();
}

#[test]
fn a_url_can_be_the_second_place() {
    let (place, shelf) = (Place::new(), Shelf::open());
    let flags = ["--audit-checkpoint-to", shelf.url.as_str(), "--audit-checkpoint-every", "1h"];
    let earlier = place.apart.path().join("earlier.db");
    Server::start_with(place.data.path(), &flags).stop();
    let first = shelf.text().expect("a checkpoint at the start");
    copy(&place.database(), &earlier);
    let server = Server::start_with(place.data.path(), &flags);
    make_vault(&mut server.client(), "a");
    server.stop();
    assert_ne!(shelf.text().unwrap(), first);

    copy(&earlier, &place.database());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", text(place.data.path())];
    let refused = run(&[&serve[..], &flags].concat());
    refused.expect_refusal();
    assert!(refused.stderr.contains("rolled back or tampered with"), "{}", refused.stderr);
    let shown = run(&[&["config", "show"][..], &flags].concat());
    for told in [&refused.stderr, &shown.stdout] {
        assert!(told.contains("http://127.0.0.1:") && !told.contains("swordfish"), "{told}");
    }
    let in_clear = ["--audit-checkpoint-to", "http://checkpoints.example/a"];
    let refused = run(&[&serve[..], &in_clear].concat());
    assert!(refused.expect_refusal().stderr.contains("is not https://"), "{}", refused.stderr);
}
