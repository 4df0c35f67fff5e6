//! Unsealing: what somebody gives to a server that has no keys.
//!
//! Nobody who asks has shown who it is, so an attempt is made to cost little and to tell nothing: one at a time, with a pause after
//! one that failed, and one answer for whatever is wrong with a passphrase.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use strongroom_domain::audit::Client;
use strongroom_domain::ids::KeySlotId;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::{Error, SlotKey, SlotKind};
use strongroom_slots::shamir::Collector;
use strongroom_slots::{passphrase, recovery};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::Shared;
use crate::error::{Problem, SlotProblem};

/// Shares that were given are forgotten after this time.
const GATHERING: Duration = Duration::from_secs(10 * 60);
/// The pause after an attempt that failed; it doubles with each, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What opens a slot, as a person gives it.
pub(crate) enum Given {
    Passphrase(Zeroizing<String>),
    Words(Zeroizing<String>),
    Shares(Vec<Zeroizing<String>>),
}

/// How many shares there are of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    pub(crate) given: u8,
    pub(crate) needed: u8,
}

/// Why callers are still not let in when the server has its keys.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;
type Looking = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;
/// What must hold before callers are let in.
pub type Condition = Box<dyn Fn(Arc<Shared>) -> Looking + Send + Sync>;

/// Those who try to unseal the server.
#[derive(Default)]
pub(crate) struct Sealing {
    attempts: tokio::sync::Mutex<Attempts>,
    gathered: Mutex<Option<Gathered>>,
    condition: OnceLock<Condition>,
}

#[derive(Default)]
struct Attempts {
    failed: u32,
    next: Option<Instant>,
}

/// Shares of one slot.
struct Gathered {
    slot: KeySlotId,
    collector: Collector,
    since: Instant,
}

impl Attempts {
    fn must_be_due(&self) -> Result<(), SlotProblem> {
        let wait = self.next.map(|next| next.saturating_duration_since(Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(retry_after) => Err(SlotProblem::TooOften { retry_after }),
            None => Ok(()),
        }
    }

    fn note(&mut self, failed: bool) {
        self.failed = if failed { self.failed.saturating_add(1) } else { 0 };
        let pause = PAUSE.saturating_mul(1 << self.failed.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
        self.next = failed.then(|| Instant::now() + pause);
    }
}

impl Sealing {
    /// Says what must hold before callers are let in; the first to say so counts.
    pub(crate) fn set_condition(&self, condition: Condition) {
        let _ = self.condition.set(condition);
    }

    /// The shares that were given so far.
    pub(crate) fn shares(&self) -> Option<Shares> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.take_if(|gathered| gathered.since.elapsed() > GATHERING);
        let collector = &gathered.as_ref()?.collector;
        Some(Shares { given: collector.given(), needed: collector.needed() })
    }

    fn forget_shares(&self) {
        *self.gathered.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes shares, and gives the slot and its key once there are enough.
    fn gather(&self, slots: &[KeySlot], shares: &[Zeroizing<String>]) -> Result<Option<Found>, Tried> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.take_if(|gathered| gathered.since.elapsed() > GATHERING);
        for share in shares {
            match &mut *gathered {
                Some(known) => known.collector.add(share)?,
                none => *none = Some(begin(slots, share)?),
            }
        }
        let Some(known) = &*gathered else { return Ok(None) };
        if known.collector.given() < known.collector.needed() {
            return Ok(None);
        }
        let key = known.collector.open()?;
        let slot = slots.iter().find(|slot| slot.id == known.slot).ok_or(strongroom_slots::Error::Refused)?;
        Ok(Some((slot.clone(), key)))
    }
}

type Found = (KeySlot, SlotKey);
type Tried = strongroom_slots::Error;

/// Begins with the slot that a share is of.
fn begin(slots: &[KeySlot], share: &str) -> Result<Gathered, Tried> {
    let mut last = None;
    for slot in of_kind(slots, SlotKind::Shamir) {
        let mut collector = Collector::new(&slot.opener, &slot.sealed.public)?;
        match collector.add(share) {
            Ok(()) => return Ok(Gathered { slot: slot.id, collector, since: Instant::now() }),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(strongroom_slots::Error::Refused))
}

fn of_kind(slots: &[KeySlot], kind: SlotKind) -> impl Iterator<Item = &KeySlot> {
    slots.iter().filter(move |slot| slot.kind == kind)
}

/// The slot that what was given opens. Whatever it opens it is the key of, as its public key says.
fn find(slots: &[KeySlot], given: &Given) -> Result<Found, Tried> {
    let mut last = strongroom_slots::Error::Refused;
    match given {
        Given::Passphrase(text) => {
            for slot in of_kind(slots, SlotKind::Passphrase) {
                match passphrase::open(&slot.opener, &slot.sealed.public, text) {
                    Ok(key) => return Ok((slot.clone(), key)),
                    Err(error) => last = error,
                }
            }
        }
        Given::Words(text) => {
            let key = recovery::parse(text)?;
            let slot = of_kind(slots, SlotKind::Recovery).find(|slot| slot.sealed.public == *key.public());
            return slot.map(|slot| (slot.clone(), key)).ok_or(last);
        }
        Given::Shares(_) => {}
    }
    Err(last)
}

/// Does slow work on a thread that may block.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(Box::new(error)))
}

/// Tries what was given. Where it suffices, callers are let in.
pub(crate) async fn unseal(shared: &Arc<Shared>, given: Given, from: &Client) -> Result<(), Problem> {
    if !shared.app.is_sealed() {
        return Ok(());
    }
    // It goes on to its end when nobody waits for it any more: the pause after it counts.
    let (shared, from) = (shared.clone(), from.clone());
    let tried = tokio::spawn(async move { unseal_to_the_end(&shared, given, &from).await });
    tried.await.map_err(|error| Error::Internal(Box::new(error)))?
}

async fn unseal_to_the_end(shared: &Arc<Shared>, given: Given, from: &Client) -> Result<(), Problem> {
    let Ok(mut attempts) = shared.sealing.attempts.try_lock() else {
        return Err(SlotProblem::TooOften { retry_after: PAUSE }.into());
    };
    attempts.must_be_due()?;
    let slots = shared.app.slots().await?;
    let found = match given {
        Given::Shares(shares) => shared.sealing.gather(&slots, &shares),
        given => aside(move || find(&slots, &given)).await?.map(Some),
    };
    attempts.note(found.is_err());
    let Some((slot, key)) = found.map_err(SlotProblem::NotOpened)? else { return Ok(()) };
    let root_key = shared.app.open_slot(&slot, &key).await.map_err(|_| {
        tracing::error!(slot = %slot.name, "a key slot does not open, though its key is right: it was altered");
        SlotProblem::NotOpened(strongroom_slots::Error::Refused)
    })?;
    drop(key);
    if root_key.lock_memory() == strongroom_domain::MemoryLock::Refused {
        crate::root_key::told_unlocked();
    }
    shared.app.unseal_house(root_key).await.map_err(|error| Error::Internal(Box::new(error)))?;
    shared.sealing.forget_shares();
    let opened = async {
        if let Some(condition) = shared.sealing.condition.get() {
            condition(shared.clone()).await.map_err(Error::Unavailable)?;
        }
        shared.app.unsealed_by(&slot, from).await
    };
    if let Err(error) = opened.await {
        shared.app.seal_unserved();
        return Err(error.into());
    }
    shared.app.serve();
    tracing::info!(slot = %slot.name, kind = slot.kind.as_str(), client = %from.address, "the server was unsealed");
    Ok(())
}

/// Whether a slot opens the root key that is in use, by what is given or by itself.
pub(crate) async fn opens(shared: &Shared, slot: &KeySlot, given: Option<Given>) -> Result<SlotKey, Problem> {
    let (slot, config) = (slot.clone(), shared.settings.slots.clone());
    let key = aside(move || match given {
        None => config.open(slot.kind, &slot.opener, &slot.sealed.public),
        Some(Given::Shares(shares)) => {
            let mut collector = Collector::new(&slot.opener, &slot.sealed.public)?;
            shares.iter().try_for_each(|share| collector.add(share))?;
            collector.open()
        }
        Some(given) => find(std::slice::from_ref(&slot), &given).map(|(_, key)| key),
    });
    Ok(key.await?.map_err(SlotProblem::NotOpened)?)
}
