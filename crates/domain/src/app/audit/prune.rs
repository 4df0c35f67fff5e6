//! Pruning: records that are older than the log is kept for go, from the start on. Their hashes stay, so that the tree is
//! the one that it was.

use jiff::{SignedDuration, Timestamp};

use super::root_over;
use crate::app::App;
use crate::audit::tree::{BLOCK, BLOCK_BITS, Tree};
use crate::audit::{Action, Actor, Broken, Event, Object, StoredHashes, Verifier};
use crate::error::{Error, Result};
use crate::store::Store;

/// Records that go in one change.
const STEP: u64 = 1024;
/// For how long the clock is believed past the newest record.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);

impl App {
    /// Prunes the log of events that are older than it is kept for, and at most up to a record; a few at a time. Says how
    /// many.
    ///
    /// What was altered is not pruned, nor is a log whose start nothing tells of: the walk over the rest would then find
    /// nothing wrong. The clock is believed for a day past the newest record, so that one that is years ahead when the
    /// machine starts does not take all.
    ///
    /// # Errors
    /// Those of the store. What is wrong with the log is in the value.
    pub async fn audit_sweep(&self, upto: u64) -> Result<Result<u64, Broken>> {
        let Some(retention) = self.limits.audit else { return Ok(Ok(0)) };
        let believed = self.newest().await?.checked_add(BELIEVED).unwrap_or(Timestamp::MAX);
        let by = retention.before(believed.min(self.clock.now()));
        let start = self.store.audit_pruned().await?;
        if let Err(broken) = start_is_told(&*self.store, start).await? {
            return Ok(Err(broken));
        }
        let mut from = start;
        loop {
            let due = match due(&*self.store, from, upto, by).await? {
                Ok(due) => due,
                Err(broken) => return Ok(Err(broken)),
            };
            if due == from {
                return Ok(Ok(from - start));
            }
            let actor = Actor::server(self.operator().await?.principal);
            let object = Object::AuditLog { upto: due, root: root_over(&*self.store, 0..due).await? };
            let stamp = self.stamper.stamp()?;
            let event = Event::new(stamp, self.account.id, actor, object, Action::Pruned);
            self.store.audit_prune(from, due, event).await?;
            from = due;
        }
    }

    /// When the newest record was made, if it can be read.
    async fn newest(&self) -> Result<Timestamp> {
        let last = self.store.audit_head().await?.sequence;
        let record = self.store.audit_list(last.saturating_sub(1), 1).await?;
        let event = record.first().and_then(|record| Event::from_canonical(&record.canonical).ok());
        Ok(event.map_or(Timestamp::MAX, |event| event.at))
    }
}

/// Whether the record that is to tell where the log starts is in it, and does.
async fn start_is_told(store: &dyn Store, start: u64) -> Result<Result<(), Broken>> {
    if start == 0 {
        return Ok(Ok(()));
    }
    let by = store.audit_pruned_by().await?.saturating_sub(1);
    let (record, hash) = (store.audit_list(by, 1).await?, store.audit_hashes(0, by, 1).await?);
    let untouched =
        record.first().filter(|record| record.sequence == by + 1 && Some(&record.hash()) == hash.first());
    let event = untouched.and_then(|record| Event::from_canonical(&record.canonical).ok());
    let told = match event.map(|event| event.object) {
        Some(Object::AuditLog { upto, root }) => upto == start && root == tree_at(store, start).await?.root(),
        _ => false,
    };
    Ok(if told { Ok(()) } else { Err(Broken::Start { upto: start }) })
}

/// Up to which record the log can be pruned next, with whole blocks of hashes: what comes after `from`, is of that time or
/// before, and is what was written.
async fn due(store: &dyn Store, from: u64, upto: u64, by: Timestamp) -> Result<Result<u64, Broken>> {
    // A record that is being added has no place in the tree before the head says so.
    let upto = upto.min(from + STEP).min(store.audit_head().await?.sequence);
    if upto <= from {
        return Ok(Ok(from));
    }
    let mut kept = StoredHashes::default();
    for (level, first, count) in StoredHashes::wanted(from, upto) {
        kept.push(first, store.audit_hashes(level, first, count).await?);
    }
    let mut verifier = Verifier::starting_at(tree_at(store, from).await?, &[]);
    let mut due = from;
    for record in store.audit_list(from, (upto - from) as usize).await? {
        match verifier.check(&record, &kept) {
            Ok(event) if event.at <= by => due = record.sequence,
            Ok(_) => break,
            Err(broken) => return Ok(Err(broken)),
        }
    }
    Ok(Ok(due - due % BLOCK as u64))
}

/// The tree over the first records of a log, out of the hashes that it keeps.
///
/// # Errors
/// Those of the store; `Internal` when hashes are missing.
pub async fn tree_at(store: &dyn Store, size: u64) -> Result<Tree> {
    let levels = size.checked_ilog2().map_or(0, |bits| bits / BLOCK_BITS + 1);
    let mut edge = Vec::new();
    for level in 0..levels {
        let hashes = size >> (BLOCK_BITS * level);
        let count = hashes % BLOCK as u64;
        edge.extend(store.audit_hashes(level, hashes - count, count).await?.into_iter().flatten());
    }
    Tree::from_bytes(size, &edge).map_err(|error| Error::Internal(Box::new(error)))
}
