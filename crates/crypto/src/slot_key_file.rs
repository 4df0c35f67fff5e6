//! The text of a key file.
//!
//! ```text
//! # comment
//! strongroom-slot-key-v1 <base64 of 32 bytes> <key id>
//! ```
//!
//! The key id is repeated so that a damaged or mistyped key is found when the file is read, not when data fails to open. Files
//! that were written before there were slots hold the root key itself, under another mark.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::key::KeyBytes;
use crate::{RootKey, SlotKey};

const MARK: &str = "strongroom-slot-key-v1";
const ROOT_MARK: &str = "strongroom-root-key-v1";
const NOTE: &str = "# The key to Strongroom's root key. Whoever has this file and the store can read every secret; whoever\n\
                    # loses it, and has no other key slot, can read none. Keep a copy in another place than the backups.\n";

/// Why a key file is no key file. None of the texts holds any of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
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

/// What a key file holds.
pub struct KeyFile {
    /// The key of a slot.
    pub slot_key: SlotKey,
    /// The root key, where the file was written before there were slots: then it is also the slot key.
    pub root_key: Option<RootKey>,
}

/// Reads a key from the text of its file.
///
/// # Errors
/// [`KeyFileError`] says what is wrong with the text.
pub fn parse_key_file(text: &str) -> Result<KeyFile, KeyFileError> {
    let is_key = |line: &&str| line.starts_with(MARK) || line.starts_with(ROOT_MARK);
    let line = text.lines().map(str::trim).find(is_key).ok_or(KeyFileError::NoKeyLine)?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [mark @ (MARK | ROOT_MARK), key, id] = words[..] else { return Err(KeyFileError::Damaged) };
    let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| KeyFileError::Damaged)?);
    let slot_key = SlotKey::from_slice(&bytes).map_err(|_| KeyFileError::Damaged)?;
    let root_key = match mark {
        MARK => None,
        _ => KeyBytes::from_slice(&bytes).map(RootKey::from_bytes),
    };
    let found = root_key.as_ref().map_or_else(|| slot_key.id(), RootKey::id);
    if found.to_string() == id { Ok(KeyFile { slot_key, root_key }) } else { Err(KeyFileError::WrongId) }
}

/// The text of a slot key's file: the key in clear, for a file that only its owner may read.
#[must_use]
pub fn view_key_file(key: &SlotKey) -> Zeroizing<String> {
    // Keeping the key is what the file is for.
    let encoded = Zeroizing::new(STANDARD.encode(key.expose_secret()));
    Zeroizing::new(format!("{NOTE}{MARK} {} {}\n", *encoded, key.id()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::SystemRng;

    #[test]
    fn what_is_written_is_read() {
        let key = SlotKey::make(&SystemRng).unwrap();
        let read = parse_key_file(&view_key_file(&key)).ok().unwrap();
        assert_eq!(read.slot_key.id(), key.id());
        assert!(read.root_key.is_none());
    }

    #[test]
    fn a_root_key_file_of_before_is_read() {
        let root = RootKey::make(&SystemRng).unwrap();
        let text = format!("# note\n{ROOT_MARK} {} {}\n", STANDARD.encode(root.as_slice()), root.id());
        let read = parse_key_file(&text).ok().unwrap();
        assert_eq!(read.root_key.map(|key| key.id()), Some(root.id()));
        assert_eq!(read.slot_key.expose_secret(), root.as_slice());
    }

    #[test]
    fn damage_is_named() {
        let key = SlotKey::make(&SystemRng).unwrap();
        let text = view_key_file(&key);
        let other = SlotKey::make(&SystemRng).unwrap();
        let cases = [
            (String::new(), KeyFileError::NoKeyLine),
            (MARK.to_owned(), KeyFileError::Damaged),
            (format!("{MARK} AAAA {}", key.id()), KeyFileError::Damaged),
            (format!("{MARK} !!! {}", key.id()), KeyFileError::Damaged),
            (text.replace(&key.id().to_string(), &other.id().to_string()), KeyFileError::WrongId),
            (text.replace(MARK, ROOT_MARK), KeyFileError::WrongId),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_key_file(&text).err(), Some(expected));
        }
    }
}
