//! Connections that hold a place without asking for anything, and what they cost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::{Request, Server, http, private_folder};

/// The whole preface of an HTTP/2 connection and an empty SETTINGS frame.
const HTTP2_HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The longest that an idle connection may last with the limits of these tests, with room for a slow machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

const SHORT: &[&str] = &["--header-timeout", "1s", "--handshake-timeout", "1s"];

/// Reads until the server closes, and says whether it did in time.
fn closes(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let start = Instant::now();
    let mut buffer = [0; 4096];
    while start.elapsed() < CLOSED_WITHIN {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
    false
}

#[test]
fn a_connection_that_asks_for_nothing_is_closed() {
    let data = private_folder();
    let server = Server::start_with(data.path(), SHORT);
    let starts: &[(&str, &[u8])] = &[
        ("silence", b""),
        ("one byte of a preface", b"P"),
        ("four bytes of a preface", b"PRI "),
        ("an HTTP/2 connection without a request", HTTP2_HELLO),
        ("half a request line", b"GET /vau"),
        ("half a head", b"GET /vaults HTTP/1.1\r\nHost: x\r\n"),
    ];
    for (what, start) in starts {
        let mut stream = http::connect(server.address()).unwrap();
        stream.write_all(start).unwrap();
        assert!(closes(stream), "{what} holds its connection");
    }
    server.stop();
}

#[test]
fn pings_do_not_keep_a_connection() {
    let data = private_folder();
    let server = Server::start_with(data.path(), SHORT);
    let mut stream = http::connect(server.address()).unwrap();
    stream.write_all(HTTP2_HELLO).unwrap();
    let start = Instant::now();
    let ping = b"\0\0\x08\x06\0\0\0\0\0strongrm";
    let mut closed = false;
    while !closed && start.elapsed() < CLOSED_WITHIN {
        closed = stream.write_all(ping).is_err();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(closed, "pings hold the connection");
    server.stop();
}

#[test]
fn answers_that_nobody_reads_do_not_keep_a_connection() {
    let data = private_folder();
    let args = [SHORT, &["--max-connections", "1"]].concat();
    let server = Server::start_with(data.path(), &args);
    let mut stream = http::connect(server.address()).unwrap();
    let request = Request::new("GET", "/openapi.json").bytes(server.address());
    // More answers than the buffers of both ends hold; writing stops when the server stops reading.
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    for _ in 0..2000 {
        if stream.write_all(&request).is_err() {
            break;
        }
    }
    // The only place is free again: somebody else is answered.
    let start = Instant::now();
    let reply = http::exchange(server.address(), &Request::new("GET", "/healthz"));
    assert_eq!(reply.status, 200);
    assert!(start.elapsed() < CLOSED_WITHIN);
    drop(stream);
    server.stop();
}

#[test]
fn idle_connections_do_not_hold_up_a_stop() {
    let data = private_folder();
    let server = Server::start(data.path());
    let starts: [&[u8]; 4] = [b"", b"PRI ", HTTP2_HELLO, b"GET /vaults HTTP/1.1\r\n"];
    let held = starts.map(|start| {
        let mut stream = http::connect(server.address()).unwrap();
        stream.write_all(start).unwrap();
        stream
    });
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "the stop took {:?}", start.elapsed());
    drop(held);
}

/// Without it, the store's readers find no file descriptor once the connections have taken them all.
#[test]
fn connections_leave_file_descriptors_for_the_store() {
    let data = private_folder();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", harness::process::BINARY]);
    let data_dir = data.path().to_str().unwrap().to_owned();
    let args = ["serve", "--data-dir", &data_dir, "--listen", "127.0.0.1:0"];
    let process = harness::Process::spawn_by(command, &args, &[]);
    let server = Server::wait_until_ready(data.path(), process);
    let mut client = server.client();
    client.get("/vaults").expect_status(200);
    let held: Vec<_> = (0..120).map_while(|_| http::connect(server.address()).ok()).collect();
    for _ in 0..20 {
        client.get("/vaults").expect_status(200);
        client.get("/readyz").expect_status(200);
    }
    drop(held);
    server.stop();
}
