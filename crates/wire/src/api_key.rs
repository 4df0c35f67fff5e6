use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that an API key may do. People write it `resolve prod:tls-*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"action": "resolve", "vault": "prod", "secret": "tls-*"}))]
pub struct Grant {
    /// `manage`, `read` (metadata only), `resolve` (values), `audit` or `admin`.
    pub action: String,
    /// The vaults, by name; `*` stands for any run of characters. Needed for `manage`, `read` and `resolve`; the other
    /// two take no target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The secrets in them, by name; `*`, all of them, when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// An API key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its id: `ak_` and a KSUID.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// The bearer token: in the answer that makes the key, and null ever after.
    #[schema(required)]
    pub token: Option<String>,
    /// The user or service user that it acts for.
    pub owner_id: String,
    /// What it may do, and nothing else; null for a key that may do what its owner may, but read no value.
    #[schema(required)]
    #[serde(default)]
    pub grants: Option<Vec<Grant>>,
    /// When it stops working, RFC 3339 in UTC; null for never.
    #[schema(required)]
    #[serde(default)]
    pub expires_at: Option<String>,
    /// The SHA-256 fingerprint of the certificate that a connection has to show for the key to work, in hexadecimal; null
    /// for any connection.
    #[schema(required)]
    #[serde(default)]
    pub client_certificate: Option<String>,
}

/// A page of API keys, newest first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyList {
    /// The keys.
    pub keys: Vec<ApiKey>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// An API key to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"description": "ad-hoc dev testing", "metadata": "{\"environment\":\"dev\"}"}))]
pub struct ApiKeyCreate {
    /// What it is for, at most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its writer wants to remember, at most 4096 bytes.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The user or service user that it is to act for; only an admin may name another than itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// The same, by a user's e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_email: Option<String>,
    /// What it may do, and nothing else: 1 to 100 grants. Only an admin gives `resolve`, `audit` and `admin`.
    #[schema(min_items = 1, max_items = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// When it is to stop working, RFC 3339; it must lie ahead.
    #[schema(format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The SHA-256 fingerprint of a client certificate that it is to be bound to, in hexadecimal, with colons or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
}

/// What to change of an API key; what is left out or null stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyUpdate {
    /// A new description.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// New metadata.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// New grants in place of all it had.
    #[schema(min_items = 1, max_items = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// When it is to stop working, RFC 3339; `""` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The SHA-256 fingerprint of another client certificate that it is to be bound to; `""` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
}
