use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A webhook: where the server tells of changes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its id: `wh_` and a KSUID.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Where changes are told.
    pub url: String,
    /// The types of changes that are told; `*` is all.
    pub event_types: Vec<String>,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// Whether it is told anything.
    pub active: bool,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// When it last changed, RFC 3339 in UTC.
    pub updated_at: String,
    /// The signing secret: in the answer that makes the webhook, and null ever after.
    #[schema(required)]
    pub secret: Option<String>,
}

/// A page of webhooks, newest first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookList {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// A webhook to be made.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"url": "https://hooks.example.com/strongroom", "event_types": ["secret_updated.v0"]}))]
pub struct WebhookCreate {
    /// Where changes are to be told: https, without a user name and without a fragment.
    #[schema(max_length = 2048)]
    pub url: String,
    /// The types of changes to tell, such as `secret_updated.v0`; `*` is all.
    #[schema(min_items = 1, max_items = 100)]
    pub event_types: Vec<String>,
    /// What it is for, at most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its writer wants to remember, at most 4096 bytes.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// Whether it is told anything; true when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// The signing secret, `whsec_` and 24 to 64 bytes in base64; one is made when it is left out.
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]+={0,2}$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What to change of a webhook; what is left out or null stays.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct WebhookUpdate {
    /// Another place.
    #[schema(max_length = 2048)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Other types in place of all that it had.
    #[schema(min_items = 1, max_items = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    /// A new description.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// New metadata.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// Whether it is told anything. What happens while it is not, it never hears of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Another signing secret; the one before signs along for 24 hours.
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]+={0,2}$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A webhook, as an audit event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookRef {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// The host that changes are told to: the rest of the URL may hold a token.
    pub host: String,
    /// The types of changes that are told.
    pub event_types: Vec<String>,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// Whether it is told anything.
    pub active: bool,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// When it last changed, RFC 3339 in UTC.
    pub updated_at: String,
}

/// Something that a webhook was to be told, and was not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "sequence": 1042,
    "event_id": "ev_32ELEgPmoXjxGJ3MXfoPBbZKrfD",
    "event_type": "secret_updated.v0",
    "state": "waiting",
    "attempts": 2,
    "next_attempt_at": "2026-01-01T00:05:09Z",
    "given_up_at": null,
    "error": "the target answered 500"
}))]
pub struct WebhookDelivery {
    /// The number of the audit event that it tells of.
    pub sequence: u64,
    /// The id of that event, and of the message.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// `waiting` for another attempt, or `dead`: given up.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again, RFC 3339 in UTC; null for a dead one.
    #[schema(required)]
    pub next_attempt_at: Option<String>,
    /// When it was given up, RFC 3339 in UTC; null for a waiting one.
    #[schema(required)]
    pub given_up_at: Option<String>,
    /// Why the last attempt failed.
    pub error: String,
}

/// A page of deliveries that failed, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDeliveryList {
    /// The deliveries.
    pub deliveries: Vec<WebhookDelivery>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// What is to be tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"sequence": 1042}))]
pub struct WebhookRetry {
    /// The number of one delivery's audit event; all deliveries that failed when it is left out.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// What is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookRetried {
    /// How many deliveries.
    pub retried: u64,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookTested {
    /// Whether the target took the message.
    pub delivered: bool,
    /// Why not; null if it did.
    #[schema(required)]
    pub error: Option<String>,
}

/// What a webhook is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookMessage<'a, T> {
    /// The type of the change.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// When it came about, RFC 3339 in UTC.
    pub timestamp: String,
    /// What there is to tell.
    pub data: T,
}
