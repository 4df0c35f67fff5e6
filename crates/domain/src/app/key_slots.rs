//! Key slots, and what is opened by them: the house gets its keys, and forgets them.

use std::sync::Arc;

use strongroom_crypto::{CryptoError, Rng, RootKey, SlotKey};

use super::install::file_slot;
use super::keyring::Keys;
use super::root_keys::RootKeys;
use super::{App, OpenError, log_key};
use crate::audit::{Action, Actor, Client, Event, Object};
use crate::caller::Caller;
use crate::error::{Denial, Error, Missing, Noun, Result};
use crate::ids::KeySlotId;
use crate::key_slot::{KeySlot, KeySlotDraft};
use crate::principal::Account;
use crate::store::Store;

/// A slot that does not open, though its key is the right one, or that the root key knows nothing of: it was altered.
#[derive(Debug, thiserror::Error)]
#[error("the key slot '{0}' was altered, or is another one's: the root key is not sealed to it")]
pub struct SlotAltered(pub String);

impl App {
    /// The ways to the root key, the oldest first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn key_slot_list(&self, caller: &Caller) -> Result<Vec<KeySlot>> {
        caller.must_be_admin(Denial::Keys)?;
        self.store.key_slot_list(caller.account).await
    }

    /// One of them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn key_slot_get(&self, caller: &Caller, id: KeySlotId) -> Result<KeySlot> {
        let slots = self.key_slot_list(caller).await?;
        let found = slots.into_iter().find(|slot| slot.id == id);
        found.ok_or(Error::NotFound(Missing::Resource(Noun::KeySlot)))
    }

    /// The id of a slot that is to be made: what seals its key is bound to it.
    ///
    /// # Errors
    /// `Internal` when there is no randomness.
    pub fn key_slot_id(&self) -> Result<KeySlotId> {
        Ok(KeySlotId::new(self.stamper.stamp()?.ksuid))
    }

    /// A new slot key, for a service that is to keep it.
    ///
    /// # Errors
    /// `Internal` when there is no randomness.
    pub fn make_slot_key(&self) -> Result<SlotKey> {
        Ok(SlotKey::make(&*self.rng)?)
    }

    /// Adds a way to the root key.
    ///
    /// # Errors
    /// `Forbidden`, `NotUnique`, `LimitReached`; `Invalid` if the id is taken.
    pub async fn key_slot_create(&self, caller: &Caller, draft: KeySlotDraft) -> Result<KeySlot> {
        caller.must_be_admin(Denial::Keys)?;
        let KeySlotDraft { id, name, kind, opener, enrolment } = draft;
        let (name, place) = (name.into_string(), crate::key_slot::place(caller.account, id, kind));
        self.retry_stale(caller, id, || async {
            let keys = self.keyring.keys()?;
            let slot = KeySlot {
                id,
                name: name.clone(),
                kind,
                opener: opener.clone(),
                sealed: keys.root.current().seal_to(&enrolment, &place, &*self.rng)?,
                created_at: id.ksuid().at(),
                created_by: caller.principal,
            };
            let event = self.event(caller, &slot, Action::Created)?;
            self.store.key_slot_insert(caller.account, slot.clone(), event).await?;
            Ok(slot)
        })
        .await
    }

    /// Removes a way to the root key. It still opens the root key as it is in copies of the store that were made before; a
    /// rotation of the root key ends that for all that comes.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` if it is the last one.
    pub async fn key_slot_delete(&self, caller: &Caller, id: KeySlotId) -> Result<()> {
        let slot = self.key_slot_get(caller, id).await?;
        let event = self.event(caller, &slot, Action::Deleted)?;
        match self.store.key_slot_delete(caller.account, id, event).await {
            Err(Error::Stale) => Err(Error::NotFound(Missing::Resource(Noun::KeySlot))),
            done => done,
        }
    }

    /// Has the root key, which a file held itself before there were slots, opened by the key in that file.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn key_file_adopt(&self, key: &SlotKey) -> Result<()> {
        let caller = self.operator().await?;
        let by = (caller.account, caller.principal);
        let keys = self.keyring.keys()?;
        let slot = file_slot(by, &keys.root.current(), key, &self.stamper, &*self.rng)?;
        let event = self.event(&caller, &slot, Action::Created)?;
        self.store.key_slot_insert(caller.account, slot, event).await
    }

    /// Whether a slot opens the root key that is in use. Nothing is changed.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn key_slot_opens(&self, caller: &Caller, slot: &KeySlot, key: &SlotKey) -> Result<bool> {
        caller.must_be_admin(Denial::Keys)?;
        let root = self.stored_root_key().await?;
        Ok(slot.open(caller.account, key, root).is_ok())
    }

    /// The slots, for who unseals the house and has shown nothing yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn slots(&self) -> Result<Vec<KeySlot>> {
        self.store.key_slot_list(self.account.id).await
    }

    /// Whether the house has no keys, or lets nobody in yet.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        !self.keyring.is_serving()
    }

    /// Waits until the house lets callers in.
    pub async fn unsealed(&self) {
        self.keyring.serving().await;
    }

    /// Waits until the house has no keys.
    pub async fn sealed(&self) {
        self.keyring.sealing().await;
    }

    /// Opens the root key by a slot and its key.
    ///
    /// # Errors
    /// `Internal` if it does not open.
    pub async fn open_slot(&self, slot: &KeySlot, key: &SlotKey) -> Result<RootKey> {
        slot.open(self.account.id, key, self.stored_root_key().await?)
    }

    /// Gives the house its keys. It lets nobody in until [`App::serve`] is called.
    ///
    /// # Errors
    /// [`OpenError`]; it stays sealed then.
    pub async fn unseal_house(&self, root_key: RootKey) -> Result<(), OpenError> {
        self.keyring.open(opened(&*self.store, root_key, &*self.rng).await?);
        Ok(())
    }

    /// Lets callers in, once the house has its keys.
    pub fn serve(&self) {
        self.keyring.serve();
    }

    /// Forgets every key without a trace in the log, as what must hold does not.
    pub fn seal_unserved(&self) {
        self.keyring.seal();
    }

    /// Forgets every key, and tells so in the log. Requests that are under way end with the keys they have.
    ///
    /// # Errors
    /// `Forbidden`; those of the store: then it is sealed all the same, and the log does not tell of it.
    pub async fn seal_house(&self, caller: &Caller) -> Result<()> {
        caller.must_be_admin(Denial::Keys)?;
        let event = self.event(caller, Object::Server { slot: None }, Action::Sealed)?;
        let told = self.store.event_append(caller.account, event).await;
        // Whoever seals has a reason that does not wait for a full disk.
        self.keyring.seal();
        told
    }

    /// Tells in the log that the house was unsealed by a slot, and from where, unless the server did it by itself.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unsealed_by(&self, slot: &KeySlot, from: Option<&Client>) -> Result<()> {
        let actor = Actor::server(self.operator().await?.principal);
        let object = Object::Server { slot: Some(slot.id) };
        let mut event = Event::new(self.stamper.stamp()?, self.account.id, actor, object, Action::Unsealed);
        event.client = from.cloned();
        self.store.event_append(self.account.id, event).await
    }
}

/// The keys that a root key opens in a store.
pub(super) async fn opened(store: &dyn Store, root_key: RootKey, rng: &dyn Rng) -> Result<Keys, OpenError> {
    let account = store.account_find().await?.ok_or(OpenError::NotInstalled)?;
    if account.root_key != root_key.id() {
        return Err(OpenError::WrongRootKey { expected: account.root_key, found: root_key.id() });
    }
    let place = account.id.ksuid();
    let token = root_key.open_token_key(&account.wrapped_token_key, place.as_bytes()).map_err(Error::from)?;
    let log = log_key(store, &account, &root_key, rng).await?;
    Ok(Keys { root: RootKeys::new(root_key), token, log })
}

/// Seals another root key to the slots of the one before.
pub(super) fn reseal(
    account: &Account,
    (old, next): (Arc<RootKey>, Arc<RootKey>),
    rng: Arc<dyn Rng>,
) -> crate::rotation::Reseal {
    let account = account.id;
    Arc::new(move |slot| {
        let place = slot.place(account);
        let altered = |_: CryptoError| Error::Internal(Box::new(SlotAltered(slot.name.clone())));
        let enrolment = old.enrolment_of(&slot.sealed, &place).map_err(altered)?;
        Ok(next.seal_to(&enrolment, &place, &*rng)?)
    })
}
