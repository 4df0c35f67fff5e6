//! A secret: a named value in a vault. What is here is its metadata; the value is sealed in a [`Version`].

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::context::ValuePlace;
use strongroom_crypto::{Digest, SealedValue, chain_digest};

use crate::filter::{Field, Kind};
use crate::ids::{AccountId, ApiKeyId, PrincipalId, SecretId, VaultId};
use crate::stamp::Stamp;

/// All of a secret but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its id.
    pub id: SecretId,
    /// The vault it is in.
    pub vault_id: VaultId,
    /// That vault's name.
    pub vault_name: String,
    /// Its name, unique in the vault.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: PrincipalId,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub last_updated_by: PrincipalId,
    /// How often it changed, from 1: what a change says it is based on.
    pub revision: u64,
    /// Which version of its value is current, from 1.
    pub version: u32,
}

impl Secret {
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: SecretId::decode } },
        Field { name: "name", kind: Kind::Text },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
        Field { name: "updated_at", kind: Kind::Time },
        Field { name: "created_by", kind: Kind::Id { decode: PrincipalId::decode } },
        Field { name: "vault.id", kind: Kind::Id { decode: VaultId::decode } },
        Field { name: "vault_name", kind: Kind::Text },
    ];

    /// Notes a change: when and by whom, and that it is one more.
    pub(crate) fn touch(&mut self, stamp: Stamp, by: PrincipalId) {
        self.updated_at = stamp.at;
        self.last_updated_by = by;
        self.revision += 1;
    }

    /// What a version of its value is bound to.
    #[must_use]
    pub fn place(&self, account: AccountId, version: u32) -> ValuePlace {
        ValuePlace {
            account: *account.ksuid().as_bytes(),
            vault: *self.vault_id.ksuid().as_bytes(),
            secret: *self.id.ksuid().as_bytes(),
            version,
        }
    }
}

impl Secret {
    /// Tells one state of its metadata from another: another one as soon as anything in it is. It tells nothing of the value.
    #[must_use]
    pub fn tag(&self) -> Digest {
        // Revisions are counted again after a store was put back from a backup; the time goes on.
        let at = self.updated_at.as_second().to_be_bytes();
        let vault = self.vault_name.as_bytes();
        chain_digest(&[0; 32], self.revision, &[&self.id.ksuid().as_bytes()[..], &at, vault].concat())
    }
}

/// The last time that a secret's value was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// When, to the second.
    pub at: Timestamp,
    /// The key that it was given to.
    pub by: ApiKeyId,
}

/// A secret's metadata, and its last use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Its metadata.
    pub secret: Arc<Secret>,
    /// The last time that its value was given out; none if it never was.
    pub resolved: Option<Resolved>,
}

/// One value that a secret has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// When it was written.
    pub created_at: Timestamp,
    /// Who wrote it; unknown of a value that was written before this was kept.
    pub created_by: Option<PrincipalId>,
    /// The value, sealed.
    pub sealed: SealedValue,
}

/// What there is to tell of a value that is kept, without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number, from 1.
    pub number: u32,
    /// When it was written.
    pub created_at: Timestamp,
    /// Who wrote it; unknown of a value that was written before this was kept.
    pub created_by: Option<PrincipalId>,
    /// Since when another one has been in its place; none of the current one.
    pub replaced_at: Option<Timestamp>,
}

/// Where a walk through the values that were replaced has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// When the last one was replaced.
    pub replaced_at: Timestamp,
    /// Whose it is.
    pub secret: SecretId,
    /// Its number.
    pub number: u32,
}

/// What a step of such a walk found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// The values that are not to be kept any longer.
    pub versions: Vec<(SecretId, u32)>,
    /// Where to go on; none at the end.
    pub next: Option<Walked>,
}
