//! Webhooks. Only an admin looks after them: what they are told, they tell to somebody outside.

use strongroom_crypto::SigningSecret;

use super::App;
use crate::audit::Action;
use crate::caller::Caller;
use crate::error::{Denial, Error, Missing, Noun, Result};
use crate::ids::WebhookId;
use crate::page::{Listing, PageLimit, Query};
use crate::text::{Description, Metadata};
use crate::webhook::{self, Delivery, DeliveryState, EventTypes, Webhook, WebhookUrl};

/// A webhook to be made.
pub struct WebhookDraft {
    /// Where it is told.
    pub url: WebhookUrl,
    /// What it is told of.
    pub event_types: EventTypes,
    /// What it is for.
    pub description: Description,
    /// What its writer wants to remember.
    pub metadata: Metadata,
    /// Whether it is told anything.
    pub active: bool,
    /// What its deliveries are signed with; one is made when none is given.
    pub secret: Option<SigningSecret>,
}

/// What to change of a webhook; `None` leaves it as it is.
#[derive(Default)]
pub struct WebhookChange {
    /// Another place.
    pub url: Option<WebhookUrl>,
    /// Other types of events.
    pub event_types: Option<EventTypes>,
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
    /// Whether it is told anything.
    pub active: Option<bool>,
    /// Another signing secret; the one before signs along for a day.
    pub secret: Option<SigningSecret>,
}

impl WebhookChange {
    fn apply_to(&self, webhook: &mut Webhook) {
        if let Some(url) = &self.url {
            webhook.url = url.clone();
        }
        if let Some(event_types) = &self.event_types {
            webhook.event_types = event_types.clone();
        }
        if let Some(description) = &self.description {
            webhook.description = description.clone().into_string();
        }
        if let Some(metadata) = &self.metadata {
            webhook.metadata = metadata.clone().into_string();
        }
        webhook.active = self.active.unwrap_or(webhook.active);
    }
}

impl App {
    /// Makes a webhook, which is told of what happens from then on. Its signing secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// `Forbidden`, `LimitReached`.
    pub async fn webhook_create(
        &self,
        caller: &Caller,
        draft: WebhookDraft,
    ) -> Result<(Webhook, SigningSecret)> {
        caller.must_be_admin(Denial::Webhooks)?;
        let stamp = self.stamper.stamp()?;
        let id = WebhookId::new(stamp.ksuid);
        let secret = draft.secret.map_or_else(|| SigningSecret::make(&*self.rng), Ok)?;
        let webhook = Webhook {
            id,
            url: draft.url,
            event_types: draft.event_types,
            description: draft.description.into_string(),
            metadata: draft.metadata.into_string(),
            active: draft.active,
            created_at: stamp.at,
            updated_at: stamp.at,
            revision: 1,
            // Wrapped below.
            secret: strongroom_crypto::WrappedKey::from_bytes(Vec::new()),
            old_secret: None,
            position: 0,
        };
        // Wrapped again when the root key was rotated meanwhile.
        let webhook = self
            .try_again(|| async {
                let webhook = Webhook { secret: self.wrap(caller, id, &secret)?, ..webhook.clone() };
                let event = self.event(caller, &webhook, Action::Created)?;
                self.store.webhook_insert(caller.account, webhook.clone(), Webhook::MAX, event).await?;
                Ok(webhook)
            })
            .await?;
        Ok((webhook, secret))
    }

    fn wrap(
        &self,
        caller: &Caller,
        id: WebhookId,
        secret: &SigningSecret,
    ) -> Result<strongroom_crypto::WrappedKey> {
        let (account, webhook) = webhook::place(&caller.account, &id);
        Ok(self.keyring.keys()?.root.current().wrap_signing_secret(secret, &account, &webhook, &*self.rng)?)
    }

    /// A webhook.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn webhook_get(&self, caller: &Caller, id: WebhookId) -> Result<Webhook> {
        caller.must_be_admin(Denial::Webhooks)?;
        let found = self.store.webhook_find(caller.account, id).await?;
        found.ok_or(Error::NotFound(Missing::Resource(Noun::Webhook)))
    }

    /// A page of webhooks.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn webhook_list(&self, caller: &Caller, query: Query) -> Result<Listing<Webhook>> {
        caller.must_be_admin(Denial::Webhooks)?;
        self.store.webhook_list(caller.account, query).await
    }

    /// Changes a webhook. A change that changes nothing leaves no trace.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn webhook_change(
        &self,
        caller: &Caller,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Webhook> {
        self.retry_stale(caller, id, || async {
            let old = self.webhook_get(caller, id).await?;
            let mut webhook = old.clone();
            change.apply_to(&mut webhook);
            let stamp = self.stamper.stamp()?;
            let other = match &change.secret {
                Some(secret) if !self.open_signing_secret(&old, &old.secret).await?.same_as(secret) => {
                    Some(secret)
                }
                _ => None,
            };
            if let Some(secret) = other {
                webhook.secret = self.wrap(caller, id, secret)?;
                webhook.old_secret = Some((old.secret.clone(), stamp.at + Webhook::OLD_SECRET));
            }
            if other.is_none() && webhook.same_as(&old) {
                return Ok(old);
            }
            webhook.updated_at = stamp.at;
            webhook.revision += 1;
            let event = self.event(caller, &webhook, Action::Updated)?;
            self.store.webhook_update(caller.account, webhook.clone(), event).await?;
            Ok(webhook)
        })
        .await
    }

    /// Removes a webhook. What it was not told yet, it never will be.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn webhook_remove(&self, caller: &Caller, id: WebhookId) -> Result<()> {
        self.retry_stale(caller, id, || async {
            let webhook = self.webhook_get(caller, id).await?;
            let event = self.event(caller, &webhook, Action::Deleted)?;
            self.store.webhook_delete(caller.account, id, webhook.revision, event).await
        })
        .await
    }

    /// A page of what a webhook was not told yet, or never was: the newest first.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn delivery_list(
        &self,
        caller: &Caller,
        id: WebhookId,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: PageLimit,
    ) -> Result<Listing<Delivery>> {
        let webhook = self.webhook_get(caller, id).await?;
        self.store.delivery_list(caller.account, webhook.id, state, before, limit).await
    }

    /// Has what a webhook was not told tried again now, one record or all of them. Says how many these are.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`, also when the one record is not among them.
    pub async fn delivery_retry(&self, caller: &Caller, id: WebhookId, sequence: Option<u64>) -> Result<u64> {
        let webhook = self.webhook_get(caller, id).await?;
        let now = self.stamper.stamp()?.at;
        let retried = self.store.delivery_retry(caller.account, webhook.id, sequence, now).await?;
        if sequence.is_some() && retried == 0 {
            return Err(Error::NotFound(Missing::Resource(Noun::Delivery)));
        }
        Ok(retried)
    }
}
