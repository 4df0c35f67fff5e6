//! The gate, and what is asked of a store about all that it is made of.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use strongroom_domain::answer::Creation;
use strongroom_domain::audit::Event;
use strongroom_domain::error::{Conflict, Noun};
use strongroom_domain::gate::{Gate, Verdict};
use strongroom_domain::ids::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::store::IpStore;
use strongroom_domain::{Error, Result};

use super::readers::Lane;
use super::writer::Step;
use super::{SqliteStore, error, ip_policies, ip_restrictions, ip_rules};

/// The gate as a connection sees it: as it is in the file, or as the step that it is in leaves it.
fn gate(connection: &Connection, account: i64) -> rusqlite::Result<Gate> {
    let restrictions = ip_restrictions::all(connection, account)?;
    // As a rule there is none, and the rules of policies that nothing names are of no account.
    let rules = if restrictions.is_empty() { Vec::new() } else { ip_rules::all(connection, account)? };
    Ok(Gate::new(&restrictions, &rules))
}

/// Refuses a step that has kept an address out. It is undone then.
fn must_stay(step: &Step<'_>, account: i64, stay: Option<IpAddr>) -> Result<()> {
    let Some(address) = stay else { return Ok(()) };
    match gate(step.connection, account).map_err(error::plain)?.judge(address) {
        Verdict::Out(_) => Err(Error::Conflict(Conflict::LockOut(address))),
        Verdict::In | Verdict::Warned(_) => Ok(()),
    }
}

/// Refuses what there are too many of already.
pub(super) fn must_fit(step: &Step<'_>, account: i64, noun: Noun, table: &str, max: u64) -> Result<()> {
    let there: u64 = step
        .connection
        .prepare_cached(&format!("SELECT count(*) FROM {table} WHERE account = ?1"))
        .and_then(|mut count| count.query_row([account], |row| row.get(0)))
        .map_err(error::plain)?;
    if there < max { Ok(()) } else { Err(Error::LimitReached { noun, max, vault: None }) }
}

impl SqliteStore {
    /// Makes a change after which an address still gets in, if there is one that has to.
    async fn change_and_stay(
        &self,
        number: i64,
        stay: Option<IpAddr>,
        event: Event,
        mut work: impl FnMut(&mut Step<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.change(vec![event], move |step| {
            work(step)?;
            must_stay(step, number, stay)
        })
        .await
    }
}

#[async_trait]
impl IpStore for SqliteStore {
    async fn ip_gate(&self, account: AccountId) -> Result<Arc<Gate>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| gate(connection, number)).map(Arc::new)
    }

    async fn ip_policy_insert(&self, account: AccountId, policy: IpPolicy, creation: Creation) -> Result<()> {
        let number = self.number(account)?;
        self.create(account, creation, move |step| ip_policies::insert(step, number, &policy)).await
    }

    async fn ip_policy_find(&self, account: AccountId, id: IpPolicyId) -> Result<Option<IpPolicy>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| ip_policies::find(connection, number, id))
    }

    async fn ip_policy_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicy>> {
        let number = self.number(account)?;
        self.readers
            .scan(Lane::of(&query), move |connection| ip_policies::list(connection, number, &query))
            .await
    }

    async fn ip_policy_update(&self, account: AccountId, policy: IpPolicy, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| ip_policies::update(step, number, &policy)).await
    }

    async fn ip_policy_delete(
        &self,
        account: AccountId,
        id: IpPolicyId,
        revision: u64,
        rules: Vec<IpPolicyRuleId>,
        events: Vec<Event>,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(events, move |step| ip_policies::delete(step, number, id, revision, &rules)).await
    }

    async fn ip_rule_insert(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.create(account, creation, move |step| {
            ip_rules::insert(step, number, &rule)?;
            must_stay(step, number, stay)
        })
        .await
    }

    async fn ip_rule_find(&self, account: AccountId, id: IpPolicyRuleId) -> Result<Option<IpPolicyRule>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| ip_rules::find(connection, number, id))
    }

    async fn ip_rule_list(&self, account: AccountId, query: Query) -> Result<Listing<IpPolicyRule>> {
        let number = self.number(account)?;
        self.readers
            .scan(Lane::of(&query), move |connection| ip_rules::list(connection, number, &query))
            .await
    }

    async fn ip_rules_of(&self, account: AccountId, policy: IpPolicyId) -> Result<Vec<IpPolicyRule>> {
        let number = self.number(account)?;
        self.readers.scan(Lane::Indexed, move |connection| ip_rules::of(connection, number, policy)).await
    }

    async fn ip_rule_update(
        &self,
        account: AccountId,
        rule: IpPolicyRule,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change_and_stay(number, stay, event, move |step| ip_rules::update(step, number, &rule)).await
    }

    async fn ip_rule_delete(
        &self,
        account: AccountId,
        id: IpPolicyRuleId,
        revision: u64,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change_and_stay(number, stay, event, move |step| ip_rules::delete(step, number, id, revision))
            .await
    }

    async fn ip_restriction_insert(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        creation: Creation,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.create(account, creation, move |step| {
            ip_restrictions::insert(step, number, &restriction)?;
            must_stay(step, number, stay)
        })
        .await
    }

    async fn ip_restriction_find(
        &self,
        account: AccountId,
        id: IpRestrictionId,
    ) -> Result<Option<IpRestriction>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| ip_restrictions::find(connection, number, id))
    }

    async fn ip_restriction_list(&self, account: AccountId, query: Query) -> Result<Listing<IpRestriction>> {
        let number = self.number(account)?;
        self.readers
            .scan(Lane::of(&query), move |connection| ip_restrictions::list(connection, number, &query))
            .await
    }

    async fn ip_restriction_update(
        &self,
        account: AccountId,
        restriction: IpRestriction,
        stay: Option<IpAddr>,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change_and_stay(number, stay, event, move |step| {
            ip_restrictions::update(step, number, &restriction)
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
        let number = self.number(account)?;
        self.change_and_stay(number, stay, event, move |step| {
            ip_restrictions::delete(step, number, id, revision)
        })
        .await
    }
}
