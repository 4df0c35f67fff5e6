//! The text of a root key file.
//!
//! ```text
//! # comment
//! strongroom-root-key-v1 <base64 of 32 bytes> <key id>
//! ```
//!
//! The key id is repeated so that a damaged or mistyped key is found when the file is read, not when data fails to open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::RootKey;
use crate::key::KeyBytes;

const MARK: &str = "strongroom-root-key-v1";

const NOTE: &str = "# Strongroom's root key. Whoever has this file and the data folder can read every secret;\n\
                    # whoever loses it can read none. Keep a copy in another place than the backups.\n";

/// Why a root key file is no root key file. None of the texts holds any of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootKeyFileError {
    /// No line starts with the mark.
    #[error("it holds no line that starts with '{MARK}'")]
    NoKeyLine,
    /// The key line has not three words, or the key is not 32 bytes in base64.
    #[error("its key line is damaged: expected '{MARK} <base64 of 32 bytes> <key id>'")]
    Damaged,
    /// The key id at the end of the line is not the id of the key before it.
    #[error("its key and key id do not belong together: the file was altered or mistyped")]
    WrongId,
}

/// Reads a root key from the text of its file.
///
/// # Errors
/// [`RootKeyFileError`] says what is wrong with the text.
pub fn parse_root_key_file(text: &str) -> Result<RootKey, RootKeyFileError> {
    let line =
        text.lines().map(str::trim).find(|line| line.starts_with(MARK)).ok_or(RootKeyFileError::NoKeyLine)?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [MARK, key, id] = words[..] else { return Err(RootKeyFileError::Damaged) };
    let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| RootKeyFileError::Damaged)?);
    let key = KeyBytes::from_slice(&bytes).map(RootKey::from_bytes).ok_or(RootKeyFileError::Damaged)?;
    if key.id().to_string() == id { Ok(key) } else { Err(RootKeyFileError::WrongId) }
}

/// The text of a root key's file: the key in clear, for a file that only its owner may read.
#[must_use]
pub fn view_root_key_file(key: &RootKey) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(key.as_slice()));
    Zeroizing::new(format!("{NOTE}{MARK} {} {}\n", *encoded, key.id()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::SystemRng;

    #[test]
    fn what_is_written_is_read() {
        let key = RootKey::make(&SystemRng).unwrap();
        let text = view_root_key_file(&key);
        assert_eq!(parse_root_key_file(&text).ok().map(|k| k.id()), Some(key.id()));
    }

    #[test]
    fn damage_is_named() {
        let key = RootKey::make(&SystemRng).unwrap();
        let text = view_root_key_file(&key);
        let other = RootKey::make(&SystemRng).unwrap();
        let cases = [
            (String::new(), RootKeyFileError::NoKeyLine),
            (MARK.to_owned(), RootKeyFileError::Damaged),
            (format!("{MARK} AAAA {}", key.id()), RootKeyFileError::Damaged),
            (format!("{MARK} !!! {}", key.id()), RootKeyFileError::Damaged),
            (text.replace(&key.id().to_string(), &other.id().to_string()), RootKeyFileError::WrongId),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_root_key_file(&text).err(), Some(expected));
        }
    }
}
