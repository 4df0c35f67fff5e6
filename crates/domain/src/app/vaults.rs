//! Vaults.

use std::sync::Arc;

use strongroom_crypto::VaultKey;

use super::App;
use crate::answer::{Creation, Made, Repeatable};
use crate::audit::{Action, Object};
use crate::caller::Caller;
use crate::error::{Error, Missing, Noun, Result, Rule};
use crate::expected::Expected;
use crate::ids::VaultId;
use crate::keep::VaultKeep;
use crate::page::{Listing, Query};
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

/// A vault to be made.
pub struct VaultDraft {
    /// Its id, when it is brought along from elsewhere.
    pub id: Option<VaultId>,
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub description: Description,
    /// What its writer wants to remember.
    pub metadata: Metadata,
}

/// What to change of a vault; `None` leaves it as it is.
#[derive(Default)]
pub struct VaultChange {
    /// A new name.
    pub name: Option<Name>,
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
}

impl VaultChange {
    fn apply_to(&self, vault: &mut Vault) {
        if let Some(name) = &self.name {
            name.as_str().clone_into(&mut vault.name);
        }
        if let Some(description) = &self.description {
            vault.description = description.clone().into_string();
        }
        if let Some(metadata) = &self.metadata {
            vault.metadata = metadata.clone().into_string();
        }
    }
}

impl App {
    /// Makes a vault, with a key of its own. What was asked for before is given as it was then.
    ///
    /// # Errors
    /// `Forbidden`, `NotUnique`, `LimitReached`; `Invalid` if something else was asked for under the same key.
    pub async fn vault_create(
        &self,
        caller: &Caller,
        draft: VaultDraft,
        to: Option<&Repeatable>,
    ) -> Result<Made<Vault>> {
        caller.must_write()?;
        caller.must_manage_vault(draft.name.as_str())?;
        self.retry_stale(caller, draft.name.as_str(), || async {
            match self.answered(caller, to).await? {
                Some(answer) => Ok(Made::before(answer.into_vault()?)),
                None => Ok(Made::now(self.vault_make(caller, &draft, to).await?)),
            }
        })
        .await
    }

    async fn vault_make(
        &self,
        caller: &Caller,
        draft: &VaultDraft,
        to: Option<&Repeatable>,
    ) -> Result<Vault> {
        let stamp = self.stamp_for(draft.id.map(|id| id.ksuid()))?;
        let mut vault = Vault {
            id: VaultId::new(stamp.ksuid),
            name: draft.name.clone().into_string(),
            description: draft.description.clone().into_string(),
            metadata: draft.metadata.clone().into_string(),
            created_at: stamp.at,
            created_by: caller.principal,
            updated_at: stamp.at,
            last_updated_by: caller.principal,
            revision: 1,
            wrapped_key: strongroom_crypto::WrappedKey::from_bytes(Vec::new()),
            previous_key: None,
            // An id that is brought along may be old; the key is new.
            keyed_at: if draft.id.is_some() { self.stamper.stamp()?.at } else { stamp.at },
            keep: VaultKeep::default(),
        };
        let key = VaultKey::make(&*self.rng)?;
        vault.wrapped_key = self.keyring.keys()?.root.current().wrap_vault_key(
            &key,
            &vault.place(caller.account),
            &*self.rng,
        )?;
        let creation = Creation::new(self.event(caller, &vault, Action::Created)?, to, None);
        self.store.vault_insert(caller.account, vault.clone(), self.limits.vaults, creation).await?;
        Ok(vault)
    }

    /// A vault.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn vault_get(&self, caller: &Caller, id: VaultId) -> Result<Arc<Vault>> {
        let vault = self.vault_seen(caller, id).await?;
        caller.must_read_vault(&vault.name)?;
        Ok(vault)
    }

    /// A vault that the caller gets to know of.
    pub(super) async fn vault_seen(&self, caller: &Caller, id: VaultId) -> Result<Arc<Vault>> {
        let found = self.store.vault_find(caller.account, id).await?;
        let seen = found.filter(|vault| caller.sees_vault(&vault.name));
        seen.ok_or(Error::NotFound(Missing::Resource(Noun::Vault)))
    }

    /// The vault that is named, if the caller gets to know of it.
    pub(super) async fn vault_of(&self, caller: &Caller, named: &VaultRef) -> Result<Arc<Vault>> {
        let found = match named {
            VaultRef::Id(id) | VaultRef::Both(id, _) => self.store.vault_find(caller.account, *id).await?,
            VaultRef::Name(name) => self.store.vault_find_by_name(caller.account, name).await?,
        };
        let seen = found.filter(|vault| caller.sees_vault(&vault.name));
        let vault = seen.ok_or_else(|| vault_missing(named))?;
        match named {
            VaultRef::Both(_, name) if *name != vault.name => Err(Rule::Parameter("vault_name").into()),
            _ => Ok(vault),
        }
    }

    /// A page of vaults.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn vault_list(&self, caller: &Caller, mut query: Query) -> Result<Listing<Vault>> {
        query.scope = caller.scope_to_read();
        self.store.vault_list(caller.account, query).await
    }

    /// Changes a vault. A change that changes nothing leaves no trace.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `NotUnique`; `Changed` when its tag is not what is expected.
    pub async fn vault_change(
        &self,
        caller: &Caller,
        id: VaultId,
        change: VaultChange,
        expected: &Expected,
    ) -> Result<Arc<Vault>> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let old = self.vault_seen(caller, id).await?;
            caller.must_manage_vault(&old.name)?;
            expected.check(|| old.tag())?;
            let mut vault = (*old).clone();
            change.apply_to(&mut vault);
            caller.must_manage_vault(&vault.name)?;
            caller.must_not_gain_vault(&old.name, &vault.name)?;
            if vault == *old {
                return Ok(old);
            }
            vault.touch(self.stamper.stamp()?, caller.principal);
            let event = self.event(caller, Object::vault_after(&old, &vault), Action::Updated)?;
            self.store.vault_update(caller.account, vault.clone(), event).await?;
            Ok(Arc::new(vault))
        })
        .await
    }

    /// Removes an empty vault. Its key is kept, and it can be brought back, for as long as deleted things are kept.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `NotEmpty`; `Changed` when its tag is not what is expected.
    pub async fn vault_remove(&self, caller: &Caller, id: VaultId, expected: &Expected) -> Result<()> {
        caller.must_write()?;
        self.retry_stale(caller, id, || async {
            let vault = self.vault_seen(caller, id).await?;
            caller.must_manage_vault(&vault.name)?;
            expected.check(|| vault.tag())?;
            let event = self.event(caller, &*vault, Action::Deleted)?;
            let (deletion, keep) = self.deletion(caller)?;
            self.store.vault_delete(caller.account, vault, deletion, keep, event).await
        })
        .await
    }
}

/// There is no vault that is called so, or the caller does not see it.
pub(super) fn vault_missing(named: &VaultRef) -> Error {
    Error::NotFound(match named {
        VaultRef::Id(id) | VaultRef::Both(id, _) => Missing::VaultId(id.to_string()),
        VaultRef::Name(name) => Missing::VaultName(name.clone()),
    })
}
