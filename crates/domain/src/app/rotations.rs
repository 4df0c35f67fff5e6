//! The rotation of keys: begun by an admin or by age, and done on the side, a little at a time.

use std::sync::Arc;

use strongroom_crypto::{SealedValue, VaultKey};

use super::App;
use crate::audit::{Action, Actor, Event, Object};
use crate::caller::Caller;
use crate::error::{Denial, Error, Missing, Noun, Result};
use crate::ids::VaultId;
use crate::page::{Listing, Query};
use crate::rotation::{Due, KeyUse, Kind, NewKey, Rotation, Turned, Usage};
use crate::secret;
use crate::vault::{Vault, VaultKeys};

/// Data keys that are wrapped anew in one change.
const STEP: usize = 500;
/// Values that are sealed anew in one change: each may have a megabyte.
const STEP_OF_VALUES: usize = 50;
/// Vaults whose keys are begun with by age, between two looks.
const OVERDUE: usize = 100;

impl App {
    /// A page of vault keys: their ids, how old they are and what refers to them.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn key_list(&self, caller: &Caller, query: Query) -> Result<Listing<KeyUse>> {
        caller.must_be_admin(Denial::Keys)?;
        let page = self.store.vault_list(caller.account, query).await?;
        let ids = page.items.iter().map(|vault| vault.id).collect();
        let usages = self.store.rotation_usage(caller.account, ids).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for (vault, usage) in page.items.into_iter().zip(usages) {
            items.push(self.key_use(Arc::new(vault), usage).await?);
        }
        Ok(Listing { items, more: page.more })
    }

    /// One vault's key.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn key_get(&self, caller: &Caller, id: VaultId) -> Result<KeyUse> {
        caller.must_be_admin(Denial::Keys)?;
        let vault = self.vault_to_rotate(id).await?;
        let usage = self.store.rotation_usage(caller.account, vec![id]).await?;
        self.key_use(vault, usage.first().copied().unwrap_or_default()).await
    }

    async fn key_use(&self, vault: Arc<Vault>, Usage { values, rotation }: Usage) -> Result<KeyUse> {
        let key = self.open_vault_keys(&vault).await?.current().id();
        Ok(KeyUse { vault, key, values, rotation })
    }

    async fn vault_to_rotate(&self, id: VaultId) -> Result<Arc<Vault>> {
        let found = self.store.vault_find(self.account.id, id).await?;
        found.ok_or(Error::NotFound(Missing::Resource(Noun::Vault)))
    }

    /// Begins to rotate keys of a vault.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` while keys of the vault are rotated.
    pub async fn rotation_start(&self, caller: &Caller, id: VaultId, kind: Kind) -> Result<KeyUse> {
        caller.must_be_admin(Denial::Keys)?;
        self.rotation_begin(id, kind, &Actor::from(caller)).await?;
        self.key_get(caller, id).await
    }

    async fn rotation_begin(&self, id: VaultId, kind: Kind, actor: &Actor) -> Result<()> {
        let account = self.account.id;
        self.try_again(|| async {
            let vault = self.vault_to_rotate(id).await?;
            let stamp = self.stamper.stamp()?;
            let rotation = Rotation { vault: id, kind, started_at: stamp.at, done: 0 };
            let (object, key) = match kind {
                Kind::VaultKey => {
                    let (old, new) = (self.open_vault_keys(&vault).await?, VaultKey::make(&*self.rng)?);
                    let wrapped = self.keyring.keys()?.root.current().wrap_vault_key(
                        &new,
                        &vault.place(account),
                        &*self.rng,
                    )?;
                    let key = NewKey { id: new.id(), wrapped, replaces: vault.wrapped_key.clone() };
                    (vault_key(&vault, &new, old.current(), None), Some(key))
                }
                Kind::DataKeys => (data_keys(&vault, None), None),
            };
            let event = Event::new(stamp, account, actor.clone(), object, Action::RotationStarted);
            self.store.rotation_begin(account, rotation, key, event).await
        })
        .await
    }

    /// The rotations that are under way, those that began first coming first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rotations(&self) -> Result<Vec<Rotation>> {
        // Those that another process began come with keys that are not in memory yet.
        self.store.catch_up().await?;
        self.store.rotation_list(self.account.id).await
    }

    /// Goes on with a rotation to its end; says how many values it took in all. None if the vault was destroyed meanwhile,
    /// and its keys with it.
    ///
    /// # Errors
    /// Those of the store; `Internal` for a value that does not open. What is done stays done.
    pub async fn rotation_go_on(&self, rotation: &Rotation) -> Result<Option<u64>> {
        match self.rotation_run(rotation).await {
            Err(Error::Stale) => Ok(None),
            done => done.map(Some),
        }
    }

    async fn rotation_run(&self, rotation: &Rotation) -> Result<u64> {
        let (account, Rotation { vault: id, kind, mut done, .. }) = (self.account.id, *rotation);
        loop {
            let vault = self.vault_deleted_or_not(id).await?;
            let keys = self.open_vault_keys(&vault).await?;
            done += self.rotation_walk(&vault, kind, &keys).await?;
            let object = match (kind, keys.previous()) {
                (Kind::VaultKey, Some(old)) => vault_key(&vault, keys.current(), old, Some(done)),
                (Kind::VaultKey, None) => return Err(Error::Stale),
                (Kind::DataKeys, _) => data_keys(&vault, Some(done)),
            };
            let actor = Actor::server(self.operator().await?.principal);
            let event = Event::new(self.stamper.stamp()?, account, actor, object, Action::Rotated);
            match self.store.rotation_end(account, id, kind, event).await {
                // A secret was deleted or brought back while it was walked by.
                Err(Error::NotEmpty) => {}
                ended => return ended.map(|()| done),
            }
        }
    }

    /// One walk through the values of a vault that are still to be done; says how many it did.
    async fn rotation_walk(&self, vault: &Vault, kind: Kind, keys: &VaultKeys) -> Result<u64> {
        let account = self.account.id;
        let limit = if kind == Kind::VaultKey { STEP } else { STEP_OF_VALUES };
        let (mut after, mut done) = (None, 0);
        loop {
            let due = self.store.rotation_due(account, vault.id, kind, after, limit).await?;
            let Some(last) = due.last() else { return Ok(done) };
            after = Some((last.secret, last.number));
            let mut turned = Vec::with_capacity(due.len());
            for due in due {
                match self.turn(vault, kind, keys, &due) {
                    Ok(value) => turned.push(value),
                    // It may have moved, or been replaced, since it was read; if not, it was altered.
                    Err(error) => self.rotation_unless_changed(vault, kind, &due, error).await?,
                }
            }
            done += self.store.rotation_step(account, vault.id, kind, turned).await?;
        }
    }

    /// Gives the error back if a value is still what could not be turned.
    async fn rotation_unless_changed(
        &self,
        vault: &Vault,
        kind: Kind,
        due: &Due,
        error: Error,
    ) -> Result<()> {
        let before = due.number.checked_sub(1).map(|number| (due.secret, number));
        let now = self.store.rotation_due(self.account.id, vault.id, kind, before, 1).await?;
        if now.first() == Some(due) { Err(error) } else { Ok(()) }
    }

    /// A value, under the vault's new key or under a fresh data key.
    fn turn(&self, vault: &Vault, kind: Kind, keys: &VaultKeys, due: &Due) -> Result<Turned> {
        let place = secret::place(self.account.id, vault.id, due.secret, due.number);
        let Due { secret, number, sealed } = due;
        let was = sealed.wrapped_key.clone();
        let sealed = match kind {
            Kind::VaultKey => {
                let old = keys.previous().ok_or(Error::Stale)?;
                let wrapped_key = old.rewrap(&was, &place, keys.current(), &*self.rng)?;
                SealedValue { wrapped_key, ciphertext: Vec::new() }
            }
            // Opened to be sealed anew, and dropped.
            Kind::DataKeys => keys.current().seal(&keys.open(sealed, &place)?, &place, &*self.rng)?,
        };
        Ok(Turned { secret: *secret, number: *number, was, sealed })
    }

    /// A vault, also one that is deleted and can be brought back. `Stale` if it is gone.
    async fn vault_deleted_or_not(&self, id: VaultId) -> Result<Vault> {
        if let Some(vault) = self.store.vault_find(self.account.id, id).await? {
            return Ok(Vault::clone(&vault));
        }
        let deleted = self.store.deleted_vault_find(self.account.id, id).await?;
        deleted.map(|deleted| deleted.was).ok_or(Error::Stale)
    }

    /// Begins to rotate the vault keys that are older than they are set to get; says how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn vault_keys_sweep(&self) -> Result<usize> {
        let Some(age) = self.limits.vault_keys else { return Ok(0) };
        let (mut begun, actor) = (0, Actor::server(self.operator().await?.principal));
        loop {
            let by = age.before(self.clock.now());
            let overdue = self.store.rotation_overdue(self.account.id, by, OVERDUE).await?;
            if overdue.is_empty() {
                return Ok(begun);
            }
            for id in overdue {
                match self.rotation_begin(id, Kind::VaultKey, &actor).await {
                    Ok(()) => begun += 1,
                    // Somebody else began, or deleted the vault.
                    Err(Error::Conflict(_) | Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

fn vault_key(vault: &Vault, key: &VaultKey, previous: &VaultKey, values: Option<u64>) -> Object {
    let (key, previous) = (key.id().to_string(), previous.id().to_string());
    Object::VaultKey { id: vault.id, name: vault.name.clone(), key, previous, values }
}

fn data_keys(vault: &Vault, values: Option<u64>) -> Object {
    Object::DataKeys { id: vault.id, name: vault.name.clone(), values }
}
