//! IP policies.

use strongroom_domain::error::{Conflict, Noun};
use strongroom_domain::ids::{IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use strongroom_domain::ip_policy::IpPolicy;
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use crate::columns;

use super::list::{self, Select};
use super::row::get;
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};
use super::{ip_gate, ip_restrictions, ip_rules};

const SELECT: &str = "SELECT id, description, metadata, created_at, revision FROM ip_policy";

fn view(row: &Row) -> Result<IpPolicy> {
    Ok(IpPolicy {
        id: get(row, 0)?,
        description: get(row, 1)?,
        metadata: get(row, 2)?,
        created_at: get(row, 3)?,
        revision: get(row, 4)?,
    })
}

pub(super) async fn insert(transaction: &Transaction, policy: &IpPolicy) -> Result<()> {
    ip_gate::must_fit(transaction, Noun::IpPolicy, "ip_policy", IpPolicy::MAX).await?;
    let sql = "INSERT INTO ip_policy (account, id, description, metadata, created_at, revision) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = values![
        transaction.account,
        policy.id,
        &policy.description,
        &policy.metadata,
        policy.created_at,
        policy.revision,
    ];
    transaction.write(Noun::IpPolicy, sql, &values).await.map(drop)
}

pub(super) async fn find(pool: &Pool, account: i64, id: IpPolicyId) -> Result<Option<IpPolicy>> {
    pool.query_opt(&format!("{SELECT} WHERE account = $1 AND id = $2"), &values![account, id], view).await
}

/// The first of these ids that no policy has, for what is to name them.
pub(super) async fn missing(transaction: &Transaction, ids: &[IpPolicyId]) -> Result<Option<IpPolicyId>> {
    let sql = "SELECT id FROM ip_policy WHERE account = $1 AND id = ANY($2)";
    let bytes = ids.iter().map(|id| id.ksuid().as_bytes().to_vec().into()).collect();
    let rows = transaction.query(sql, &values![transaction.account, Value::ManyBytes(bytes)]).await?;
    let there: Vec<IpPolicyId> = rows.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
    Ok(ids.iter().copied().find(|id| !there.contains(id)))
}

pub(super) async fn list(pool: &Pool, account: i64, query: &Query) -> Result<Listing<IpPolicy>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        values: vec![account.into()],
        id: "id",
        column: columns::ip_policy,
        scope: &[],
    };
    list::list(pool, select, query, view).await
}

pub(super) async fn update(transaction: &Transaction, policy: &IpPolicy) -> Result<()> {
    let sql = "UPDATE ip_policy SET description = $4, metadata = $5, revision = $3 \
               WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values =
        values![transaction.account, policy.id, policy.revision, &policy.description, &policy.metadata];
    transaction.change(sql, &values).await
}

/// Removes a policy that nothing names, and its rules: those, and no others.
pub(super) async fn delete(
    transaction: &Transaction,
    id: IpPolicyId,
    revision: u64,
    rules: &[IpPolicyRuleId],
) -> Result<()> {
    let account = transaction.account;
    let by: Vec<IpRestrictionId> = ip_restrictions::all(transaction, account)
        .await?
        .iter()
        .filter(|restriction| restriction.policies.contains(&id))
        .map(|restriction| restriction.id)
        .collect();
    if !by.is_empty() {
        return Err(Error::Conflict(Conflict::InUse { policy: id, by }));
    }
    let there = ip_rules::of(transaction, account, id).await?;
    if !there.iter().map(|rule| rule.id).eq(rules.iter().copied()) {
        return Err(Error::Stale);
    }
    let sql = "DELETE FROM ip_policy WHERE account = $1 AND id = $2 AND revision = $3";
    transaction.change(sql, &values![account, id, revision]).await?;
    ip_rules::delete_of(transaction, id).await
}
