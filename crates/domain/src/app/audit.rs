//! The audit log, for those who work on the machine itself.

use crate::audit::{Broken, Head, Verifier};
use crate::error::Result;
use crate::store::Store;

/// How many records are read at a time.
const STEP: usize = 1000;

/// Walks a store's whole audit log. `progress` is told how many records have been checked.
///
/// # Errors
/// Those of the store. What the walk found is in the value: the end of the log, or what is wrong first.
pub async fn verify(store: &dyn Store, mut progress: impl FnMut(u64)) -> Result<Result<Head, Broken>> {
    // The head is read first: a server that writes meanwhile only adds records after it.
    let head = store.audit_head().await?;
    let mut verifier = Verifier::default();
    let mut done = 0;
    while done < head.sequence {
        let mut records = store.audit_list(done, STEP).await?;
        records.retain(|record| record.sequence <= head.sequence);
        if records.is_empty() {
            break;
        }
        for record in &records {
            if let Err(broken) = verifier.check(record) {
                return Ok(Err(broken));
            }
        }
        done += records.len() as u64;
        progress(done);
    }
    let walked = verifier.finish(&head).map(|()| head);
    // Records after the head are those of a server that goes on, and then the head has gone on too.
    let after = store.audit_list(head.sequence, 1).await?;
    let end = store.audit_head().await?;
    match after.first() {
        Some(record) if walked.is_ok() && record.sequence > end.sequence => {
            Ok(Err(Broken::WrongEnd { expected: end.sequence, found: record.sequence }))
        }
        _ => Ok(walked),
    }
}
