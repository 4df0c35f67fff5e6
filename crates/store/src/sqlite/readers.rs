//! Connections for reading.
//!
//! A lookup of a row or a name takes a few microseconds and is done where it is asked for: handing it to another thread costs
//! more than the lookup. Everything longer runs on threads made for blocking, no more at once than there are cores.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use strongroom_domain::{Error, Result};
use tokio::sync::Semaphore;

use super::error;
use super::schema::{self, Access};
pub(super) use crate::lane::Lane;

/// The longest that one scan may take: a filter that no index helps on a very large store.
const SCAN_DEADLINE: Duration = Duration::from_secs(20);
/// SQLite's own steps between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;
/// SQLite's own steps that a lookup by name may take in place: those of some 30 rows, about 50 µs.
const STEPS_IN_PLACE: i32 = 2_000;

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

/// The scan took too long, its wait included.
#[derive(Debug, thiserror::Error)]
#[error("the scan did not end within {} seconds", SCAN_DEADLINE.as_secs())]
struct Late;

/// Tells a scan that nobody waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The reading side of a store.
pub(super) struct Readers {
    lookups: Pool,
    scans: Arc<Pool>,
    indexed: Arc<Semaphore>,
    one_vault: Arc<Semaphore>,
    walking: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        let pool = || Pool { path: path.to_owned(), idle: Mutex::default() };
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            lookups: pool(),
            scans: Arc::new(pool()),
            indexed: Arc::new(Semaphore::new(cores)),
            one_vault: Arc::new(Semaphore::new(cores)),
            walking: Arc::new(Semaphore::new(cores.div_ceil(2))),
        }
    }

    /// Opens as many connections as there are cores, so that reading does not wait for file descriptors later.
    pub(super) fn warm(&self) -> rusqlite::Result<()> {
        for pool in [&self.lookups, &*self.scans] {
            for _ in 0..self.indexed.available_permits() {
                let connection = schema::connect(&pool.path, Access::Read)?;
                pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
        }
        Ok(())
    }

    /// Reads a row or so, here and now.
    pub(super) fn lookup<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.lookups.with(|connection| read(connection))
    }

    /// Reads here and now, and gives up when it turns out to be long: a thousand vaults may have a secret of the same name.
    fn lookup_if_short<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>> {
        self.lookups.with(|connection| {
            connection.progress_handler(STEPS_IN_PLACE, Some(|| true))?;
            let result = read(connection);
            connection.progress_handler(0, None::<fn() -> bool>)?;
            match result {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
                result => result.map(Some),
            }
        })
    }

    /// Reads what a request asks for, on another thread, within a deadline that counts the wait for its turn. What has one name
    /// is tried here first.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        lane: Lane,
        read: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        if lane == Lane::Named
            && let Some(found) = self.lookup_if_short(&read)?
        {
            return Ok(found);
        }
        let late = Instant::now() + SCAN_DEADLINE;
        let turns = match lane {
            Lane::Named | Lane::Indexed => &self.indexed,
            Lane::OneVault => &self.one_vault,
            Lane::Walking => &self.walking,
        };
        let turn = tokio::time::timeout_at(late.into(), turns.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| Error::Unavailable(Box::new(Late)))?
            .map_err(|error| Error::Unavailable(Box::new(error)))?;
        let abandoned = Arc::new(AtomicBool::new(false));
        let _abandon = Abandon(abandoned.clone());
        let give_up = move || abandoned.load(Ordering::Relaxed) || Instant::now() > late;
        self.on_another_thread(move |connection| {
            let _turn = turn;
            connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(give_up))?;
            let result = read(connection);
            connection.progress_handler(0, None::<fn() -> bool>)?;
            result
        })
        .await
    }

    /// Reads for as long as it takes, for work that no request waits for.
    pub(super) async fn work_through<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.on_another_thread(move |connection| read(connection)).await
    }

    async fn on_another_thread<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let pool = self.scans.clone();
        let read = tokio::task::spawn_blocking(move || pool.with(read));
        read.await.map_err(|error| Error::Internal(Box::new(error)))?
    }
}
