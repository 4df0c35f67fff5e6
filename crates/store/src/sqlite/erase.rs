//! Leaving no copy behind of what is destroyed. What is deleted is overwritten in the database (`secure_delete`), but a copy
//! of the pages as they were stays in the write-ahead log until that is moved into the database and cut off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::schema::BUSY_TIMEOUT;

/// How long the writer waits for those who still read from the log. It tries again after a later batch.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long it then leaves that be, so that changes do not wait for one who reads for long.
const REST: Duration = Duration::from_secs(1);

/// Whether the log may hold a copy of what was destroyed.
#[derive(Default)]
pub(super) struct Erase {
    due: AtomicBool,
    /// When it was last tried in vain; the writer alone looks at it.
    tried: Mutex<Option<Instant>>,
}

impl Erase {
    /// Notes that something was destroyed by a batch that is committed.
    pub(super) fn note(&self) {
        self.due.store(true, Ordering::Release);
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    /// Cuts off the log, if it may hold such a copy.
    pub(super) fn run(&self, connection: &Connection) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_due() || tried.is_some_and(|tried| tried.elapsed() < REST) {
            return;
        }
        match truncate(connection) {
            Ok(true) => {
                self.due.store(false, Ordering::Release);
                *tried = None;
            }
            Ok(false) => *tried = Some(Instant::now()),
            Err(error) => {
                tracing::warn!(%error, "the store's log could not be cut off, and may hold what was destroyed");
            }
        }
    }
}

/// Moves the log into the database and cuts it off; false while somebody reads from it.
fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(PATIENCE)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(busy? == 0)
}
