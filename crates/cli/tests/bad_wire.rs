//! Bad input below the level of a request: cut off, slow, too big, or no HTTP at all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use harness::{
    PATIENCE, Reply, Request, Server, audit_events, first_key, http, list_all, poll, private_folder,
};
use serde_json::json;
use tempfile::TempDir;

/// A running server that must hold nothing and must have logged no change when the test ends.
struct Untouched {
    data: TempDir,
    server: Server,
    events: usize,
}

impl Untouched {
    fn start(args: &[&str]) -> Self {
        let data = private_folder();
        let server = Server::start_with(data.path(), args);
        let events = audit_events(data.path()).len();
        Self { data, server, events }
    }

    fn connect(&self) -> TcpStream {
        http::connect(self.server.address()).unwrap()
    }

    /// The bytes of a create that would succeed if all of it came.
    fn create(&self) -> Vec<u8> {
        let token = first_key(self.data.path());
        Request::new("POST", "/vaults")
            .token(&token)
            .json(&json!({"name": "never"}))
            .bytes(self.server.address())
    }

    fn assert_untouched(self) {
        let vaults = list_all(&mut self.server.client(), "/vaults", "vaults");
        assert!(vaults.is_empty(), "{vaults:?}");
        assert_eq!(audit_events(self.data.path()).len(), self.events);
        self.server.stop();
    }
}

fn assert_error(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply}");
    let body = reply.json();
    assert_eq!(body["error_code"], code, "{reply}");
    assert_eq!(body["status_code"], status, "{reply}");
    assert!(
        reply.header("ngrok-operation-id").is_some_and(|id| id.starts_with("op_")),
        "{:?}",
        reply.headers
    );
}

#[test]
fn a_body_cut_off_changes_nothing() {
    let world = Untouched::start(&[]);
    let bytes = world.create();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    for sent in [head, head + 1, bytes.len() - 1] {
        let mut stream = world.connect();
        stream.write_all(&bytes[..sent]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        // Whoever hangs up may get no answer, but never one that says it worked.
        if !rest.is_empty() {
            assert_error(&Reply::read(&mut rest.as_slice(), "POST").unwrap(), 400, "ERR_NGROK_212");
        }
    }
    world.assert_untouched();
}

#[test]
fn a_head_cut_off_anywhere_changes_nothing() {
    let world = Untouched::start(&[]);
    let bytes = world.create();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    for sent in (1..head).step_by(7) {
        let mut stream = world.connect();
        stream.write_all(&bytes[..sent]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(
            !rest.starts_with(b"HTTP/1.1 2"),
            "{sent} bytes were enough: {}",
            String::from_utf8_lossy(&rest)
        );
    }
    world.assert_untouched();
}

#[test]
fn a_broken_chunk_changes_nothing() {
    let world = Untouched::start(&[]);
    let token = first_key(world.data.path());
    let request = Request::new("POST", "/vaults").token(&token);
    let request = request.header("content-type", "application/json").header("transfer-encoding", "chunked");
    for chunk in [
        "zz\r\n{\"name\":\"never\"}\r\n0\r\n\r\n",
        "11\r\n{\"name\":\"never\"}\r\n",
        "fffffffffffffffff\r\n{}",
    ] {
        let mut stream = world.connect();
        stream.write_all(&request.bytes(world.server.address())).unwrap();
        stream.write_all(chunk.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{chunk:?}: {}", String::from_utf8_lossy(&rest));
    }
    world.assert_untouched();
}

#[test]
fn slow_headers_are_cut_off_in_bounded_time() {
    let world = Untouched::start(&["--header-timeout", "1s"]);
    let bytes = world.create();
    let drip = |mut stream: TcpStream| {
        let start = Instant::now();
        let mut sent = bytes[..20].iter();
        // Drop by drop, so that a limit on idleness alone would never strike.
        poll("the server hangs up", || {
            let more = sent.next().map_or(Ok(()), |byte| stream.write_all(&[*byte]));
            std::thread::sleep(Duration::from_millis(100));
            (more.is_err() || hung_up(&mut stream)).then_some(())
        });
        start.elapsed()
    };
    let took = drip(world.connect());
    assert!(took >= Duration::from_millis(900) && took < PATIENCE / 3, "cut off after {took:?}");
    world.assert_untouched();
}

/// Whether the other side has closed; an answer such as 408 before that is as good.
fn hung_up(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut scratch = [0; 1024];
    let closed = loop {
        match stream.read(&mut scratch) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(e) => break e.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    stream.set_nonblocking(false).unwrap();
    closed
}

#[test]
fn a_slow_body_is_cut_off_in_bounded_time() {
    let world = Untouched::start(&["--body-timeout", "1s"]);
    let bytes = world.create();
    let mut stream = world.connect();
    stream.write_all(&bytes[..bytes.len() - 3]).unwrap();
    let start = Instant::now();
    poll("the server gives up", || hung_up(&mut stream).then_some(()));
    assert!(start.elapsed() < PATIENCE / 3, "gave up after {:?}", start.elapsed());
    world.assert_untouched();
}

#[test]
fn a_huge_body_is_refused_without_being_read() {
    let world = Untouched::start(&[]);
    let token = first_key(world.data.path());
    let request = Request::new("POST", "/vaults").token(&token).header("content-type", "application/json");

    let declared = request.clone().header("content-length", "10000000000");
    let mut stream = world.connect();
    stream.write_all(&declared.bytes(world.server.address())).unwrap();
    assert_error(&Reply::read(&mut BufReader::new(&stream), "POST").unwrap(), 413, "ERR_NGROK_812");

    let chunked = request.header("transfer-encoding", "chunked");
    let mut stream = world.connect();
    stream.write_all(&chunked.bytes(world.server.address())).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    // It stops reading at its limit, so that writing fails or the answer is there before all is written.
    for _ in 0..1024 {
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    match Reply::read(&mut BufReader::new(&stream), "POST") {
        Ok(reply) => assert_error(&reply, 413, "ERR_NGROK_812"),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}"),
    }
    world.assert_untouched();
}

#[test]
fn a_huge_body_without_a_key_costs_nothing() {
    let world = Untouched::start(&[]);
    let request = Request::new("POST", "/vaults").header("content-type", "application/json");
    let mut stream = world.connect();
    let declared = request.header("content-length", "60000");
    stream.write_all(&declared.bytes(world.server.address())).unwrap();
    // Not one byte of the body is sent: the answer must not wait for it.
    assert_error(&Reply::read(&mut BufReader::new(&stream), "POST").unwrap(), 403, "ERR_NGROK_200");
    world.assert_untouched();
}

#[test]
fn huge_headers_are_refused() {
    let world = Untouched::start(&[]);
    let token = first_key(world.data.path());
    let long_value = Request::new("GET", "/vaults").token(&token).header("x-long", &"x".repeat(4 << 20));
    let many = (0..5000).fold(Request::new("GET", "/vaults").token(&token), |request, n| {
        request.header(&format!("x-{n}"), "x")
    });
    let long_target = Request::new("GET", &format!("/vaults?filter={}", "x".repeat(4 << 20))).token(&token);
    for (what, request) in
        [("a long header", long_value), ("many headers", many), ("a long target", long_target)]
    {
        let mut stream = world.connect();
        let _ = stream.write_all(&request.bytes(world.server.address()));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(refused, "{what}: {}", String::from_utf8_lossy(&answer));
    }
    world.assert_untouched();
}

#[test]
fn what_is_no_http_is_refused() {
    let world = Untouched::start(&[]);
    let cases: [&[u8]; 6] = [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /vaults HTTP/9.9\r\n\r\n",
        b"GET /vaults HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /vaults HTTP/1.1\r\nhost: x\r\ncontent-length: five\r\n\r\n",
        b"POST /vaults HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    ];
    for bytes in cases {
        let mut stream = world.connect();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(refused, "{}: {}", String::from_utf8_lossy(bytes), String::from_utf8_lossy(&answer));
    }
    world.assert_untouched();
}

#[test]
fn garbage_behind_a_request_spoils_only_itself() {
    let world = Untouched::start(&[]);
    let token = first_key(world.data.path());
    let good = Request::new("GET", "/vaults").token(&token).bytes(world.server.address());
    let mut stream = world.connect();
    stream.write_all(&[&good[..], &good, b"GARBAGE\r\n\r\n", &world.create()].concat()).unwrap();
    let mut reader = BufReader::new(stream);
    for _ in 0..2 {
        Reply::read(&mut reader, "GET").unwrap().expect_status(200);
    }
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&rest));
    assert!(!rest.windows(12).any(|window| window == b"HTTP/1.1 201"), "it went on behind the garbage");
    world.assert_untouched();
}

/// Two ways to say where a body ends let a proxy and a server disagree: it must not be guessed.
#[test]
fn a_length_and_chunks_together_are_refused() {
    let world = Untouched::start(&[]);
    let token = first_key(world.data.path());
    let request = Request::new("POST", "/vaults").token(&token).header("content-type", "application/json");
    let request = request.header("content-length", "6").header("transfer-encoding", "chunked");
    let mut stream = world.connect();
    let smuggled = [&request.bytes(world.server.address())[..], b"0\r\n\r\n", &world.create()].concat();
    stream.write_all(&smuggled).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains("HTTP/1.1 201"), "the smuggled request was run: {text}");
    world.assert_untouched();
}
