//! Of what is about addresses the gate alone is cached: each request asks for it.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_domain::Result;
use strongroom_domain::answer::Creation;
use strongroom_domain::audit::Event;
use strongroom_domain::gate::Gate;
use strongroom_domain::ids::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::store::{IpStore, Store};

use super::caches::Replaced;
use super::{Asked, CachedStore, bounded};

#[async_trait]
impl IpStore for CachedStore {
    async fn ip_gate(&self, account: AccountId) -> Result<Arc<Gate>> {
        let cache = &self.caches.gates;
        if let Some(known) = self.remembered(Asked::ForTelling, || cache.get(account)) {
            return Ok(known);
        }
        let ticket = cache.ticket(account);
        let found = self.store.ip_gate(account).await?;
        cache.keep(account, ticket, &found);
        Ok(found)
    }

    // A policy that a restriction names is not removed, and nothing else of a policy is asked for at the gate.

    async fn ip_policy_insert(&self, account: AccountId, policy: IpPolicy, creation: Creation) -> Result<()> {
        bounded(self.store.ip_policy_insert(account, policy, creation)).await
    }

    async fn ip_policy_find(&self, account: AccountId, id: IpPolicyId) -> Result<Option<IpPolicy>> {
        self.store.ip_policy_find(account, id).await
    }

    async fn ip_policy_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicy>> {
        self.store.ip_policy_list(account, query).await
    }

    async fn ip_policy_update(&self, account: AccountId, policy: IpPolicy, event: Event) -> Result<()> {
        bounded(self.store.ip_policy_update(account, policy, event)).await
    }

    async fn ip_policy_delete(
        &self,
        account: AccountId,
        id: IpPolicyId,
        revision: u64,
        rules: Vec<IpPolicyRuleId>,
        events: Vec<Event>,
    ) -> Result<()> {
        bounded(self.store.ip_policy_delete(account, id, revision, rules, events)).await
    }

    async fn ip_rule_insert(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()> {
        let change =
            async move |store: Arc<dyn Store>| store.ip_rule_insert(account, rule, stay, creation).await;
        self.replacing(Replaced::Gate(account), change).await
    }

    async fn ip_rule_find(&self, account: AccountId, id: IpPolicyRuleId) -> Result<Option<IpPolicyRule>> {
        self.store.ip_rule_find(account, id).await
    }

    async fn ip_rule_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicyRule>> {
        self.store.ip_rule_list(account, query).await
    }

    async fn ip_rules_of(&self, account: AccountId, policy: IpPolicyId) -> Result<Vec<IpPolicyRule>> {
        self.store.ip_rules_of(account, policy).await
    }

    async fn ip_rule_update(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let change =
            async move |store: Arc<dyn Store>| store.ip_rule_update(account, rule, stay, event).await;
        self.replacing(Replaced::Gate(account), change).await
    }

    async fn ip_rule_delete(
        &self,
        account: AccountId,
        id: IpPolicyRuleId,
        revision: u64,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let change =
            async move |store: Arc<dyn Store>| store.ip_rule_delete(account, id, revision, stay, event).await;
        self.replacing(Replaced::Gate(account), change).await
    }

    async fn ip_restriction_insert(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()> {
        let change = async move |store: Arc<dyn Store>| {
            store.ip_restriction_insert(account, restriction, stay, creation).await
        };
        self.replacing(Replaced::Gate(account), change).await
    }

    async fn ip_restriction_find(
        &self,
        account: AccountId,
        id: IpRestrictionId,
    ) -> Result<Option<IpRestriction>> {
        self.store.ip_restriction_find(account, id).await
    }

    async fn ip_restriction_list(&self, account: AccountId, query: Query) -> Result<Listing<IpRestriction>> {
        self.store.ip_restriction_list(account, query).await
    }

    async fn ip_restriction_update(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let change = async move |store: Arc<dyn Store>| {
            store.ip_restriction_update(account, restriction, stay, event).await
        };
        self.replacing(Replaced::Gate(account), change).await
    }

    async fn ip_restriction_delete(
        &self,
        account: AccountId,
        id: IpRestrictionId,
        revision: u64,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let change = async move |store: Arc<dyn Store>| {
            store.ip_restriction_delete(account, id, revision, stay, event).await
        };
        self.replacing(Replaced::Gate(account), change).await
    }
}
