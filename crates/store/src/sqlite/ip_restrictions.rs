//! IP restrictions.

use rusqlite::types::{FromSqlError, Value};
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::{IpPolicyId, IpRestrictionId, Ksuid};
use strongroom_domain::ip_policy::{IpRestriction, RestrictionType};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::{Error, Result};

use crate::columns;

use super::error::{self, Corrupt};
use super::list::{self, Select};
use super::row::get;
use super::writer::Step;
use super::{ip_gate, ip_policies};

const SELECT: &str =
    "SELECT id, type, enforced, policies, description, metadata, created_at, revision FROM ip_restriction";

fn view(row: &Row<'_>) -> rusqlite::Result<IpRestriction> {
    let corrupt = |column| FromSqlError::Other(Box::new(Corrupt(column)));
    let (policies, rest) = row.get_ref(3)?.as_blob()?.as_chunks();
    if !rest.is_empty() {
        return Err(corrupt("policies").into());
    }
    Ok(IpRestriction {
        id: IpRestrictionId::new(get(row, 0)?),
        kind: RestrictionType::parse(row.get_ref(1)?.as_str()?).ok_or_else(|| corrupt("type"))?,
        enforced: row.get(2)?,
        policies: policies.iter().map(|bytes| IpPolicyId::new(Ksuid::from_bytes(*bytes))).collect(),
        description: row.get(4)?,
        metadata: row.get(5)?,
        created_at: get(row, 6)?,
        revision: row.get(7)?,
    })
}

fn policies(restriction: &IpRestriction) -> Vec<u8> {
    restriction.policies.iter().flat_map(|policy| *policy.ksuid().as_bytes()).collect()
}

fn check_policies(step: &Step<'_>, account: i64, restriction: &IpRestriction) -> Result<()> {
    for policy in &restriction.policies {
        if !ip_policies::is_there(step, account, *policy)? {
            return Err(Rule::NoSuchIpPolicy(policy.to_string()).into());
        }
    }
    Ok(())
}

pub(super) fn insert(step: &mut Step<'_>, account: i64, restriction: &IpRestriction) -> Result<()> {
    check_policies(step, account, restriction)?;
    ip_gate::must_fit(step, account, Noun::IpRestriction, "ip_restriction", IpRestriction::MAX)?;
    step.connection
        .prepare_cached(
            "INSERT INTO ip_restriction (account, id, type, enforced, policies, description, metadata, created_at, \
             revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                restriction.id.ksuid().as_bytes(),
                restriction.kind.as_str(),
                restriction.enforced,
                policies(restriction),
                &restriction.description,
                &restriction.metadata,
                restriction.created_at.as_second(),
                restriction.revision,
            ))
        })
        .map(drop)
        .map_err(error::writing(Noun::IpRestriction))
}

pub(super) fn find(
    connection: &Connection,
    account: i64,
    id: IpRestrictionId,
) -> rusqlite::Result<Option<IpRestriction>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
}

/// Every restriction there is, oldest first.
pub(super) fn all(connection: &Connection, account: i64) -> rusqlite::Result<Vec<IpRestriction>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 ORDER BY id"))?
        .query_map([account], view)?
        .collect()
}

pub(super) fn list(
    connection: &Connection,
    account: i64,
    query: &Query,
) -> rusqlite::Result<Listing<IpRestriction>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        params: vec![Value::Integer(account)],
        id: "id",
        column: columns::ip_restriction,
        scope: &[],
    };
    list::list(connection, select, query, view)
}

pub(super) fn update(step: &mut Step<'_>, account: i64, restriction: &IpRestriction) -> Result<()> {
    check_policies(step, account, restriction)?;
    let changed = step
        .connection
        .prepare_cached(
            "UPDATE ip_restriction SET enforced = ?4, policies = ?5, description = ?6, metadata = ?7, revision = ?3 \
             WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            update.execute((
                account,
                restriction.id.ksuid().as_bytes(),
                restriction.revision,
                restriction.enforced,
                policies(restriction),
                &restriction.description,
                &restriction.metadata,
            ))
        })
        .map_err(error::plain)?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

pub(super) fn delete(step: &mut Step<'_>, account: i64, id: IpRestrictionId, revision: u64) -> Result<()> {
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM ip_restriction WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 1 { Ok(()) } else { Err(Error::Stale) }
}
