use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A reference to something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ref {
    /// Its id.
    pub id: String,
    /// Where it is; empty for a user.
    pub uri: String,
}

/// All of a secret but its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "secret_32ELIJG8pybfIzK6EGVZ3HWrk1E",
    "uri": "http://127.0.0.1:7070/vault_secrets/secret_32ELIJG8pybfIzK6EGVZ3HWrk1E",
    "created_at": "2025-09-04T10:11:43Z",
    "updated_at": "2025-09-04T10:11:43Z",
    "name": "db-password",
    "description": "Database password for prod postgres instance",
    "metadata": "env=prod,service=postgres",
    "created_by": {"id": "usr_32ELAUA7XkJHRP2DgH2JjDRLp81", "uri": ""},
    "last_updated_by": {"id": "usr_32ELAUA7XkJHRP2DgH2JjDRLp81", "uri": ""},
    "vault": {
        "id": "vault_32ELIFtgRqQ13kcDvI8Bu4y0Ra7",
        "uri": "http://127.0.0.1:7070/vaults/vault_32ELIFtgRqQ13kcDvI8Bu4y0Ra7"
    },
    "vault_name": "prod-vault"
}))]
pub struct Secret {
    /// Its id: `secret_` and a KSUID.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// When it was last changed, RFC 3339 in UTC.
    pub updated_at: String,
    /// Its name, unique in its vault.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// The principal that made it.
    pub created_by: Ref,
    /// The principal that changed it last.
    pub last_updated_by: Ref,
    /// The vault it is in.
    pub vault: Ref,
    /// That vault's name.
    pub vault_name: String,
}

/// A secret as an audit event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSecret {
    /// What ngrok's API tells.
    #[serde(flatten)]
    pub secret: Secret,
    /// When its value stops being given out, RFC 3339 in UTC; left out for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A page of secrets, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretList {
    /// The secrets.
    pub secrets: Vec<Secret>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// A secret to be made, in the vault that `vault_id` or `vault_name` names.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "name": "db-password",
    "value": "supersecret123",
    "vault_name": "prod-vault",
    "description": "Database password for prod postgres instance",
    "metadata": "env=prod,service=postgres"
}))]
pub struct SecretCreate {
    /// Its name: letters, digits, `_`, `/`, `.` and `-`, at most 255 bytes.
    #[schema(min_length = 1, max_length = 255, pattern = "^[a-zA-Z0-9_/.-]+$")]
    pub name: String,
    /// Its value, at most 64 KiB unless the server is set to take more. It is never given back.
    #[schema(min_length = 1, max_length = 65536)]
    pub value: String,
    /// The vault's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_id: Option<String>,
    /// The vault's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_name: Option<String>,
    /// What it is for, at most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its writer wants to remember, at most 4096 bytes.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// When its value is to stop being given out, RFC 3339; it must lie ahead. `GET /strongroom/secrets/{id}` tells it.
    #[schema(format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// What to change of a secret; what is left out or null stays.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"metadata": "{\"environment\": \"production\"}", "value": "supersecretupdated"}))]
pub struct SecretUpdate {
    /// A new name.
    #[schema(min_length = 1, max_length = 255, pattern = "^[a-zA-Z0-9_/.-]+$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A new value.
    #[schema(min_length = 1, max_length = 65536)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A new description.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// New metadata.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// When its value is to stop being given out, RFC 3339; `""` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}
