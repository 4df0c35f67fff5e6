//! API keys.

use strongroom_domain::api_key::ApiKey;
use strongroom_domain::error::Noun;
use strongroom_domain::grant::Grants;
use strongroom_domain::ids::{ApiKeyId, PrincipalId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::store::ApiKeysOf;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use crate::columns;

use super::accounts;
use super::list::{self, Select};
use super::row::{corrupt, get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};

const SELECT: &str = "SELECT id, owner, description, metadata, created_at, revision, hash, grants, \
                      expires_at, client_certificate FROM api_key";

pub(super) fn view(row: &Row) -> Result<ApiKey> {
    let grants: Option<String> = get_opt(row, 7)?;
    Ok(ApiKey {
        id: get(row, 0)?,
        owner: get(row, 1)?,
        description: get(row, 2)?,
        metadata: get(row, 3)?,
        created_at: get(row, 4)?,
        revision: get(row, 5)?,
        hash: get(row, 6)?,
        grants: grants.map(|stored| stored.parse().map_err(|_| corrupt("grants"))).transpose()?,
        expires_at: get_opt(row, 8)?,
        client_certificate: get_opt(row, 9)?,
    })
}

pub(super) async fn insert(transaction: &Transaction, key: &ApiKey) -> Result<()> {
    if accounts::principal_is_active(transaction, transaction.account, key.owner).await?.is_none() {
        return Err(Error::Stale);
    }
    let sql = "INSERT INTO api_key (account, id, owner, description, metadata, created_at, revision, hash, grants, \
               expires_at, client_certificate) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let values = values![
        transaction.account,
        key.id,
        key.owner,
        &key.description,
        &key.metadata,
        key.created_at,
        key.revision,
        &key.hash,
        key.grants.as_ref().map(Grants::to_string),
        key.expires_at,
        key.client_certificate.as_ref(),
    ];
    transaction.write(Noun::ApiKey, sql, &values).await?;
    count(transaction, 1).await
}

async fn count(transaction: &Transaction, more: i64) -> Result<()> {
    let sql = "UPDATE account SET api_keys = api_keys + $2 WHERE number = $1";
    transaction.change(sql, &values![transaction.account, more]).await
}

pub(super) async fn find(pool: &Pool, account: i64, id: ApiKeyId) -> Result<Option<ApiKey>> {
    pool.query_opt(&format!("{SELECT} WHERE account = $1 AND id = $2"), &values![account, id], view).await
}

pub(super) async fn list(pool: &Pool, account: i64, of: ApiKeysOf, query: &Query) -> Result<Listing<ApiKey>> {
    let mut select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        values: vec![account.into()],
        id: "id",
        column: columns::api_key,
        scope: &[],
    };
    let (condition, value): (_, Option<Value<'static>>) = match of {
        ApiKeysOf::Account => ("", None),
        ApiKeysOf::Owner(owner) => (" AND owner = ?", Some(owner.into())),
        ApiKeysOf::Key(id) => (" AND id = ?", Some(id.into())),
    };
    select.sql += condition;
    select.values.extend(value);
    list::list(pool, select, query, view).await
}

pub(super) async fn update(transaction: &Transaction, key: &ApiKey) -> Result<()> {
    let sql = "UPDATE api_key SET description = $4, metadata = $5, grants = $6, expires_at = $7, \
               client_certificate = $8, revision = $3 WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values = values![
        transaction.account,
        key.id,
        key.revision,
        &key.description,
        &key.metadata,
        key.grants.as_ref().map(Grants::to_string),
        key.expires_at,
        key.client_certificate.as_ref(),
    ];
    transaction.change(sql, &values).await
}

pub(super) async fn delete(transaction: &Transaction, id: ApiKeyId, revision: u64) -> Result<()> {
    let sql = "DELETE FROM api_key WHERE account = $1 AND id = $2 AND revision = $3";
    transaction.change(sql, &values![transaction.account, id, revision]).await?;
    count(transaction, -1).await
}

/// Removes all keys of an owner; `Stale` if they are not just those named.
pub(super) async fn delete_of_owner(
    transaction: &Transaction,
    owner: PrincipalId,
    named: &[ApiKeyId],
) -> Result<()> {
    let sql = "SELECT id FROM api_key WHERE account = $1 AND owner = $2 ORDER BY id DESC";
    let rows = transaction.query(sql, &values![transaction.account, owner]).await?;
    let found = rows.iter().map(|row| get(row, 0)).collect::<Result<Vec<ApiKeyId>>>()?;
    if found != named {
        return Err(Error::Stale);
    }
    let sql = "DELETE FROM api_key WHERE account = $1 AND owner = $2";
    transaction.execute(sql, &values![transaction.account, owner]).await?;
    count(transaction, -i64::try_from(found.len()).unwrap_or(0)).await
}
