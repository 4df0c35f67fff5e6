//! Goes on with rotations of keys: at the start, since a crash may have come between, when one begins, and now and then, since
//! one may have failed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_domain::Error;
use strongroom_domain::app::Went;
use strongroom_domain::ids::VaultId;
use tokio::sync::Notify;

use crate::Shared;

/// How long until one that failed is tried again.
const PAUSE: Duration = Duration::from_secs(60);

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

    fn note(&self, went: &Went) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if went.result.is_err() {
            failing.insert(went.vault);
        } else {
            failing.remove(&went.vault);
        }
    }
}

/// Rotates until it is dropped. What is not done then is gone on with after the next start.
pub async fn run(shared: Arc<Shared>) {
    loop {
        go_on(&shared).await;
        // Not to be woken is the rule: then it is looked whether one is left.
        let _ = tokio::time::timeout(PAUSE, shared.rotator.begun.notified()).await;
    }
}

/// Goes on with every rotation that is under way.
pub async fn go_on(shared: &Shared) {
    match shared.app.rotations_run().await {
        Ok(went) => {
            for went in went {
                shared.rotator.note(&went);
                let (vault, kind) = (went.vault, went.kind.as_str());
                match went.result {
                    Ok(values) => {
                        shared.metrics.rotated_values.inc_by(values);
                        tracing::info!(%vault, kind, values, "keys were rotated, and nothing refers to an old one");
                    }
                    Err(error) => {
                        shared.metrics.failed_rotations.inc();
                        told(&error, Some(vault.to_string()));
                    }
                }
            }
        }
        Err(error) => told(&error, None),
    }
}

fn told(error: &Error, vault: Option<String>) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, vault, "a rotation of keys failed, and no value is lost by that; it is tried again in a minute");
}
