//! Key slots are read at a start and by those who look after them, so none is cached.

use async_trait::async_trait;
use strongroom_domain::Result;
use strongroom_domain::audit::Event;
use strongroom_domain::ids::{AccountId, KeySlotId};
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::store::KeySlotStore;

use super::{CachedStore, bounded};

#[async_trait]
impl KeySlotStore for CachedStore {
    async fn key_slot_list(&self, account: AccountId) -> Result<Vec<KeySlot>> {
        self.store.key_slot_list(account).await
    }

    async fn key_slot_insert(&self, account: AccountId, slot: KeySlot, event: Event) -> Result<()> {
        bounded(self.store.key_slot_insert(account, slot, event)).await
    }

    async fn key_slot_delete(&self, account: AccountId, id: KeySlotId, event: Event) -> Result<()> {
        bounded(self.store.key_slot_delete(account, id, event)).await
    }
}
