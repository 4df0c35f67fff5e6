//! Openers as they are written and read: JSON, with bytes in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Bytes of an opener; more was written by nobody.
const LARGEST: usize = 16 * 1024;

pub(crate) fn view(opener: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(opener).map_err(|_| Error::System)
}

pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    if text.len() > LARGEST {
        return Err(Error::Opener);
    }
    serde_json::from_str(text).map_err(|_| Error::Opener)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| Error::Opener)
}
