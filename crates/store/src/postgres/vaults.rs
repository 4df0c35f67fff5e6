//! Vaults.

use std::sync::Arc;

use strongroom_domain::deleted::Deletion;
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::VaultId;
use strongroom_domain::keep::VaultKeep;
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use crate::columns;

use super::list::{self, Select};
use super::row::{get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;
use super::{accounts, deleted, rotations};

const SELECT: &str = "SELECT id, name, description, metadata, created_at, created_by, updated_at, last_updated_by, \
                      revision, wrapped_key, keep_versions, keep_versions_for, previous_key, \
                      coalesce(keyed_at, created_at) FROM vault";

pub(super) fn view(row: &Row) -> Result<Vault> {
    Ok(Vault {
        id: get(row, 0)?,
        name: get(row, 1)?,
        description: get(row, 2)?,
        metadata: get(row, 3)?,
        created_at: get(row, 4)?,
        created_by: get(row, 5)?,
        updated_at: get(row, 6)?,
        last_updated_by: get(row, 7)?,
        revision: get(row, 8)?,
        wrapped_key: get(row, 9)?,
        previous_key: get_opt(row, 12)?,
        keyed_at: get(row, 13)?,
        keep: VaultKeep { versions: get_opt(row, 10)?, versions_for: get_opt(row, 11)? },
    })
}

pub(super) async fn insert(transaction: &Transaction, vault: &Vault, max: Option<u64>) -> Result<()> {
    if deleted::has_id(transaction, Noun::Vault, vault.id.ksuid()).await? {
        return Err(Rule::Parameter("id").into());
    }
    accounts::check_root_key(transaction, [&vault.wrapped_key]).await?;
    add(transaction, vault, max).await
}

/// Brings a deleted vault back.
pub(super) async fn undelete(transaction: &Transaction, vault: &Vault, max: Option<u64>) -> Result<()> {
    deleted::check_vault(transaction, vault).await?;
    add(transaction, vault, max).await?;
    rotations::keep_keys(transaction, vault.id).await?;
    deleted::take_vault(transaction, vault).await
}

async fn add(transaction: &Transaction, vault: &Vault, max: Option<u64>) -> Result<()> {
    let count = "UPDATE account SET vaults = vaults + 1 WHERE number = $1 AND vaults < $2";
    if transaction.execute(count, &values![transaction.account, max.unwrap_or(u64::MAX)]).await? == 0 {
        let max = max.unwrap_or(u64::MAX);
        return Err(Error::LimitReached { noun: Noun::Vault, max, vault: None });
    }
    let sql = "INSERT INTO vault (account, id, name, description, metadata, created_at, created_by, updated_at, \
               last_updated_by, revision, wrapped_key, keep_versions, keep_versions_for, keyed_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let values = values![
        transaction.account,
        vault.id,
        &vault.name,
        &vault.description,
        &vault.metadata,
        vault.created_at,
        vault.created_by,
        vault.updated_at,
        vault.last_updated_by,
        vault.revision,
        &vault.wrapped_key,
        vault.keep.versions,
        vault.keep.versions_for,
        vault.keyed_at,
    ];
    transaction.write(Noun::Vault, sql, &values).await.map(drop)
}

pub(super) async fn find(pool: &Pool, account: i64, id: VaultId) -> Result<Option<Arc<Vault>>> {
    let sql = format!("{SELECT} WHERE account = $1 AND id = $2");
    pool.query_opt(&sql, &values![account, id], |row| view(row).map(Arc::new)).await
}

pub(super) async fn find_by_name(pool: &Pool, account: i64, name: &str) -> Result<Option<Arc<Vault>>> {
    let sql = format!("{SELECT} WHERE account = $1 AND name = $2");
    pool.query_opt(&sql, &values![account, name], |row| view(row).map(Arc::new)).await
}

pub(super) async fn list(pool: &Pool, account: i64, query: &Query) -> Result<Listing<Vault>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        values: vec![account.into()],
        id: "id",
        column: columns::vault,
        scope: &["name"],
    };
    list::list(pool, select, query, view).await
}

pub(super) async fn update(transaction: &Transaction, vault: &Vault) -> Result<()> {
    let sql = "UPDATE vault SET name = $4, description = $5, metadata = $6, updated_at = $7, last_updated_by = $8, \
               keep_versions = $9, keep_versions_for = $10, revision = $3 \
               WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values = values![
        transaction.account,
        vault.id,
        vault.revision,
        &vault.name,
        &vault.description,
        &vault.metadata,
        vault.updated_at,
        vault.last_updated_by,
        vault.keep.versions,
        vault.keep.versions_for,
    ];
    let changed = transaction.write(Noun::Vault, sql, &values).await?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Removes a vault. With `keep`, or if deleted secrets of it are kept, it is kept among the deleted ones.
pub(super) async fn delete(
    transaction: &Transaction,
    vault: &Vault,
    deletion: Deletion,
    keep: bool,
) -> Result<()> {
    let account = transaction.account;
    let occupied = "SELECT EXISTS (SELECT 1 FROM secret WHERE account = $1 AND vault = $2)";
    if transaction.query_one(occupied, &values![account, vault.id]).await? {
        return Err(Error::NotEmpty);
    }
    if keep || deleted::has_secrets_of(transaction, vault.id).await? {
        deleted::put_vault(transaction, vault, deletion).await?;
    } else {
        rotations::forget(transaction, vault.id).await?;
    }
    let sql = "DELETE FROM vault WHERE account = $1 AND id = $2 AND revision = $3";
    transaction.change(sql, &values![account, vault.id, vault.revision]).await?;
    transaction.change("UPDATE account SET vaults = vaults - 1 WHERE number = $1", &values![account]).await
}
