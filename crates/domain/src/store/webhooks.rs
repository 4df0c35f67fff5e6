//! What is asked of a store about webhooks and their deliveries.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::audit::Event;
use crate::error::Result;
use crate::ids::{AccountId, WebhookId};
use crate::page::{Listing, PageLimit, Query};
use crate::webhook::{Delivery, DeliveryCounts, DeliveryState, Settled, Webhook};

/// Webhooks and their deliveries, in a store. Its rules are those of [`Store`](super::Store).
///
/// # Errors
/// Those of [`Store`](super::Store).
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Adds a webhook; its position is where the log then ends. `LimitReached` if there are `max` already.
    async fn webhook_insert(
        &self,
        account: AccountId,
        webhook: Webhook,
        max: u64,
        event: Event,
    ) -> Result<()>;

    /// A webhook by id.
    async fn webhook_find(&self, account: AccountId, id: WebhookId) -> Result<Option<Webhook>>;

    /// Webhooks, newest first. No filter counts here.
    async fn webhook_list(&self, account: AccountId, query: Query) -> Result<Listing<Webhook>>;

    /// Changes a webhook. One that becomes active goes on from where the log then ends. `Stale`.
    async fn webhook_update(&self, account: AccountId, webhook: Webhook, event: Event) -> Result<()>;

    /// Removes a webhook with its deliveries. `Stale`.
    async fn webhook_delete(
        &self,
        account: AccountId,
        id: WebhookId,
        revision: u64,
        event: Event,
    ) -> Result<()>;

    /// Destroys signing secrets whose time to sign along is over.
    async fn old_secrets_delete(&self, account: AccountId, now: Timestamp) -> Result<()>;

    /// The webhooks that are active.
    async fn webhook_active(&self, account: AccountId) -> Result<Vec<WebhookId>>;

    /// Up to `limit` deliveries of a webhook that are tried again, those that are due first before.
    async fn delivery_next(
        &self,
        account: AccountId,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// A page of a webhook's deliveries that failed, the newest record first; with `before`, only of records before that one.
    async fn delivery_list(
        &self,
        account: AccountId,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: PageLimit,
    ) -> Result<Listing<Delivery>>;

    /// Keeps what became of attempts, and up to which record all was taken for the webhook. `Stale` if that is gone.
    async fn delivery_settle(
        &self,
        account: AccountId,
        webhook: WebhookId,
        position: u64,
        settled: Vec<Settled>,
    ) -> Result<()>;

    /// Makes a delivery that failed due now, or all of the webhook's; dead ones start anew. Says how many.
    async fn delivery_retry(
        &self,
        account: AccountId,
        webhook: WebhookId,
        sequence: Option<u64>,
        now: Timestamp,
    ) -> Result<u64>;

    /// Removes up to `limit` dead deliveries of a webhook that were given up by a time, the oldest first. Says how many.
    async fn delivery_prune(
        &self,
        account: AccountId,
        webhook: WebhookId,
        by: Timestamp,
        limit: usize,
    ) -> Result<u64>;

    /// How many deliveries of a webhook failed.
    async fn delivery_counts(&self, account: AccountId, webhook: WebhookId) -> Result<DeliveryCounts>;
}
