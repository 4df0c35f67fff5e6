//! Rules of IP policies.

use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::{IpPolicyId, IpPolicyRuleId};
use strongroom_domain::ip_policy::{IpPolicyRule, RuleAction};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use crate::columns;

use super::ip_policies;
use super::list::{self, Select};
use super::row::{corrupt, get};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;

const SELECT: &str =
    "SELECT id, policy, cidr, action, description, metadata, created_at, revision FROM ip_policy_rule";

fn view(row: &Row) -> Result<IpPolicyRule> {
    let (cidr, action): (String, String) = (get(row, 2)?, get(row, 3)?);
    Ok(IpPolicyRule {
        id: get(row, 0)?,
        policy: get(row, 1)?,
        cidr: cidr.parse().map_err(|_| corrupt("range"))?,
        action: RuleAction::parse(&action).ok_or_else(|| corrupt("action"))?,
        description: get(row, 4)?,
        metadata: get(row, 5)?,
        created_at: get(row, 6)?,
        revision: get(row, 7)?,
    })
}

pub(super) async fn insert(transaction: &Transaction, rule: &IpPolicyRule) -> Result<()> {
    if ip_policies::missing(transaction, &[rule.policy]).await?.is_some() {
        return Err(Rule::IpPolicyId.into());
    }
    if of(transaction, transaction.account, rule.policy).await?.len() as u64 >= IpPolicyRule::MAX {
        return Err(Error::LimitReached { noun: Noun::IpPolicyRule, max: IpPolicyRule::MAX, vault: None });
    }
    let sql = "INSERT INTO ip_policy_rule (account, id, policy, cidr, range, action, description, metadata, created_at, \
               revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = values![
        transaction.account,
        rule.id,
        rule.policy,
        rule.cidr.as_str(),
        rule.cidr.to_bytes(),
        rule.action.as_str(),
        &rule.description,
        &rule.metadata,
        rule.created_at,
        rule.revision,
    ];
    transaction.write(Noun::IpPolicyRule, sql, &values).await.map(drop)
}

pub(super) async fn find(pool: &Pool, account: i64, id: IpPolicyRuleId) -> Result<Option<IpPolicyRule>> {
    pool.query_opt(&format!("{SELECT} WHERE account = $1 AND id = $2"), &values![account, id], view).await
}

/// Every rule there is.
pub(super) async fn all(reader: &impl Reader, account: i64) -> Result<Vec<IpPolicyRule>> {
    let sql = format!("{SELECT} WHERE account = $1");
    reader.query(&sql, &values![account]).await?.iter().map(view).collect()
}

/// The rules of a policy, newest first.
pub(super) async fn of(reader: &impl Reader, account: i64, policy: IpPolicyId) -> Result<Vec<IpPolicyRule>> {
    let sql = format!("{SELECT} WHERE account = $1 AND policy = $2 ORDER BY id DESC");
    reader.query(&sql, &values![account, policy]).await?.iter().map(view).collect()
}

pub(super) async fn list(pool: &Pool, account: i64, query: &Query) -> Result<Listing<IpPolicyRule>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        values: vec![account.into()],
        id: "id",
        column: columns::ip_rule,
        scope: &[],
    };
    list::list(pool, select, query, view).await
}

pub(super) async fn update(transaction: &Transaction, rule: &IpPolicyRule) -> Result<()> {
    let sql = "UPDATE ip_policy_rule SET cidr = $4, range = $5, description = $6, metadata = $7, revision = $3 \
               WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values = values![
        transaction.account,
        rule.id,
        rule.revision,
        rule.cidr.as_str(),
        rule.cidr.to_bytes(),
        &rule.description,
        &rule.metadata,
    ];
    let changed = transaction.write(Noun::IpPolicyRule, sql, &values).await?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

pub(super) async fn delete(transaction: &Transaction, id: IpPolicyRuleId, revision: u64) -> Result<()> {
    let sql = "DELETE FROM ip_policy_rule WHERE account = $1 AND id = $2 AND revision = $3";
    transaction.change(sql, &values![transaction.account, id, revision]).await
}

/// Removes the rules of a policy.
pub(super) async fn delete_of(transaction: &Transaction, policy: IpPolicyId) -> Result<()> {
    let sql = "DELETE FROM ip_policy_rule WHERE account = $1 AND policy = $2";
    transaction.execute(sql, &values![transaction.account, policy]).await.map(drop)
}
