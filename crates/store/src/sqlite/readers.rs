//! Connections for reading.
//!
//! A lookup of one row takes a few microseconds and is done where it is asked for: handing it to another thread costs more
//! than the lookup. Everything longer runs on threads made for blocking, no more at once than there are cores.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use strongroom_domain::{Error, Result};
use tokio::sync::Semaphore;

use super::error;
use super::schema::{self, Access};

/// The longest that one scan may take: a filter that no index helps on a very large store.
const SCAN_DEADLINE: Duration = Duration::from_secs(20);
/// SQLite's own steps between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// A set of reading connections; it grows to as many as are used at once.
struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    fn with<T>(&self, read: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::connect(&self.path, Access::Read).map_err(error::plain)?,
        };
        let result = read(&mut connection).map_err(error::plain);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }
}

/// The reading side of a store.
pub(super) struct Readers {
    lookups: Pool,
    scans: Arc<Pool>,
    scanning: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        let pool = || Pool { path: path.to_owned(), idle: Mutex::default() };
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self { lookups: pool(), scans: Arc::new(pool()), scanning: Arc::new(Semaphore::new(cores)) }
    }

    /// Reads a row or so, here and now.
    pub(super) fn lookup<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.lookups.with(|connection| read(connection))
    }

    /// Reads as much as it takes, on another thread, within a deadline.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit =
            self.scanning.clone().acquire_owned().await.map_err(|e| Error::Unavailable(Box::new(e)))?;
        let pool = self.scans.clone();
        let scan = move || {
            let _permit = permit;
            pool.with(|connection| {
                let start = Instant::now();
                let late = move || start.elapsed() > SCAN_DEADLINE;
                connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(late))?;
                let result = read(connection);
                connection.progress_handler(0, None::<fn() -> bool>)?;
                result
            })
        };
        tokio::task::spawn_blocking(scan).await.map_err(|error| Error::Internal(Box::new(error)))?
    }
}
