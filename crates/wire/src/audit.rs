use serde::{Deserialize, Serialize};

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
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// Its chain value, in hexadecimal.
    pub hash: String,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The user's or service user's id.
    pub id: String,
    /// A user's e-mail address, a service user's name.
    pub subject: String,
    /// `API`, or `CLI` for what was done on the machine itself.
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
