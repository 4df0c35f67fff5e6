use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Ref, Secret};

/// A secret's metadata, and what ngrok's API does not tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretDetail {
    /// What ngrok's API tells.
    #[serde(flatten)]
    pub secret: Secret,
    /// Which version of its value is current, from 1.
    pub version: u32,
    /// When its value stops being given out, RFC 3339 in UTC; empty for never.
    #[serde(default)]
    pub expires_at: String,
    /// When its value was last given out, RFC 3339 in UTC; null when it never was.
    #[schema(required)]
    pub last_resolved_at: Option<String>,
    /// The API key that it was given to.
    #[schema(required)]
    pub last_resolved_by: Option<Ref>,
}

/// A page of secrets in detail, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretDetailList {
    /// The secrets.
    pub secrets: Vec<SecretDetail>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// Where a secret is to be moved. Its id stays, and its value is sealed anew without leaving the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"vault_name": "staging"}))]
pub struct SecretMove {
    /// The vault's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_id: Option<String>,
    /// The vault's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_name: Option<String>,
    /// Its name there; the one it has when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
