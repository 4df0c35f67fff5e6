//! One attempt at one delivery, and what is kept of one that failed.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use strongroom_domain::ids::WebhookId;
use strongroom_domain::webhook::{Delivery, DeliveryState, Webhook};

use super::message::Message;
use super::{Failure, schedule};
use crate::{Shared, metrics};

/// How an attempt ended.
pub(super) enum Ended {
    /// The target took it.
    Told,
    /// It did not.
    Failed(Failure),
    /// The webhook was deleted or made inactive meanwhile: from then on it is told nothing.
    NotMade,
}

/// Tries a delivery once, to the webhook as it is by now.
pub(super) async fn attempt(shared: Arc<Shared>, id: WebhookId, delivery: Arc<Delivery>) -> Ended {
    match tried(&shared, id, &delivery).await {
        Ok(ended) => ended,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(webhook = %id, %error, cause, "an attempt to deliver could not be made");
            Ended::Failed(ours())
        }
    }
}

async fn tried(shared: &Shared, id: WebhookId, delivery: &Delivery) -> strongroom_domain::Result<Ended> {
    let Some(webhook) = shared.app.webhook_if_active(id).await? else { return Ok(Ended::NotMade) };
    let message = Message { id: delivery.event, body: delivery.body.clone() };
    let tried = shared.deliveries.attempt(&shared.app, &webhook, &message).await?;
    Ok(tried.map_or_else(Ended::Failed, |()| Ended::Told))
}

/// An attempt that this server could not make.
pub(super) fn ours() -> Failure {
    let text = "this server could not make the attempt: its log says why".to_owned();
    Failure { text, retry_after: None, is_gone: false }
}

/// A delivery after an attempt that failed. The metrics and the log are told: of the URL only the host.
pub(super) fn failed(shared: &Shared, webhook: &Webhook, delivery: &Delivery, failure: Failure) -> Delivery {
    let now = shared.app.clock().now();
    let attempts = delivery.attempts + 1;
    let schedule = &shared.deliveries.settings.retry_after;
    let wait = schedule::wait(schedule, attempts, failure.retry_after).filter(|_| !failure.is_gone);
    let (id, host, sequence, error) = (webhook.id, webhook.url.host(), delivery.sequence, failure.text);
    let (state, due) = match wait {
        Some(wait) => {
            shared.metrics.count_delivery(metrics::FAILED);
            tracing::info!(webhook = %id, host, sequence, attempts, error, "a delivery failed");
            (DeliveryState::Waiting, later(now, wait))
        }
        None => {
            shared.metrics.count_delivery(metrics::DEAD);
            tracing::warn!(webhook = %id, host, sequence, attempts, error, "a delivery was given up");
            (DeliveryState::Dead, now)
        }
    };
    Delivery { state, attempts, due, error, ..delivery.clone() }
}

/// A delivery that is not tried before a time, as the target asks to be left alone.
pub(super) fn put_off(delivery: Delivery, until: Timestamp) -> Delivery {
    let error = match delivery.error {
        none if none.is_empty() => "not tried yet: the target asked to be left alone".to_owned(),
        error => error,
    };
    Delivery { due: delivery.due.max(until), error, ..delivery }
}

/// A time that is so long after another one; rounded up, as times are kept in seconds.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let seconds = i64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
