//! Service users.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_domain::error::Noun;
use strongroom_domain::ids::{ApiKeyId, PrincipalId, ServiceUserId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::principal::ServiceUser;
use strongroom_domain::{Error, Result};

use crate::columns;

use super::list::{self, Select};
use super::row::get;
use super::writer::Step;
use super::{api_keys, error};

const SELECT: &str = "SELECT id, name, active, created_at, revision FROM service_user";

fn view(row: &Row<'_>) -> rusqlite::Result<ServiceUser> {
    Ok(ServiceUser {
        id: ServiceUserId::new(get(row, 0)?),
        name: row.get(1)?,
        active: row.get(2)?,
        created_at: get(row, 3)?,
        revision: row.get(4)?,
    })
}

pub(super) fn insert(step: &mut Step<'_>, account: i64, user: &ServiceUser) -> Result<()> {
    step.connection
        .prepare_cached(
            "INSERT INTO service_user (account, id, name, active, created_at, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut insert| {
            let (id, created_at) = (user.id.ksuid(), user.created_at.as_second());
            insert.execute((account, id.as_bytes(), &user.name, user.active, created_at, user.revision))
        })
        .map_err(error::writing(Noun::ServiceUser))?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    account: i64,
    id: ServiceUserId,
) -> rusqlite::Result<Option<ServiceUser>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
}

pub(super) fn list(
    connection: &Connection,
    account: i64,
    query: &Query,
) -> rusqlite::Result<Listing<ServiceUser>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        params: vec![Value::Integer(account)],
        id: "id",
        column: columns::service_user,
        scope: &[],
    };
    list::list(connection, select, query, view)
}

pub(super) fn update(step: &mut Step<'_>, account: i64, user: &ServiceUser) -> Result<()> {
    let changed = step
        .connection
        .prepare_cached(
            "UPDATE service_user SET name = ?4, active = ?5, revision = ?3 \
             WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            update.execute((account, user.id.ksuid().as_bytes(), user.revision, &user.name, user.active))
        })
        .map_err(error::writing(Noun::ServiceUser))?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

pub(super) fn delete(
    step: &mut Step<'_>,
    account: i64,
    id: ServiceUserId,
    revision: u64,
    keys: &[ApiKeyId],
) -> Result<()> {
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM service_user WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 0 {
        return Err(Error::Stale);
    }
    api_keys::delete_of_owner(step, account, PrincipalId::ServiceUser(id), keys)
}
