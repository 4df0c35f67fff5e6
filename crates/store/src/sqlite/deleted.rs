//! What was deleted and is kept for a while. The versions of a deleted secret stay in their own table.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
use strongroom_domain::error::Noun;
use strongroom_domain::ids::{Ksuid, SecretId, VaultId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::secret::Secret;
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};

use super::list::{self, Select};
use super::row::get;
use super::writer::Step;
use super::{error, rotations, secrets, vaults, versions};

const SECRETS: &str = "SELECT deleted_secret.id, deleted_secret.vault, coalesce(vault.name, deleted_vault.name), \
     deleted_secret.name, deleted_secret.description, deleted_secret.metadata, deleted_secret.created_at, \
     deleted_secret.created_by, deleted_secret.updated_at, deleted_secret.last_updated_by, deleted_secret.revision, \
     deleted_secret.version, deleted_secret.expires_at, deleted_secret.deleted_at, deleted_secret.deleted_by FROM deleted_secret \
     LEFT JOIN vault ON vault.account = deleted_secret.account AND vault.id = deleted_secret.vault \
     LEFT JOIN deleted_vault ON deleted_vault.account = deleted_secret.account AND deleted_vault.id = deleted_secret.vault";

const VAULTS: &str = "SELECT id, name, description, metadata, created_at, created_by, updated_at, last_updated_by, revision, \
                      wrapped_key, keep_versions, keep_versions_for, previous_key, coalesce(keyed_at, created_at), deleted_at, \
                      deleted_by FROM deleted_vault";

/// The columns that the tables of live and deleted secrets share.
const SECRET_COLUMNS: &str = "account, id, vault, name, description, metadata, created_at, created_by, updated_at, \
                              last_updated_by, revision, version, expires_at, expiry_due";

/// The columns that the tables of live and deleted vaults share.
const VAULT_COLUMNS: &str = "account, id, name, description, metadata, created_at, created_by, updated_at, last_updated_by, \
                             revision, wrapped_key, keep_versions, keep_versions_for, key_id, previous_key, keyed_at, generation";

fn view_secret(row: &Row<'_>) -> rusqlite::Result<Deleted<Secret>> {
    Ok(Deleted { was: secrets::view(row)?, deletion: Deletion { at: get(row, 13)?, by: get(row, 14)? } })
}

fn view_vault(row: &Row<'_>) -> rusqlite::Result<Deleted<Vault>> {
    Ok(Deleted { was: vaults::view(row)?, deletion: Deletion { at: get(row, 14)?, by: get(row, 15)? } })
}

/// Takes a row from its table to that of the deleted ones; `Stale` if it has another revision by now.
fn put(
    step: &Step<'_>,
    account: i64,
    sql: &str,
    (id, revision): (Ksuid, u64),
    deletion: Deletion,
) -> Result<()> {
    let put = step
        .connection
        .prepare_cached(sql)
        .and_then(|mut insert| {
            let (at, by) = (deletion.at.as_second(), deletion.by.to_bytes());
            insert.execute((account, id.as_bytes(), revision, at, by))
        })
        .map_err(error::plain)?;
    if put == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Keeps a secret that is about to be deleted.
pub(super) fn put_secret(step: &Step<'_>, account: i64, secret: &Secret, deletion: Deletion) -> Result<()> {
    let sql = format!(
        "INSERT INTO deleted_secret ({SECRET_COLUMNS}, deleted_at, deleted_by) SELECT {SECRET_COLUMNS}, ?4, ?5 \
         FROM secret WHERE account = ?1 AND id = ?2 AND revision = ?3"
    );
    put(step, account, &sql, (secret.id.ksuid(), secret.revision), deletion)
}

/// Keeps a vault that is about to be deleted.
pub(super) fn put_vault(step: &Step<'_>, account: i64, vault: &Vault, deletion: Deletion) -> Result<()> {
    let sql = format!(
        "INSERT INTO deleted_vault ({VAULT_COLUMNS}, deleted_at, deleted_by) SELECT {VAULT_COLUMNS}, ?4, ?5 \
         FROM vault WHERE account = ?1 AND id = ?2 AND revision = ?3"
    );
    put(step, account, &sql, (vault.id.ksuid(), vault.revision), deletion)
}

pub(super) fn find_secret(
    connection: &Connection,
    account: i64,
    id: SecretId,
) -> rusqlite::Result<Option<Deleted<Secret>>> {
    connection
        .prepare_cached(&format!("{SECRETS} WHERE deleted_secret.account = ?1 AND deleted_secret.id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view_secret)
        .optional()
}

pub(super) fn find_vault(
    connection: &Connection,
    account: i64,
    id: VaultId,
) -> rusqlite::Result<Option<Deleted<Vault>>> {
    connection
        .prepare_cached(&format!("{VAULTS} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view_vault)
        .optional()
}

/// Whether deleted secrets of a vault are kept.
pub(super) fn has_secrets_of(step: &Step<'_>, account: i64, vault: VaultId) -> Result<bool> {
    step.connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM deleted_secret WHERE account = ?1 AND vault = ?2)")
        .and_then(|mut select| select.query_row((account, vault.ksuid().as_bytes()), |row| row.get(0)))
        .map_err(error::plain)
}

fn table(noun: Noun) -> &'static str {
    if noun == Noun::Vault { "deleted_vault" } else { "deleted_secret" }
}

/// Whether something deleted has an id, which nothing new may then have.
pub(super) fn has_id(step: &Step<'_>, account: i64, noun: Noun, id: Ksuid) -> Result<bool> {
    let table = table(noun);
    step.connection
        .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE account = ?1 AND id = ?2)"))
        .and_then(|mut select| select.query_row((account, id.as_bytes()), |row| row.get(0)))
        .map_err(error::plain)
}

pub(super) fn secrets_of(
    connection: &Connection,
    account: i64,
    vault: VaultId,
    limit: usize,
) -> rusqlite::Result<Vec<Deleted<Secret>>> {
    connection
        .prepare_cached(&format!(
            "{SECRETS} WHERE deleted_secret.account = ?1 AND deleted_secret.vault = ?2 LIMIT ?3"
        ))?
        .query_map((account, vault.ksuid().as_bytes(), limit as i64), view_secret)?
        .collect()
}

pub(super) fn due(
    connection: &Connection,
    account: i64,
    by: Timestamp,
    limit: usize,
) -> rusqlite::Result<Leftovers> {
    let params = (account, by.as_second(), limit as i64);
    let secrets = connection
        .prepare_cached(&format!(
            "{SECRETS} WHERE deleted_secret.account = ?1 AND deleted_secret.deleted_at <= ?2 \
             ORDER BY deleted_secret.deleted_at, deleted_secret.id LIMIT ?3"
        ))?
        .query_map(params, view_secret)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let vaults = connection
        .prepare_cached(&format!(
            "{VAULTS} WHERE account = ?1 AND deleted_at <= ?2 ORDER BY deleted_at, id LIMIT ?3"
        ))?
        .query_map(params, view_vault)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Leftovers { secrets, vaults, more: false })
}

/// A page of both kinds, which share one order: that of their ids.
pub(super) fn list(connection: &Connection, account: i64, query: &Query) -> rusqlite::Result<Leftovers> {
    let select = |sql: &str, table: &'static str, id, scope| Select {
        sql: format!("{sql} WHERE {table}.account = ?"),
        params: vec![Value::Integer(account)],
        id,
        // No filter is asked for.
        column: |_| "id",
        scope,
    };
    let scope: &[&str] = &["coalesce(vault.name, deleted_vault.name)", "deleted_secret.name"];
    let of_secrets = select(SECRETS, "deleted_secret", "deleted_secret.id", scope);
    let of_vaults = select(VAULTS, "deleted_vault", "deleted_vault.id", &["deleted_vault.name"]);
    let secrets: Listing<Deleted<Secret>> = list::list(connection, of_secrets, query, view_secret)?;
    let vaults: Listing<Deleted<Vault>> = list::list(connection, of_vaults, query, view_vault)?;
    Ok(Leftovers::merged(secrets, vaults, query.page.limit.get()))
}

/// Checks that a secret that is to be brought back is one of the deleted ones; else `Stale`.
pub(super) fn check_secret(step: &Step<'_>, account: i64, secret: &Secret) -> Result<()> {
    check(step, account, Noun::Secret, (secret.id.ksuid(), secret.revision - 1))
}

/// The same of a vault.
pub(super) fn check_vault(step: &Step<'_>, account: i64, vault: &Vault) -> Result<()> {
    check(step, account, Noun::Vault, (vault.id.ksuid(), vault.revision - 1))
}

fn check(step: &Step<'_>, account: i64, noun: Noun, (id, revision): (Ksuid, u64)) -> Result<()> {
    let table = table(noun);
    let there: bool = step
        .connection
        .prepare_cached(&format!(
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE account = ?1 AND id = ?2 AND revision = ?3)"
        ))
        .and_then(|mut select| select.query_row((account, id.as_bytes(), revision), |row| row.get(0)))
        .map_err(error::plain)?;
    if there { Ok(()) } else { Err(Error::Stale) }
}

/// Takes a secret that is brought back out of the deleted ones; `Stale` if it is none of them any more.
pub(super) fn take_secret(step: &Step<'_>, account: i64, secret: &Secret) -> Result<()> {
    let sql = "DELETE FROM deleted_secret WHERE account = ?1 AND id = ?2 AND revision = ?3";
    take(step, account, sql, (secret.id.ksuid(), secret.revision - 1))
}

/// The same of a vault.
pub(super) fn take_vault(step: &Step<'_>, account: i64, vault: &Vault) -> Result<()> {
    let sql = "DELETE FROM deleted_vault WHERE account = ?1 AND id = ?2 AND revision = ?3";
    take(step, account, sql, (vault.id.ksuid(), vault.revision - 1))
}

fn take(step: &Step<'_>, account: i64, sql: &str, (id, revision): (Ksuid, u64)) -> Result<()> {
    let taken = step
        .connection
        .prepare_cached(sql)
        .and_then(|mut delete| delete.execute((account, id.as_bytes(), revision)))
        .map_err(error::plain)?;
    if taken == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Destroys deleted secrets and their versions; with a vault only while that is deleted.
pub(super) fn purge_secrets(
    step: &mut Step<'_>,
    account: i64,
    which: &[(SecretId, u64)],
    with: Option<(VaultId, u64)>,
) -> Result<()> {
    if let Some((vault, revision)) = with {
        check(step, account, Noun::Vault, (vault.ksuid(), revision))?;
    }
    for (id, revision) in which {
        let sql = "DELETE FROM deleted_secret WHERE account = ?1 AND id = ?2 AND revision = ?3";
        take(step, account, sql, (id.ksuid(), *revision))?;
        versions::delete(step, account, *id)?;
        secrets::resolved_delete(step, account, *id)?;
    }
    step.erase();
    Ok(())
}

/// Destroys a deleted vault and its key.
pub(super) fn purge_vault(step: &mut Step<'_>, account: i64, id: VaultId, revision: u64) -> Result<()> {
    if has_secrets_of(step, account, id)? {
        return Err(Error::NotEmpty);
    }
    let sql = "DELETE FROM deleted_vault WHERE account = ?1 AND id = ?2 AND revision = ?3";
    take(step, account, sql, (id.ksuid(), revision))?;
    rotations::forget(step, account, id)?;
    step.erase();
    Ok(())
}
