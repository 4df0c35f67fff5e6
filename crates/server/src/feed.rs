//! The feed of changes for those who wait for them.
//!
//! While somebody watches, one task follows the log: it reads each new record once, decodes it once, keeps the last ones in
//! memory and wakes those who watch, who each find there what they see of it. Who is further behind reads the store. While
//! nobody watches there is no task, and a commit costs nothing more.

mod ring;
mod stream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use strongroom_domain::Result;
use strongroom_domain::app::App;
use strongroom_domain::caller::Caller;
use strongroom_domain::change::{Changes, Cursor, Noted, Since};
use strongroom_domain::error::{Error, Gone};
use strongroom_domain::ids::ApiKeyId;
use strongroom_domain::page::PageLimit;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Shared;
use crate::error::Protocol;
use ring::{RECORDS, Ring};
pub(crate) use stream::stream;

/// Records that are read at once where the log is far ahead of what is in memory.
const START: u64 = 1000;
/// The rest between two readings, so that many commits in a row are read at once.
const GATHER: Duration = Duration::from_millis(2);
/// The rest after the log could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Those who may watch with one API key: one that is in a loop leaves room for the others, and a thousand programs can share one.
const WATCHERS_OF_KEY: usize = 1000;

/// What is shared by those who watch.
pub(crate) struct Feed {
    ring: RwLock<Ring>,
    /// The last record that those who watch may have to hear of.
    news: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
    watchers: Mutex<Watchers>,
    /// Told to the follower when the last one leaves.
    left: Notify,
}

struct Watchers {
    /// How many there may be.
    max: usize,
    count: usize,
    /// How many there are of each API key; none of one that has none.
    of_keys: HashMap<ApiKeyId, usize>,
    /// Whether there is a task that follows the log.
    followed: bool,
}

impl Watchers {
    fn new(max: usize) -> Self {
        Self { max, count: 0, of_keys: HashMap::new(), followed: false }
    }

    fn enter(&mut self, key: Option<ApiKeyId>) -> std::result::Result<(), Protocol> {
        let of_key = key.map_or(0, |key| self.of_keys.get(&key).copied().unwrap_or(0));
        if of_key >= WATCHERS_OF_KEY {
            return Err(Protocol::TooManyWatchers { max: WATCHERS_OF_KEY, of_key: true });
        }
        if self.count >= self.max {
            return Err(Protocol::TooManyWatchers { max: self.max, of_key: false });
        }
        self.count += 1;
        if let Some(key) = key {
            self.of_keys.insert(key, of_key + 1);
        }
        Ok(())
    }

    fn leave(&mut self, key: Option<ApiKeyId>) {
        self.count -= 1;
        if let Some(key) = key
            && let Some(of_key) = self.of_keys.get_mut(&key)
        {
            *of_key -= 1;
            if *of_key == 0 {
                self.of_keys.remove(&key);
            }
        }
    }
}

impl Feed {
    /// For up to so many who watch.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            ring: RwLock::default(),
            news: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
            watchers: Mutex::new(Watchers::new(max)),
            left: Notify::new(),
        }
    }

    /// Ends all waiting, now and from now on: the server stops.
    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// The place from which the feed is read.
    pub(crate) async fn start(&self, app: &App, since: Since) -> Result<Cursor> {
        // Most come from where others are too.
        if let Since::Cursor(cursor) = since
            && let Some(own) = self.ring().cursor(cursor.sequence())
        {
            return if own == cursor { Ok(cursor) } else { Err(Error::Gone(Gone::OtherFeed)) };
        }
        app.change_start(since).await
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for new records, and takes them into memory.
    async fn read_on(&self, shared: &Shared) -> Result<()> {
        let mut known = self.ring().last();
        let last = shared.app.change_watch(known).await?;
        // What nobody watched is not read to the last record of it.
        if last - known > RECORDS {
            known = last - START;
        }
        let records = shared.app.change_records(known).await?;
        shared.metrics.feed_records.inc_by(records.len() as u64);
        self.take(records);
        tokio::time::sleep(GATHER).await;
        Ok(())
    }

    /// Takes records into memory, and wakes those who watch if any of them may be for them.
    fn take(&self, records: Vec<Noted>) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        // After a gap, who stands before it has to read the store.
        let is_gap = records.first().is_some_and(|first| first.cursor.sequence() != ring.last() + 1);
        let is_news = is_gap || records.iter().any(|noted| noted.change.is_some() || noted.of_keys);
        records.into_iter().for_each(|noted| ring.push(noted));
        let last = ring.last();
        drop(ring);
        if is_news {
            self.news.send_replace(last);
        }
    }

    /// Whether the follower is to go on; if not, the next one who watches starts another.
    fn goes_on(&self) -> bool {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.followed = watchers.count > 0;
        watchers.followed
    }
}

/// Follows the log for as long as somebody watches.
async fn follow(shared: Arc<Shared>) {
    let feed = &shared.feed;
    while feed.goes_on() {
        tokio::select! {
            () = feed.left.notified() => {}
            read = feed.read_on(&shared) => if let Err(error) = read {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the log could not be followed for those who watch changes; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Somebody who watches, until dropped.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    key: Option<ApiKeyId>,
    news: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
}

impl Watcher {
    /// Somebody who watches from now on.
    ///
    /// # Errors
    /// [`Protocol::TooManyWatchers`].
    pub(crate) fn new(shared: &Arc<Shared>, caller: &Caller) -> std::result::Result<Self, Protocol> {
        let (feed, key) = (&shared.feed, caller.key());
        let mut watchers = feed.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.enter(key)?;
        if !watchers.followed {
            watchers.followed = true;
            tokio::spawn(follow(shared.clone()));
        }
        shared.metrics.feed_watchers.inc();
        let (news, stopped) = (feed.news.subscribe(), feed.stopped.subscribe());
        Ok(Self { shared: shared.clone(), key, news, stopped })
    }

    /// Waits until the caller sees a change after a place, and no longer than for a time or until the server stops; then
    /// there are no changes, and the place is one further on. The caller is looked at again whenever something may have
    /// changed about them.
    pub(crate) async fn next(
        &mut self,
        caller: &mut Caller,
        mut place: Cursor,
        limit: PageLimit,
        wait: Duration,
    ) -> Result<Changes> {
        let deadline = Instant::now() + wait;
        let app = &self.shared.app;
        let mut is_over = false;
        loop {
            // Marked as seen first: what comes from here on wakes again.
            self.news.mark_unchanged();
            *caller = app.refreshed(caller).await?;
            let known = self.shared.feed.ring().after(place, caller, limit);
            let page = match known {
                // Who does not wait any longer is not to miss what is committed and not in memory yet.
                Some(page) if !is_over || self.is_up_to_date().await? => page,
                _ => app.change_list(caller, place, limit).await?,
            };
            if !page.changes.is_empty() || page.more || is_over {
                return Ok(page);
            }
            place = page.cursor;
            is_over = tokio::select! {
                biased;
                () = told(&mut self.stopped) => true,
                _ = self.news.changed() => false,
                // The caller is looked at again, and turned away.
                () = app.sealed() => false,
                () = tokio::time::sleep_until(deadline) => true,
            };
        }
    }

    async fn is_up_to_date(&self) -> Result<bool> {
        let head = self.shared.app.audit_head().await?;
        Ok(self.shared.feed.ring().last() >= head.sequence)
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }
}

async fn told(stopped: &mut watch::Receiver<bool>) {
    // The sender is in what every watcher holds.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.metrics.feed_watchers.dec();
        let feed = &self.shared.feed;
        let mut watchers = feed.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.leave(self.key);
        if watchers.count == 0 {
            feed.left.notify_one();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use strongroom_domain::ids::Ksuid;

    #[test]
    fn those_who_watch_are_bounded_by_key_and_together() {
        let key = |number: u8| Some(ApiKeyId::new(Ksuid::from_bytes([number; 20])));
        let mut watchers = Watchers::new(WATCHERS_OF_KEY + 2);
        for _ in 0..WATCHERS_OF_KEY {
            watchers.enter(key(1)).unwrap();
        }
        let of_key = Err(Protocol::TooManyWatchers { max: WATCHERS_OF_KEY, of_key: true });
        assert_eq!(watchers.enter(key(1)), of_key);
        watchers.enter(key(2)).unwrap();
        watchers.enter(None).unwrap();
        let of_all = Err(Protocol::TooManyWatchers { max: WATCHERS_OF_KEY + 2, of_key: false });
        assert_eq!((watchers.enter(key(2)), watchers.enter(None)), (of_all.clone(), of_all));
        watchers.leave(key(1));
        watchers.enter(key(1)).unwrap();
        (0..WATCHERS_OF_KEY).for_each(|_| watchers.leave(key(1)));
        watchers.leave(key(2));
        watchers.leave(None);
        assert!(watchers.count == 0 && watchers.of_keys.is_empty());
    }
}
