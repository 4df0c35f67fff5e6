//! Secrets: all of them but their values.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_domain::deleted::Deletion;
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::{ApiKeyId, SecretId, VaultId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::secret::{Detail, Resolved, Secret, Version};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};

use crate::columns;

use super::error;
use super::list::{self, Select};
use super::row::get;
use super::writer::Step;
use super::{deleted, expiry, versions};

pub(super) const COLUMNS: &str = "secret.id, secret.vault, vault.name, secret.name, secret.description, secret.metadata, \
                       secret.created_at, secret.created_by, secret.updated_at, secret.last_updated_by, \
                       secret.revision, secret.version, secret.expires_at";

/// The vault is joined to the secrets and never the other way round, so that a page's order comes from the secrets.
pub(super) const JOIN: &str =
    "CROSS JOIN vault ON vault.account = secret.account AND vault.id = secret.vault";

pub(super) fn view(row: &Row<'_>) -> rusqlite::Result<Secret> {
    Ok(Secret {
        id: SecretId::new(get(row, 0)?),
        vault_id: VaultId::new(get(row, 1)?),
        vault_name: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        metadata: row.get(5)?,
        created_at: get(row, 6)?,
        created_by: get(row, 7)?,
        updated_at: get(row, 8)?,
        last_updated_by: get(row, 9)?,
        revision: row.get(10)?,
        version: row.get(11)?,
        expires_at: get(row, 12)?,
    })
}

pub(super) fn insert(
    step: &mut Step<'_>,
    account: i64,
    vault: &Vault,
    secret: &Secret,
    version: &Version,
    max: Option<u64>,
) -> Result<()> {
    if deleted::has_id(step, account, Noun::Secret, secret.id.ksuid())? {
        return Err(Rule::Parameter("id").into());
    }
    add(step, account, vault, secret, max)?;
    versions::insert(step, account, (secret.id, vault.id), version)
}

/// Brings a deleted secret back; its versions are where they were.
pub(super) fn undelete(
    step: &mut Step<'_>,
    account: i64,
    vault: &Vault,
    secret: &Secret,
    max: Option<u64>,
) -> Result<()> {
    // All checks come before the first change: what is refused has then written nothing.
    deleted::check_secret(step, account, secret)?;
    add(step, account, vault, secret, max)?;
    expiry::keep(step, account, secret)?;
    deleted::take_secret(step, account, secret)
}

fn add(step: &mut Step<'_>, account: i64, vault: &Vault, secret: &Secret, max: Option<u64>) -> Result<()> {
    check_vault(step, account, vault)?;
    if let Some(max) = max
        && step.tallies.of(account).secrets >= max
    {
        return Err(Error::LimitReached { noun: Noun::Secret, max, vault: Some(vault.id) });
    }
    step.connection
        .prepare_cached(
            "INSERT INTO secret (account, id, vault, name, description, metadata, created_at, created_by, updated_at, \
             last_updated_by, revision, version, expires_at, expiry_due) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                secret.id.ksuid().as_bytes(),
                secret.vault_id.ksuid().as_bytes(),
                &secret.name,
                &secret.description,
                &secret.metadata,
                secret.created_at.as_second(),
                secret.created_by.to_bytes(),
                secret.updated_at.as_second(),
                secret.last_updated_by.to_bytes(),
                secret.revision,
                secret.version,
                secret.expires_at.map(|at| at.as_second()),
                secret.first_told().map(|at| at.as_second()),
            ))
        })
        .map_err(error::writing(Noun::Secret))?;
    step.tallies.count(account, |tally| tally.secrets += 1);
    Ok(())
}

/// The vault must be as it was when the value was sealed for it.
fn check_vault(step: &Step<'_>, account: i64, vault: &Vault) -> Result<()> {
    let same: bool = step
        .connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM vault WHERE account = ?1 AND id = ?2 AND revision = ?3)",
        )
        .and_then(|mut select| {
            select.query_row((account, vault.id.ksuid().as_bytes(), vault.revision), |row| row.get(0))
        })
        .map_err(error::plain)?;
    if same { Ok(()) } else { Err(Error::Stale) }
}

pub(super) fn find(
    connection: &Connection,
    account: i64,
    id: SecretId,
) -> rusqlite::Result<Option<Arc<Secret>>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM secret {JOIN} WHERE secret.account = ?1 AND secret.id = ?2"
        ))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
        .map(|found| found.map(Arc::new))
}

pub(super) fn find_by_name(
    connection: &Connection,
    account: i64,
    vault: VaultId,
    name: &str,
) -> rusqlite::Result<Option<Arc<Secret>>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM secret INDEXED BY secret_name {JOIN} \
             WHERE secret.account = ?1 AND secret.name = ?2 AND secret.vault = ?3"
        ))?
        .query_row((account, name, vault.ksuid().as_bytes()), view)
        .optional()
        .map(|found| found.map(Arc::new))
}

pub(super) fn list(
    connection: &Connection,
    account: i64,
    vault: Option<VaultId>,
    query: &Query,
) -> rusqlite::Result<Arc<Listing<Arc<Secret>>>> {
    let select = select(COLUMNS, "", account, vault, query);
    list::list(connection, select, query, |row| view(row).map(Arc::new)).map(Arc::new)
}

/// Secrets with what the table of last times says of them.
pub(super) fn detail_list(
    connection: &Connection,
    account: i64,
    vault: Option<VaultId>,
    unused_since: Option<Timestamp>,
    query: &Query,
) -> rusqlite::Result<Listing<Detail>> {
    const RESOLVED: &str = ", resolved.at, resolved.api_key";
    const JOIN_RESOLVED: &str =
        " LEFT JOIN resolved ON resolved.account = secret.account AND resolved.secret = secret.id";
    let columns = [COLUMNS, RESOLVED].concat();
    let mut select = select(&columns, JOIN_RESOLVED, account, vault, query);
    if let Some(since) = unused_since {
        select.sql += " AND secret.created_at < ? AND (resolved.at IS NULL OR resolved.at < ?)";
        select.params.extend([since.as_second(), since.as_second()].map(Value::Integer));
    }
    list::list(connection, select, query, |row| {
        let resolved = match get(row, 13)? {
            Some(at) => Some(Resolved { at, by: ApiKeyId::new(get(row, 14)?) }),
            None => None,
        };
        Ok(Detail { secret: Arc::new(view(row)?), resolved })
    })
}

fn select(columns: &str, join: &str, account: i64, vault: Option<VaultId>, query: &Query) -> Select {
    // Told which index to use: the planner has no statistics, and the order by id tempts it to walk the whole table.
    let index = match &query.filter {
        Some(filter) if filter.required_equal("name").is_some() => "INDEXED BY secret_name",
        _ if vault.is_some() => "INDEXED BY secret_vault",
        _ => "",
    };
    let mut select = Select {
        sql: format!("SELECT {columns} FROM secret {index} {JOIN}{join} WHERE secret.account = ?"),
        params: vec![Value::Integer(account)],
        id: "secret.id",
        column: columns::secret,
        scope: &["vault.name", "secret.name"],
    };
    if let Some(vault) = vault {
        select.sql += " AND secret.vault = ?";
        select.params.push(Value::Blob(vault.ksuid().as_bytes().to_vec()));
    }
    select
}

pub(super) fn update(
    step: &mut Step<'_>,
    account: i64,
    secret: &Secret,
    version: Option<(&Version, u32)>,
) -> Result<()> {
    // SQLite writes the index of names anew for every update that sets the name, be it the same: a page of the log more, and
    // one anywhere in a large store.
    if write(step, account, secret, SAME_NAME)? == 0 && write(step, account, secret, OTHER_NAME)? == 0 {
        return Err(Error::Stale);
    }
    match version {
        Some((version, keep)) => {
            versions::replace(step, account, (secret.id, secret.vault_id), version, keep)
        }
        None => Ok(()),
    }
}

/// What is to be told of another end starts anew.
const SAME_NAME: &str = "UPDATE secret SET description = ?5, metadata = ?6, updated_at = ?7, last_updated_by = ?8, \
     version = ?9, revision = ?3, expires_at = ?12, \
     expiry_due = CASE WHEN expires_at IS ?12 THEN expiry_due ELSE ?13 END \
     WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1 AND name = ?4 \
     AND EXISTS (SELECT 1 FROM vault WHERE account = ?1 AND id = ?10 AND name = ?11)";
const OTHER_NAME: &str = "UPDATE secret SET name = ?4, description = ?5, metadata = ?6, updated_at = ?7, last_updated_by = ?8, \
     version = ?9, revision = ?3, expires_at = ?12, \
     expiry_due = CASE WHEN expires_at IS ?12 THEN expiry_due ELSE ?13 END \
     WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1 \
     AND EXISTS (SELECT 1 FROM vault WHERE account = ?1 AND id = ?10 AND name = ?11)";

/// Writes a secret's record over the one that it is based on; says how many rows that changed.
fn write(step: &Step<'_>, account: i64, secret: &Secret, sql: &str) -> Result<usize> {
    step.connection
        .prepare_cached(sql)
        .and_then(|mut update| {
            update.execute((
                account,
                secret.id.ksuid().as_bytes(),
                secret.revision,
                &secret.name,
                &secret.description,
                &secret.metadata,
                secret.updated_at.as_second(),
                secret.last_updated_by.to_bytes(),
                secret.version,
                // The event and the answer tell the vault's name, so it must still be that.
                secret.vault_id.ksuid().as_bytes(),
                &secret.vault_name,
                secret.expires_at.map(|at| at.as_second()),
                secret.first_told().map(|at| at.as_second()),
            ))
        })
        .map_err(error::writing(Noun::Secret))
}

/// Moves a secret to a vault, which must be as it was when its versions were sealed for it.
pub(super) fn relocate(
    step: &mut Step<'_>,
    account: i64,
    (from, vault): (&Secret, &Vault),
    secret: &Secret,
    versions: &[Version],
) -> Result<()> {
    check_vault(step, account, vault)?;
    check_place(step, account, from)?;
    let moved = step
        .connection
        .prepare_cached(
            "UPDATE secret SET vault = ?4, name = ?5, updated_at = ?6, last_updated_by = ?7, version = ?8, \
             revision = ?3 WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            update.execute((
                account,
                secret.id.ksuid().as_bytes(),
                secret.revision,
                secret.vault_id.ksuid().as_bytes(),
                &secret.name,
                secret.updated_at.as_second(),
                secret.last_updated_by.to_bytes(),
                secret.version,
            ))
        })
        .map_err(error::writing(Noun::Secret))?;
    if moved == 0 {
        return Err(Error::Stale);
    }
    versions::reseal(step, account, (secret.id, vault.id), versions)
}

/// The secret's vault must still be called as the secret says: what was allowed, and is told, goes by that name.
fn check_place(step: &Step<'_>, account: i64, secret: &Secret) -> Result<()> {
    let same: bool = step
        .connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM vault WHERE account = ?1 AND id = ?2 AND name = ?3)")
        .and_then(|mut select| {
            let vault = secret.vault_id.ksuid();
            select.query_row((account, vault.as_bytes(), &secret.vault_name), |row| row.get(0))
        })
        .map_err(error::plain)?;
    if same { Ok(()) } else { Err(Error::Stale) }
}

/// Removes a secret; with a mark of its deletion it is kept among the deleted ones.
pub(super) fn delete(
    step: &mut Step<'_>,
    account: i64,
    secret: &Secret,
    kept: Option<Deletion>,
) -> Result<()> {
    check_place(step, account, secret)?;
    if let Some(deletion) = kept {
        deleted::put_secret(step, account, secret, deletion)?;
    }
    let (id, revision) = (secret.id, secret.revision);
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM secret WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 0 {
        return Err(Error::Stale);
    }
    if kept.is_none() {
        versions::delete(step, account, id)?;
        resolved_delete(step, account, id)?;
        step.erase();
    }
    step.tallies.count(account, |tally| tally.secrets -= 1);
    Ok(())
}

pub(super) fn resolved_delete(step: &Step<'_>, account: i64, secret: SecretId) -> Result<()> {
    step.connection
        .prepare_cached("DELETE FROM resolved WHERE account = ?1 AND secret = ?2")
        .and_then(|mut delete| delete.execute((account, secret.ksuid().as_bytes())))
        .map_err(error::plain)?;
    Ok(())
}
