//! The rotation of the root key for a request, and what is done after it.

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::app::RootRotated;
use strongroom_domain::caller::Caller;
use strongroom_domain::error::Conflict;
use strongroom_domain::{Error, MemoryLock, Result};
use tokio::sync::Mutex;

use crate::Shared;

/// How long the key before stays in memory, for those who still have something at hand that it wrapped.
const GRACE: Duration = Duration::from_secs(10);

/// What rotates the root key, one after the other.
#[derive(Default)]
pub(crate) struct RootRotator(Mutex<()>);

/// Rotates the root key. It goes on to its end when nobody waits for it any more.
pub(crate) async fn rotate(shared: &Arc<Shared>, caller: &Caller) -> Result<RootRotated> {
    let (shared, caller) = (shared.clone(), caller.clone());
    let rotated = tokio::spawn(async move { rotate_to_the_end(&shared, &caller).await });
    rotated.await.map_err(|error| Error::Internal(Box::new(error)))?
}

async fn rotate_to_the_end(shared: &Arc<Shared>, caller: &Caller) -> Result<RootRotated> {
    let _one = shared.root_rotator.0.try_lock().map_err(|_| Error::Conflict(Conflict::RotatingRoot))?;
    let rotated = shared.app.root_key_rotate(caller).await?;
    let RootRotated { key, previous, wrapped, memory } = rotated;
    tell(memory);
    let later = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(GRACE).await;
        later.app.root_key_forget(previous);
    });
    tracing::info!(%key, %previous, wrapped, "the root key was rotated, and is sealed to every slot");
    Ok(rotated)
}

/// Says loudly if the system does not keep the root key out of the swap.
pub fn tell(memory: MemoryLock) {
    if memory == MemoryLock::Refused {
        tracing::warn!(
            "THE ROOT KEY MAY BE SWAPPED TO DISK: the system refuses to lock memory; raise `ulimit -l` (LimitMEMLOCK)"
        );
    }
}
