//! The rotation of the root key: all that it wraps is wrapped by another one, and that is sealed to the slots, in one commit. No
//! root key is anywhere else than in memory and, sealed, in the store.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::context::{TokenPlace, VaultPlace};
use strongroom_crypto::{KeyId, MemoryLock, Rng, RootKey, WrappedKey};

use super::App;
use super::key_slots::reseal;
use crate::audit::{Action, Object};
use crate::caller::Caller;
use crate::error::{Conflict, Denial, Error, Result};
use crate::ids::AccountId;
use crate::rotation::{NewRootKey, UnderRoot};
use crate::webhook;

/// A root key that came in the place of another one.
#[derive(Debug, Clone, Copy)]
pub struct RootRotated {
    /// What it is called.
    pub key: KeyId,
    /// What the one before is called, which is in memory until [`App::root_key_forget`].
    pub previous: KeyId,
    /// Keys that were wrapped anew.
    pub wrapped: u64,
    /// Whether it is kept out of swap.
    pub memory: MemoryLock,
}

impl App {
    /// The root key's id and age.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn root_key(&self, caller: &Caller) -> Result<(KeyId, Timestamp)> {
        caller.must_be_admin(Denial::Keys)?;
        Ok((self.stored_root_key().await?, self.store.root_keyed_at(caller.account).await?))
    }

    /// Puts another root key in the place of the one before. Whatever happened, [`App::root_key`] tells which one the store is
    /// under.
    ///
    /// # Errors
    /// `Forbidden`, `Sealed`; `Conflict` if another process rotates it; `Internal` if something does not open, a slot included: then nothing was changed.
    pub async fn root_key_rotate(&self, caller: &Caller) -> Result<RootRotated> {
        caller.must_be_admin(Denial::Keys)?;
        let keys = self.keyring.keys()?;
        // A try before may have been done after its answer was due, or another process may have rotated it.
        self.root_key_follow().await?;
        let (old, next) = (keys.root.current(), Arc::new(RootKey::make(&*self.rng)?));
        let memory = next.lock_memory();
        // From the commit on, there is something that the next key alone opens.
        keys.root.add(next.clone());
        let stamp = self.stamper.stamp()?;
        let object = Object::RootKey { key: next.id().to_string(), previous: old.id().to_string() };
        let (at, event) = (stamp.at, self.event(caller, object, Action::Rotated)?);
        let (account, rng) = (self.account.id, self.rng.clone());
        let new = NewRootKey {
            id: next.id(),
            replaces: old.id(),
            made_at: at,
            rewrap: {
                let (old, next) = (old.clone(), next.clone());
                Arc::new(move |what, wrapped| rewrap(account, (&old, &next), what, wrapped, &*rng))
            },
            reseal: reseal(&self.account, (old.clone(), next.clone()), self.rng.clone()),
        };
        let replaced = self.store.root_key_replace(account, new, event).await;
        // Where the answer came too late, the store tells whether it was done.
        if self.stored_root_key().await? == next.id() {
            keys.root.promote(next.id());
        }
        let wrapped = replaced.map_err(|error| match error {
            // Another process came first.
            Error::Stale => Error::Conflict(Conflict::RotatingRoot),
            error => error,
        })?;
        Ok(RootRotated { key: next.id(), previous: old.id(), wrapped, memory })
    }

    /// Forgets a root key that was rotated: who still had something at hand that it wrapped is done with that.
    pub fn root_key_forget(&self, id: KeyId) {
        // Sealed, it is forgotten already.
        if let Ok(keys) = self.keyring.keys() {
            keys.root.forget(id);
        }
    }
}

fn rewrap(
    account: AccountId,
    (old, next): (&RootKey, &RootKey),
    what: &UnderRoot,
    wrapped: &WrappedKey,
    rng: &dyn Rng,
) -> Result<WrappedKey> {
    let place = *account.ksuid().as_bytes();
    Ok(match what {
        UnderRoot::TokenKey => next.wrap_token_key(&old.open_token_key(wrapped, &place)?, &place, rng)?,
        UnderRoot::LogKey => next.wrap_log_key(&old.open_log_key(wrapped, &place)?, &place, rng)?,
        UnderRoot::VaultKey(vault) => {
            let place = VaultPlace { account: place, vault: *vault.ksuid().as_bytes() };
            next.wrap_vault_key(&old.open_vault_key(wrapped, &place)?, &place, rng)?
        }
        UnderRoot::SigningSecret(id) => {
            let (account, webhook) = webhook::place(&account, id);
            let secret = old.open_signing_secret(wrapped, &account, &webhook)?;
            next.wrap_signing_secret(&secret, &account, &webhook, rng)?
        }
        UnderRoot::KeptToken(request) => {
            old.rewrap_token(wrapped, &TokenPlace { account: place, request: *request }, next, rng)?
        }
    })
}
