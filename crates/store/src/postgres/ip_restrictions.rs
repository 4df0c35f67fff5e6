//! IP restrictions.

use strongroom_domain::Result;
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::{IpPolicyId, IpRestrictionId, Ksuid};
use strongroom_domain::ip_policy::{IpRestriction, RestrictionType};
use strongroom_domain::page::{Listing, Query};
use tokio_postgres::Row;

use crate::columns;

use super::list::{self, Select};
use super::row::{corrupt, get};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;
use super::{ip_gate, ip_policies};

const SELECT: &str =
    "SELECT id, type, enforced, policies, description, metadata, created_at, revision FROM ip_restriction";

fn view(row: &Row) -> Result<IpRestriction> {
    let (kind, policies): (String, Vec<u8>) = (get(row, 1)?, get(row, 3)?);
    let (policies, rest) = policies.as_chunks();
    if !rest.is_empty() {
        return Err(corrupt("policies"));
    }
    Ok(IpRestriction {
        id: get(row, 0)?,
        kind: RestrictionType::parse(&kind).ok_or_else(|| corrupt("type"))?,
        enforced: get(row, 2)?,
        policies: policies.iter().map(|bytes| IpPolicyId::new(Ksuid::from_bytes(*bytes))).collect(),
        description: get(row, 4)?,
        metadata: get(row, 5)?,
        created_at: get(row, 6)?,
        revision: get(row, 7)?,
    })
}

fn policies(restriction: &IpRestriction) -> Vec<u8> {
    restriction.policies.iter().flat_map(|policy| *policy.ksuid().as_bytes()).collect()
}

async fn check_policies(transaction: &Transaction, restriction: &IpRestriction) -> Result<()> {
    match ip_policies::missing(transaction, &restriction.policies).await? {
        Some(policy) => Err(Rule::NoSuchIpPolicy(policy.to_string()).into()),
        None => Ok(()),
    }
}

pub(super) async fn insert(transaction: &Transaction, restriction: &IpRestriction) -> Result<()> {
    check_policies(transaction, restriction).await?;
    ip_gate::must_fit(transaction, Noun::IpRestriction, "ip_restriction", IpRestriction::MAX).await?;
    let sql = "INSERT INTO ip_restriction (account, id, type, enforced, policies, description, metadata, created_at, \
               revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = values![
        transaction.account,
        restriction.id,
        restriction.kind.as_str(),
        restriction.enforced,
        policies(restriction),
        &restriction.description,
        &restriction.metadata,
        restriction.created_at,
        restriction.revision,
    ];
    transaction.write(Noun::IpRestriction, sql, &values).await.map(drop)
}

pub(super) async fn find(pool: &Pool, account: i64, id: IpRestrictionId) -> Result<Option<IpRestriction>> {
    pool.query_opt(&format!("{SELECT} WHERE account = $1 AND id = $2"), &values![account, id], view).await
}

/// Every restriction there is, oldest first.
pub(super) async fn all(reader: &impl Reader, account: i64) -> Result<Vec<IpRestriction>> {
    let sql = format!("{SELECT} WHERE account = $1 ORDER BY id");
    reader.query(&sql, &values![account]).await?.iter().map(view).collect()
}

pub(super) async fn list(pool: &Pool, account: i64, query: &Query) -> Result<Listing<IpRestriction>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        values: vec![account.into()],
        id: "id",
        column: columns::ip_restriction,
        scope: &[],
    };
    list::list(pool, select, query, view).await
}

pub(super) async fn update(transaction: &Transaction, restriction: &IpRestriction) -> Result<()> {
    check_policies(transaction, restriction).await?;
    let sql = "UPDATE ip_restriction SET enforced = $4, policies = $5, description = $6, metadata = $7, revision = $3 \
               WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values = values![
        transaction.account,
        restriction.id,
        restriction.revision,
        restriction.enforced,
        policies(restriction),
        &restriction.description,
        &restriction.metadata,
    ];
    transaction.change(sql, &values).await
}

pub(super) async fn delete(transaction: &Transaction, id: IpRestrictionId, revision: u64) -> Result<()> {
    let sql = "DELETE FROM ip_restriction WHERE account = $1 AND id = $2 AND revision = $3";
    transaction.change(sql, &values![transaction.account, id, revision]).await
}
