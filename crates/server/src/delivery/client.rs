//! One POST to a target that somebody chose: to a public address, over a connection of its own, within its time.
//!
//! The name is looked up here, every address that it leads to is looked at, and one of these very addresses is connected to:
//! there is no second look-up that could lead elsewhere. A redirect is never followed. No proxy is used.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use strongroom_domain::webhook::WebhookUrl;
use strongroom_domain::webhook::address::special_use;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::names::Names;

const USER_AGENT: &str = concat!("strongroom/", env!("CARGO_PKG_VERSION"));
/// Time for a connection to one of several addresses.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer's head.
const HEAD_MAX: usize = 64 << 10;
/// Bytes of an answer's body that are read, and dropped.
const BODY_MAX: usize = 4 << 10;
/// Time for these.
const BODY_TIME: Duration = Duration::from_secs(1);

/// Sends messages.
pub(super) struct Client {
    allow_private: bool,
    timeout: Duration,
    names: Names,
    /// The authorities are read from the system once they are needed.
    tls: OnceCell<TlsConnector>,
}

/// What is of interest of an answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the name of the target leads to no address")]
    Unknown(#[source] io::Error),
    #[error("the name of the target leads to no address")]
    NoAddress,
    #[error(
        "the target is at an address that is not public ({0}), and this server is not set to deliver to private ones"
    )]
    Private(&'static str),
    #[error("http is for private addresses alone, and the target's is public: use https")]
    Plain,
    #[error("no connection to the target")]
    Unreachable(#[source] io::Error),
    #[error("the system has no certificate authorities to trust")]
    NoAuthorities,
    #[error("no TLS with the target")]
    Tls(#[source] io::Error),
    #[error("the host cannot be named in a certificate")]
    Unnamed,
    #[error("the URL cannot be requested")]
    Request(#[source] http::Error),
    #[error("the target broke off")]
    BrokenOff(#[source] hyper::Error),
    #[error("the target did not answer within {0:?}")]
    Late(Duration),
}

impl Client {
    pub(super) fn new(allow_private: bool, timeout: Duration) -> Self {
        Self { allow_private, timeout, names: Names::default(), tls: OnceCell::new() }
    }

    /// Posts JSON.
    pub(super) async fn post<const N: usize>(
        &self,
        url: &WebhookUrl,
        headers: [(&'static str, String); N],
        body: String,
    ) -> Result<Answer, NoAnswer> {
        let exchanged = tokio::time::timeout(self.timeout, self.exchange(url, headers, body)).await;
        let (answer, rest) = exchanged.unwrap_or(Err(NoAnswer::Late(self.timeout)))?;
        // What the status says stands, whatever becomes of the body.
        let _ = tokio::time::timeout(BODY_TIME, rest.drain()).await;
        Ok(answer)
    }

    async fn exchange<const N: usize>(
        &self,
        url: &WebhookUrl,
        headers: [(&'static str, String); N],
        body: String,
    ) -> Result<(Answer, Rest), NoAnswer> {
        let addresses = self.look_up(url).await?;
        let mut request = Request::post(url.path_and_query())
            .header(header::HOST, url.authority())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(NoAnswer::Request)?;
        let stream = connect(&addresses).await?;
        if url.is_https() {
            let name = ServerName::try_from(url.host().to_owned()).map_err(|_| NoAnswer::Unnamed)?;
            let connector = self.tls.get_or_try_init(connector).await?;
            let stream = connector.connect(name, stream).await.map_err(NoAnswer::Tls)?;
            send(TokioIo::new(stream), request).await
        } else {
            send(TokioIo::new(stream), request).await
        }
    }

    /// The addresses of a target, each of which may be delivered to.
    async fn look_up(&self, url: &WebhookUrl) -> Result<Vec<SocketAddr>, NoAnswer> {
        let found: Vec<SocketAddr> = match url.address() {
            Some(address) => vec![SocketAddr::new(address, url.port())],
            None => self.names.look_up(url.host(), url.port()).await.map_err(NoAnswer::Unknown)?,
        };
        if found.is_empty() {
            return Err(NoAnswer::NoAddress);
        }
        found.iter().try_for_each(|address| self.admit(url, address.ip()))?;
        Ok(found)
    }

    fn admit(&self, url: &WebhookUrl, address: IpAddr) -> Result<(), NoAnswer> {
        match special_use(address) {
            Some(what) if !self.allow_private => Err(NoAnswer::Private(what)),
            None if !url.is_https() => Err(NoAnswer::Plain),
            _ => Ok(()),
        }
    }
}

/// A connection to the first of the addresses that takes one.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, NoAnswer> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(NoAnswer::Unreachable(failed))
}

/// What is left of an answer, and the connection that it comes over, which ends with it.
struct Rest {
    body: Incoming,
    _running: JoinSet<hyper::Result<()>>,
}

impl Rest {
    /// Reads the start of the body, so that a target which is still sending does not find its connection reset.
    async fn drain(mut self) {
        let mut read = 0;
        while read < BODY_MAX
            && let Some(Ok(frame)) = self.body.frame().await
        {
            read += frame.data_ref().map_or(0, Bytes::len);
        }
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(Answer, Rest), NoAnswer>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let handshake = http1::Builder::new().max_buf_size(HEAD_MAX).handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(NoAnswer::BrokenOff)?;
    // A set ends its tasks when it is dropped.
    let mut running = JoinSet::new();
    running.spawn(connection);
    let answer = sender.send_request(request).await.map_err(NoAnswer::BrokenOff)?;
    let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let told = Answer { status: answer.status(), retry_after: retry_after.map(str::to_owned) };
    Ok((told, Rest { body: answer.into_body(), _running: running }))
}

async fn connector() -> Result<TlsConnector, NoAnswer> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(loaded.map_err(|_| NoAnswer::NoAuthorities)?.certs);
    if usable == 0 {
        return Err(NoAnswer::NoAuthorities);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| NoAnswer::Tls(io::Error::other(error)))?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_judged_by_where_it_is_and_how_it_is_reached() {
        let told = |allow_private, url: &str, address: &str| {
            let client = Client::new(allow_private, Duration::from_secs(1));
            let url = WebhookUrl::read(url).unwrap();
            client.admit(&url, address.parse().unwrap()).err().map(|error| error.to_string())
        };
        let (https, http) = ("https://relay.internal/", "http://relay.internal/");
        assert_eq!(told(false, https, "1.1.1.1"), None);
        assert!(told(false, https, "10.0.0.1").unwrap().contains("not public (private use)"));
        assert!(told(false, https, "::ffff:169.254.169.254").unwrap().contains("not public (link local)"));
        assert!(told(false, http, "10.0.0.1").unwrap().contains("not public"), "set before it was forbidden");
        assert!(told(false, http, "1.1.1.1").unwrap().contains("use https"));
        assert_eq!(told(true, https, "10.0.0.1"), None);
        assert_eq!(told(true, http, "10.0.0.1"), None);
        assert!(
            told(true, http, "1.1.1.1").unwrap().contains("use https"),
            "never in clear over the internet"
        );
        let client = Client::new(false, Duration::from_secs(1));
        let localhost = WebhookUrl::read("https://localhost/").unwrap();
        assert!(matches!(client.look_up(&localhost).await, Err(NoAnswer::Private("loopback"))));
    }
}
