//! What a certificate is known by: SHA-256 over all of it, as RFC 8705 binds tokens to certificates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strongroom_crypto::{Digest, certificate_digest};

/// The SHA-256 fingerprint of a certificate in its DER form. It is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(Digest);

/// A text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 64 hexadecimal digits, with or without a colon between two pairs")]
pub struct NoFingerprint;

impl Fingerprint {
    /// That of a certificate.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(certificate_digest(der))
    }

    /// One that was stored.
    #[must_use]
    pub fn from_bytes(bytes: Digest) -> Self {
        Self(bytes)
    }

    /// What is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &Digest {
        &self.0
    }
}

/// Two lower-case digits a byte; `{:#}` as OpenSSL and browsers show it: capitals, with colons.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            match (f.alternate(), at) {
                (false, _) => write!(f, "{byte:02x}")?,
                (true, 0) => write!(f, "{byte:02X}")?,
                (true, _) => write!(f, ":{byte:02X}")?,
            }
        }
        Ok(())
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = NoFingerprint;

    fn try_from(text: String) -> Result<Self, NoFingerprint> {
        text.parse()
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let mut bytes = Digest::default();
        let mut rest = text.as_bytes();
        for (at, byte) in bytes.iter_mut().enumerate() {
            if at > 0 && text.contains(':') {
                rest = rest.strip_prefix(b":").ok_or(NoFingerprint)?;
            }
            let ([high, low], after) = rest.split_first_chunk().ok_or(NoFingerprint)?;
            *byte = digit(*high)? << 4 | digit(*low)?;
            rest = after;
        }
        if rest.is_empty() { Ok(Self(bytes)) } else { Err(NoFingerprint) }
    }
}

fn digit(byte: u8) -> Result<u8, NoFingerprint> {
    let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digit.ok_or(NoFingerprint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn one_is_written_and_read_in_either_form() {
        let fingerprint = Fingerprint::of(b"abc");
        assert_eq!(fingerprint.to_string(), ABC);
        let shown = format!("{fingerprint:#}");
        assert!(shown.starts_with("BA:78:16:") && shown.len() == 95, "{shown}");
        for text in [ABC, &ABC.to_uppercase(), &shown, &shown.to_lowercase()] {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let colons = format!("{:#}", Fingerprint::of(b"abc"));
        let extra = format!("{ABC}0");
        for text in
            ["", &ABC[1..], &extra, &colons[3..], &colons[..94], &ABC.replace('b', "g"), &format!(" {ABC}")]
        {
            assert_eq!(text.parse::<Fingerprint>(), Err(NoFingerprint), "{text}");
        }
        assert!(colons.replacen(':', "", 1).parse::<Fingerprint>().is_err(), "half of the colons");
        assert!("é".repeat(32).parse::<Fingerprint>().is_err());
    }
}
