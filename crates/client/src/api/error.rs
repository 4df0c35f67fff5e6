use std::error::Error as StdError;
use std::fmt;
use std::io;

use strongroom_wire as wire;

/// Why a call has no answer that can be used. No text of it holds a token or a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection came about: nothing was sent.
    #[error("the server at {url} cannot be reached")]
    Unreachable {
        /// The server.
        url: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server's certificate is not to be trusted, or what answers speaks no TLS: nothing was sent.
    #[error("the server at {url} cannot be trusted")]
    Untrusted {
        /// The server.
        url: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server turns the client's certificate away, or that it showed none. Nothing was done.
    #[error("the server at {url} wants another client certificate")]
    NotLetIn {
        /// The server.
        url: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The answer did not come in time. A change may have been made.
    #[error("the server at {url} did not answer in time")]
    TimedOut {
        /// The server.
        url: String,
    },
    /// The connection was lost before all of the answer was there. A change may have been made.
    #[error("the connection to {url} was lost before the answer was there")]
    Lost {
        /// The server.
        url: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server understood and says no.
    #[error("{0}")]
    Refused(Refusal),
    /// What came is no answer of this API.
    #[error("this is no answer of a Strongroom server: {0}")]
    Protocol(String),
    /// The URL, the token or the authorities that were given cannot be used.
    #[error("{0}")]
    Setting(String),
}

/// What a server says when it says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// ngrok's code or our own, `ERR_…`; empty where there is none.
    pub error_code: String,
    /// What happened, in words.
    pub msg: String,
    /// What the server's log has it under.
    pub operation_id: Option<String>,
    /// Everything else that the server tells, by name.
    pub details: std::collections::BTreeMap<String, String>,
}

impl Refusal {
    pub(super) fn read(status: u16, operation_id: Option<String>, body: &[u8]) -> Self {
        match serde_json::from_slice::<wire::Error>(body) {
            Ok(error) => Self {
                status,
                error_code: error.error_code,
                msg: error.msg,
                operation_id: operation_id.or_else(|| error.details.get("operation_id").cloned()),
                details: error.details,
            },
            // As a proxy does in between, or another program on that port.
            Err(_) => Self {
                status,
                error_code: String::new(),
                msg: "The answer is not one of a Strongroom server.".to_owned(),
                operation_id,
                details: std::collections::BTreeMap::new(),
            },
        }
    }
}

impl fmt::Display for Refusal {
    /// The line that ngrok's own client prints: `HTTP 404: … [ERR_NGROK_…]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}: {}", self.status, self.msg)?;
        if self.error_code.is_empty() { Ok(()) } else { write!(f, " [{}]", self.error_code) }
    }
}

impl Error {
    /// Whether the server cannot be reached, or cannot answer now: the same call may work later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost { .. } => true,
            Self::Refused(refusal) => refusal.status == 429 || refusal.status >= 500,
            Self::Untrusted { .. } | Self::NotLetIn { .. } | Self::Protocol(_) | Self::Setting(_) => false,
        }
    }

    pub(super) fn of_transport(url: &str, error: ureq::Error) -> Self {
        use ureq::Timeout;
        let url = url.to_owned();
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                Self::Unreachable { url, source: "no connection in time".into() }
            }
            ureq::Error::Timeout(_) => Self::TimedOut { url },
            ureq::Error::HostNotFound => Self::Unreachable { url, source: "there is no such host".into() },
            ureq::Error::Rustls(error) if is_about_our_certificate(&error) => {
                Self::NotLetIn { url, source: error.into() }
            }
            ureq::Error::Io(error) if tls(&error).is_some_and(is_about_our_certificate) => {
                Self::NotLetIn { url, source: error.into() }
            }
            ureq::Error::Rustls(error) => Self::Untrusted { url, source: error.into() },
            error @ ureq::Error::Tls(_) => Self::Untrusted { url, source: error.into() },
            ureq::Error::Io(error) if tls(&error).is_some() => Self::Untrusted { url, source: error.into() },
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Self::Unreachable { url, source: error.into() }
            }
            error if is_closed_early(&error) => Self::Lost { url, source: error.into_io().into() },
            ureq::Error::Io(error) => Self::Unreachable { url, source: error.into() },
            error @ (ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::InvalidProxyUrl) => Self::Unreachable { url, source: error.into() },
            error => Self::Protocol(error.to_string()),
        }
    }
}

/// Whether the other side closed the connection before it answered.
pub(super) fn is_closed_early(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error, ureq::Error::Io(error)
        if matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe))
}

fn tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the server says that it is the client's certificate that it does not take: there is no other that it could mean.
fn is_about_our_certificate(error: &rustls::Error) -> bool {
    use rustls::AlertDescription::{
        BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        UnknownCA, UnsupportedCertificate,
    };
    matches!(
        error,
        rustls::Error::AlertReceived(
            BadCertificate
                | CertificateExpired
                | CertificateRequired
                | CertificateRevoked
                | CertificateUnknown
                | UnknownCA
                | UnsupportedCertificate
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_body_of_this_api_is_told_by_its_status() {
        let refusal = Refusal::read(502, None, b"<html>Bad gateway</html>");
        assert_eq!(refusal.to_string(), "HTTP 502: The answer is not one of a Strongroom server.");
        assert!(Error::Refused(refusal).is_unavailable());
    }

    #[test]
    fn a_refusal_is_told_as_ngroks_client_does() {
        let body = br#"{"error_code":"ERR_NGROK_24005","status_code":400,"msg":"Taken.","details":{"operation_id":"op_1"}}"#;
        let refusal = Refusal::read(400, None, body);
        assert_eq!(refusal.to_string(), "HTTP 400: Taken. [ERR_NGROK_24005]");
        assert_eq!(refusal.operation_id.as_deref(), Some("op_1"));
    }
}
