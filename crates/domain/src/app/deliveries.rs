//! What the part of the server that delivers to webhooks asks for. Nobody's key is behind it: it is the server itself.

use jiff::Timestamp;
use strongroom_crypto::{SigningSecret, WrappedKey};

use super::App;
use crate::audit::{Action, Actor, Event};
use crate::error::{Error, Result};
use crate::ids::{EventId, WebhookId};
use crate::page::{Page, PageLimit, Query};
use crate::webhook::{self, Delivery, DeliveryCounts, Settled, Webhook};

/// Dead deliveries that are removed in one change.
const STEP: usize = 500;

impl App {
    /// The webhooks that are active.
    ///
    /// # Errors
    /// Those of the store, as for every method here.
    pub async fn webhooks_active(&self) -> Result<Vec<WebhookId>> {
        self.store.webhook_active(self.account.id).await
    }

    /// A webhook, if it is there and active.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn webhook_if_active(&self, id: WebhookId) -> Result<Option<Webhook>> {
        let found = self.store.webhook_find(self.account.id, id).await?;
        Ok(found.filter(|webhook| webhook.active))
    }

    /// Up to `limit` deliveries that are tried again, those that are due first before.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliveries_next(&self, id: WebhookId, limit: usize) -> Result<Vec<Delivery>> {
        self.store.delivery_next(self.account.id, id, limit).await
    }

    /// Keeps what became of attempts; says whether the webhook is still there.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliveries_settle(
        &self,
        id: WebhookId,
        position: u64,
        settled: Vec<Settled>,
    ) -> Result<bool> {
        match self.store.delivery_settle(self.account.id, id, position, settled).await {
            Ok(()) => Ok(true),
            Err(Error::Stale) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How many deliveries of a webhook failed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn delivery_counts(&self, id: WebhookId) -> Result<DeliveryCounts> {
        self.store.delivery_counts(self.account.id, id).await
    }

    /// How many deliveries of all webhooks failed: counted for one after another, so that no other reading waits for all.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn delivery_counts_of_all(&self) -> Result<DeliveryCounts> {
        let mut sum = DeliveryCounts::default();
        for webhook in self.store.webhook_list(self.account.id, all()).await?.items {
            let counts = self.delivery_counts(webhook.id).await?;
            sum.waiting += counts.waiting;
            sum.dead += counts.dead;
        }
        Ok(sum)
    }

    /// Removes so many dead deliveries of a webhook, the oldest first, to make room for others.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliveries_forget(&self, id: WebhookId, count: u64) -> Result<()> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.store.delivery_prune(self.account.id, id, Timestamp::MAX, count).await.map(drop)
    }

    /// The last record that every active webhook was told of, or need not be: what comes after it is still to be told.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliveries_reached(&self) -> Result<u64> {
        let webhooks = self.store.webhook_list(self.account.id, all()).await?.items;
        let active = webhooks.iter().filter(|webhook| webhook.active);
        Ok(active.map(|webhook| webhook.position).min().unwrap_or(u64::MAX))
    }

    /// An id for a message that tells of no event.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no randomness.
    pub fn message_id(&self) -> Result<(EventId, Timestamp)> {
        let stamp = self.stamper.stamp()?;
        Ok((EventId::new(stamp.ksuid), stamp.at))
    }

    /// Signs a message to a webhook: one signature for each secret that counts at the time.
    ///
    /// # Errors
    /// [`Error::Internal`] when a secret does not open.
    pub async fn webhook_sign(
        &self,
        webhook: &Webhook,
        id: &str,
        at: Timestamp,
        body: &[u8],
    ) -> Result<String> {
        let current = self.open_signing_secret(webhook, &webhook.secret).await?;
        let mut signatures = current.sign(id, at.as_second(), body);
        if let Some((old, until)) = &webhook.old_secret
            && at < *until
        {
            let old = self.open_signing_secret(webhook, old).await?;
            signatures.push(' ');
            signatures.push_str(&old.sign(id, at.as_second(), body));
        }
        Ok(signatures)
    }

    pub(super) async fn open_signing_secret(
        &self,
        webhook: &Webhook,
        wrapped: &WrappedKey,
    ) -> Result<SigningSecret> {
        let (account, webhook) = webhook::place(&self.account.id, &webhook.id);
        Ok(self.root_of(wrapped).await?.open_signing_secret(wrapped, &account, &webhook)?)
    }

    /// Has a webhook told nothing more, as its target says that it is gone for good.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn webhook_gone(&self, id: WebhookId) -> Result<()> {
        let operator = self.operator().await?;
        let actor = Actor::server(operator.principal);
        self.retry_stale(&operator, id, || async {
            let Some(mut webhook) = self.webhook_if_active(id).await? else { return Ok(()) };
            let stamp = self.stamper.stamp()?;
            webhook.active = false;
            webhook.updated_at = stamp.at;
            webhook.revision += 1;
            let event = Event::new(stamp, self.account.id, actor.clone(), &webhook, Action::Updated);
            self.store.webhook_update(self.account.id, webhook, event).await
        })
        .await
    }

    /// Removes what time alone ends: dead deliveries after thirty days, and secrets that sign along no more. Says how many
    /// deliveries these were.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliveries_sweep(&self) -> Result<u64> {
        let now = self.clock.now();
        let by = now - Webhook::DEAD_FOR;
        let mut swept = 0;
        for webhook in self.store.webhook_list(self.account.id, all()).await?.items {
            if webhook.old_secret.as_ref().is_some_and(|(_, until)| *until <= now) {
                self.store.old_secrets_delete(self.account.id, now).await?;
            }
            loop {
                let pruned = self.store.delivery_prune(self.account.id, webhook.id, by, STEP).await?;
                swept += pruned;
                if pruned < STEP as u64 {
                    break;
                }
            }
        }
        Ok(swept)
    }
}

/// All webhooks: there are no more than a page holds.
fn all() -> Query {
    Query { page: Page { before: None, limit: PageLimit::MAX }, filter: None, scope: None }
}
