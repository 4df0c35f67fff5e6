//! IP policies, their rules and restrictions.

use strongroom_domain::ids::IpPolicyId;
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use strongroom_domain::page::Listing;
use strongroom_wire as wire;

use super::{Next, join, next_page, time};
use crate::origin::Origin;

/// An IP policy.
#[must_use]
pub fn ip_policy(policy: &IpPolicy, origin: &Origin) -> wire::IpPolicy {
    let id = policy.id.to_string();
    wire::IpPolicy {
        uri: join(origin, "ip_policies", &id),
        id,
        created_at: time(policy.created_at),
        description: policy.description.clone(),
        metadata: policy.metadata.clone(),
    }
}

fn policy_ref(id: IpPolicyId, origin: &Origin) -> wire::Ref {
    let id = id.to_string();
    wire::Ref { uri: join(origin, "ip_policies", &id), id }
}

/// A rule of an IP policy.
#[must_use]
pub fn ip_policy_rule(rule: &IpPolicyRule, origin: &Origin) -> wire::IpPolicyRule {
    let id = rule.id.to_string();
    wire::IpPolicyRule {
        uri: join(origin, "ip_policy_rules", &id),
        id,
        created_at: time(rule.created_at),
        description: rule.description.clone(),
        metadata: rule.metadata.clone(),
        cidr: rule.cidr.as_str().to_owned(),
        ip_policy: policy_ref(rule.policy, origin),
        action: rule.action.as_str().to_owned(),
    }
}

/// An IP restriction.
#[must_use]
pub fn ip_restriction(restriction: &IpRestriction, origin: &Origin) -> wire::IpRestriction {
    let id = restriction.id.to_string();
    wire::IpRestriction {
        uri: join(origin, "ip_restrictions", &id),
        id,
        created_at: time(restriction.created_at),
        description: restriction.description.clone(),
        metadata: restriction.metadata.clone(),
        enforced: restriction.enforced,
        kind: restriction.kind.as_str().to_owned(),
        ip_policies: restriction.policies.iter().map(|policy| policy_ref(*policy, origin)).collect(),
    }
}

/// A page of IP policies.
#[must_use]
pub fn ip_policies(page: &Listing<IpPolicy>, next: &Next, origin: &Origin) -> wire::IpPolicyList {
    let uri = format!("{origin}/ip_policies");
    let ip_policies: Vec<_> = page.items.iter().map(|item| ip_policy(item, origin)).collect();
    let next_page_uri = next_page(page, &uri, ip_policies.last().map(|last| &last.id), next);
    wire::IpPolicyList { next_page_uri, uri, ip_policies }
}

/// A page of rules.
#[must_use]
pub fn ip_policy_rules(page: &Listing<IpPolicyRule>, next: &Next, origin: &Origin) -> wire::IpPolicyRuleList {
    let uri = format!("{origin}/ip_policy_rules");
    let ip_policy_rules: Vec<_> = page.items.iter().map(|item| ip_policy_rule(item, origin)).collect();
    let next_page_uri = next_page(page, &uri, ip_policy_rules.last().map(|last| &last.id), next);
    wire::IpPolicyRuleList { next_page_uri, uri, ip_policy_rules }
}

/// A page of IP restrictions.
#[must_use]
pub fn ip_restrictions(
    page: &Listing<IpRestriction>,
    next: &Next,
    origin: &Origin,
) -> wire::IpRestrictionList {
    let uri = format!("{origin}/ip_restrictions");
    let ip_restrictions: Vec<_> = page.items.iter().map(|item| ip_restriction(item, origin)).collect();
    let next_page_uri = next_page(page, &uri, ip_restrictions.last().map(|last| &last.id), next);
    wire::IpRestrictionList { next_page_uri, uri, ip_restrictions }
}
