use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Grant;

/// A key and a secret: what may the one do with the other?
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"api_key": "ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD", "vault": "prod", "name": "db-password"}))]
pub struct Explain {
    /// The key's id; the one that asks when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The vault's name. Neither it nor the secret need exist.
    pub vault: String,
    /// The secret's name.
    pub name: String,
}

/// What a key may do with a secret, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The key's id.
    pub api_key: String,
    /// Whom it acts for.
    pub owner_id: String,
    /// What its owner is: `admin`, `developer` or `viewer`.
    pub role: String,
    /// The vault's name.
    pub vault: String,
    /// The secret's name.
    pub name: String,
    /// Whether the key gets to know that there is such a secret. If not, it is answered as one that there is not.
    pub visible: bool,
    /// `read`, `manage` and `resolve`, in this order.
    pub actions: Vec<Ruling>,
}

/// Whether one action is allowed, and what decides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ruling {
    /// `read`, `manage` or `resolve`.
    pub action: String,
    /// Whether it is allowed.
    pub allowed: bool,
    /// The grant that decides; null where none does.
    #[schema(required)]
    pub grant: Option<Grant>,
    /// What decides, in words.
    pub reason: String,
}
