//! Kept versions: what there is of a secret's earlier values, going back to one, and for how long they stay.

use std::sync::Arc;

use super::App;
use crate::audit::{Action, Object};
use crate::caller::Caller;
use crate::error::{Error, Missing, Noun, Result, Rule};
use crate::expected::Expected;
use crate::grant::Action as Grantable;
use crate::ids::{SecretId, VaultId};
use crate::keep::{Keep, VaultKeep};
use crate::secret::{Kept, Secret, Version};
use crate::vault::Vault;

/// Values that one step of the sweeper looks at.
const STEP: usize = 500;

/// What to change of how long a vault keeps values; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepChange {
    /// How many values; none for the server's setting.
    pub versions: Option<Option<u32>>,
    /// For how many seconds after they were replaced; none for the server's setting.
    pub versions_for: Option<Option<u32>>,
}

impl KeepChange {
    /// # Errors
    /// [`Rule::KeepVersions`] when it is more than can be kept.
    fn check(&self) -> Result<(), Rule> {
        match self.versions.flatten() {
            Some(number) if !(1..=Keep::VERSIONS_MAX).contains(&number) => {
                Err(Rule::KeepVersions { max: Keep::VERSIONS_MAX })
            }
            _ => Ok(()),
        }
    }

    fn over(&self, old: VaultKeep) -> VaultKeep {
        VaultKeep {
            versions: self.versions.unwrap_or(old.versions),
            versions_for: self.versions_for.unwrap_or(old.versions_for),
        }
    }
}

impl App {
    /// A secret, and what is kept of its values, newest first.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn version_list(&self, caller: &Caller, id: SecretId) -> Result<(Arc<Secret>, Vec<Kept>)> {
        let secret = self.secret_get(caller, id).await?;
        let kept = self.store.version_kept(caller.account, id).await?;
        // A secret has its current value at least: this one was deleted just now.
        if kept.is_empty() {
            return Err(Error::NotFound(Missing::Resource(Noun::Secret)));
        }
        Ok((secret, kept))
    }

    /// Makes an earlier value the current one again, as a version of its own. If it is the current value already, nothing
    /// happens.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, also for a version that is not kept any more.
    pub async fn version_rollback(&self, caller: &Caller, id: SecretId, number: u32) -> Result<Arc<Secret>> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let old = self.secret_for(caller, id, Grantable::Manage).await?;
            let Some(version) = self.store.version_find(caller.account, id, number).await? else {
                return Err(self.version_missing(caller, id, number).await?);
            };
            // Opened to be sealed anew: a value is bound to its number.
            let value = self.value_in(caller, &old, &version).await?;
            if self.value_of(caller, &old).await?.same_as(&value) {
                return Ok(old);
            }
            let secret = (*old).clone();
            self.secret_write(caller, &old, secret, Some(&value)).await
        })
        .await
    }

    /// Says that a version is not there, and which are.
    async fn version_missing(&self, caller: &Caller, id: SecretId, number: u32) -> Result<Error> {
        let kept = self.store.version_kept(caller.account, id).await?;
        let (Some(newest), Some(oldest)) = (kept.first(), kept.last()) else {
            return Err(Error::Stale);
        };
        let (oldest, newest) = (oldest.number, newest.number);
        Ok(Error::NotFound(Missing::Version { number, oldest, newest }))
    }

    /// The versions of a secret that stay when it moves to a vault, each sealed for it.
    pub(super) async fn versions_moved(
        &self,
        caller: &Caller,
        old: &Secret,
        to: (&Vault, &Secret),
    ) -> Result<Vec<Version>> {
        let (vault, secret) = to;
        let keep = vault.keep.over(&self.limits.keep);
        let kept = self.store.version_kept(caller.account, old.id).await?;
        let kept = kept.iter().filter(|kept| keep.includes(kept.number, old.version));
        let which: Vec<_> = kept.map(|kept| (old.id, kept.number)).collect();
        let from_keys = self.open_vault_keys(&*self.vault_of_secret(caller, old).await?).await?;
        let to_keys = self.open_vault_keys(vault).await?;
        let mut moved = Vec::with_capacity(which.len());
        for version in self.store.version_list(caller.account, which).await? {
            let version = version.ok_or(Error::Stale)?;
            let value = self.open_with(caller, &from_keys, old, &version).await?;
            let place = secret.place(caller.account, version.number);
            let sealed = to_keys.current().seal(&value, &place, &*self.rng)?;
            moved.push(Version { sealed, ..(*version).clone() });
        }
        // The current one is among them, or somebody else was here.
        if moved.first().is_none_or(|newest| newest.number != secret.version) {
            return Err(Error::Stale);
        }
        Ok(moved)
    }

    /// Changes how many values a vault keeps, and how long. What is then too much goes with the next sweep.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound`; `Changed` when its tag is not what is expected.
    pub async fn vault_keep(
        &self,
        caller: &Caller,
        id: VaultId,
        change: KeepChange,
        expected: &Expected,
    ) -> Result<Arc<Vault>> {
        caller.must_write()?;
        change.check()?;
        self.retry_stale(caller, id, || async {
            let old = self.vault_seen(caller, id).await?;
            caller.must_manage_vault(&old.name)?;
            expected.check(|| old.tag())?;
            let mut vault = (*old).clone();
            vault.keep = change.over(old.keep);
            if vault == *old {
                return Ok(old);
            }
            vault.touch(self.stamper.stamp()?, caller.principal);
            let event = self.event(caller, Object::keep(&vault), Action::Updated)?;
            self.store.vault_update(caller.account, vault.clone(), event).await?;
            Ok(Arc::new(vault))
        })
        .await
    }

    /// Destroys the versions that are not to be kept any longer, a few at a time; says how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn versions_sweep(&self) -> Result<usize> {
        let (account, keep) = (self.account.id, self.limits.keep);
        let (mut after, mut swept) = (None, 0);
        loop {
            let due = self.store.version_due(account, keep, self.clock.now(), after, STEP).await?;
            if !due.versions.is_empty() {
                swept += due.versions.len();
                self.store.version_prune(account, due.versions).await?;
            }
            match due.next {
                Some(next) => after = Some(next),
                None => return Ok(swept),
            }
        }
    }
}
