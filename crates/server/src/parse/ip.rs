//! What is sent about IP policies, their rules and restrictions.

use strongroom_domain::app::{
    IpPolicyChange, IpPolicyDraft, IpPolicyIds, IpPolicyRuleChange, IpPolicyRuleDraft, IpRestrictionChange,
    IpRestrictionDraft, LockOut,
};
use strongroom_domain::cidr::Cidr;
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ip_policy::{RestrictionType, RuleAction};
use strongroom_domain::limits::Limits;
use strongroom_domain::text::{Description, Metadata};

use super::body::Fields;
use super::query::Query;
use super::{Result, given};
use crate::error::Protocol;

/// The parameter that confirms a change which keeps its own sender out.
pub(crate) const CONFIRM: &str = "confirm_lockout";
/// What the query of such a change may hold.
pub(crate) const PARAMETERS: &[&str] = &[CONFIRM];

/// Whether a change may keep its own sender out.
pub(crate) fn lock_out(query: &Query) -> Result<LockOut, Protocol> {
    match query.get(CONFIRM) {
        None | Some("false") => Ok(LockOut::Refused),
        Some("true") => Ok(LockOut::Confirmed),
        Some(_) => Err(Protocol::InvalidField(CONFIRM)),
    }
}

fn description(body: &mut Fields, noun: Noun, limits: &Limits) -> Result<Option<Description>> {
    given(body.text("description")?, |text| Description::parse(noun, text, limits))
}

fn metadata(body: &mut Fields, noun: Noun, limits: &Limits) -> Result<Option<Metadata>> {
    given(body.text("metadata")?, |text| Metadata::parse(noun, text, limits))
}

/// A policy to be made.
pub(crate) fn policy_create(mut body: Fields, limits: &Limits) -> Result<IpPolicyDraft> {
    Ok(IpPolicyDraft {
        description: description(&mut body, Noun::IpPolicy, limits)?.unwrap_or_default(),
        metadata: metadata(&mut body, Noun::IpPolicy, limits)?.unwrap_or_default(),
    })
}

/// What to change of a policy.
pub(crate) fn policy_update(mut body: Fields, limits: &Limits) -> Result<IpPolicyChange> {
    Ok(IpPolicyChange {
        description: description(&mut body, Noun::IpPolicy, limits)?,
        metadata: metadata(&mut body, Noun::IpPolicy, limits)?,
    })
}

/// A rule to be made.
pub(crate) fn rule_create(mut body: Fields, limits: &Limits) -> Result<IpPolicyRuleDraft> {
    let mut needed = |name| Ok::<_, Protocol>(body.non_empty(name)?.ok_or(Rule::Needed(name)));
    let (cidr, policy, action) = (needed("cidr")??, needed("ip_policy_id")??, needed("action")??);
    Ok(IpPolicyRuleDraft {
        cidr: cidr.parse::<Cidr>().map_err(Rule::from)?,
        // A malformed id is answered as an unknown one.
        policy: policy.parse().map_err(|_| Rule::IpPolicyId)?,
        action: RuleAction::parse(&action).ok_or(Rule::RuleAction)?,
        description: description(&mut body, Noun::IpPolicyRule, limits)?.unwrap_or_default(),
        metadata: metadata(&mut body, Noun::IpPolicyRule, limits)?.unwrap_or_default(),
    })
}

/// What to change of a rule.
pub(crate) fn rule_update(mut body: Fields, limits: &Limits) -> Result<IpPolicyRuleChange> {
    Ok(IpPolicyRuleChange {
        // Ruby and Python send the empty text for what is not given.
        cidr: given(body.non_empty("cidr")?, |text| Ok(text.parse::<Cidr>()?))?,
        description: description(&mut body, Noun::IpPolicyRule, limits)?,
        metadata: metadata(&mut body, Noun::IpPolicyRule, limits)?,
    })
}

fn policies(texts: Vec<String>) -> Result<IpPolicyIds, Rule> {
    let id = |text: String| text.parse().map_err(|_| Rule::NoSuchIpPolicy(text));
    let ids = texts.into_iter().map(id).collect::<Result<Vec<_>, _>>()?;
    IpPolicyIds::new(ids)
}

/// A restriction to be made.
pub(crate) fn restriction_create(mut body: Fields, limits: &Limits) -> Result<IpRestrictionDraft> {
    let kind = body.text("type")?.unwrap_or_default();
    Ok(IpRestrictionDraft {
        kind: RestrictionType::parse(&kind).ok_or(Rule::RestrictionType(kind))?,
        enforced: body.flag("enforced")?.unwrap_or(false),
        policies: policies(body.texts("ip_policy_ids")?.unwrap_or_default())?,
        description: description(&mut body, Noun::IpRestriction, limits)?.unwrap_or_default(),
        metadata: metadata(&mut body, Noun::IpRestriction, limits)?.unwrap_or_default(),
    })
}

/// What to change of a restriction.
pub(crate) fn restriction_update(mut body: Fields, limits: &Limits) -> Result<IpRestrictionChange> {
    Ok(IpRestrictionChange {
        enforced: body.flag("enforced")?,
        // Python sends the empty list for what is not given.
        policies: match body.texts("ip_policy_ids")? {
            Some(texts) if !texts.is_empty() => Some(policies(texts)?),
            _ => None,
        },
        description: description(&mut body, Noun::IpRestriction, limits)?,
        metadata: metadata(&mut body, Noun::IpRestriction, limits)?,
    })
}
