#![doc = include_str!("../README.md")]

mod cache;
pub mod context;
mod digest;
mod envelope;
mod key;
mod rng;
mod root_key_file;
mod signing;
mod token;
mod value;
mod webhook;
mod wiping;

pub use cache::CachePlace;
pub use digest::{Digest, certificate_digest, chain_digest, empty_digest, leaf_digest, node_digest};
pub use envelope::{SealedValue, WrappedKey};
pub use key::{KeyId, MemoryLock, RootKey, VaultKey};
pub use rng::{Rng, SystemRng};
pub use root_key_file::{RootKeyFileError, parse_root_key_file, view_root_key_file};
pub use signing::{LogKey, PublicKey, Signature, is_signed, note_key_id};
pub use token::{TokenHash, TokenKey};
pub use value::SecretValue;
pub use webhook::SigningSecret;
pub use wiping::Wiping;

/// What can go wrong in the sealed room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The sealed bytes do not open: another key sealed them, they belong to another place, or they were altered.
    /// These are one answer on purpose, so that nobody learns which from outside.
    #[error("sealed data could not be opened: another key, another place, or altered bytes")]
    Refused,
    /// The operating system gave no randomness.
    #[error("the system's random generator failed")]
    Random,
}
