//! Unsealing by the services that keep keys of slots, which need no person: at the start, and again until it is done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use strongroom_domain::app::App;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::{Error, RootKey};
use strongroom_slots::Config;

use super::{aside, let_in};
use crate::Shared;
use crate::error::chain;

/// The pause before the first attempt after the start; each one after it doubles it.
const FIRST: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// Why a service does not open a slot.
#[derive(Debug, thiserror::Error)]
pub enum Shut {
    /// The service does not give the slot's key.
    #[error(transparent)]
    Service(#[from] strongroom_slots::Error),
    /// It does, and the slot does not open with it.
    #[error("it was altered: its key does not open the root key")]
    Altered,
    /// The attempt cannot be made.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Shut {
    /// Whether the same attempt may well succeed later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Service(error) => error.may_pass(),
            Self::Altered => false,
            Self::Failed(_) => true,
        }
    }
}

/// Opens the root key by the service that keeps the slot's key.
///
/// # Errors
/// [`Shut`].
pub async fn open(app: &App, config: &Config, slot: &KeySlot) -> Result<RootKey, Shut> {
    let (config, asked) = (config.clone(), slot.clone());
    let key = aside(move || config.open(asked.kind, &asked.opener, &asked.sealed.public)).await??;
    app.open_slot(slot, &key).await.map_err(|error| match error {
        Error::Internal(_) => Shut::Altered,
        error => Shut::Failed(error),
    })
}

/// Tries the slots whose services did not answer at the start, until the server is unsealed by whatever means. A server that
/// was unsealed once is left alone: whoever seals it then means it.
pub async fn run(shared: Arc<Shared>, mut slots: Vec<KeySlot>) {
    if slots.is_empty() {
        return;
    }
    tracing::info!("the key services are asked again until the server is unsealed");
    let (mut pause, mut told) = (FIRST, None);
    while !slots.is_empty() {
        tokio::select! {
            () = shared.app.unsealed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST);
        match attempt(&shared, &mut slots).await {
            Ok(true) => return,
            Ok(false) => {}
            // Once for each reason, and not for each attempt.
            Err(error) => {
                let cause = chain(&error);
                if told.as_ref() != Some(&cause) {
                    tracing::error!(cause, "a key service opens the root key, and the server stays sealed");
                }
                told = Some(cause);
            }
        }
    }
}

/// Asks each service once, and keeps the slots that it may help to ask about again. Whether the server needs no more of it.
async fn attempt(shared: &Arc<Shared>, slots: &mut Vec<KeySlot>) -> Result<bool, Error> {
    let is_done = || shared.sealing.was_unsealed.load(Ordering::Acquire);
    for slot in slots.clone() {
        match open(&shared.app, &shared.settings.slots, &slot).await {
            Ok(root_key) => {
                // A person may have been quicker.
                let _turn = shared.sealing.turn.lock().await;
                if !is_done() {
                    let_in(shared, &slot, root_key, None).await?;
                }
                return Ok(true);
            }
            Err(shut) if shut.may_pass() => {}
            Err(_) if is_done() => return Ok(true),
            Err(why) => {
                slots.retain(|left| left.id != slot.id);
                let kind = slot.kind.as_str();
                tracing::warn!(slot = %slot.name, kind, %why, "a key slot does not open, and is not tried again");
            }
        }
    }
    Ok(is_done())
}
