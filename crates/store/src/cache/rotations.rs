//! Rotations replace keys and how values are sealed, both of which are cached.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::audit::Event;
use strongroom_domain::ids::{AccountId, SecretId, VaultId};
use strongroom_domain::rotation::{Due, Kind, NewKey, NewRootKey, Rotation, Turned, Usage};
use strongroom_domain::store::{RotationStore, Store};

use super::CachedStore;
use super::caches::Replaced;

#[async_trait]
impl RotationStore for CachedStore {
    async fn rotation_begin(
        &self,
        account: AccountId,
        rotation: Rotation,
        key: Option<NewKey>,
        event: Event,
    ) -> Result<()> {
        let replaced = Replaced::VaultKeys(account, rotation.vault);
        self.replacing(replaced, async move |store: Arc<dyn Store>| {
            store.rotation_begin(account, rotation, key, event).await
        })
        .await
    }

    async fn rotation_list(&self, account: AccountId) -> Result<Vec<Rotation>> {
        self.store.rotation_list(account).await
    }

    async fn rotation_usage(&self, account: AccountId, vaults: Vec<VaultId>) -> Result<Vec<Usage>> {
        self.store.rotation_usage(account, vaults).await
    }

    async fn rotation_due(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        after: Option<(SecretId, u32)>,
        limit: usize,
    ) -> Result<Vec<Due>> {
        self.store.rotation_due(account, vault, kind, after, limit).await
    }

    async fn rotation_step(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        turned: Vec<Turned>,
    ) -> Result<u64> {
        // Each once: a secret has several versions.
        let secrets: BTreeSet<SecretId> = turned.iter().map(|turned| turned.secret).collect();
        let replaced = secrets.into_iter().map(|secret| Replaced::Sealed(account, secret)).collect();
        self.replacing_all(replaced, async move |store: Arc<dyn Store>| {
            store.rotation_step(account, vault, kind, turned).await
        })
        .await
    }

    async fn rotation_end(&self, account: AccountId, vault: VaultId, kind: Kind, event: Event) -> Result<()> {
        let replaced = Replaced::VaultKeys(account, vault);
        self.replacing(replaced, async move |store: Arc<dyn Store>| {
            store.rotation_end(account, vault, kind, event).await
        })
        .await
    }

    async fn root_key_replace(&self, account: AccountId, new: NewRootKey, event: Event) -> Result<u64> {
        self.replacing(Replaced::AllVaultKeys, async move |store: Arc<dyn Store>| {
            store.root_key_replace(account, new, event).await
        })
        .await
    }

    async fn root_keyed_at(&self, account: AccountId) -> Result<Timestamp> {
        self.store.root_keyed_at(account).await
    }

    async fn rotation_overdue(
        &self,
        account: AccountId,
        by: Timestamp,
        limit: usize,
    ) -> Result<Vec<VaultId>> {
        self.store.rotation_overdue(account, by, limit).await
    }
}
