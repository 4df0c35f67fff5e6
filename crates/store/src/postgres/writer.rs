//! Group commit.
//!
//! Changes of secrets are statements that wait for nothing: the first of each checks, writes, and says how it went. One task takes
//! every such change that waits, and commits all of them in one transaction: the statements are sent together with its start, then
//! their events together with its end, so a batch takes two round trips however many changes it has. While it waits the next batch gathers.
//! Any other change is a transaction of its own ([`PostgresStore::transact`](super::PostgresStore)).

use std::sync::Arc;
use std::time::Instant;

use strongroom_domain::audit::Entry;
use strongroom_domain::ids::SecretId;
use strongroom_domain::secret::Resolved;
use strongroom_domain::{Error, Result};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Row;

use super::node::{Node, patiently, patiently_since};
use super::row::{corrupt, get};
use super::statistics;
use super::transaction::{Appended, Transaction};
use super::value::Value;

/// Changes in one transaction at most.
const BATCH_MAX: usize = 256;
/// Events after which a transaction takes no further change: one change may bring a thousand.
const BATCH_EVENTS: usize = 4096;
/// Changes that may wait; those who come after wait to wait.
const QUEUE: usize = 1024;

/// Told to those whose change came when the store was closing.
#[derive(Debug, thiserror::Error)]
#[error("the store is closing")]
struct Closing;

/// Told to all whose batch could not be committed.
#[derive(Debug, thiserror::Error)]
#[error("the commit failed: {0}")]
struct CommitFailed(Arc<str>);

/// What the word that a statement says of its change means. `done` is a change that was made.
pub(super) type Verdict = Box<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// A statement of a change, with its values.
pub(super) type Statement = (&'static str, Vec<Value<'static>>);

/// A change whose statements are all sent at once.
pub(super) struct Change {
    pub(super) account: i64,
    /// The one row of the first is its verdict; the others do nothing where that has written nothing. Without any there are only events.
    pub(super) statements: Vec<Statement>,
    pub(super) verdict: Verdict,
    pub(super) entries: Vec<Entry>,
    /// The last uses of secrets that its events tell of.
    pub(super) resolved: Vec<(SecretId, Resolved)>,
}

struct Waiting {
    since: Instant,
    change: Change,
    answer: oneshot::Sender<Result<()>>,
}

/// The way to the task that writes.
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
}

impl Writer {
    /// Starts the task; it ends when the writer is dropped and what waited is done.
    pub(super) fn start(node: Arc<Node>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(run(node, waiting));
        Self { queue }
    }

    /// Has a change made. When this returns `Ok`, it is committed; when it is given up, the change may still be made.
    pub(super) async fn change(&self, change: Change) -> Result<()> {
        let closing = || Error::Unavailable(Box::new(Closing));
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        self.queue.send(Waiting { since, change, answer }).await.map_err(|_| closing())?;
        answered.await.map_err(|_| closing())?
    }
}

async fn run(node: Arc<Node>, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut looked_at = 0;
    while !batch.is_empty() || queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let rest = batch.split_off(taken(&batch));
        let taken = std::mem::replace(&mut batch, rest);
        // Who waited behind a batch that failed for as long as that was tried is not made to wait for as long again.
        let since = taken.first().map_or_else(Instant::now, |waiting| waiting.since);
        // One that the database refuses with an error, and not with a verdict, undoes all: then each is tried by itself.
        let (changes, answers): (Vec<Change>, Vec<_>) =
            taken.into_iter().map(|waiting| (waiting.change, waiting.answer)).unzip();
        let outcomes = match patiently_since(since, || attempt(&node, &changes)).await {
            Err(error) if changes.len() > 1 && matches!(error, Error::Internal(_)) => {
                let mut outcomes = Vec::with_capacity(changes.len());
                for change in &changes {
                    let alone = patiently(|| attempt(&node, std::slice::from_ref(change))).await;
                    outcomes.push(alone.and_then(|mut outcomes| outcomes.pop().unwrap_or(Err(Error::Stale))));
                }
                outcomes
            }
            Err(error) => failed(error, changes.len()),
            Ok(outcomes) => outcomes,
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Nobody listens when the request was given up; the change stands all the same.
            let _ = answer.send(outcome);
        }
        let records = *node.logged.borrow();
        if statistics::are_due(looked_at, records) {
            looked_at = records;
            tokio::spawn(renew_statistics(node.clone()));
        }
    }
}

/// Changes go on meanwhile, and so they do if it fails: more slowly, until the database does the same by itself.
async fn renew_statistics(node: Arc<Node>) {
    if let Err(error) = statistics::renew(&node.pool).await {
        tracing::debug!(%error, "the database could not look at the store's tables");
    }
}

/// How many of those that wait go into one transaction.
fn taken(batch: &[Waiting]) -> usize {
    let mut events = 0;
    let within = batch.iter().take_while(|waiting| {
        let goes = events < BATCH_EVENTS;
        events += waiting.change.entries.len();
        goes
    });
    within.count()
}

/// The same failure for all.
fn failed(error: Error, count: usize) -> Vec<Result<()>> {
    if count == 1 {
        return vec![Err(error)];
    }
    let text: Arc<str> =
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string).into();
    (0..count).map(|_| Err(Error::Unavailable(Box::new(CommitFailed(text.clone()))))).collect()
}

/// Commits changes, and says of each how it went.
async fn attempt(node: &Node, changes: &[Change]) -> Result<Vec<Result<()>>> {
    let account = changes.first().map_or(0, |change| change.account);
    let statements = changes.iter().flat_map(|change| &change.statements);
    let statements: Vec<(&str, &[Value<'_>])> = statements.map(|(sql, values)| (*sql, &**values)).collect();
    let (transaction, rows) = Transaction::begin_with(&node.pool, account, &statements).await?;
    let mut rows = rows.into_iter();
    let mut outcomes = Vec::with_capacity(changes.len());
    let mut appended = Appended::default();
    for change in changes {
        let mut answers = rows.by_ref().take(change.statements.len());
        let outcome = match answers.next() {
            Some(first) => (change.verdict)(&said(&first)?),
            None if change.statements.is_empty() => Ok(()),
            None => return Err(corrupt("verdict")),
        };
        answers.for_each(drop);
        if outcome.is_ok() {
            appended.entries.extend(&change.entries);
            appended.resolved.extend(&change.resolved);
        }
        outcomes.push(outcome);
    }
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    if made == 0 {
        transaction.undo().await;
    } else {
        node.commit(&transaction, &appended).await?;
        node.written.count(made as u64);
    }
    Ok(outcomes)
}

fn said(rows: &[Row]) -> Result<String> {
    get(rows.first().ok_or_else(|| corrupt("verdict"))?, 0)
}
