//! The feed of changes, read from the store.

use super::App;
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
        match since {
            Since::Now => {
                let head = self.store.audit_head().await?.sequence;
                self.change_cursor(head).await?.ok_or(Error::Gone(Gone::Pruned))
            }
            Since::Oldest => {
                let oldest = self.store.audit_list(0, 1).await?;
                let before = oldest.first().map_or(0, |record| record.sequence.saturating_sub(1));
                self.change_cursor(before).await?.ok_or(Error::Gone(Gone::Pruned))
            }
            Since::Cursor(cursor) => {
                let beyond = cursor.sequence() > self.store.audit_head().await?.sequence;
                match if beyond { None } else { self.change_cursor(cursor.sequence()).await? } {
                    Some(own) if own == cursor => Ok(cursor),
                    Some(_) => Err(Error::Gone(Gone::OtherFeed)),
                    None if beyond => Err(Error::Gone(Gone::OtherFeed)),
                    None => Err(Error::Gone(Gone::Pruned)),
                }
            }
        }
    }

    /// The place after a record, if its hash is kept: the log's tree keeps it for longer than the record.
    async fn change_cursor(&self, sequence: u64) -> Result<Option<Cursor>> {
        let Some(leaf) = sequence.checked_sub(1) else { return Ok(Some(Cursor::start(self.account.id))) };
        let hash = self.store.audit_hashes(0, leaf, 1).await?;
        Ok(hash.first().map(|hash| Cursor::after(sequence, hash)))
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
        self.store.audit_list(after, STEP).await?.iter().map(Noted::of).collect()
    }

    /// Waits until there are records after a number; says which is the last.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn change_watch(&self, past: u64) -> Result<u64> {
        self.store.audit_watch(past).await
    }
}
