//! What time alone brings about: values, deleted things, answers and audit events that are not to be kept any longer go, and
//! secrets come to their end. Work on the side, a little at a time, at the start and every hour.

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::audit::Broken;
use strongroom_domain::store::Lease;

use crate::{Shared, leases};

/// From one sweep to the next.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Sweeps until it is dropped, unless another process does. A sweep that fails is told in the log, and the next one goes on where
/// it was. `prunable` says up to which event the audit log may be pruned.
pub async fn run(shared: Arc<Shared>, prunable: impl Fn() -> u64 + Send) {
    loop {
        shared.app.unsealed().await;
        let sweeps = async {
            // Without keys the lease is given back, to one that has some.
            tokio::select! {
                () = shared.app.sealed() => {}
                () = sweep_on(&shared, &prunable) => {}
            }
        };
        leases::while_held(&shared, Lease::Sweeping, sweeps).await;
    }
}

async fn sweep_on(shared: &Shared, prunable: &impl Fn() -> u64) {
    loop {
        sweep(shared, prunable()).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// One sweep.
pub async fn sweep(shared: &Shared, prunable: u64) {
    // First: what the others add to the log would have it believe a clock that is ahead.
    match prune(shared, prunable).await {
        Ok(Ok(0)) => {}
        Ok(Ok(events)) => tracing::info!(events, "the audit log was pruned, as it is set to be"),
        Ok(Err(broken)) => {
            tracing::error!(%broken, "THE AUDIT LOG WAS TAMPERED WITH OR DAMAGED, and is not pruned");
        }
        Err(error) => told(&error),
    }
    match shared.app.versions_sweep().await {
        Ok(0) => {}
        Ok(versions) => tracing::info!(versions, "earlier values were destroyed, as they are set to be"),
        Err(error) => told(&error),
    }
    match shared.app.answers_sweep().await {
        Ok(0) => {}
        Ok(answers) => tracing::info!(answers, "first answers were forgotten, as their day was over"),
        Err(error) => told(&error),
    }
    match shared.app.expiry_sweep().await {
        Ok(0) => {}
        Ok(secrets) => {
            tracing::info!(secrets, "the audit log tells of secrets that expire soon, or have expired")
        }
        Err(error) => told(&error),
    }
    match shared.app.deliveries_sweep().await {
        Ok(0) => {}
        Ok(deliveries) => tracing::info!(deliveries, "dead deliveries were removed, as their time was over"),
        Err(error) => told(&error),
    }
    match shared.app.deleted_sweep().await {
        Ok(0) => {}
        Ok(things) => tracing::info!(things, "deleted things were destroyed, as their time was over"),
        Err(error) => told(&error),
    }
    match shared.app.vault_keys_sweep().await {
        Ok(0) => {}
        Ok(vaults) => {
            tracing::info!(vaults, "vault keys are rotated, as they are as old as they are set to get");
            shared.rotator.wake();
        }
        Err(error) => told(&error),
    }
}

/// Prunes the audit log, but nothing that a webhook is still to be told of.
async fn prune(shared: &Shared, prunable: u64) -> strongroom_domain::Result<Result<u64, Broken>> {
    let reached = shared.app.deliveries_reached().await?;
    shared.app.audit_sweep(prunable.min(reached)).await
}

fn told(error: &strongroom_domain::Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, "a sweep failed; the next one is in an hour");
}
