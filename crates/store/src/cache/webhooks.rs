//! Webhooks are not cached: who delivers to them reads them seldom.

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::audit::Event;
use strongroom_domain::ids::{AccountId, WebhookId};
use strongroom_domain::page::{Listing, PageLimit, Query};
use strongroom_domain::store::WebhookStore;
use strongroom_domain::webhook::{Delivery, DeliveryCounts, DeliveryState, Settled, Webhook};

use super::{CachedStore, bounded};

#[async_trait]
impl WebhookStore for CachedStore {
    async fn webhook_insert(
        &self,
        account: AccountId,
        webhook: Webhook,
        max: u64,
        event: Event,
    ) -> Result<()> {
        bounded(self.store.webhook_insert(account, webhook, max, event)).await
    }

    async fn webhook_find(&self, account: AccountId, id: WebhookId) -> Result<Option<Webhook>> {
        self.store.webhook_find(account, id).await
    }

    async fn webhook_list(&self, account: AccountId, query: Query) -> Result<Listing<Webhook>> {
        self.store.webhook_list(account, query).await
    }

    async fn webhook_update(&self, account: AccountId, webhook: Webhook, event: Event) -> Result<()> {
        bounded(self.store.webhook_update(account, webhook, event)).await
    }

    async fn webhook_delete(
        &self,
        account: AccountId,
        id: WebhookId,
        revision: u64,
        event: Event,
    ) -> Result<()> {
        bounded(self.store.webhook_delete(account, id, revision, event)).await
    }

    async fn old_secrets_delete(&self, account: AccountId, now: Timestamp) -> Result<()> {
        bounded(self.store.old_secrets_delete(account, now)).await
    }

    async fn webhook_active(&self, account: AccountId) -> Result<Vec<WebhookId>> {
        self.store.webhook_active(account).await
    }

    async fn delivery_next(
        &self,
        account: AccountId,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        self.store.delivery_next(account, webhook, limit).await
    }

    async fn delivery_list(
        &self,
        account: AccountId,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: PageLimit,
    ) -> Result<Listing<Delivery>> {
        self.store.delivery_list(account, webhook, state, before, limit).await
    }

    async fn delivery_settle(
        &self,
        account: AccountId,
        webhook: WebhookId,
        position: u64,
        settled: Vec<Settled>,
    ) -> Result<()> {
        bounded(self.store.delivery_settle(account, webhook, position, settled)).await
    }

    async fn delivery_retry(
        &self,
        account: AccountId,
        webhook: WebhookId,
        sequence: Option<u64>,
        now: Timestamp,
    ) -> Result<u64> {
        bounded(self.store.delivery_retry(account, webhook, sequence, now)).await
    }

    async fn delivery_prune(
        &self,
        account: AccountId,
        webhook: WebhookId,
        by: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        bounded(self.store.delivery_prune(account, webhook, by, limit)).await
    }

    async fn delivery_counts(&self, account: AccountId, webhook: WebhookId) -> Result<DeliveryCounts> {
        self.store.delivery_counts(account, webhook).await
    }
}
