//! Goes on with rotations of keys: at the start, since a crash may have come between, when one begins, and now and then, since
//! one may have failed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_domain::Error;
use strongroom_domain::ids::VaultId;
use strongroom_domain::rotation::{Kind, Rotation};
use strongroom_domain::store::Lease;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::{Shared, leases};

/// How long until one that failed is tried again.
const PAUSE: Duration = Duration::from_secs(60);
/// Vault keys that are rotated at once, so that their commits are too. Of data keys it is one vault after the other: values take room.
const AT_ONCE: usize = 16;

/// Tells the one who rotates that there is something to do, and others what failed.
#[derive(Default)]
pub(crate) struct Rotator {
    begun: Notify,
    failing: Mutex<BTreeSet<VaultId>>,
}

impl Rotator {
    /// A rotation began.
    pub(crate) fn wake(&self) {
        self.begun.notify_one();
    }

    /// Whether the last try to go on with a vault's rotation failed.
    pub(crate) fn is_failing(&self, vault: VaultId) -> bool {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).contains(&vault)
    }

    fn note(&self, vault: VaultId, failed: bool) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failed {
            failing.insert(vault);
        } else {
            failing.remove(&vault);
        }
    }
}

/// Rotates until it is dropped. What is not done then is gone on with after the next start.
pub async fn run(shared: Arc<Shared>) {
    loop {
        shared.app.unsealed().await;
        // Held for as long as there is something to do, so that the process that begins a rotation goes on with it.
        leases::while_held(&shared, Lease::Rotating, go_on(&shared)).await;
        // Not to be woken is the rule: then it is looked whether one is left.
        let _ = tokio::time::timeout(PAUSE, shared.rotator.begun.notified()).await;
    }
}

/// Goes on with every rotation that is under way.
pub async fn go_on(shared: &Arc<Shared>) {
    let rotations = match shared.app.rotations().await {
        Ok(rotations) => rotations,
        Err(error) => return told(&error, None),
    };
    let (of_vaults, of_data): (Vec<_>, Vec<_>) =
        rotations.into_iter().partition(|rotation| rotation.kind == Kind::VaultKey);
    // Dropped with this, and what is not done then with it.
    let mut running = JoinSet::new();
    for rotation in of_vaults {
        if running.len() == AT_ONCE {
            // A panic is told in the log by itself.
            let _ = running.join_next().await;
        }
        let shared = shared.clone();
        running.spawn(async move { one(&shared, &rotation).await });
    }
    while running.join_next().await.is_some() {}
    for rotation in of_data {
        one(shared, &rotation).await;
    }
}

async fn one(shared: &Shared, rotation: &Rotation) {
    let (vault, kind) = (rotation.vault, rotation.kind.as_str());
    let went = shared.app.rotation_go_on(rotation).await;
    shared.rotator.note(vault, went.is_err());
    match went {
        Ok(Some(values)) => {
            shared.metrics.rotated_values.inc_by(values);
            tracing::info!(%vault, kind, values, "keys were rotated, and nothing refers to an old one");
        }
        Ok(None) => {}
        Err(error) => {
            shared.metrics.failed_rotations.inc();
            told(&error, Some(vault));
        }
    }
}

fn told(error: &Error, vault: Option<VaultId>) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let vault = vault.map(|vault| vault.to_string());
    tracing::warn!(%error, cause, vault, "a rotation of keys failed, and no value is lost by that; it is tried again in a minute");
}
