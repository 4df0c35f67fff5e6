use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A secret whose value is asked for: by `id`, by `vault` and `name`, or, with `vault` alone, all that is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"vault": "prod", "name": "db-password"}))]
pub struct Reference {
    /// The secret's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The vault's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The secret's name in that vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which version, from 1; the current one when it is left out.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl Reference {
    /// All that is in the vault of that name.
    #[must_use]
    pub fn whole(vault: &str) -> Self {
        Self { vault: Some(vault.to_owned()), ..Self::default() }
    }
}

/// Values to be read: all of them or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"secrets": [{"vault": "prod", "name": "db-password"}]}))]
pub struct Resolve {
    /// 1 to 100 references, which may mean up to 1,000 values.
    #[schema(min_items = 1, max_items = 100)]
    pub secrets: Vec<Reference>,
}

/// A secret with its value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResolvedSecret {
    /// Its id: `secret_` and a KSUID.
    pub id: String,
    /// Its vault's name.
    pub vault: String,
    /// Its name.
    pub name: String,
    /// Which version the value is, from 1.
    pub version: u32,
    /// The value.
    pub value: String,
    /// When the secret was last changed, RFC 3339 in UTC.
    pub updated_at: String,
    /// When its value stops being given out, RFC 3339 in UTC; empty for never.
    #[serde(default)]
    pub expires_at: String,
}

/// Values, in the order that they were asked for; those of a whole vault by name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResolvedSecrets {
    /// The secrets.
    pub secrets: Vec<ResolvedSecret>,
}

impl Drop for ResolvedSecret {
    /// A value stays in memory no longer than its holder.
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.value);
    }
}
