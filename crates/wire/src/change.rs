use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change of a secret or of a vault: names, never a value. One of `secret` and `vault` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "cursor": "1042-9f86d081884c7d65",
    "type": "secret_updated.v0",
    "event_id": "ev_32ELEgPmoXjxGJ3MXfoPBbZKrfD",
    "at": "2026-01-01T00:00:00Z",
    "secret": {
        "id": "secret_32ELEgPmoXjxGJ3MXfoPBbZKrfD", "name": "db-password", "version": 4,
        "vault": {"id": "vault_32ELEgPmoXjxGJ3MXfoPBbZKrfD", "name": "prod"}
    }
}))]
pub struct Change {
    /// The place in the feed after it.
    pub cursor: String,
    /// `<object>_<action>.v0`, as in the audit log.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of its event in the audit log.
    pub event_id: String,
    /// When it came about, RFC 3339 in UTC.
    pub at: String,
    /// The secret that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<ChangedSecret>,
    /// The vault that was changed. Its name is what all secrets in it show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<ChangedVault>,
    /// What it was called, when it was renamed or moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ChangedFrom>,
}

/// A secret that was changed, as it was after it; one that is gone, before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedSecret {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Which version of its value is current: another one as soon as the value is.
    pub version: u32,
    /// The vault that it is in.
    pub vault: ChangedVault,
}

/// A vault, by its id and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedVault {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What something was called before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedFrom {
    /// Its name.
    pub name: String,
    /// The vault that it was in, of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<ChangedVault>,
}

/// A stretch of the feed of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeList {
    /// The changes that the key gets to know of, in the order in which they came about.
    pub changes: Vec<Change>,
    /// The place in the feed after them: what to ask with next, as `after`.
    pub cursor: String,
    /// Whether there is more to be read already.
    pub more: bool,
}
