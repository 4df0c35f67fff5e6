use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Ref;

/// An audit event: ngrok's envelope, and its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event<O> {
    /// Its id: `ev_` and a KSUID.
    pub event_id: String,
    /// `<object>_<action>.v0`.
    pub event_type: String,
    /// When it happened, RFC 3339 in UTC.
    pub event_timestamp: String,
    /// The account.
    pub account_id: String,
    /// Who did it.
    pub principal: Principal,
    /// What it was done to, as the API shows it.
    pub object: O,
    /// Where the request came from, when a value was given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<EventClient>,
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// Its hash in the log's tree, in hexadecimal.
    pub hash: String,
}

/// A page of audit events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEventList {
    /// The events, in ngrok's envelope.
    #[schema(value_type = Vec<Object>)]
    pub audit_events: Vec<Listed>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// A record of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Listed {
    /// An event.
    Event(Box<Event<serde_json::Value>>),
    /// The place of one that was damaged or altered.
    Unreadable(Unreadable),
}

impl Listed {
    /// Its number in the log.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Event(event) => event.sequence,
            Self::Unreadable(record) => record.sequence,
        }
    }
}

/// A record of the log that is no event any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Always true.
    pub unreadable: bool,
    /// Its number in the log.
    pub sequence: u64,
    /// The hash of what stands there, in hexadecimal.
    pub hash: String,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The user's or service user's id.
    pub id: String,
    /// A user's e-mail address, a service user's name.
    pub subject: String,
    /// `API`, `CLI` for what was done on the machine itself, or `SERVER` for what the server did when its time had come.
    pub source: String,
    /// The key that was used, if any.
    pub credential: Option<Credential>,
}

/// The key that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The key's id.
    pub id: String,
    /// Where the key is.
    pub uri: String,
}

/// A secret whose value was given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedRef {
    /// The secret's id.
    pub id: String,
    /// Where the secret is.
    pub uri: String,
    /// Its name then.
    pub name: String,
    /// Its vault.
    pub vault: Ref,
    /// That vault's name then.
    pub vault_name: String,
    /// Which version of its value it was.
    pub version: u32,
}

/// The audit log, when its oldest events were pruned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedLog {
    /// Up to which event.
    pub pruned_upto: u64,
    /// The root of the tree over all events up to it, in hexadecimal.
    pub root: String,
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventClient {
    /// The address of the other end of the connection.
    pub address: String,
    /// What the program calls itself; empty when it does not.
    pub user_agent: String,
}
