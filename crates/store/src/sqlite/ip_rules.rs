//! Rules of IP policies.

use rusqlite::types::{FromSqlError, Value};
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::{IpPolicyId, IpPolicyRuleId};
use strongroom_domain::ip_policy::{IpPolicyRule, RuleAction};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::{Error, Result};

use crate::columns;

use super::error::{self, Corrupt};
use super::ip_policies;
use super::list::{self, Select};
use super::row::get;
use super::writer::Step;

const SELECT: &str =
    "SELECT id, policy, cidr, action, description, metadata, created_at, revision FROM ip_policy_rule";

fn view(row: &Row<'_>) -> rusqlite::Result<IpPolicyRule> {
    let cidr = row.get_ref(2)?.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))?;
    let action = RuleAction::parse(row.get_ref(3)?.as_str()?);
    Ok(IpPolicyRule {
        id: IpPolicyRuleId::new(get(row, 0)?),
        policy: IpPolicyId::new(get(row, 1)?),
        cidr,
        action: action.ok_or_else(|| FromSqlError::Other(Box::new(Corrupt("action"))))?,
        description: row.get(4)?,
        metadata: row.get(5)?,
        created_at: get(row, 6)?,
        revision: row.get(7)?,
    })
}

pub(super) fn insert(step: &mut Step<'_>, account: i64, rule: &IpPolicyRule) -> Result<()> {
    if !ip_policies::is_there(step, account, rule.policy)? {
        return Err(Rule::IpPolicyId.into());
    }
    if of(step.connection, account, rule.policy).map_err(error::plain)?.len() as u64 >= IpPolicyRule::MAX {
        return Err(Error::LimitReached { noun: Noun::IpPolicyRule, max: IpPolicyRule::MAX, vault: None });
    }
    step.connection
        .prepare_cached(
            "INSERT INTO ip_policy_rule (account, id, policy, cidr, range, action, description, metadata, created_at, \
             revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                rule.id.ksuid().as_bytes(),
                rule.policy.ksuid().as_bytes(),
                rule.cidr.as_str(),
                rule.cidr.to_bytes(),
                rule.action.as_str(),
                &rule.description,
                &rule.metadata,
                rule.created_at.as_second(),
                rule.revision,
            ))
        })
        .map(drop)
        .map_err(error::writing(Noun::IpPolicyRule))
}

pub(super) fn find(
    connection: &Connection,
    account: i64,
    id: IpPolicyRuleId,
) -> rusqlite::Result<Option<IpPolicyRule>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
}

/// Every rule there is.
pub(super) fn all(connection: &Connection, account: i64) -> rusqlite::Result<Vec<IpPolicyRule>> {
    connection.prepare_cached(&format!("{SELECT} WHERE account = ?1"))?.query_map([account], view)?.collect()
}

/// The rules of a policy, newest first.
pub(super) fn of(
    connection: &Connection,
    account: i64,
    policy: IpPolicyId,
) -> rusqlite::Result<Vec<IpPolicyRule>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND policy = ?2 ORDER BY id DESC"))?
        .query_map((account, policy.ksuid().as_bytes()), view)?
        .collect()
}

pub(super) fn list(
    connection: &Connection,
    account: i64,
    query: &Query,
) -> rusqlite::Result<Listing<IpPolicyRule>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        params: vec![Value::Integer(account)],
        id: "id",
        column: columns::ip_rule,
        scope: &[],
    };
    list::list(connection, select, query, view)
}

pub(super) fn update(step: &mut Step<'_>, account: i64, rule: &IpPolicyRule) -> Result<()> {
    let changed = step
        .connection
        .prepare_cached(
            "UPDATE ip_policy_rule SET cidr = ?4, range = ?5, description = ?6, metadata = ?7, revision = ?3 \
             WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            update.execute((
                account,
                rule.id.ksuid().as_bytes(),
                rule.revision,
                rule.cidr.as_str(),
                rule.cidr.to_bytes(),
                &rule.description,
                &rule.metadata,
            ))
        })
        .map_err(error::writing(Noun::IpPolicyRule))?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

pub(super) fn delete(step: &mut Step<'_>, account: i64, id: IpPolicyRuleId, revision: u64) -> Result<()> {
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM ip_policy_rule WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Removes the rules of a policy.
pub(super) fn delete_of(step: &mut Step<'_>, account: i64, policy: IpPolicyId) -> Result<()> {
    step.connection
        .prepare_cached("DELETE FROM ip_policy_rule WHERE account = ?1 AND policy = ?2")
        .and_then(|mut delete| delete.execute((account, policy.ksuid().as_bytes())))
        .map(drop)
        .map_err(error::plain)
}
