//! What is sent.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use strongroom_domain::change::Change;
use strongroom_domain::ids::EventId;
use strongroom_domain::webhook::{Delivery, DeliveryState, Webhook};
use strongroom_domain::{Error, Result};
use strongroom_wire as wire;

use crate::view;

/// The type of a message that tells of nothing.
const TEST: &str = "webhook_test.v0";

/// A message, the same with each attempt.
pub(super) struct Message {
    pub(super) id: EventId,
    pub(super) body: String,
}

impl Message {
    /// A message that tells of nothing.
    pub(super) fn test(webhook: &Webhook, id: EventId, at: Timestamp) -> Result<Self> {
        let body = body(TEST, at, json!({"webhook": webhook.id.to_string()}))?;
        Ok(Self { id, body })
    }
}

/// What is to be told of a change, as it stands before the first attempt.
pub(super) fn delivery(change: &Change) -> Result<Delivery> {
    Ok(Delivery {
        sequence: change.cursor.sequence(),
        event: change.event,
        kind: change.kind.clone().into_owned(),
        body: body(&change.kind, change.at, view::change(change))?,
        state: DeliveryState::Waiting,
        attempts: 0,
        due: change.at,
        error: String::new(),
    })
}

fn body(kind: &str, at: Timestamp, data: impl Serialize) -> Result<String> {
    let message = wire::WebhookMessage { kind: Cow::Borrowed(kind), timestamp: at.to_string(), data };
    serde_json::to_string(&message).map_err(|error| Error::Internal(Box::new(error)))
}
