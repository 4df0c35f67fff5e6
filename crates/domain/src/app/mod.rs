//! The use cases.
//!
//! Each takes the [`Caller`], which only [`App::authenticate`], [`App::refreshed`] and [`App::operator`] make: no caller, no
//! access.

mod answers;
mod api_keys;
pub mod audit;
mod changes;
mod deleted;
mod deliveries;
mod details;
mod expiry;
mod explain;
mod install;
mod ip_policies;
mod ip_restrictions;
pub mod key_slots;
mod keyring;
pub mod keys;
mod leases;
mod root_following;
mod root_keys;
mod root_rotation;
mod rotations;
mod secrets;
mod service_users;
mod session;
mod turns;
mod values;
mod vaults;
mod versions;
mod webhooks;

use std::sync::{Arc, OnceLock};

use strongroom_crypto::{KeyId, LogKey, Rng, RootKey};
use tokio::sync::Notify;

use crate::audit::{Action, Actor, Event, Object};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::ids::Ksuid;
use crate::limits::Limits;
use crate::principal::Account;
use crate::stamp::{Stamp, Stamper};
use crate::store::{Counts, NodeId, Store};

use keyring::Keyring;
use turns::Turns;

pub use api_keys::{ApiKeyChange, ApiKeyDraft, Owner};
pub use explain::Explanation;
pub use install::Installed;
pub use ip_policies::{IpPolicyChange, IpPolicyDraft, IpPolicyRuleChange, IpPolicyRuleDraft, LockOut};
pub use ip_restrictions::{IpPolicyIds, IpRestrictionChange, IpRestrictionDraft};
pub use root_rotation::RootRotated;
pub use secrets::{SecretChange, SecretDraft};
pub use service_users::{ServiceUserChange, ServiceUserDraft};
pub use values::{Resolution, Value, ValueRef};
pub use vaults::{VaultChange, VaultDraft, VaultRef};
pub use versions::KeepChange;
pub use webhooks::{WebhookChange, WebhookDraft};

/// The house: its store, its keys, and what is given to it.
pub struct App {
    store: Arc<dyn Store>,
    rng: Arc<dyn Rng>,
    clock: Arc<dyn Clock>,
    stamper: Stamper,
    keyring: Keyring,
    account: Account,
    limits: Limits,
    turns: Turns,
    /// This process, among those that share the store.
    node: OnceLock<NodeId>,
    /// Told when somebody misses the root key that the store is under.
    root_key_missed: Notify,
}

/// Why a house does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store has no account: nothing was installed in it.
    #[error("the store is empty")]
    NotInstalled,
    /// The store was sealed under another root key.
    #[error("this is not the store's root key: expected key {expected}, found key {found}")]
    WrongRootKey {
        /// The key that the store was sealed under.
        expected: KeyId,
        /// The key that was given.
        found: KeyId,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

impl App {
    /// Opens the house over a store that has an account, and lets callers in. The first time, it gets the key that signs the
    /// log's checkpoints.
    ///
    /// # Errors
    /// [`OpenError`]; the store is not touched then.
    pub async fn open(
        store: Arc<dyn Store>,
        root_key: RootKey,
        limits: Limits,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, OpenError> {
        let app = Self::closed(store, limits, clock, rng).await?;
        app.unseal_house(root_key).await?;
        app.serve();
        Ok(app)
    }

    /// The house over a store that has an account, sealed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn closed(
        store: Arc<dyn Store>,
        limits: Limits,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, OpenError> {
        let account = store.account_find().await?.ok_or(OpenError::NotInstalled)?;
        let stamper = Stamper::new(clock.clone(), rng.clone());
        let (keyring, turns, root_key_missed) = (Keyring::sealed(), Turns::default(), Notify::new());
        Ok(Self {
            store,
            rng,
            clock,
            stamper,
            keyring,
            account,
            limits,
            turns,
            node: OnceLock::new(),
            root_key_missed,
        })
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The clock that was given.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Whether the store can be asked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot: then the house is not ready.
    pub async fn ready(&self) -> Result<()> {
        self.store.ready().await
    }

    /// How much the store holds.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot tell.
    pub async fn counts(&self) -> Result<Counts> {
        self.store.counts().await
    }

    /// A stamp for something new: that of the id it brings along, or the next one.
    fn stamp_for(&self, brought: Option<Ksuid>) -> Result<Stamp> {
        match brought {
            Some(ksuid) => Ok(Stamp { ksuid, at: ksuid.at() }),
            None => Ok(self.stamper.stamp()?),
        }
    }

    fn event(&self, caller: &Caller, object: impl Into<Object>, action: Action) -> Result<Event> {
        Ok(Event::new(self.stamper.stamp()?, caller.account, Actor::from(caller), object, action))
    }
}

/// The key that signs the log's checkpoints. A store has none until it is first opened by a version that knows of it.
async fn log_key(store: &dyn Store, account: &Account, root_key: &RootKey, rng: &dyn Rng) -> Result<LogKey> {
    let place = account.id.ksuid();
    let stored = async || match store.log_key_find(account.id).await? {
        Some(wrapped) => Ok::<_, Error>(Some(root_key.open_log_key(&wrapped, place.as_bytes())?)),
        None => Ok(None),
    };
    if let Some(key) = stored().await? {
        return Ok(key);
    }
    let key = LogKey::make(rng)?;
    match store.log_key_insert(account.id, root_key.wrap_log_key(&key, place.as_bytes(), rng)?).await {
        // Another process came first: its key is the log's.
        Err(Error::Stale) => stored().await?.ok_or(Error::Stale),
        kept => kept.map(|()| key),
    }
}
