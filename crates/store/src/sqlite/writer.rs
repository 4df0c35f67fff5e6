//! Group commit.
//!
//! One thread writes. It takes every change that waits, runs each in a savepoint of one transaction, appends their audit
//! events, commits once, and only then answers all of them. While it waits for the disk the next batch gathers, so batches
//! grow with the load and no timer is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use strongroom_domain::audit::Head;
use strongroom_domain::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::error;
use super::tally::Tallies;

/// Changes in one transaction at most.
const BATCH_MAX: usize = 256;
/// Changes that may wait; those who come after wait to wait.
const QUEUE: usize = 1024;
/// How long a change waits for its commit before the caller is told that the store is not available. The disk may hang for
/// longer, and nobody can make it answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Told to those whose batch could not be committed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the commit failed: {0}")]
struct CommitFailed(Arc<str>);

/// Told to those whose change waited too long, or came when the store was closing.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error("the disk did not answer within {} seconds", DEADLINE.as_secs())]
    Late,
    #[error("the store is closing")]
    Closing,
}

/// What a change works on: the transaction, and the writer's own notes of what is in it.
pub(super) struct Step<'a> {
    pub(super) connection: &'a Connection,
    pub(super) tallies: &'a mut Tallies,
    head: &'a mut Head,
}

impl Step<'_> {
    /// Appends audit events to the log.
    pub(super) fn append(&mut self, events: Vec<Vec<u8>>) -> Result<()> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO audit (sequence, hash, canonical) VALUES (?1, ?2, ?3)")
            .map_err(error::plain)?;
        for canonical in events {
            let record = self.head.append(canonical);
            insert.execute((record.sequence, record.hash, record.canonical)).map_err(error::plain)?;
        }
        Ok(())
    }
}

type Answer = Box<dyn FnOnce(Result<(), CommitFailed>) + Send>;
/// Does its work in a step, or nothing when there is none; says whether it succeeded, and how to answer once it is known
/// whether the batch was committed.
type Job = Box<dyn FnOnce(Option<&mut Step<'_>>) -> (bool, Answer) + Send>;

/// How much was written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) commits: AtomicU64,
    pub(super) changes: AtomicU64,
}

/// The way to the writing thread.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    pub(super) written: Arc<Written>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let written = Arc::new(Written::default());
        let counters = written.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Batches { connection, notes: None, written: counters }.run(queue))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), written })
    }

    /// Has a change done. When this returns `Ok`, it is on disk.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Step<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let closing = || Error::Unavailable(Box::new(NotWritten::Closing));
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |step| {
            // Without a step the batch has failed already, and the answer tells that and not this.
            let result = step.map_or(Err(Error::Stale), work);
            let succeeded = result.is_ok();
            // Nobody listens when the request was given up; the change stands all the same.
            let reply: Answer = Box::new(move |committed| {
                let _ = answer.send(match committed {
                    Ok(()) => result,
                    Err(failed) => Err(Error::Unavailable(Box::new(failed))),
                });
            });
            (succeeded, reply)
        });
        let jobs = self.jobs.as_ref().ok_or_else(closing)?;
        let wait = async {
            jobs.send(job).await.map_err(|_| closing())?;
            answered.await.map_err(|_| closing())?
        };
        tokio::time::timeout(DEADLINE, wait)
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(Box::new(NotWritten::Late))))
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

/// What the writer knows of the store without asking: the end of the log and the tallies.
#[derive(Clone)]
struct Notes {
    head: Head,
    tallies: Tallies,
}

struct Batches {
    connection: Connection,
    /// `None` until they are read, and again after a batch that failed.
    notes: Option<Notes>,
    written: Arc<Written>,
}

impl Batches {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            let mut jobs = batch.drain(..);
            let mut answers = Vec::with_capacity(jobs.len());
            let committed = self.write(&mut jobs, &mut answers).map_err(|error| {
                tracing::error!(%error, "a batch of changes could not be committed");
                CommitFailed(error.to_string().into())
            });
            if committed.is_err() {
                self.give_up();
            }
            // Those that the batch did not come to.
            answers.extend(jobs.map(|job| job(None).1));
            for answer in answers {
                answer(committed.clone());
            }
        }
    }

    fn write(
        &mut self,
        jobs: &mut impl Iterator<Item = Job>,
        answers: &mut Vec<Answer>,
    ) -> rusqlite::Result<()> {
        let connection = &self.connection;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut notes = match self.notes.take() {
            Some(notes) => notes,
            None => read_notes(connection)?,
        };
        let before = notes.head;
        let mut changes = 0;
        for job in jobs {
            let (succeeded, answer) = savepoint(connection, &mut notes, job);
            changes += u64::from(succeeded);
            answers.push(answer);
            // An error such as a full disk may have undone the whole transaction.
            if connection.is_autocommit() {
                return Err(undone());
            }
        }
        if notes.head != before {
            connection
                .prepare_cached("UPDATE audit_head SET sequence = ?1, hash = ?2")?
                .execute((notes.head.sequence, notes.head.hash))?;
        }
        notes.tallies.flush(connection)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        self.notes = Some(notes);
        self.written.commits.fetch_add(u64::from(changes > 0), Ordering::Relaxed);
        self.written.changes.fetch_add(changes, Ordering::Relaxed);
        Ok(())
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

fn savepoint(connection: &Connection, notes: &mut Notes, job: Job) -> (bool, Answer) {
    let control = |sql: &str| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    let kept = notes.clone();
    let opened = control("SAVEPOINT change");
    let Notes { head, tallies } = notes;
    let (succeeded, answer) = job(Some(&mut Step { connection, tallies, head }));
    let closed = if succeeded {
        control("RELEASE change")
    } else {
        *notes = kept;
        control("ROLLBACK TO change").and_then(|_| control("RELEASE change"))
    };
    if let Err(error) = opened.and(closed)
        && !connection.is_autocommit()
    {
        // The batch cannot be trusted any more: it is undone, and all of it is answered so.
        tracing::error!(%error, "a savepoint failed");
        if let Err(error) = control("ROLLBACK") {
            tracing::error!(%error, "the transaction could not be undone");
        }
    }
    (succeeded, answer)
}

fn undone() -> rusqlite::Error {
    let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK);
    rusqlite::Error::SqliteFailure(failure, Some("an error undid the transaction".to_owned()))
}

fn read_notes(connection: &Connection) -> rusqlite::Result<Notes> {
    let head = super::audit::head(connection)?;
    Ok(Notes { head, tallies: Tallies::read(connection)? })
}
