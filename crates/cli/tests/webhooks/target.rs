//! A target of webhooks: a small HTTP server that notes what it gets, and does with it what a test says.

#![allow(dead_code, reason = "each test binary uses the part it needs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::harness::PATIENCE;

/// What a target does once it has read a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Answer(u16),
    /// It answers every third with 500, breaks off every fifth, and takes the others.
    Falter,
    /// It sends on to itself.
    Redirect,
    /// It says nothing, and keeps the connection.
    Hang,
    /// It says nothing, and closes the connection.
    Close,
    /// It answers with what is no HTTP.
    Garbage,
    /// It answers with headers without end.
    EndlessHead,
    /// It answers 200 with a body without end.
    EndlessBody,
}

/// A request as it was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What was to be done with it.
    pub(crate) does: Does,
}

impl Taken {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }
}

#[derive(Clone)]
pub(crate) struct Shared {
    does: Arc<Mutex<Does>>,
    taken: Arc<Mutex<Vec<Taken>>>,
    connections: Arc<AtomicUsize>,
}

pub(crate) struct Target {
    port: u16,
    shared: Shared,
}

impl Target {
    pub(crate) fn new(does: Does) -> Self {
        Self::with(does, answer)
    }

    /// A target that makes of each connection what `serve` says. Its threads end with the test.
    pub(crate) fn with(does: Does, serve: impl Fn(TcpStream, &Shared) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared =
            Shared { does: Arc::new(Mutex::new(does)), taken: Arc::default(), connections: Arc::default() };
        let of_thread = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared, serve) = (stream.unwrap(), of_thread.clone(), serve.clone());
                shared.connections.fetch_add(1, Ordering::Relaxed);
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    /// The URL of a port that nobody listens on any more.
    pub(crate) fn closed() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn does(&self, does: Does) {
        *self.shared.does.lock().unwrap() = does;
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

/// Reads one request from a connection, and does what is to be done. Whoever asks may go away at any time.
pub(crate) fn answer(mut stream: impl Read + Write, shared: &Shared) {
    let Some(mut request) = read(&mut stream) else { return };
    let does = {
        let mut taken = shared.taken.lock().unwrap();
        let does = match *shared.does.lock().unwrap() {
            Does::Falter if taken.len().is_multiple_of(3) => Does::Answer(500),
            Does::Falter if taken.len().is_multiple_of(5) => Does::Close,
            Does::Falter => Does::Answer(200),
            does => does,
        };
        request.does = does;
        taken.push(request);
        does
    };
    let _ = match does {
        Does::Answer(status) => write!(stream, "HTTP/1.1 {status} Said\r\ncontent-length: 4\r\n\r\nbody")
            .and_then(|()| stream.flush()),
        Does::Redirect => write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/elsewhere\r\ncontent-length: 0\r\n\r\n"
        ),
        Does::Hang => stream.read(&mut [0]).map(drop),
        Does::Close | Does::Falter => Ok(()),
        Does::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        Does::EndlessHead => {
            let started = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            started.and_then(|()| without_end(&mut stream, b"x-header: and another one\r\n"))
        }
        Does::EndlessBody => {
            let started = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            started.and_then(|()| without_end(&mut stream, b"4\r\nmore\r\n"))
        }
    };
}

fn without_end(stream: &mut impl Write, piece: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(piece)?;
    }
}

fn read(stream: &mut impl Read) -> Option<Taken> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    assert_eq!(words.next(), Some("POST"));
    let target = words.next()?.to_owned();
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Taken { target, headers, body, does: Does::Hang })
}
