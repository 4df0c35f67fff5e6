use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiKey;

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Root {
    /// The API's URL.
    pub uri: String,
    /// The URL of each collection.
    pub subresource_uris: BTreeMap<String, String>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// Always false; ngrok's clients read it.
    pub enforce_sso: bool,
    /// Its id: `ac_` and a KSUID.
    pub id: String,
    /// Always `2.3.0`; ngrok's clients read it.
    pub min_agent_version: String,
    /// The version of the API.
    pub min_api_version: u32,
    /// What it is called.
    pub name: String,
    /// Always false.
    pub suspended: bool,
    /// Always false; ngrok's clients read it.
    pub traffic_full_capture: bool,
    /// Always false.
    pub user_mfa_required: bool,
}

/// Who is asking.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SelfInfo {
    /// The account.
    pub account: Account,
    /// The key that was used, without its token.
    pub api_key: ApiKey,
    /// What its owner is called: a user's e-mail address, a service user's name.
    pub user: String,
}
