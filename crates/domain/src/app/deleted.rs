//! Deleted things: listing them, bringing them back, destroying them.

use std::sync::Arc;

use super::App;
use super::secrets::check_new_place;
use crate::audit::{Action, Actor, Event, Object};
use crate::caller::Caller;
use crate::deleted::{Deleted, Deletion, Leftovers};
use crate::error::{Conflict, Error, Missing, Noun, Result};
use crate::grant::Action as Grantable;
use crate::ids::{SecretId, VaultId};
use crate::page::Query;
use crate::secret::Secret;
use crate::text::Name;
use crate::vault::Vault;

/// Secrets that are destroyed in one change.
const STEP: usize = 100;

impl App {
    /// A page of what was deleted: secrets and vaults together, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deleted_list(&self, caller: &Caller, mut query: Query) -> Result<Leftovers> {
        query.scope = caller.scope_to_read();
        self.store.deleted_list(caller.account, query).await
    }

    /// Brings a deleted secret back, under its name or another one.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`; `Conflict` when it is not deleted, its vault is, or its name is taken; `LimitReached`.
    pub async fn secret_undelete(
        &self,
        caller: &Caller,
        id: SecretId,
        name: Option<Name>,
    ) -> Result<Arc<Secret>> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let old = self.deleted_secret_for(caller, id).await?;
            let vault = self.store.vault_find(caller.account, old.vault_id).await?;
            let vault = vault.ok_or(Error::Conflict(Conflict::VaultDeleted(old.vault_id)))?;
            let mut secret = old.clone();
            secret.vault_name.clone_from(&vault.name);
            if let Some(name) = &name {
                name.as_str().clone_into(&mut secret.name);
            }
            check_new_place(caller, &old, &secret)?;
            secret.touch(self.stamper.stamp()?, caller.principal);
            let event = self.event(caller, &secret, Action::Undeleted)?;
            let max = self.limits.secrets;
            let back = self.store.secret_undelete(caller.account, vault, secret.clone(), max, event).await;
            back.map_err(name_taken)?;
            Ok(Arc::new(secret))
        })
        .await
    }

    /// Destroys a deleted secret and all that is kept of its values.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`; `Conflict` when it is not deleted.
    pub async fn secret_purge(&self, caller: &Caller, id: SecretId) -> Result<()> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let secret = self.deleted_secret_for(caller, id).await?;
            let event = self.event(caller, &secret, Action::Purged)?;
            self.store.secrets_purge(caller.account, vec![(id, secret.revision)], None, vec![event]).await
        })
        .await
    }

    /// A deleted secret that the caller may manage.
    async fn deleted_secret_for(&self, caller: &Caller, id: SecretId) -> Result<Secret> {
        let Some(Deleted { was: secret, .. }) = self.store.deleted_secret_find(caller.account, id).await?
        else {
            let live = self.secret_for(caller, id, Grantable::Manage).await?;
            return Err(Error::Conflict(Conflict::NotDeleted(live.id.to_string())));
        };
        if !caller.sees_secret(&secret.vault_name, &secret.name) {
            return Err(Error::NotFound(Missing::Resource(Noun::Secret)));
        }
        caller.must(Grantable::Manage, &secret.vault_name, &secret.name)?;
        Ok(secret)
    }

    /// Brings a deleted vault back, under its name or another one. Its deleted secrets stay deleted.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`; `Conflict` when it is not deleted or its name is taken; `LimitReached`.
    pub async fn vault_undelete(
        &self,
        caller: &Caller,
        id: VaultId,
        name: Option<Name>,
    ) -> Result<Arc<Vault>> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let mut vault = self.deleted_vault_for(caller, id).await?;
            if let Some(name) = &name {
                caller.must_manage_vault(name.as_str())?;
                caller.must_not_gain_vault(&vault.name, name.as_str())?;
                name.as_str().clone_into(&mut vault.name);
            }
            vault.touch(self.stamper.stamp()?, caller.principal);
            let event = self.event(caller, &vault, Action::Undeleted)?;
            let back =
                self.store.vault_undelete(caller.account, vault.clone(), self.limits.vaults, event).await;
            back.map_err(name_taken)?;
            Ok(Arc::new(vault))
        })
        .await
    }

    /// Destroys a deleted vault with its key, and its deleted secrets before it.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`; `Conflict` when it is not deleted.
    pub async fn vault_purge(&self, caller: &Caller, id: VaultId) -> Result<()> {
        caller.must_write()?;
        // Others need not wait for their turn until a large vault is gone.
        self.try_again(|| async {
            let vault = self.deleted_vault_for(caller, id).await?;
            self.vault_destroy(&vault, &Actor::from(caller)).await
        })
        .await
    }

    /// A deleted vault that the caller may manage.
    async fn deleted_vault_for(&self, caller: &Caller, id: VaultId) -> Result<Vault> {
        let Some(Deleted { was: vault, .. }) = self.store.deleted_vault_find(caller.account, id).await?
        else {
            let live = self.vault_seen(caller, id).await?;
            caller.must_manage_vault(&live.name)?;
            return Err(Error::Conflict(Conflict::NotDeleted(live.id.to_string())));
        };
        if !caller.sees_vault(&vault.name) {
            return Err(Error::NotFound(Missing::Resource(Noun::Vault)));
        }
        caller.must_manage_vault(&vault.name)?;
        Ok(vault)
    }

    /// Destroys the deleted secrets of a vault, a few at a time, and then the vault. `Stale` as soon as somebody has brought
    /// it back: the secrets that are left are then not destroyed.
    async fn vault_destroy(&self, vault: &Vault, actor: &Actor) -> Result<()> {
        loop {
            let secrets = self.store.deleted_secrets_of(self.account.id, vault.id, STEP).await?;
            if secrets.is_empty() {
                break;
            }
            self.secrets_destroy(&secrets, Some((vault.id, vault.revision)), actor).await?;
        }
        let event = self.purged(actor, vault)?;
        self.store.vault_purge(self.account.id, vault.id, vault.revision, event).await
    }

    async fn secrets_destroy(
        &self,
        secrets: &[Deleted<Secret>],
        with: Option<(VaultId, u64)>,
        actor: &Actor,
    ) -> Result<()> {
        let which = secrets.iter().map(|secret| (secret.was.id, secret.was.revision)).collect();
        let events = secrets.iter().map(|secret| self.purged(actor, &secret.was)).collect::<Result<_>>()?;
        self.store.secrets_purge(self.account.id, which, with, events).await
    }

    fn purged(&self, actor: &Actor, object: impl Into<Object>) -> Result<Event> {
        Ok(Event::new(self.stamper.stamp()?, self.account.id, actor.clone(), object, Action::Purged))
    }

    /// Destroys what was deleted long enough ago, a few at a time; says how much.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deleted_sweep(&self) -> Result<usize> {
        let by = self.limits.deleted.before(self.clock.now());
        let mut swept = 0;
        loop {
            let due = self.store.deleted_due(self.account.id, by, STEP).await?;
            if due.secrets.is_empty() && due.vaults.is_empty() {
                return Ok(swept);
            }
            let actor = Actor::server(self.operator().await?.principal);
            let destroyed = async {
                if !due.secrets.is_empty() {
                    self.secrets_destroy(&due.secrets, None, &actor).await?;
                }
                for vault in &due.vaults {
                    self.vault_destroy(&vault.was, &actor).await?;
                }
                Ok(due.secrets.len() + due.vaults.len())
            };
            match destroyed.await {
                Ok(count) => swept += count,
                // Somebody brought one back or destroyed it meanwhile: what is due is another list now.
                Err(Error::Stale) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The mark of a deletion; none where deleted things are not kept.
    pub(super) fn deletion(&self, caller: &Caller) -> Result<(Deletion, bool)> {
        let deletion = Deletion { at: self.stamper.stamp()?.at, by: caller.principal };
        Ok((deletion, self.limits.deleted.keeps()))
    }
}

/// A name that is taken by now is nothing that the caller gave: it is to give another one.
fn name_taken(error: Error) -> Error {
    match error {
        Error::NotUnique(noun) => Error::Conflict(Conflict::NameTaken(noun)),
        error => error,
    }
}
