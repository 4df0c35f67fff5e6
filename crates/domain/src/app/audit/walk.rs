//! A walk through all of the log.

use crate::audit::{Broken, Head, Record, StoredHashes, Verifier};
use crate::error::Result;
use crate::store::Store;

/// How many records are read at a time: a power of sixteen, so that each stretch of them has whole blocks of hashes.
const STEP: u64 = 4096;

/// Walks a store's whole audit log. `progress` is told how many records have been checked.
///
/// # Errors
/// Those of the store. What the walk found is in the value: the end of the log, or what is wrong first.
pub async fn verify(store: &dyn Store, progress: impl FnMut(u64)) -> Result<Result<Head, Broken>> {
    verify_against(store, &[], progress).await
}

/// The same, for a log that is to lead past the heads which checkpoints tell of.
///
/// # Errors
/// As [`verify`].
pub async fn verify_against(
    store: &dyn Store,
    expected: &[Head],
    mut progress: impl FnMut(u64),
) -> Result<Result<Head, Broken>> {
    let mut verifier = Verifier::expecting(expected);
    let (mut done, mut start) = (0, 0);
    let head = loop {
        // The head is read first: a server that writes meanwhile only adds records after it.
        let head = store.audit_head().await?;
        while done < head.sequence {
            let upto = head.sequence.min(done + STEP);
            if let Err(broken) = stretch(store, &mut verifier, done, upto).await? {
                return Ok(Err(broken));
            }
            done = upto;
            progress(done);
        }
        // Where the log was pruned meanwhile, the event that tells of it may come after that head.
        if verifier.start_is_told() || verifier.start() == start {
            break head;
        }
        start = verifier.start();
    };
    if let Err(broken) = verifier.finish(&head) {
        return Ok(Err(broken));
    }
    Ok(nothing_beyond(store).await?.map(|()| head))
}

/// Looks for records outside of the log, which a list would show as some of it.
async fn nothing_beyond(store: &dyn Store) -> Result<Result<(), Broken>> {
    let pruned = store.audit_pruned().await?;
    if let Some(record) = store.audit_list(0, 1).await?.first()
        && record.sequence <= pruned
    {
        return Ok(Err(Broken::BeforeStart { found: record.sequence }));
    }
    // Records after the head are those of a server that goes on, and then the head has gone on too.
    let head = store.audit_head().await?;
    let after = store.audit_list(head.sequence, 1).await?;
    let end = store.audit_head().await?.sequence;
    Ok(match after.first() {
        Some(record) if record.sequence > end => {
            Err(Broken::WrongEnd { expected: end, found: record.sequence })
        }
        _ => Ok(()),
    })
}

/// Walks the records after one up to another. Those that are pruned are passed over by their hashes.
async fn stretch(
    store: &dyn Store,
    verifier: &mut Verifier,
    after: u64,
    upto: u64,
) -> Result<Result<(), Broken>> {
    let (records, pruned) = unpruned(store, after, upto).await?;
    let mut kept = StoredHashes::default();
    for (level, first, count) in StoredHashes::wanted(after, upto) {
        kept.push(first, store.audit_hashes(level, first, count).await?);
    }
    if let Err(broken) = verifier.pass_over(pruned, &kept) {
        return Ok(Err(broken));
    }
    for record in records.iter().filter(|record| (pruned + 1..=upto).contains(&record.sequence)) {
        if let Err(broken) = verifier.check(record, &kept) {
            return Ok(Err(broken));
        }
    }
    // What is missing at the end of a stretch shows by what comes after it.
    let found = verifier.size();
    if found == upto {
        return Ok(Ok(()));
    }
    let next = store.audit_list(found, 1).await?;
    Ok(Err(match next.first() {
        Some(record) => Broken::Gap { expected: found + 1, found: record.sequence },
        None => Broken::WrongEnd { expected: store.audit_head().await?.sequence, found },
    }))
}

/// The records of a stretch, and up to which of them the log is pruned.
async fn unpruned(store: &dyn Store, after: u64, upto: u64) -> Result<(Vec<Record>, u64)> {
    let pruned = store.audit_pruned().await?;
    if pruned >= upto {
        return Ok((Vec::new(), upto));
    }
    let records = store.audit_list(after.max(pruned), (upto - after.max(pruned)) as usize).await?;
    // Asked again: what was pruned meanwhile is not among them.
    Ok((records, store.audit_pruned().await?.min(upto)))
}
