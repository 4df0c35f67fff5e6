//! Secrets: their metadata, and the writing of their values. Nothing here gives a value out.

use std::sync::Arc;

use strongroom_crypto::SecretValue;

use super::{App, retry_stale};
use crate::audit::Action;
use crate::caller::Caller;
use crate::error::{Error, Missing, Noun, Result, Rule};
use crate::ids::{SecretId, VaultId};
use crate::limits::Limits;
use crate::page::{Listing, Query};
use crate::secret::{Secret, Version};
use crate::text::{Description, Metadata, Name};
use crate::vault::Vault;

/// The vault that a new secret goes into, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultRef {
    /// By id.
    Id(VaultId),
    /// By name.
    Name(String),
    /// By both, which must mean the same vault.
    Both(VaultId, String),
}

impl VaultRef {
    /// What an id and a name, each given or not, name together.
    ///
    /// # Errors
    /// [`Rule::VaultMissing`] when neither is given.
    pub fn new(id: Option<VaultId>, name: Option<String>) -> Result<Self, Rule> {
        match (id, name) {
            (Some(id), None) => Ok(Self::Id(id)),
            (None, Some(name)) => Ok(Self::Name(name)),
            (Some(id), Some(name)) => Ok(Self::Both(id, name)),
            (None, None) => Err(Rule::VaultMissing),
        }
    }
}

/// A secret to be made.
pub struct SecretDraft {
    /// Its id, when it is brought along from elsewhere.
    pub id: Option<SecretId>,
    /// The vault it goes into.
    pub vault: VaultRef,
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: SecretValue,
    /// What it is for.
    pub description: Description,
    /// What its writer wants to remember.
    pub metadata: Metadata,
}

/// What to change of a secret; `None` leaves it as it is.
#[derive(Default)]
pub struct SecretChange {
    /// A new name.
    pub name: Option<Name>,
    /// A new value.
    pub value: Option<SecretValue>,
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
}

/// A secret without the version of its value that it says is current.
#[derive(Debug, thiserror::Error)]
#[error("the store has lost a value: a secret's current version is missing")]
struct ValueLost;

impl SecretChange {
    fn apply_to(&self, secret: &mut Secret) {
        if let Some(name) = &self.name {
            name.as_str().clone_into(&mut secret.name);
        }
        if let Some(description) = &self.description {
            secret.description = description.clone().into_string();
        }
        if let Some(metadata) = &self.metadata {
            secret.metadata = metadata.clone().into_string();
        }
    }
}

/// Checks a value's length.
///
/// # Errors
/// [`Rule::ValueEmpty`], [`Rule::ValueTooLong`].
pub(super) fn check_value(value: &SecretValue, limits: &Limits) -> Result<(), Rule> {
    if value.is_empty() {
        return Err(Rule::ValueEmpty);
    }
    if value.len() > limits.value {
        return Err(Rule::ValueTooLong { max: limits.value });
    }
    Ok(())
}

impl App {
    /// Seals a value and makes a secret of it.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound` for the vault, `NotUnique`, `LimitReached`.
    pub async fn secret_create(&self, caller: &Caller, draft: SecretDraft) -> Result<Secret> {
        caller.must_write()?;
        check_value(&draft.value, &self.limits)?;
        let id = draft.id;
        let (name, description, metadata) =
            (draft.name.into_string(), draft.description.into_string(), draft.metadata.into_string());
        retry_stale(|| async {
            let vault = self.vault_of(caller, &draft.vault).await?;
            let stamp = self.stamp_for(id.map(|id| id.ksuid()))?;
            let secret = Secret {
                id: SecretId::new(stamp.ksuid),
                vault_id: vault.id,
                vault_name: vault.name.clone(),
                name: name.clone(),
                description: description.clone(),
                metadata: metadata.clone(),
                created_at: stamp.at,
                created_by: caller.principal,
                updated_at: stamp.at,
                last_updated_by: caller.principal,
                revision: 1,
                version: 1,
            };
            let version = self.seal(caller, &vault, &secret, &draft.value)?;
            let event = self.event(caller, &secret, Action::Created)?;
            let max = self.limits.secrets;
            self.store.secret_insert(caller.account, vault, secret.clone(), version, max, event).await?;
            Ok(secret)
        })
        .await
    }

    /// A secret's metadata.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn secret_get(&self, caller: &Caller, id: SecretId) -> Result<Arc<Secret>> {
        let found = self.store.secret_find(caller.account, id).await?;
        found.ok_or(Error::NotFound(Missing::Resource(Noun::Secret)))
    }

    /// A page of secrets.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn secret_list(&self, caller: &Caller, query: Query) -> Result<Listing<Secret>> {
        self.store.secret_list(caller.account, None, query).await
    }

    /// A page of one vault's secrets.
    ///
    /// # Errors
    /// `NotFound` for the vault.
    pub async fn secret_list_of_vault(
        &self,
        caller: &Caller,
        vault: VaultId,
        query: Query,
    ) -> Result<Listing<Secret>> {
        let vault = self.vault_get(caller, vault).await?;
        self.store.secret_list(caller.account, Some(vault.id), query).await
    }

    /// Changes a secret. A change that changes nothing leaves no trace, the value included.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound`, `NotUnique`.
    pub async fn secret_change(
        &self,
        caller: &Caller,
        id: SecretId,
        change: SecretChange,
    ) -> Result<Arc<Secret>> {
        caller.must_write()?;
        if let Some(value) = &change.value {
            check_value(value, &self.limits)?;
        }
        retry_stale(|| async {
            let old = self.secret_get(caller, id).await?;
            let mut secret = (*old).clone();
            change.apply_to(&mut secret);
            let value = match &change.value {
                Some(value) if !self.has_value(caller, &old, value).await? => Some(value),
                _ => None,
            };
            if secret == *old && value.is_none() {
                return Ok(old);
            }
            let stamp = self.stamper.stamp()?;
            secret.updated_at = stamp.at;
            secret.last_updated_by = caller.principal;
            secret.revision += 1;
            let mut version = None;
            if let Some(value) = value {
                secret.version += 1;
                let vault = self.vault_of_secret(caller, &secret).await?;
                version = Some(self.seal(caller, &vault, &secret, value)?);
            }
            let event = self.event(caller, &secret, Action::Updated)?;
            self.store.secret_update(caller.account, secret.clone(), version, event).await?;
            Ok(Arc::new(secret))
        })
        .await
    }

    /// Removes a secret and its value.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn secret_remove(&self, caller: &Caller, id: SecretId) -> Result<()> {
        caller.must_write()?;
        retry_stale(|| async {
            let secret = self.secret_get(caller, id).await?;
            let event = self.event(caller, &*secret, Action::Deleted)?;
            self.store.secret_delete(caller.account, id, secret.revision, event).await
        })
        .await
    }

    async fn vault_of(&self, caller: &Caller, named: &VaultRef) -> Result<Arc<Vault>> {
        let found = match named {
            VaultRef::Id(id) | VaultRef::Both(id, _) => self.store.vault_find(caller.account, *id).await?,
            VaultRef::Name(name) => self.store.vault_find_by_name(caller.account, name).await?,
        };
        let vault = found.ok_or_else(|| {
            Error::NotFound(match named {
                VaultRef::Id(id) | VaultRef::Both(id, _) => Missing::VaultId(id.to_string()),
                VaultRef::Name(name) => Missing::VaultName(name.clone()),
            })
        })?;
        match named {
            VaultRef::Both(_, name) if *name != vault.name => Err(Rule::Parameter("vault_name").into()),
            _ => Ok(vault),
        }
    }

    async fn vault_of_secret(&self, caller: &Caller, secret: &Secret) -> Result<Arc<Vault>> {
        // A vault that holds a secret cannot be removed: if it is gone, so is the secret, and the next try finds that out.
        self.store.vault_find(caller.account, secret.vault_id).await?.ok_or(Error::Stale)
    }

    fn seal(&self, caller: &Caller, vault: &Vault, secret: &Secret, value: &SecretValue) -> Result<Version> {
        let key = self.root_key.open_vault_key(&vault.wrapped_key, &vault.place(caller.account))?;
        let sealed = key.seal(value, &secret.place(caller.account), &*self.rng)?;
        Ok(Version { number: secret.version, created_at: secret.updated_at, sealed })
    }

    /// Whether a secret's current value is this one.
    async fn has_value(&self, caller: &Caller, secret: &Secret, value: &SecretValue) -> Result<bool> {
        let version = self.store.version_find(caller.account, secret.id, secret.version).await?;
        let Some(version) = version else {
            // A change that came between has taken it away; without one, the store has lost it.
            let now = self.secret_get(caller, secret.id).await?;
            let lost = now.revision == secret.revision;
            return Err(if lost { Error::Internal(Box::new(ValueLost)) } else { Error::Stale });
        };
        let vault = self.vault_of_secret(caller, secret).await?;
        let key = self.root_key.open_vault_key(&vault.wrapped_key, &vault.place(caller.account))?;
        Ok(key.open(&version.sealed, &secret.place(caller.account))?.same_as(value))
    }
}
