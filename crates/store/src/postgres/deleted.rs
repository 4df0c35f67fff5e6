//! What was deleted and is kept for a while. The versions of a deleted secret stay in their own table.

use std::borrow::Cow;

use jiff::Timestamp;
use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
use strongroom_domain::error::Noun;
use strongroom_domain::ids::{Ksuid, SecretId, VaultId};
use strongroom_domain::page::Query;
use strongroom_domain::secret::Secret;
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::list::{self, Select};
use super::row::get;
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};
use super::{resolved, rotations, secrets, vaults, versions};

const SECRETS: &str = "SELECT deleted_secret.id, deleted_secret.vault, coalesce(vault.name, deleted_vault.name), \
     deleted_secret.name, deleted_secret.description, deleted_secret.metadata, deleted_secret.created_at, \
     deleted_secret.created_by, deleted_secret.updated_at, deleted_secret.last_updated_by, deleted_secret.revision, \
     deleted_secret.version, deleted_secret.expires_at, deleted_secret.deleted_at, deleted_secret.deleted_by FROM deleted_secret \
     LEFT JOIN vault ON vault.account = deleted_secret.account AND vault.id = deleted_secret.vault \
     LEFT JOIN deleted_vault ON deleted_vault.account = deleted_secret.account AND deleted_vault.id = deleted_secret.vault";

const VAULTS: &str = "SELECT id, name, description, metadata, created_at, created_by, updated_at, last_updated_by, revision, \
                      wrapped_key, keep_versions, keep_versions_for, previous_key, coalesce(keyed_at, created_at), deleted_at, \
                      deleted_by FROM deleted_vault";

/// The columns that the tables of live and deleted vaults share.
const VAULT_COLUMNS: &str = "account, id, name, description, metadata, created_at, created_by, updated_at, last_updated_by, \
                             revision, wrapped_key, keep_versions, keep_versions_for, key_id, previous_key, keyed_at, generation";

fn view_secret(row: &Row) -> Result<Deleted<Secret>> {
    Ok(Deleted { was: secrets::view(row)?, deletion: Deletion { at: get(row, 13)?, by: get(row, 14)? } })
}

fn view_vault(row: &Row) -> Result<Deleted<Vault>> {
    Ok(Deleted { was: vaults::view(row)?, deletion: Deletion { at: get(row, 14)?, by: get(row, 15)? } })
}

/// Keeps a vault that is about to be deleted; `Stale` if it has another revision by now.
pub(super) async fn put_vault(transaction: &Transaction, vault: &Vault, deletion: Deletion) -> Result<()> {
    let sql = format!(
        "INSERT INTO deleted_vault ({VAULT_COLUMNS}, deleted_at, deleted_by) SELECT {VAULT_COLUMNS}, $4, $5 \
         FROM vault WHERE account = $1 AND id = $2 AND revision = $3"
    );
    let values = values![transaction.account, vault.id, vault.revision, deletion.at, deletion.by];
    transaction.change(&sql, &values).await
}

pub(super) async fn find_secret(pool: &Pool, account: i64, id: SecretId) -> Result<Option<Deleted<Secret>>> {
    let sql = format!("{SECRETS} WHERE deleted_secret.account = $1 AND deleted_secret.id = $2");
    pool.query_opt(&sql, &values![account, id], view_secret).await
}

pub(super) async fn find_vault(pool: &Pool, account: i64, id: VaultId) -> Result<Option<Deleted<Vault>>> {
    pool.query_opt(&format!("{VAULTS} WHERE account = $1 AND id = $2"), &values![account, id], view_vault)
        .await
}

/// Whether deleted secrets of a vault are kept.
pub(super) async fn has_secrets_of(transaction: &Transaction, vault: VaultId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM deleted_secret WHERE account = $1 AND vault = $2)";
    transaction.query_one(sql, &values![transaction.account, vault]).await
}

fn table(noun: Noun) -> &'static str {
    if noun == Noun::Vault { "deleted_vault" } else { "deleted_secret" }
}

/// Whether something deleted has an id, which nothing new may then have.
pub(super) async fn has_id(transaction: &Transaction, noun: Noun, id: Ksuid) -> Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE account = $1 AND id = $2)", table(noun));
    transaction.query_one(&sql, &values![transaction.account, id]).await
}

pub(super) async fn secrets_of(
    pool: &Pool,
    account: i64,
    vault: VaultId,
    limit: usize,
) -> Result<Vec<Deleted<Secret>>> {
    let sql = format!("{SECRETS} WHERE deleted_secret.account = $1 AND deleted_secret.vault = $2 LIMIT $3");
    pool.query(&sql, &values![account, vault, limit]).await?.iter().map(view_secret).collect()
}

pub(super) async fn due(pool: &Pool, account: i64, by: Timestamp, limit: usize) -> Result<Leftovers> {
    let values = values![account, by, limit];
    let sql = format!(
        "{SECRETS} WHERE deleted_secret.account = $1 AND deleted_secret.deleted_at <= $2 \
         ORDER BY deleted_secret.deleted_at, deleted_secret.id LIMIT $3"
    );
    let secrets = pool.query(&sql, &values).await?.iter().map(view_secret).collect::<Result<_>>()?;
    let sql = format!("{VAULTS} WHERE account = $1 AND deleted_at <= $2 ORDER BY deleted_at, id LIMIT $3");
    let vaults = pool.query(&sql, &values).await?.iter().map(view_vault).collect::<Result<_>>()?;
    Ok(Leftovers { secrets, vaults, more: false })
}

/// A page of both kinds, which share one order: that of their ids.
pub(super) async fn list(pool: &Pool, account: i64, query: &Query) -> Result<Leftovers> {
    let select = |sql: &str, table: &'static str, id, scope| Select {
        sql: format!("{sql} WHERE {table}.account = ?"),
        values: vec![account.into()],
        id,
        // No filter is asked for.
        column: |_| "id",
        scope,
    };
    let scope: &[&str] = &["coalesce(vault.name, deleted_vault.name)", "deleted_secret.name"];
    let of_secrets = select(SECRETS, "deleted_secret", "deleted_secret.id", scope);
    let of_vaults = select(VAULTS, "deleted_vault", "deleted_vault.id", &["deleted_vault.name"]);
    let secrets = list::list(pool, of_secrets, query, view_secret).await?;
    let vaults = list::list(pool, of_vaults, query, view_vault).await?;
    Ok(Leftovers::merged(secrets, vaults, query.page.limit.get()))
}

/// Checks that a secret that is to be brought back is one of the deleted ones; else `Stale`.
pub(super) async fn check_secret(transaction: &Transaction, secret: &Secret) -> Result<()> {
    check(transaction, Noun::Secret, (secret.id.ksuid(), secret.revision - 1)).await
}

/// The same of a vault.
pub(super) async fn check_vault(transaction: &Transaction, vault: &Vault) -> Result<()> {
    check(transaction, Noun::Vault, (vault.id.ksuid(), vault.revision - 1)).await
}

async fn check(transaction: &Transaction, noun: Noun, (id, revision): (Ksuid, u64)) -> Result<()> {
    let table = table(noun);
    let sql =
        format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE account = $1 AND id = $2 AND revision = $3)");
    let there = transaction.query_one(&sql, &values![transaction.account, id, revision]).await?;
    if there { Ok(()) } else { Err(Error::Stale) }
}

/// Takes a secret that is brought back out of the deleted ones; `Stale` if it is none of them any more.
pub(super) async fn take_secret(transaction: &Transaction, secret: &Secret) -> Result<()> {
    take(transaction, Noun::Secret, (secret.id.ksuid(), secret.revision - 1)).await
}

/// The same of a vault.
pub(super) async fn take_vault(transaction: &Transaction, vault: &Vault) -> Result<()> {
    take(transaction, Noun::Vault, (vault.id.ksuid(), vault.revision - 1)).await
}

async fn take(transaction: &Transaction, noun: Noun, (id, revision): (Ksuid, u64)) -> Result<()> {
    let sql = format!("DELETE FROM {} WHERE account = $1 AND id = $2 AND revision = $3", table(noun));
    transaction.change(&sql, &values![transaction.account, id, revision]).await
}

/// Destroys deleted secrets and their versions; with a vault only while that is deleted.
pub(super) async fn purge_secrets(
    transaction: &Transaction,
    which: &[(SecretId, u64)],
    with: Option<(VaultId, u64)>,
) -> Result<()> {
    if let Some((vault, revision)) = with {
        check(transaction, Noun::Vault, (vault.ksuid(), revision)).await?;
    }
    let ids = which.iter().map(|(id, _)| Cow::Owned(id.ksuid().as_bytes().to_vec()));
    let ids = Value::ManyBytes(ids.collect());
    let revisions = Value::Ints(which.iter().map(|(_, revision)| revision.cast_signed()).collect());
    let sql = "DELETE FROM deleted_secret USING unnest($2::BYTEA[], $3::BIGINT[]) AS gone (id, revision) \
               WHERE account = $1 AND deleted_secret.id = gone.id AND deleted_secret.revision = gone.revision";
    let values = [transaction.account.into(), ids.clone(), revisions];
    transaction.change_all(which.len(), sql, &values).await?;
    versions::delete(transaction, ids.clone()).await?;
    resolved::delete(transaction, ids).await
}

/// Destroys a deleted vault and its key.
pub(super) async fn purge_vault(transaction: &Transaction, id: VaultId, revision: u64) -> Result<()> {
    if has_secrets_of(transaction, id).await? {
        return Err(Error::NotEmpty);
    }
    take(transaction, Noun::Vault, (id.ksuid(), revision)).await?;
    rotations::forget(transaction, id).await
}
