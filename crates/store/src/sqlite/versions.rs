//! The values of secrets, sealed: the current one of each, and those that it has replaced.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_crypto::{SealedValue, WrappedKey};
use strongroom_domain::ids::{SecretId, VaultId};
use strongroom_domain::keep::Keep;
use strongroom_domain::secret::{Due, Kept, Version, Walked};
use strongroom_domain::{Error, Result};

use super::error;
use super::row::get;
use super::writer::Step;

/// Adds a version; `Stale` if it was sealed under another key than its vault has now.
pub(super) fn insert(
    step: &Step<'_>,
    account: i64,
    (secret, vault): (SecretId, VaultId),
    version: &Version,
) -> Result<()> {
    let added = step
        .connection
        .prepare_cached(
            "INSERT INTO version (account, secret, number, created_at, wrapped_key, ciphertext, created_by, generation) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, generation FROM vault WHERE account = ?1 AND id = ?8 \
             AND (key_id IS NULL OR key_id = substr(?5, 1, 8))",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                secret.ksuid().as_bytes(),
                version.number,
                version.created_at.as_second(),
                version.sealed.wrapped_key.as_bytes(),
                &version.sealed.ciphertext,
                version.created_by.map(|by| by.to_bytes()),
                vault.ksuid().as_bytes(),
            ))
        })
        .map_err(error::plain)?;
    if added == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Adds a version in place of those before it, of which as many stay as make up with it what the vault keeps; `keep` is what
/// is kept where the vault does not say.
pub(super) fn replace(
    step: &Step<'_>,
    account: i64,
    (secret, vault): (SecretId, VaultId),
    version: &Version,
    keep: u32,
) -> Result<()> {
    // Asked here: the vault may have been told to keep more while the value was sealed.
    let keep: u32 = step
        .connection
        .prepare_cached("SELECT coalesce(keep_versions, ?3) FROM vault WHERE account = ?1 AND id = ?2")
        .and_then(|mut select| select.query_row((account, vault.ksuid().as_bytes(), keep), |row| row.get(0)))
        .map_err(error::plain)?;
    // Those that are to go need not be written first.
    delete_upto(step, account, secret, i64::from(version.number) - i64::from(keep))?;
    step.connection
        .prepare_cached(
            "UPDATE version SET replaced_at = ?4 WHERE account = ?1 AND secret = ?2 AND number = ?3 - 1",
        )
        .and_then(|mut update| {
            let at = version.created_at.as_second();
            update.execute((account, secret.ksuid().as_bytes(), version.number, at))
        })
        .map_err(error::plain)?;
    insert(step, account, (secret, vault), version)
}

/// Puts versions that were sealed anew, newest first, in the place of those that there are; the others go.
/// `Stale` if they were sealed under another key than the vault has now.
pub(super) fn reseal(
    step: &Step<'_>,
    account: i64,
    (secret, vault): (SecretId, VaultId),
    versions: &[Version],
) -> Result<()> {
    let oldest = versions.last().map_or(0, |version| version.number);
    delete_upto(step, account, secret, i64::from(oldest) - 1)?;
    let mut update = step
        .connection
        .prepare_cached(
            "UPDATE version SET wrapped_key = ?4, ciphertext = ?5, generation = vault.generation FROM vault \
             WHERE version.account = ?1 AND version.secret = ?2 AND version.number = ?3 \
             AND vault.account = ?1 AND vault.id = ?6 AND (vault.key_id IS NULL OR vault.key_id = substr(?4, 1, 8))",
        )
        .map_err(error::plain)?;
    for version in versions {
        let (wrapped_key, ciphertext) = (version.sealed.wrapped_key.as_bytes(), &version.sealed.ciphertext);
        let (secret, vault, number) = (secret.ksuid(), vault.ksuid(), version.number);
        let ids = (secret.as_bytes(), vault.as_bytes());
        let changed = update.execute((account, ids.0, number, wrapped_key, ciphertext, ids.1));
        if changed.map_err(error::plain)? == 0 {
            return Err(Error::Stale);
        }
    }
    let there: usize = step
        .connection
        .prepare_cached("SELECT count(*) FROM version WHERE account = ?1 AND secret = ?2")
        .and_then(|mut count| count.query_row((account, secret.ksuid().as_bytes()), |row| row.get(0)))
        .map_err(error::plain)?;
    // One that was not sealed anew could never be opened again.
    if there == versions.len() { Ok(()) } else { Err(Error::Stale) }
}

fn delete_upto(step: &Step<'_>, account: i64, secret: SecretId, number: i64) -> Result<()> {
    step.connection
        .prepare_cached("DELETE FROM version WHERE account = ?1 AND secret = ?2 AND number <= ?3")
        .and_then(|mut delete| delete.execute((account, secret.ksuid().as_bytes(), number)))
        .map_err(error::plain)?;
    Ok(())
}

pub(super) fn delete(step: &Step<'_>, account: i64, secret: SecretId) -> Result<()> {
    delete_upto(step, account, secret, i64::MAX)
}

/// Whose versions are looked for.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// A secret that is there.
    Live,
    /// One that is deleted: for a store that is only read, such as a backup.
    Deleted,
}

impl Of {
    /// The condition that a version's secret is one of these.
    fn sql(self) -> &'static str {
        match self {
            Self::Live => "EXISTS (SELECT 1 FROM secret WHERE secret.account = ?1 AND secret.id = ?2)",
            Self::Deleted => {
                "EXISTS (SELECT 1 FROM deleted_secret AS secret WHERE secret.account = ?1 AND secret.id = ?2)"
            }
        }
    }
}

/// A version of a secret.
pub(super) fn find(
    connection: &Connection,
    of: Of,
    account: i64,
    secret: SecretId,
    number: u32,
) -> rusqlite::Result<Option<Version>> {
    connection
        .prepare_cached(&format!(
            "SELECT number, created_at, wrapped_key, ciphertext, created_by FROM version \
             WHERE account = ?1 AND secret = ?2 AND number = ?3 AND {}",
            of.sql()
        ))?
        .query_row((account, secret.ksuid().as_bytes(), number), view)
        .optional()
}

fn view(row: &Row<'_>) -> rusqlite::Result<Version> {
    let wrapped_key = WrappedKey::from_bytes(row.get(2)?);
    let sealed = SealedValue { wrapped_key, ciphertext: row.get(3)? };
    Ok(Version { number: row.get(0)?, created_at: get(row, 1)?, created_by: get(row, 4)?, sealed })
}

/// What is kept of a secret's values, newest first.
pub(super) fn kept(
    connection: &Connection,
    of: Of,
    account: i64,
    secret: SecretId,
) -> rusqlite::Result<Vec<Kept>> {
    connection
        .prepare_cached(&format!(
            "SELECT number, created_at, created_by, replaced_at FROM version \
             WHERE account = ?1 AND secret = ?2 AND {} ORDER BY number DESC",
            of.sql()
        ))?
        .query_map((account, secret.ksuid().as_bytes()), view_kept)?
        .collect()
}

fn view_kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        number: row.get(0)?,
        created_at: get(row, 1)?,
        created_by: get(row, 2)?,
        replaced_at: get(row, 3)?,
    })
}

/// Walks on through the values that were replaced, and finds those that are not to be kept any longer. Those of a deleted
/// secret are left to the time for which deleted things are kept.
pub(super) fn due(
    connection: &Connection,
    account: i64,
    keep: Keep,
    now: Timestamp,
    after: Option<Walked>,
    limit: usize,
) -> rusqlite::Result<Due> {
    let start = after.map(|walked| {
        (walked.replaced_at.as_second(), walked.secret.ksuid().as_bytes().to_vec(), walked.number)
    });
    let (at, secret, number) = start.unwrap_or((i64::MIN, Vec::new(), 0));
    let mut select = connection.prepare_cached(
        "SELECT version.replaced_at, version.secret, version.number, \
         coalesce(version.number + coalesce(vault.keep_versions, ?2) <= secret.version, 0) \
         OR (secret.id IS NOT NULL AND coalesce(version.replaced_at + coalesce(vault.keep_versions_for, ?3) <= ?4, 0)) \
         FROM version INDEXED BY version_replaced \
         LEFT JOIN secret ON secret.account = version.account AND secret.id = version.secret \
         LEFT JOIN vault ON vault.account = secret.account AND vault.id = secret.vault \
         WHERE version.account = ?1 AND version.replaced_at IS NOT NULL \
         AND (version.replaced_at, version.secret, version.number) > (?5, ?6, ?7) \
         ORDER BY version.replaced_at, version.secret, version.number LIMIT ?8",
    )?;
    let params = (
        account,
        keep.versions,
        keep.versions_for,
        now.as_second(),
        at,
        secret,
        number,
        i64::try_from(limit).unwrap_or(i64::MAX),
    );
    let (mut found, mut last, mut seen) = (Due::default(), None, 0);
    for row in select.query_map(params, due_row)? {
        let (walked, is_due) = row?;
        if is_due {
            found.versions.push((walked.secret, walked.number));
        }
        (last, seen) = (Some(walked), seen + 1);
    }
    found.next = last.filter(|_| seen == limit);
    Ok(found)
}

fn due_row(row: &Row<'_>) -> rusqlite::Result<(Walked, bool)> {
    let (replaced_at, secret) = (get(row, 0)?, SecretId::new(get(row, 1)?));
    Ok((Walked { replaced_at, secret, number: row.get(2)? }, row.get(3)?))
}

/// Destroys versions, where they are still there and not current.
pub(super) fn prune(step: &mut Step<'_>, account: i64, which: &[(SecretId, u32)]) -> Result<()> {
    let mut delete = step
        .connection
        .prepare_cached(
            "DELETE FROM version WHERE account = ?1 AND secret = ?2 AND number = ?3 AND replaced_at IS NOT NULL",
        )
        .map_err(error::plain)?;
    for (secret, number) in which {
        delete.execute((account, secret.ksuid().as_bytes(), number)).map_err(error::plain)?;
    }
    step.erase();
    Ok(())
}
