//! The hottest lookups from memory.
//!
//! A cached answer is never older than the last acknowledged change of this process: what is being changed is taken out before
//! the change is sent to the store, and stays out until the change is done or failed. Memory is bounded by weight.
//!
//! Where other processes change the store too, what they changed is taken out as soon as it is heard of, and nothing is answered
//! from memory while nothing is heard; see `following`.

mod caches;
mod coherent;
mod following;
mod foreign;
mod ip;
mod key_slots;
mod leases;
mod rotations;
mod store;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::store::{SharedStore, Store};
use strongroom_domain::{Error, Result};

use caches::{Caches, Replaced};
use coherent::Coherent;
use following::{Follower, Following};

/// How long a change waits for its commit before the caller is told that the store is not available. The disk may hang for
/// longer, and nobody can make it answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// A store whose hottest lookups are answered from memory, and whose changes are waited for within bounds.
pub struct CachedStore {
    store: Arc<dyn Store>,
    caches: Arc<Caches>,
    /// What hears of others' changes, where there are others.
    follower: Option<Follower>,
}

/// What is asked for. A value is given out only after the store has noted it, so it is never answered from a memory that may be
/// out of date.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    ForTelling,
    ForOpening,
}

impl CachedStore {
    /// A cache in front of a store that this process has to itself. All changes must come through it.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, caches: Arc::default(), follower: None }
    }

    /// A cache in front of a store that others change too. It hears of their changes some 40 times a second, until it is
    /// dropped. When it has not heard from the store for half a second, it asks the store for everything, unless `stale_ok`:
    /// then it goes on answering for metadata and credentials, but never for values; who is to do more than read metadata by these
    /// asks for [`catch_up_if_behind`](Store::catch_up_if_behind) first. To be called within a Tokio runtime.
    #[must_use]
    pub fn shared(store: Arc<dyn SharedStore>, stale_ok: bool) -> Self {
        let caches = Arc::<Caches>::default();
        let following = Arc::new(Following::new(stale_ok));
        let follower = Follower::start(store.clone(), caches.clone(), following);
        Self { store, caches, follower: Some(follower) }
    }

    fn following(&self) -> Option<&Following> {
        self.follower.as_ref().map(Follower::following)
    }

    /// What is in memory, if it may be answered with.
    fn remembered<T>(&self, asked: Asked, get: impl FnOnce() -> Option<T>) -> Option<T> {
        let Some(following) = self.following() else { return get() };
        // Which look it was is seen before, and how long ago that is after: however long this thread is stopped in between,
        // what is found is no older than the time that is looked at.
        let look = following.last_look();
        get().filter(|_| following.may_answer(look, asked))
    }

    /// A lookup, answered from memory if it can be.
    async fn looked_up<K, V, F>(
        &self,
        cache: &Coherent<K, V>,
        key: K,
        find: impl FnOnce() -> F,
    ) -> Result<Option<Arc<V>>>
    where
        K: Copy + Eq + std::hash::Hash,
        F: Future<Output = Result<Option<Arc<V>>>>,
    {
        if let Some(known) = self.remembered(Asked::ForTelling, || cache.get(key)) {
            return Ok(Some(known));
        }
        let ticket = cache.ticket(key);
        let found = find().await?;
        found.iter().for_each(|found| cache.keep(key, ticket, found));
        Ok(found)
    }

    /// Has a change done that replaces what may be cached. It runs to its end also when the caller goes away: otherwise
    /// nobody would know when the store is done with it.
    async fn replacing<T, F>(&self, replaced: Replaced, change: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.replacing_all(vec![replaced], change).await
    }

    async fn replacing_all<T, F>(
        &self,
        replaced: Vec<Replaced>,
        change: impl FnOnce(Arc<dyn Store>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let caches = self.caches.clone();
        let change = change(self.store.clone());
        replaced.iter().for_each(|replaced| caches.begin(*replaced));
        let task = tokio::spawn(async move {
            let result = change.await;
            replaced.iter().for_each(|replaced| caches.end(*replaced));
            result
        });
        // The deadline is the caller's alone: what is replaced stays out until the store is done with it.
        bounded(async { task.await.map_err(|error| Error::Internal(Box::new(error)))? }).await
    }
}

/// Told to those whose change waited too long. It may still be done.
#[derive(Debug, thiserror::Error)]
#[error("the disk did not answer within {} seconds", DEADLINE.as_secs())]
struct Late;

async fn bounded<T>(change: impl Future<Output = Result<T>>) -> Result<T> {
    let done = tokio::time::timeout(DEADLINE, change).await;
    done.unwrap_or_else(|_| Err(Error::Unavailable(Box::new(Late))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteStore;
    use strongroom_domain::ids::{ApiKeyId, Ksuid};

    /// A caller is told after the deadline; what was to be replaced stays out of the cache until the store is done.
    #[tokio::test(start_paused = true)]
    async fn what_a_late_change_replaces_stays_out_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        let cached = Arc::new(CachedStore::new(Arc::new(store)));
        let key = ApiKeyId::new(Ksuid::MIN);
        let twice = DEADLINE * 2;
        let (slow, start) = (cached.clone(), tokio::time::Instant::now());
        let change = slow.replacing(Replaced::Key(key), async move |_| {
            tokio::time::sleep(twice).await;
            Ok(())
        });
        assert!(matches!(change.await, Err(Error::Unavailable(_))));
        assert_eq!(start.elapsed(), DEADLINE);
        assert_eq!(cached.caches.credentials.ticket(key), None);
        tokio::time::sleep(twice).await;
        assert!(cached.caches.credentials.ticket(key).is_some());
    }
}
