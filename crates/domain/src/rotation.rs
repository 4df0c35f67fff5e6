//! The rotation of keys: a new one in the place of an old one, while everything goes on.
//!
//! A vault's new key stands beside the old one until no value is under that any more. What is sealed from the start on is
//! sealed under the new one. Where a rotation is stands in the store, so that it goes on after a crash.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::{Digest, KeyId, SealedRootKey, SealedValue, WrappedKey};

use crate::error::Result;
use crate::ids::{SecretId, VaultId, WebhookId};
use crate::key_slot::KeySlot;
use crate::vault::Vault;

/// Which keys are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The vault's own: its data keys are wrapped anew, and no value is opened.
    VaultKey,
    /// Its data keys: each value is opened and sealed under another one.
    DataKeys,
}

impl Kind {
    /// What it is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VaultKey => "vault",
            Self::DataKeys => "data",
        }
    }

    /// The kind that is called so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::VaultKey, Self::DataKeys].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A rotation that is under way. There is one of a vault at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The vault.
    pub vault: VaultId,
    /// Which of its keys.
    pub kind: Kind,
    /// Since when.
    pub started_at: Timestamp,
    /// Values that are done.
    pub done: u64,
}

/// The key that a vault gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is called.
    pub id: KeyId,
    /// The key, wrapped by the root key.
    pub wrapped: WrappedKey,
    /// The one in whose place it comes.
    pub replaces: WrappedKey,
}

/// Something that the root key wraps, and where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderRoot {
    /// The key of the tokens' hashes.
    TokenKey,
    /// The key that signs checkpoints of the log.
    LogKey,
    /// A key of a vault, deleted or not.
    VaultKey(VaultId),
    /// A signing secret of a webhook.
    SigningSecret(WebhookId),
    /// The data key of the token in a kept answer, by the mark of its request.
    KeptToken(Digest),
}

/// Wraps something by the new root key that the old one wrapped.
pub type Rewrap = Arc<dyn Fn(&UnderRoot, &WrappedKey) -> Result<WrappedKey> + Send + Sync>;

/// Seals the new root key to a slot that the old one is sealed to.
pub type Reseal = Arc<dyn Fn(&KeySlot) -> Result<SealedRootKey> + Send + Sync>;

/// The root key that comes in the place of another one.
#[derive(Clone)]
pub struct NewRootKey {
    /// What it is called.
    pub id: KeyId,
    /// What the one before is called.
    pub replaces: KeyId,
    /// When it was made.
    pub made_at: Timestamp,
    /// How things get from one to the other.
    pub rewrap: Rewrap,
    /// How it gets into the slots.
    pub reseal: Reseal,
}

/// A vault's key, and what it is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The vault.
    pub vault: Arc<Vault>,
    /// What its key is called.
    pub key: KeyId,
    /// Values that are sealed in the vault: live, earlier, and of deleted secrets.
    pub values: u64,
    /// The rotation that is under way, and how many values still refer to old keys.
    pub rotation: Option<(Rotation, u64)>,
}

/// How many values there are in a vault, and how many of them the rotation has still to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Values in all.
    pub values: u64,
    /// The rotation, and what it has left.
    pub rotation: Option<(Rotation, u64)>,
}

/// A value that a rotation has still to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its secret, deleted or not.
    pub secret: SecretId,
    /// Its number.
    pub number: u32,
    /// As it is sealed; without its ciphertext where that is not needed.
    pub sealed: SealedValue,
}

/// A value that a rotation has done, to come in the place of what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// Its secret.
    pub secret: SecretId,
    /// Its number.
    pub number: u32,
    /// The wrapped key that it had: if it has another by now, it is left as it is.
    pub was: WrappedKey,
    /// As it is sealed now; without its ciphertext where that stays.
    pub sealed: SealedValue,
}
