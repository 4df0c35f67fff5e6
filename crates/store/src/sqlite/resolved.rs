//! The last time that each secret's value was given out.
//!
//! Every such time stands in the audit log, which is written before a value leaves. A row for each of them besides would
//! double the writing. So the latest times are kept in memory, written to their table now and then, in a batch that is
//! written anyway, and taken from the log again when the store is opened after a crash.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension};
use strongroom_domain::audit::Event;
use strongroom_domain::ids::{ApiKeyId, SecretId};
use strongroom_domain::secret::Resolved;

use super::row::get;
use super::{accounts, audit};

/// Events after which the times in memory are written: what an opening after a crash may have to read.
pub(super) const EVENTS_BETWEEN_WRITES: u64 = 32_768;

/// What is noted of one secret: the account's number, the secret, and the time.
pub(super) type Note = (i64, SecretId, Resolved);

/// The times that are not in their table yet.
#[derive(Default)]
pub(super) struct Latest {
    times: Mutex<HashMap<(i64, SecretId), Resolved>>,
    /// How often they went from here to the table.
    moved: AtomicU64,
}

impl Latest {
    /// Reads from the log what the table does not know yet.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let latest = Self::default();
        let Some((account, _)) = accounts::find(connection)? else { return Ok(latest) };
        let upto = upto(connection)?;
        let mut select =
            connection.prepare("SELECT canonical FROM audit WHERE sequence > ?1 ORDER BY sequence")?;
        let mut rows = select.query([upto])?;
        while let Some(row) = rows.next()? {
            let canonical = row.get_ref(0)?.as_blob()?;
            // An event that cannot be read is `audit verify`'s to tell of.
            if let Some((secret, resolved)) =
                Event::from_canonical(canonical).ok().as_ref().and_then(Event::as_resolved)
            {
                latest.add([(account, secret, resolved)]);
            }
        }
        Ok(latest)
    }

    /// Adds what a committed batch noted, in its order.
    pub(super) fn add(&self, notes: impl IntoIterator<Item = Note>) {
        let mut times = self.times();
        for (account, secret, resolved) in notes {
            times.insert((account, secret), resolved);
        }
    }

    /// Writes them to their table. They stay here until that is committed.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        // A secret may have been destroyed since.
        let mut insert = connection.prepare_cached(
            "INSERT OR REPLACE INTO resolved (account, secret, at, api_key) SELECT ?1, ?2, ?3, ?4 \
             WHERE EXISTS (SELECT 1 FROM secret WHERE account = ?1 AND id = ?2) \
             OR EXISTS (SELECT 1 FROM deleted_secret WHERE account = ?1 AND id = ?2)",
        )?;
        // Copied, so that nobody who asks waits for the writing.
        let times: Vec<_> = self.times().iter().map(|(key, resolved)| (*key, *resolved)).collect();
        for ((account, secret), Resolved { at, by }) in times {
            insert.execute((account, secret.ksuid().as_bytes(), at.as_second(), by.ksuid().as_bytes()))?;
        }
        Ok(())
    }

    /// Forgets them, once they are committed in their table.
    pub(super) fn forget(&self) {
        let mut times = self.times();
        self.moved.fetch_add(1, Ordering::Release);
        times.clear();
    }

    /// How often they went from here to the table: who reads the table first and then here, reads again if it changed.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Acquire)
    }

    pub(super) fn get(&self, account: i64, secret: SecretId) -> Option<Resolved> {
        self.times().get(&(account, secret)).copied()
    }

    /// All of them.
    pub(super) fn notes(&self) -> Vec<Note> {
        self.times().iter().map(|((account, secret), resolved)| (*account, *secret, *resolved)).collect()
    }

    fn times(&self) -> MutexGuard<'_, HashMap<(i64, SecretId), Resolved>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to which event the table is up to date.
pub(super) fn upto(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT resolved_upto FROM audit_head WHERE id = 1", [], |row| row.get(0))
}

/// Notes that the table is up to date with the whole log as it is committed now.
pub(super) fn set_upto(connection: &Connection) -> rusqlite::Result<u64> {
    let sequence = audit::head(connection)?.sequence;
    connection.prepare_cached("UPDATE audit_head SET resolved_upto = ?1")?.execute([sequence])?;
    Ok(sequence)
}

pub(super) fn find(
    connection: &Connection,
    account: i64,
    secret: SecretId,
) -> rusqlite::Result<Option<Resolved>> {
    connection
        .prepare_cached("SELECT at, api_key FROM resolved WHERE account = ?1 AND secret = ?2")?
        .query_row((account, secret.ksuid().as_bytes()), |row| {
            Ok(Resolved { at: get(row, 0)?, by: ApiKeyId::new(get(row, 1)?) })
        })
        .optional()
}
