//! Webhooks and their deliveries.

use strongroom_domain::SigningSecret;
use strongroom_domain::ids::WebhookId;
use strongroom_domain::page::{Listing, PageLimit};
use strongroom_domain::webhook::{Delivery, DeliveryState, Webhook};
use strongroom_wire as wire;

use super::{Next, next_page, time};
use crate::origin::Origin;

/// A webhook; with its signing secret only for the one who made it.
#[must_use]
pub fn webhook(webhook: &Webhook, secret: Option<&SigningSecret>, origin: &Origin) -> wire::Webhook {
    wire::Webhook {
        id: webhook.id.to_string(),
        uri: format!("{origin}/strongroom/webhooks/{}", webhook.id),
        url: webhook.url.as_str().to_owned(),
        event_types: webhook.event_types.as_slice().to_vec(),
        description: webhook.description.clone(),
        metadata: webhook.metadata.clone(),
        active: webhook.active,
        created_at: time(webhook.created_at),
        updated_at: time(webhook.updated_at),
        // Shown once, to the one who made the webhook.
        secret: secret.map(|secret| secret.expose_secret().to_string()),
    }
}

/// A page of webhooks.
#[must_use]
pub fn webhooks(page: &Listing<Webhook>, next: &Next, origin: &Origin) -> wire::WebhookList {
    let uri = format!("{origin}/strongroom/webhooks");
    let webhooks: Vec<_> = page.items.iter().map(|item| webhook(item, None, origin)).collect();
    let next_page_uri = next_page(page, &uri, webhooks.last().map(|last| &last.id), next);
    wire::WebhookList { next_page_uri, uri, webhooks }
}

/// A page of deliveries.
#[must_use]
pub fn deliveries(
    page: &Listing<Delivery>,
    of: WebhookId,
    state: Option<DeliveryState>,
    limit: PageLimit,
    origin: &Origin,
) -> wire::WebhookDeliveryList {
    let uri = format!("{origin}/strongroom/webhooks/{of}/deliveries");
    let last = page.items.last().filter(|_| page.more);
    let next_page_uri = last.map(|last| {
        let state = state.map(|state| format!("&state={}", state.as_str())).unwrap_or_default();
        format!("{uri}?before={}&limit={}{state}", last.sequence, limit.get())
    });
    wire::WebhookDeliveryList { deliveries: page.items.iter().map(delivery).collect(), uri, next_page_uri }
}

fn delivery(delivery: &Delivery) -> wire::WebhookDelivery {
    let due = |state| (delivery.state == state).then(|| time(delivery.due));
    wire::WebhookDelivery {
        sequence: delivery.sequence,
        event_id: delivery.event.to_string(),
        event_type: delivery.kind.clone(),
        state: delivery.state.as_str().to_owned(),
        attempts: delivery.attempts,
        next_attempt_at: due(DeliveryState::Waiting),
        given_up_at: due(DeliveryState::Dead),
        error: delivery.error.clone(),
    }
}
