//! Another root key in the place of the one before: all that it wraps, and all that it is sealed to, in one transaction.

use std::borrow::Cow;

use strongroom_crypto::WrappedKey;
use strongroom_domain::rotation::{NewRootKey, UnderRoot};
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::row::get;
use super::session::Reader;
use super::transaction::Transaction;
use super::value::{Value, values};
use super::{accounts, key_slots};

/// Keys that are written at a time.
const WRITTEN: usize = 1000;

/// A column of things that the root key wraps: its table, its name, the column of ids, and what is in it.
struct Column {
    table: &'static str,
    name: &'static str,
    id: &'static str,
    what: fn(&Row) -> Result<UnderRoot>,
}

const COLUMNS: [Column; 9] = [
    Column { table: "account", name: "wrapped_token_key", id: "id", what: |_| Ok(UnderRoot::TokenKey) },
    // It has no id of its own: there is one.
    Column { table: "log_key", name: "wrapped_key", id: "''::BYTEA", what: |_| Ok(UnderRoot::LogKey) },
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
        what: |row| Ok(UnderRoot::KeptToken(get(row, 0)?)),
    },
];

fn vault(row: &Row) -> Result<UnderRoot> {
    Ok(UnderRoot::VaultKey(get(row, 0)?))
}

fn webhook(row: &Row) -> Result<UnderRoot> {
    Ok(UnderRoot::SigningSecret(get(row, 0)?))
}

impl Column {
    /// The rows of an account, which has its number under another name in its own table.
    fn of_account(&self) -> String {
        let account = if self.table == "account" { "number" } else { "account" };
        format!("{account} = $1 AND {} IS NOT NULL", self.name)
    }

    async fn rewrap(&self, transaction: &Transaction, new: &NewRootKey) -> Result<u64> {
        let Self { table, name, id, what } = self;
        let account = transaction.account;
        let sql = format!("SELECT {id}, {name} FROM {table} WHERE {}", self.of_account());
        let rows = transaction.query(&sql, &values![account]).await?;
        let sql = format!(
            "UPDATE {table} SET {name} = new.wrapped FROM unnest($2::BYTEA[], $3::BYTEA[]) AS new (place, wrapped) \
             WHERE {} AND {id} = new.place",
            self.of_account(),
        );
        for rows in rows.chunks(WRITTEN) {
            let (mut ids, mut rewrapped) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
            for row in rows {
                let wrapped: WrappedKey = get(row, 1)?;
                let wrapped = (new.rewrap)(&what(row)?, &wrapped)?;
                ids.push(Cow::Owned(get::<Vec<u8>>(row, 0)?));
                rewrapped.push(Cow::Owned(wrapped.as_bytes().to_vec()));
            }
            let values = [account.into(), Value::ManyBytes(ids), Value::ManyBytes(rewrapped)];
            transaction.execute(&sql, &values).await?;
        }
        Ok(rows.len() as u64)
    }

    /// How many are not wrapped by the new key.
    async fn left(&self, transaction: &Transaction, new: &NewRootKey) -> Result<u64> {
        let Self { table, name, .. } = self;
        let of = self.of_account();
        let sql = format!("SELECT count(*) FROM {table} WHERE {of} AND substr({name}, 1, 8) <> $2");
        transaction.query_one(&sql, &values![transaction.account, &new.id]).await
    }
}

/// Something is wrapped by no root key that is known.
#[derive(Debug, thiserror::Error)]
#[error("{0} keys would be left under another root key")]
struct LeftBehind(u64);

pub(super) async fn replace(transaction: &Transaction, new: &NewRootKey) -> Result<u64> {
    let account = transaction.account;
    if accounts::root_key(transaction).await? != new.replaces {
        return Err(Error::Stale);
    }
    let (mut done, mut left) = (0, 0);
    for column in &COLUMNS {
        done += column.rewrap(transaction, new).await?;
        left += column.left(transaction, new).await?;
    }
    if left > 0 {
        return Err(Error::Internal(Box::new(LeftBehind(left))));
    }
    key_slots::reseal(transaction, new).await?;
    let sql = "UPDATE account SET root_key = $2, root_keyed_at = $3 WHERE number = $1";
    transaction.change(sql, &values![account, &new.id, new.made_at]).await?;
    Ok(done)
}
