use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A service user, also called a bot user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceUser {
    /// Its id: `bot_` and a KSUID, or `service_` and the same under `/service_users`.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Its name, unique in the account.
    pub name: String,
    /// Whether its keys work.
    pub active: bool,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
}

/// A page of service users, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceUserList {
    /// The service users.
    pub service_users: Vec<ServiceUser>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// A page of service users under their older name, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BotUserList {
    /// The service users.
    pub bot_users: Vec<ServiceUser>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// A service user to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "deploy", "active": true}))]
pub struct ServiceUserCreate {
    /// Its name, at most 255 bytes.
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// Whether its keys work; true when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

/// What to change of a service user; what is left out or null stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"active": false}))]
pub struct ServiceUserUpdate {
    /// A new name.
    #[schema(min_length = 1, max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether its keys work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}
