//! IP policies, their rules, and the restrictions that bind something to them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cidr::Cidr;
use crate::filter::{Field, Kind};
use crate::ids::{IpPolicyId, IpPolicyRuleId, IpRestrictionId};

/// A set of rules about addresses, for restrictions to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpPolicy {
    /// Its id.
    pub id: IpPolicyId,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it changed, from 1.
    pub revision: u64,
}

impl IpPolicy {
    /// Policies of an account.
    pub const MAX: u64 = 100;
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: IpPolicyId::decode } },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
    ];
}

/// What a rule does with the addresses that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// It lets them in.
    Allow,
    /// It keeps them out, whatever another rule says.
    Deny,
}

impl RuleAction {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// The action of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allow, Self::Deny].into_iter().find(|action| action.as_str() == text)
    }
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpPolicyRule {
    /// Its id.
    pub id: IpPolicyRuleId,
    /// The policy that it is of.
    pub policy: IpPolicyId,
    /// The addresses that it is about.
    pub cidr: Cidr,
    /// What it does with them.
    pub action: RuleAction,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it changed, from 1.
    pub revision: u64,
}

impl IpPolicyRule {
    /// Rules of a policy.
    pub const MAX: u64 = 100;
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: IpPolicyRuleId::decode } },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
        Field { name: "cidr", kind: Kind::Text },
        Field { name: "action", kind: Kind::Text },
        Field { name: "ip_policy", kind: Kind::Id { decode: IpPolicyId::decode } },
        Field { name: "ip_policy.id", kind: Kind::Id { decode: IpPolicyId::decode } },
    ];
}

/// What a restriction is about. Only the API is something here; the others are kept and do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestrictionType {
    /// ngrok's dashboard.
    Dashboard,
    /// The API.
    Api,
    /// ngrok's agents.
    Agent,
    /// ngrok's endpoints.
    Endpoints,
}

impl RestrictionType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dashboard, Self::Api, Self::Agent, Self::Endpoints];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Api => "api",
            Self::Agent => "agent",
            Self::Endpoints => "endpoints",
        }
    }

    /// The type of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// That something may be used only from the addresses that policies allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpRestriction {
    /// Its id.
    pub id: IpRestrictionId,
    /// What it is about.
    pub kind: RestrictionType,
    /// Whether it keeps anybody out; otherwise it only warns.
    pub enforced: bool,
    /// The policies, at least one and each once, in the order that they were given.
    pub policies: Vec<IpPolicyId>,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it changed, from 1.
    pub revision: u64,
}

impl IpRestriction {
    /// Restrictions of an account.
    pub const MAX: u64 = 10;
    /// Policies of a restriction. With the other limits it bounds what is looked at for a request.
    pub const POLICIES_MAX: usize = 10;
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: IpRestrictionId::decode } },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
        Field { name: "type", kind: Kind::Text },
        Field { name: "enforced", kind: Kind::Bool },
    ];
}
