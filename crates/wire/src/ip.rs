use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Ref;

/// An IP policy: a set of rules about addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpPolicy {
    /// Its id: `ipp_` and a KSUID.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
}

/// A page of IP policies, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpPolicyList {
    /// The policies.
    pub ip_policies: Vec<IpPolicy>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// An IP policy to be made, or what to change of one; what is left out or null stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"description": "the offices"}))]
pub struct IpPolicyFields {
    /// What it is for, at most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its writer wants to remember, at most 4096 bytes.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// A rule of an IP policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpPolicyRule {
    /// Its id: `ipr_` and a KSUID.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// The addresses that it is about.
    pub cidr: String,
    /// The policy that it is of.
    pub ip_policy: Ref,
    /// `allow` or `deny`.
    pub action: String,
}

/// A page of rules of all IP policies, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpPolicyRuleList {
    /// The rules.
    pub ip_policy_rules: Vec<IpPolicyRule>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// A rule of an IP policy to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"cidr": "192.0.2.0/24", "ip_policy_id": "ipp_32ELHI4zOitQxIqDFNmlTmyTbTk", "action": "allow"}))]
pub struct IpPolicyRuleCreate {
    /// The addresses that it is about: IPv4 or IPv6, by the lowest of them.
    pub cidr: String,
    /// The policy that it is to be of.
    pub ip_policy_id: String,
    /// `allow` or `deny`.
    #[schema(pattern = "^(allow|deny)$")]
    pub action: String,
    /// What it is for, at most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its writer wants to remember, at most 4096 bytes.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// What to change of a rule; what is left out or null stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"cidr": "192.0.2.0/25"}))]
pub struct IpPolicyRuleUpdate {
    /// Other addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// A new description.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// New metadata.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// An IP restriction: that something may be used only from the addresses that policies allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpRestriction {
    /// Its id: `ipx_` and a KSUID.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// Whether it keeps anybody out; otherwise it only warns.
    pub enforced: bool,
    /// `api`, or one of `dashboard`, `agent` and `endpoints`, which do nothing here.
    #[serde(rename = "type")]
    pub kind: String,
    /// The policies.
    pub ip_policies: Vec<Ref>,
}

/// A page of IP restrictions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpRestrictionList {
    /// The restrictions.
    pub ip_restrictions: Vec<IpRestriction>,
    /// The collection's URL.
    pub uri: String,
    /// The URL of the next page; null on the last.
    #[schema(required)]
    pub next_page_uri: Option<String>,
}

/// An IP restriction to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"type": "api", "ip_policy_ids": ["ipp_32ELHI4zOitQxIqDFNmlTmyTbTk"], "enforced": false}))]
pub struct IpRestrictionCreate {
    /// `api`, or one of `dashboard`, `agent` and `endpoints`, which do nothing here.
    #[serde(rename = "type")]
    #[schema(pattern = "^(dashboard|api|agent|endpoints)$")]
    pub kind: String,
    /// The policies, 1 to 10.
    #[schema(min_items = 1, max_items = 10)]
    pub ip_policy_ids: Vec<String>,
    /// Whether it keeps anybody out; false, which only warns, when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced: Option<bool>,
    /// What it is for, at most 255 bytes.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its writer wants to remember, at most 4096 bytes.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// What to change of an IP restriction; what is left out or null stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"enforced": true}))]
pub struct IpRestrictionUpdate {
    /// Other policies in place of all that it had; an empty list leaves them.
    #[schema(max_items = 10)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_policy_ids: Option<Vec<String>>,
    /// Whether it keeps anybody out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced: Option<bool>,
    /// A new description.
    #[schema(max_length = 255)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// New metadata.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}
