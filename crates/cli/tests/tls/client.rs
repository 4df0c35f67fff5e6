//! A client of TLS, small enough to look at what was agreed on.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::harness::http::connect;
use super::harness::{Reply, Request};

pub(crate) struct Dialled(BufReader<StreamOwned<ClientConnection, TcpStream>>);

fn config(trusted: &[Vec<u8>], protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for der in trusted {
        roots.add(CertificateDer::from(der.clone())).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// The first bytes that a client sends.
pub(crate) fn hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    ClientConnection::new(config(&[], &[]), name()).unwrap().write_tls(&mut bytes).unwrap();
    bytes
}

impl Dialled {
    /// Connects, shakes hands, and trusts these certificates alone.
    pub(crate) fn new(address: &str, trusted: &[Vec<u8>], protocols: &[&[u8]]) -> std::io::Result<Self> {
        let mut stream = connect(address)?;
        let mut session = ClientConnection::new(config(trusted, protocols), name()).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Self(BufReader::new(StreamOwned::new(session, stream))))
    }

    fn session(&self) -> &ClientConnection {
        &self.0.get_ref().conn
    }

    /// What was agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.session().alpn_protocol()
    }

    /// The certificate that the server showed.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.session().peer_certificates().expect("a certificate")[0].to_vec()
    }

    pub(crate) fn exchange(&mut self, request: &Request) -> Reply {
        self.0.get_mut().write_all(&request.bytes("localhost")).unwrap();
        Reply::read(&mut self.0, "GET").unwrap()
    }

    /// One GET over HTTP/2, in frames made by hand. Of the answer's head only the status is read: 200 is one byte.
    pub(crate) fn get_over_http2(&mut self, path: &str) -> (u16, Vec<u8>) {
        // Indexed fields of the static table: GET, https; then `:authority` and `:path` with their texts.
        let mut head = vec![0x82, 0x87];
        for (index, text) in [(1, "localhost"), (4, path)] {
            head.extend([index, u8::try_from(text.len()).unwrap()]);
            head.extend(text.as_bytes());
        }
        const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let settings = frame(SETTINGS, 0, 0, &[]);
        let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &head);
        self.0.get_mut().write_all(&[START, &settings, &request].concat()).unwrap();
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let mut start = [0; 9];
            self.0.read_exact(&mut start).unwrap();
            let [a, b, c, kind, flags, ..] = start;
            let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
            self.0.read_exact(&mut payload).unwrap();
            match kind {
                HEADERS => status = if payload[0] == 0x88 { 200 } else { u16::from(payload[0]) },
                DATA => body.extend(payload),
                GOAWAY | RST_STREAM => panic!("the server gave up: {payload:?}"),
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return (status, body);
            }
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
