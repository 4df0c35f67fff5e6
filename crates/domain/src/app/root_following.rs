//! The root key that another process put in the place of the one in memory: it is missed here by whoever needs it, opened by the
//! server through a key slot, and taken in.

use std::sync::Arc;
use std::time::Duration;

use strongroom_crypto::{KeyId, RootKey, WrappedKey};
use tokio::time::timeout;

use super::App;
use crate::error::{Error, Result};
use crate::principal::Account;

/// How long something waits for a root key that another process made. A service that keeps the key of a slot may be slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// The root key was rotated by another process, and is not opened here yet.
#[derive(Debug, thiserror::Error)]
#[error("the root key was rotated by another server, and this one has not opened the new one yet")]
struct NotOpened;

impl App {
    /// The root key that wrapped something. One that another process made is waited for.
    ///
    /// # Errors
    /// `Sealed`; `Unavailable` if it is not opened in time.
    pub(super) async fn root_of(&self, wrapped: &WrappedKey) -> Result<Arc<RootKey>> {
        let keys = self.keyring.keys()?;
        if !keys.root.knows(wrapped) {
            self.root_key_follow().await?;
        }
        Ok(keys.root.of(wrapped))
    }

    /// Sees to it that the root key which wraps what is new is the one that the store is under.
    ///
    /// # Errors
    /// `Sealed`; `Unavailable` if it is not opened in time.
    pub(super) async fn root_key_follow(&self) -> Result<()> {
        let keys = self.keyring.keys()?;
        if keys.root.promote(self.stored_root_key().await?) {
            return Ok(());
        }
        let opened = async {
            let mut added = keys.root.added();
            // It may have been added since it was missed, and the store may be under yet another one by now.
            while !keys.root.promote(self.stored_root_key().await?) {
                self.root_key_missed.notify_one();
                tokio::select! {
                    () = self.sealed() => return Err(Error::Sealed),
                    // The sender is in the keys, which are held here.
                    _ = added.changed() => {}
                }
            }
            Ok(())
        };
        timeout(PATIENCE, opened).await.unwrap_or_else(|_| Err(Error::Unavailable(Box::new(NotOpened))))
    }

    /// Waits until somebody misses the root key that the store is under.
    pub async fn root_key_missed(&self) {
        self.root_key_missed.notified().await;
    }

    /// Whether the root key that the store is under is in memory.
    ///
    /// # Errors
    /// `Sealed`; those of the store.
    pub async fn root_key_is_known(&self) -> Result<bool> {
        let keys = self.keyring.keys()?;
        Ok(keys.root.promote(self.stored_root_key().await?))
    }

    /// Takes in the root key that another process put in the place of the one in memory; says what that is called, which stays
    /// until [`App::root_key_forget`].
    ///
    /// # Errors
    /// `Sealed`.
    pub fn root_key_take(&self, key: RootKey) -> Result<KeyId> {
        let keys = self.keyring.keys()?;
        let (id, previous) = (key.id(), keys.root.current().id());
        keys.root.add(Arc::new(key));
        keys.root.promote(id);
        Ok(previous)
    }

    /// The account as the store has it by now. Of the one that was there at the start, the root key may be another by now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn stored_account(&self) -> Result<Account> {
        // It was there when the house was opened, and is never removed.
        self.store.account_find().await?.ok_or(Error::Stale)
    }

    /// The root key that the store is under.
    pub(super) async fn stored_root_key(&self) -> Result<KeyId> {
        Ok(self.stored_account().await?.root_key)
    }
}
