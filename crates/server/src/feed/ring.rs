//! The last records of the log in memory, decoded once for all who watch.

use std::collections::VecDeque;

use strongroom_domain::caller::Caller;
use strongroom_domain::change::{Change, Changes, Cursor, Noted, Thing};
use strongroom_domain::page::PageLimit;

/// Records in memory at most.
pub(super) const RECORDS: u64 = 16 << 10;
/// Bytes of changes in memory at most, about.
const BYTES: usize = 8 << 20;

/// A stretch of the log without a gap.
#[derive(Default)]
pub(super) struct Ring {
    /// The number before that of the first.
    before: u64,
    noted: VecDeque<Noted>,
    bytes: usize,
}

impl Ring {
    /// The number of the last record; of the one before the first, while there is none.
    pub(super) fn last(&self) -> u64 {
        self.before + self.noted.len() as u64
    }

    /// The place after a record, if it is here.
    pub(super) fn cursor(&self, sequence: u64) -> Option<Cursor> {
        let place = sequence.checked_sub(self.before + 1)?;
        self.noted.get(usize::try_from(place).ok()?).map(|noted| noted.cursor)
    }

    /// Takes the next record. After a gap it begins anew.
    pub(super) fn push(&mut self, noted: Noted) {
        let before = noted.cursor.sequence() - 1;
        if before != self.last() {
            *self = Self { before, ..Self::default() };
        }
        self.bytes += weight(&noted);
        self.noted.push_back(noted);
        while self.noted.len() as u64 > RECORDS || self.bytes > BYTES {
            let Some(oldest) = self.noted.pop_front() else { break };
            self.bytes -= weight(&oldest);
            self.before += 1;
        }
    }

    /// What a caller sees of the records after a place; `None` if some of them are not here any more.
    pub(super) fn after(&self, place: Cursor, caller: &Caller, limit: PageLimit) -> Option<Changes> {
        let skipped = usize::try_from(place.sequence().checked_sub(self.before)?).ok()?;
        let mut page = Changes::after(place);
        let mut noted = self.noted.range(skipped.min(self.noted.len())..);
        // Ends where the page is full.
        let _ = noted.all(|noted| page.take(noted, caller, limit));
        Some(page)
    }
}

/// What a record takes beside its place.
fn weight(noted: &Noted) -> usize {
    let Some(change) = &noted.change else { return 0 };
    let names = match &change.thing {
        Thing::Secret { now, previous, .. } => {
            std::iter::once(now).chain(previous).map(|at| at.name.len() + at.vault_name.len()).sum()
        }
        Thing::Vault { name, previous, .. } => name.len() + previous.as_ref().map_or(0, String::len),
    };
    size_of::<Change>() + names
}
