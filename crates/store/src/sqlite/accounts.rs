//! Accounts, users, and the lookup of a key with its owner.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use strongroom_crypto::{KeyId, WrappedKey};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::caller::{Credential, Role};
use strongroom_domain::ids::{AccountId, ApiKeyId, PrincipalId, UserId};
use strongroom_domain::principal::{Account, User};
use strongroom_domain::{Error, Result};

use super::api_keys;
use super::error::{self, Corrupt};
use super::row::get;
use super::writer::Step;

/// The account and its number in the other tables.
pub(super) fn find(connection: &Connection) -> rusqlite::Result<Option<(i64, Account)>> {
    connection
        .prepare_cached("SELECT number, id, name, created_at, root_key, wrapped_token_key FROM account")?
        .query_row([], |row| {
            let account = Account {
                id: AccountId::new(get(row, 1)?),
                name: row.get(2)?,
                created_at: get(row, 3)?,
                root_key: KeyId::from_bytes(row.get(4)?),
                wrapped_token_key: WrappedKey::from_bytes(row.get(5)?),
            };
            Ok((row.get(0)?, account))
        })
        .optional()
}

/// When the root key was made.
pub(super) fn root_keyed_at(connection: &Connection, account: i64) -> rusqlite::Result<Timestamp> {
    connection
        .prepare_cached("SELECT coalesce(root_keyed_at, created_at) FROM account WHERE number = ?1")?
        .query_row([account], |row| get(row, 0))
}

/// What is to be stored must be wrapped by the root key that the account is under; else `Stale`.
pub(super) fn check_root_key<'w>(
    step: &Step<'_>,
    account: i64,
    wrapped: impl IntoIterator<Item = &'w WrappedKey>,
) -> Result<()> {
    let present: [u8; KeyId::LENGTH] = step
        .connection
        .prepare_cached("SELECT root_key FROM account WHERE number = ?1")
        .and_then(|mut select| select.query_row([account], |row| row.get(0)))
        .map_err(error::plain)?;
    let present = Some(KeyId::from_bytes(present));
    if wrapped.into_iter().all(|wrapped| wrapped.wrapped_by() == present) {
        Ok(())
    } else {
        Err(Error::Stale)
    }
}

pub(super) fn insert(step: &mut Step<'_>, account: &Account, user: &User, key: &ApiKey) -> Result<i64> {
    if find(step.connection).map_err(error::plain)?.is_some() {
        return Err(Error::Stale);
    }
    let number = step
        .connection
        .prepare_cached(
            "INSERT INTO account (id, name, created_at, root_key, wrapped_token_key) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut insert| {
            insert.insert((
                account.id.ksuid().as_bytes(),
                &account.name,
                account.created_at.as_second(),
                account.root_key.as_bytes(),
                account.wrapped_token_key.as_bytes(),
            ))
        })
        .map_err(error::plain)?;
    step.connection
        .prepare_cached("INSERT INTO user (account, id, email, role, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")
        .and_then(|mut insert| {
            let created_at = user.created_at.as_second();
            insert.execute((number, user.id.ksuid().as_bytes(), &user.email, user.role.as_str(), created_at))
        })
        .map_err(error::plain)?;
    api_keys::insert(step, number, key)?;
    Ok(number)
}

pub(super) fn log_key_find(connection: &Connection, account: i64) -> rusqlite::Result<Option<WrappedKey>> {
    connection
        .prepare_cached("SELECT wrapped_key FROM log_key WHERE account = ?1")?
        .query_row([account], |row| Ok(WrappedKey::from_bytes(row.get(0)?)))
        .optional()
}

pub(super) fn log_key_insert(step: &mut Step<'_>, account: i64, key: &WrappedKey) -> Result<()> {
    let inserted = step
        .connection
        .prepare_cached("INSERT OR IGNORE INTO log_key (account, wrapped_key) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute((account, key.as_bytes())))
        .map_err(error::plain)?;
    if inserted == 0 {
        return Err(Error::Stale);
    }
    step.connection
        .execute("UPDATE audit_head SET log_keys_made = log_keys_made + 1", [])
        .map(drop)
        .map_err(error::plain)
}

pub(super) fn log_keys_made(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT log_keys_made FROM audit_head WHERE id = 1", [], |row| row.get(0))
}

pub(super) fn user_find(
    connection: &Connection,
    account: i64,
    email: &str,
) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached("SELECT id, email, role, created_at FROM user WHERE account = ?1 AND email = ?2")?
        .query_row((account, email), |row| {
            Ok(User {
                id: UserId::new(get(row, 0)?),
                email: row.get(1)?,
                role: role(&row.get::<_, String>(2)?)?,
                created_at: get(row, 3)?,
            })
        })
        .optional()
}

/// What a principal is called, what it may do, and whether it is active.
type Owner = (String, Role, bool);

fn owner_find(connection: &Connection, account: i64, id: PrincipalId) -> rusqlite::Result<Option<Owner>> {
    match id {
        PrincipalId::User(id) => connection
            .prepare_cached("SELECT email, role FROM user WHERE account = ?1 AND id = ?2")?
            .query_row((account, id.ksuid().as_bytes()), |row| {
                Ok((row.get(0)?, role(&row.get::<_, String>(1)?)?, true))
            })
            .optional(),
        PrincipalId::ServiceUser(id) => connection
            .prepare_cached("SELECT name, active FROM service_user WHERE account = ?1 AND id = ?2")?
            .query_row((account, id.ksuid().as_bytes()), |row| {
                Ok((row.get(0)?, Role::Developer, row.get(1)?))
            })
            .optional(),
    }
}

pub(super) fn principal_is_active(
    connection: &Connection,
    account: i64,
    id: PrincipalId,
) -> rusqlite::Result<Option<bool>> {
    Ok(owner_find(connection, account, id)?.map(|(_, _, active)| active))
}

/// A key with its owner. A key whose owner is gone is no key.
pub(super) fn credential_find(
    connection: &Connection,
    (account, id): (i64, AccountId),
    key: ApiKeyId,
) -> rusqlite::Result<Option<Arc<Credential>>> {
    let Some(key) = api_keys::find(connection, account, key)? else { return Ok(None) };
    let owner = owner_find(connection, account, key.owner)?;
    Ok(owner.map(|(subject, role, active)| Arc::new(Credential { account: id, key, subject, role, active })))
}

fn role(text: &str) -> rusqlite::Result<Role> {
    Role::parse(text).ok_or_else(|| rusqlite::types::FromSqlError::Other(Box::new(Corrupt("role"))).into())
}
