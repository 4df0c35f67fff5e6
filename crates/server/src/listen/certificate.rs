//! What people are told of a certificate: until when it counts, for which names, and its fingerprint.

use std::path::Path;

use jiff::Timestamp;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use strongroom_domain::fingerprint::Fingerprint;

use super::tls::{TlsError, unreadable};

/// A certificate.
#[derive(Debug, Clone)]
pub struct Certificate(CertificateDer<'static>);

impl Certificate {
    /// Reads the first certificate of a PEM file: a server's own, where others follow it.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(file: &Path) -> Result<Self, TlsError> {
        CertificateDer::from_pem_file(file).map(Self).map_err(unreadable(file))
    }

    pub(super) fn new(der: CertificateDer<'static>) -> Self {
        Self(der)
    }

    /// What it is known by.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// The last second in which it counts; none of what is no certificate.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        ends_at(&self.0)
    }

    /// Whether it is one for that name or address.
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        let name = ServerName::try_from(name);
        let parsed = ParsedCertificate::try_from(&self.0);
        matches!((parsed, name), (Ok(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
    }
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// `notAfter` (RFC 5280, section 4.1), which the library that checks certificates keeps to itself.
fn ends_at(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (body, _) = element(certificate, SEQUENCE)?;
    let after_version = element(body, VERSION).map_or(body, |(_, rest)| rest);
    let (_serial, rest) = element(after_version, INTEGER)?;
    let (_algorithm, rest) = element(rest, SEQUENCE)?;
    let (_issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, _not_before, not_after) = next(validity)?;
    let (tag, text, _) = next(not_after)?;
    let text = str::from_utf8(text).ok()?;
    match tag {
        // Two digits of the year: those from 50 on are of the century before.
        UTC_TIME => time(if text < "5" { "20" } else { "19" }, text),
        GENERALIZED_TIME => time("", text),
        _ => None,
    }
}

fn time(century: &str, text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_at_checked(text.len().checked_sub("hhmmssZ".len())?)?;
    format!("{century}{date}T{time}").parse().ok()
}

/// The content of the element of that kind that bytes start with, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    next(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The tag and the content of the first element, and what follows it.
fn next(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(*first), rest),
        // The length has so many bytes of its own; no certificate needs more than four.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
        [&[tag], &length[..], content].concat()
    }

    fn certificate(version: &[u8], not_after: &[u8]) -> Vec<u8> {
        let validity = [der(UTC_TIME, b"200101000000Z"), not_after.to_vec()].concat();
        let issuer = der(SEQUENCE, &[0; 100]);
        let body = [
            version,
            &der(INTEGER, &[1]),
            &der(SEQUENCE, b"algorithm"),
            &issuer,
            &der(SEQUENCE, &validity),
            b"subject and more",
        ];
        der(SEQUENCE, &der(SEQUENCE, &body.concat()))
    }

    #[test]
    fn the_end_is_read_in_both_forms() {
        for (not_after, expected) in [
            (der(UTC_TIME, b"271231235959Z"), Some("2027-12-31T23:59:59Z")),
            (der(UTC_TIME, b"991231235959Z"), Some("1999-12-31T23:59:59Z")),
            (der(GENERALIZED_TIME, b"20510102030405Z"), Some("2051-01-02T03:04:05Z")),
            (der(UTC_TIME, b"271331235959Z"), None),
            (der(UTC_TIME, b"Z"), None),
            (der(INTEGER, b"271231235959Z"), None),
        ] {
            let expected = expected.map(|time| time.parse().unwrap());
            for version in [&der(VERSION, &der(INTEGER, &[2]))[..], &[]] {
                assert_eq!(ends_at(&certificate(version, &not_after)), expected);
            }
        }
    }

    #[test]
    fn bytes_cut_off_are_no_certificate() {
        let whole = certificate(&[], &der(UTC_TIME, b"271231235959Z"));
        for length in 0..whole.len() {
            assert_eq!(ends_at(&whole[..length]), None, "{length}");
        }
        assert_eq!(ends_at(&[SEQUENCE, 0x88, 255, 255, 255, 255, 255, 255, 255, 255]), None);
    }
}
