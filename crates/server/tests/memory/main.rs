//! What is left in a server's memory after values were sealed and given out. The server is a process of its own, so that what
//! the test knows is not found there; what is looked for is told to it masked. It draws its keys from a generator whose
//! bytes the test can tell.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod child;
mod draws;
mod search;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use draws::Draws;
use serde_json::{Value, json};
use strongroom_crypto::{Rng, SlotKey, SystemRng, Wiping, view_key_file};

/// As in the binary: whatever is given back is wiped.
#[global_allocator]
static ALLOCATOR: Wiping<std::alloc::System> = Wiping::new(std::alloc::System);

/// A value of random text, of which each piece is looked for: an allocator's own notes may hide a part of it.
struct Canary(String);

impl Canary {
    const PIECE: usize = 16;

    fn make(length: usize) -> Self {
        let mut bytes = vec![0; length];
        SystemRng.fill(&mut bytes).unwrap();
        let letter = |byte: u8| char::from(b'a' + byte % 26);
        Self(bytes.into_iter().map(letter).collect())
    }

    /// Some pieces, from the first to the last.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (pieces, _) = self.0.as_bytes().as_chunks::<{ Self::PIECE }>();
        pieces.iter().step_by(pieces.len().div_ceil(32)).map(|piece| &piece[..])
    }
}

/// The server's process, as the test speaks to it.
struct Served {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: String,
    token: String,
    /// What the server drew before it served: the keys that it keeps.
    kept: Vec<usize>,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child::served", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (address, token) = (String::new(), String::new());
        let mut served = Self { process, input, output, address, token, kept: Vec::new() };
        let told = served.ask(&format!("serve {}", folder.display()));
        let (address, token) = told.split_once(' ').unwrap();
        (served.address, served.token) = (address.to_owned(), token.to_owned());
        served.kept = served.drawn();
        served
    }

    /// One line to the process, and its answer.
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        loop {
            let mut answer = String::new();
            assert!(self.output.read_line(&mut answer).unwrap() > 0, "the server's process ended");
            // libtest prints lines of its own around it.
            if let Some((_, answer)) = answer.split_once(child::ANSWER) {
                return answer.trim_end().to_owned();
            }
        }
    }

    /// How many bytes were drawn each time.
    fn drawn(&mut self) -> Vec<usize> {
        self.ask("drawn").split_whitespace().map(|length| length.parse().unwrap()).collect()
    }

    /// Where bytes are in the process's memory: for each place the name of what was found, and `locked` or the kind of the
    /// mapping.
    fn find(&mut self, wanted: &[(String, Vec<u8>)]) -> Vec<String> {
        let masked: Vec<String> = wanted.iter().map(|(_, bytes)| search::masked(bytes)).collect();
        let told = self.ask(&format!("find {}", masked.join(" ")));
        let named = |place: &str| {
            let (which, kind) = place.split_once(':').unwrap();
            format!("{} ({kind})", wanted[which.parse::<usize>().unwrap()].0)
        };
        told.split_whitespace().map(named).collect()
    }

    /// Fails unless all of it is gone within a few seconds: a connection's end takes its moment.
    fn assert_gone(&mut self, wanted: &[(String, Vec<u8>)]) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.find(wanted);
            if found.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still in memory: {found:#?}");
        }
    }

    /// One request on a connection of its own.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nngrok-version: 2\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.token,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    fn stop(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}

#[test]
fn after_sealing_and_resolving_neither_key_nor_value_is_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = view_key_file(&SlotKey::make(&SystemRng).unwrap());
    std::fs::write(folder.path().join("root.key"), file.as_bytes()).unwrap();
    let mut served = Served::start(folder.path());

    // The search finds what is there: the token key lives as long as the server.
    let mut long = (0..served.kept.len()).filter(|at| served.kept[*at] == 32);
    let root_key = ("root key".to_owned(), Draws::bytes(long.next().expect("a key"), 32));
    let token_key = ("token key".to_owned(), Draws::bytes(long.next().expect("another key"), 32));
    assert_ne!(served.find(&[token_key]), [""; 0]);

    let (small, large, second) = (Canary::make(96), Canary::make(40_000), Canary::make(4_000));
    let vault = served.call("POST", "/vaults", Some(&json!({"name": "prod"})));
    let mut ids = Vec::new();
    for (name, canary) in [("small", &small), ("large", &large)] {
        let body = json!({"name": name, "value": canary.0, "vault_id": vault["id"]});
        ids.push(served.call("POST", "/vault_secrets", Some(&body))["id"].as_str().unwrap().to_owned());
    }
    served.call("PATCH", &format!("/vault_secrets/{}", ids[0]), Some(&json!({"value": second.0})));
    let grants = json!({"description": "reads", "grants": [{"action": "resolve", "vault": "*"}]});
    let reader = served.call("POST", "/api_keys", Some(&grants));
    reader["token"].as_str().unwrap().clone_into(&mut served.token);
    let resolved = served.call("POST", "/strongroom/resolve", Some(&json!({"secrets": [{"vault": "prod"}]})));
    assert_eq!(resolved["secrets"].as_array().unwrap().len(), 2);
    assert!(resolved.to_string().contains(&large.0) && resolved.to_string().contains(&second.0));
    served.call("GET", "/strongroom/values?vault=prod", None);

    let mut wanted = Vec::new();
    for (name, canary) in [("small", &small), ("large", &large), ("changed", &second)] {
        for (at, piece) in canary.pieces().enumerate() {
            wanted.push((format!("piece {at} of the {name} value"), piece.to_vec()));
        }
    }
    let drawn = served.drawn();
    let keys: Vec<usize> = (served.kept.len()..drawn.len()).filter(|at| drawn[*at] == 32).collect();
    assert!(keys.len() >= 4, "a vault key and three data keys were drawn: {drawn:?}");
    wanted.extend(keys.into_iter().map(|at| (format!("key {at}"), Draws::bytes(at, 32))));
    let text = file.lines().find(|line| line.starts_with("strongroom-slot-key")).unwrap();
    let text = text.split_whitespace().nth(1).unwrap();
    wanted.push(("text of the slot key".to_owned(), text.as_bytes().to_vec()));
    wanted.push(("slot key".to_owned(), STANDARD.decode(text).unwrap()));
    served.assert_gone(&wanted);

    assert_eq!(served.find(&[root_key]), ["root key (locked)"], "it is in the one place that is locked");
    served.stop();
}
