//! Lists of events.

use super::{Event, Object, Record};
use crate::filter::{Field, Filter, Kind, Value};
use crate::ids::{
    ApiKeyId, EventId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, PrincipalId, SecretId,
    ServiceUserId, VaultId, WebhookId,
};
use crate::page::PageLimit;

/// In which order events are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// What a list of events is asked for.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Its order.
    pub order: Order,
    /// Only events that come, in this order, after the one with that number.
    pub past: Option<u64>,
    /// How many events at most.
    pub limit: PageLimit,
    /// Only events that this holds for.
    pub filter: Option<Filter>,
}

impl EventQuery {
    /// Whether a record is one of those that are asked for. One that is no event is: nobody can say that it is not what is looked
    /// for.
    #[must_use]
    pub fn passes(&self, record: &Record) -> bool {
        let Some(filter) = &self.filter else { return true };
        Event::from_canonical(&record.canonical).ok().is_none_or(|event| event.passes(filter))
    }
}

impl Event {
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "event_id", kind: Kind::Id { decode: EventId::decode } },
        Field { name: "event_type", kind: Kind::Text },
        Field { name: "event_timestamp", kind: Kind::Time },
        Field { name: "principal.id", kind: Kind::Id { decode: PrincipalId::decode } },
        Field { name: "principal.subject", kind: Kind::Text },
        Field { name: "object.id", kind: Kind::Id { decode: object_id } },
    ];

    /// Whether a filter over those fields holds for it.
    #[must_use]
    pub fn passes(&self, filter: &Filter) -> bool {
        filter.holds(&|field| match field {
            "event_id" => Value::Id(self.id.ksuid().as_bytes().to_vec()),
            "event_timestamp" => Value::Time(self.at.as_second()),
            "principal.id" => Value::Id(self.principal.id.to_bytes().to_vec()),
            "principal.subject" => Value::Text(&self.principal.subject),
            "object.id" => Value::Id(self.object.id().into_bytes()),
            _ => Value::Text(&self.kind),
        })
    }
}

impl Object {
    /// Its id, as text.
    fn id(&self) -> String {
        match self {
            Self::Vault { id, .. }
            | Self::VaultKeep { id, .. }
            | Self::VaultKey { id, .. }
            | Self::DataKeys { id, .. } => id.to_string(),
            Self::Secret { id, .. } | Self::Value { id, .. } => id.to_string(),
            Self::ApiKey { id, .. } => id.to_string(),
            Self::ServiceUser { id, .. } => id.to_string(),
            // They have none.
            Self::AuditLog { .. } | Self::RootKey { .. } | Self::Server { .. } => String::new(),
            Self::KeySlot { id, .. } => id.to_string(),
            Self::Webhook { id, .. } => id.to_string(),
            Self::IpPolicy { id, .. } => id.to_string(),
            Self::IpPolicyRule { id, .. } => id.to_string(),
            Self::IpRestriction { id, .. } => id.to_string(),
        }
    }
}

/// An id of any kind of object, written in the one way that [`Object::id`] writes it.
fn object_id(text: &str) -> Option<Vec<u8>> {
    let vault = || text.parse::<VaultId>().map(|id| id.to_string());
    let secret = || text.parse::<SecretId>().map(|id| id.to_string());
    let key = || text.parse::<ApiKeyId>().map(|id| id.to_string());
    let user = || text.parse::<ServiceUserId>().map(|id| id.to_string());
    let webhook = || text.parse::<WebhookId>().map(|id| id.to_string());
    let policy = || text.parse::<IpPolicyId>().map(|id| id.to_string());
    let rule = || text.parse::<IpPolicyRuleId>().map(|id| id.to_string());
    let restriction = || text.parse::<IpRestrictionId>().map(|id| id.to_string());
    let id = vault().or_else(|_| secret()).or_else(|_| key()).or_else(|_| user()).or_else(|_| webhook());
    let slot = || text.parse::<KeySlotId>().map(|id| id.to_string());
    let id = id.or_else(|_| policy()).or_else(|_| rule()).or_else(|_| restriction()).or_else(|_| slot());
    id.ok().map(String::into_bytes)
}
