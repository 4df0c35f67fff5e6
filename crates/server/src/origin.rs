//! The origin that URLs in answers carry: the very one that the client dialled.

use std::fmt;
use std::str::FromStr;

use http::uri::{Authority, Scheme, Uri};

/// Scheme, host and port, such as `https://secrets.example.com`. Never with a path: official clients drop one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// Why a text is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Not `http://…` or `https://…` with a host.
    #[error("it is not an http:// or https:// URL with a host")]
    NotAnOrigin,
    /// It has a path, a query or a user.
    #[error(
        "it has more than scheme, host and port: clients of ngrok's API drop a path, so the API is at the root of its host"
    )]
    More,
}

impl Origin {
    /// The origin of a request: its Host header, or `:authority` in HTTP/2.
    #[must_use]
    pub fn of_request(scheme: &str, uri: &Uri, headers: &http::HeaderMap) -> Option<Self> {
        let named = || headers.get(http::header::HOST)?.to_str().ok();
        let authority = uri.authority().map(Authority::as_str).or_else(named)?;
        let valid =
            is_plain(authority) || (authority.parse::<Authority>().is_ok() && !authority.contains('@'));
        valid.then(|| Self([scheme, "://", authority].concat()))
    }

    /// An origin that makes URLs relative, for what is printed without a server.
    #[must_use]
    pub fn none() -> Self {
        Self(String::new())
    }

    /// The host's name or address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.0.split_once("://").map_or("", |(_, authority)| authority);
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split_once(':').map_or(authority, |(host, _)| host),
        }
    }

    /// The text, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an authority is a name or an IPv4 address, with a port or without, as nearly all are: nothing in it needs the parser.
fn is_plain(authority: &str) -> bool {
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
        && (1..=5).contains(&port.len())
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin::NotAnOrigin)?;
        let scheme = uri.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else {
            return Err(InvalidOrigin::NotAnOrigin);
        };
        let bare =
            matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
        if bare { Ok(Self(format!("{scheme}://{authority}"))) } else { Err(InvalidOrigin::More) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_request_is_what_its_host_says() {
        let of = |host: &'static str| {
            let headers = [(http::header::HOST, http::HeaderValue::from_static(host))].into_iter().collect();
            Origin::of_request("http", &Uri::from_static("/vaults"), &headers).map(|origin| origin.0)
        };
        for host in ["a.example", "127.0.0.1:7070", "[::1]:7070", "a_b.example:1", "~x"] {
            assert_eq!(of(host), Some(format!("http://{host}")), "{host}");
        }
        for host in ["", "a:b:c", "u@a", "u:p@a:1", "a b", "a/b", "a:1:2"] {
            assert_eq!(of(host), None, "{host}");
        }
    }

    #[test]
    fn only_origins_are_origins() {
        assert_eq!(
            "https://a.example:8443/".parse::<Origin>().map(|o| o.0),
            Ok("https://a.example:8443".to_owned())
        );
        for text in ["", "a.example", "ftp://a.example", "/x"] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin::NotAnOrigin), "{text}");
        }
        for text in ["http://a/b", "http://u:p@a", "http://a/?q"] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin::More), "{text}");
        }
    }
}
