//! What is asked of a store about key slots.

use async_trait::async_trait;

use crate::audit::Event;
use crate::error::Result;
use crate::ids::{AccountId, KeySlotId};
use crate::key_slot::KeySlot;

/// Key slots, in a store. Its rules are those of [`Store`](super::Store).
///
/// # Errors
/// Those of [`Store`](super::Store).
#[async_trait]
pub trait KeySlotStore: Send + Sync {
    /// All of them, the oldest first.
    async fn key_slot_list(&self, account: AccountId) -> Result<Vec<KeySlot>>;

    /// Adds a slot. `NotUnique`; `LimitReached` beyond [`KeySlot::MAX`]; `Stale` if the root key is not the one that is sealed
    /// to it any more.
    async fn key_slot_insert(&self, account: AccountId, slot: KeySlot, event: Event) -> Result<()>;

    /// Removes a slot, of which no copy is left in the store's files. `Conflict` if it is the last one; `Stale` if it is not there.
    async fn key_slot_delete(&self, account: AccountId, id: KeySlotId, event: Event) -> Result<()>;
}
