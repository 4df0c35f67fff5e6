//! Another root key in the place of the one before: all that it wraps, and all that it is sealed to, in one transaction.

use rusqlite::types::Value;
use rusqlite::{Params, Row};
use strongroom_crypto::{KeyId, WrappedKey};
use strongroom_domain::ids::{VaultId, WebhookId};
use strongroom_domain::rotation::{NewRootKey, UnderRoot};
use strongroom_domain::{Error, Result};

use super::row::get;
use super::writer::Step;
use super::{error, key_slots};

/// A column of things that the root key wraps: its table, its name, the column of ids, and what is in it.
struct Column {
    table: &'static str,
    name: &'static str,
    id: &'static str,
    what: fn(&Row<'_>) -> rusqlite::Result<UnderRoot>,
}

const COLUMNS: [Column; 9] = [
    Column { table: "account", name: "wrapped_token_key", id: "id", what: |_| Ok(UnderRoot::TokenKey) },
    Column { table: "log_key", name: "wrapped_key", id: "account", what: |_| Ok(UnderRoot::LogKey) },
    Column { table: "vault", name: "wrapped_key", id: "id", what: vault },
    Column { table: "vault", name: "previous_key", id: "id", what: vault },
    Column { table: "deleted_vault", name: "wrapped_key", id: "id", what: vault },
    Column { table: "deleted_vault", name: "previous_key", id: "id", what: vault },
    Column { table: "webhook", name: "secret", id: "id", what: webhook },
    Column { table: "webhook", name: "old_secret", id: "id", what: webhook },
    Column {
        table: "answer",
        name: "wrapped_key",
        id: "mark",
        what: |row| Ok(UnderRoot::KeptToken(row.get(0)?)),
    },
];

fn vault(row: &Row<'_>) -> rusqlite::Result<UnderRoot> {
    Ok(UnderRoot::VaultKey(VaultId::new(get(row, 0)?)))
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<UnderRoot> {
    Ok(UnderRoot::SigningSecret(WebhookId::new(get(row, 0)?)))
}

impl Column {
    /// The rows of an account, which has its number under another name in its own table.
    fn of_account(&self) -> String {
        let account = if self.table == "account" { "number" } else { "account" };
        format!("{account} = ?1 AND {} IS NOT NULL", self.name)
    }

    fn rewrap(&self, step: &Step<'_>, account: i64, new: &NewRootKey) -> Result<u64> {
        let Self { table, name, id, what } = self;
        let sql = format!("SELECT {id}, {name} FROM {table} WHERE {}", self.of_account());
        let found: Vec<(Value, UnderRoot, WrappedKey)> = step
            .connection
            .prepare(&sql)
            .and_then(|mut select| {
                let row = |row: &Row<'_>| Ok((row.get(0)?, what(row)?, WrappedKey::from_bytes(row.get(1)?)));
                select.query_map([account], row)?.collect()
            })
            .map_err(error::plain)?;
        let sql = format!("UPDATE {table} SET {name} = ?3 WHERE {} AND {id} = ?2", self.of_account());
        let mut update = step.connection.prepare(&sql).map_err(error::plain)?;
        for (id, what, wrapped) in &found {
            let rewrapped = (new.rewrap)(what, wrapped)?;
            update.execute((account, id, rewrapped.as_bytes())).map_err(error::plain)?;
        }
        Ok(found.len() as u64)
    }

    /// How many are not wrapped by the new key.
    fn left(&self, step: &Step<'_>, account: i64, new: &NewRootKey) -> Result<u64> {
        let Self { table, name, .. } = self;
        let of = self.of_account();
        let sql = format!("SELECT count(*) FROM {table} WHERE {of} AND substr({name}, 1, 8) <> ?2");
        one(step, &sql, (account, new.id.as_bytes()))
    }
}

fn one<T: rusqlite::types::FromSql>(step: &Step<'_>, sql: &str, params: impl Params) -> Result<T> {
    let found =
        step.connection.prepare(sql).and_then(|mut select| select.query_row(params, |row| row.get(0)));
    found.map_err(error::plain)
}

/// Something is wrapped by no root key that is known.
#[derive(Debug, thiserror::Error)]
#[error("{0} keys would be left under another root key")]
struct LeftBehind(u64);

pub(super) fn replace(step: &mut Step<'_>, account: i64, new: &NewRootKey) -> Result<u64> {
    let present: [u8; KeyId::LENGTH] =
        one(step, "SELECT root_key FROM account WHERE number = ?1", [account])?;
    if KeyId::from_bytes(present) != new.replaces {
        return Err(Error::Stale);
    }
    let (mut done, mut left) = (0, 0);
    for column in &COLUMNS {
        done += column.rewrap(step, account, new)?;
        left += column.left(step, account, new)?;
    }
    if left > 0 {
        return Err(Error::Internal(Box::new(LeftBehind(left))));
    }
    key_slots::reseal(step, account, new)?;
    step.connection
        .execute(
            "UPDATE account SET root_key = ?2, root_keyed_at = ?3 WHERE number = ?1",
            (account, new.id.as_bytes(), new.made_at.as_second()),
        )
        .map_err(error::plain)?;
    step.erase();
    Ok(done)
}
