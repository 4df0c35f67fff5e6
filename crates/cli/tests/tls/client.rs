//! A client of TLS, small enough to look at what was agreed on.

#![allow(dead_code, reason = "each test binary uses the part it needs")]

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use super::harness::http::connect;
use super::harness::{Reply, Request};

pub(crate) struct Dialled(BufReader<StreamOwned<ClientConnection, TcpStream>>);

/// What a client trusts, offers and shows.
pub(crate) struct Offer {
    trusted: RootCertStore,
    provider: CryptoProvider,
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Offer {
    /// Trusts these certificates alone, and offers all that the library has.
    pub(crate) fn new(trusted: &[Vec<u8>]) -> Self {
        let mut roots = RootCertStore::empty();
        for der in trusted {
            roots.add(CertificateDer::from(der.clone())).unwrap();
        }
        Self {
            trusted: roots,
            provider: aws_lc_rs::default_provider(),
            versions: vec![&TLS13, &TLS12],
            protocols: Vec::new(),
            identity: None,
        }
    }

    pub(crate) fn protocols(mut self, protocols: &[&[u8]]) -> Self {
        self.protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        self
    }

    pub(crate) fn version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// Ways to agree on a key, the one that is wanted most first.
    pub(crate) fn groups(mut self, groups: &[&'static dyn SupportedKxGroup]) -> Self {
        self.provider.kx_groups = groups.to_vec();
        self
    }

    /// Shows a certificate, DER, with its key, PEM.
    pub(crate) fn identity(mut self, certificate: &[u8], key: &str) -> Self {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        self.identity = Some((vec![CertificateDer::from(certificate.to_vec())], key));
        self
    }

    pub(crate) fn config(self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(self.provider));
        let builder = builder.with_protocol_versions(&self.versions).unwrap();
        let builder = builder.with_root_certificates(self.trusted);
        let mut config = match self.identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols;
        config.enable_early_data = true;
        Arc::new(config)
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// The first bytes that a client sends.
pub(crate) fn hello() -> Vec<u8> {
    first_bytes(Offer::new(&[]))
}

/// Those of one that knows a single version.
pub(crate) fn hello_of(version: &'static SupportedProtocolVersion) -> Vec<u8> {
    first_bytes(Offer::new(&[]).version(version))
}

fn first_bytes(offer: Offer) -> Vec<u8> {
    let mut bytes = Vec::new();
    ClientConnection::new(offer.config(), name()).unwrap().write_tls(&mut bytes).unwrap();
    bytes
}

impl Dialled {
    /// Connects, shakes hands, and trusts these certificates alone.
    pub(crate) fn new(address: &str, trusted: &[Vec<u8>], protocols: &[&[u8]]) -> std::io::Result<Self> {
        Self::with(address, Offer::new(trusted).protocols(protocols).config())
    }

    /// The same with what was agreed on before, if the configuration was used before.
    pub(crate) fn with(address: &str, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        let mut stream = connect(address)?;
        let mut session = ClientConnection::new(config, name()).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Self(BufReader::new(StreamOwned::new(session, stream))))
    }

    /// The protocol's version, how the key was agreed on, and whether all of it was done anew.
    pub(crate) fn agreed(&self) -> (ProtocolVersion, Option<NamedGroup>, HandshakeKind) {
        let session = self.session();
        let group = session.negotiated_key_exchange_group().map(|group| group.name());
        (session.protocol_version().unwrap(), group, session.handshake_kind().unwrap())
    }

    fn session(&self) -> &ClientConnection {
        &self.0.get_ref().conn
    }

    /// Whether the server takes data before the handshake is done.
    pub(crate) fn may_send_early(&self) -> bool {
        self.session().is_early_data_accepted()
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
        self.try_exchange(request).unwrap()
    }

    pub(crate) fn try_exchange(&mut self, request: &Request) -> std::io::Result<Reply> {
        self.0.get_mut().write_all(&request.bytes("localhost"))?;
        Reply::read(&mut self.0, "GET")
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
