//! IP policies.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_domain::error::{Conflict, Noun};
use strongroom_domain::ids::{IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use strongroom_domain::ip_policy::IpPolicy;
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::{Error, Result};

use crate::columns;

use super::list::{self, Select};
use super::row::get;
use super::writer::Step;
use super::{error, ip_gate, ip_restrictions, ip_rules};

const SELECT: &str = "SELECT id, description, metadata, created_at, revision FROM ip_policy";

fn view(row: &Row<'_>) -> rusqlite::Result<IpPolicy> {
    Ok(IpPolicy {
        id: IpPolicyId::new(get(row, 0)?),
        description: row.get(1)?,
        metadata: row.get(2)?,
        created_at: get(row, 3)?,
        revision: row.get(4)?,
    })
}

pub(super) fn insert(step: &mut Step<'_>, account: i64, policy: &IpPolicy) -> Result<()> {
    ip_gate::must_fit(step, account, Noun::IpPolicy, "ip_policy", IpPolicy::MAX)?;
    step.connection
        .prepare_cached(
            "INSERT INTO ip_policy (account, id, description, metadata, created_at, revision) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                policy.id.ksuid().as_bytes(),
                &policy.description,
                &policy.metadata,
                policy.created_at.as_second(),
                policy.revision,
            ))
        })
        .map(drop)
        .map_err(error::writing(Noun::IpPolicy))
}

pub(super) fn find(
    connection: &Connection,
    account: i64,
    id: IpPolicyId,
) -> rusqlite::Result<Option<IpPolicy>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
}

/// Whether there is such a policy, for what is to name it.
pub(super) fn is_there(step: &Step<'_>, account: i64, id: IpPolicyId) -> Result<bool> {
    Ok(find(step.connection, account, id).map_err(error::plain)?.is_some())
}

pub(super) fn list(
    connection: &Connection,
    account: i64,
    query: &Query,
) -> rusqlite::Result<Listing<IpPolicy>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        params: vec![Value::Integer(account)],
        id: "id",
        column: columns::ip_policy,
        scope: &[],
    };
    list::list(connection, select, query, view)
}

pub(super) fn update(step: &mut Step<'_>, account: i64, policy: &IpPolicy) -> Result<()> {
    let changed = step
        .connection
        .prepare_cached(
            "UPDATE ip_policy SET description = ?4, metadata = ?5, revision = ?3 \
             WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            let id = policy.id.ksuid();
            update.execute((account, id.as_bytes(), policy.revision, &policy.description, &policy.metadata))
        })
        .map_err(error::plain)?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Removes a policy that nothing names, and its rules: those, and no others.
pub(super) fn delete(
    step: &mut Step<'_>,
    account: i64,
    id: IpPolicyId,
    revision: u64,
    rules: &[IpPolicyRuleId],
) -> Result<()> {
    let restrictions = ip_restrictions::all(step.connection, account).map_err(error::plain)?;
    let by: Vec<IpRestrictionId> = restrictions
        .iter()
        .filter(|restriction| restriction.policies.contains(&id))
        .map(|restriction| restriction.id)
        .collect();
    if !by.is_empty() {
        return Err(Error::Conflict(Conflict::InUse { policy: id, by }));
    }
    let there = ip_rules::of(step.connection, account, id).map_err(error::plain)?;
    if !there.iter().map(|rule| rule.id).eq(rules.iter().copied()) {
        return Err(Error::Stale);
    }
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM ip_policy WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 0 {
        return Err(Error::Stale);
    }
    ip_rules::delete_of(step, account, id)
}
