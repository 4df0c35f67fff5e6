use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Ref, Vault};

/// A value that a secret has or had, but not the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "version": 3,
    "current": true,
    "created_at": "2025-09-04T10:11:43Z",
    "created_by": {"id": "usr_32ELAUA7XkJHRP2DgH2JjDRLp81", "uri": ""},
    "replaced_at": null
}))]
pub struct SecretVersion {
    /// Its number, from 1.
    pub version: u32,
    /// Whether it is the value that the secret has now.
    pub current: bool,
    /// When it was written, RFC 3339 in UTC.
    pub created_at: String,
    /// The principal that wrote it; null for a value that was written before this was kept.
    #[schema(required)]
    pub created_by: Option<Ref>,
    /// Since when another one has been in its place, RFC 3339 in UTC; null for the current one.
    #[schema(required)]
    pub replaced_at: Option<String>,
}

/// All that is kept of a secret's values, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretVersionList {
    /// The versions.
    pub versions: Vec<SecretVersion>,
    /// The collection's URL.
    pub uri: String,
}

/// Which earlier value is to be the current one again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"version": 3}))]
pub struct SecretRollback {
    /// The number of its version.
    #[schema(minimum = 1)]
    pub version: u32,
}

/// A vault, and what ngrok's API does not tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VaultDetail {
    /// What ngrok's API tells.
    #[serde(flatten)]
    pub vault: Vault,
    /// How many values of a secret are kept, the current one included; null where it is as the server is set.
    #[schema(required)]
    pub keep_versions: Option<u32>,
    /// For how many seconds a value is kept after it was replaced; null where it is as the server is set.
    #[schema(required)]
    pub keep_versions_for: Option<u32>,
}

/// How many values a vault is to keep, and how long; what is left out or null stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"keep_versions": 30, "keep_versions_for": 7_776_000}))]
pub struct VaultKeep {
    /// How many values of a secret, the current one included; 0 is as the server is set.
    #[schema(maximum = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_versions: Option<u32>,
    /// For how many seconds after a value was replaced; 0 is as the server is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_versions_for: Option<u32>,
}

/// A vault, and how many values it keeps, as an audit event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VaultKept {
    /// The vault's id.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// How many values of a secret are kept; null where it is as the server is set.
    pub keep_versions: Option<u32>,
    /// For how many seconds a value is kept after it was replaced; null where it is as the server is set.
    pub keep_versions_for: Option<u32>,
}
