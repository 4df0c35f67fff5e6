//! What is asked of a store that several processes change.

use async_trait::async_trait;

use super::Store;
use crate::Digest;
use crate::audit::Record;
use crate::error::Result;

/// A place in the history of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The last audit record.
    pub record: u64,
    /// That record's hash; none before the first. A store that was put back to an earlier moment and went on from there has another
    /// record in its place.
    pub hash: Option<Digest>,
    /// Commits ever made, by whomever.
    pub commits: u64,
    /// How many of them changed sealed values without a record that tells of it.
    pub untold: u64,
}

/// What others did to a store between two moments.
#[derive(Debug)]
pub struct OthersChanges {
    /// The later of the two.
    pub now: Moment,
    /// The records that others appended, the oldest first.
    pub records: Vec<Record>,
    /// Whether they also changed how values are sealed, or destroyed earlier ones, with no record that tells of it.
    pub untold: bool,
    /// Whether they may have changed anything at all: it is too much to list, records of it are gone, or the store is not the one that
    /// was seen, as it was put back to an earlier moment.
    pub unknown: bool,
}

/// A store that other processes change too.
///
/// # Errors
/// Those of [`Store`].
#[async_trait]
pub trait SharedStore: Store {
    /// What others did since a moment; with `None` nothing but the moment it is now. What this process did is not in it. It also
    /// tells those who wait in [`audit_watch`](Store::audit_watch).
    ///
    /// A commit of this process that it was not told the end of counts as another's: what was read
    /// meanwhile may be from before it. It may be given up at any await, and is asked again then from the same moment.
    async fn changed_by_others(&self, since: Option<Moment>) -> Result<OthersChanges>;
}
