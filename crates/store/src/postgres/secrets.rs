//! Secrets: all of them but their values.
//!
//! What is done often is statements that are sent at once, so that many go into one batch: the first looks whether the change may be
//! made, makes it or nothing, and says in a word which. All parts of a statement see the store as it was before it. No statement
//! writes to a table in two of its parts, which CockroachDB refuses: what is left goes into further ones, which go by what the first
//! has written.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_domain::answer::Answer;
use strongroom_domain::deleted::Deletion;
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::ids::{SecretId, VaultId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::secret::{Detail, Resolved, Secret, Version};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use crate::columns;
use crate::lane::Lane;

use super::list::{self, Select};
use super::row::{get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;
use super::writer::Statement;
use super::{deleted, expiry, versions};

pub(super) const COLUMNS: &str = "secret.id, secret.vault, vault.name, secret.name, secret.description, secret.metadata, \
                       secret.created_at, secret.created_by, secret.updated_at, secret.last_updated_by, \
                       secret.revision, secret.version, secret.expires_at";

pub(super) const JOIN: &str = "JOIN vault ON vault.account = secret.account AND vault.id = secret.vault";

pub(super) fn view(row: &Row) -> Result<Secret> {
    Ok(Secret {
        id: get(row, 0)?,
        vault_id: get(row, 1)?,
        vault_name: get(row, 2)?,
        name: get(row, 3)?,
        description: get(row, 4)?,
        metadata: get(row, 5)?,
        created_at: get(row, 6)?,
        created_by: get(row, 7)?,
        updated_at: get(row, 8)?,
        last_updated_by: get(row, 9)?,
        revision: get(row, 10)?,
        version: get(row, 11)?,
        expires_at: get_opt(row, 12)?,
    })
}

/// What the word of a statement means.
pub(super) fn verdict(word: &str) -> Result<()> {
    match word {
        "done" => Ok(()),
        "id" => Err(Rule::Parameter("id").into()),
        "taken" => Err(Error::NotUnique(Noun::Secret)),
        _ => Err(Error::Stale),
    }
}

/// The same of a statement that adds a secret to a vault.
pub(super) fn verdict_of_insert(max: Option<u64>, vault: VaultId) -> impl Fn(&str) -> Result<()> {
    move |word| match (word, max) {
        ("full", Some(max)) => Err(Error::LimitReached { noun: Noun::Secret, max, vault: Some(vault) }),
        _ => verdict(word),
    }
}

const INSERT: &str = "WITH place AS (SELECT generation, key_id FROM vault WHERE account = $1 AND id = $3 AND revision = $15), \
     verdict AS (SELECT CASE \
         WHEN EXISTS (SELECT 1 FROM answer WHERE account = $1 AND mark = $21 AND at > $25) THEN 'stale' \
         WHEN EXISTS (SELECT 1 FROM deleted_secret WHERE account = $1 AND id = $2) THEN 'id' \
         WHEN NOT EXISTS (SELECT 1 FROM place WHERE key_id IS NULL OR key_id = substr($18, 1, 8)) THEN 'stale' \
         WHEN (SELECT secrets FROM account WHERE number = $1) >= $16 THEN 'full' \
         WHEN EXISTS (SELECT 1 FROM secret WHERE account = $1 AND id = $2) THEN 'id' \
         WHEN EXISTS (SELECT 1 FROM secret WHERE account = $1 AND name = $4 AND vault = $3) THEN 'taken' \
         ELSE 'done' END AS word), \
     counted AS (UPDATE account SET secrets = secrets + 1 WHERE number = $1 AND (SELECT word FROM verdict) = 'done'), \
     made AS (INSERT INTO secret (account, id, vault, name, description, metadata, created_at, created_by, updated_at, \
         last_updated_by, revision, version, expires_at, expiry_due) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 FROM verdict WHERE word = 'done'), \
     valued AS (INSERT INTO version (account, secret, number, created_at, wrapped_key, ciphertext, created_by, generation) \
         SELECT $1, $2, $12, $17, $18, $19, $20, generation FROM place, verdict WHERE word = 'done'), \
     answered AS (INSERT INTO answer (account, mark, request, at, object) \
         SELECT $1, $21, $22, $23, $24 FROM verdict WHERE word = 'done' AND $21 IS NOT NULL \
         ON CONFLICT (account, mark) DO UPDATE SET request = excluded.request, at = excluded.at, object = excluded.object, \
         wrapped_key = NULL, token = NULL) \
     SELECT word FROM verdict";

/// Adds a secret with its first version; with an answer, that too.
pub(super) fn insert(
    account: i64,
    vault: &Vault,
    secret: Secret,
    version: Version,
    max: Option<u64>,
    answer: Option<&Answer>,
) -> Result<Vec<Statement>> {
    let object = answer.map(Answer::object_to_json).transpose()?;
    let first_told = secret.first_told();
    let values = values![
        account,
        secret.id,
        secret.vault_id,
        secret.name,
        secret.description,
        secret.metadata,
        secret.created_at,
        secret.created_by,
        secret.updated_at,
        secret.last_updated_by,
        secret.revision,
        secret.version,
        secret.expires_at,
        first_told,
        vault.revision,
        max.unwrap_or(u64::MAX),
        version.created_at,
        version.sealed.wrapped_key.as_bytes().to_vec(),
        version.sealed.ciphertext,
        version.created_by,
        answer.map(|answer| answer.to.mark.to_vec()),
        answer.map(|answer| answer.to.request.to_vec()),
        answer.map(|answer| answer.at),
        object,
        answer.map(|answer| Answer::over_by(answer.at)),
    ];
    Ok(vec![(INSERT, values.into())])
}

/// What is to be told of another end starts anew.
const UPDATE: &str = "WITH place AS (SELECT generation, key_id FROM vault WHERE account = $1 AND id = $10 AND name = $11), \
     verdict AS (SELECT CASE \
         WHEN NOT EXISTS (SELECT 1 FROM secret WHERE account = $1 AND id = $2 AND revision = $3 - 1) THEN 'stale' \
         WHEN NOT EXISTS (SELECT 1 FROM place WHERE NOT $14 OR key_id IS NULL OR key_id = substr($16, 1, 8)) THEN 'stale' \
         WHEN EXISTS (SELECT 1 FROM secret WHERE account = $1 AND name = $4 AND vault = $10 AND id <> $2) THEN 'taken' \
         ELSE 'done' END AS word), \
     written AS (UPDATE secret SET name = $4, description = $5, metadata = $6, updated_at = $7, last_updated_by = $8, \
         version = $9, revision = $3, expires_at = $12, \
         expiry_due = CASE WHEN expires_at IS NOT DISTINCT FROM $12 THEN expiry_due ELSE $13 END \
         WHERE account = $1 AND id = $2 AND (SELECT word FROM verdict) = 'done'), \
     valued AS (INSERT INTO version (account, secret, number, created_at, wrapped_key, ciphertext, created_by, generation) \
         SELECT $1, $2, $19, $15, $16, $17, $18, generation FROM place, verdict WHERE word = 'done' AND $14) \
     SELECT word FROM verdict";

/// With a value the versions beyond those that are kept go, once [`UPDATE`] has written it. A wrapped key has a nonce of its own, so
/// what is there under it is this change's.
const PRUNE: &str = "DELETE FROM version WHERE account = $1 AND secret = $2 AND number < $3 \
     AND number <= $3 - coalesce((SELECT keep_versions FROM vault WHERE account = $1 AND id = $5), $6) \
     AND EXISTS (SELECT 1 FROM version AS new WHERE new.account = $1 AND new.secret = $2 AND new.number = $3 \
         AND new.wrapped_key = $4)";

/// The one before, if it stays, is marked as replaced.
const REPLACE: &str = "UPDATE version SET replaced_at = $5 WHERE account = $1 AND secret = $2 AND number = $3 - 1 \
     AND EXISTS (SELECT 1 FROM version AS new WHERE new.account = $1 AND new.secret = $2 AND new.number = $3 \
         AND new.wrapped_key = $4)";

/// Changes a secret; with a version, its value too.
pub(super) fn update(account: i64, secret: Secret, version: Option<Version>, keep: u32) -> Vec<Statement> {
    let first_told = secret.first_told();
    let with_value = version.is_some();
    let (created_at, created_by) =
        version.as_ref().map_or((None, None), |version| (Some(version.created_at), version.created_by));
    let number = version.as_ref().map(|version| version.number);
    let sealed = version.map(|version| version.sealed);
    let wrapped_key = sealed.as_ref().map(|sealed| sealed.wrapped_key.as_bytes().to_vec());
    let (id, vault, new) = (secret.id, secret.vault_id, wrapped_key.clone());
    let values = values![
        account,
        secret.id,
        secret.revision,
        secret.name,
        secret.description,
        secret.metadata,
        secret.updated_at,
        secret.last_updated_by,
        secret.version,
        secret.vault_id,
        secret.vault_name,
        secret.expires_at,
        first_told,
        with_value,
        created_at,
        wrapped_key,
        sealed.map(|sealed| sealed.ciphertext),
        created_by,
        number,
    ];
    let mut statements: Vec<Statement> = vec![(UPDATE, values.into())];
    if with_value {
        statements.push((PRUNE, values![account, id, number, new.clone(), vault, keep].into()));
        statements.push((REPLACE, values![account, id, number, new, created_at].into()));
    }
    statements
}

const DELETE: &str = "WITH was AS (SELECT * FROM secret WHERE account = $1 AND id = $2 AND revision = $3 \
         AND EXISTS (SELECT 1 FROM vault WHERE account = $1 AND id = $4 AND name = $5)), \
     kept AS (INSERT INTO deleted_secret (account, id, vault, name, description, metadata, created_at, created_by, \
         updated_at, last_updated_by, revision, version, expires_at, expiry_due, deleted_at, deleted_by) \
         SELECT account, id, vault, name, description, metadata, created_at, created_by, updated_at, last_updated_by, \
         revision, version, expires_at, expiry_due, $6, $7 FROM was WHERE $8), \
     gone AS (DELETE FROM secret USING was WHERE secret.account = was.account AND secret.id = was.id), \
     values_gone AS (DELETE FROM version USING was WHERE NOT $8 AND version.account = was.account AND version.secret = was.id), \
     uses_gone AS (DELETE FROM resolved USING was WHERE NOT $8 AND resolved.account = was.account AND resolved.secret = was.id), \
     counted AS (UPDATE account SET secrets = secrets - 1 WHERE number = $1 AND EXISTS (SELECT 1 FROM was)) \
     SELECT CASE WHEN EXISTS (SELECT 1 FROM was) THEN 'done' ELSE 'stale' END";

/// Removes a secret; with `keep` it is kept among the deleted ones.
pub(super) fn delete(account: i64, secret: &Secret, deletion: Deletion, keep: bool) -> Vec<Statement> {
    let values = values![
        account,
        secret.id,
        secret.revision,
        // What was allowed, and is told, goes by the vault's name: it must still be that.
        secret.vault_id,
        secret.vault_name.clone(),
        deletion.at,
        deletion.by,
        keep,
    ];
    vec![(DELETE, values.into())]
}

/// Brings a deleted secret back; its versions are where they were.
pub(super) async fn undelete(
    transaction: &Transaction,
    vault: &Vault,
    secret: &Secret,
    max: Option<u64>,
) -> Result<()> {
    deleted::check_secret(transaction, secret).await?;
    check_vault(transaction, vault).await?;
    let count = "UPDATE account SET secrets = secrets + 1 WHERE number = $1 AND secrets < $2";
    if transaction.execute(count, &values![transaction.account, max.unwrap_or(u64::MAX)]).await? == 0 {
        let max = max.unwrap_or(u64::MAX);
        return Err(Error::LimitReached { noun: Noun::Secret, max, vault: Some(vault.id) });
    }
    let sql = "INSERT INTO secret (account, id, vault, name, description, metadata, created_at, created_by, updated_at, \
               last_updated_by, revision, version, expires_at, expiry_due) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let values = values![
        transaction.account,
        secret.id,
        secret.vault_id,
        &secret.name,
        &secret.description,
        &secret.metadata,
        secret.created_at,
        secret.created_by,
        secret.updated_at,
        secret.last_updated_by,
        secret.revision,
        secret.version,
        secret.expires_at,
        secret.first_told(),
    ];
    transaction.write(Noun::Secret, sql, &values).await?;
    expiry::keep(transaction, secret).await?;
    deleted::take_secret(transaction, secret).await
}

/// The vault must be as it was when the value was sealed for it.
async fn check_vault(transaction: &Transaction, vault: &Vault) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT 1 FROM vault WHERE account = $1 AND id = $2 AND revision = $3)";
    let same = transaction.query_one(sql, &values![transaction.account, vault.id, vault.revision]).await?;
    if same { Ok(()) } else { Err(Error::Stale) }
}

/// Moves a secret to a vault, which must be as it was when its versions were sealed for it.
pub(super) async fn relocate(
    transaction: &Transaction,
    (from, vault): (&Secret, &Vault),
    secret: &Secret,
    versions: &[Version],
) -> Result<()> {
    check_vault(transaction, vault).await?;
    // What was allowed, and is told, goes by the name of the vault that it comes from.
    let sql = "SELECT EXISTS (SELECT 1 FROM vault WHERE account = $1 AND id = $2 AND name = $3)";
    let account = transaction.account;
    if !transaction.query_one(sql, &values![account, from.vault_id, &from.vault_name]).await? {
        return Err(Error::Stale);
    }
    let sql = "UPDATE secret SET vault = $4, name = $5, updated_at = $6, last_updated_by = $7, version = $8, \
               revision = $3 WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values = values![
        account,
        secret.id,
        secret.revision,
        secret.vault_id,
        &secret.name,
        secret.updated_at,
        secret.last_updated_by,
        secret.version,
    ];
    if transaction.write(Noun::Secret, sql, &values).await? == 0 {
        return Err(Error::Stale);
    }
    versions::reseal(transaction, (secret.id, vault.id), versions).await
}

pub(super) async fn find(pool: &Pool, account: i64, id: SecretId) -> Result<Option<Arc<Secret>>> {
    let sql = format!("SELECT {COLUMNS} FROM secret {JOIN} WHERE secret.account = $1 AND secret.id = $2");
    pool.query_opt(&sql, &values![account, id], |row| view(row).map(Arc::new)).await
}

pub(super) async fn find_by_name(
    pool: &Pool,
    account: i64,
    vault: VaultId,
    name: &str,
) -> Result<Option<Arc<Secret>>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM secret {JOIN} WHERE secret.account = $1 AND secret.name = $2 AND secret.vault = $3"
    );
    pool.query_opt(&sql, &values![account, name, vault], |row| view(row).map(Arc::new)).await
}

pub(super) async fn list(
    pool: &Pool,
    account: i64,
    vault: Option<VaultId>,
    query: &Query,
) -> Result<Arc<Listing<Arc<Secret>>>> {
    let select = select(COLUMNS, "", account, vault);
    let lane = if vault.is_some() && query.filter.is_none() { Lane::OneVault } else { Lane::of(query) };
    list::list_in(pool, lane, select, query, |row| view(row).map(Arc::new)).await.map(Arc::new)
}

/// Secrets with the last time that their values were given out.
pub(super) async fn detail_list(
    pool: &Pool,
    account: i64,
    vault: Option<VaultId>,
    unused_since: Option<Timestamp>,
    query: &Query,
) -> Result<Listing<Detail>> {
    const RESOLVED: &str = ", resolved.at, resolved.api_key";
    const JOIN_RESOLVED: &str =
        " LEFT JOIN resolved ON resolved.account = secret.account AND resolved.secret = secret.id";
    let columns = [COLUMNS, RESOLVED].concat();
    let mut select = select(&columns, JOIN_RESOLVED, account, vault);
    if let Some(since) = unused_since {
        select.sql += " AND secret.created_at < ? AND (resolved.at IS NULL OR resolved.at < ?)";
        select.values.extend(values![since, since]);
    }
    let lane = if unused_since.is_some() { Lane::Walking } else { Lane::of(query) };
    list::list_in(pool, lane, select, query, |row| {
        let resolved = match get_opt(row, 13)? {
            Some(at) => Some(Resolved { at, by: get(row, 14)? }),
            None => None,
        };
        Ok(Detail { secret: Arc::new(view(row)?), resolved })
    })
    .await
}

fn select(columns: &str, join: &str, account: i64, vault: Option<VaultId>) -> Select {
    let mut select = Select {
        sql: format!("SELECT {columns} FROM secret {JOIN}{join} WHERE secret.account = ?"),
        values: vec![account.into()],
        id: "secret.id",
        column: columns::secret,
        scope: &["vault.name", "secret.name"],
    };
    if let Some(vault) = vault {
        select.sql += " AND secret.vault = ?";
        select.values.push(vault.into());
    }
    select
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_statement_writes_to_a_table_twice() {
        for statement in [INSERT, UPDATE, PRUNE, REPLACE, DELETE] {
            let words: Vec<&str> = statement.split([' ', '(']).filter(|word| !word.is_empty()).collect();
            // The other half of an upsert names no table.
            let mut written: Vec<&str> = words
                .windows(3)
                .filter_map(|words| match words {
                    ["INSERT", "INTO", table] | ["DELETE", "FROM", table] | ["UPDATE", table, "SET"] => {
                        Some(*table)
                    }
                    _ => None,
                })
                .collect();
            let all = written.len();
            written.sort_unstable();
            written.dedup();
            assert!(all > 0 && written.len() == all, "{written:?} of {all} in {statement}");
        }
    }
}
