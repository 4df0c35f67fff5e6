use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Ref;

/// The key of a vault: its id and what refers to it, never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "6b1f0c9d2e4a8b37",
    "vault": {
        "id": "vault_32ELIL9nzEhwlvjSpNSI6xXGNcE",
        "uri": "http://127.0.0.1:7070/vaults/vault_32ELIL9nzEhwlvjSpNSI6xXGNcE"
    },
    "vault_name": "prod",
    "created_at": "2025-09-04T10:11:43Z",
    "values": 1840,
    "rotation": {"kind": "vault", "started_at": "2026-03-01T08:00:00Z", "done": 1500, "left": 340, "failing": false}
}))]
pub struct VaultKey {
    /// What the key is called: 16 hexadecimal digits that tell nothing about it.
    pub id: String,
    /// The vault.
    pub vault: Ref,
    /// The vault's name.
    pub vault_name: String,
    /// When the key was made, RFC 3339 in UTC.
    pub created_at: String,
    /// Values that are sealed in the vault: current, earlier, and of deleted secrets.
    pub values: u64,
    /// The rotation that is under way; null when none is.
    #[schema(required)]
    pub rotation: Option<KeyRotation>,
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyRotation {
    /// `vault`: data keys are wrapped anew by another vault key. `data`: values are sealed anew under other data keys.
    pub kind: String,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// Values that are done.
    pub done: u64,
    /// Values that still refer to an old key. It is destroyed once there is none.
    pub left: u64,
    /// Whether the last try failed. The server's log tells why, and it is tried again each minute.
    pub failing: bool,
}

/// A page of vault keys, those of the newest vaults first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VaultKeyList {
    /// The root key, which wraps all of them.
    pub root_key: RootKey,
    /// The keys.
    pub keys: Vec<VaultKey>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// Which keys of a vault are to be rotated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"kind": "data"}))]
pub struct KeyRotate {
    /// `vault`, which it is when it is left out, or `data`.
    #[schema(pattern = "^(vault|data)$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A vault's key as an audit event tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotatedKey {
    /// The vault's id.
    pub id: String,
    /// Where the vault is.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// The id of its key; not told where data keys are rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The id of the key before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<String>,
    /// Values that were done, once all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<u64>,
}

/// The root key: its id and its age, never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootKey {
    /// What it is called: 16 hexadecimal digits that tell nothing about it.
    pub id: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
}

/// A root key that was rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootKeyRotated {
    /// The id of the root key.
    pub id: String,
    /// The id of the one before. Backups made before hold it, sealed to the slots of then.
    pub previous_key: String,
    /// Keys that were wrapped anew; the one before wraps none any more.
    pub wrapped: u64,
}

/// A root key as an audit event tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootKeyRef {
    /// Its id.
    pub id: String,
    /// The id of the one before.
    pub previous_key: String,
}
