//! Secrets: their metadata, and the writing of their values. Nothing here gives a value out.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::SecretValue;

use super::App;
use super::vaults::{VaultRef, vault_missing};
use crate::answer::{Creation, Made, Repeatable};
use crate::audit::{Action, Object};
use crate::caller::Caller;
use crate::error::{Error, Missing, Noun, Result, Rule};
use crate::expected::Expected;
use crate::grant::Action as Grantable;
use crate::ids::{SecretId, VaultId};
use crate::limits::Limits;
use crate::page::{Listing, Query};
use crate::secret::{Secret, Version};
use crate::text::{Description, Metadata, Name};
use crate::vault::{Vault, VaultKeys};

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
    /// When its value stops being given out.
    pub expires_at: Option<Timestamp>,
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
    /// Another end, or none.
    pub expires_at: Option<Option<Timestamp>>,
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
        if let Some(expires_at) = self.expires_at {
            secret.expires_at = expires_at;
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
    /// Seals a value and makes a secret of it. What was asked for before is given as it was then.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, also if something else was asked for under the same key, `NotFound` for the vault, `NotUnique`,
    /// `LimitReached`.
    pub async fn secret_create(
        &self,
        caller: &Caller,
        draft: SecretDraft,
        to: Option<&Repeatable>,
    ) -> Result<Made<Secret>> {
        caller.must_write()?;
        check_value(&draft.value, &self.limits)?;
        self.retry_stale(caller, draft.name.as_str(), || async {
            let Some(answer) = self.answered(caller, to).await? else {
                return Ok(Made::now(self.secret_make(caller, &draft, to).await?));
            };
            let secret = answer.into_secret()?;
            // The key may do less by now than it did then.
            if !caller.sees_vault(&secret.vault_name) {
                return Err(vault_missing(&draft.vault));
            }
            caller.must(Grantable::Manage, &secret.vault_name, &secret.name)?;
            Ok(Made::before(secret))
        })
        .await
    }

    async fn secret_make(
        &self,
        caller: &Caller,
        draft: &SecretDraft,
        to: Option<&Repeatable>,
    ) -> Result<Secret> {
        self.check_expiry(draft.expires_at)?;
        let vault = self.vault_of(caller, &draft.vault).await?;
        caller.must(Grantable::Manage, &vault.name, draft.name.as_str())?;
        let stamp = self.stamp_for(draft.id.map(|id| id.ksuid()))?;
        let secret = Secret {
            id: SecretId::new(stamp.ksuid),
            vault_id: vault.id,
            vault_name: vault.name.clone(),
            name: draft.name.clone().into_string(),
            description: draft.description.clone().into_string(),
            metadata: draft.metadata.clone().into_string(),
            created_at: stamp.at,
            created_by: caller.principal,
            updated_at: stamp.at,
            last_updated_by: caller.principal,
            revision: 1,
            version: 1,
            expires_at: draft.expires_at,
        };
        let version = self.seal(&vault, &secret, &draft.value).await?;
        let creation = Creation::new(self.event(caller, &secret, Action::Created)?, to, None);
        let max = self.limits.secrets;
        self.store.secret_insert(caller.account, vault, secret.clone(), version, max, creation).await?;
        Ok(secret)
    }

    /// A secret's metadata.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn secret_get(&self, caller: &Caller, id: SecretId) -> Result<Arc<Secret>> {
        self.secret_for(caller, id, Grantable::Read).await
    }

    /// A secret that the caller may do that with.
    pub(super) async fn secret_for(
        &self,
        caller: &Caller,
        id: SecretId,
        action: Grantable,
    ) -> Result<Arc<Secret>> {
        let found = self.store.secret_find(caller.account, id).await?;
        let seen = found.filter(|secret| caller.sees_secret(&secret.vault_name, &secret.name));
        let secret = seen.ok_or(Error::NotFound(Missing::Resource(Noun::Secret)))?;
        caller.must(action, &secret.vault_name, &secret.name)?;
        Ok(secret)
    }

    /// A page of secrets.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn secret_list(&self, caller: &Caller, mut query: Query) -> Result<Arc<Listing<Arc<Secret>>>> {
        query.scope = caller.scope_to_read();
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
        mut query: Query,
    ) -> Result<Arc<Listing<Arc<Secret>>>> {
        let vault = self.vault_seen(caller, vault).await?;
        query.scope = caller.scope_to_read();
        self.store.secret_list(caller.account, Some(vault.id), query).await
    }

    /// Changes a secret. A change that changes nothing leaves no trace, the value included.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound`, `NotUnique`; `Changed` when its tag is not what is expected.
    pub async fn secret_change(
        &self,
        caller: &Caller,
        id: SecretId,
        change: SecretChange,
        expected: &Expected,
    ) -> Result<Arc<Secret>> {
        caller.must_write()?;
        if let Some(value) = &change.value {
            check_value(value, &self.limits)?;
        }
        self.retry_stale(caller, id, || async {
            let old = self.secret_for(caller, id, Grantable::Manage).await?;
            expected.check(|| old.tag())?;
            let mut secret = (*old).clone();
            change.apply_to(&mut secret);
            check_new_place(caller, &old, &secret)?;
            // The one that it has may be past by now: the same one again is no change.
            if secret.expires_at != old.expires_at {
                self.check_expiry(secret.expires_at)?;
            }
            let value = match &change.value {
                // Opened to see whether the value is another one: the same one again is no change.
                Some(value) if !self.value_of(caller, &old).await?.same_as(value) => Some(value),
                _ => None,
            };
            if secret == *old && value.is_none() {
                return Ok(old);
            }
            self.secret_write(caller, &old, secret, value).await
        })
        .await
    }

    /// Writes a secret that has changed; with a value, as the next version of it.
    pub(super) async fn secret_write(
        &self,
        caller: &Caller,
        old: &Secret,
        mut secret: Secret,
        value: Option<&SecretValue>,
    ) -> Result<Arc<Secret>> {
        secret.touch(self.stamper.stamp()?, caller.principal);
        let mut version = None;
        if let Some(value) = value {
            secret.version += 1;
            let vault = self.vault_of_secret(caller, &secret).await?;
            version = Some(self.seal(&vault, &secret, value).await?);
        }
        let event = self.event(caller, Object::secret_after(old, &secret), Action::Updated)?;
        let keep = self.limits.keep.versions;
        self.store.secret_update(caller.account, secret.clone(), version, keep, event).await?;
        Ok(Arc::new(secret))
    }

    /// Moves a secret to another vault, under its name or another one. Its id stays, and so do its versions, each sealed
    /// anew under the other vault's key.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` when it is in that vault already, `NotFound` for either, `NotUnique`.
    pub async fn secret_move(
        &self,
        caller: &Caller,
        id: SecretId,
        to: VaultRef,
        name: Option<Name>,
    ) -> Result<Secret> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let old = self.secret_for(caller, id, Grantable::Manage).await?;
            let vault = self.vault_of(caller, &to).await?;
            if vault.id == old.vault_id {
                return Err(Rule::SameVault.into());
            }
            let mut secret = (*old).clone();
            secret.vault_id = vault.id;
            secret.vault_name.clone_from(&vault.name);
            if let Some(name) = &name {
                name.as_str().clone_into(&mut secret.name);
            }
            check_new_place(caller, &old, &secret)?;
            secret.touch(self.stamper.stamp()?, caller.principal);
            let versions = self.versions_moved(caller, &old, (&vault, &secret)).await?;
            let event = self.event(caller, Object::secret_after(&old, &secret), Action::Updated)?;
            self.store.secret_move(caller.account, old, vault, secret.clone(), versions, event).await?;
            Ok(secret)
        })
        .await
    }

    /// Removes a secret. What is kept of its values can be brought back for as long as deleted things are kept.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Changed` when its tag is not what is expected.
    pub async fn secret_remove(&self, caller: &Caller, id: SecretId, expected: &Expected) -> Result<()> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let secret = self.secret_for(caller, id, Grantable::Manage).await?;
            expected.check(|| secret.tag())?;
            let event = self.event(caller, &*secret, Action::Deleted)?;
            let (deletion, keep) = self.deletion(caller)?;
            self.store.secret_delete(caller.account, secret, deletion, keep, event).await
        })
        .await
    }

    pub(super) async fn vault_of_secret(&self, caller: &Caller, secret: &Secret) -> Result<Arc<Vault>> {
        // A vault that holds a secret cannot be removed: if it is gone, so is the secret, and the next try finds that out.
        self.store.vault_find(caller.account, secret.vault_id).await?.ok_or(Error::Stale)
    }

    pub(super) async fn open_vault_keys(&self, vault: &Vault) -> Result<VaultKeys> {
        Ok(vault.open_keys(self.account.id, &*self.root_of(&vault.wrapped_key).await?)?)
    }

    async fn seal(&self, vault: &Vault, secret: &Secret, value: &SecretValue) -> Result<Version> {
        let place = secret.place(self.account.id, secret.version);
        let sealed = self.open_vault_keys(vault).await?.current().seal(value, &place, &*self.rng)?;
        let (created_at, created_by) = (secret.updated_at, Some(secret.last_updated_by));
        Ok(Version { number: secret.version, created_at, created_by, sealed })
    }

    /// A secret's current value, in clear.
    pub(super) async fn value_of(&self, caller: &Caller, secret: &Secret) -> Result<SecretValue> {
        let version = self.version_current(caller, secret).await?;
        self.value_in(caller, secret, &version).await
    }

    /// What is in a version of a secret, in clear.
    pub(super) async fn value_in(
        &self,
        caller: &Caller,
        secret: &Secret,
        version: &Version,
    ) -> Result<SecretValue> {
        let vault = self.vault_of_secret(caller, secret).await?;
        self.open_with(caller, &self.open_vault_keys(&vault).await?, secret, version).await
    }

    /// What is in a version of a secret, opened with the keys of its vault.
    ///
    /// # Errors
    /// `Stale` when it does not open and any of them changed since it was read: the secret may have moved, and then each of
    /// its versions is sealed for another vault; or keys were rotated.
    pub(super) async fn open_with(
        &self,
        caller: &Caller,
        keys: &VaultKeys,
        secret: &Secret,
        version: &Version,
    ) -> Result<SecretValue> {
        let opened = keys.open(&version.sealed, &secret.place(caller.account, version.number));
        let Err(error) = opened else { return Ok(opened?) };
        let same = self.is_unchanged(caller, keys, secret, version).await?;
        Err(if same { error.into() } else { Error::Stale })
    }

    /// Whether a secret, a version of it and the keys of its vault are still what was read.
    async fn is_unchanged(
        &self,
        caller: &Caller,
        keys: &VaultKeys,
        secret: &Secret,
        version: &Version,
    ) -> Result<bool> {
        let (account, id) = (caller.account, secret.id);
        self.store.catch_up().await?;
        let now = self.store.secret_find(account, id).await?;
        if now.is_none_or(|now| now.revision != secret.revision) {
            return Ok(false);
        }
        let now = self.store.version_find(account, id, version.number).await?;
        if now.is_none_or(|now| now.sealed != version.sealed) {
            return Ok(false);
        }
        let vault = self.vault_of_secret(caller, secret).await?;
        Ok(self.open_vault_keys(&vault).await?.same_as(keys))
    }

    /// A secret's current version.
    ///
    /// # Errors
    /// `Stale` when a change that came between has replaced it.
    pub(super) async fn version_current(&self, caller: &Caller, secret: &Secret) -> Result<Version> {
        if let Some(version) = self.store.version_find(caller.account, secret.id, secret.version).await? {
            return Ok(version);
        }
        self.store.catch_up().await?;
        let now = self.store.secret_find(caller.account, secret.id).await?;
        let lost = now.is_some_and(|now| now.revision == secret.revision);
        Err(if lost { Error::Internal(Box::new(ValueLost)) } else { Error::Stale })
    }
}

/// Refuses a name or a vault that the caller may not manage, or whose value it could then read.
pub(super) fn check_new_place(caller: &Caller, old: &Secret, new: &Secret) -> Result<()> {
    if (&old.vault_name, &old.name) == (&new.vault_name, &new.name) {
        return Ok(());
    }
    caller.must(Grantable::Manage, &new.vault_name, &new.name)?;
    caller.must_not_gain((&old.vault_name, &old.name), (&new.vault_name, &new.name))
}
