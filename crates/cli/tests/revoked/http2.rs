//! HTTP/2 without TLS, in frames made by hand: one GET after the other over one connection.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::harness::http::connect;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) struct Http2 {
    connection: BufReader<TcpStream>,
    address: String,
    token: String,
    stream: u32,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A text of up to 126 bytes, not compressed.
fn text(text: &str) -> Vec<u8> {
    assert!(text.len() < 127, "{text}");
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

impl Http2 {
    pub(crate) fn new(address: &str, token: &str) -> Self {
        let mut stream = connect(address).unwrap();
        let hello = [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            &frame(SETTINGS, 0, 0, &[]),
            // Room for all answers that there will be.
            &frame(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes()),
        ];
        stream.write_all(&hello.concat()).unwrap();
        Self {
            connection: BufReader::new(stream),
            address: address.to_owned(),
            token: token.to_owned(),
            stream: 1,
        }
    }

    /// The status and the body of the answer.
    pub(crate) fn get(&mut self, path: &str) -> (u16, Vec<u8>) {
        // Indexed fields of the static table: GET, http; then `:authority` and `:path`, and headers by their names.
        let mut head = vec![0x82, 0x86, 1];
        head.extend(text(&self.address));
        head.push(4);
        head.extend(text(path));
        for (name, value) in
            [("authorization", format!("Bearer {}", self.token)), ("ngrok-version", "2".into())]
        {
            head.push(0);
            head.extend(text(name));
            head.extend(text(&value));
        }
        let request = frame(HEADERS, END_STREAM | END_HEADERS, self.stream, &head);
        self.connection.get_mut().write_all(&request).unwrap();
        let (ok, body) = self.read();
        self.stream += 2;
        // Of an answer's head only 200 is read; of the others the body tells the status.
        let told = || serde_json::from_slice::<Value>(&body).unwrap()["status_code"].as_u64().unwrap();
        let status = if ok { 200 } else { u16::try_from(told()).unwrap() };
        (status, body)
    }

    fn read(&mut self) -> (bool, Vec<u8>) {
        let (mut ok, mut body) = (false, Vec::new());
        loop {
            let mut start = [0; 9];
            self.connection.read_exact(&mut start).unwrap();
            let [a, b, c, kind, flags, ..] = start;
            let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
            self.connection.read_exact(&mut payload).unwrap();
            match kind {
                HEADERS => ok = payload[0] == 0x88,
                DATA => body.extend(payload),
                SETTINGS if flags & ACK == 0 => {
                    self.connection.get_mut().write_all(&frame(SETTINGS, ACK, 0, &[])).unwrap();
                }
                GOAWAY | RST_STREAM => panic!("the server gave up: {payload:?}"),
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return (ok, body);
            }
        }
    }
}
