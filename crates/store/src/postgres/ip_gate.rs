//! The gate, and what is asked of a store about all that it is made of.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_domain::answer::Creation;
use strongroom_domain::audit::Event;
use strongroom_domain::error::{Conflict, Noun};
use strongroom_domain::gate::{Gate, Verdict};
use strongroom_domain::ids::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::store::IpStore;
use strongroom_domain::{Error, Result};

use super::session::Reader;
use super::transaction::Transaction;
use super::value::values;
use super::{PostgresStore, ip_policies, ip_restrictions, ip_rules};

/// The gate as it is, or as the change that is under way leaves it. Restrictions and rules are read one after the other, and
/// others may change them meanwhile: of two moments they might make a gate that there never was. So the rules count if the
/// restrictions are still the same after them.
async fn gate(reader: &impl Reader, account: i64) -> Result<Gate> {
    let mut restrictions = ip_restrictions::all(reader, account).await?;
    // As a rule there is none, and the rules of policies that nothing names are of no account.
    while !restrictions.is_empty() {
        let rules = ip_rules::all(reader, account).await?;
        let still = ip_restrictions::all(reader, account).await?;
        if still == restrictions {
            return Ok(Gate::new(&restrictions, &rules));
        }
        restrictions = still;
    }
    Ok(Gate::default())
}

/// Refuses a change that has kept an address out. It is undone then.
async fn must_stay(transaction: &Transaction, stay: Option<IpAddr>) -> Result<()> {
    let Some(address) = stay else { return Ok(()) };
    match gate(transaction, transaction.account).await?.judge(address) {
        Verdict::Out(_) => Err(Error::Conflict(Conflict::LockOut(address))),
        Verdict::In | Verdict::Warned(_) => Ok(()),
    }
}

/// Refuses what there are too many of already.
pub(super) async fn must_fit(transaction: &Transaction, noun: Noun, table: &str, max: u64) -> Result<()> {
    let sql = format!("SELECT count(*) FROM {table} WHERE account = $1");
    let there: u64 = transaction.query_one(&sql, &values![transaction.account]).await?;
    if there < max { Ok(()) } else { Err(Error::LimitReached { noun, max, vault: None }) }
}

#[async_trait]
impl IpStore for PostgresStore {
    async fn ip_gate(&self, account: AccountId) -> Result<Arc<Gate>> {
        gate(self.pool(), self.number(account).await?).await.map(Arc::new)
    }

    async fn ip_policy_insert(&self, account: AccountId, policy: IpPolicy, creation: Creation) -> Result<()> {
        let policy = &policy;
        self.create(account, creation, move |transaction| async move {
            ip_policies::insert(&transaction, policy).await
        })
        .await
    }

    async fn ip_policy_find(&self, account: AccountId, id: IpPolicyId) -> Result<Option<IpPolicy>> {
        ip_policies::find(self.pool(), self.number(account).await?, id).await
    }

    async fn ip_policy_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicy>> {
        ip_policies::list(self.pool(), self.number(account).await?, &query).await
    }

    async fn ip_policy_update(&self, account: AccountId, policy: IpPolicy, event: Event) -> Result<()> {
        let policy = &policy;
        self.transact(account, vec![event], move |transaction| async move {
            ip_policies::update(&transaction, policy).await
        })
        .await
    }

    async fn ip_policy_delete(
        &self,
        account: AccountId,
        id: IpPolicyId,
        revision: u64,
        rules: Vec<IpPolicyRuleId>,
        events: Vec<Event>,
    ) -> Result<()> {
        let rules = &rules;
        self.transact(account, events, move |transaction| async move {
            ip_policies::delete(&transaction, id, revision, rules).await
        })
        .await
    }

    async fn ip_rule_insert(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()> {
        let rule = &rule;
        self.create(account, creation, move |transaction| async move {
            ip_rules::insert(&transaction, rule).await?;
            must_stay(&transaction, stay).await
        })
        .await
    }

    async fn ip_rule_find(&self, account: AccountId, id: IpPolicyRuleId) -> Result<Option<IpPolicyRule>> {
        ip_rules::find(self.pool(), self.number(account).await?, id).await
    }

    async fn ip_rule_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicyRule>> {
        ip_rules::list(self.pool(), self.number(account).await?, &query).await
    }

    async fn ip_rules_of(&self, account: AccountId, policy: IpPolicyId) -> Result<Vec<IpPolicyRule>> {
        ip_rules::of(self.pool(), self.number(account).await?, policy).await
    }

    async fn ip_rule_update(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let rule = &rule;
        self.transact(account, vec![event], move |transaction| async move {
            ip_rules::update(&transaction, rule).await?;
            must_stay(&transaction, stay).await
        })
        .await
    }

    async fn ip_rule_delete(
        &self,
        account: AccountId,
        id: IpPolicyRuleId,
        revision: u64,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        self.transact(account, vec![event], move |transaction| async move {
            ip_rules::delete(&transaction, id, revision).await?;
            must_stay(&transaction, stay).await
        })
        .await
    }

    async fn ip_restriction_insert(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()> {
        let restriction = &restriction;
        self.create(account, creation, move |transaction| async move {
            ip_restrictions::insert(&transaction, restriction).await?;
            must_stay(&transaction, stay).await
        })
        .await
    }

    async fn ip_restriction_find(
        &self,
        account: AccountId,
        id: IpRestrictionId,
    ) -> Result<Option<IpRestriction>> {
        ip_restrictions::find(self.pool(), self.number(account).await?, id).await
    }

    async fn ip_restriction_list(&self, account: AccountId, query: Query) -> Result<Listing<IpRestriction>> {
        ip_restrictions::list(self.pool(), self.number(account).await?, &query).await
    }

    async fn ip_restriction_update(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let restriction = &restriction;
        self.transact(account, vec![event], move |transaction| async move {
            ip_restrictions::update(&transaction, restriction).await?;
            must_stay(&transaction, stay).await
        })
        .await
    }

    async fn ip_restriction_delete(
        &self,
        account: AccountId,
        id: IpRestrictionId,
        revision: u64,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        self.transact(account, vec![event], move |transaction| async move {
            ip_restrictions::delete(&transaction, id, revision).await?;
            must_stay(&transaction, stay).await
        })
        .await
    }
}
