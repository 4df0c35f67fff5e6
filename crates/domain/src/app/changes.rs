//! The feed of changes, read from the store.

use super::App;
use super::audit::root_over;
use crate::caller::Caller;
use crate::change::{Changes, Cursor, Noted, Since};
use crate::error::{Error, Gone, Result};
use crate::page::PageLimit;

/// Records that are read at a time.
const STEP: usize = 1000;
/// How often one request reads on, at most, before it answers with what it has.
const STEPS: usize = 10;

impl App {
    /// The place from which the feed is read.
    ///
    /// # Errors
    /// `Gone` for a cursor that is none of this feed.
    pub async fn change_start(&self, since: Since) -> Result<Cursor> {
        let cursor = match since {
            Since::Now => return self.change_cursor(self.store.audit_head().await?.sequence).await,
            Since::Oldest => return self.change_cursor(self.store.audit_pruned().await?).await,
            Since::Cursor(cursor) => cursor,
        };
        let beyond = cursor.sequence() > self.store.audit_head().await?.sequence;
        if beyond || self.change_cursor(cursor.sequence()).await? != cursor {
            return Err(Error::Gone(Gone::OtherFeed));
        }
        if cursor.sequence() < self.store.audit_pruned().await? {
            return Err(Error::Gone(Gone::Pruned));
        }
        Ok(cursor)
    }

    /// The place after a record of the log. The log's tree keeps the hashes of records that are gone.
    async fn change_cursor(&self, sequence: u64) -> Result<Cursor> {
        let Some(leaf) = sequence.checked_sub(1) else { return Ok(Cursor::start(self.account.id)) };
        let hash = root_over(&*self.store, leaf..sequence).await?;
        Ok(Cursor::after(sequence, &hash))
    }

    /// The changes after a place, as far as the caller sees them. It looks at a bounded number of records: none may be a change,
    /// and then the answer is a place further on.
    ///
    /// # Errors
    /// `Gone` when records after the place are not kept any longer.
    pub async fn change_list(&self, caller: &Caller, after: Cursor, limit: PageLimit) -> Result<Changes> {
        let mut page = Changes::after(after);
        for _ in 0..STEPS {
            let records = self.change_records(page.cursor.sequence()).await?;
            if records.first().is_some_and(|first| first.cursor.sequence() != page.cursor.sequence() + 1) {
                return Err(Error::Gone(Gone::Pruned));
            }
            let took_all = records.iter().all(|noted| page.take(noted, caller, limit));
            if !took_all || records.len() < STEP {
                return Ok(page);
            }
        }
        page.more = true;
        Ok(page)
    }

    /// The records after a number, a thousand at most, for the server itself, which shows each caller their own of them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn change_records(&self, after: u64) -> Result<Vec<Noted>> {
        Ok(self.store.audit_list(after, STEP).await?.iter().map(Noted::of).collect())
    }

    /// Waits until there are records after a number; says which is the last.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn change_watch(&self, past: u64) -> Result<u64> {
        self.store.audit_watch(past).await
    }
}
