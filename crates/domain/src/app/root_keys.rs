//! The root key in memory; while it is rotated, and a moment longer, both of them.

use std::sync::{Arc, PoisonError, RwLock};

use strongroom_crypto::{KeyId, RootKey, WrappedKey};
use tokio::sync::watch;

/// The root key, first, and those beside it.
pub(super) struct RootKeys {
    keys: RwLock<Vec<Arc<RootKey>>>,
    added: watch::Sender<()>,
}

impl RootKeys {
    pub(super) fn new(key: RootKey) -> Self {
        Self { keys: RwLock::new(vec![Arc::new(key)]), added: watch::Sender::default() }
    }

    /// The one that wraps what is new.
    pub(super) fn current(&self) -> Arc<RootKey> {
        self.find(|_| true)
    }

    /// The one that wrapped something; the current one where that is none of these, which then refuses it.
    pub(super) fn of(&self, wrapped: &WrappedKey) -> Arc<RootKey> {
        self.find(|key| Some(key.id()) == wrapped.wrapped_by())
    }

    /// Whether the key that wrapped something is one of these.
    pub(super) fn knows(&self, wrapped: &WrappedKey) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().any(|key| Some(key.id()) == wrapped.wrapped_by())
    }

    /// Tells of keys that are added.
    pub(super) fn added(&self) -> watch::Receiver<()> {
        self.added.subscribe()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "there is always one: none is removed but those after the first"
    )]
    fn find(&self, is: impl Fn(&RootKey) -> bool) -> Arc<RootKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| is(key)).unwrap_or(&keys[0]).clone()
    }

    /// Has a key open beside the current one what it wrapped.
    pub(super) fn add(&self, key: Arc<RootKey>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.iter().all(|known| known.id() != key.id()) {
            keys.push(key);
        }
        drop(keys);
        self.added.send_replace(());
    }

    /// Makes one of them the current one; says whether it is one of them.
    pub(super) fn promote(&self, id: KeyId) -> bool {
        let is_current = |keys: &[Arc<RootKey>]| keys.first().is_some_and(|key| key.id() == id);
        if is_current(&self.keys.read().unwrap_or_else(PoisonError::into_inner)) {
            return true;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        // False sorts first, and the order is kept otherwise.
        keys.sort_by_key(|key| key.id() != id);
        is_current(&keys)
    }

    /// Forgets one that is not the current one.
    pub(super) fn forget(&self, id: KeyId) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut first = true;
        keys.retain(|key| std::mem::take(&mut first) || key.id() != id);
    }
}
