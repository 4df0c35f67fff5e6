#![doc = include_str!("../README.md")]

mod cache;
pub mod context;
mod digest;
mod envelope;
mod hpke;
mod key;
mod rng;
mod signing;
mod slot;
mod slot_key_file;
mod token;
mod value;
mod webhook;
mod wiping;

pub use cache::CachePlace;
pub use digest::{
    Digest, certificate_digest, chain_digest, empty_digest, leaf_digest, node_digest, share_digest,
};
pub use envelope::{SealedValue, WrappedKey};
pub use key::{KeyId, MemoryLock, RootKey, VaultKey};
pub use rng::{Rng, SystemRng};
pub use signing::{LogKey, PublicKey, Signature, is_signed, note_key_id};
pub use slot::{
    SealedRootKey, SlotEnrolment, SlotKek, SlotKey, SlotKind, SlotPlace, SlotPublicKey, slot_key_context,
    slot_key_id,
};
pub use slot_key_file::{KeyFile, KeyFileError, parse_key_file, view_key_file};
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
