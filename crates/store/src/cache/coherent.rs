//! Maps whose answers are never older than the last acknowledged change.
//!
//! What a change replaces is taken out before the change is sent to the store, and cannot come back before it is done. A
//! reader takes a ticket first, and may keep what it read only if no change began since.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;

/// What an entry weighs beside its texts: the record itself, the map's own notes.
pub(super) const ENTRY_WEIGHT: usize = 400;
/// Keys are spread over this many locks.
const STRIPES: usize = 64;

/// What is known of the changes that concern a lock's keys.
#[derive(Default)]
struct Changes {
    /// Changes under way.
    changing: usize,
    /// Changes ever begun: tells a reader that one began while it read.
    begun: u64,
}

impl Changes {
    fn begin(&mut self) {
        self.changing += 1;
        self.begun += 1;
    }

    fn ticket(&self) -> Option<u64> {
        (self.changing == 0).then_some(self.begun)
    }
}

fn locked(changes: &Mutex<Changes>) -> MutexGuard<'_, Changes> {
    changes.lock().unwrap_or_else(PoisonError::into_inner)
}

type Weigh<V> = fn(&V) -> usize;

/// The same of an entry whose key is of any length.
type WeighBoth<K, V> = fn(&K, &V) -> usize;

struct Weighter<V>(Weigh<V>);

impl<V> Clone for Weighter<V> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<K, V> quick_cache::Weighter<K, Arc<V>> for Weighter<V> {
    fn weight(&self, _: &K, value: &Arc<V>) -> u64 {
        (ENTRY_WEIGHT + (self.0)(value)) as u64
    }
}

/// A bounded map that never answers with what a finished change has replaced.
pub(super) struct Coherent<K, V> {
    entries: Cache<K, Arc<V>, Weighter<V>>,
    stripes: Box<[Mutex<Changes>]>,
    hasher: RandomState,
}

impl<K: Copy + Eq + Hash, V> Coherent<K, V> {
    /// A map of so many bytes, about.
    pub(super) fn new(weight: u64, weigh: Weigh<V>) -> Self {
        Self {
            entries: Cache::with_weighter(items(weight), weight, Weighter(weigh)),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    fn stripe(&self, key: K) -> MutexGuard<'_, Changes> {
        locked(&self.stripes[self.hasher.hash_one(key) as usize % STRIPES])
    }

    /// What is known.
    pub(super) fn get(&self, key: K) -> Option<Arc<V>> {
        self.entries.get(&key)
    }

    /// To be asked before the store is read; without a ticket the answer is not to be kept.
    pub(super) fn ticket(&self, key: K) -> Option<u64> {
        self.stripe(key).ticket()
    }

    /// Keeps an answer of the store, unless a change began since the ticket was given.
    pub(super) fn keep(&self, key: K, ticket: Option<u64>, value: &Arc<V>) {
        let stripe = self.stripe(key);
        if ticket == Some(stripe.begun) {
            self.entries.insert(key, value.clone());
        }
    }

    /// A change of it begins.
    pub(super) fn begin(&self, key: K) {
        let mut stripe = self.stripe(key);
        stripe.begin();
        self.entries.remove(&key);
    }

    /// A change of it is done, or failed.
    pub(super) fn end(&self, key: K) {
        self.stripe(key).changing -= 1;
    }

    /// A change begins that may concern all of them.
    pub(super) fn begin_all(&self) {
        self.stripes.iter().for_each(|stripe| locked(stripe).begin());
        self.entries.clear();
    }

    /// That change is done, or failed.
    pub(super) fn end_all(&self) {
        self.stripes.iter().for_each(|stripe| locked(stripe).changing -= 1);
    }
}

fn items(weight: u64) -> usize {
    usize::try_from(weight).unwrap_or(usize::MAX) / ENTRY_WEIGHT
}

/// A page, and how many changes had begun when it was read.
struct Kept<V> {
    begun: u64,
    page: Arc<V>,
}

impl<V> Clone for Kept<V> {
    fn clone(&self) -> Self {
        Self { begun: self.begun, page: self.page.clone() }
    }
}

struct PageWeighter<K, V>(WeighBoth<K, V>);

impl<K, V> Clone for PageWeighter<K, V> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<K, V> quick_cache::Weighter<K, Kept<V>> for PageWeighter<K, V> {
    fn weight(&self, key: &K, kept: &Kept<V>) -> u64 {
        (ENTRY_WEIGHT + (self.0)(key, &kept.page)) as u64
    }
}

/// A bounded map of pages of lists. Which of them a change would alter is not worth finding out: each puts all of them out of
/// date at once, at the cost of a count.
pub(super) struct Pages<K, V> {
    entries: Cache<K, Kept<V>, PageWeighter<K, V>>,
    changes: Mutex<Changes>,
}

impl<K: Eq + Hash, V> Pages<K, V> {
    /// A map of so many bytes, about.
    pub(super) fn new(weight: u64, weigh: WeighBoth<K, V>) -> Self {
        let entries = Cache::with_weighter(items(weight), weight, PageWeighter(weigh));
        Self { entries, changes: Mutex::default() }
    }

    /// What is known and not out of date.
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        let kept = self.entries.get(key)?;
        (kept.begun == locked(&self.changes).begun).then_some(kept.page)
    }

    /// To be asked before the store is read; without a ticket the answer is not to be kept.
    pub(super) fn ticket(&self) -> Option<u64> {
        locked(&self.changes).ticket()
    }

    /// Keeps an answer of the store, as of when the ticket was given.
    pub(super) fn keep(&self, key: K, ticket: Option<u64>, page: &Arc<V>) {
        if let Some(begun) = ticket {
            self.entries.insert(key, Kept { begun, page: page.clone() });
        }
    }

    /// A change of something that is listed begins.
    pub(super) fn begin(&self) {
        locked(&self.changes).begin();
    }

    /// A change is done, or failed.
    pub(super) fn end(&self) {
        locked(&self.changes).changing -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_read_before_a_change_is_not_given_after_it() {
        let pages: Pages<u8, u32> = Pages::new(1 << 20, |_, _| 4);
        let ticket = pages.ticket();
        pages.keep(1, ticket, &Arc::new(10));
        assert_eq!(pages.get(&1).as_deref(), Some(&10));
        pages.begin();
        assert_eq!(pages.get(&1), None);
        // Read while the change was under way: before it or after it, nobody knows.
        pages.keep(1, pages.ticket(), &Arc::new(11));
        assert_eq!(pages.get(&1), None);
        pages.end();
        assert_eq!(pages.get(&1), None);
        // Read before the change, and late.
        pages.keep(1, ticket, &Arc::new(10));
        assert_eq!(pages.get(&1), None);
        pages.keep(1, pages.ticket(), &Arc::new(12));
        assert_eq!(pages.get(&1).as_deref(), Some(&12));
    }

    #[test]
    fn a_page_weighs_what_its_key_does_too() {
        const WEIGHT: usize = 64 << 10;
        let pages: Pages<String, u32> = Pages::new(WEIGHT as u64, |key, _| key.len() + 4);
        for number in 0..1000 {
            pages.keep(format!("{number:04000}"), pages.ticket(), &Arc::new(number));
        }
        assert!(pages.entries.weight() <= WEIGHT as u64);
        assert!((1..=WEIGHT / 4000).contains(&pages.entries.len()), "{}", pages.entries.len());
    }
}
