use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
}
