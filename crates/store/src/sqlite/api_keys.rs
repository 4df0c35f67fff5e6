//! API keys.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::error::Noun;
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::grant::Grants;
use strongroom_domain::ids::{ApiKeyId, PrincipalId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::store::ApiKeysOf;
use strongroom_domain::{Error, Result};

use crate::columns;

use super::error::Corrupt;
use super::list::{self, Select};
use super::row::get;
use super::writer::Step;
use super::{accounts, error};

const SELECT: &str = "SELECT id, owner, description, metadata, created_at, revision, hash, grants, \
                      expires_at, client_certificate FROM api_key";

fn view(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: ApiKeyId::new(get(row, 0)?),
        owner: get(row, 1)?,
        description: row.get(2)?,
        metadata: row.get(3)?,
        created_at: get(row, 4)?,
        revision: row.get(5)?,
        hash: get(row, 6)?,
        grants: row.get::<_, Option<String>>(7)?.as_deref().map(grants).transpose()?,
        expires_at: get(row, 8)?,
        client_certificate: get(row, 9)?,
    })
}

fn grants(stored: &str) -> rusqlite::Result<Grants> {
    stored.parse().map_err(|_| rusqlite::types::FromSqlError::Other(Box::new(Corrupt("grants"))).into())
}

pub(super) fn insert(step: &mut Step<'_>, account: i64, key: &ApiKey) -> Result<()> {
    let owner = accounts::principal_is_active(step.connection, account, key.owner).map_err(error::plain)?;
    if owner.is_none() {
        return Err(Error::Stale);
    }
    let grants = key.grants.as_ref().map(Grants::to_string);
    step.connection
        .prepare_cached(
            "INSERT INTO api_key (account, id, owner, description, metadata, created_at, revision, hash, grants, \
             expires_at, client_certificate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                key.id.ksuid().as_bytes(),
                key.owner.to_bytes(),
                &key.description,
                &key.metadata,
                key.created_at.as_second(),
                key.revision,
                key.hash.as_bytes(),
                &grants,
                key.expires_at.map(|at| at.as_second()),
                key.client_certificate.as_ref().map(Fingerprint::as_bytes),
            ))
        })
        .map_err(error::writing(Noun::ApiKey))?;
    step.tallies.count(account, |tally| tally.api_keys += 1);
    Ok(())
}

pub(super) fn find(connection: &Connection, account: i64, id: ApiKeyId) -> rusqlite::Result<Option<ApiKey>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
}

pub(super) fn list(
    connection: &Connection,
    account: i64,
    of: ApiKeysOf,
    query: &Query,
) -> rusqlite::Result<Listing<ApiKey>> {
    let index = if matches!(of, ApiKeysOf::Owner(_)) { "INDEXED BY api_key_owner" } else { "" };
    let mut select = Select {
        sql: format!("{SELECT} {index} WHERE account = ?"),
        params: vec![Value::Integer(account)],
        id: "id",
        column: columns::api_key,
        scope: &[],
    };
    let (condition, value) = match of {
        ApiKeysOf::Account => ("", None),
        ApiKeysOf::Owner(owner) => (" AND owner = ?", Some(owner.to_bytes().to_vec())),
        ApiKeysOf::Key(id) => (" AND id = ?", Some(id.ksuid().as_bytes().to_vec())),
    };
    select.sql += condition;
    select.params.extend(value.map(Value::Blob));
    list::list(connection, select, query, view)
}

pub(super) fn update(step: &mut Step<'_>, account: i64, key: &ApiKey) -> Result<()> {
    let grants = key.grants.as_ref().map(Grants::to_string);
    let changed = step
        .connection
        .prepare_cached(
            "UPDATE api_key SET description = ?4, metadata = ?5, grants = ?6, expires_at = ?7, \
             client_certificate = ?8, revision = ?3 WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            update.execute((
                account,
                key.id.ksuid().as_bytes(),
                key.revision,
                &key.description,
                &key.metadata,
                &grants,
                key.expires_at.map(|at| at.as_second()),
                key.client_certificate.as_ref().map(Fingerprint::as_bytes),
            ))
        })
        .map_err(error::plain)?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

pub(super) fn delete(step: &mut Step<'_>, account: i64, id: ApiKeyId, revision: u64) -> Result<()> {
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM api_key WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 0 {
        return Err(Error::Stale);
    }
    step.tallies.count(account, |tally| tally.api_keys -= 1);
    Ok(())
}

/// Removes all keys of an owner; `Stale` if they are not just those named.
pub(super) fn delete_of_owner(
    step: &mut Step<'_>,
    account: i64,
    owner: PrincipalId,
    named: &[ApiKeyId],
) -> Result<()> {
    let found: Vec<ApiKeyId> = step
        .connection
        .prepare_cached("SELECT id FROM api_key WHERE account = ?1 AND owner = ?2 ORDER BY id DESC")
        .and_then(|mut select| {
            select.query_map((account, owner.to_bytes()), |row| get(row, 0).map(ApiKeyId::new))?.collect()
        })
        .map_err(error::plain)?;
    if found != named {
        return Err(Error::Stale);
    }
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM api_key WHERE account = ?1 AND owner = ?2")
        .and_then(|mut delete| delete.execute((account, owner.to_bytes())))
        .map_err(error::plain)?;
    step.tallies.count(account, |tally| tally.api_keys -= deleted as u64);
    Ok(())
}
