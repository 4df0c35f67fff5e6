//! The URL of a webhook.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::special_use;

const LENGTH_MAX: usize = 2048;
const HTTP: &str = "http://";
const HTTPS: &str = "https://";

/// A URL that a server may deliver to, as it was given. Its path or query may hold a token, so `Debug` tells the host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    is_https: bool,
    host: String,
    port: u16,
    /// Where in the text the path starts, or what stands in its place.
    path: usize,
}

/// What is wrong with the URL of a webhook. None of these holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is too long.
    #[error("it is longer than {LENGTH_MAX} bytes")]
    TooLong,
    /// It is no URL with a host.
    #[error(
        "it has not the form https://host[:port]/path in visible ASCII, or its host is neither a name nor an address"
    )]
    Form,
    /// It is neither https nor http.
    #[error("it starts neither with https:// nor with http://")]
    Scheme,
    /// It has a user name or a password in it.
    #[error("it holds a user name or a password, which is not sent: the signature shows who sends")]
    UserInfo,
    /// It has a fragment.
    #[error("it holds a #, and what follows that is never sent")]
    Fragment,
    /// Unencrypted, and private targets are not allowed.
    #[error("http is for private addresses alone, which this server is not set to deliver to; use https")]
    Plain,
    /// Its address is not public.
    #[error("its address is not public ({0}), and this server is not set to deliver to private ones")]
    Private(&'static str),
}

impl WebhookUrl {
    /// Checks a URL. With `allow_private`, private addresses and http are taken; http goes to private addresses alone, which
    /// shows when it is delivered to.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn parse(text: &str, allow_private: bool) -> Result<Self, BadUrl> {
        let url = Self::read(text)?;
        if !url.is_https && !allow_private {
            return Err(BadUrl::Plain);
        }
        match url.address().and_then(special_use) {
            Some(what) if !allow_private => Err(BadUrl::Private(what)),
            None if !url.is_https && url.address().is_some() => Err(BadUrl::Plain),
            _ => Ok(url),
        }
    }

    /// Reads a URL that was checked before, maybe under another setting.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn read(text: &str) -> Result<Self, BadUrl> {
        if text.len() > LENGTH_MAX {
            return Err(BadUrl::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(BadUrl::Form);
        }
        let (is_https, start) = if text.starts_with(HTTPS) {
            (true, HTTPS.len())
        } else if text.starts_with(HTTP) {
            (false, HTTP.len())
        } else {
            return Err(BadUrl::Scheme);
        };
        let path = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let authority = &text[start..path];
        if authority.contains('@') {
            return Err(BadUrl::UserInfo);
        }
        if text.contains('#') {
            return Err(BadUrl::Fragment);
        }
        if text[path..].contains(['[', ']']) {
            return Err(BadUrl::Form);
        }
        let (host, port) = split(authority).ok_or(BadUrl::Form)?;
        let port = port.map_or(Some(if is_https { 443 } else { 80 }), number).ok_or(BadUrl::Form)?;
        Ok(Self { text: text.to_owned(), is_https, host: host.to_ascii_lowercase(), port, path })
    }

    /// The URL, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The name or the address that it names, the latter without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The address, if it names one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a `Host` header says.
    #[must_use]
    pub fn authority(&self) -> &str {
        let start = if self.is_https { HTTPS.len() } else { HTTP.len() };
        &self.text[start..self.path]
    }

    /// The path and the query.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let rest = &self.text[self.path..];
        if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}:{})", self.host, self.port)
    }
}

/// The host and the port of an authority.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match rest {
            "" => Some((host, None)),
            rest => rest.strip_prefix(':').map(|port| (host, Some(port))),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    is_host(host).then_some((host, port))
}

/// Whether a text is a host's name, or an address of IPv4 in its one usual form: `127.1`, `0x7f.1` and `2130706433` are
/// addresses to some and names to others.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number =
        last.starts_with("0x") || last.starts_with("0X") || last.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= 253 && host.split('.').all(label) && (!is_number || host.parse::<Ipv4Addr>().is_ok())
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port: &u16| *port > 0 && port.to_string() == text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = WebhookUrl::parse("https://Hooks.example.com:8443/in?token=x", false).unwrap();
        assert_eq!((url.host(), url.port(), url.is_https()), ("hooks.example.com", 8443, true));
        assert_eq!(
            (url.authority(), url.path_and_query().as_str()),
            ("Hooks.example.com:8443", "/in?token=x")
        );
        assert_eq!(format!("{url:?}"), "WebhookUrl(hooks.example.com:8443)");
        let bare = WebhookUrl::parse("https://example.com", false).unwrap();
        assert_eq!((bare.port(), bare.path_and_query().as_str()), (443, "/"));
        let query = WebhookUrl::parse("https://example.com?a=b/c", false).unwrap();
        assert_eq!((query.authority(), query.path_and_query().as_str()), ("example.com", "/?a=b/c"));
        let six = WebhookUrl::parse("http://[::1]:80/x", true).unwrap();
        assert_eq!((six.host(), six.authority(), six.address().is_some()), ("::1", "[::1]:80", true));
    }

    #[test]
    fn what_cannot_be_delivered_to_is_refused() {
        let long = format!("https://example.com/{}", "x".repeat(2048));
        let bad = [
            ("", BadUrl::Scheme),
            ("ftp://example.com/", BadUrl::Scheme),
            ("HTTPS://example.com/", BadUrl::Scheme),
            ("https://", BadUrl::Form),
            ("https:///x", BadUrl::Form),
            ("https://example.com:0/", BadUrl::Form),
            ("https://example.com:65536/", BadUrl::Form),
            ("https://example.com:/", BadUrl::Form),
            ("https://example..com/", BadUrl::Form),
            ("https://example.com./", BadUrl::Form),
            ("https://exa mple.com/", BadUrl::Form),
            ("https://example.com/ä", BadUrl::Form),
            ("https://example.com\\@other/", BadUrl::Form),
            ("https://example.com/\r\nx: y", BadUrl::Form),
            ("https://[::1/", BadUrl::Form),
            ("https://[::1]x/", BadUrl::Form),
            ("https://[fe80::1%25eth0]/", BadUrl::Form),
            ("https://127.1/", BadUrl::Form),
            ("https://0x7f.0.0.1/", BadUrl::Form),
            ("https://0x7f000001/", BadUrl::Form),
            ("https://2130706433/", BadUrl::Form),
            ("https://0177.0.0.1/", BadUrl::Form),
            ("https://user@example.com/", BadUrl::UserInfo),
            ("https://user:pass@example.com/", BadUrl::UserInfo),
            ("https://example.com/#x", BadUrl::Fragment),
            ("http://example.com/", BadUrl::Plain),
            ("http://127.0.0.1/", BadUrl::Plain),
            ("https://127.0.0.1/", BadUrl::Private("loopback")),
            ("https://10.1.2.3/", BadUrl::Private("private use")),
            ("https://169.254.169.254/latest/meta-data/", BadUrl::Private("link local")),
            ("https://[::1]/", BadUrl::Private("loopback")),
            ("https://[::ffff:10.0.0.1]/", BadUrl::Private("private use")),
            (&long, BadUrl::TooLong),
        ];
        for (text, expected) in bad {
            assert_eq!(WebhookUrl::parse(text, false).err(), Some(expected), "{text}");
        }
        for good in
            ["http://127.0.0.1:8080/", "http://relay.internal/x", "https://10.0.0.1/", "https://localhost/"]
        {
            assert!(WebhookUrl::parse(good, true).is_ok(), "{good}");
        }
        assert_eq!(WebhookUrl::parse("http://8.8.8.8/", true).err(), Some(BadUrl::Plain));
        // That a name leads to a private address shows when it is delivered to.
        assert!(WebhookUrl::parse("https://localhost/", false).is_ok());
    }
}
