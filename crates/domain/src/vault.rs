//! A vault: a named container of secrets, with a key of its own.

use jiff::Timestamp;
use strongroom_crypto::context::{ValuePlace, VaultPlace};
use strongroom_crypto::{
    CryptoError, Digest, RootKey, SealedValue, SecretValue, VaultKey, WrappedKey, chain_digest,
};

use crate::filter::{Field, Kind};
use crate::ids::{AccountId, PrincipalId, VaultId};
use crate::keep::VaultKeep;
use crate::stamp::Stamp;

/// A vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// Its id.
    pub id: VaultId,
    /// Its name, unique in the account.
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
    /// Its key, wrapped by the root key.
    pub wrapped_key: WrappedKey,
    /// The key before, wrapped too, while values are still under it: a rotation is under way.
    pub previous_key: Option<WrappedKey>,
    /// When its key was made.
    pub keyed_at: Timestamp,
    /// How many values of its secrets it keeps, and how long.
    pub keep: VaultKeep,
}

/// A vault's key, and the one before it while a rotation is under way.
pub struct VaultKeys {
    current: VaultKey,
    previous: Option<VaultKey>,
}

impl VaultKeys {
    /// The key that new values are sealed under.
    #[must_use]
    pub fn current(&self) -> &VaultKey {
        &self.current
    }

    /// The key before.
    #[must_use]
    pub fn previous(&self) -> Option<&VaultKey> {
        self.previous.as_ref()
    }

    /// Opens a value with the key that it names.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(&self, sealed: &SealedValue, place: &ValuePlace) -> Result<SecretValue, CryptoError> {
        let by = sealed.wrapped_key.wrapped_by();
        let previous = self.previous.as_ref().filter(|key| Some(key.id()) == by);
        previous.unwrap_or(&self.current).open(sealed, place)
    }

    /// Whether these are the same keys.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let ids = |keys: &Self| (keys.current.id(), keys.previous.as_ref().map(VaultKey::id));
        ids(self) == ids(other)
    }
}

impl Vault {
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: VaultId::decode } },
        Field { name: "name", kind: Kind::Text },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
        Field { name: "updated_at", kind: Kind::Time },
        Field { name: "created_by", kind: Kind::Id { decode: PrincipalId::decode } },
    ];

    /// Tells one state of it from another: another one as soon as anything in it is.
    #[must_use]
    pub fn tag(&self) -> Digest {
        // Revisions are counted again after a store was put back from a backup; the time goes on.
        let at = self.updated_at.as_second().to_be_bytes();
        chain_digest(&[0; 32], self.revision, &[&self.id.ksuid().as_bytes()[..], &at].concat())
    }

    /// Notes a change: when and by whom, and that it is one more.
    pub(crate) fn touch(&mut self, stamp: Stamp, by: PrincipalId) {
        self.updated_at = stamp.at;
        self.last_updated_by = by;
        self.revision += 1;
    }

    /// Opens its key, and the one before while there is one.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_keys(&self, account: AccountId, root_key: &RootKey) -> Result<VaultKeys, CryptoError> {
        let open = |wrapped: &WrappedKey| root_key.open_vault_key(wrapped, &self.place(account));
        let previous = self.previous_key.as_ref().map(open).transpose()?;
        Ok(VaultKeys { current: open(&self.wrapped_key)?, previous })
    }

    /// What its wrapped key is bound to.
    #[must_use]
    pub fn place(&self, account: AccountId) -> VaultPlace {
        VaultPlace { account: *account.ksuid().as_bytes(), vault: *self.id.ksuid().as_bytes() }
    }
}
