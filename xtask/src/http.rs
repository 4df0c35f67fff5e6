//! Just enough of an HTTP client to ask a server on this machine one thing at a time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Result;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

/// Where requests go, and the key they are made with.
#[derive(Clone)]
pub(crate) struct Api {
    /// `host:port`
    pub(crate) authority: String,
    pub(crate) token: String,
}

impl Api {
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, "", "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Result<Answer> {
        self.send("POST", path, body, "")
    }

    /// Asks anything; `header` is one more line of the head, with its line end, or empty.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str, header: &str) -> Result<Answer> {
        let Self { authority, token } = self;
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nNgrok-Version: 2\r\n{header}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        parse(&text)
    }
}

/// All servers here send bodies in one piece, so the body is whatever follows the head.
fn parse(text: &str) -> Result<Answer> {
    let (head, body) = text.split_once("\r\n\r\n").ok_or("the answer has no end of its head")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("the answer has no status")?;
    let header = |wanted: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    // An answer without a body need not say so.
    if header("content-length").unwrap_or("0") != body.len().to_string() {
        return Err("the answer's body is not as long as its head says".into());
    }
    Ok(Answer {
        status: status.parse()?,
        content_type: header("content-type").unwrap_or_default().to_owned(),
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_answer() -> Result {
        let answer =
            parse("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}")?;
        let expected = Answer { status: 201, content_type: "application/json".into(), body: "{}".into() };
        assert_eq!(answer, expected);
        Ok(())
    }

    #[test]
    fn refuses_a_body_cut_off() {
        assert!(parse("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}").is_err());
    }
}
