//! The last changes of the log in memory, read and decoded once for all webhooks. Most records are of values that were given
//! out: those are counted here and not kept, so that a webhook need not read past them itself.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use strongroom_domain::Result;
use strongroom_domain::app::App;
use strongroom_domain::change::{Change, Noted};
use strongroom_domain::webhook::EventTypes;
use tokio::sync::watch;

/// Changes in memory at most: about two megabytes.
const CHANGES: usize = 4096;
/// How far the log may be ahead for all of it to be read; from further on only its end is.
const AHEAD: u64 = 16 << 10;
/// How many records that end has.
const END: u64 = 1000;

/// The changes of a stretch of the log.
#[derive(Default)]
pub(super) struct Recent {
    stretch: RwLock<Stretch>,
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Stretch {
    /// The number of the record before the first.
    before: u64,
    /// The number of the last record.
    last: u64,
    changes: VecDeque<Arc<Change>>,
}

/// Changes after a record, and up to which record these are all.
pub(super) struct Found {
    pub(super) changes: Vec<Arc<Change>>,
    pub(super) end: u64,
    /// Records after it that are not kept any longer, and are now past.
    pub(super) missed: u64,
}

impl Recent {
    /// Tells of the last change.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Waits for new records, and takes them into memory.
    pub(super) async fn read_on(&self, app: &App) -> Result<()> {
        let mut known = self.stretch.read().unwrap_or_else(PoisonError::into_inner).last;
        let last = app.change_watch(known).await?;
        if last - known > AHEAD {
            known = last - END;
        }
        let noted = app.change_records(known).await?;
        let mut stretch = self.stretch.write().unwrap_or_else(PoisonError::into_inner);
        let mut is_news = false;
        for noted in noted {
            is_news |= stretch.push(noted);
        }
        let last = stretch.last;
        drop(stretch);
        if is_news {
            self.news.send_replace(last);
        }
        Ok(())
    }

    /// Up to `limit` changes of these types after a record; `None` if the memory does not reach so far back.
    pub(super) fn after(&self, record: u64, types: &EventTypes, limit: usize) -> Option<Found> {
        let stretch = self.stretch.read().unwrap_or_else(PoisonError::into_inner);
        let first = stretch.changes.partition_point(|change| change.cursor.sequence() <= record);
        let found = stretch.changes.range(first..).filter(|change| types.include(&change.kind));
        let changes: Vec<_> = found.take(limit).cloned().collect();
        let end = end_of(&changes, limit, stretch.last.max(record));
        (record >= stretch.before).then_some(Found { changes, end, missed: 0 })
    }
}

impl Stretch {
    /// Takes the next record; after a gap it begins anew. Says whether there may be a change to tell of.
    fn push(&mut self, noted: Noted) -> bool {
        let sequence = noted.cursor.sequence();
        let is_gap = sequence != self.last + 1;
        if is_gap {
            *self = Self { before: sequence - 1, ..Self::default() };
        }
        self.last = sequence;
        let Some(change) = noted.change else { return is_gap };
        self.changes.push_back(Arc::new(*change));
        if self.changes.len() > CHANGES
            && let Some(oldest) = self.changes.pop_front()
        {
            self.before = oldest.cursor.sequence();
        }
        true
    }
}

/// The same as [`Recent::after`], out of the store: of the records that are read at a time.
pub(super) async fn stored_after(app: &App, record: u64, types: &EventTypes, limit: usize) -> Result<Found> {
    let noted = app.change_records(record).await?;
    let number = |noted: Option<&Noted>| noted.map(|noted| noted.cursor.sequence());
    let missed = number(noted.first()).map_or(0, |first| first.saturating_sub(record + 1));
    let last = number(noted.last()).unwrap_or(record);
    let found =
        noted.into_iter().filter_map(|noted| noted.change).filter(|change| types.include(&change.kind));
    let changes: Vec<_> = found.take(limit).map(|change| Arc::new(*change)).collect();
    let end = end_of(&changes, limit, last);
    Ok(Found { changes, end, missed })
}

/// Up to which record all was found: not further than the last change, where there may be more after it.
fn end_of(changes: &[Arc<Change>], limit: usize, last: u64) -> u64 {
    changes.last().filter(|_| changes.len() == limit).map_or(last, |change| change.cursor.sequence())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::borrow::Cow;
    use strongroom_domain::change::{Cursor, Thing};
    use strongroom_domain::ids::{EventId, Ksuid, VaultId};

    /// A record that is a change of that type, or none.
    fn noted(sequence: u64, kind: Option<&'static str>) -> Noted {
        let cursor = Cursor::after(sequence, &[0; 32]);
        let change = kind.map(|kind| {
            let thing = Thing::Vault { id: VaultId::new(Ksuid::MIN), name: String::new(), previous: None };
            let (kind, event, at) = (Cow::Borrowed(kind), EventId::new(Ksuid::MIN), Timestamp::UNIX_EPOCH);
            Box::new(Change { cursor, kind, event, at, thing })
        });
        Noted { cursor, change, of_keys: false }
    }

    fn push(recent: &Recent, sequence: u64, kind: Option<&'static str>) -> bool {
        recent.stretch.write().unwrap().push(noted(sequence, kind))
    }

    /// The numbers of what is found, and its end.
    fn found(recent: &Recent, record: u64, types: &str, limit: usize) -> Option<(Vec<u64>, u64)> {
        let found = recent.after(record, &EventTypes::from_text(types), limit)?;
        Some((found.changes.iter().map(|change| change.cursor.sequence()).collect(), found.end))
    }

    #[test]
    fn a_stretch_is_told_as_far_as_it_goes() {
        let recent = Recent::default();
        assert_eq!(
            found(&recent, 7, "*", 10),
            Some((vec![], 7)),
            "nothing is known yet, and nothing is claimed"
        );
        for sequence in 11..=30 {
            let kind = [None, Some("vault_created.v0"), Some("vault_updated.v0")][sequence as usize % 3];
            let is_news = push(&recent, sequence, kind);
            assert_eq!(is_news, kind.is_some() || sequence == 11, "{sequence}");
        }
        assert_eq!(found(&recent, 9, "*", 10), None, "it does not reach so far back");
        assert_eq!(found(&recent, 10, "vault_updated.v0", 10), Some((vec![11, 14, 17, 20, 23, 26, 29], 30)));
        assert_eq!(found(&recent, 14, "vault_updated.v0", 2), Some((vec![17, 20], 20)), "there may be more");
        assert_eq!(found(&recent, 26, "vault_updated.v0", 1), Some((vec![29], 29)));
        assert_eq!(found(&recent, 29, "*", 10), Some((vec![], 30)));
        assert_eq!(found(&recent, 30, "*", 10), Some((vec![], 30)));
        assert_eq!(found(&recent, 10, "secret_created.v0", 10), Some((vec![], 30)));
    }

    #[test]
    fn after_a_gap_it_begins_anew() {
        let recent = Recent::default();
        push(&recent, 1, Some("vault_created.v0"));
        assert!(push(&recent, 5, None), "who was before the gap is to look");
        assert_eq!(found(&recent, 1, "*", 10), None);
        assert_eq!(found(&recent, 4, "*", 10), Some((vec![], 5)));
    }

    #[test]
    fn what_is_too_much_is_forgotten_and_said_to_be() {
        let recent = Recent::default();
        let count = CHANGES as u64 + 2;
        for sequence in 1..=count {
            push(&recent, sequence, Some("vault_created.v0"));
        }
        assert_eq!(found(&recent, 1, "*", 1), None);
        assert_eq!(found(&recent, 2, "*", 1), Some((vec![3], 3)));
        assert_eq!(found(&recent, 2, "*", CHANGES + 1).unwrap().0.len(), CHANGES);
    }
}
