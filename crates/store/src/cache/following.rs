//! Hearing of what others change in a shared store.
//!
//! One task looks at the store, again and again, for what others committed since the look before, and takes that out of memory. A
//! reader that asked the store before such a commit and answers late cannot put it back: its ticket is out of date. What a reader
//! finds in memory is therefore as new as the start of the last look that ended; how long ago that is, by a clock that nobody
//! sets, decides whether it may be answered with. So a process that was stopped, or is cut off from the store, notices by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use strongroom_domain::store::{Moment, SharedStore};
use strongroom_domain::{Error, Result};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::Asked;
use super::caches::{Caches, Replaced};
use super::foreign::replaced_by;

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(25);
/// The same after one that failed: who cannot answer is not asked in a hurry.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// How long a look may take. One that hangs is given up, so that the next one may find another connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long after the start of a look its answer is believed.
const BELIEVED: Duration = Duration::from_millis(500);

/// Looks that ended well, and up to where they saw.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The number of the last one.
    look: u64,
    /// The last record of the log, all of whose effects are out of memory.
    record: u64,
}

/// How far others' changes are known of.
pub(super) struct Following {
    stale_ok: bool,
    start: Instant,
    /// Nanoseconds from the start until the last look that ended well began, and one more; 0 while there is none.
    looked: AtomicU64,
    /// Looks that began.
    begun: AtomicU64,
    seen: watch::Sender<Seen>,
    /// Has the next look begin at once.
    wanted: Notify,
}

/// Others' changes cannot be heard of.
#[derive(Debug, thiserror::Error)]
#[error("the database does not tell what other servers changed within {} seconds", PATIENCE.as_secs())]
struct Unheard;

impl Following {
    pub(super) fn new(stale_ok: bool) -> Self {
        Self {
            stale_ok,
            start: Instant::now(),
            looked: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            seen: watch::Sender::default(),
            wanted: Notify::new(),
        }
    }

    /// Nanoseconds since the start: enough for 500 years.
    fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// When the last look began that ended well.
    pub(super) fn last_look(&self) -> u64 {
        self.looked.load(Ordering::Acquire)
    }

    /// Whether what was found after a look may be answered with now.
    pub(super) fn may_answer(&self, look: u64, asked: Asked) -> bool {
        look > 0 && ((self.stale_ok && asked == Asked::ForTelling) || self.is_recent(look))
    }

    /// Whether memory may answer with what is older than is believed.
    pub(super) fn is_behind(&self) -> bool {
        self.stale_ok && !self.is_recent(self.last_look())
    }

    fn is_recent(&self, look: u64) -> bool {
        self.nanos().saturating_sub(look) < BELIEVED.as_nanos() as u64
    }

    /// Waits until a look that begins from now on has ended.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn catch_up(&self) -> Result<()> {
        // A look under way may have seen the store already before what is to be known of.
        let begun = self.begun.load(Ordering::SeqCst);
        self.wanted.notify_one();
        self.wait(|seen| seen.look > begun).await
    }

    /// Waits until the effects of all records up to one are out of memory.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn reach(&self, record: u64) -> Result<()> {
        self.wait(|seen| seen.record >= record).await
    }

    async fn wait(&self, until: impl Fn(&Seen) -> bool) -> Result<()> {
        let mut seen = self.seen.subscribe();
        let waited = timeout(PATIENCE, seen.wait_for(|seen| until(seen))).await;
        // The sender is a part of this, so it is not gone.
        waited.map(drop).map_err(|_| Error::Unavailable(Box::new(Unheard)))
    }
}

/// The task that looks, until this is dropped.
pub(super) struct Follower {
    following: Arc<Following>,
    task: JoinHandle<()>,
}

impl Follower {
    pub(super) fn start(store: Arc<dyn SharedStore>, caches: Arc<Caches>, following: Arc<Following>) -> Self {
        let task = tokio::spawn(follow(store, caches, following.clone()));
        Self { following, task }
    }

    pub(super) fn following(&self) -> &Following {
        &self.following
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(store: Arc<dyn SharedStore>, caches: Arc<Caches>, following: Arc<Following>) {
    let (mut since, mut is_heard) = (None, true);
    loop {
        let looked = look(&*store, &caches, &following, since).await;
        let pause = match looked {
            Ok(now) => {
                since = Some(now);
                if !std::mem::replace(&mut is_heard, true) {
                    tracing::info!("the database tells again what other servers changed");
                }
                PAUSE
            }
            Err(error) => {
                if std::mem::replace(&mut is_heard, false) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    let stale_ok = following.stale_ok;
                    tracing::warn!(%error, cause, stale_ok, "the database does not tell what other servers changed");
                }
                PAUSE_AFTER_FAILURE
            }
        };
        // Woken or not, the next look comes.
        let _ = timeout(pause, following.wanted.notified()).await;
    }
}

/// One look: what others changed is out of memory when it ends.
async fn look(
    store: &dyn SharedStore,
    caches: &Caches,
    following: &Following,
    since: Option<Moment>,
) -> Result<Moment> {
    let (began, number) = (following.nanos(), following.begun.fetch_add(1, Ordering::SeqCst) + 1);
    let changes = timeout(PATIENCE, store.changed_by_others(since)).await;
    let changes = changes.map_err(|_| Error::Unavailable(Box::new(Unheard)))??;
    let replaced = match since {
        Some(_) => replaced_by(&changes),
        // What was read before the first moment that is known may have been changed before it.
        None => vec![Replaced::Everything],
    };
    // The commits are done: what is read from here on has them.
    replaced.iter().for_each(|replaced| caches.begin(*replaced));
    replaced.iter().for_each(|replaced| caches.end(*replaced));
    following.looked.store(began + 1, Ordering::Release);
    following.seen.send_replace(Seen { look: number, record: changes.now.record });
    Ok(changes.now)
}
