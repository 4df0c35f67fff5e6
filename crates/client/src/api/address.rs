use std::net::IpAddr;

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use super::Error;

/// Where a server is: `http(s)://host[:port]`.
#[derive(Clone)]
pub(super) struct Address {
    url: String,
    https: bool,
    loopback: bool,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        // A URL may hold a password, so it is told only once it is known to hold none.
        let bad = |why: &str| {
            Error::Setting(format!("the server's URL {why}: write https://host or https://host:port"))
        };
        let uri: Uri = text.trim().parse().map_err(|_| bad("is not a URL"))?;
        let scheme = uri.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| bad("starts with neither http:// nor https://"))?;
        let authority = uri.authority().ok_or_else(|| bad("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("holds a user name"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(bad("has something after the host"));
        }
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
        if authority.host().is_empty() || !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return Err(bad("names no host, or no port after the colon"));
        }
        Ok(Self {
            url: format!("{scheme}://{authority}"),
            https: *scheme == Scheme::HTTPS,
            loopback: is_loopback(authority.host()),
        })
    }

    /// Without a `/` at its end.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it is this machine itself.
    pub(super) fn is_loopback(&self) -> bool {
        self.loopback
    }
}

/// Names below `localhost` are not among them: not every resolver keeps them on this machine.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_nothing_else() {
        for (text, url) in [
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070"),
            ("https://secrets.example.com/", "https://secrets.example.com"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
        ] {
            assert_eq!(Address::parse(text).unwrap().url(), url);
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "http://",
            "http://host/path",
            "http://host?x=1",
            "https://host:0",
            "http://host:",
            "http://host:99999",
            "http://host name",
            "//host",
            "/x",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let error = Address::parse("https://user:hunter2@example.com").err().unwrap().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn loopback_is_told_from_the_network() {
        for (text, expected) in [
            ("http://127.0.0.1", true),
            ("http://127.8.9.1:1", true),
            ("http://[::1]:7070", true),
            ("http://LOCALHOST", true),
            ("http://strongroom.localhost", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
            ("http://0.0.0.0", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }
}
