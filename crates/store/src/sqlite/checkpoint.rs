//! Moving the log into the store, beside the writing.
//!
//! SQLite would do it at the end of a commit once the log is long, and all changes would wait while 16 MiB are written and
//! synced. Here a thread copies what is in the log while the writer goes on, again and again until nothing is left, and a few
//! times at most. What has come since is left to the writer, between two batches: a log begins anew only when all of it was
//! moved. SQLite syncs the database only in a move that takes the last of the log. If the thread never has such a one, the
//! writer's has to sync what the thread copied as well.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::schema::{self, Access, BUSY_TIMEOUT};

/// Pages in the log before it is moved: 16 MiB.
const DUE: i64 = 4096;
/// Pages that the writer can be left with: 1 MiB.
const LITTLE: i64 = 256;
/// How often the thread tries to catch up with the writer. On a slow disk it never does; then the writer waits for the rest.
const ROUNDS: usize = 4;
/// The rest after a try that left much: a reader holds on to an old state, the disk is slow, or it refuses.
const PAUSE: Duration = Duration::from_millis(250);

/// What the writer and the thread tell each other.
#[derive(Default)]
struct Shared {
    /// Pages in the log, as of the last commit.
    pages: AtomicI64,
    /// Whether what is left is the writer's.
    left: AtomicBool,
    /// Held by the one who moves. SQLite lets one move at a time, and tells another one at once that it cannot, however
    /// long that one would have waited.
    moving: Mutex<()>,
}

impl Shared {
    fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that moves the log.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    /// One of two ends that wake the thread; the hook has the other. Once both are gone the thread ends.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Takes the moving of the log over from the connection that writes.
    pub(super) fn start(path: &Path, writer: &mut Connection) -> rusqlite::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let (told, due) = (shared.clone(), wake.clone());
        // In the place of SQLite's own, which moves the log there and then.
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            told.pages.store(pages.into(), Ordering::Relaxed);
            if i64::from(pages) >= DUE {
                // When the thread is at it already, it need not be told.
                let _ = due.try_send(());
            }
            Ok(())
        }))?;
        let mover = Mover { connection: schema::connect(path, Access::Write)?, shared: shared.clone() };
        let thread = std::thread::Builder::new().name("store-checkpoint".to_owned());
        let thread = thread
            .spawn(move || mover.run(&woken))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(Self { shared, wake: Some(wake), thread: Some(thread) })
    }

    /// Moves what the thread has left, if it had its turn; to be called between two batches, by the writer.
    pub(super) fn finish(&self, writer: &Connection) {
        if !self.shared.left.swap(false, Ordering::Acquire) {
            return;
        }
        if let Err(error) = passive(writer) {
            tracing::warn!(%error, "the store's log could not be moved into it; it grows until it can");
        }
    }

    /// Moves the log into the store and cuts it off; false if others who read from it did not let go in time.
    pub(super) fn cut(&self, writer: &Connection, patience: Duration) -> rusqlite::Result<bool> {
        let _moving = self.shared.moving();
        writer.busy_timeout(patience)?;
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        writer.busy_timeout(BUSY_TIMEOUT)?;
        let cut = busy? == 0;
        if cut {
            self.shared.pages.store(0, Ordering::Relaxed);
        }
        Ok(cut)
    }

    /// Ends the thread: takes the hook, which holds the other end, out of the connection that writes.
    pub(super) fn stop(&mut self, writer: &mut Connection) {
        drop(self.wake.take());
        let unhooked = writer.wal_hook(None::<fn(&mut rusqlite::hooks::Wal, std::ffi::c_int) -> _>);
        if let Err(error) = unhooked {
            tracing::warn!(%error, "the store's log is not moved by its own thread any more");
        } else if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that moves the store's log had panicked");
        }
    }
}

struct Mover {
    connection: Connection,
    shared: Arc<Shared>,
}

impl Mover {
    fn run(self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            let caught_up = self.catch_up().unwrap_or_else(|error| {
                tracing::warn!(%error, "the store's log could not be moved into it; it grows until it can");
                false
            });
            self.shared.left.store(true, Ordering::Release);
            if !caught_up {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Moves what is in the log; says whether little is left.
    fn catch_up(&self) -> rusqlite::Result<bool> {
        let mut left = 0;
        for _ in 0..ROUNDS {
            let moving = self.shared.moving();
            let moved = passive(&self.connection)?;
            drop(moving);
            left = self.shared.pages.load(Ordering::Relaxed) - moved;
            // Also less than nothing: of a log that begins anew, the pages of the old one were counted.
            if left <= 0 {
                break;
            }
        }
        Ok(left <= LITTLE)
    }
}

/// Moves what nobody's reading stands in the way of; says up to which page of the log all are moved by now.
fn passive(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))
}
