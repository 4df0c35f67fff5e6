//! When the values of secrets were last given out. The log tells it already; the table is kept in the same commits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use strongroom_domain::Result;
use strongroom_domain::ids::SecretId;
use strongroom_domain::secret::Resolved;

use super::row::get;
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};

/// A secret may have been destroyed since: nothing would take its row away. Asked with `EXISTS`, a planner that knows nothing of the
/// tables yet reads all secrets first.
pub(super) const NOTE: &str = "INSERT INTO resolved (account, secret, at, api_key) \
     SELECT $1, used.secret, used.at, used.api_key \
     FROM unnest($2::BYTEA[], $3::BIGINT[], $4::BYTEA[]) AS used (secret, at, api_key) \
     WHERE coalesce((SELECT TRUE FROM secret WHERE secret.account = $1 AND secret.id = used.secret), \
         (SELECT TRUE FROM deleted_secret AS gone WHERE gone.account = $1 AND gone.id = used.secret), FALSE) \
     ON CONFLICT (account, secret) DO UPDATE SET at = excluded.at, api_key = excluded.api_key";

/// The values of [`NOTE`], if there is anything to note. Each secret is there once: one statement cannot write a row twice.
pub(super) fn values_of(account: i64, uses: &BTreeMap<SecretId, Resolved>) -> Option<[Value<'static>; 4]> {
    if uses.is_empty() {
        return None;
    }
    let bytes = |id: strongroom_domain::ids::Ksuid| Cow::Owned(id.as_bytes().to_vec());
    Some([
        account.into(),
        Value::ManyBytes(uses.keys().map(|id| bytes(id.ksuid())).collect()),
        Value::Ints(uses.values().map(|used| used.at.as_second()).collect()),
        Value::ManyBytes(uses.values().map(|used| bytes(used.by.ksuid())).collect()),
    ])
}

pub(super) async fn find(pool: &Pool, account: i64, secret: SecretId) -> Result<Option<Resolved>> {
    let sql = "SELECT at, api_key FROM resolved WHERE account = $1 AND secret = $2";
    let view = |row: &_| Ok(Resolved { at: get(row, 0)?, by: get(row, 1)? });
    pool.query_opt(sql, &values![account, secret], view).await
}

/// Forgets the last uses of secrets, whose ids are an array.
pub(super) async fn delete(transaction: &Transaction, secrets: Value<'_>) -> Result<()> {
    let sql = "DELETE FROM resolved WHERE account = $1 AND secret = ANY($2)";
    transaction.execute(sql, &[transaction.account.into(), secrets]).await.map(drop)
}
