//! The keys in memory: there, or all of them gone.

use std::sync::{Arc, PoisonError, RwLock};

use strongroom_crypto::{LogKey, TokenKey};
use tokio::sync::watch;

use super::root_keys::RootKeys;
use crate::error::{Error, Result};

/// The keys that the house works with while it is not sealed.
pub(super) struct Keys {
    pub(super) root: RootKeys,
    pub(super) token: TokenKey,
    pub(super) log: LogKey,
}

/// What is known to everybody of whether there are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sealed,
    /// There are keys, and nobody is let in yet: what must hold first is looked at.
    Opened,
    Serving,
}

/// The place of the keys. Who works with them holds them until its request is done; nothing begins with them once they are
/// forgotten.
pub(super) struct Keyring {
    keys: RwLock<Option<Arc<Keys>>>,
    state: watch::Sender<State>,
}

impl Keyring {
    /// One without keys.
    pub(super) fn sealed() -> Self {
        Self { keys: RwLock::default(), state: watch::Sender::new(State::Sealed) }
    }

    /// The keys, for a request or a task that was let in.
    ///
    /// # Errors
    /// `Sealed`.
    pub(super) fn keys(&self) -> Result<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Sealed)
    }

    /// The keys, for who asks to be let in.
    ///
    /// # Errors
    /// `Sealed`, also while nobody is let in yet.
    pub(super) fn keys_for_callers(&self) -> Result<Arc<Keys>> {
        if self.is_serving() { self.keys() } else { Err(Error::Sealed) }
    }

    /// Takes keys in. Nobody is let in by that.
    pub(super) fn open(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        self.state.send_replace(State::Opened);
    }

    /// Lets callers in, if there are keys.
    pub(super) fn serve(&self) {
        self.state.send_if_modified(|state| {
            let opened = *state == State::Opened;
            if opened {
                *state = State::Serving;
            }
            opened
        });
    }

    /// Forgets all keys.
    pub(super) fn seal(&self) {
        self.state.send_replace(State::Sealed);
        let keys = self.keys.write().unwrap_or_else(PoisonError::into_inner).take();
        // Wiped here, or by the last request that still works with them.
        drop(keys);
    }

    pub(super) fn is_serving(&self) -> bool {
        *self.state.borrow() == State::Serving
    }

    /// Waits until callers are let in.
    pub(super) async fn serving(&self) {
        // The sender is a part of this, so it cannot be gone.
        let _ = self.state.subscribe().wait_for(|state| *state == State::Serving).await;
    }

    /// Waits until it is sealed.
    pub(super) async fn sealing(&self) {
        let _ = self.state.subscribe().wait_for(|state| *state == State::Sealed).await;
    }
}
