//! What a process knows of the store that it shares with others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use strongroom_crypto::leaf_digest;
use strongroom_domain::audit::Record;
use strongroom_domain::store::{Moment, OthersChanges};
use strongroom_domain::{Digest, Error, Result};
use tokio::sync::watch;

use super::audit;
use super::error;
use super::row::{corrupt, get, get_opt};
use super::schema::Outdated;
use super::session::{Pool, Reader};
use super::transaction::{self, Appended, Committed, NotCommitted, Transaction};
use super::value::values;
use crate::written::Written;

/// How long a change is tried again while the database is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// More records of others than this at a time are not listed.
const LISTED: u64 = 4096;
/// Commits of its own that a process remembers. One that it forgets counts as another's, which costs it what it has cached.
const OWN: usize = 4096;

/// Tries something until it is done, or fails for good. What passes by is tried again, with pauses that grow, until it is too late.
pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(attempt: impl Fn() -> F) -> Result<T> {
    patiently_since(Instant::now(), attempt).await
}

/// The same for what somebody waits for since then. It is tried once at least.
pub(super) async fn patiently_since<T, F: Future<Output = Result<T>>>(
    since: Instant,
    attempt: impl Fn() -> F,
) -> Result<T> {
    let until = since + PATIENCE;
    let mut pause = Duration::from_millis(5);
    loop {
        match attempt().await {
            Err(error) if error::is_passing_by(&error) && Instant::now() < until => {}
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

pub(super) struct Node {
    pub(super) pool: Pool,
    /// A connection of its own for looking at what others do: it must not wait behind requests, whose number grows when nobody
    /// has looked for a while.
    looks: Pool,
    pub(super) written: Written,
    own: Mutex<Own>,
    /// The version of the tables, once that is one which is not known here; 0 before.
    outdated: AtomicU64,
    /// The last record of the log that is known here.
    pub(super) logged: watch::Sender<u64>,
}

impl Node {
    pub(super) fn new(pool: Pool, looks: Pool, last: u64) -> Self {
        Self {
            pool,
            looks,
            written: Written::default(),
            own: Mutex::default(),
            outdated: AtomicU64::default(),
            logged: watch::channel(last).0,
        }
    }

    /// Commits a transaction. If its answer is lost, or does not tell, the log tells whether it happened.
    pub(super) async fn commit(&self, transaction: &Transaction, appended: &Appended<'_>) -> Result<()> {
        let committed = match transaction.commit(appended).await {
            Ok(committed) => committed,
            Err(NotCommitted::Undone(error)) => return Err(error),
            Err(NotCommitted::Unknown(error)) => {
                let Some(first) = appended.entries.first() else { return Err(error::unknown(&error)) };
                let after = transaction.log_size();
                let found = patiently(|| transaction::has_record(&self.pool, after, first)).await;
                if !found.map_err(|_| error::unknown(&error))? {
                    return Err(error);
                }
                let (upto, commit) = (after + appended.entries.len() as u64, transaction.log.commits + 1);
                Committed { after, upto, hash: appended.last(), commit, untold: false }
            }
        };
        self.own().add(committed);
        self.knows(committed.upto);
        Ok(())
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, last: u64) {
        self.logged.send_if_modified(|known| {
            let later = last > *known;
            *known = last.max(*known);
            later
        });
    }

    /// Waits until the log has a record after that one; says which is its last.
    pub(super) async fn logged_past(&self, past: u64) -> Result<u64> {
        let mut logged = self.logged.subscribe();
        let last = logged.wait_for(|last| *last > past).await;
        last.map(|last| *last).map_err(|error| Error::Unavailable(Box::new(error)))
    }

    /// Fails once a later version has changed the tables: that is no state which a memory helps over.
    pub(super) fn must_know_the_tables(&self) -> Result<()> {
        Outdated::check(self.outdated.load(Ordering::Relaxed))
            .map_err(|outdated| Error::Internal(Box::new(outdated)))
    }

    /// What others did since a moment.
    pub(super) async fn changed_by_others(&self, since: Option<Moment>) -> Result<OthersChanges> {
        // What was acknowledged before it is looked for is there, unless the store was put back.
        let acknowledged = self.own().last();
        let now = self.moment().await?;
        self.knows(now.record);
        let nothing = OthersChanges { now, records: Vec::new(), untold: false, unknown: false };
        if now.commits < acknowledged {
            return Ok(self.put_back(nothing));
        }
        let Some(since) = since.filter(|since| *since != now) else { return Ok(nothing) };
        let Some(all) = Tally::between(&since, &now) else { return Ok(self.put_back(nothing)) };
        let own = self.own().between(since.commits, now.commits);
        let by_own = Tally::of(&own);
        // Whoever goes on from this moment has the records that were seen and made before, where they were.
        let hashes = own.iter().filter_map(|own| Some((own.upto, Some(own.hash?))));
        let hashes = || hashes.clone().chain([(since.record, since.hash), (now.record, now.hash)]);
        if all == by_own {
            let records = audit::those(&self.looks, hashes().map(|(number, _)| number)).await?;
            return Ok(if are_in(&records, hashes()) { nothing } else { self.put_back(nothing) });
        }
        if all.records > LISTED {
            return Ok(OthersChanges { unknown: true, ..nothing });
        }
        let before = since.record.saturating_sub(1);
        let listed = usize::try_from(now.record - before).unwrap_or(usize::MAX);
        let mut records = audit::list(&self.looks, before, listed).await?;
        records.retain(|record| record.sequence <= now.record);
        // Some may be pruned, and what they told with them.
        if records.len() != listed || !are_in(&records, hashes()) {
            return Ok(self.put_back(nothing));
        }
        records.retain(|record| {
            record.sequence > since.record
                && !own.iter().any(|own| (own.after + 1..=own.upto).contains(&record.sequence))
        });
        Ok(OthersChanges { records, untold: all.untold != by_own.untold, ..nothing })
    }

    /// Where the store is by now. One statement, so that all of it is of the same moment.
    async fn moment(&self) -> Result<Moment> {
        const NOW: &str = "SELECT sequence, commits, untold, \
             (SELECT canonical FROM audit WHERE audit.sequence = audit_head.sequence), \
             (SELECT version FROM store_version WHERE id = 1) FROM audit_head WHERE id = 1";
        let rows = self.looks.query(NOW, &[]).await?;
        let row = rows.first().ok_or_else(|| corrupt("audit log"))?;
        if let Err(outdated) = Outdated::check(get(row, 4)?) {
            if self.outdated.swap(outdated.found, Ordering::Relaxed) == 0 {
                tracing::error!(%outdated, "this server changes nothing any more, and is not ready");
            }
            return Err(outdated.into());
        }
        let hash = get_opt::<Vec<u8>>(row, 3)?.map(|canonical| leaf_digest(&canonical));
        Ok(Moment { record: get(row, 0)?, hash, commits: get(row, 1)?, untold: get(row, 2)? })
    }

    /// The log is not the one that was seen, as after the failure of a database whose last commits no other one has. What is known of
    /// its end is forgotten: commits of this process may be gone, and whoever waits for the next record waits for the next one there is.
    fn put_back(&self, nothing: OthersChanges) -> OthersChanges {
        self.own().0.clear();
        self.logged.send_replace(nothing.now.record);
        OthersChanges { unknown: true, ..nothing }
    }
}

/// Whether each record with a hash is among these, which are in order, and one without is not.
fn are_in(records: &[Record], mut hashes: impl Iterator<Item = (u64, Option<Digest>)>) -> bool {
    hashes.all(|(number, hash)| {
        let found = records.binary_search_by_key(&number, |record| record.sequence).ok();
        found.map(|place| records[place].hash()) == hash
    })
}

/// How much was done.
#[derive(PartialEq, Eq)]
struct Tally {
    commits: u64,
    records: u64,
    untold: u64,
}

impl Tally {
    /// Between two moments; none if the later one cannot come of the earlier.
    fn between(since: &Moment, now: &Moment) -> Option<Self> {
        let commits = now.commits.checked_sub(since.commits).filter(|commits| *commits > 0)?;
        let records = now.record.checked_sub(since.record)?;
        Some(Self { commits, records, untold: now.untold.checked_sub(since.untold)? })
    }

    fn of(commits: &[Committed]) -> Self {
        Self {
            commits: commits.len() as u64,
            records: commits.iter().map(|commit| commit.upto - commit.after).sum(),
            untold: commits.iter().filter(|commit| commit.untold).count() as u64,
        }
    }
}

/// What this process committed, as far as it was not told of yet. It learns of the ends of its commits in no order.
#[derive(Default)]
struct Own(VecDeque<Committed>);

impl Own {
    /// The number of the last one.
    fn last(&self) -> u64 {
        self.0.iter().map(|own| own.commit).max().unwrap_or(0)
    }

    fn add(&mut self, committed: Committed) {
        // One of that number that was known is of a log that was put back.
        self.0.retain(|known| known.commit != committed.commit);
        self.0.push_back(committed);
        if self.0.len() > OWN {
            self.0.pop_front();
        }
    }

    /// Those after one commit and up to another; what was before is forgotten. One that is not known of yet counts as another's.
    fn between(&mut self, after: u64, upto: u64) -> Vec<Committed> {
        self.0.retain(|own| own.commit > after);
        self.0.iter().filter(|own| own.commit <= upto).copied().collect()
    }
}

/// Entries for the log, written out before the log is held.
pub(super) fn entries(
    events: &[strongroom_domain::audit::Event],
) -> Result<Vec<strongroom_domain::audit::Entry>> {
    events.iter().map(strongroom_domain::audit::Entry::new).collect()
}

pub(super) const SEQUENCE: &str = "SELECT sequence FROM audit_head WHERE id = 1";

/// The last record of the log.
pub(super) async fn last_record(pool: &Pool) -> Result<u64> {
    pool.query_one(SEQUENCE, &values![]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u64) -> Committed {
        Committed { after: number, upto: number + 1, hash: None, commit: number, untold: false }
    }

    /// A commit whose end was learned of too late to be counted is not counted later, in the place of another's.
    #[test]
    fn own_commits_are_counted_once_in_whatever_order_they_are_learned_of() {
        let mut own = Own::default();
        own.add(commit(5));
        own.add(commit(4));
        own.add(commit(7));
        let numbers = |found: Vec<Committed>| found.iter().map(|own| own.commit).collect::<Vec<_>>();
        // The fourth was looked at before its end was known here.
        assert_eq!(numbers(own.between(4, 6)), [5]);
        assert_eq!(numbers(own.between(6, 8)), [7]);
        for number in 9..9 + OWN as u64 + 3 {
            own.add(commit(number));
        }
        assert_eq!(own.0.len(), OWN);
        assert!(own.between(u64::MAX, u64::MAX).is_empty() && own.0.is_empty());
    }
}
