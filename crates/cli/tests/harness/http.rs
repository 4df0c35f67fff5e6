//! HTTP/1.1 on a plain socket: small enough to send what a real client library would refuse to.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::PATIENCE;

/// One request, with the headers every management call needs unless a test takes them away.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request with a version header and no credential.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let headers = vec![("ngrok-version".to_owned(), "2".to_owned())];
        Self { method: method.to_owned(), target: target.to_owned(), headers, body: None }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets the header, replacing one of the same name.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut request = self.without(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string().as_bytes())
    }

    /// Any bytes, sent as `application/json`.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        let mut request = self.header("content-type", "application/json");
        request.body = Some(body.to_vec());
        request
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let body = self.body.as_deref();
        if let Some(body) = body {
            let _ = write!(head, "content-length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        [head.as_bytes(), body.unwrap_or_default()].concat()
    }
}

/// One answer. `wire` is all of it as it came, for tests that search for what must not be there.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) wire: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self}"))
    }

    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Reads one answer; `method` tells whether a body can follow.
    pub(crate) fn read(reader: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let mut wire = Vec::new();
        let status_line = read_line(reader, &mut wire)?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| malformed(&status_line))?;
        let headers = read_headers(reader, &mut wire)?;
        let mut reply = Self { status, headers, body: Vec::new(), wire };
        if method != "HEAD" && status != 204 && status != 304 {
            reply.read_body(reader)?;
        }
        Ok(reply)
    }

    fn read_body(&mut self, reader: &mut impl BufRead) -> io::Result<()> {
        if let Some(length) = self.header("content-length") {
            let length = length.parse().map_err(|_| malformed(length))?;
            self.body.resize(length, 0);
            reader.read_exact(&mut self.body)?;
        } else if self.header("transfer-encoding") == Some("chunked") {
            self.read_chunks(reader)?;
        } else {
            reader.read_to_end(&mut self.body)?;
        }
        self.wire.extend_from_slice(&self.body);
        Ok(())
    }

    fn read_chunks(&mut self, reader: &mut impl BufRead) -> io::Result<()> {
        loop {
            let size = read_line(reader, &mut self.wire)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| malformed(&size))?;
            let start = self.body.len();
            self.body.resize(start + size, 0);
            reader.read_exact(&mut self.body[start..])?;
            read_line(reader, &mut self.wire)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answer {}: {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

fn read_headers(reader: &mut impl BufRead, wire: &mut Vec<u8>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader, wire)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead, wire: &mut Vec<u8>) -> io::Result<String> {
    let start = wire.len();
    if reader.read_until(b'\n', wire)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&wire[start..]).trim_end_matches(['\r', '\n']).to_owned())
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed answer: {text:?}"))
}

/// A connection that no answer may outlast.
pub(crate) fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends one request on a connection of its own.
pub(crate) fn exchange(address: &str, request: &Request) -> Reply {
    let mut stream = connect(address).unwrap();
    // A server may answer and close before it has read all of a body it refuses.
    let _ = stream.write_all(&request.bytes(address));
    Reply::read(&mut BufReader::new(stream), &request.method).unwrap_or_else(|e| panic!("{e}"))
}

/// A caller that keeps its connection.
pub(crate) struct Client {
    address: String,
    token: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: &str, token: &str) -> Self {
        Self { address: address.to_owned(), token: token.to_owned(), connection: None }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.call("GET", target, None)
    }

    pub(crate) fn post(&mut self, target: &str, body: &Value) -> Reply {
        self.call("POST", target, Some(body))
    }

    pub(crate) fn patch(&mut self, target: &str, body: &Value) -> Reply {
        self.call("PATCH", target, Some(body))
    }

    pub(crate) fn delete(&mut self, target: &str) -> Reply {
        self.call("DELETE", target, None)
    }

    #[track_caller]
    fn call(&mut self, method: &str, target: &str, body: Option<&Value>) -> Reply {
        self.try_call(method, target, body).unwrap_or_else(|e| panic!("{method} {target}: {e}"))
    }

    /// As a client sees it whose server may die at any moment.
    pub(crate) fn try_call(&mut self, method: &str, target: &str, body: Option<&Value>) -> io::Result<Reply> {
        self.try_call_with(&[], method, target, body)
    }

    /// The same under an Idempotency-Key.
    pub(crate) fn try_call_under(
        &mut self,
        key: Option<&str>,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> io::Result<Reply> {
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        self.try_call_with(&headers, method, target, body)
    }

    /// The same with more headers.
    pub(crate) fn try_call_with(
        &mut self,
        headers: &[(&str, &str)],
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> io::Result<Reply> {
        let mut request = Request::new(method, target).token(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(&self.address)?),
        };
        connection.get_mut().write_all(&request.bytes(&self.address))?;
        let reply = Reply::read(&mut connection, method)?;
        if reply.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(reply)
    }
}
