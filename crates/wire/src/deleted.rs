use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Ref, Secret, Vault};

/// A secret that was deleted and can be brought back, as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedSecret {
    /// What it was.
    #[serde(flatten)]
    pub secret: Secret,
    /// Which version of its value was current.
    pub version: u32,
    /// When it was deleted, RFC 3339 in UTC.
    pub deleted_at: String,
    /// The principal that deleted it.
    pub deleted_by: Ref,
    /// When it will be destroyed, RFC 3339 in UTC.
    pub purged_at: String,
}

/// A vault that was deleted and can be brought back, as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedVault {
    /// What it was.
    #[serde(flatten)]
    pub vault: Vault,
    /// When it was deleted, RFC 3339 in UTC.
    pub deleted_at: String,
    /// The principal that deleted it.
    pub deleted_by: Ref,
    /// When it will be destroyed, RFC 3339 in UTC.
    pub purged_at: String,
}

/// A page of what was deleted: secrets and vaults in one order, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedList {
    /// The secrets of the page.
    pub secrets: Vec<DeletedSecret>,
    /// The vaults of the page.
    pub vaults: Vec<DeletedVault>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// Under which name something deleted is brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "db-password-old"}))]
pub struct Undelete {
    /// Another name; the one that it had when it is left out.
    #[schema(min_length = 1, max_length = 255, pattern = "^[a-zA-Z0-9_/.-]+$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
