//! Service users.

use strongroom_domain::error::Noun;
use strongroom_domain::ids::{ApiKeyId, PrincipalId, ServiceUserId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::principal::ServiceUser;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use crate::columns;

use super::api_keys;
use super::list::{self, Select};
use super::row::get;
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;

const SELECT: &str = "SELECT id, name, active, created_at, revision FROM service_user";

fn view(row: &Row) -> Result<ServiceUser> {
    Ok(ServiceUser {
        id: get(row, 0)?,
        name: get(row, 1)?,
        active: get(row, 2)?,
        created_at: get(row, 3)?,
        revision: get(row, 4)?,
    })
}

pub(super) async fn insert(transaction: &Transaction, user: &ServiceUser) -> Result<()> {
    let sql = "INSERT INTO service_user (account, id, name, active, created_at, revision) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values =
        values![transaction.account, user.id, &user.name, user.active, user.created_at, user.revision];
    transaction.write(Noun::ServiceUser, sql, &values).await.map(drop)
}

pub(super) async fn find(pool: &Pool, account: i64, id: ServiceUserId) -> Result<Option<ServiceUser>> {
    pool.query_opt(&format!("{SELECT} WHERE account = $1 AND id = $2"), &values![account, id], view).await
}

pub(super) async fn list(pool: &Pool, account: i64, query: &Query) -> Result<Listing<ServiceUser>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        values: vec![account.into()],
        id: "id",
        column: columns::service_user,
        scope: &[],
    };
    list::list(pool, select, query, view).await
}

pub(super) async fn update(transaction: &Transaction, user: &ServiceUser) -> Result<()> {
    let sql = "UPDATE service_user SET name = $4, active = $5, revision = $3 \
               WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values = values![transaction.account, user.id, user.revision, &user.name, user.active];
    let changed = transaction.write(Noun::ServiceUser, sql, &values).await?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

pub(super) async fn delete(
    transaction: &Transaction,
    id: ServiceUserId,
    revision: u64,
    keys: &[ApiKeyId],
) -> Result<()> {
    let sql = "DELETE FROM service_user WHERE account = $1 AND id = $2 AND revision = $3";
    transaction.change(sql, &values![transaction.account, id, revision]).await?;
    api_keys::delete_of_owner(transaction, PrincipalId::ServiceUser(id), keys).await
}
