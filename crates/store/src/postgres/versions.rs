//! The values of secrets, sealed: the current one of each, and those that it has replaced.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::SealedValue;
use strongroom_domain::ids::{Ksuid, SecretId, VaultId};
use strongroom_domain::keep::Keep;
use strongroom_domain::secret::{Due, Kept, Version, Walked};
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::row::{get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};

/// Versions, each by secret and number, as the values of two arrays.
fn which_values(which: &[(SecretId, u32)]) -> [Value<'static>; 2] {
    let secrets = which.iter().map(|(secret, _)| Cow::Owned(secret.ksuid().as_bytes().to_vec())).collect();
    let numbers = which.iter().map(|(_, number)| i64::from(*number)).collect();
    [Value::ManyBytes(secrets), Value::Ints(numbers)]
}

/// Puts versions that were sealed anew, newest first, in the place of those that there are; the others go.
/// `Stale` if they were sealed under another key than the vault has now.
pub(super) async fn reseal(
    transaction: &Transaction,
    (secret, vault): (SecretId, VaultId),
    versions: &[Version],
) -> Result<()> {
    let account = transaction.account;
    let oldest = versions.last().map_or(0, |version| version.number);
    let sql = "DELETE FROM version WHERE account = $1 AND secret = $2 AND number < $3";
    transaction.execute(sql, &values![account, secret, oldest]).await?;
    let sql = "UPDATE version SET wrapped_key = new.wrapped_key, ciphertext = new.ciphertext, \
               generation = vault.generation \
               FROM vault, unnest($4::BIGINT[], $5::BYTEA[], $6::BYTEA[]) AS new (number, wrapped_key, ciphertext) \
               WHERE version.account = $1 AND version.secret = $2 AND version.number = new.number \
               AND vault.account = $1 AND vault.id = $3 \
               AND (vault.key_id IS NULL OR vault.key_id = substr(new.wrapped_key, 1, 8))";
    let numbers = versions.iter().map(|version| i64::from(version.number)).collect();
    let keys = versions.iter().map(|version| Cow::Borrowed(version.sealed.wrapped_key.as_bytes())).collect();
    let sealed = versions.iter().map(|version| Cow::Borrowed(&*version.sealed.ciphertext)).collect();
    let values = [
        account.into(),
        secret.into(),
        vault.into(),
        Value::Ints(numbers),
        Value::ManyBytes(keys),
        Value::ManyBytes(sealed),
    ];
    let changed = transaction.execute(sql, &values).await?;
    let sql = "SELECT count(*) FROM version WHERE account = $1 AND secret = $2";
    let there: u64 = transaction.query_one(sql, &values![account, secret]).await?;
    // One that was not sealed anew could never be opened again.
    if changed == versions.len() as u64 && there == changed { Ok(()) } else { Err(Error::Stale) }
}

/// Destroys all versions of secrets, whose ids are an array.
pub(super) async fn delete(transaction: &Transaction, secrets: Value<'_>) -> Result<()> {
    let sql = "DELETE FROM version WHERE account = $1 AND secret = ANY($2)";
    transaction.execute(sql, &[transaction.account.into(), secrets]).await.map(drop)
}

/// A version of a secret that is not deleted.
pub(super) async fn find(
    pool: &Pool,
    account: i64,
    secret: SecretId,
    number: u32,
) -> Result<Option<Version>> {
    let found = list(pool, account, &[(secret, number)]).await?;
    Ok(found.into_iter().flatten().next().map(Arc::unwrap_or_clone))
}

/// Versions of secrets that are not deleted, each by secret and number, in one round trip.
pub(super) async fn list(
    pool: &Pool,
    account: i64,
    which: &[(SecretId, u32)],
) -> Result<Vec<Option<Arc<Version>>>> {
    let sql = "SELECT version.secret, version.number, version.created_at, version.wrapped_key, version.ciphertext, \
               version.created_by FROM unnest($2::BYTEA[], $3::BIGINT[]) AS which (secret, number) \
               JOIN version ON version.account = $1 AND version.secret = which.secret AND version.number = which.number \
               WHERE EXISTS (SELECT 1 FROM secret WHERE secret.account = $1 AND secret.id = version.secret)";
    let [secrets, numbers] = which_values(which);
    let rows = pool.query(sql, &[account.into(), secrets, numbers]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let (secret, version): (Ksuid, _) = (get(row, 0)?, view(row)?);
        found.insert((secret, version.number), Arc::new(version));
    }
    Ok(which.iter().map(|(secret, number)| found.get(&(secret.ksuid(), *number)).cloned()).collect())
}

fn view(row: &Row) -> Result<Version> {
    let sealed = SealedValue { wrapped_key: get(row, 3)?, ciphertext: get(row, 4)? };
    Ok(Version { number: get(row, 1)?, created_at: get(row, 2)?, created_by: get_opt(row, 5)?, sealed })
}

/// What is kept of a secret's values, newest first.
pub(super) async fn kept(pool: &Pool, account: i64, secret: SecretId) -> Result<Vec<Kept>> {
    let sql = "SELECT number, created_at, created_by, replaced_at FROM version WHERE account = $1 AND secret = $2 \
               AND EXISTS (SELECT 1 FROM secret WHERE secret.account = $1 AND secret.id = $2) ORDER BY number DESC";
    pool.query(sql, &values![account, secret]).await?.iter().map(view_kept).collect()
}

fn view_kept(row: &Row) -> Result<Kept> {
    Ok(Kept {
        number: get(row, 0)?,
        created_at: get(row, 1)?,
        created_by: get_opt(row, 2)?,
        replaced_at: get_opt(row, 3)?,
    })
}

const DUE: &str = "SELECT version.replaced_at, version.secret, version.number, \
     coalesce(version.number + coalesce(vault.keep_versions, $2) <= secret.version, FALSE) \
     OR (secret.id IS NOT NULL AND coalesce(version.replaced_at + coalesce(vault.keep_versions_for, $3) <= $4, FALSE)) \
     FROM version \
     LEFT JOIN secret ON secret.account = version.account AND secret.id = version.secret \
     LEFT JOIN vault ON vault.account = secret.account AND vault.id = secret.vault \
     WHERE version.account = $1 AND version.replaced_at IS NOT NULL \
     AND (version.replaced_at, version.secret, version.number) > ($5, $6, $7) \
     ORDER BY version.replaced_at, version.secret, version.number LIMIT $8";

/// Walks on through the values that were replaced, and finds those that are not to be kept any longer. Those of a deleted
/// secret are left to the time for which deleted things are kept.
pub(super) async fn due(
    pool: &Pool,
    account: i64,
    keep: Keep,
    now: Timestamp,
    after: Option<Walked>,
    limit: usize,
) -> Result<Due> {
    let start = after.map(|walked| {
        (walked.replaced_at.as_second(), walked.secret.ksuid().as_bytes().to_vec(), walked.number)
    });
    let (at, secret, number) = start.unwrap_or((i64::MIN, Vec::new(), 0));
    let values = values![account, keep.versions, keep.versions_for, now, at, secret, number, limit];
    let rows = pool.work_through(DUE.to_owned(), values.into()).await?;
    let (mut found, mut last) = (Due::default(), None);
    for row in &rows {
        let walked = Walked { replaced_at: get(row, 0)?, secret: get(row, 1)?, number: get(row, 2)? };
        if get(row, 3)? {
            found.versions.push((walked.secret, walked.number));
        }
        last = Some(walked);
    }
    found.next = last.filter(|_| rows.len() == limit);
    Ok(found)
}

/// Destroys versions, where they are still there and not current.
pub(super) async fn prune(transaction: &Transaction, which: &[(SecretId, u32)]) -> Result<()> {
    let sql = "DELETE FROM version USING unnest($2::BYTEA[], $3::BIGINT[]) AS which (secret, number) \
               WHERE version.account = $1 AND version.secret = which.secret AND version.number = which.number \
               AND version.replaced_at IS NOT NULL";
    let [secrets, numbers] = which_values(which);
    transaction.execute(sql, &[transaction.account.into(), secrets, numbers]).await?;
    transaction.is_untold();
    Ok(())
}
