//! Vaults.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_crypto::WrappedKey;
use strongroom_domain::deleted::Deletion;
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::VaultId;
use strongroom_domain::keep::VaultKeep;
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};

use crate::columns;

use super::list::{self, Select};
use super::row::get;
use super::writer::Step;
use super::{accounts, deleted, error, rotations};

const SELECT: &str = "SELECT id, name, description, metadata, created_at, created_by, updated_at, last_updated_by, \
                      revision, wrapped_key, keep_versions, keep_versions_for, previous_key, \
                      coalesce(keyed_at, created_at) FROM vault";

pub(super) fn view(row: &Row<'_>) -> rusqlite::Result<Vault> {
    Ok(Vault {
        id: VaultId::new(get(row, 0)?),
        name: row.get(1)?,
        description: row.get(2)?,
        metadata: row.get(3)?,
        created_at: get(row, 4)?,
        created_by: get(row, 5)?,
        updated_at: get(row, 6)?,
        last_updated_by: get(row, 7)?,
        revision: row.get(8)?,
        wrapped_key: WrappedKey::from_bytes(row.get(9)?),
        previous_key: row.get::<_, Option<_>>(12)?.map(WrappedKey::from_bytes),
        keyed_at: get(row, 13)?,
        keep: VaultKeep { versions: row.get(10)?, versions_for: row.get(11)? },
    })
}

pub(super) fn insert(step: &mut Step<'_>, account: i64, vault: &Vault, max: Option<u64>) -> Result<()> {
    if deleted::has_id(step, account, Noun::Vault, vault.id.ksuid())? {
        return Err(Rule::Parameter("id").into());
    }
    accounts::check_root_key(step, account, [&vault.wrapped_key])?;
    add(step, account, vault, max)
}

/// Brings a deleted vault back.
pub(super) fn undelete(step: &mut Step<'_>, account: i64, vault: &Vault, max: Option<u64>) -> Result<()> {
    // All checks come before the first change: what is refused has then written nothing.
    deleted::check_vault(step, account, vault)?;
    add(step, account, vault, max)?;
    rotations::keep_keys(step, account, vault.id)?;
    deleted::take_vault(step, account, vault)
}

fn add(step: &mut Step<'_>, account: i64, vault: &Vault, max: Option<u64>) -> Result<()> {
    if let Some(max) = max
        && step.tallies.of(account).vaults >= max
    {
        return Err(Error::LimitReached { noun: Noun::Vault, max, vault: None });
    }
    step.connection
        .prepare_cached(
            "INSERT INTO vault (account, id, name, description, metadata, created_at, created_by, updated_at, \
             last_updated_by, revision, wrapped_key, keep_versions, keep_versions_for, keyed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                vault.id.ksuid().as_bytes(),
                &vault.name,
                &vault.description,
                &vault.metadata,
                vault.created_at.as_second(),
                vault.created_by.to_bytes(),
                vault.updated_at.as_second(),
                vault.last_updated_by.to_bytes(),
                vault.revision,
                vault.wrapped_key.as_bytes(),
                vault.keep.versions,
                vault.keep.versions_for,
                vault.keyed_at.as_second(),
            ))
        })
        .map_err(error::writing(Noun::Vault))?;
    step.tallies.count(account, |tally| tally.vaults += 1);
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    account: i64,
    id: VaultId,
) -> rusqlite::Result<Option<Arc<Vault>>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
        .map(|found| found.map(Arc::new))
}

pub(super) fn find_by_name(
    connection: &Connection,
    account: i64,
    name: &str,
) -> rusqlite::Result<Option<Arc<Vault>>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND name = ?2"))?
        .query_row((account, name), view)
        .optional()
        .map(|found| found.map(Arc::new))
}

pub(super) fn list(connection: &Connection, account: i64, query: &Query) -> rusqlite::Result<Listing<Vault>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        params: vec![Value::Integer(account)],
        id: "id",
        column: columns::vault,
        scope: &["name"],
    };
    list::list(connection, select, query, view)
}

pub(super) fn update(step: &mut Step<'_>, account: i64, vault: &Vault) -> Result<()> {
    let changed = step
        .connection
        .prepare_cached(
            "UPDATE vault SET name = ?4, description = ?5, metadata = ?6, updated_at = ?7, last_updated_by = ?8, \
             keep_versions = ?9, keep_versions_for = ?10, revision = ?3 \
             WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            update.execute((
                account,
                vault.id.ksuid().as_bytes(),
                vault.revision,
                &vault.name,
                &vault.description,
                &vault.metadata,
                vault.updated_at.as_second(),
                vault.last_updated_by.to_bytes(),
                vault.keep.versions,
                vault.keep.versions_for,
            ))
        })
        .map_err(error::writing(Noun::Vault))?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Removes a vault. With `keep`, or if deleted secrets of it are kept, it is kept among the deleted ones.
pub(super) fn delete(
    step: &mut Step<'_>,
    account: i64,
    vault: &Vault,
    deletion: Deletion,
    keep: bool,
) -> Result<()> {
    let (id, revision) = (vault.id, vault.revision);
    let occupied: bool = step
        .connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM secret WHERE account = ?1 AND vault = ?2)")
        .and_then(|mut select| select.query_row((account, id.ksuid().as_bytes()), |row| row.get(0)))
        .map_err(error::plain)?;
    if occupied {
        return Err(Error::NotEmpty);
    }
    if keep || deleted::has_secrets_of(step, account, id)? {
        deleted::put_vault(step, account, vault, deletion)?;
    } else {
        rotations::forget(step, account, id)?;
        step.erase();
    }
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM vault WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 0 {
        return Err(Error::Stale);
    }
    step.tallies.count(account, |tally| tally.vaults -= 1);
    Ok(())
}
