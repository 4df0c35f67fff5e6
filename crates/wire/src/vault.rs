use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A vault: a named container of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "vault_32ELIL9nzEhwlvjSpNSI6xXGNcE",
    "uri": "http://127.0.0.1:7070/vaults/vault_32ELIL9nzEhwlvjSpNSI6xXGNcE",
    "created_at": "2025-09-04T10:11:43Z",
    "updated_at": "2025-09-04T10:11:43Z",
    "name": "prod-vault",
    "description": "Production Vault",
    "metadata": "env=prod",
    "created_by": "usr_32ELAUA7XkJHRP2DgH2JjDRLp81",
    "last_updated_by": "usr_32ELAUA7XkJHRP2DgH2JjDRLp81"
}))]
pub struct Vault {
    /// Its id: `vault_` and a KSUID.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// When it was last changed, RFC 3339 in UTC.
    pub updated_at: String,
    /// Its name, unique in the account.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// The id of the principal that made it.
    pub created_by: String,
    /// The id of the principal that changed it last.
    pub last_updated_by: String,
}

/// A page of vaults, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VaultList {
    /// The vaults.
    pub vaults: Vec<Vault>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// A vault to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "prod-vault", "description": "Production Vault", "metadata": "env=prod"}))]
pub struct VaultCreate {
    /// Its name: letters, digits, `_`, `/`, `.` and `-`, at most 255 bytes.
    #[schema(min_length = 1, max_length = 255, pattern = "^[a-zA-Z0-9_/.-]+$")]
    pub name: String,
    /// What it is for, at most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its writer wants to remember, at most 4096 bytes.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// What to change of a vault; what is left out or null stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"metadata": "{\"environment\": \"production\"}"}))]
pub struct VaultUpdate {
    /// A new name.
    #[schema(min_length = 1, max_length = 255, pattern = "^[a-zA-Z0-9_/.-]+$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A new description.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// New metadata.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}
