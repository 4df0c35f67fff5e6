//! IP policies and their rules. Only an admin looks after them: they decide who gets in.

use std::net::IpAddr;

use super::App;
use crate::answer::{Creation, Made, Repeatable};
use crate::audit::Action;
use crate::caller::Caller;
use crate::cidr::Cidr;
use crate::error::{Denial, Error, Missing, Noun, Result};
use crate::ids::{IpPolicyId, IpPolicyRuleId};
use crate::ip_policy::{IpPolicy, IpPolicyRule, RuleAction};
use crate::page::{Listing, Query};
use crate::text::{Description, Metadata};

/// Whether a change may keep out the one who makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockOut {
    /// It may not: it is refused then.
    Refused,
    /// It may: the caller said so.
    Confirmed,
}

/// A policy to be made.
#[derive(Clone)]
pub struct IpPolicyDraft {
    /// What it is for.
    pub description: Description,
    /// What its writer wants to remember.
    pub metadata: Metadata,
}

/// What to change of a policy; `None` leaves it as it is.
#[derive(Default)]
pub struct IpPolicyChange {
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
}

/// A rule to be made.
#[derive(Clone)]
pub struct IpPolicyRuleDraft {
    /// The policy that it is to be of.
    pub policy: IpPolicyId,
    /// The addresses that it is about.
    pub cidr: Cidr,
    /// What it does with them.
    pub action: RuleAction,
    /// What it is for.
    pub description: Description,
    /// What its writer wants to remember.
    pub metadata: Metadata,
}

/// What to change of a rule; `None` leaves it as it is.
#[derive(Default)]
pub struct IpPolicyRuleChange {
    /// Other addresses.
    pub cidr: Option<Cidr>,
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
}

impl Caller {
    /// The address that a change must leave a way in for. Who works on the machine itself needs none.
    pub(super) fn stay(&self, lock_out: LockOut) -> Option<IpAddr> {
        self.address.filter(|_| lock_out == LockOut::Refused)
    }
}

impl App {
    /// Makes a policy. What was asked for before is given as it was then.
    ///
    /// # Errors
    /// `Forbidden`, `LimitReached`; `Invalid` if something else was asked for under the same key.
    pub async fn ip_policy_create(
        &self,
        caller: &Caller,
        draft: IpPolicyDraft,
        to: Option<&Repeatable>,
    ) -> Result<Made<IpPolicy>> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        self.retry_stale(caller, caller.principal, || async {
            if let Some(answer) = self.answered(caller, to).await? {
                return Ok(Made::before(answer.into_ip_policy()?));
            }
            let stamp = self.stamper.stamp()?;
            let IpPolicyDraft { description, metadata } = draft.clone();
            let policy = IpPolicy {
                id: IpPolicyId::new(stamp.ksuid),
                description: description.into_string(),
                metadata: metadata.into_string(),
                created_at: stamp.at,
                revision: 1,
            };
            let creation = Creation::new(self.event(caller, &policy, Action::Created)?, to, None);
            self.store.ip_policy_insert(caller.account, policy.clone(), creation).await?;
            Ok(Made::now(policy))
        })
        .await
    }

    /// A policy.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn ip_policy_get(&self, caller: &Caller, id: IpPolicyId) -> Result<IpPolicy> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        let found = self.store.ip_policy_find(caller.account, id).await?;
        found.ok_or(Error::NotFound(Missing::Resource(Noun::IpPolicy)))
    }

    /// A page of policies.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn ip_policy_list(&self, caller: &Caller, query: Query) -> Result<Listing<IpPolicy>> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        self.store.ip_policy_list(caller.account, query).await
    }

    /// Changes a policy. A change that changes nothing leaves no trace.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn ip_policy_change(
        &self,
        caller: &Caller,
        id: IpPolicyId,
        change: IpPolicyChange,
    ) -> Result<IpPolicy> {
        let description = change.description.map(Description::into_string);
        let metadata = change.metadata.map(Metadata::into_string);
        self.retry_stale(caller, id, || async {
            let old = self.ip_policy_get(caller, id).await?;
            let mut policy = old.clone();
            policy.description = description.clone().unwrap_or(policy.description);
            policy.metadata = metadata.clone().unwrap_or(policy.metadata);
            if policy == old {
                return Ok(old);
            }
            policy.revision += 1;
            let event = self.event(caller, &policy, Action::Updated)?;
            self.store.ip_policy_update(caller.account, policy.clone(), event).await?;
            Ok(policy)
        })
        .await
    }

    /// Removes a policy that no restriction names, and its rules.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn ip_policy_remove(&self, caller: &Caller, id: IpPolicyId) -> Result<()> {
        self.retry_stale(caller, id, || async {
            let policy = self.ip_policy_get(caller, id).await?;
            let rules = self.store.ip_rules_of(caller.account, id).await?;
            let mut events = Vec::with_capacity(rules.len() + 1);
            for rule in &rules {
                events.push(self.event(caller, rule, Action::Deleted)?);
            }
            events.push(self.event(caller, &policy, Action::Deleted)?);
            let rules = rules.iter().map(|rule| rule.id).collect();
            self.store.ip_policy_delete(caller.account, id, policy.revision, rules, events).await
        })
        .await
    }

    /// Makes a rule. What was asked for before is given as it was then.
    ///
    /// # Errors
    /// `Forbidden`, `NotUnique`, `LimitReached`, `Conflict` if it would keep the caller out; `Invalid` if there is no such
    /// policy, or something else was asked for under the same key.
    pub async fn ip_rule_create(
        &self,
        caller: &Caller,
        draft: IpPolicyRuleDraft,
        lock_out: LockOut,
        to: Option<&Repeatable>,
    ) -> Result<Made<IpPolicyRule>> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        self.retry_stale(caller, caller.principal, || async {
            if let Some(answer) = self.answered(caller, to).await? {
                return Ok(Made::before(answer.into_ip_rule()?));
            }
            let stamp = self.stamper.stamp()?;
            let IpPolicyRuleDraft { policy, cidr, action, description, metadata } = draft.clone();
            let rule = IpPolicyRule {
                id: IpPolicyRuleId::new(stamp.ksuid),
                policy,
                cidr,
                action,
                description: description.into_string(),
                metadata: metadata.into_string(),
                created_at: stamp.at,
                revision: 1,
            };
            let creation = Creation::new(self.event(caller, &rule, Action::Created)?, to, None);
            let stay = caller.stay(lock_out);
            self.store.ip_rule_insert(caller.account, rule.clone(), stay, creation).await?;
            Ok(Made::now(rule))
        })
        .await
    }

    /// A rule.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn ip_rule_get(&self, caller: &Caller, id: IpPolicyRuleId) -> Result<IpPolicyRule> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        let found = self.store.ip_rule_find(caller.account, id).await?;
        found.ok_or(Error::NotFound(Missing::Resource(Noun::IpPolicyRule)))
    }

    /// A page of rules, of all policies.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn ip_rule_list(&self, caller: &Caller, query: Query) -> Result<Listing<IpPolicyRule>> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        self.store.ip_rule_list(caller.account, query).await
    }

    /// Changes a rule. A change that changes nothing leaves no trace.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `NotUnique`, `Conflict` if it would keep the caller out.
    pub async fn ip_rule_change(
        &self,
        caller: &Caller,
        id: IpPolicyRuleId,
        change: IpPolicyRuleChange,
        lock_out: LockOut,
    ) -> Result<IpPolicyRule> {
        let description = change.description.map(Description::into_string);
        let metadata = change.metadata.map(Metadata::into_string);
        self.retry_stale(caller, id, || async {
            let old = self.ip_rule_get(caller, id).await?;
            let mut rule = old.clone();
            rule.cidr = change.cidr.clone().unwrap_or(rule.cidr);
            rule.description = description.clone().unwrap_or(rule.description);
            rule.metadata = metadata.clone().unwrap_or(rule.metadata);
            if rule == old {
                return Ok(old);
            }
            rule.revision += 1;
            let event = self.event(caller, &rule, Action::Updated)?;
            let stay = caller.stay(lock_out);
            self.store.ip_rule_update(caller.account, rule.clone(), stay, event).await?;
            Ok(rule)
        })
        .await
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` if it would keep the caller out.
    pub async fn ip_rule_remove(&self, caller: &Caller, id: IpPolicyRuleId, lock_out: LockOut) -> Result<()> {
        self.retry_stale(caller, id, || async {
            let rule = self.ip_rule_get(caller, id).await?;
            let event = self.event(caller, &rule, Action::Deleted)?;
            let stay = caller.stay(lock_out);
            self.store.ip_rule_delete(caller.account, id, rule.revision, stay, event).await
        })
        .await
    }
}
