//! Unsealing: what somebody gives to a server that has no keys.
//!
//! Nobody who asks has shown who it is, so an attempt is made to cost little and to tell nothing: one at a time, with a pause for
//! who failed, and one answer for whatever is wrong with a passphrase. Who guesses holds up nobody else by more than the one attempt
//! that is made.

mod pauses;
pub mod services;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use strongroom_domain::audit::Client;
use strongroom_domain::ids::KeySlotId;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::{Error, RootKey, SlotKey, SlotKind};
use strongroom_slots::Given;
use strongroom_slots::shamir::Collector;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::Shared;
use crate::error::{Problem, SlotProblem};
use pauses::Pauses;

/// Shares of a slot are forgotten this long after the last of them.
const GATHERING: Duration = Duration::from_secs(10 * 60);
/// Attempts that wait for the one that is made.
const WAITING: usize = 16;
/// When one for which there is no room may come again.
const ROOM: Duration = Duration::from_secs(1);

/// How many shares of a set there are of how many.
pub(crate) struct Shares {
    pub(crate) set: String,
    pub(crate) given: u8,
    pub(crate) needed: u8,
}

/// Why callers are still not let in when the server has its keys.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;
type Looking = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;
/// What must hold before callers are let in.
pub type Condition = Box<dyn Fn(Arc<Shared>) -> Looking + Send + Sync>;

/// Those who try to unseal the server.
pub(crate) struct Sealing {
    /// Held by who makes an attempt.
    turn: tokio::sync::Mutex<()>,
    room: Arc<Semaphore>,
    pauses: Mutex<Pauses>,
    gathered: Mutex<Vec<Gathered>>,
    condition: OnceLock<Condition>,
    /// Whether it was ever unsealed. Who seals it again means it, so that no service unseals it from then on.
    was_unsealed: AtomicBool,
}

impl Default for Sealing {
    fn default() -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            room: Arc::new(Semaphore::new(1 + WAITING)),
            pauses: Mutex::default(),
            gathered: Mutex::default(),
            condition: OnceLock::new(),
            was_unsealed: AtomicBool::new(false),
        }
    }
}

/// Shares of one slot.
struct Gathered {
    slot: KeySlotId,
    collector: Collector,
    /// When the last one came.
    at: Instant,
}

impl Sealing {
    /// Says what must hold before callers are let in; the first to say so counts.
    pub(crate) fn set_condition(&self, condition: Condition) {
        let _ = self.condition.set(condition);
    }

    /// The shares that were given so far, by their sets; that of the last share is the last.
    pub(crate) fn shares(&self) -> Vec<Shares> {
        let mut gathered = self.gathered();
        gathered.sort_by_key(|gathered| gathered.at);
        let shares = gathered.iter().map(|Gathered { collector, .. }| Shares {
            set: collector.set(),
            given: collector.given(),
            needed: collector.needed(),
        });
        shares.collect()
    }

    /// Those that are not too old. The lock is held for a moment only.
    fn gathered(&self) -> MutexGuard<'_, Vec<Gathered>> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.retain(|gathered| gathered.at.elapsed() < GATHERING);
        gathered
    }

    fn forget_shares(&self) {
        self.gathered().clear();
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn must_be_due(&self, address: IpAddr) -> Result<(), SlotProblem> {
        match self.pauses().left(address, Instant::now()) {
            Some(retry_after) => Err(SlotProblem::TooOften { retry_after }),
            None => Ok(()),
        }
    }

    /// Takes shares, and gives the slot and its key once there are enough.
    fn gather(&self, slots: &[KeySlot], shares: &[Zeroizing<String>]) -> Result<Option<Found>, Tried> {
        let mut gathered = self.gathered();
        let mut complete = None;
        for share in shares {
            let place = take(&mut gathered, slots, share)?;
            let full = |known: &Gathered| known.collector.given() >= known.collector.needed();
            complete = gathered.get(place).is_some_and(full).then_some(place);
        }
        let Some(place) = complete else { return Ok(None) };
        // They have done what they can, also where the slot was altered: then it takes another one.
        let known = gathered.swap_remove(place);
        let key = known.collector.open()?;
        let slot = slots.iter().find(|slot| slot.id == known.slot).ok_or(Tried::Refused)?;
        Ok(Some((slot.clone(), key)))
    }
}

type Found = (KeySlot, SlotKey);
type Tried = strongroom_slots::Error;

/// Takes a share to those of its slot; says where they are. What is wrong with one is told by the slot that it is of, if any.
fn take(gathered: &mut Vec<Gathered>, slots: &[KeySlot], share: &str) -> Result<usize, Tried> {
    let mut refused = None;
    for slot in of_kind(slots, SlotKind::Shamir) {
        let known = gathered.iter().position(|known| known.slot == slot.id);
        let added = match known.and_then(|place| Some((place, gathered.get_mut(place)?))) {
            Some((place, known)) => known.collector.add(share).map(|()| {
                known.at = Instant::now();
                place
            }),
            None => Collector::new(&slot.opener, &slot.sealed.public).and_then(|mut collector| {
                collector.add(share)?;
                gathered.push(Gathered { slot: slot.id, collector, at: Instant::now() });
                Ok(gathered.len() - 1)
            }),
        };
        match added {
            Ok(place) => return Ok(place),
            Err(error @ Tried::OtherSet { .. }) => refused = refused.or(Some(error)),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or(Tried::Refused))
}

fn of_kind(slots: &[KeySlot], kind: SlotKind) -> impl Iterator<Item = &KeySlot> {
    slots.iter().filter(move |slot| slot.kind == kind)
}

/// The slot that what was given opens. Whatever it opens it is the key of, as its public key says.
fn find(slots: &[KeySlot], given: &Given) -> Result<Found, Tried> {
    let mut last = Tried::Refused;
    for slot in of_kind(slots, given.kind()) {
        match given.open(&slot.opener, &slot.sealed.public) {
            Ok(key) => return Ok((slot.clone(), key)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Does slow work on a thread that may block.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(Box::new(error)))
}

/// Tries what was given. Where it suffices, callers are let in.
pub(crate) async fn unseal(shared: &Arc<Shared>, given: Given, from: &Client) -> Result<(), Problem> {
    shared.sealing.must_be_due(from.address)?;
    let room = shared.sealing.room.clone().try_acquire_owned();
    let room = room.map_err(|_| SlotProblem::TooOften { retry_after: ROOM })?;
    // It goes on to its end when nobody waits for it any more: the pause after it counts.
    let (shared, from) = (shared.clone(), from.clone());
    let tried = tokio::spawn(async move {
        let _room = room;
        let _turn = shared.sealing.turn.lock().await;
        if !shared.app.is_sealed() {
            return Ok(());
        }
        // Another attempt from there may have failed while this one waited.
        shared.sealing.must_be_due(from.address)?;
        unseal_to_the_end(&shared, given, &from).await
    });
    tried.await.map_err(|error| Error::Internal(Box::new(error)))?
}

async fn unseal_to_the_end(shared: &Arc<Shared>, given: Given, from: &Client) -> Result<(), Problem> {
    let slots = shared.app.slots().await?;
    let found = match given {
        Given::Shares(shares) => shared.sealing.gather(&slots, &shares),
        given => aside(move || find(&slots, &given)).await?.map(Some),
    };
    match &found {
        Ok(_) => shared.sealing.pauses().succeeded(from.address),
        Err(error) => {
            shared.sealing.pauses().failed(from.address, Instant::now());
            tracing::warn!(client = %from.address, %error, "an attempt to unseal the server failed");
        }
    }
    let Some((slot, key)) = found.map_err(SlotProblem::NotOpened)? else {
        forget_later(shared);
        return Ok(());
    };
    let root_key = shared.app.open_slot(&slot, &key).await.map_err(|_| {
        tracing::error!(slot = %slot.name, "a key slot does not open, though its key is right: it was altered");
        SlotProblem::NotOpened(strongroom_slots::Error::Refused)
    })?;
    drop(key);
    Ok(let_in(shared, &slot, root_key, Some(from)).await?)
}

/// Gives the house its keys, and lets callers in if what must hold does. The caller has the turn.
async fn let_in(
    shared: &Arc<Shared>,
    slot: &KeySlot,
    root_key: RootKey,
    from: Option<&Client>,
) -> Result<(), Error> {
    crate::root_key::tell(root_key.lock_memory());
    shared.app.unseal_house(root_key).await.map_err(|error| Error::Internal(Box::new(error)))?;
    shared.sealing.forget_shares();
    let opened = async {
        if let Some(condition) = shared.sealing.condition.get() {
            condition(shared.clone()).await.map_err(Error::Unavailable)?;
        }
        shared.app.unsealed_by(slot, from).await
    };
    if let Err(error) = opened.await {
        shared.app.seal_unserved();
        return Err(error);
    }
    shared.sealing.was_unsealed.store(true, Ordering::Release);
    shared.app.serve();
    let client = from.map(|from| tracing::field::display(from.address));
    tracing::info!(slot = %slot.name, kind = slot.kind.as_str(), client, "the server was unsealed");
    Ok(())
}

/// Sees to it that shares are gone when their time is over, whether or not anybody asks for them.
fn forget_later(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        tokio::time::sleep(GATHERING).await;
        if let Some(shared) = shared.upgrade() {
            drop(shared.sealing.gathered());
        }
    });
}

/// Whether a slot opens the root key that is in use, by what is given or by itself.
pub(crate) async fn opens(shared: &Shared, slot: &KeySlot, given: Option<Given>) -> Result<SlotKey, Problem> {
    let (slot, config) = (slot.clone(), shared.settings.slots.clone());
    let key = aside(move || config.open_with(given.as_ref(), (slot.kind, &slot.opener), &slot.sealed.public));
    Ok(key.await?.map_err(SlotProblem::NotOpened)?)
}
