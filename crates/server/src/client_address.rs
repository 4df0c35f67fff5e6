//! Where a request comes from: the other end of the connection, or what a trusted proxy there says.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use strongroom_domain::cidr::Cidr;

use crate::error::Protocol;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address that a request comes from. Each proxy adds to the end of `X-Forwarded-For` where it was asked from, so the header
/// is read from there, past the proxies that are trusted. What stands before the first address that is not trusted was written
/// by whoever is there, and is not looked at.
///
/// # Errors
/// [`Protocol::ForwardedFor`] if a trusted proxy says what is no address: whoever that is about is not taken for the proxy.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Result<IpAddr, Protocol> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.holds(address));
    let mut client = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).iter().map(|line| line.as_bytes());
    // Several headers are one list.
    let mut said = lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    while is_trusted(client) {
        let Some(text) = said.next() else { break };
        client = address(text).ok_or(Protocol::ForwardedFor)?;
    }
    Ok(client)
}

/// An address, with a port or without.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let plain = || text.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => plain()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The client as it is known with a proxy at 10.0.0.1, two trusted ranges and those lines of the header.
    fn seen(peer: &str, lines: &[&str]) -> Result<String, Protocol> {
        let trusted = ["10.0.0.0/8", "2001:db8:1::/48"].map(|range| range.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        for (peer, lines, expected) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("192.0.2.1", &["nonsense"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            // What the client wrote itself stands before what the proxy added.
            ("10.0.0.1", &["10.9.9.9, 203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["nonsense, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["10.9.9.9", "198.51.100.7"], "198.51.100.7"),
            // Through two proxies.
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7, 2001:db8:1::5"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7", "10.0.0.2 ,10.0.0.3"], "198.51.100.7"),
            // A client within.
            ("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
        ] {
            assert_eq!(seen(peer, lines).as_deref(), Ok(expected), "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_must_be_an_address() {
        for line in
            ["", "unknown", "198.51.100.7,", "198.51.100.7, _hidden", "198.51.100", "fe80::1%eth0", "[::1"]
        {
            assert_eq!(seen("10.0.0.1", &[line]), Err(Protocol::ForwardedFor), "{line}");
        }
        assert_eq!(seen("10.0.0.1", &["198.51.100.7", "nonsense, 10.0.0.2"]), Err(Protocol::ForwardedFor));
    }
}
