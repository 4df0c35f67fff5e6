//! Hashes in the JSON of events: as the API shows them, in lower-case hexadecimal.

use std::fmt::Write as _;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use strongroom_crypto::Digest;

pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(64);
    for byte in digest {
        write!(text, "{byte:02x}").map_err(serde::ser::Error::custom)?;
    }
    to.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(from)?;
    parse(text.as_bytes()).ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
}

fn parse(text: &[u8]) -> Option<Digest> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}
