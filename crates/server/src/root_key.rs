//! The rotation of the root key, step by step: the next key is on disk before anything is wrapped by it, and the one before goes
//! once nothing is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use strongroom_domain::caller::Caller;
use strongroom_domain::error::Conflict;
use strongroom_domain::{Error, KeyId, Result, RootKey};
use tokio::sync::Mutex;

use crate::Shared;

/// How long the key before stays in memory, for those who still have something at hand that it wrapped.
const GRACE: Duration = Duration::from_secs(10);

/// Where the root key is kept. A start finds the key that the store is under, whatever was done here up to then.
pub trait RootKeyPlace: Send + Sync {
    /// The key that is to come in the place of that one: the one that is there from a try before, or a new one. It is on disk
    /// when this returns; with `keep`, so is a copy of the present one under a name of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    fn next(&self, present: KeyId, keep: bool) -> std::io::Result<RootKey>;

    /// Puts the next key, which is the present one by now, in the place of the one before, which is destroyed there.
    ///
    /// # Errors
    /// When it cannot be done: a start does it then.
    fn settle(&self, present: KeyId) -> std::io::Result<()>;

    /// The name that a key is kept under, if it is.
    fn kept(&self, old: KeyId) -> Option<String>;
}

/// What rotates the root key, one after the other.
#[derive(Default)]
pub(crate) struct RootRotator {
    place: OnceLock<Arc<dyn RootKeyPlace>>,
    one_at_a_time: Mutex<()>,
}

impl RootRotator {
    /// Says where the root key is kept; the first to say so counts.
    pub(crate) fn kept_at(&self, place: Arc<dyn RootKeyPlace>) {
        let _ = self.place.set(place);
    }
}

/// What became of it.
pub(crate) struct Rotated {
    pub(crate) key: KeyId,
    pub(crate) previous: KeyId,
    /// Keys that were wrapped anew.
    pub(crate) wrapped: u64,
    /// The name of the file that the key before is kept in.
    pub(crate) kept: Option<String>,
    /// Whether the key is in its file already; otherwise the next start puts it there.
    pub(crate) settled: bool,
}

/// Rotates the root key. It goes on to its end when nobody waits for it any more.
pub(crate) async fn rotate(shared: &Arc<Shared>, caller: &Caller, keep_old: bool) -> Result<Rotated> {
    let (shared, caller) = (shared.clone(), caller.clone());
    let rotated = tokio::spawn(async move { rotate_to_the_end(&shared, &caller, keep_old).await });
    rotated.await.map_err(|error| Error::Internal(Box::new(error)))?
}

async fn rotate_to_the_end(shared: &Arc<Shared>, caller: &Caller, keep_old: bool) -> Result<Rotated> {
    let _one =
        shared.root_rotator.one_at_a_time.try_lock().map_err(|_| Error::Conflict(Conflict::RotatingRoot))?;
    let (present, _) = shared.app.root_key(caller).await?;
    let place = shared.root_rotator.place.get().ok_or(Error::Conflict(Conflict::RootKeyFile))?.clone();
    let at = place.clone();
    let next = blocking(move || at.next(present, keep_old)).await?.map_err(|error| {
        tracing::warn!(%error, "a new root key cannot be written beside the one in use; nothing was changed");
        Error::Conflict(Conflict::RootKeyFile)
    })?;
    let key = next.id();
    let rotated = shared.app.root_key_rotate(caller, next).await;
    // Done or not, whatever the answer: the store tells.
    let in_use = shared.app.root_key(caller).await?.0 == key;
    let (at, mut settled) = (place.clone(), false);
    if in_use {
        let done = blocking(move || at.settle(key)).await?;
        settled = done.is_ok();
        if let Err(error) = done {
            tracing::error!(%error, "THE OLD ROOT KEY'S FILE COULD NOT BE REPLACED: the next start does it");
        }
    }
    let (previous, wrapped) = rotated?;
    let kept = blocking(move || place.kept(previous)).await?;
    let later = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(GRACE).await;
        later.app.root_key_forget(previous);
    });
    tracing::info!(%key, %previous, wrapped, "the root key was rotated: backups made before need the one before");
    Ok(Rotated { key, previous, wrapped, kept, settled })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(Box::new(error)))
}
