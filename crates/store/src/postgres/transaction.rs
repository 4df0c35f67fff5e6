//! One change of the store, or several: a transaction that holds the end of the audit log.
//!
//! The log's end is one row, which every transaction of every node locks first. So changes happen one after the other whatever the
//! database's isolation level is, a transaction that checks before it writes sees what it has to, and there is one log for all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_crypto::Digest;
use strongroom_domain::audit::Entry;
use strongroom_domain::audit::tree::Tree;
use strongroom_domain::error::Noun;
use strongroom_domain::ids::SecretId;
use strongroom_domain::secret::Resolved;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::error::{self, plain, writing};
use super::pipeline::{Sent, pipeline};
use super::row::{self, corrupt, get};
use super::schema::Outdated;
use super::session::{Pool, Reader, Session};
use super::value::{Value, values};
use super::{audit, resolved};
use crate::audit_tree::block_id;

/// The end of the audit log, as a transaction finds it.
#[derive(Debug, Clone)]
pub(super) struct LogEnd {
    pub(super) tree: Tree,
    pub(super) pruned_upto: u64,
    /// Commits by all nodes, and those whose effect no record tells.
    pub(super) commits: u64,
    pub(super) untold: u64,
}

/// The version is looked at too: nothing is written by rules that are not those of the tables any more.
const LOCK: &str = "SELECT sequence, edge, pruned_upto, commits, untold, (SELECT version FROM store_version WHERE id = 1) \
                    FROM audit_head WHERE id = 1 FOR UPDATE";

/// Begins a transaction that the database ends by itself once its node has said nothing for so long: one that is paused, cut off or
/// dead meanwhile would hold the log for all others. What it was about to change is tried again.
///
/// The database does not notice that nobody waits any more for a statement that waits itself. So it gives up waiting for others a
/// little before the node does, whose connection is then good for another try; and any statement a little after, so that what a node
/// gave up does not pile up. Neither holds for the commit as such, which may have to wait for a standby.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '2s'; SET LOCAL lock_timeout = '4s'; \
                     SET LOCAL statement_timeout = '6s'";

impl LogEnd {
    fn view(rows: &[Row]) -> Result<Self> {
        let row = rows.first().ok_or_else(|| corrupt("audit log"))?;
        Outdated::check(get(row, 5)?)?;
        let edge: Vec<u8> = get(row, 1)?;
        let tree = Tree::from_bytes(get(row, 0)?, &edge).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Self { tree, pruned_upto: get(row, 2)?, commits: get(row, 3)?, untold: get(row, 4)? })
    }
}

/// What a commit adds to the log.
#[derive(Default)]
pub(super) struct Appended<'a> {
    pub(super) entries: Vec<&'a Entry>,
    /// The last uses of secrets that it tells of.
    pub(super) resolved: Vec<(SecretId, Resolved)>,
    /// Whether it changes sealed values, which others may keep in memory, and no record tells.
    pub(super) untold: bool,
}

impl Appended<'_> {
    /// The hash of the last record, if there is any.
    pub(super) fn last(&self) -> Option<Digest> {
        self.entries.last().map(|entry| entry.hash)
    }
}

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    /// The records that it appended: those after the first number, up to the second.
    pub(super) after: u64,
    pub(super) upto: u64,
    /// The hash of the last of them, if there are any.
    pub(super) hash: Option<Digest>,
    pub(super) commit: u64,
    pub(super) untold: bool,
}

/// A commit failed.
pub(super) enum NotCommitted {
    /// Nothing was committed.
    Undone(Error),
    /// Nobody knows.
    Unknown(Error),
}

/// A transaction that holds the end of the audit log. What was not committed when it is dropped is undone.
pub(super) struct Transaction {
    session: Session,
    /// The account's number.
    pub(super) account: i64,
    pub(super) log: LogEnd,
    untold: AtomicBool,
}

impl Transaction {
    /// Begins one, and runs statements in it at once: what they find is that no other transaction is under way. One round trip.
    pub(super) async fn begin_with(
        pool: &Pool,
        account: i64,
        statements: &[(&str, &[Value<'_>])],
    ) -> Result<(Self, Vec<Vec<Row>>)> {
        let session = pool.session().await?;
        session.prepare(LOCK, &[]).await?;
        for (sql, values) in statements {
            session.prepare(sql, values).await?;
        }
        session.set_unclean(true);
        let mut sent: Vec<Sent<'_, Vec<Row>>> = vec![
            Box::pin(async { session.command(BEGIN).await.map(|()| Vec::new()) }),
            Box::pin(session.query(LOCK, &[])),
        ];
        sent.extend(statements.iter().map(|(sql, values)| Box::pin(session.query(sql, values)) as _));
        let answers: Result<Vec<Vec<Row>>> = pipeline(sent).await.into_iter().collect();
        let found = answers.and_then(|mut rows| {
            let rest = rows.split_off(rows.len().min(2));
            Ok((LogEnd::view(rows.get(1).ok_or_else(|| corrupt("answer"))?)?, rest))
        });
        match found {
            Ok((log, rows)) => Ok((Self { session, account, log, untold: AtomicBool::new(false) }, rows)),
            Err(error) => {
                undo(&session, &error).await;
                Err(error)
            }
        }
    }

    /// Begins one.
    pub(super) async fn begin(pool: &Pool, account: i64) -> Result<Self> {
        Self::begin_with(pool, account, &[]).await.map(|(transaction, _)| transaction)
    }

    /// Changes rows; says how many.
    pub(super) async fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        self.session.execute(sql, values, plain).await
    }

    /// Writes `noun`: a broken uniqueness is its name's.
    pub(super) async fn write(&self, noun: Noun, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        self.session.execute(sql, values, |error| writing(noun, error)).await
    }

    /// Changes the row that there must be; `Stale` if there is none.
    pub(super) async fn change(&self, sql: &str, values: &[Value<'_>]) -> Result<()> {
        if self.execute(sql, values).await? == 0 { Err(Error::Stale) } else { Ok(()) }
    }

    /// Changes all of as many rows as there must be; `Stale` if one of them is not there.
    pub(super) async fn change_all(&self, count: usize, sql: &str, values: &[Value<'_>]) -> Result<()> {
        if self.execute(sql, values).await? == count as u64 { Ok(()) } else { Err(Error::Stale) }
    }

    /// Notes that this changes sealed values, which others may keep in memory, and no record tells. What else they keep is only changed
    /// along with a record that tells of it.
    pub(super) fn is_untold(&self) {
        self.untold.store(true, Ordering::Relaxed);
    }

    /// How many records the log has.
    pub(super) fn log_size(&self) -> u64 {
        self.log.tree.size()
    }

    /// Undoes it, and keeps the connection.
    pub(super) async fn undo(&self) {
        roll_back(&self.session).await;
    }

    /// Appends to the log, and commits. One round trip.
    pub(super) async fn commit(&self, appended: &Appended<'_>) -> Result<Committed, NotCommitted> {
        let undone = NotCommitted::Undone;
        let (mut tree, after) = (self.log.tree.clone(), self.log.tree.size());
        let mut blocks: Vec<(i64, Vec<u8>)> = Vec::new();
        for entry in &appended.entries {
            let full = tree.append::<std::convert::Infallible>(entry.hash, |block| {
                blocks.push((block_id(block.level, block.number), block.hashes.as_flattened().to_vec()));
                Ok(())
            });
            full.unwrap_or_else(|never| match never {});
        }
        let untold = appended.untold || self.untold.load(Ordering::Relaxed);
        let commit = self.log.commits + 1;
        let root: Digest = tree.root();
        let head = values![tree.size(), root, tree.to_bytes(), commit, self.log.untold + u64::from(untold)];
        let records = audit::record_values(after, &appended.entries);
        let full = audit::block_values(&blocks);
        let uses: BTreeMap<SecretId, Resolved> = appended.resolved.iter().copied().collect();
        let uses = resolved::values_of(self.account, &uses);
        let mut statements: Vec<(&str, &[Value<'_>])> = Vec::with_capacity(4);
        if !appended.entries.is_empty() {
            statements.push((audit::INSERT_RECORDS, &records));
        }
        if !blocks.is_empty() {
            statements.push((audit::INSERT_BLOCKS, &full));
        }
        if let Some(uses) = &uses {
            statements.push((resolved::NOTE, uses));
        }
        statements.push((audit::SET_HEAD, &head));
        for (sql, values) in &statements {
            self.session.prepare(sql, values).await.map_err(undone)?;
        }
        let mut sent: Vec<Sent<'_, Vec<Row>>> =
            statements.iter().map(|(sql, values)| Box::pin(self.session.query(sql, values)) as _).collect();
        sent.push(Box::pin(async { self.session.command("COMMIT").await.map(|()| Vec::new()) }));
        // After a statement that was refused the database makes a rollback of the commit, so the first error counts. One of the
        // connection leaves open what became of the commit, which was sent along; so do most of the commit itself.
        for (number, answer) in pipeline(sent).await.into_iter().enumerate() {
            let is_undone: fn(&Error) -> bool =
                if number == statements.len() { error::was_undone } else { error::was_refused };
            match answer {
                Ok(_) => {}
                Err(error) if is_undone(&error) => {
                    undo(&self.session, &error).await;
                    return Err(undone(error));
                }
                Err(error) => return Err(NotCommitted::Unknown(error)),
            }
        }
        self.session.set_unclean(false);
        Ok(Committed { after, upto: tree.size(), hash: appended.last(), commit, untold })
    }
}

/// Undoes what the database refused, and keeps the connection: where many meet, each refusal would else cost a new one.
async fn undo(session: &Session, refused: &Error) {
    if error::was_refused(refused) {
        roll_back(session).await;
    }
}

async fn roll_back(session: &Session) {
    // One on which that fails is closed, which undoes it too.
    if session.command("ROLLBACK").await.is_ok() {
        session.set_unclean(false);
    }
}

impl Reader for Transaction {
    async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.session.query(sql, values).await
    }
}

/// Whether the log has this entry as the record after a number. Waits until no transaction is under way that may still write it; and,
/// if it is there, until it is wherever a commit has to be: a database that was restarted shows what its standby has not got yet.
pub(super) async fn has_record(pool: &Pool, after: u64, entry: &Entry) -> Result<bool> {
    const AWAIT: &str = "UPDATE audit_head SET commits = commits WHERE id = 1; COMMIT";
    let transaction = Transaction::begin(pool, 0).await?;
    let sql = "SELECT canonical FROM audit WHERE sequence = $1";
    let found = transaction.query_opt(sql, &values![after + 1], |row| row::get::<Vec<u8>>(row, 0)).await?;
    if found.is_none_or(|canonical| canonical != entry.canonical) {
        transaction.undo().await;
        return Ok(false);
    }
    transaction.session.command(AWAIT).await?;
    transaction.session.set_unclean(false);
    Ok(true)
}
