//! Group commit.
//!
//! One thread writes. It takes every change that waits, runs them in one transaction, appends their audit events, commits
//! once, and only then answers all of them. While it waits for the disk the next batch gathers, so batches grow with the
//! load and no timer is needed.
//!
//! One change that fails must not sink its neighbours. A change checks before it writes, so one that fails has as a rule
//! written nothing, and there is nothing to undo. Where one did, the batch is undone and run again with a savepoint around
//! each change; savepoints around all of them from the start would have SQLite copy every page that each change touches.

use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use strongroom_domain::audit::Entry;
use strongroom_domain::audit::tree::Tree;
use strongroom_domain::{Error, Result};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::checkpoint::Checkpoints;
use super::erase::Erase;
use super::resolved::{self, Latest, Note};
use super::schema::BUSY_TIMEOUT;
use super::tally::Tallies;
use super::{audit, error};
use crate::written::Written;

/// Changes in one transaction at most.
const BATCH_MAX: usize = 256;
/// Events after which a transaction takes no further change: one change may bring a thousand.
const BATCH_EVENTS: u64 = 4096;
/// Changes that may wait; those who come after wait to wait.
const QUEUE: usize = 1024;

/// Told to those whose batch could not be committed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the commit failed: {0}")]
struct CommitFailed(Arc<str>);

/// Told to those whose change came when the store was closing.
#[derive(Debug, thiserror::Error)]
#[error("the store is closing")]
struct Closing;

/// What a change works on: the transaction, and the writer's own notes of what is in it.
pub(super) struct Step<'a> {
    pub(super) connection: &'a Connection,
    pub(super) tallies: &'a mut Tallies,
    log: &'a mut Tree,
    resolved: &'a mut Vec<Note>,
    erase: &'a mut bool,
    latest: &'a Latest,
    settled: &'a mut Settled,
}

impl Step<'_> {
    /// Appends audit events to the log.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<()> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO audit (sequence, canonical) VALUES (?1, ?2)")
            .map_err(error::plain)?;
        for Entry { canonical, hash } in entries {
            insert.execute((self.log.size() + 1, canonical)).map_err(error::plain)?;
            self.log
                .append(*hash, |block| audit::insert_block(self.connection, &block))
                .map_err(error::plain)?;
        }
        Ok(())
    }

    /// How many records the log has.
    pub(super) fn log_size(&self) -> u64 {
        self.log.size()
    }

    /// The number of the next event that is appended.
    pub(super) fn next_record(&self) -> u64 {
        self.log.size() + 1
    }

    /// Notes that sealed bytes or keys are destroyed, of which no copy is to be left behind.
    pub(super) fn erase(&mut self) {
        *self.erase = true;
    }

    /// Notes that a secret's value is given out.
    pub(super) fn note_resolved(&mut self, note: Note) {
        self.resolved.push(note);
    }

    /// Brings the table of last uses up to date, if it is not yet with the log up to an event.
    pub(super) fn settle_resolved(&mut self, upto: u64) -> rusqlite::Result<()> {
        if self.settled.upto < upto { self.settled.settle(self.latest, self.connection) } else { Ok(()) }
    }
}

/// A change that waits for its turn.
trait Job: Send {
    /// Does the work; says whether it succeeded. It may be asked again after all that it did was undone.
    fn run(&mut self, step: &mut Step<'_>) -> bool;

    /// Tells whoever waits how it went: the work's own result if the batch was committed.
    fn answer(self: Box<Self>, committed: Result<(), CommitFailed>);
}

struct Change<T, W> {
    work: W,
    result: Result<T>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnMut(&mut Step<'_>) -> Result<T> + Send> Job for Change<T, W> {
    fn run(&mut self, step: &mut Step<'_>) -> bool {
        self.result = (self.work)(step);
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), CommitFailed>) {
        let told = match committed {
            Ok(()) => self.result,
            Err(failed) => Err(Error::Unavailable(Box::new(failed))),
        };
        // Nobody listens when the request was given up; the change stands all the same.
        let _ = self.answer.send(told);
    }
}

/// The way to the writing thread.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    pub(super) written: Arc<Written>,
    /// The last record of the audit log.
    logged: watch::Receiver<u64>,
}

impl Writer {
    /// `last` is the last record of the audit log.
    pub(super) fn start(
        connection: Connection,
        checkpoints: Checkpoints,
        latest: Arc<Latest>,
        erase: Arc<Erase>,
        last: u64,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let written = Arc::new(Written::default());
        let counters = written.clone();
        let runtime = Handle::try_current().ok();
        let (log, logged) = watch::channel(last);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            Batches { connection, checkpoints, notes: None, latest, erase, written: counters, runtime, log }
                .run(queue)
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), written, logged })
    }

    /// Has a change done. When this returns `Ok`, it is on disk; when it is given up, the change may still be done.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Step<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let closing = || Error::Unavailable(Box::new(Closing));
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Change { work, result: Err(Error::Stale), answer });
        let jobs = self.jobs.as_ref().ok_or_else(closing)?;
        jobs.send(job).await.map_err(|_| closing())?;
        answered.await.map_err(|_| closing())?
    }

    /// Waits until the audit log has a record after that one; says which is its last.
    pub(super) async fn logged_past(&self, past: u64) -> Result<u64> {
        let mut logged = self.logged.clone();
        let last = logged.wait_for(|last| *last > past).await;
        last.map(|last| *last).map_err(|_| Error::Unavailable(Box::new(Closing)))
    }

    /// Whether the thread still takes changes.
    pub(super) fn is_alive(&self) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| !jobs.is_closed())
    }
}

impl Drop for Writer {
    /// Writes what waits, then ends the thread.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer had panicked");
        }
    }
}

/// What the writer knows of the store without asking: the edge of the log's tree, the tallies, and what the batch under way gives
/// out.
struct Notes {
    log: Tree,
    tallies: Tallies,
    resolved: Vec<Note>,
    /// Whether the batch destroys what is to leave no copy behind.
    erase: bool,
    settled: Settled,
}

impl Notes {
    fn step<'a>(&'a mut self, connection: &'a Connection, latest: &'a Latest) -> Step<'a> {
        let Self { log, tallies, resolved, erase, settled } = self;
        Step { connection, tallies, log, resolved, erase, latest, settled }
    }
}

/// How far the table of last uses is up to date.
#[derive(Debug, Clone, Copy)]
struct Settled {
    /// Up to which event.
    upto: u64,
    /// Whether that is since the batch began: once it is committed, what is in memory can be forgotten.
    now: bool,
}

impl Settled {
    fn settle(&mut self, latest: &Latest, connection: &Connection) -> rusqlite::Result<()> {
        latest.write(connection)?;
        *self = Self { upto: resolved::set_upto(connection)?, now: true };
        Ok(())
    }
}

struct Batches {
    connection: Connection,
    checkpoints: Checkpoints,
    /// `None` until they are read, and again after a batch that failed.
    notes: Option<Notes>,
    /// When values were last given out, as far as it is not in its table yet.
    latest: Arc<Latest>,
    erase: Arc<Erase>,
    written: Arc<Written>,
    /// Where the answers are told: waking a hundred tasks is left to those who run them.
    runtime: Option<Handle>,
    /// Where those who follow the audit log are told how far it goes.
    log: watch::Sender<u64>,
}

/// Why a batch is not committed.
enum Abandoned {
    /// A change failed after it had written something: the batch is to be run with a savepoint around each change.
    Half,
    /// SQLite refuses.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Abandoned {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Batches {
    fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while !batch.is_empty() || queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            let committed = self.commit(&mut batch);
            // What the transaction did not take is the start of the next.
            let taken = *committed.as_ref().unwrap_or(&batch.len());
            let rest = batch.split_off(taken);
            let jobs = std::mem::replace(&mut batch, rest);
            let committed = committed.map(drop);
            let tell = move || jobs.into_iter().for_each(|job| job.answer(committed.clone()));
            match &self.runtime {
                Some(runtime) => drop(runtime.spawn(async move { tell() })),
                None => tell(),
            }
            self.checkpoints.finish(&self.connection);
        }
        self.checkpoints.stop(&mut self.connection);
        if let Err(error) = self.settle() {
            tracing::warn!(%error, "the last uses of secrets were not written; the next start takes them from the log");
        }
        // Those who only read leave the log as it is, also when they are the last to close.
        match self.checkpoints.cut(&self.connection, BUSY_TIMEOUT) {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                "the store's log could not be cut off, as somebody reads from it; the next start does so with its first change"
            ),
            Err(error) => {
                tracing::warn!(%error, "the store's log could not be moved into it; the next start does so");
            }
        }
    }

    /// Commits a batch, or as much from its start as one transaction takes; says how much.
    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<usize, CommitFailed> {
        let mut written = self.write(batch, unguarded);
        if matches!(written, Err(Abandoned::Half)) {
            self.give_up();
            written = self.write(batch, savepoint);
        }
        written.map_err(|abandoned| {
            self.give_up();
            let error = match abandoned {
                Abandoned::Half => undone(),
                Abandoned::Sqlite(error) => error,
            };
            tracing::error!(%error, "a batch of changes could not be committed");
            CommitFailed(error.to_string().into())
        })
    }

    fn write(&mut self, batch: &mut [Box<dyn Job>], guard: Guard) -> Result<usize, Abandoned> {
        let connection = &self.connection;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut notes = match self.notes.take() {
            Some(notes) => notes,
            None => read_notes(connection)?,
        };
        let before = notes.log.size();
        if before.saturating_sub(notes.settled.upto) >= resolved::EVENTS_BETWEEN_WRITES {
            notes.settled.settle(&self.latest, connection)?;
        }
        let (mut changes, mut taken) = (0, 0);
        for job in batch {
            taken += 1;
            changes += u64::from(guard((connection, &self.latest), &mut notes, &mut **job)?);
            // An error such as a full disk may have undone the whole transaction.
            if connection.is_autocommit() {
                return Err(undone().into());
            }
            if notes.log.size() - before >= BATCH_EVENTS {
                break;
            }
        }
        if notes.log.size() != before {
            audit::set_head(connection, &notes.log)?;
        }
        notes.tallies.flush(connection)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        if std::mem::take(&mut notes.settled.now) {
            self.latest.forget();
        }
        self.latest.add(notes.resolved.drain(..));
        if std::mem::take(&mut notes.erase) {
            self.erase.note();
        }
        if notes.log.size() != before {
            self.log.send_replace(notes.log.size());
        }
        self.erase.run(|patience| self.checkpoints.cut(connection, patience));
        self.notes = Some(notes);
        self.written.count(changes);
        Ok(taken)
    }

    /// Writes the last uses of secrets to their table before the store is closed.
    fn settle(&mut self) -> rusqlite::Result<()> {
        if resolved::upto(&self.connection)? == audit::head(&self.connection)?.sequence {
            return Ok(());
        }
        let step = self.connection.transaction()?;
        self.latest.write(&step)?;
        resolved::set_upto(&step)?;
        step.commit()
    }

    /// Undoes a failed batch. What the writer knew is read again before the next one.
    fn give_up(&mut self) {
        self.notes = None;
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed batch could not be rolled back");
        }
    }
}

/// How a change is run, so that one that fails leaves nothing behind; says whether it succeeded.
type Guard = fn(Base<'_>, &mut Notes, &mut dyn Job) -> Result<bool, Abandoned>;

/// What every change of a batch works on.
type Base<'a> = (&'a Connection, &'a Latest);

/// Without a guard: a change that fails must have written and noted nothing.
fn unguarded(
    (connection, latest): Base<'_>,
    notes: &mut Notes,
    job: &mut dyn Job,
) -> Result<bool, Abandoned> {
    let before = (connection.total_changes(), notes.log.size(), notes.resolved.len());
    let succeeded = job.run(&mut notes.step(connection, latest));
    if !succeeded && (connection.total_changes(), notes.log.size(), notes.resolved.len()) != before {
        return Err(Abandoned::Half);
    }
    Ok(succeeded)
}

/// In a savepoint, which is undone when the change fails.
fn savepoint(
    (connection, latest): Base<'_>,
    notes: &mut Notes,
    job: &mut dyn Job,
) -> Result<bool, Abandoned> {
    let (log, tallies, resolved) = (notes.log.clone(), notes.tallies.clone(), notes.resolved.len());
    let settled = notes.settled;
    connection.execute_batch("SAVEPOINT change")?;
    let succeeded = job.run(&mut notes.step(connection, latest));
    if succeeded {
        connection.execute_batch("RELEASE change")?;
    } else {
        (notes.log, notes.tallies, notes.settled) = (log, tallies, settled);
        notes.resolved.truncate(resolved);
        connection.execute_batch("ROLLBACK TO change; RELEASE change")?;
    }
    Ok(succeeded)
}

fn undone() -> rusqlite::Error {
    let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK);
    rusqlite::Error::SqliteFailure(failure, Some("an error undid the transaction".to_owned()))
}

fn read_notes(connection: &Connection) -> rusqlite::Result<Notes> {
    Ok(Notes {
        log: audit::tree(connection)?,
        tallies: Tallies::read(connection)?,
        resolved: Vec::new(),
        erase: false,
        settled: Settled { upto: resolved::upto(connection)?, now: false },
    })
}
