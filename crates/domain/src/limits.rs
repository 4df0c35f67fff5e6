//! How much of everything is accepted.

use crate::deleted::Retention;
use crate::keep::Keep;

/// The limits, in one place. Each is a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a name.
    pub name: usize,
    /// Bytes of a description.
    pub description: usize,
    /// Bytes of metadata.
    pub metadata: usize,
    /// Bytes of a value.
    pub value: usize,
    /// Vaults of an account; `None` is no limit.
    pub vaults: Option<u64>,
    /// Secrets of an account; `None` is no limit.
    pub secrets: Option<u64>,
    /// Values of a secret that are kept.
    pub keep: Keep,
    /// How long deleted things are kept.
    pub deleted: Retention,
    /// How long audit events are kept; `None` is without end.
    pub audit: Option<Retention>,
    /// How old a vault's key gets before it is rotated; `None` is without end.
    pub vault_keys: Option<Retention>,
}

impl Limits {
    /// What each size may be raised to: 1 MiB.
    pub const SIZE_MAX: usize = 1 << 20;

    /// The largest request body that these limits can need: JSON writes a byte in six at most (`\u0000`).
    #[must_use]
    pub fn request_body(&self) -> usize {
        const OTHER_FIELDS: usize = 4096;
        6 * (self.name + self.description + self.metadata + self.value) + OTHER_FIELDS
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name: 255,
            description: 255,
            metadata: 4096,
            value: 64 << 10,
            vaults: None,
            secrets: None,
            keep: Keep::default(),
            deleted: Retention::default(),
            audit: None,
            vault_keys: None,
        }
    }
}
