//! How much was written since a store was opened, whatever it is made of.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_domain::store::{BATCH_BUCKETS, Counts};

#[derive(Default)]
pub(crate) struct Written {
    commits: AtomicU64,
    changes: AtomicU64,
    /// Commits of up to 1, 2, 4 … changes.
    sizes: [AtomicU64; BATCH_BUCKETS],
}

impl Written {
    /// Counts a commit of so many changes; one of none is none.
    pub(crate) fn count(&self, changes: u64) {
        if changes == 0 {
            return;
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes, Ordering::Relaxed);
        if let Some(bucket) = self.sizes.get(changes.next_power_of_two().trailing_zeros() as usize) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts of a store, with this among them.
    pub(crate) fn told(&self, counts: Counts) -> Counts {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            commits: number(&self.commits),
            changes: number(&self.changes),
            batch_sizes: self.sizes.each_ref().map(number),
            ..counts
        }
    }
}
