//! A webhook: where the server tells of what happens, and what it has not managed to tell yet.

pub mod address;
mod event_types;
mod url;

use jiff::{SignedDuration, Timestamp};
use strongroom_crypto::WrappedKey;

use crate::ids::{AccountId, EventId, WebhookId};

pub use event_types::{EventTypes, UnknownEventType};
pub use url::{BadUrl, WebhookUrl};

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where it is told.
    pub url: WebhookUrl,
    /// What it is told of.
    pub event_types: EventTypes,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// Whether it is told anything. What happens while it is not active, it never hears of.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How often it changed, from 1.
    pub revision: u64,
    /// What its deliveries are signed with, wrapped by the root key.
    pub secret: WrappedKey,
    /// What they were signed with before, and are until then.
    pub old_secret: Option<(WrappedKey, Timestamp)>,
    /// The number of the last record of the log that was taken for it. The store keeps it: no change of a webhook sets it.
    pub position: u64,
}

impl Webhook {
    /// Webhooks of an account.
    pub const MAX: u64 = 100;
    /// For how long the secret before the current one signs along.
    pub const OLD_SECRET: SignedDuration = SignedDuration::from_hours(24);
    /// Deliveries of a webhook that are kept: dead ones make room for others, the oldest first. With so many that wait, its
    /// position stays where it is: the log keeps the rest.
    pub const DELIVERIES_MAX: u64 = 10_000;
    /// For how long a dead delivery is kept.
    pub const DEAD_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

    /// Whether both are the same in all that can be changed, but for the secret.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let changeable = |webhook: &Self| (webhook.url.clone(), webhook.event_types.clone(), webhook.active);
        changeable(self) == changeable(other)
            && (&self.description, &self.metadata) == (&other.description, &other.metadata)
    }
}

/// How a delivery that failed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried again.
    Waiting,
    /// It was given up.
    Dead,
}

impl DeliveryState {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Dead].into_iter().find(|state| state.as_str() == text)
    }
}

/// Something that a webhook is to be told, and was not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The number of the record that it tells of.
    pub sequence: u64,
    /// The id of that event, and of the message: the same with each attempt.
    pub event: EventId,
    /// The event's type.
    pub kind: String,
    /// What is sent.
    pub body: String,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; of a dead one, when it was given up.
    pub due: Timestamp,
    /// Why the last attempt failed. Nothing of an answer's body is in it.
    pub error: String,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The webhook was told of the record of that number.
    Delivered(u64),
    /// It was not.
    Failed(Delivery),
}

/// How many deliveries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCounts {
    /// Those that are tried again.
    pub waiting: u64,
    /// Those that were given up.
    pub dead: u64,
}

/// Where a signing secret is sealed to: the account and the webhook.
pub(crate) fn place(account: &AccountId, webhook: &WebhookId) -> ([u8; 20], [u8; 20]) {
    (*account.ksuid().as_bytes(), *webhook.ksuid().as_bytes())
}
