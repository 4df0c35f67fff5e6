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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::borrow::Cow;

    use jiff::Timestamp;
    use strongroom_domain::ids::{EventId, Ksuid, VaultId};

    use super::*;

    /// A record, of a vault with a name so long; of no change where that is nothing.
    fn noted(sequence: u64, length: usize) -> Noted {
        let cursor = Cursor::after(sequence, &[u8::try_from(sequence % 251).unwrap(); 32]);
        let change = || Change {
            cursor,
            kind: Cow::Borrowed("vault_created.v0"),
            event: EventId::new(Ksuid::MIN),
            at: Timestamp::UNIX_EPOCH,
            thing: Thing::Vault { id: VaultId::new(Ksuid::MIN), name: "v".repeat(length), previous: None },
        };
        Noted { cursor, change: (length > 0).then(|| Box::new(change())), of_keys: false }
    }

    #[test]
    fn it_knows_the_places_of_what_it_holds() {
        let mut ring = Ring::default();
        assert_eq!((ring.last(), ring.cursor(0), ring.cursor(1)), (0, None, None));
        for sequence in 1..=5 {
            ring.push(noted(sequence, 0));
        }
        assert_eq!((ring.last(), ring.cursor(5)), (5, Some(noted(5, 0).cursor)));
        assert_eq!((ring.cursor(0), ring.cursor(6)), (None, None));
        // After a gap it begins anew.
        ring.push(noted(9, 0));
        assert_eq!((ring.last(), ring.cursor(5), ring.cursor(8)), (9, None, None));
        assert_eq!(ring.cursor(9), Some(noted(9, 0).cursor));
    }

    #[test]
    fn its_bounds_hold() {
        let mut ring = Ring::default();
        (1..=RECORDS + 10).for_each(|sequence| ring.push(noted(sequence, 0)));
        assert_eq!((ring.noted.len() as u64, ring.bytes), (RECORDS, 0));
        assert_eq!((ring.cursor(10), ring.last()), (None, RECORDS + 10));

        let mut ring = Ring::default();
        (1..=20).for_each(|sequence| ring.push(noted(sequence, 1 << 20)));
        assert!(
            ring.bytes <= BYTES && ring.noted.len() == 7,
            "{} with {} bytes",
            ring.noted.len(),
            ring.bytes
        );
        // One that is larger than all of it is read from the store.
        ring.push(noted(21, BYTES));
        assert_eq!((ring.noted.len(), ring.bytes, ring.last()), (0, 0, 21));
        ring.push(noted(22, 0));
        assert_eq!((ring.last(), ring.cursor(22)), (22, Some(noted(22, 0).cursor)));
    }
}
