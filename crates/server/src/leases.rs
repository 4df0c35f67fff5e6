//! What runs by itself runs in one process at a time, of those that share a store: in the one that holds the lease.
//!
//! A lease saves work and keeps an order, and nothing that is stored hangs on it: a process that is stopped may go on for a moment
//! after its lease is another's. What it then changes is refused or is no harm. Sweeps and rotations name what they found and
//! change it only where it is still that; the log is pruned from where it was seen to start. A webhook's place in the log
//! never goes back, so that a message is sent twice at worst, as after a crash.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use strongroom_domain::store::Lease;
use tokio::time::{Instant, sleep, timeout};

use crate::Shared;

/// For how long a lease is taken; what its holder did goes on elsewhere that long after it died, and [`RENEWAL`] more.
const SPAN: Duration = Duration::from_secs(6);
/// How often the holder takes it anew, and how often others try to.
const RENEWAL: Duration = Duration::from_secs(2);
/// How long before its end a lease that could not be renewed is given up: two processes may not count the time alike.
const MARGIN: Duration = Duration::from_secs(1);

/// The leases of this process.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashSet<Lease>>);

impl Leases {
    fn note(&self, lease: Lease) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lease);
    }

    fn forget(&self, lease: Lease) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease);
    }

    fn take_all(&self) -> HashSet<Lease> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for a lease, and then works until the work ends, which gives the lease back. If the lease is lost before, the work is
/// dropped where it is, and there is no answer.
pub(crate) async fn while_held<T>(shared: &Shared, lease: Lease, work: impl Future<Output = T>) -> Option<T> {
    let taken = taken(shared, lease).await;
    shared.leases.note(lease);
    let done = tokio::select! {
        biased;
        () = lost(shared, lease, taken) => None,
        done = work => Some(done),
    };
    shared.leases.forget(lease);
    if done.is_some() {
        give_back(shared, lease).await;
    } else {
        tracing::warn!(%lease, "the lease was lost to another server, or could not be renewed: its work ended here");
    }
    done
}

/// Gives all leases back: this process stops, and others need not wait.
pub async fn give_back_all(shared: &Shared) {
    for lease in shared.leases.take_all() {
        give_back(shared, lease).await;
    }
}

async fn give_back(shared: &Shared, lease: Lease) {
    // If it cannot be given back now, it ends by itself.
    if !matches!(timeout(RENEWAL, shared.app.lease_give_back(lease)).await, Ok(Ok(()))) {
        tracing::debug!(%lease, "a lease could not be given back, and ends by itself");
    }
}

/// Waits until the lease is this process's; says when it was asked for.
async fn taken(shared: &Shared, lease: Lease) -> Instant {
    loop {
        let asked = Instant::now();
        if matches!(timeout(RENEWAL, shared.app.lease_take(lease, SPAN)).await, Ok(Ok(true))) {
            return asked;
        }
        sleep(RENEWAL).await;
    }
}

/// Renews a lease, and ends when it is not this process's any more, or may not be.
async fn lost(shared: &Shared, lease: Lease, mut taken: Instant) {
    loop {
        sleep(RENEWAL).await;
        let asked = Instant::now();
        // Asked for in time or not at all: an answer that came later would tell of a lease that began anew.
        let left = (SPAN - MARGIN).saturating_sub(taken.elapsed());
        match timeout(left.min(RENEWAL), shared.app.lease_take(lease, SPAN)).await {
            Ok(Ok(true)) => taken = asked,
            Ok(Ok(false)) => return,
            Ok(Err(_)) | Err(_) if taken.elapsed() + MARGIN < SPAN => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
