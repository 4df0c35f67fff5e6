//! The rotation of the root key for a request, and what is done after it, here and in the other processes.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use strongroom_domain::app::RootRotated;
use strongroom_domain::caller::Caller;
use strongroom_domain::error::Conflict;
use strongroom_domain::{Error, KeyId, MemoryLock, Result, RootKey};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::Shared;

/// How long the key before stays in memory, for those who still have something at hand that it wrapped.
const GRACE: Duration = Duration::from_secs(10);

/// How often it is looked whether the root key is still the store's, when nobody misses it.
const LOOK: Duration = Duration::from_secs(5);
/// How often a root key that another process made is tried to be opened, and the rest between.
const TRIES: u32 = 10;
const REST: Duration = Duration::from_secs(1);

type Opening = Pin<Box<dyn Future<Output = Option<RootKey>> + Send>>;
/// Opens the root key that the store is under, by a key slot that needs no person. It tells in the log what does not open.
pub type Opener = Box<dyn Fn(Arc<Shared>) -> Opening + Send + Sync>;

/// What rotates the root key, one after the other.
#[derive(Default)]
pub(crate) struct RootRotator {
    turn: Mutex<()>,
    opener: OnceLock<Opener>,
}

impl RootRotator {
    /// Says what opens a root key that another process made; the first to say so counts.
    pub(crate) fn set_opener(&self, opener: Opener) {
        let _ = self.opener.set(opener);
    }
}

/// Rotates the root key. It goes on to its end when nobody waits for it any more.
pub(crate) async fn rotate(shared: &Arc<Shared>, caller: &Caller) -> Result<RootRotated> {
    let (shared, caller) = (shared.clone(), caller.clone());
    let rotated = tokio::spawn(async move { rotate_to_the_end(&shared, &caller).await });
    rotated.await.map_err(|error| Error::Internal(Box::new(error)))?
}

async fn rotate_to_the_end(shared: &Arc<Shared>, caller: &Caller) -> Result<RootRotated> {
    let _one = shared.root_rotator.turn.try_lock().map_err(|_| Error::Conflict(Conflict::RotatingRoot))?;
    let rotated = shared.app.root_key_rotate(caller).await?;
    let RootRotated { key, previous, wrapped, memory } = rotated;
    tell(memory);
    forget_later(shared, previous);
    tracing::info!(%key, %previous, wrapped, "the root key was rotated, and is sealed to every slot");
    Ok(rotated)
}

fn forget_later(shared: &Arc<Shared>, previous: KeyId) {
    let shared = shared.clone();
    tokio::spawn(async move {
        sleep(GRACE).await;
        shared.app.root_key_forget(previous);
    });
}

/// Follows the rotations of the root key by other processes, until it is dropped. Those who need the new key meanwhile wait for it. A
/// server that cannot open it seals itself.
pub async fn follow(shared: Arc<Shared>) {
    loop {
        shared.app.unsealed().await;
        // Missed by nobody is the rule: who cannot open it is not to find out at a request.
        let _ = timeout(LOOK, shared.app.root_key_missed()).await;
        match shared.app.root_key_is_known().await {
            Ok(true) => {}
            Ok(false) => open_again(&shared).await,
            // The store is away, or the server was sealed: it is looked again.
            Err(_) => sleep(REST).await,
        }
    }
}

async fn open_again(shared: &Arc<Shared>) {
    for _ in 0..TRIES {
        if let Some(opener) = shared.root_rotator.opener.get()
            && let Some(key) = opener(shared.clone()).await
        {
            let (id, memory) = (key.id(), key.lock_memory());
            // Sealed meanwhile, it has no use for it.
            let Ok(previous) = shared.app.root_key_take(key) else { return };
            tell(memory);
            forget_later(shared, previous);
            tracing::info!(key = %id, %previous, "another server rotated the root key, and the new one was opened");
            return;
        }
        sleep(REST).await;
        // Back from a moment in which the store was away, or opened by somebody.
        if !matches!(shared.app.root_key_is_known().await, Ok(false)) {
            return;
        }
    }
    shared.app.seal_unserved();
    tracing::error!(
        "THE SERVER IS SEALED: another one rotated the root key, and no key slot opens the new one here by itself; \
         strongroom unseal gives it what one is opened by"
    );
}

/// Says loudly if the system does not keep the root key out of the swap.
pub fn tell(memory: MemoryLock) {
    if memory == MemoryLock::Refused {
        tracing::warn!(
            "THE ROOT KEY MAY BE SWAPPED TO DISK: the system refuses to lock memory; raise `ulimit -l` (LimitMEMLOCK)"
        );
    }
}
