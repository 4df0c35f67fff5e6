//! What is asked of a store about IP policies, their rules and the restrictions that name them.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::answer::Creation;
use crate::audit::Event;
use crate::error::Result;
use crate::gate::Gate;
use crate::ids::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use crate::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use crate::page::{Listing, Query};

/// IP policies, rules and restrictions, in a store. Its rules are those of [`Store`](super::Store).
///
/// What may move the gate takes an address, `stay`: if the gate that the change leaves does not let it in, nothing happens and
/// the answer is [`Conflict::LockOut`](crate::error::Conflict::LockOut).
///
/// # Errors
/// Those of [`Store`](super::Store).
#[async_trait]
pub trait IpStore: Send + Sync {
    /// The gate as it is now.
    async fn ip_gate(&self, account: AccountId) -> Result<Arc<Gate>>;

    /// Adds a policy. `LimitReached` beyond [`IpPolicy::MAX`]; `Stale`, as for everything that is added here, if there is an
    /// answer to the same request that counts.
    async fn ip_policy_insert(&self, account: AccountId, policy: IpPolicy, creation: Creation) -> Result<()>;

    /// A policy by id.
    async fn ip_policy_find(&self, account: AccountId, id: IpPolicyId) -> Result<Option<IpPolicy>>;

    /// Policies, newest first.
    async fn ip_policy_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicy>>;

    /// Changes a policy. `Stale`.
    async fn ip_policy_update(&self, account: AccountId, policy: IpPolicy, event: Event) -> Result<()>;

    /// Removes a policy that no restriction names, and its rules, which must be those, newest first. `Conflict` if one does,
    /// `Stale`.
    async fn ip_policy_delete(
        &self,
        account: AccountId,
        id: IpPolicyId,
        revision: u64,
        rules: Vec<IpPolicyRuleId>,
        events: Vec<Event>,
    ) -> Result<()>;

    /// Adds a rule. `Invalid` if there is no such policy, `NotUnique` if it has one of the same range, `LimitReached` beyond
    /// [`IpPolicyRule::MAX`], `Conflict`.
    async fn ip_rule_insert(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()>;

    /// A rule by id.
    async fn ip_rule_find(&self, account: AccountId, id: IpPolicyRuleId) -> Result<Option<IpPolicyRule>>;

    /// Rules of all policies, newest first.
    async fn ip_rule_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicyRule>>;

    /// The rules of a policy, newest first.
    async fn ip_rules_of(&self, account: AccountId, policy: IpPolicyId) -> Result<Vec<IpPolicyRule>>;

    /// Changes a rule. `NotUnique`, `Conflict`, `Stale`.
    async fn ip_rule_update(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()>;

    /// Removes a rule. `Conflict`, `Stale`.
    async fn ip_rule_delete(
        &self,
        account: AccountId,
        id: IpPolicyRuleId,
        revision: u64,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()>;

    /// Adds a restriction. `Invalid` if there is no such policy, `LimitReached` beyond [`IpRestriction::MAX`], `Conflict`.
    async fn ip_restriction_insert(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()>;

    /// A restriction by id.
    async fn ip_restriction_find(
        &self,
        account: AccountId,
        id: IpRestrictionId,
    ) -> Result<Option<IpRestriction>>;

    /// Restrictions, newest first.
    async fn ip_restriction_list(&self, account: AccountId, query: Query) -> Result<Listing<IpRestriction>>;

    /// Changes a restriction. `Invalid`, `Conflict`, `Stale`.
    async fn ip_restriction_update(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()>;

    /// Removes a restriction. `Conflict`, `Stale`.
    async fn ip_restriction_delete(
        &self,
        account: AccountId,
        id: IpRestrictionId,
        revision: u64,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()>;
}
