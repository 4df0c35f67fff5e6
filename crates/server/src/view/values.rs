//! Values, on their one way out.

use bytes::Bytes;
use strongroom_domain::Digest;
use strongroom_domain::app::Value;
use strongroom_domain::expected::TAG;
use strongroom_wire as wire;
use zeroize::Zeroizing;

use super::{hex, time};

/// The entity tag of what was resolved.
#[must_use]
pub fn etag(tag: &Digest) -> String {
    format!("\"{}\"", hex(&tag[..TAG]))
}

/// The bytes of an entity tag that is written as [`etag`] writes one.
#[must_use]
pub fn parse_etag(text: &str) -> Option<[u8; TAG]> {
    let digits = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = [0; TAG];
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    (pairs.len() == TAG).then_some(bytes)
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase())
}

/// Values, as JSON that is wiped when it has been sent.
///
/// # Errors
/// When a value is no text, which no value that came through the API is.
pub fn values(values: &[Value]) -> strongroom_domain::Result<Bytes> {
    let internal =
        |error: Box<dyn std::error::Error + Send + Sync>| strongroom_domain::Error::Internal(error);
    let secrets: Result<Vec<_>, _> = values.iter().map(value).collect();
    let body = wire::ResolvedSecrets { secrets: secrets.map_err(|error| internal(error.into()))? };
    // Counted first, so that no buffer that is outgrown stays behind with a value in it.
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &body).map_err(|error| internal(error.into()))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, &body).map_err(|error| internal(error.into()))?;
    Ok(Bytes::from_owner(bytes))
}

fn value(value: &Value) -> Result<wire::ResolvedSecret, std::str::Utf8Error> {
    let Value { secret, version, value } = value;
    Ok(wire::ResolvedSecret {
        id: secret.id.to_string(),
        vault: secret.vault_name.clone(),
        name: secret.name.clone(),
        version: *version,
        // For the caller, who asked for it and has the grant.
        value: std::str::from_utf8(value.expose_secret())?.to_owned(),
        updated_at: time(secret.updated_at),
    })
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
