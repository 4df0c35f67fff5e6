//! The management API and the value plane, as one client sees them over HTTP.
//!
//! Synchronous: a call returns when its answer is there, or when the time is over. A redirect is never followed, since
//! it would take the token elsewhere.

mod address;
mod calls;
mod error;
mod key_slots;
mod keys;
mod paging;
mod sealed;
mod service;
mod text_at;
mod token;
mod webhooks;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{HeaderValue, Request, Response};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};
use zeroize::Zeroizing;

use address::Address;
pub use calls::name_filter;
pub use error::{Error, Refusal};
pub use paging::Page;
pub use sealed::Sealed;
pub use service::Service;
pub use text_at::{TextAt, origin};
pub use token::Token;

/// Where a server is, and what opens it. It has no `Debug`, as it holds a token.
pub struct Connection {
    /// `http(s)://host[:port]`, without a path.
    pub url: String,
    /// The API key's token.
    pub token: Token,
    /// A PEM file with the authorities to trust in place of the system's own.
    pub ca: Option<PathBuf>,
    /// The certificate to show the server.
    pub identity: Option<Identity>,
}

/// A certificate that a client shows, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A PEM file with the certificate, and those that lead from it to an authority.
    pub certificate: PathBuf,
    /// A PEM file with its private key.
    pub key: PathBuf,
}

impl Connection {
    /// Whether the token and the values are to cross a network unencrypted.
    #[must_use]
    pub fn is_in_clear(&self) -> bool {
        Address::parse(&self.url).is_ok_and(|address| !address.is_https() && !address.is_loopback())
    }
}

/// What a request does with the thing at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes, or asks with a body.
    Post,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// An answer as it came, with a status below 300.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body; empty where there is none.
    ///
    /// # Errors
    /// [`Error::Protocol`] if it is not UTF-8, which JSON always is (RFC 8259, section 8.1).
    pub fn text(&self) -> Result<&str, Error> {
        str::from_utf8(&self.body).map_err(|_| Error::Protocol("the answer is not UTF-8".to_owned()))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Protocol`] if it has another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // Only the place is told: serde's own words may repeat what is in the body, and that may be a value.
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::Protocol(format!("the answer has another shape than this API's, at {place}"))
        })
    }
}

/// One server, and the key that opens it. It has no `Debug`, as it holds a token.
pub struct Client {
    address: Address,
    token: Token,
    tls: TlsConfig,
    agent: Agent,
    /// Time for all of a call with its answer.
    overall: Duration,
}

const CONNECT: Duration = Duration::from_secs(5);
const OVERALL: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("strongroom/", env!("CARGO_PKG_VERSION"));

/// Bytes of an answer.
const LARGEST_ANSWER: u64 = 64 << 20;

/// Bytes that are set aside because an answer says that it is so long. Values of one answer are no more than 8 MiB, which JSON
/// may make six times as long.
const ROOM: u64 = 48 << 20;

impl Client {
    /// Makes a client, without any use of the network. It waits 5 s for a connection and 30 s for an answer.
    ///
    /// # Errors
    /// [`Error::Setting`] if the URL is none, or no authority can be read.
    pub fn new(connection: Connection) -> Result<Self, Error> {
        let Connection { url, token, ca, identity } = connection;
        let address = Address::parse(&url)?;
        let tls = tls_config(&address, ca.as_deref(), identity.as_ref())?;
        let agent = agent(&address, &tls, CONNECT, OVERALL);
        Ok(Self { address, token, tls, agent, overall: OVERALL })
    }

    /// Another client of the same server with the same key, for another thread.
    #[must_use]
    pub fn another(&self) -> Self {
        Self {
            address: self.address.clone(),
            token: self.token.copy(),
            tls: self.tls.clone(),
            agent: self.agent.clone(),
            overall: self.overall,
        }
    }

    /// Sets how long to wait for a connection, and for all of a call with its answer.
    #[must_use]
    pub fn with_timeouts(self, connect: Duration, overall: Duration) -> Self {
        let agent = agent(&self.address, &self.tls, connect, overall);
        Self { agent, overall, ..self }
    }

    /// The server's URL, without a `/` at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.address.url()
    }

    /// The token that opens it.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Gives the token back.
    #[must_use]
    pub fn into_token(self) -> Token {
        self.token
    }

    /// Sends one request. A path starts with `/`; what is put into it from outside goes through [`segment`] first.
    ///
    /// # Errors
    /// Every kind of [`Error`] but [`Error::Setting`].
    pub fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Error> {
        self.send(method, path, query, body)
    }

    pub(crate) fn send<B: Serialize + ?Sized>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&B>,
    ) -> Result<Answer, Error> {
        let body = body.map(|body| serde_json::to_vec(body).map(Zeroizing::new)).transpose();
        let body =
            body.map_err(|error| Error::Protocol(format!("the request cannot be written: {error}")))?;
        let url = format!("{}{path}{}", self.url(), query_string(query));
        self.send_for(method, &url, body.as_deref().map(Vec::as_slice), self.overall)
    }

    /// Reads what the server may take a while to answer: as long as it is asked to wait, and then as long as any call.
    pub(crate) fn get_waiting(
        &self,
        path: &str,
        query: &[(&str, &str)],
        wait: Duration,
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}{}", self.url(), query_string(query));
        self.send_for(Method::Get, &url, None, wait + self.overall)
    }

    fn send_for(
        &self,
        method: Method,
        url: &str,
        body: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let send = || self.send_once(method, url, body, limit);
        // Reading twice harms nobody. A write whose answer was lost may have been done, and is never sent again.
        let sent = match send() {
            Err(error) if method == Method::Get && error::is_closed_early(&error) => send(),
            sent => sent,
        };
        self.read(sent.map_err(|error| Error::of_transport(self.url(), error))?)
    }

    fn send_once(
        &self,
        method: Method,
        url: &str,
        body: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        // This header is what the token is for.
        let authorization = Zeroizing::new(format!("Bearer {}", self.token.expose_secret()));
        let mut authorization = HeaderValue::from_str(&authorization).map_err(ureq::http::Error::from)?;
        authorization.set_sensitive(true);
        let request = Request::builder()
            .method(method.as_str())
            .uri(url)
            .header("authorization", authorization)
            .header("ngrok-version", "2");
        match body {
            Some(body) => self.agent.run(request.header("content-type", "application/json").body(body)?),
            None => {
                let request = self.agent.configure_request(request.body(())?);
                self.agent.run(request.timeout_global(Some(limit)).build())
            }
        }
    }

    /// Reads an answer to its end. What is neither a success nor told in this API's words is still told by its status.
    fn read(&self, response: Response<Body>) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        let operation = response.headers().get("ngrok-operation-id").and_then(|id| id.to_str().ok());
        let operation = operation.map(str::to_owned);
        let (parts, mut body) = response.into_parts();
        // With room for all of it, no copy of a value is left behind by a buffer that grew.
        let room = body.content_length().unwrap_or(0).min(ROOM);
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
        let mut reader = body.with_config().limit(LARGEST_ANSWER).reader();
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| Error::of_transport(self.url(), ureq::Error::from(error)))?;
        match status {
            200..300 => Ok(Answer { status, body: bytes }),
            300..400 => {
                let target = parts.headers.get("location").and_then(|target| target.to_str().ok());
                let target = target.unwrap_or("another place");
                Err(Error::Protocol(format!("it sends on to {target}, which is not followed with a token")))
            }
            _ => Err(Error::Refused(Refusal::read(status, operation, &bytes))),
        }
    }
}

/// Puts what came from outside into a path, as one segment of it.
#[must_use]
pub fn segment(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

fn query_string(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value)));
    let joined = pairs.collect::<Vec<_>>().join("&");
    if joined.is_empty() { joined } else { format!("?{joined}") }
}

fn agent(address: &Address, tls: &TlsConfig, connect: Duration, overall: Duration) -> Agent {
    // What goes to this machine itself has no business with a proxy.
    let proxy = if address.is_loopback() { None } else { Proxy::try_from_env() };
    let config = Agent::config_builder()
        .user_agent(USER_AGENT)
        .accept("application/json")
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .tls_config(tls.clone())
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_global(Some(overall));
    config.build().into()
}

fn tls_config(address: &Address, ca: Option<&Path>, identity: Option<&Identity>) -> Result<TlsConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = match ca {
        Some(file) => certificates(file, "the authorities")?,
        None if address.is_https() => system_authorities()?,
        None => Vec::new(),
    };
    let roots = RootCerts::new_with_certs(&roots);
    let config = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots);
    Ok(config.client_cert(identity.map(client_certificate).transpose()?).build())
}

fn client_certificate(identity: &Identity) -> Result<ClientCert, Error> {
    let chain = certificates(&identity.certificate, "the client's certificate")?;
    let failed = |why: &dyn std::fmt::Display| {
        let file = identity.key.display();
        Error::Setting(format!("the key of the client's certificate in {file} cannot be used: {why}"))
    };
    let pem = std::fs::read(&identity.key).map(Zeroizing::new).map_err(|error| failed(&error))?;
    let key = PrivateKey::from_pem(&pem).map_err(|error| failed(&error))?;
    // One that does not go with the certificate would only be told in the midst of a handshake.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let der = PrivateKeyDer::try_from(key.der()).map_err(|why| failed(&why))?.clone_key();
    let bare = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    CertifiedKey::from_der(bare, der, &provider).map_err(|error| failed(&error))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// All certificates of a file; at least one.
fn certificates(file: &Path, what: &str) -> Result<Vec<Certificate<'static>>, Error> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::Setting(format!("{what} in {} cannot be used: {why}", file.display()))
    };
    let pem = std::fs::read(file).map_err(|error| failed(&error))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| failed(&error))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(failed(&"there is no certificate in it")) } else { Ok(found) }
}

fn system_authorities() -> Result<Vec<Certificate<'static>>, Error> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why =
            "the system has no certificate authorities: install ca-certificates, or name a file of them";
        return Err(Error::Setting(why.to_owned()));
    }
    Ok(found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}
