//! Checkpoints: how long the log was and what its tree's root, signed. Whoever keeps one can tell later whether the log still
//! leads to it.
//!
//! The text is a C2SP tlog-checkpoint, which is a C2SP signed note:
//!
//! ```text
//! strongroom/ac_…
//! 1042
//! <root, base64>
//!
//! — strongroom/ac_… <key id and signature, base64>
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_crypto::{Digest, LogKey, PublicKey, is_signed, note_key_id};

use super::Head;
use crate::ids::AccountId;

/// What a signed note's key says of itself: Ed25519.
const ED25519: u8 = 1;
/// Bytes of a text that is looked at as a checkpoint; more are none.
pub const CHECKPOINT_MAX: usize = 64 * 1024;

/// What a log is called: in its checkpoints, and as the name of its key.
#[must_use]
pub fn log_name(account: AccountId) -> String {
    format!("strongroom/{account}")
}

/// Why a text is no checkpoint of this log, or a key no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    /// The text is no checkpoint.
    #[error("it is no checkpoint: expected a signed note with a log's name, its length and its root")]
    Form,
    /// It is another log's.
    #[error("it is another log's checkpoint")]
    OtherLog,
    /// No line is signed with the log's key.
    #[error("it is not signed with the log's key")]
    Unsigned,
    /// The text is no public key.
    #[error("it is no public key: expected NAME+ID+KEY, as strongroom audit key prints it")]
    Key,
}

/// The public half of a log's key, with the name of the log: written as signed notes write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPublicKey {
    name: String,
    key: PublicKey,
}

impl LogPublicKey {
    /// The public half of an account's key.
    #[must_use]
    pub fn new(account: AccountId, key: PublicKey) -> Self {
        Self { name: log_name(account), key }
    }

    /// Reads a checkpoint of this log.
    ///
    /// # Errors
    /// [`BadCheckpoint`] unless it is one and signed with this key.
    pub fn open(&self, note: &str) -> Result<Head, BadCheckpoint> {
        if note.len() > CHECKPOINT_MAX {
            return Err(BadCheckpoint::Form);
        }
        // The last empty line is where the signatures begin.
        let end = note.rfind("\n\n").ok_or(BadCheckpoint::Form)?;
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let (name, head) = parse_text(text).ok_or(BadCheckpoint::Form)?;
        if name != self.name {
            return Err(BadCheckpoint::OtherLog);
        }
        let id = note_key_id(&self.name, &self.key);
        let ours = |line: &str| {
            let signed = line.strip_prefix("— ").and_then(|line| line.split_once(' '));
            let signature = signed.filter(|(name, _)| *name == self.name);
            let signature = signature.and_then(|(_, signature)| STANDARD.decode(signature).ok());
            signature.is_some_and(|bytes| {
                bytes
                    .split_first_chunk()
                    .is_some_and(|(by, bytes)| *by == id && is_signed(text, bytes, &self.key))
            })
        };
        if signatures.lines().any(ours) { Ok(head) } else { Err(BadCheckpoint::Unsigned) }
    }
}

impl fmt::Display for LogPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(note_key_id(&self.name, &self.key));
        let key = STANDARD.encode([&[ED25519], &self.key[..]].concat());
        write!(f, "{}+{id:08x}+{key}", self.name)
    }
}

impl FromStr for LogPublicKey {
    type Err = BadCheckpoint;

    fn from_str(text: &str) -> Result<Self, BadCheckpoint> {
        // The key may have a plus too.
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadCheckpoint::Key);
        };
        let bytes = STANDARD.decode(key).map_err(|_| BadCheckpoint::Key)?;
        let Some((&[ED25519], key)) = bytes.split_first_chunk() else { return Err(BadCheckpoint::Key) };
        let key = key.try_into().map_err(|_| BadCheckpoint::Key)?;
        let read = Self { name: name.to_owned(), key };
        // The id, and that nothing can be written in two ways.
        if read.to_string() == text.trim() { Ok(read) } else { Err(BadCheckpoint::Key) }
    }
}

/// A checkpoint at the head of a log, signed.
#[must_use]
pub fn sign(account: AccountId, head: &Head, key: &LogKey) -> String {
    let name = log_name(account);
    let text = format!("{name}\n{}\n{}\n", head.sequence, STANDARD.encode(head.root));
    let signature = [&note_key_id(&name, &key.public())[..], &key.sign(&text)].concat();
    format!("{text}\n— {name} {}\n", STANDARD.encode(signature))
}

/// The name of the log, and where it stood; lines that others may add after those three are passed over.
fn parse_text(text: &str) -> Option<(&str, Head)> {
    let mut lines = text.lines();
    let (name, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    let sequence: u64 = size.parse().ok().filter(|sequence: &u64| sequence.to_string() == size)?;
    let root: Digest = STANDARD.decode(root).ok()?.try_into().ok()?;
    Some((name, Head { sequence, root }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::Ksuid;
    use strongroom_crypto::SystemRng;

    fn account(number: u8) -> AccountId {
        AccountId::new(Ksuid::from_bytes([number; 20]))
    }

    #[test]
    fn a_checkpoint_opens_with_its_key_alone() {
        let (key, other) = (LogKey::make(&SystemRng).unwrap(), LogKey::make(&SystemRng).unwrap());
        let head = Head { sequence: 1042, root: [7; 32] };
        let note = sign(account(1), &head, &key);
        let public = LogPublicKey::new(account(1), key.public());
        assert_eq!(public.open(&note), Ok(head));
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        let witnessed = format!("{note}— witness.example AAAAAAAA\n");
        assert_eq!(public.open(&witnessed), Ok(head), "others may sign too");

        let stranger = LogPublicKey::new(account(1), other.public());
        assert_eq!(stranger.open(&note), Err(BadCheckpoint::Unsigned));
        let elsewhere = LogPublicKey::new(account(2), key.public());
        assert_eq!(elsewhere.open(&note), Err(BadCheckpoint::OtherLog));
        assert_eq!(public.open(&note.replace("1042", "1043")), Err(BadCheckpoint::Unsigned));
        for bad in ["", "a\n\n", "a\n1\n\n— b\n", &note.replace("1042", "01042"), &note[..note.len() / 3]] {
            assert_eq!(public.open(bad), Err(BadCheckpoint::Form), "{bad:?}");
        }
    }

    #[test]
    fn a_public_key_that_was_altered_is_none() {
        let public = LogPublicKey::new(account(1), LogKey::make(&SystemRng).unwrap().public()).to_string();
        let (name, rest) = public.split_once('+').unwrap();
        let (id, key) = rest.split_once('+').unwrap();
        for bad in ["", "a+b", name, &format!("x{name}+{id}+{key}"), &format!("{name}+00000000+{key}")] {
            assert_eq!(bad.parse::<LogPublicKey>(), Err(BadCheckpoint::Key), "{bad}");
        }
    }
}
